/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0079: rules of a sender for the delivery of a message.  They are checked as it leaves its sender, and followed
 * where it arrives, before it is archived or stored, or where it turns out that it can't arrive.
 */
#include <meerkat/archive.h>
#include <meerkat/offline.h>
#include <meerkat/plugin.h>
#include <meerkat/roster.h>
#include <string.h>

#define NS "http://jabber.org/protocol/amp"
#define NS_ERRORS NS "#errors"

struct amp {
    int64_t max_rules;
    bool strangers;
    const struct mk_roster *roster;
    const struct mk_offline *offline;
    const struct mk_archive *archive;
};
enum { M_NOTICES, M_STOPPED, M_REFUSED };

enum action { NOTIFY, DROP, ERROR, ALERT, ACTIONS };
static const char *const actions[ACTIONS] = { "notify", "drop", "error", "alert" };
enum deliver { NONE, STORED, DIRECT, DELIVERS };
static const char *const delivers[DELIVERS] = { "none", "stored", "direct" };
enum match { ANY, EXACT, OTHER, MATCHES };
static const char *const matches[MATCHES] = { "any", "exact", "other" };
enum condition { DELIVER, MATCH_RESOURCE, CONDITIONS };
static const char *const conditions[CONDITIONS] = { "deliver", "match-resource" };

/* What becomes of a message.  MATCH is ANY if it reaches no resource, and then no rule about resources fits. */
struct outcome {
    enum deliver deliver;
    enum match match;
    bool reached;
};

static int find(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (name && strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* The rules of message S, or NULL.  One with a status tells of rules that were followed. */
static const struct mk_elem *rules_of(const struct mk_stanza *s) {
    const struct mk_elem *amp = mk_stanza_type(s) != MK_TYPE_ERROR ? mk_child(s, "amp", NS) : NULL;
    return amp && !mk_attr(amp, "status") ? amp : NULL;
}

static const struct mk_elem *next_rule(const struct mk_elem *amp, const struct mk_elem *rule) {
    rule = rule ? mk_elem_next(rule) : mk_elem_first(amp);
    while (rule && !mk_elem_is(rule, "rule", NS))
        rule = mk_elem_next(rule);
    return rule;
}

/* ---- checking -------------------------------------------------------------------------------------------------------- */

static bool has_action(const struct mk_elem *rule) {
    return find(actions, ACTIONS, mk_attr(rule, "action")) >= 0;
}

static bool has_condition(const struct mk_elem *rule) {
    return find(conditions, CONDITIONS, mk_attr(rule, "condition")) >= 0;
}

static bool has_value(const struct mk_elem *rule) {
    const char *value = mk_attr(rule, "value");
    if (find(conditions, CONDITIONS, mk_attr(rule, "condition")) == MATCH_RESOURCE)
        return find(matches, MATCHES, value) >= 0;
    /* To another address, or through a gateway: that is never done here. */
    return find(delivers, DELIVERS, value) >= 0 || (value && (!strcmp(value, "forward") || !strcmp(value, "gateway")));
}

/* For refusals that are about the message. */
static bool no_rule(const struct mk_elem *rule) {
    (void)rule;
    return false;
}

/* With those rules in it that are not GOOD. */
static enum mk_flow refuse(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_elem *amp, const char *cond,
                           const char *detail, bool (*good)(const struct mk_elem *rule)) {
    struct mk_out *o = mk_reply_error(c, s, cond);
    mk_open(o, detail, NS);
    for (const struct mk_elem *rule = NULL; (rule = next_rule(amp, rule)) != NULL;)
        if (!good(rule))
            mk_put_elem(o, rule);
    mk_close(o);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    mk_count(c, M_REFUSED, 1);
    return MK_STOP;
}

static bool all(const struct mk_elem *amp, bool (*good)(const struct mk_elem *rule)) {
    for (const struct mk_elem *rule = NULL; (rule = next_rule(amp, rule)) != NULL;)
        if (!good(rule))
            return false;
    return true;
}

static int64_t count_rules(const struct mk_elem *amp) {
    int64_t count = 0;
    for (const struct mk_elem *rule = NULL; (rule = next_rule(amp, rule)) != NULL;)
        count++;
    return count;
}

static enum mk_flow on_send(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct amp *me = mk_inst(c);
    const struct mk_stanza *s = ev->stanza;
    const struct mk_elem *amp = rules_of(s);
    const char *id = mk_stanza_id(s);
    if (!amp)
        return MK_NEXT;
    if (!all(amp, has_action))
        return refuse(c, s, amp, "bad-request", "unsupported-actions", has_action);
    if (!all(amp, has_condition))
        return refuse(c, s, amp, "bad-request", "unsupported-conditions", has_condition);
    if (!all(amp, has_value))
        return refuse(c, s, amp, "not-acceptable", "invalid-rules", has_value);
    int64_t count = count_rules(amp);
    if (!id || !*id || count == 0 || count > me->max_rules)
        return refuse(c, s, amp, "not-acceptable", "invalid-rules", no_rule);
    return MK_NEXT;
}

/* ---- following ------------------------------------------------------------------------------------------------------- */

static bool fits(const struct mk_elem *rule, const struct outcome *out) {
    const char *value = mk_attr(rule, "value");
    if (find(conditions, CONDITIONS, mk_attr(rule, "condition")) == DELIVER)
        return find(delivers, DELIVERS, value) == (int)out->deliver;
    int match = find(matches, MATCHES, value);
    return out->reached && match >= 0 && (match == ANY || match == (int)out->match);
}

static void put_rule(struct mk_out *o, const struct mk_stanza *s, const struct mk_elem *rule, enum action action) {
    mk_open(o, "amp", NS);
    mk_put(o, "status", actions[action]);
    mk_put_jid(o, "from", mk_stanza_from(s));
    mk_put_jid(o, "to", mk_stanza_to(s));
    mk_put_elem(o, rule);
    mk_close(o);
}

static void tell(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_elem *rule, enum action action) {
    struct mk_out *o;
    if (action == ERROR) {
        o = mk_reply_error(c, s, "undefined-condition");
        mk_open(o, "failed-rules", NS_ERRORS);
        mk_put_elem(o, rule);
        mk_close(o);
        mk_close(o); /* the error itself */
    } else {
        o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, mk_stanza_from(s));
        mk_from(o, mk_host(c));
        mk_id(o, mk_stanza_id(s));
    }
    put_rule(o, s, rule, action);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_DEBUG, "a sender was not told of a rule");
    mk_count(c, M_NOTICES, 1);
}

/* In their order; a notice lets the next ones have their say, all else is the end of the message. */
static enum mk_flow follow(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_elem *amp,
                           const struct outcome *out) {
    for (const struct mk_elem *rule = NULL; (rule = next_rule(amp, rule)) != NULL;) {
        int action = find(actions, ACTIONS, mk_attr(rule, "action"));
        if (action < 0 || !fits(rule, out))
            continue;
        if (action != DROP)
            tell(c, s, rule, (enum action)action);
        if (action == NOTIFY)
            continue;
        mk_count(c, M_STOPPED, 1);
        return MK_STOP;
    }
    return MK_NEXT;
}

static struct outcome reached(const struct mk_ev_stanza *ev) {
    struct mk_view wanted = mk_jid_resource(ev->to);
    for (uint32_t i = 0; i < ev->target_count - ev->skipped; i++) {
        struct mk_view is = mk_jid_resource(mk_session_jid(ev->targets[i]));
        if (wanted.len == is.len && memcmp(wanted.s, is.s, is.len) == 0)
            return (struct outcome){ DIRECT, EXACT, true };
    }
    return (struct outcome){ DIRECT, OTHER, true };
}

MK_SUSPENDS static struct outcome missed(struct mk_ctx *c, const struct mk_ev_stanza *ev) {
    const struct amp *me = mk_inst(c);
    bool kept = (me->offline && mk_offline_keeps(c, me->offline, ev->stanza)) ||
                (me->archive && mk_archive_keeps(c, me->archive, ev->stanza, mk_stanza_from(ev->stanza)));
    return (struct outcome){ kept ? STORED : NONE, ANY, false };
}

/* Rules tell whether the account is there, which is for those to know who see its presence. */
MK_SUSPENDS static bool may_know(struct mk_ctx *c, const struct mk_jid *from) {
    const struct amp *me = mk_inst(c);
    const struct mk_roster_item *item;
    if (me->strangers || mk_jid_same_bare(from, mk_self(c)))
        return true;
    return me->roster && mk_roster_find(c, me->roster, mk_jid_to_bare(c, from), &item) == MK_OK &&
           item->state & MK_SUB_FROM;
}

MK_SUSPENDS static enum mk_flow on_receive(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_elem *amp = ev->again ? NULL : rules_of(ev->stanza);
    if (!amp || !mk_stanza_from(ev->stanza))
        return MK_NEXT;
    if (!may_know(c, mk_stanza_from(ev->stanza)))
        return refuse(c, ev->stanza, amp, "not-acceptable", "invalid-rules", no_rule);
    const struct outcome out = ev->target_count > ev->skipped ? reached(ev) : missed(c, ev);
    return follow(c, ev->stanza, amp, &out);
}

/* There is no such account, or domain. */
static enum mk_flow on_undeliverable(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct mk_elem *amp = rules_of(ev->stanza);
    return amp ? follow(c, ev->stanza, amp, &(struct outcome){ NONE, ANY, false }) : MK_NEXT;
}

/* ---- announcing ------------------------------------------------------------------------------------------------------ */

static void put_feature(struct mk_ctx *c, struct mk_out *o, const char *what, const char *value) {
    mk_open(o, "feature", NULL);
    mk_put(o, "var", what ? mk_printf(c, NS "?%s=%s", what, value) : NS);
    mk_close(o);
}

static enum mk_flow on_disco(struct mk_ctx *c, struct mk_ev_disco *ev) {
    if (ev->for_account || strcmp(ev->node, NS) != 0)
        return MK_NEXT;
    ev->known = true;
    mk_open(ev->reply, "identity", NULL);
    mk_put(ev->reply, "category", "server");
    mk_put(ev->reply, "type", "im");
    mk_close(ev->reply);
    put_feature(c, ev->reply, NULL, NULL);
    for (int i = 0; i < ACTIONS; i++)
        put_feature(c, ev->reply, "action", actions[i]);
    for (int i = 0; i < CONDITIONS; i++)
        put_feature(c, ev->reply, "condition", conditions[i]);
    return MK_NEXT;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------ */

static const struct mk_opt_decl options[] = {
    MK_OPT_INT(struct amp, max_rules, "20", 1, 1000, MK_OPT_LIVE, "Most rules of a message."),
    MK_OPT_BOOL(struct amp, strangers, "false", MK_OPT_LIVE,
                "Follow rules of those who may not see the account's presence. Their outcome tells them whether it is "
                "there; without this option such messages are refused, as XEP-0079 recommends."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct amp, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
    MK_NEED(struct amp, offline, mk_offline, 1, 0, MK_NEED_SOFT, NULL),
    MK_NEED(struct amp, archive, mk_archive, 1, 1, MK_NEED_SOFT, NULL),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, MK_ORDER_RULES, MK_INLINE, on_send),
    MK_ON(user_receive_message, MK_ORDER_RULES, MK_SERIAL, on_receive),
    MK_ON(message_undeliverable, MK_ORDER_RULES, MK_INLINE, on_undeliverable),
    MK_ON(disco_info, MK_ORDER_RULES, MK_INLINE, on_disco),
};
static const struct mk_feature_decl features[] = {
    { "amp", "http://jabber.org/features/amp", MK_WHEN_AUTHED, 0, NULL },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_NOTICES] = { "notices", MK_COUNTER, 0, "messages", "Senders who were told that a rule fitted." },
    [M_STOPPED] = { "stopped_messages", MK_COUNTER, 0, "messages", "Messages that a rule kept from delivery." },
    [M_REFUSED] = { "refused_messages", MK_COUNTER, 0, "messages", "Messages with rules that can't be followed." },
};
static const struct mk_xep_decl xeps[] = {
    { "0079", "1.2", "partial", "Conditions deliver and match-resource, all actions; not expire-at." },
};

MK_PLUGIN(amp, .version = "1.0", .summary = "Rules of senders for the delivery of messages (XEP-0079)",
          .inst_size = sizeof(struct amp), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .hooks = MK_TABLE(hooks), .features = MK_TABLE(features), .disco = MK_TABLE(disco),
          .metrics = MK_TABLE(metrics), .xeps = MK_TABLE(xeps));
