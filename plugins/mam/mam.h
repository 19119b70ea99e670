/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts: mam.c rows, iqs and the interface; keep.c what accounts archive; prefs.c their wishes; store.c rows of an
 * archive; query.c reads a query, answer.c answers it; retract.c; trim.c; commands.c; id.c.
 */
#ifndef MAM_MAM_H
#define MAM_MAM_H

#include "id.h"
#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <meerkat/roster.h>

#define NS_MAM "urn:xmpp:mam:2"
#define NS_MAM1 "urn:xmpp:mam:1"
#define NS_MAM0 "urn:xmpp:mam:0"
#define NS_SID "urn:xmpp:sid:0"
#define NS_HINTS "urn:xmpp:hints"
#define NS_RETRACT "urn:xmpp:message-retract:1"
#define NS_RETRACT0 "urn:xmpp:message-retract:0"
#define NS_FASTEN "urn:xmpp:fasten:0"
#define NS_FULLTEXT "urn:xmpp:fulltext:0"
#define NS_RSM "http://jabber.org/protocol/rsm"
#define NS_DATA "jabber:x:data"

struct mam {
    int64_t prefs_default, max_prefs; /* enum wish */
    int64_t default_page, max_page, page_bytes, count_up_to;
    int64_t max_age, max_messages, trim_every; /* ms */
    bool markers, headlines, retraction, fulltext;
    const struct mk_roster *roster;
    const struct mk_coll *messages, *words, *prefs;
};

enum { COL_OWNER, COL_TIME, COL_NONCE, COL_PEER, COL_RESOURCE, COL_SENT, COL_REF, COL_SENDER, COL_STANZA, COL_EXPIRES };
enum { COL_COUNT = COL_EXPIRES + 1 };
enum { WORDS_WORDS = COL_SENT, WORDS_EXPIRES, WORDS_COUNT }; /* the columns before are those of the messages */
enum { PREFS_OWNER, PREFS_DEFAULT, PREFS_ALWAYS, PREFS_NEVER, PREFS_COUNT };
enum { BY_PEER = 1 }; /* index of both */

enum { SLOT_ACCOUNT, SLOT_ROOM };
enum { TIMER_LOAD, TIMER_RETRACT, TIMER_TRIM, TIMER_TRIM_ROOM };
enum { M_ARCHIVED, M_REFUSED, M_QUERIES, M_RESULTS, M_RETRACTED, M_TRIMMED };

/* Nonces, from one read of the random source: a worker's memory. */
enum { NONCES = 64 };
struct nonces {
    int64_t numbers[NONCES];
    uint32_t left;
};

/* ---- an archive (store.c) -------------------------------------------------------------------------------------------- */

/* Of accounts and rooms. */
struct archive {
    int64_t last;  /* time of the newest id */
    int64_t count; /* of messages, once COUNTED */
    bool open, counted, trim_soon, room;
};

/* What is in memory of mk_self()'s archive. */
struct archive *archive_self(struct mk_ctx *c);

MK_SUSPENDS int archive_open(struct mk_ctx *c, struct archive *a);
struct place archive_next(struct mk_ctx *c, struct archive *a);
/* The entry's id is not looked at. */
int archive_add(struct mk_ctx *c, struct archive *a, struct place at, const struct mk_archive_entry *entry);

/* Stores messages of another server, the oldest first, in one write; what is there already is the same then. */
struct archive_item {
    struct place at;
    struct mk_archive_entry entry;
};
MK_SUSPENDS int archive_put_all(struct mk_ctx *c, struct archive *a, const struct archive_item *items, uint32_t count);

bool fulltext_works(const struct mam *me);

/* Which messages; NULL: whatever it is. */
struct choice {
    struct range range;
    const struct mk_jid *with;
    const char *words;
};
/* LIMIT 0: all.  ROWS are of the messages' collection, in the turn's memory. */
MK_SUSPENDS int archive_scan(struct mk_ctx *c, const struct choice *which, bool reverse, uint32_t limit,
                             const struct mk_row *const **rows, uint32_t *count);
MK_SUSPENDS int archive_count(struct mk_ctx *c, const struct choice *which, uint32_t limit, int64_t *count);
MK_SUSPENDS int archive_get(struct mk_ctx *c, struct place at, const struct mk_row **row);
MK_SUSPENDS int archive_drop(struct mk_ctx *c, const struct mk_jid *owner);
/* Deletes what is not after UP_TO. */
MK_SUSPENDS int archive_drop_until(struct mk_ctx *c, struct place up_to);
MK_SUSPENDS int archive_drop_rows(struct mk_ctx *c, const struct mk_row *const *rows, uint32_t count);

struct place row_place(const struct mk_row *row);
bool row_is_with(const struct mk_row *row, const struct mk_jid *with);
/* Reads what is in ROW; MK_E_INVALID if its stanza is none. */
int row_read(struct mk_ctx *c, const struct mk_row *row, struct mk_archive_row *out);

/* ---- queries (query.c, answer.c) -------------------------------------------------------------------------------------- */

struct query {
    const char *ns, *id;
    struct choice set; /* without what pages it */
    struct range page; /* the part of its range that the page is in */
    struct place *ids; /* sorted, each once; NULL: all */
    uint32_t id_count;
    uint32_t max, skip;
    bool backwards, flip;
};
/* 0, or what an iq handler returns.  Looks up the ids it names. */
MK_SUSPENDS int query_read(struct mk_ctx *c, const struct mk_stanza *iq, struct query *q);
/* Writes <metadata/>. */
MK_SUSPENDS int put_metadata(struct mk_ctx *c, struct mk_out *o);
MK_SUSPENDS int answer(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_archive_view *view);

/* ---- accounts (keep.c, prefs.c, retract.c) ------------------------------------------------------------------------------ */

enum wish { WISH_ALWAYS, WISH_NEVER, WISH_ROSTER };
extern const char *const wish_names[];

struct prefs;      /* OWNED by the slot */
struct retraction; /* one that waits; OWNED by the slot */

struct account {
    struct archive archive; /* first: archive_self() takes one for the other */
    struct prefs *prefs;    /* NULL: what the configuration says */
    struct retraction *retractions;
    const struct mk_stanza *plain, *marked; /* of a message that is being sent: without and with its id */
    bool ready;                             /* prefs are known */
    bool roster_ready;                      /* contacts are in memory, so that asking for them never waits */
    bool waiting;                           /* the message in this turn is not archived yet: for want of prefs */
};
struct account *account_self(struct mk_ctx *c);
bool is_kept(struct mk_ctx *c, struct account *a, const struct mk_stanza *s, const struct mk_jid *peer);
MK_SUSPENDS int account_load(struct mk_ctx *c, struct account *a);
void account_fini(void *slot);

bool prefs_allow(struct mk_ctx *c, const struct account *a, const struct mk_jid *peer);
MK_SUSPENDS int prefs_load(struct mk_ctx *c, struct account *a);
MK_SUSPENDS int prefs_drop(struct mk_ctx *c, const struct mk_jid *owner);
void prefs_free(struct prefs *p);
MK_SUSPENDS int on_prefs(struct mk_ctx *c, const struct mk_stanza *iq);

/* As XML; read in place of those that there are. */
void prefs_put(struct mk_ctx *c, const struct account *a, struct mk_out *o, const char *ns);
MK_SUSPENDS int prefs_set(struct mk_ctx *c, struct account *a, const struct mk_elem *e);

enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_sent(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev);
MK_SUSPENDS enum mk_flow on_offline(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_offline_end(struct mk_ctx *c, struct mk_ev_stanza *ev);

/* Remembers that S retracts the message with id REF of who wrote S; done soon, in another turn. */
void retract_later(struct mk_ctx *c, struct account *a, const char *ref, const struct mk_stanza *s,
                   const struct mk_jid *peer, bool sent);
MK_SUSPENDS void on_retract_time(struct mk_ctx *c, struct mk_session *session);
void retractions_free(struct retraction *r);
MK_SUSPENDS int retract_row(struct mk_ctx *c, const struct mk_row *row, const struct mk_archive_tombstone *t,
                            int64_t when);

/* ---- retention (trim.c), commands.c ------------------------------------------------------------------------------------ */

void trim_soon(struct mk_ctx *c, struct archive *a);
MK_SUSPENDS void on_trim_time(struct mk_ctx *c, struct mk_session *session);

/* move.c */
extern const struct mk_move_ops mam_move;

enum { MAM_COMMANDS = 3 };
extern const struct mk_cmd_decl mam_commands[MAM_COMMANDS];

#endif
