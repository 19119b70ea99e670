/* SPDX-License-Identifier: Apache-2.0 */
#include "push.h"
#include <string.h>

static const struct mk_col_decl device_cols[COL_COUNT] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [COL_SERVICE] = { "service", MK_C_JID, MK_COL_SORT, "The push service." },
    [COL_NODE] = { "node", MK_C_TEXT, MK_COL_SORT, "The device's node there." },
    [COL_RESOURCE] = { "resource", MK_C_TEXT, 0, "Which of the account's resources is on that device." },
    [COL_OPTIONS] = { "options", MK_C_TEXT, MK_COL_NULL, "A message with the form that goes with each notification." },
    [COL_ENABLED] = { "enabled", MK_C_TIME, 0, "When the client asked for it last." },
    [COL_FAILURES] = { "failures", MK_C_INT, 0, "How often the service has refused it since." },
};

/* ---- what a client asks for -------------------------------------------------------------------------------------------- */

static int read_service(struct mk_ctx *c, const struct mk_elem *e, const struct mk_jid **service, const char **node) {
    const char *jid = mk_attr(e, "jid");
    *node = mk_attr(e, "node");
    if (!jid || !*jid || mk_jid_parse(c, (struct mk_view){ jid, strlen(jid) }, service) != MK_OK)
        return MK_E_INVALID;
    return *node && strlen(*node) > NODE_MAX ? MK_E_INVALID : MK_OK;
}

static bool is_options(struct mk_ctx *c, const struct mk_elem *form) {
    for (const struct mk_elem *f = mk_elem_first(form); f; f = mk_elem_next(f)) {
        const char *var = mk_attr(f, "var");
        if (mk_elem_is(f, "field", NS_FORM) && var && strcmp(var, "FORM_TYPE") == 0)
            return strcmp(mk_text(c, mk_elem_child(f, "value", NS_FORM)), NS_PUBSUB "#publish-options") == 0;
    }
    return false;
}

/* It is stored, and sent with each notification: secrets are short. */
static int keep_form(struct mk_ctx *c, const struct mk_elem *form, struct mk_value *out) {
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, NULL);
    mk_put_elem(o, form);
    int rc = mk_seal(o, &s);
    if (rc == MK_OK && mk_stanza_xml(c, s).len > FORM_MAX)
        return MK_E_LIMIT;
    if (rc == MK_OK)
        *out = mk_v_view(mk_stanza_xml(c, s));
    return rc;
}

MK_SUSPENDS static int check_room(struct mk_ctx *c, const struct mk_value *key) {
    const struct push *me = mk_inst(c);
    const struct mk_row *row;
    int64_t count;
    int rc = mk_get(c, me->devices, key, &row);
    if (rc != MK_E_NOTFOUND)
        return rc;
    rc = mk_scan_count(c, me->devices, MK_SCAN(.partition = key), &count);
    return rc == MK_OK && count >= me->max_devices ? MK_E_LIMIT : rc;
}

MK_SUSPENDS static int on_enable(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct push *me = mk_inst(c);
    const struct mk_elem *e = mk_child(iq, "enable", NS_PUSH), *form = mk_elem_child(e, "x", NS_FORM);
    const struct mk_jid *service;
    const char *node;
    struct mk_value options = mk_v_null();
    if (read_service(c, e, &service, &node) != MK_OK || !node || !*node || (form && !is_options(c, form)))
        return MK_E_INVALID;
    int rc = form ? keep_form(c, form, &options) : MK_OK;
    const struct mk_value row[COL_COUNT] = { mk_v_jid(mk_self(c)),
                                             mk_v_jid(service),
                                             mk_v_text(node),
                                             mk_v_view(mk_jid_resource(mk_stanza_from(iq))),
                                             options,
                                             mk_v_time(mk_now(c)),
                                             mk_v_int(0) };
    if (rc == MK_OK)
        rc = check_room(c, row);
    if (rc == MK_OK)
        rc = mk_put_now(c, me->devices, MK_UPSERT, row);
    if (rc != MK_OK)
        return rc;
    account_self(c)->none = false;
    return mk_send(mk_reply(c, iq));
}

MK_SUSPENDS static int drop(struct mk_ctx *c, const struct mk_jid *service, const char *node) {
    const struct push *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_jid(service), mk_v_text(node) };
    if (node)
        return mk_del(c, me->devices, key);
    return mk_del_range(c, me->devices,
                        MK_SCAN(.partition = key, .lo = &key[1], .lo_count = 1, .hi = &key[1], .hi_count = 1));
}

MK_SUSPENDS static int on_disable(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_jid *service;
    const char *node;
    int rc = read_service(c, mk_child(iq, "disable", NS_PUSH), &service, &node);
    if (rc == MK_OK)
        rc = drop(c, service, node);
    return rc == MK_OK || rc == MK_E_NOTFOUND ? mk_send(mk_reply(c, iq)) : rc;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct push *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(ev->account);
    if (mk_del_range(c, me->devices, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "devices of a removed account are still stored");
    return MK_NEXT;
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct push *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    (void)args;
    int rc = mk_scan(c, me->devices, MK_SCAN(.partition = &owner), &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "the devices can't be read: %s", mk_strerror(rc));
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        mk_result_next(result);
        mk_result_text(result, "service", mk_jid_text(mk_row_jid(row, COL_SERVICE)));
        mk_result_text(result, "node", mk_row_text(row, COL_NODE));
        mk_result_text(result, "resource", mk_row_text(row, COL_RESOURCE));
        mk_result_text(result, "enabled", mk_time_text(c, mk_row_int(row, COL_ENABLED)));
        mk_result_int(result, "failures", mk_row_int(row, COL_FAILURES));
    }
    return MK_OK;
}

MK_SUSPENDS static int cmd_disable(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    int rc = drop(c, mk_arg_jid(args, "service"), mk_arg_has(args, "node") ? mk_arg_text(args, "node") : NULL);
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "there is no such device");
    return rc == MK_OK ? rc : mk_result_error(result, rc, "it is still stored: %s", mk_strerror(rc));
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct push, sender, "false", MK_OPT_LIVE,
                "Whether notifications name who wrote. Push services are run by others, who learn it."),
    MK_OPT_BOOL(struct push, body, "false", MK_OPT_LIVE, "Whether they have the message's text. The same holds."),
    MK_OPT_INT(struct push, max_devices, "20", 1, 1000, MK_OPT_LIVE, "Most devices of an account."),
    MK_OPT_INT(struct push, max_failures, "3", 1, 1000, MK_OPT_LIVE,
               "How often a service may refuse a device, not for the moment but for good, before it is forgotten."),
    MK_OPT_DURATION(struct push, delay, "300ms", 0, 60000, MK_OPT_LIVE,
                    "How long to wait before a notification: what comes meanwhile goes with it."),
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct push, devices, "push_devices", 1, 0, 0, device_cols, MK_NO_INDEX,
                  "Devices that push services notify."),
};
static const struct mk_iq_decl iqs[] = {
    { "enable", NS_PUSH, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_enable },
    { "disable", NS_PUSH, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_disable },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_offline_message, MK_ORDER_PUSH, MK_INLINE, on_missed),
    MK_ON(session_send, MK_ORDER_PUSH, MK_INLINE, on_session_send),
    MK_ON(session_opened, MK_ORDER_SESSION, MK_INLINE, on_opened),
    MK_ON(session_resumed, MK_ORDER_SESSION, MK_INLINE, on_opened),
    MK_ON(account_removed, MK_ORDER_SESSION, MK_SERIAL, on_account_removed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_ACCOUNT] = { "account", MK_ON_ACCOUNT, sizeof(struct account), NULL, account_fini },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_PUBLISH] = { "publish", MK_ON_ACCOUNT, MK_SERIAL, on_publish_time },
};
static const struct mk_metric_decl metrics[] = {
    [M_PUBLISHED] = { "published", MK_COUNTER, 0, "notifications", "Notifications that push services took." },
    [M_FAILED] = { "failed", MK_COUNTER, 0, "notifications", "Notifications that they did not take." },
    [M_GONE] = { "forgotten", MK_COUNTER, 0, "devices", "Devices forgotten because their service refuses them." },
};
static const struct mk_arg_decl account_args[] = { { "account", MK_ARG_JID, 0, "The account." } };
static const struct mk_arg_decl list_results[] = {
    { "service", MK_ARG_JID, 0, "The push service." },
    { "node", MK_ARG_TEXT, 0, "The device's node there." },
    { "resource", MK_ARG_TEXT, 0, "The account's resource on that device." },
    { "enabled", MK_ARG_TEXT, 0, "When the client asked for it last." },
    { "failures", MK_ARG_INT, 0, "How often the service has refused it since." },
};
static const struct mk_arg_decl disable_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "service", MK_ARG_JID, 0, "The push service." },
    { "node", MK_ARG_TEXT, MK_ARG_OPTIONAL, "The device's node; without it all of the service." },
};
static const struct mk_cmd_decl commands[] = {
    { "push.list", "List the devices of an account that push services notify", "GET /accounts/{account}/push",
      "account", MK_CMD_READ, 0, MK_TABLE(account_args), MK_TABLE(list_results), cmd_list },
    { "push.disable",
      "Notify a device no more",
      "DELETE /accounts/{account}/push/{service}",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(disable_args),
      { NULL, 0, 0 },
      cmd_disable },
};
static const struct mk_disco_decl disco[] = {
    { NS_PUSH, MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0357", "0.4.1", "complete", "" },
};

MK_PLUGIN(push, .version = "1.0", .summary = "Wakes clients by push services (XEP-0357)",
          .inst_size = sizeof(struct push), .options = MK_TABLE(options), .collections = MK_TABLE(collections),
          .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers),
          .metrics = MK_TABLE(metrics), .commands = MK_TABLE(commands), .disco = MK_TABLE(disco),
          .xeps = MK_TABLE(xeps));
