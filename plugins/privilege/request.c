/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of components: for an account's roster, and in its name. */
#include "privilege.h"
#include <string.h>

int refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text) {
    mk_count(c, M_REFUSED, 1);
    return mk_refuse(c, s, cond, text);
}

static enum mk_flow forbid(struct mk_ctx *c, const struct mk_stanza *s, const char *why) {
    if (refuse(c, s, "forbidden", why) != MK_OK)
        mk_log(c, MK_DEBUG, "a component was not told that it may not");
    return MK_STOP;
}

/* ---- in the name of an account --------------------------------------------------------------------------------------- */

struct errand {
    const struct mk_stanza *iq;
    struct mk_receipt *receipt;
};

static const struct mk_elem *wrapped(const struct mk_stanza *iq) {
    return mk_elem_child(mk_child(iq, "privileged_iq", NS), "iq", "jabber:client");
}

/* What XEP-0356 wants of it; why it is refused, or NULL. */
static const char *check(struct mk_ctx *c, const struct mk_stanza *iq, const char *grant) {
    const struct mk_elem *inner = wrapped(iq), *payload = inner ? mk_elem_first(inner) : NULL;
    const char *type = inner ? mk_attr(inner, "type") : NULL, *from = inner ? mk_attr(inner, "from") : NULL;
    const struct mk_jid *jid;
    if (!inner || !payload || mk_elem_next(payload) || !mk_attr(inner, "id"))
        return "There is no request of a client in it.";
    if (!type || strcmp(type, mk_stanza_type(iq) == MK_TYPE_GET ? "get" : "set") != 0)
        return "The types of the two requests differ.";
    if (from &&
        (mk_jid_parse(c, (struct mk_view){ from, strlen(from) }, &jid) != MK_OK || !mk_jid_same(jid, mk_self(c))))
        return "The request is from somebody else.";
    if (!grant_allows(grant, "iq", mk_stanza_type(iq), mk_elem_ns(payload)))
        return "You may not send such requests.";
    return NULL;
}

MK_SUSPENDS static int ask(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_stanza **answer) {
    const struct mk_elem *inner = wrapped(iq);
    const char *text = mk_attr(inner, "to");
    const struct mk_jid *to = mk_self(c);
    int rc = text ? mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &to) : MK_OK;
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_query(c, mk_stanza_type(iq), to);
    mk_from(o, mk_self(c));
    mk_put_elem(o, mk_elem_first(inner));
    return mk_query_wait(c, o, answer);
}

static int reply(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_stanza *answer) {
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "privilege", NS);
    mk_open(o, "forwarded", NS_FORWARD);
    mk_open(o, "iq", "jabber:client");
    mk_put(o, "type", mk_stanza_type(answer) == MK_TYPE_RESULT ? "result" : "error");
    mk_put_jid(o, "from", mk_stanza_from(answer));
    mk_put_jid(o, "to", mk_self(c));
    mk_put(o, "id", mk_attr(wrapped(iq), "id"));
    for (const struct mk_elem *e = mk_elem_first(mk_root(answer)); e; e = mk_elem_next(e))
        mk_put_elem(o, e);
    return mk_send(o);
}

MK_SUSPENDS static void run(struct mk_ctx *c, void *arg) {
    struct errand *e = arg;
    const struct mk_stanza *answer;
    int rc = ask(c, e->iq, &answer);
    if (rc == MK_OK)
        rc = reply(c, e->iq, answer);
    else
        rc = mk_refuse(c, e->iq, rc == MK_E_JID ? "jid-malformed" : "remote-server-timeout", NULL);
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "a component's request was not answered: %s", mk_strerror(rc));
    mk_receipt_pay(e->receipt);
    mk_release(e->iq);
    mk_free(e);
}

static enum mk_flow privileged(struct mk_ctx *c, const struct mk_stanza *iq, const char *grant) {
    const char *why = check(c, iq, grant);
    if (why)
        return forbid(c, iq, why);
    struct errand *e = mk_malloc(sizeof *e);
    *e = (struct errand){ mk_keep(iq), mk_receipt_hold(iq) };
    mk_count(c, M_REQUESTS, 1);
    mk_aside(c, run, e);
    return MK_STOP;
}

/* ---- hooks ------------------------------------------------------------------------------------------------------------ */

enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_request *ev) {
    const char *grant = mk_stanza_from(ev->iq) ? grant_of(c, mk_stanza_from(ev->iq)) : NULL;
    if (!grant)
        return MK_NEXT;
    if (mk_child(ev->iq, "privileged_iq", NS))
        return ev->for_account ? privileged(c, ev->iq, grant) : forbid(c, ev->iq, "It is to no account.");
    if (!ev->for_account || !mk_child(ev->iq, "query", NS_ROSTER))
        return MK_NEXT;
    if (!grant_allows(grant, "roster", mk_stanza_type(ev->iq), NULL))
        return forbid(c, ev->iq, "You may not do that with rosters.");
    mk_count(c, M_REQUESTS, 1);
    ev->as_owner = true;
    return MK_NEXT;
}

enum mk_flow on_pushed(struct mk_ctx *c, struct mk_ev_push *ev) {
    const struct privilege *me = mk_inst(c);
    for (uint32_t i = 0; i < me->grants.count; i++) {
        const struct mk_jid *to = grant_pushes(me->grants.items[i]) ? grant_address(c, me->grants.items[i]) : NULL;
        if (to)
            mk_route(c, ev->push, to);
    }
    return MK_NEXT;
}
