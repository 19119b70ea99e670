/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of Redis share: servers that they start and break, options, collections, writers. */
#ifndef REDIS_TEST_REDIS_H
#define REDIS_TEST_REDIS_H

#include "harness.h"
#include <meerkat/store.h>
#include <string.h>

/* ---- the services ---- */

extern char folder[]; /* of the service */
/* Starts SCRIPT of test/services, servers of our own since we kill them.  False if it can't be had. */
bool service_up(const char *name);
void service_down(void);
const char *env(const char *name); /* what the service says; it must */
/* The first line that a command of the shell prints. */
const char *shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Until a command prints WANT. */
void until(const char *want, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define CLI "REDISCLI_AUTH=secret redis-cli -p %s "
void expect(const char *got, const char *want); /* GOT has WANT in it */
void send_signal(const char *name, const char *signal);
void start_again(void); /* those that were killed */

/* ---- the backend ---- */

void no_options(void);
void option(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void other_option(int n, const char *text); /* instead of option N */
void drop_option(void);                     /* the last */
void refuse(const char *words);             /* it must not start, and say WORDS */
void empty_log(void);
int logged(const char *words); /* how many lines have these words; waits for the first */

enum { OWNER, ID, BODY, NUMBER };
extern const struct mk_coll *things, *tokens;
bool begin(void);
int put(struct mk_ctx *c, enum mk_put_mode mode, const char *owner, int id, const char *body, int64_t number);
const struct mk_value *counter(struct mk_ctx *c, int n, struct mk_value key[2]); /* of writer N */

/* Fibers that write until the end, when what they wrote must be there once: no row twice, no sum too high. */
void begin_writing(void);
void wait_written(int more); /* until so many more are */
void end_writing(void);      /* stops the backend too */

int sentinel_main(void);
int cluster_main(void);
#define TEST(f)                                                                                                        \
    { #f, 0, f }
#define RUN(tests) tests_run(tests, sizeof tests / sizeof tests[0])

#endif
