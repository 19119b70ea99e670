/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0191: the simple way to block somebody.  What is blocked, and what follows from it, is the business of privacy. */
#include <meerkat/auth.h>
#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <meerkat/privacy.h>
#include <meerkat/report.h>
#include <string.h>

#define NS "urn:xmpp:blocking"
#define NS_REPORT "urn:xmpp:reporting:1"

struct blocking {
    const struct mk_privacy *privacy;
    const struct mk_reports *reports;
};

/* Each session has a byte: true once it asked for the block list, from when on it is told of changes. */
enum { SLOT_SESSION };
enum { M_BLOCKED, M_UNBLOCKED };

struct jids {
    const struct mk_jid **items;
    uint32_t count;
};

static bool *asked(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static void put_items(struct mk_out *o, const char *element, const struct mk_jid *const *jids, uint32_t count) {
    mk_open(o, element, NS);
    for (uint32_t i = 0; i < count; i++) {
        mk_open(o, "item", NULL);
        mk_put_jid(o, "jid", jids[i]);
        mk_close(o);
    }
    mk_close(o);
}

static void push(struct mk_ctx *c, const char *element, const struct jids *jids) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    mk_id(o, mk_random_id(c));
    put_items(o, element, jids->items, jids->count);
    if (mk_seal(o, &s) != MK_OK) {
        mk_log(c, MK_ERROR, "sessions are not told who is blocked");
        return;
    }
    for (struct mk_session *x = NULL; (x = mk_session_next(c, x)) != NULL;)
        if (*asked(c, x))
            mk_session_send(c, x, s, mk_session_jid(x));
}

/* ---- iqs ------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int on_list(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct blocking *me = mk_inst(c);
    struct mk_session *session = mk_session_find(c, mk_jid_resource(mk_stanza_from(iq)));
    const struct mk_jid *const *jids;
    uint32_t count;
    int rc = mk_privacy_blocked(c, me->privacy, &jids, &count);
    if (rc != MK_OK)
        return rc;
    if (session)
        *asked(c, session) = true;
    struct mk_out *o = mk_reply(c, iq);
    put_items(o, "blocklist", jids, count);
    return mk_send(o);
}

static int read_items(struct mk_ctx *c, const struct mk_elem *list, struct jids *out) {
    uint32_t count = 0;
    for (const struct mk_elem *e = mk_elem_first(list); e; e = mk_elem_next(e))
        count++;
    *out = (struct jids){ mk_alloc(c, (count + 1) * sizeof *out->items), 0 };
    for (const struct mk_elem *e = mk_elem_first(list); e; e = mk_elem_next(e)) {
        const char *jid = mk_elem_is(e, "item", NS) ? mk_attr(e, "jid") : NULL;
        if (!jid)
            return MK_E_INVALID;
        int rc = mk_jid_parse(c, (struct mk_view){ jid, strlen(jid) }, &out->items[out->count++]);
        if (rc != MK_OK)
            return rc;
    }
    return MK_OK;
}

/* Whoever is reported is blocked already, whatever becomes of the report. */
MK_SUSPENDS static void report(struct mk_ctx *c, const struct mk_elem *block, const struct jids *jids) {
    const struct blocking *me = mk_inst(c);
    uint32_t i = 0;
    for (const struct mk_elem *e = mk_elem_first(block); me->reports && e; e = mk_elem_next(e), i++) {
        const struct mk_elem *r = mk_elem_child(e, "report", NS_REPORT);
        int rc = r ? mk_reports_take(c, me->reports, jids->items[i], r) : MK_OK;
        if (rc != MK_OK)
            mk_log(c, MK_WARNING, "a report about %s was not taken: %s", mk_jid_text(jids->items[i]), mk_strerror(rc));
    }
}

static int answer(struct mk_ctx *c, const struct mk_stanza *iq, const char *element, const struct jids *jids) {
    int rc = mk_send(mk_reply(c, iq));
    push(c, element, jids);
    return rc;
}

MK_SUSPENDS static int on_block(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct blocking *me = mk_inst(c);
    const struct mk_elem *block = mk_child(iq, "block", NS);
    struct jids jids;
    int rc = read_items(c, block, &jids);
    if (rc == MK_OK)
        rc = jids.count ? mk_privacy_block(c, me->privacy, jids.items, jids.count) : MK_E_INVALID;
    if (rc == MK_E_LIMIT)
        return mk_refuse(c, iq, "policy-violation", "Too many are blocked.");
    if (rc != MK_OK)
        return rc;
    mk_count(c, M_BLOCKED, jids.count);
    rc = answer(c, iq, "block", &jids);
    report(c, block, &jids);
    return rc;
}

MK_SUSPENDS static int on_unblock(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct blocking *me = mk_inst(c);
    struct jids jids;
    int rc = read_items(c, mk_child(iq, "unblock", NS), &jids);
    if (rc == MK_OK)
        rc = mk_privacy_unblock(c, me->privacy, jids.items, jids.count);
    if (rc != MK_OK)
        return rc;
    mk_count(c, M_UNBLOCKED, jids.count ? jids.count : 1);
    return answer(c, iq, "unblock", &jids);
}

/* ---- over a restart of the server --------------------------------------------------------------------------------------- */

static enum mk_flow on_saved(struct mk_ctx *c, struct mk_ev_state *ev) {
    if (*asked(c, ev->session))
        mk_leaf(ev->out, "blocklist", NS, NULL);
    return MK_NEXT;
}

static enum mk_flow on_restored(struct mk_ctx *c, struct mk_ev_state *ev) {
    *asked(c, ev->session) = mk_elem_child(ev->saved, "blocklist", NS) != NULL;
    return MK_NEXT;
}

/* ---- commands -------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int check_account(struct mk_ctx *c, struct mk_result *result) {
    int rc = mk_account_exists(c, mk_self(c));
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no account %s.", mk_jid_text(mk_self(c)));
    return rc == MK_OK ? rc : mk_result_error(result, rc, "The account can't be looked up: %s.", mk_strerror(rc));
}

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct blocking *me = mk_inst(c);
    const struct mk_jid *const *jids;
    uint32_t count;
    (void)args;
    int rc = mk_privacy_blocked(c, me->privacy, &jids, &count);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The list can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (uint32_t i = 0; i < count; i++, mk_result_next(result))
        mk_result_text(result, "jid", mk_jid_text(jids[i]));
    return MK_OK;
}

MK_SUSPENDS static int change(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result, bool block) {
    const struct blocking *me = mk_inst(c);
    const struct mk_jid *jid = mk_arg_jid(args, "jid");
    struct jids one = { &jid, 1 };
    int rc = check_account(c, result);
    if (rc != MK_OK)
        return rc;
    rc = block ? mk_privacy_block(c, me->privacy, &jid, 1) : mk_privacy_unblock(c, me->privacy, &jid, 1);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The list was not changed: %s.", mk_strerror(rc));
    push(c, block ? "block" : "unblock", &one);
    return MK_OK;
}

MK_SUSPENDS static int cmd_add(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    return change(c, args, result, true);
}

MK_SUSPENDS static int cmd_remove(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    return change(c, args, result, false);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

/* ---- moving (XEP-0227) -------------------------------------------------------------------------------------------------- */

/* Who is blocked is in the privacy lists, which leave as such; other servers have only this. */
MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *list, int64_t *state,
                                 struct mk_result *report) {
    const struct blocking *me = mk_inst(c);
    struct jids jids = { NULL, 0 };
    (void)state;
    for (const struct mk_elem *e = mk_elem_first(list); e; e = mk_elem_next(e))
        jids.count++;
    jids.items = mk_alloc(c, (jids.count + 1) * sizeof *jids.items);
    jids.count = 0;
    for (const struct mk_elem *e = mk_elem_first(list); e; e = mk_elem_next(e)) {
        const char *text = mk_attr(e, "jid");
        if (text && mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &jids.items[jids.count]) == MK_OK)
            jids.count++;
        else
            mk_result_say(report, "somebody who is blocked has no valid address: \"%.80s\"", text ? text : "");
    }
    int rc = jids.count ? mk_privacy_block(c, me->privacy, jids.items, jids.count) : MK_OK;
    if (rc == MK_E_LIMIT)
        mk_result_say(report, "the block list is too long: it was left out");
    return rc == MK_E_LIMIT ? MK_OK : rc;
}

static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                      struct mk_result *report) {
    (void)c, (void)after, (void)o, (void)more, (void)report;
    return MK_OK;
}

static int move_drop(struct mk_ctx *c) {
    (void)c;
    return MK_OK;
}

static const struct mk_move_kind kinds[] = {
    { "blocklist", NS, 0, 0 },
};
static const struct mk_move_ops move_ops = {
    .size = sizeof move_ops,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_move, 1, 0, &move_ops, "Takes block lists of other servers."),
};

static const struct mk_need_decl needs[] = {
    MK_NEED(struct blocking, privacy, mk_privacy, 1, 0, MK_NEED_HARD, NULL),
    MK_NEED(struct blocking, reports, mk_reports, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_iq_decl iqs[] = {
    { "blocklist", NS, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, MK_OWNER, on_list },
    { "block", NS, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_block },
    { "unblock", NS, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_unblock },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_saved, MK_ORDER_SESSION, MK_INLINE, on_saved),
    MK_ON(session_restored, MK_ORDER_SESSION, MK_INLINE, on_restored),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "asked", MK_ON_SESSION, sizeof(bool), NULL, NULL },
};
static const struct mk_metric_decl metrics[] = {
    [M_BLOCKED] = { "blocked", MK_COUNTER, 0, "JIDs", "JIDs that accounts blocked." },
    [M_UNBLOCKED] = { "unblocked", MK_COUNTER, 0, "JIDs", "JIDs that accounts unblocked; all at once count as one." },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0191", "1.3", "complete", "" },
};
static const struct mk_arg_decl show_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl show_results[] = {
    { "jid", MK_ARG_JID, 0, "Who is blocked." },
};
static const struct mk_arg_decl change_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "jid", MK_ARG_JID, 0, "A user, one resource of a user, or a whole domain." },
};
static const struct mk_cmd_decl commands[] = {
    { "blocking.show", "Show whom an account blocks", "GET /accounts/{account}/blocked", "account", MK_CMD_READ, 0,
      MK_TABLE(show_args), MK_TABLE(show_results), cmd_show },
    { "blocking.add",
      "Block somebody in the name of an account",
      "PUT /accounts/{account}/blocked/{jid}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(change_args),
      { NULL, 0, 0 },
      cmd_add },
    { "blocking.remove",
      "Unblock somebody in the name of an account",
      "DELETE /accounts/{account}/blocked/{jid}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(change_args),
      { NULL, 0, 0 },
      cmd_remove },
};

MK_PLUGIN(blocking, .version = "1.0", .summary = "Blocks whom an account does not want to hear from (XEP-0191)",
          .inst_size = sizeof(struct blocking), .needs = MK_TABLE(needs), .provides = MK_TABLE(provides),
          .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .metrics = MK_TABLE(metrics),
          .disco = MK_TABLE(disco), .commands = MK_TABLE(commands), .xeps = MK_TABLE(xeps));
