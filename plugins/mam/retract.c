/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0424: what was retracted gives its place to a tombstone. */
#include "mam.h"
#include <string.h>

/* Retractions that may wait; further ones leave the message as it is.  MS: they are done together. */
enum { WAITING_MAX = 100, MS = 50 };

struct retraction {
    struct retraction *next;
    struct mk_jid *peer; /* bare */
    char *id;            /* of the stanza that retracts, NULL if it has none */
    int64_t when;
    bool sent;
    char ref[];
};

static void retraction_free(struct retraction *r) {
    mk_jid_free(r->peer);
    mk_free(r->id);
    mk_free(r);
}

void retractions_free(struct retraction *r) {
    while (r) {
        struct retraction *next = r->next;
        retraction_free(r);
        r = next;
    }
}

static char *keep_text(const char *text) {
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(mk_malloc(size), text, size);
}

void retract_later(struct mk_ctx *c, struct account *a, const char *ref, const struct mk_stanza *s,
                   const struct mk_jid *peer, bool sent) {
    struct retraction **last = &a->retractions;
    unsigned count = 0;
    for (; *last; last = &(*last)->next)
        count++;
    size_t len = strlen(ref);
    if (count >= WAITING_MAX || !len || len > 1024)
        return;
    struct retraction *r = mk_malloc(sizeof *r + len + 1);
    memcpy(r->ref, ref, len + 1);
    r->peer = mk_jid_keep(mk_jid_to_bare(c, peer));
    r->id = keep_text(mk_stanza_id(s));
    r->when = mk_now(c);
    r->sent = sent;
    *last = r;
    mk_timer_start(c, NULL, TIMER_RETRACT, MS);
}

/* ---- tombstones -------------------------------------------------------------------------------------------------------- */

static int build(struct mk_ctx *c, const struct mk_stanza *old, const struct mk_archive_tombstone *t, int64_t when,
                 struct mk_view *xml) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_MESSAGE, mk_stanza_type(old), mk_stanza_to(old));
    mk_from(o, mk_stanza_from(old));
    mk_id(o, mk_stanza_id(old));
    mk_open(o, "retracted", NS_RETRACT);
    mk_put(o, "id", t->id);
    mk_put(o, "stamp", mk_time_text(c, when));
    if (t->by)
        t->by(c, o, t->arg);
    mk_close(o);
    int rc = mk_seal(o, &s);
    if (rc == MK_OK)
        *xml = mk_stanza_xml(c, s);
    return rc;
}

static struct mk_value same_time(const struct mk_row *row, unsigned col) {
    return mk_row_is_null(row, col) ? mk_v_null() : mk_v_time(mk_row_int(row, col));
}

MK_SUSPENDS static int store(struct mk_ctx *c, const struct mk_row *row, struct mk_view xml) {
    const struct mam *me = mk_inst(c);
    const struct mk_value values[COL_COUNT] = {
        [COL_OWNER] = mk_v_jid(mk_self(c)),
        [COL_TIME] = mk_v_time(mk_row_int(row, COL_TIME)),
        [COL_NONCE] = mk_v_int(mk_row_int(row, COL_NONCE)),
        [COL_PEER] = mk_v_jid(mk_row_jid(row, COL_PEER)),
        [COL_RESOURCE] = mk_v_text(mk_row_text(row, COL_RESOURCE)),
        [COL_SENT] = mk_v_bool(mk_row_int(row, COL_SENT)),
        [COL_REF] = mk_v_text(mk_row_text(row, COL_REF)),
        [COL_SENDER] = mk_row_is_null(row, COL_SENDER) ? mk_v_null() : mk_v_jid(mk_row_jid(row, COL_SENDER)),
        [COL_STANZA] = mk_v_view(xml),
        [COL_EXPIRES] = same_time(row, COL_EXPIRES),
    };
    int rc = mk_put_now(c, me->messages, MK_UPSERT, values);
    if (rc != MK_OK)
        return rc;
    rc = mk_del(c, me->words, values); /* its key are the first columns */
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

/* A tombstone stays the one it is. */
MK_SUSPENDS int retract_row(struct mk_ctx *c, const struct mk_row *row, const struct mk_archive_tombstone *t,
                            int64_t when) {
    struct mk_archive_row old;
    struct mk_view xml;
    int rc = row_read(c, row, &old);
    if (rc != MK_OK || mk_child(old.stanza, "retracted", NS_RETRACT))
        return rc;
    rc = build(c, old.stanza, t, when, &xml);
    if (rc == MK_OK)
        rc = store(c, row, xml);
    if (rc == MK_OK)
        mk_count(c, M_RETRACTED, 1);
    return rc;
}

/*
 * Only who wrote a message may retract it: same peer, same direction.  The newest, if a client uses an id twice.  An index
 * of ids would cost every message more than this search costs the few that retract: it ends where it finds one, and goes
 * through one conversation at most.
 */
MK_SUSPENDS static int do_one(struct mk_ctx *c, const struct retraction *r) {
    const struct mam *me = mk_inst(c);
    const struct mk_value partition[] = { mk_v_jid(mk_self(c)), mk_v_jid(r->peer) };
    const struct mk_filter filters[] = { { COL_REF, 0, mk_v_text(r->ref) }, { COL_SENT, 0, mk_v_bool(r->sent) } };
    const struct mk_archive_tombstone t = { .id = r->id };
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->messages,
                     MK_SCAN(.index = BY_PEER, .partition = partition, .filters = filters, .filter_count = 2,
                             .limit = 1, .flags = MK_SCAN_REVERSE),
                     &rows);
    if (rc != MK_OK || !mk_rows_count(rows))
        return rc;
    return retract_row(c, mk_rows_at(rows, 0), &t, r->when);
}

MK_SUSPENDS void on_retract_time(struct mk_ctx *c, struct mk_session *session) {
    struct account *a = account_self(c);
    (void)session;
    while (a->retractions) {
        struct retraction *r = a->retractions;
        int rc = do_one(c, r);
        if (rc == MK_E_TIMEOUT || rc == MK_E_BUSY) {
            mk_timer_start(c, NULL, TIMER_RETRACT, 1000);
            return;
        }
        if (rc != MK_OK)
            mk_log(c, MK_WARNING, "a message that was retracted stays in the archive: %s", mk_strerror(rc));
        a->retractions = r->next;
        retraction_free(r);
    }
}
