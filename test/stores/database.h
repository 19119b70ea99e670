/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of SQL backends share: two collections, an operator beside the server, connections lost at bad moments. */
#ifndef STORES_DATABASE_H
#define STORES_DATABASE_H

#include "harness.h"
#include "proxy.h"
#include <meerkat/store.h>
#include <string.h>

enum { OWNER, ID, ORDER, NUMBER, UNTIL, COUNT };
extern const struct mk_coll_decl things_decl, texts_decl;
extern const struct mk_coll *things, *texts;

enum { OPTIONS = 32 };
extern char *options[OPTIONS];
extern int option_count;
const char *option(const char *name); /* "" if it was not given */
/* Of the next start: those given, with MORE, which ends with NULL, behind them. */
void with_options(const char *const *more);
void without_options(void);

/*
 * The program: options are the words of the environment variable NAME, and OWN behind them if it is not NULL.  CONNECT makes
 * the operator's session, and ask; DISCONNECT ends it, and drops what the tests have made.
 */
int database_main(const char *so, const char *name, const char *own, const struct test *tests, size_t count,
                  void (*connect)(void), void (*disconnect)(void));

/* Starts the backend with both collections; false: a check has failed. */
bool begin(void);
void end(void);

/* Given by the test: the first column of all rows, separated by spaces, as the operator's own session sees it. */
extern const char *(*ask)(const char *text);
#define ASK(text, want) NEED_TEXT(ask(text), want)
/* The start is refused in one line, with BECAUSE in it. */
void refuse(const char *more, const char *because);

int put(struct mk_ctx *c, const char *owner, int64_t id, const char *order, struct mk_value until);
char *noise(struct mk_ctx *c, size_t len);
void put_some(struct mk_ctx *c, void *arg); /* ten rows in each */

/* Tests.  TOO_MUCH writes a row that the database can't take, number ARG. */
void bad_rows_harm_no_other(void (*too_much)(struct mk_ctx *c, void *arg));
void refused_commits_are_made_again(void); /* PostgreSQL: at COMMIT itself */
/* PIPELINES: see proxy.h.  THROUGH, which ends with NULL, are options that lead to a proxy before PORT, "=PORT" standing for its port. */
void lost_answers_are_found_out(int port, bool pipelines, const char *const *through);
void ended_sessions_come_back(const char *end_them);
void expired_rows_are_swept(void);
void without_the_right_to_create(void);

#endif
