/* SPDX-License-Identifier: Apache-2.0 */
/* What accounts archive, and the ids that their messages get. */
#include "mam.h"
#include <string.h>

struct account *account_self(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}

MK_SUSPENDS int account_load(struct mk_ctx *c, struct account *a) {
    int rc = archive_open(c, &a->archive);
    if (rc == MK_OK && !a->ready)
        rc = prefs_load(c, a);
    a->ready |= rc == MK_OK;
    return rc;
}

void account_fini(void *slot) {
    struct account *a = slot;
    prefs_free(a->prefs);
    retractions_free(a->retractions);
}

/* ---- looking at a message ------------------------------------------------------------------------------------------------ */

enum {
    HAS_BODY = 1,
    HAS_NO_STORE = 2,
    HAS_STORE = 4,
    HAS_MATTER = 8, /* something to keep without a body: a reaction, a retraction, an invitation, what is encrypted */
    HAS_MARK = 16,  /* a displayed marker, a receipt */
    HAS_IDS = 32,   /* of XEP-0359, perhaps one that claims to be ours */
    HAS_ROOM = 64,  /* of a room, perhaps an invitation */
    HAS_RETRACTION = 128
};
struct look {
    uint32_t has;
    const char *retracts; /* id of a message, or NULL */
};

/* What counts, by namespace and name; "" is any name. */
#define ROW(ns, name, has)                                                                                             \
    { ns, name, sizeof(ns) - 1, has }
static const struct {
    const char *ns, *name;
    uint32_t len, has;
} payloads[] = {
    ROW(NS_SID, "", HAS_IDS),
    ROW(NS_HINTS, "store", HAS_STORE),
    ROW(NS_HINTS, "no-store", HAS_NO_STORE),
    ROW(NS_HINTS, "no-permanent-store", HAS_NO_STORE),
    ROW("urn:xmpp:chat-markers:0", "displayed", HAS_MARK),
    ROW("urn:xmpp:receipts", "received", HAS_MARK),
    ROW("urn:xmpp:reactions:0", "reactions", HAS_MATTER),
    ROW("urn:xmpp:eme:0", "encryption", HAS_MATTER),
    ROW("jabber:x:conference", "x", HAS_MATTER),
    ROW("http://jabber.org/protocol/muc#user", "x", HAS_ROOM),
    ROW(NS_RETRACT, "retract", HAS_RETRACTION),
    ROW(NS_FASTEN, "apply-to", HAS_RETRACTION),
};
#undef ROW

/* Of an old form, only if it does retract. */
static void look_inside(struct look *l, const struct mk_elem *e, uint32_t has) {
    if (has == HAS_ROOM && mk_elem_child(e, "invite", NULL))
        l->has |= HAS_MATTER;
    bool old = strcmp(mk_elem_ns(e), NS_FASTEN) == 0;
    if (has != HAS_RETRACTION || (old && !mk_elem_child(e, "retract", NS_RETRACT0)))
        return;
    l->retracts = mk_attr(e, "id");
    l->has |= l->retracts ? HAS_MATTER : 0;
}

static void look_at(struct look *l, const struct mk_elem *e) {
    const char *name = mk_elem_name(e), *ns = mk_elem_ns(e);
    const size_t len = strlen(ns);
    for (unsigned i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        if (payloads[i].len != len || memcmp(payloads[i].ns, ns, len) != 0 ||
            (*payloads[i].name && strcmp(payloads[i].name, name) != 0))
            continue;
        l->has |= payloads[i].has;
        if (payloads[i].has & (HAS_ROOM | HAS_RETRACTION))
            look_inside(l, e, payloads[i].has);
    }
}

static struct look look(const struct mk_stanza *s) {
    struct look l = { 0, NULL };
    const struct mk_elem *root = mk_root(s);
    const char *own = mk_elem_ns(root);
    for (const struct mk_elem *e = mk_elem_first(root); e; e = mk_elem_next(e)) {
        const char *ns = mk_elem_ns(e);
        if (ns != own && strcmp(ns, own) != 0)
            look_at(&l, e);
        else if (strcmp(mk_elem_name(e), "body") == 0)
            l.has |= HAS_BODY;
    }
    return l;
}

/* Whether a message of this type and content is for the archive at all. */
static bool is_worth(const struct mam *me, enum mk_type type, const struct look *l) {
    if (type == MK_TYPE_HEADLINE ? !me->headlines : type != MK_TYPE_CHAT && type != MK_TYPE_NORMAL)
        return false;
    if (l->has & HAS_NO_STORE)
        return false;
    return l->has & (HAS_BODY | HAS_STORE | HAS_MATTER) || (l->has & HAS_MARK && me->markers);
}

bool is_kept(struct mk_ctx *c, struct account *a, const struct mk_stanza *s, const struct mk_jid *peer) {
    struct look l = look(s);
    return is_worth(mk_inst(c), mk_stanza_type(s), &l) && prefs_allow(c, a, peer);
}

/* ---- ids ------------------------------------------------------------------------------------------------------------------- */

static bool is_ours(struct mk_ctx *c, const struct mk_elem *e) {
    const struct mk_jid *giver;
    const char *by = mk_elem_is(e, "stanza-id", NS_SID) ? mk_attr(e, "by") : NULL;
    return by && mk_jid_parse(c, (struct mk_view){ by, strlen(by) }, &giver) == MK_OK && mk_jid_same(giver, mk_self(c));
}

static bool has_ours(struct mk_ctx *c, const struct mk_stanza *s) {
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        if (is_ours(c, e))
            return true;
    return false;
}

/* S without the ids that claim to be this archive's, however they spell its JID. */
static const struct mk_stanza *without_ours(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct mk_stanza *clean;
    if (!has_ours(c, s))
        return s;
    struct mk_out *o = mk_derive(c, s, NS_SID);
    for (const struct mk_elem *e = mk_elem_first(mk_root(s)); e; e = mk_elem_next(e))
        if (mk_elem_is(e, NULL, NS_SID) && !is_ours(c, e))
            mk_put_elem(o, e);
    return mk_seal(o, &clean) == MK_OK ? clean : s;
}

static const struct mk_stanza *with_id(struct mk_ctx *c, const struct mk_stanza *s, const char *id) {
    const struct mk_stanza *marked;
    struct mk_out *o = mk_derive(c, s, NULL);
    mk_open(o, "stanza-id", NS_SID);
    mk_put_jid(o, "by", mk_self(c));
    mk_put(o, "id", id);
    mk_close(o);
    return mk_seal(o, &marked) == MK_OK ? marked : s;
}

/* ---- archiving --------------------------------------------------------------------------------------------------------------- */

static enum mk_flow refuse(struct mk_ctx *c, const struct mk_stanza *s) {
    mk_count(c, M_REFUSED, 1);
    if (mk_refuse(c, s, "resource-constraint", "The message can't be archived now.") != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

/* Archives EV's message and gives its id, "" if it is none for the archive; MK_E_BUSY. */
static int archive(struct mk_ctx *c, struct account *a, const struct mk_ev_stanza *ev, const struct look *l, bool sent,
                   char id[MK_ARCHIVE_ID_SIZE]) {
    const struct mam *me = mk_inst(c);
    const struct mk_stanza *s = ev->stanza;
    const struct mk_jid *peer = sent ? ev->to : mk_stanza_from(s);
    id[0] = '\0';
    if (!is_worth(me, mk_stanza_type(s), l) || !prefs_allow(c, a, peer))
        return MK_OK;
    const struct mk_archive_entry entry = { .stanza = s, .with = peer, .receipt_of = s, .sent = sent };
    const struct place at = archive_next(c, &a->archive);
    id_write(id, at);
    int rc = archive_add(c, &a->archive, at, &entry);
    if (rc == MK_OK && l->retracts && me->retraction)
        retract_later(c, a, l->retracts, s, peer, sent);
    return rc;
}

static bool has_other_sessions(struct mk_ctx *c) {
    struct mk_session *first = mk_session_next(c, NULL);
    return first && mk_session_next(c, first);
}

/* Until wishes are known the configuration's hold. */
static void want_load(struct mk_ctx *c, const struct account *a) {
    if (!a->ready && !mk_timer_runs(c, NULL, TIMER_LOAD))
        mk_timer_start(c, NULL, TIMER_LOAD, 0);
}

/* What is for oneself is archived on the way in, once. */
enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct account *a = account_self(c);
    struct look l = look(ev->stanza);
    char id[MK_ARCHIVE_ID_SIZE];
    a->plain = a->marked = NULL;
    if (l.has & HAS_IDS)
        ev->stanza = without_ours(c, ev->stanza);
    if (mk_jid_same_bare(ev->to, mk_self(c)))
        return MK_NEXT;
    want_load(c, a);
    if (archive(c, a, ev, &l, true, id) != MK_OK)
        return refuse(c, ev->stanza);
    if (id[0] && has_other_sessions(c)) {
        a->plain = ev->stanza;
        ev->stanza = a->marked = with_id(c, ev->stanza, id);
    }
    return MK_NEXT;
}

/* Copies are made: the peer gets none of our ids. */
enum mk_flow on_sent(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct account *a = account_self(c);
    if (a->marked)
        ev->stanza = ev->stanza == a->marked ? a->plain : without_ours(c, ev->stanza);
    a->plain = a->marked = NULL;
    return MK_NEXT;
}

static enum mk_flow archive_received(struct mk_ctx *c, struct account *a, struct mk_ev_stanza *ev,
                                     const struct look *l) {
    char id[MK_ARCHIVE_ID_SIZE];
    if (archive(c, a, ev, l, false, id) != MK_OK)
        return refuse(c, ev->stanza);
    if (id[0])
        ev->stanza = with_id(c, ev->stanza, id);
    return MK_NEXT;
}

/* One that comes again has the id it got the first time, if any. */
enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct account *a = account_self(c);
    a->waiting = false;
    if (ev->again)
        return MK_NEXT;
    struct look l = look(ev->stanza);
    if (l.has & HAS_IDS)
        ev->stanza = without_ours(c, ev->stanza);
    a->waiting = !a->ready && !ev->target_count;
    if (a->waiting)
        return MK_NEXT;
    want_load(c, a);
    return archive_received(c, a, ev, &l);
}

MK_SUSPENDS enum mk_flow on_offline(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct account *a = account_self(c);
    if (!a->waiting)
        return MK_NEXT;
    a->waiting = false;
    int rc = account_load(c, a);
    if (rc == MK_E_CANCELLED || rc == MK_E_TIMEOUT)
        return refuse(c, ev->stanza);
    struct look l = look(ev->stanza);
    return archive_received(c, a, ev, &l);
}

/* What is archived has reached the account, whoever else wants it or not. */
enum mk_flow on_offline_end(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    return mk_stanza_given_id(ev->stanza, mk_self(c)) ? MK_STOP : MK_NEXT;
}
