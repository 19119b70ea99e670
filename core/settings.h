/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon itself reads from the configuration; plugins, hosts and storage are the loader's. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "admin/admin.h"
#include "component/component.h"
#include "conf/conf.h"
#include "net/listener.h"
#include "s2s/s2s.h"
#include "sasl/sasl.h"
#include "store/journal.h"
#include "store/store.h"
#include "stream/stream.h"
#include "util/log.h"

struct settings {
    int64_t workers; /* 0: one a processor */
    int64_t offload_threads;
    int64_t io_uring; /* enum ring_use */
    const char *pid_file;
    struct listener_config *listeners;
    unsigned listener_count;
    struct log_config log;
    struct control_config control;
    struct stream_config stream;
    struct s2s_config s2s;
    const struct component_config *components;
    unsigned component_count;
    struct throttle_config throttle;
    struct store_config store;
    struct journal_config journal;
    int64_t mailbox, turn_deadline, sessions, fibers, stop_ms;
    const char *tls_priorities;
    bool yield_chaos;
};

/* Fills S from the tree and marks what it used. */
void settings_read(struct arena *arena, struct conf_node *root, struct settings *s, struct conf_errors *e);

/* Puts in force what may change while the server runs. */
void settings_apply(const struct settings *s);

/* Reference of all these options in Markdown. */
void settings_manual(struct buf *out);

#endif
