/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of nothing but workers and one storage backend, loaded from its .so.  Tests run in fibers, as features do.
 */
#ifndef STORES_HARNESS_H
#define STORES_HARNESS_H

#include "run/turn.h"
#include "store/store.h"
#include <stdio.h>

#ifndef HARNESS_FIBERS
#define HARNESS_FIBERS 160
#endif
enum { WORKERS = 2, FIBERS = HARNESS_FIBERS };

/* Loads the plugin; OPTIONS are "name=value".  Ends the program if it can't. */
void harness_load(const char *so, char **options, int option_count);
void harness_set_options(char **options, int option_count); /* of the next start */
void harness_unload(void);
/*
 * The words of an environment variable that a service sets, copied to OPTIONS; how many.  @UNIQUE@ in one becomes a name
 * of this process.  Without the variable the program ends, and all it tests is skipped.
 */
int harness_env_options(const char *name, char **options, int max);
/* Starts the backend, then workers; the other way round.  NULL or why not, until the next call. */
const char *harness_start(const struct store_config *config);
void harness_stop(void);
/* The backend alone, for tests of definitions. */
const char *harness_start_backend(void);
void harness_stop_backend(void);

struct mk_coll *harness_define(const struct mk_coll_decl *decl); /* must work */
const char *harness_refused(const struct mk_coll_decl *decl);    /* must not: why, until the next call */
uint32_t harness_caps(void);
const char *harness_option(const char *name); /* as given, NULL if it was not */
/* Starts this program again, with the same backend and options; WHAT is in STORES_CHILD, its output in *FROM. */
pid_t harness_child(const char *what, int *from);

/* Runs FN(ctx, ARG) in a fiber of a worker; the second form waits for it and for all others. */
void harness_begin(unsigned worker, void (*fn)(struct mk_ctx *c, void *arg), void *arg);
void harness_run(unsigned worker, void (*fn)(struct mk_ctx *c, void *arg), void *arg);
void harness_wait(void);

const struct mk_jid *harness_jid(struct mk_ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- checks: they end the function, not the test --------------------------------------------------------------- */

void check_failed(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool check_any_failed(void); /* since the last call */

#define NEED(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            check_failed(__FILE__, __LINE__, "%s", #cond);                                                             \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define NEED_INT(got, want)                                                                                            \
    do {                                                                                                               \
        long long g_ = (long long)(got), w_ = (long long)(want);                                                       \
        if (g_ != w_) {                                                                                                \
            check_failed(__FILE__, __LINE__, "%s is %lld, not %lld", #got, g_, w_);                                    \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define NEED_TEXT(got, want)                                                                                           \
    do {                                                                                                               \
        const char *g_ = (got), *w_ = (want);                                                                          \
        if (!g_ || strcmp(g_, w_) != 0) {                                                                              \
            check_failed(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, g_ ? g_ : "(null)", w_);                \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* ---- tests ------------------------------------------------------------------------------------------------------ */

struct test {
    const char *name;
    uint32_t caps; /* what the backend must have, or it is skipped */
    void (*run)(void);
};
/* Runs them and prints TAP.  BETWEEN tests nothing is restarted. */
int tests_run(const struct test *tests, size_t count);

#endif
