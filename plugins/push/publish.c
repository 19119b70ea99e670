/* SPDX-License-Identifier: Apache-2.0 */
/* One notification to one push service, and what its answer means. */
#include "push.h"
#include <string.h>

static void notice_free(struct notice *n) {
    mk_jid_free(n->service);
    mk_free(n->node);
    mk_free(n->options);
    mk_free(n->sender);
    mk_free(n->body);
    mk_free(n);
}

static void put_field(struct mk_out *o, const char *var, const char *value) {
    if (!value)
        return;
    mk_open(o, "field", NULL);
    mk_put(o, "var", var);
    mk_leaf(o, "value", NULL, value);
    mk_close(o);
}

static void put_summary(struct mk_ctx *c, struct mk_out *o, const struct notice *n) {
    mk_open(o, "notification", NS_PUSH);
    mk_open(o, "x", NS_FORM);
    mk_put(o, "type", "submit");
    put_field(o, "FORM_TYPE", "urn:xmpp:push:summary");
    put_field(o, "message-count", mk_printf(c, "%u", n->messages));
    put_field(o, "last-message-sender", n->sender);
    put_field(o, "last-message-body", n->body);
    mk_close(o);
    mk_close(o);
}

/* The form that the client gave, kept inside of a message. */
static void put_options(struct mk_ctx *c, struct mk_out *o, const struct notice *n) {
    const struct mk_stanza *kept;
    if (!n->options || mk_stanza_read(c, (struct mk_view){ n->options, strlen(n->options) }, &kept) != MK_OK)
        return;
    const struct mk_elem *form = mk_child(kept, "x", NS_FORM);
    if (!form)
        return;
    mk_open(o, "publish-options", NULL);
    mk_put_elem(o, form);
    mk_close(o);
}

/* What will not pass by itself. */
static bool is_final(const struct mk_stanza *error) {
    static const char *const passing[] = {
        "remote-server-timeout", "remote-server-not-found", "resource-constraint",
        "internal-server-error", "service-unavailable",     "recipient-unavailable"
    };
    const struct mk_elem *e = mk_child(error, "error", mk_elem_ns(mk_root(error)));
    for (unsigned i = 0; e && i < sizeof passing / sizeof passing[0]; i++)
        if (mk_elem_child(e, passing[i], "urn:ietf:params:xml:ns:xmpp-stanzas"))
            return false;
    return true;
}

/* A service that goes on refusing a device does not know it any more. */
MK_SUSPENDS static int refused(struct mk_ctx *c, const struct notice *n) {
    const struct push *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_jid(n->service), mk_v_text(n->node) };
    int64_t failures;
    int rc = mk_add(c, me->devices, key, COL_FAILURES, 1, &failures);
    if (rc != MK_OK || failures < me->max_failures)
        return rc == MK_E_NOTFOUND ? MK_OK : rc;
    mk_log(c, MK_INFO, "push service %s refuses a device for good: it is forgotten", mk_jid_text(n->service));
    mk_count(c, M_GONE, 1);
    return mk_del(c, me->devices, key);
}

MK_SUSPENDS void publish(struct mk_ctx *c, void *arg) {
    struct notice *n = arg;
    const struct mk_stanza *answer;
    struct mk_out *o = mk_query(c, MK_TYPE_SET, n->service);
    mk_open(o, "pubsub", NS_PUBSUB);
    mk_open(o, "publish", NULL);
    mk_put(o, "node", n->node);
    mk_open(o, "item", NULL);
    put_summary(c, o, n);
    mk_close(o);
    mk_close(o);
    put_options(c, o, n);
    int rc = mk_query_wait(c, o, &answer);
    bool worked = rc == MK_OK && mk_stanza_type(answer) == MK_TYPE_RESULT;
    mk_count(c, worked ? M_PUBLISHED : M_FAILED, 1);
    if (rc == MK_OK && !worked && is_final(answer) && refused(c, n) != MK_OK)
        mk_log(c, MK_WARNING, "that a push service refuses a device was not noted");
    notice_free(n);
}
