/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Against spam.  strangers.c: who an account does not know, and how much of them there may be; lists.c: who is in a block
 * list that others keep; spam.c: rows, commands.
 */
#ifndef SPAM_SPAM_H
#define SPAM_SPAM_H

#include <meerkat/plugin.h>
#include <meerkat/roster.h>

enum { HASH_SIZE = 32, HEX_SIZE = 2 * HASH_SIZE };

struct spam {
    int64_t strangers, listed, max_strangers, max_requests, max_incoming, window, refresh, max_items;
    bool trust_local;
    struct mk_texts trusted, lists;
    const struct mk_roster *roster;
    const struct mk_coll *hashes;
};
enum { ALLOW, REFUSE, DROP };
enum { M_STRANGERS, M_LISTED, M_LIMITED };
enum { SLOT_ACCOUNT };
enum { TIMER_KEEP, TIMER_TICK, TIMER_FETCH };
enum { COL_HASH, COL_LIST, COL_REASON, COL_SEEN, COL_COUNT };
extern const struct mk_col_decl hash_cols[COL_COUNT];

/* ---- lists.c ------------------------------------------------------------------------------------------------------- */

struct hash {
    unsigned char bytes[HASH_SIZE];
};
/* What a worker knows of the lists: all hashes, in order, and how fetching goes, by the number of the list. */
enum { LISTS_MAX = 16 };
struct worker {
    struct hash *hashes; /* OWNED */
    size_t count;
    int64_t loaded_ms; /* 0: never */
    struct progress {
        int64_t fetched_ms, tried_ms;
        bool failing;
    } lists[LISTS_MAX];
    bool fetching;
};
/* What is fetched from whom: "SERVICE NODE". */
bool list_read(struct mk_ctx *c, const char *text, const struct mk_jid **service, const char **node);
/* Makes this worker know what is stored, if it does not, or not for a minute. */
MK_SUSPENDS void lists_load(struct mk_ctx *c);
bool is_listed(struct mk_ctx *c, const struct mk_jid *jid);
void lists_tick(struct mk_ctx *c, struct mk_session *none);
MK_SUSPENDS void lists_fetch(struct mk_ctx *c, struct mk_session *none);
MK_SUSPENDS enum mk_flow on_event(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_host_started(struct mk_ctx *c, struct mk_ev_host *ev);
MK_SUSPENDS int cmd_lists(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);
MK_SUSPENDS int cmd_check(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);

/* ---- strangers.c --------------------------------------------------------------------------------------------------- */

struct account {
    struct lately *lately; /* OWNED; NULL if nothing was */
    bool loaded;           /* the roster may be asked without waiting */
};
void account_fini(void *slot);
MK_SUSPENDS enum mk_flow on_loaded(struct mk_ctx *c, struct mk_ev_account *ev);
enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_requested(struct mk_ctx *c, struct mk_ev_stanza *ev);
void on_keep_over(struct mk_ctx *c, struct mk_session *none);

#endif
