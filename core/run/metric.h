/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of the server itself.  Numbered at start together with those of the plugins; each worker adds to its own
 * copy, readers sum them.  A histogram takes METRIC_BUCKETS + 2 places: buckets by power of two, sum, count.
 */
#ifndef RUN_METRIC_H
#define RUN_METRIC_H

#include <meerkat/metric.h>

enum { METRIC_BUCKETS = 40 };

/* One list for all of the server's own: name, kind, unit, help. */
#define SERVER_METRICS(X)                                                                                              \
    X(connections, MK_GAUGE, "", "Open client connections.")                                                           \
    X(connections_total, MK_COUNTER, "", "Client connections accepted.")                                               \
    X(connections_refused, MK_COUNTER, "", "Connections closed at once: too many, or no descriptor free.")             \
    X(tls_handshakes, MK_COUNTER, "", "TLS handshakes completed.")                                                     \
    X(tls_failures, MK_COUNTER, "", "TLS handshakes that failed.")                                                     \
    X(bytes_in, MK_COUNTER, "bytes", "Bytes read from clients, after TLS.")                                            \
    X(bytes_out, MK_COUNTER, "bytes", "Bytes written to clients, before TLS.")                                         \
    X(stream_errors, MK_COUNTER, "", "Streams ended with a stream error.")                                             \
    X(logins, MK_COUNTER, "", "Successful authentications.")                                                           \
    X(login_failures, MK_COUNTER, "", "Failed authentications.")                                                       \
    X(sessions, MK_GAUGE, "", "Bound resources, connected or detached.")                                               \
    X(sessions_detached, MK_GAUGE, "", "Sessions kept for resumption.")                                                \
    X(accounts_loaded, MK_GAUGE, "", "Accounts in memory.")                                                            \
    X(rooms_loaded, MK_GAUGE, "", "Rooms of plugins in memory.")                                                       \
    X(messages_in, MK_COUNTER, "messages", "Messages received from clients.")                                          \
    X(presences_in, MK_COUNTER, "", "Presences received from clients.")                                                \
    X(iqs_in, MK_COUNTER, "", "Info queries received from clients.")                                                   \
    X(stanzas_out, MK_COUNTER, "", "Stanzas written to sessions.")                                                     \
    X(bounces, MK_COUNTER, "", "Stanzas answered with an error by the server.")                                        \
    X(turns, MK_COUNTER, "", "Turns run.")                                                                             \
    X(fibers_used, MK_COUNTER, "", "Turns that ran on a fiber.")                                                       \
    X(fiber_waits, MK_COUNTER, "", "Turns that waited because no fiber was free.")                                     \
    X(op_timeouts, MK_COUNTER, "", "Operations that missed the turn's deadline.")                                      \
    X(store_reads, MK_COUNTER, "", "Reads from collections.")                                                          \
    X(store_writes, MK_COUNTER, "", "Rows written to collections.")                                                    \
    X(store_commits, MK_COUNTER, "", "Group commits.")                                                                 \
    X(store_queue, MK_GAUGE, "", "Writes waiting for their commit.")                                                   \
    X(store_holds, MK_COUNTER, "", "Times that a client had to wait because too many writes did.")                     \
    X(store_journal_rows, MK_GAUGE, "", "Writes waiting in the journal.")                                              \
    X(store_journal_bytes, MK_GAUGE, "bytes", "Bytes of the journal.")                                                 \
    X(store_read_us, MK_HISTOGRAM, "microseconds", "Time of a read.")                                                  \
    X(store_commit_us, MK_HISTOGRAM, "microseconds", "Time of a commit.")                                              \
    X(mail_refused, MK_COUNTER, "", "Stanzas not delivered because too many waited for their recipient.")              \
    X(s2s_in, MK_GAUGE, "", "Streams from other servers.")                                                             \
    X(s2s_out, MK_GAUGE, "", "Streams to other servers.")                                                              \
    X(s2s_logins, MK_COUNTER, "", "Domains that other servers proved, or that we proved to them.")                     \
    X(s2s_login_failures, MK_COUNTER, "", "Domains that other servers could not prove.")                               \
    X(s2s_failures, MK_COUNTER, "", "Other servers that no stream could be opened to.")                                \
    X(s2s_stanzas_in, MK_COUNTER, "", "Stanzas received from other servers.")                                          \
    X(s2s_stanzas_out, MK_COUNTER, "", "Stanzas written to other servers.")                                            \
    X(s2s_queue, MK_GAUGE, "", "Stanzas that wait for a stream to another server.")                                    \
    X(s2s_refused, MK_COUNTER, "", "Stanzas for other servers answered with an error.")                                \
    X(components, MK_GAUGE, "", "Components that are connected.")                                                      \
    X(component_login_failures, MK_COUNTER, "", "Handshakes of components that were wrong.")                           \
    X(component_stanzas_in, MK_COUNTER, "", "Stanzas received from components.")                                       \
    X(component_stanzas_out, MK_COUNTER, "", "Stanzas written to components.")                                         \
    X(slow_turns, MK_COUNTER, "", "Turns that held their thread longer than 10 ms.")

#define X(name, kind, unit, help) METRIC_##name##_row,
enum server_metric_row { SERVER_METRICS(X) SERVER_METRIC_COUNT };
#undef X

extern unsigned server_metric_place[]; /* first place of each row in worker->metrics */
struct worker;
void metric_add(struct worker *w, unsigned place, int64_t by);
void metric_observe(struct worker *w, unsigned place, int64_t value);
#define METRIC(w, name, by) metric_add((w), server_metric_place[METRIC_##name##_row], (by))
#define METRIC_OBSERVE(w, name, value) metric_observe((w), server_metric_place[METRIC_##name##_row], (value))

#endif
