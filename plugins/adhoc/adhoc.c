/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0050: the operator's commands, for administrators, from within a client. */
#include "sessions.h"
#include <meerkat/accounts.h>
#include <meerkat/adhoc.h>
#include <meerkat/plugin.h>
#include <string.h>

#define NS "http://jabber.org/protocol/commands"

struct adhoc {
    bool report_commands_node, server_commands;
    int64_t timeout;
    struct mk_svcs others;              /* who provides mk_adhoc */
    const struct mk_accounts *accounts; /* NULL: only option `admins` says who may */
};

/* Most values one form may hold. */
enum { VALUES_MAX = 256 };

static const struct mk_arg_decl *arg_at(const struct mk_table *t, uint32_t i) {
    return (const struct mk_arg_decl *)((const char *)t->items + (size_t)i * t->stride);
}

static const struct mk_arg_decl *arg_named(const struct mk_table *t, const char *name) {
    for (uint32_t i = 0; name && i < t->count; i++)
        if (strcmp(arg_at(t, i)->name, name) == 0)
            return arg_at(t, i);
    return NULL;
}

/* ---- commands of other plugins ------------------------------------------------------------------------------------------- */

/* One of them, with who provides it. */
struct other {
    const struct mk_adhoc *provider;
    const struct mk_adhoc_command *command;
};

/* The I-th of all, as far as WHO may use them; false past the last. */
MK_SUSPENDS static bool other_at(struct mk_ctx *c, const struct mk_jid *who, uint32_t i, struct other *out) {
    const struct adhoc *me = mk_inst(c);
    for (uint32_t p = 0; p < me->others.count; p++) {
        out->provider = (const struct mk_adhoc *)me->others.items[p];
        for (uint32_t k = 0; mk_adhoc_at(c, out->provider, k, &out->command) == MK_OK; k++)
            if (mk_adhoc_may(c, out->provider, who, out->command) == MK_OK && i-- == 0)
                return true;
    }
    return false;
}

/* MK_E_NOTFOUND: there is none with this node; MK_E_DENIED. */
MK_SUSPENDS static int other_named(struct mk_ctx *c, const struct mk_jid *who, const char *node, struct other *out) {
    const struct adhoc *me = mk_inst(c);
    for (uint32_t p = 0; p < me->others.count; p++) {
        out->provider = (const struct mk_adhoc *)me->others.items[p];
        for (uint32_t k = 0; mk_adhoc_at(c, out->provider, k, &out->command) == MK_OK; k++)
            if (strcmp(out->command->node, node) == 0)
                return mk_adhoc_may(c, out->provider, who, out->command);
    }
    return MK_E_NOTFOUND;
}

/* ---- which commands ------------------------------------------------------------------------------------------------- */

/* A command that neither an account nor a host is named for concerns the whole server. */
static bool is_offered(const struct adhoc *me, const struct mk_cmd_decl *row) {
    return me->server_commands || arg_named(&row->args, row->at) || arg_named(&row->args, "host");
}

static const struct mk_cmd_decl *command_named(struct mk_ctx *c, const char *node) {
    const struct mk_cmd_decl *row;
    for (unsigned i = 0; (row = mk_command_at(c, i)) != NULL; i++)
        if (strcmp(row->name, node) == 0 && is_offered(mk_inst(c), row))
            return row;
    return NULL;
}

MK_SUSPENDS static bool may_run(struct mk_ctx *c, const struct mk_jid *who, const struct mk_cmd_decl *row,
                                const struct mk_jid *target) {
    const struct adhoc *me = mk_inst(c);
    return mk_accounts_allow(c, me->accounts, who, row, target);
}

MK_SUSPENDS static bool has_role(struct mk_ctx *c, const struct mk_jid *who) {
    const struct adhoc *me = mk_inst(c);
    return mk_accounts_role_of(c, me->accounts, who) != MK_ROLE_USER;
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static int refuse(struct mk_ctx *c, const struct mk_stanza *iq, const char *cond, const char *specific) {
    struct mk_out *o = mk_reply_error(c, iq, cond);
    mk_leaf(o, specific, NS, NULL);
    return mk_send(o);
}

/* Begins the answer; <command/> stays open. */
static struct mk_out *answer(struct mk_ctx *c, const struct mk_stanza *iq, const char *node, const char *id,
                             const char *status) {
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "command", NS);
    mk_put(o, "node", node);
    mk_put(o, "sessionid", id);
    mk_put(o, "status", status);
    return o;
}

static void put_note(struct mk_out *o, const char *type, const char *text) {
    if (!text || !*text)
        return;
    mk_open(o, "note", NULL);
    mk_put(o, "type", type);
    mk_put_text(o, text);
    mk_close(o);
}

static void put_form_field(struct mk_out *o, const struct mk_arg_decl *arg) {
    static const char *const types[] = {
        [MK_ARG_TEXT] = "text-single", [MK_ARG_JID] = "jid-single",      [MK_ARG_INT] = "text-single",
        [MK_ARG_BOOL] = "boolean",     [MK_ARG_SECRET] = "text-private", [MK_ARG_TEXTS] = "text-multi",
    };
    mk_open(o, "field", NULL);
    mk_put(o, "var", arg->name);
    mk_put(o, "type", arg->type < sizeof types / sizeof types[0] ? types[arg->type] : "text-single");
    mk_put(o, "label", arg->doc);
    if (!(arg->flags & MK_ARG_OPTIONAL))
        mk_leaf(o, "required", NULL, NULL);
    mk_close(o);
}

/* The same with a form that is still open. */
static struct mk_out *begin_form(struct mk_ctx *c, const struct mk_stanza *iq, const char *node, const char *id,
                                 const char *title) {
    struct mk_out *o = answer(c, iq, node, id, "executing");
    mk_open(o, "actions", NULL);
    mk_put(o, "execute", "complete");
    mk_leaf(o, "complete", NULL, NULL);
    mk_close(o);
    mk_open(o, "x", MK_NS_FORM);
    mk_put(o, "type", "form");
    mk_leaf(o, "title", NULL, title);
    return o;
}

static int answer_form(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_cmd_decl *row, const char *id) {
    struct mk_out *o = begin_form(c, iq, row->name, id, row->summary);
    for (uint32_t i = 0; i < row->args.count; i++)
        put_form_field(o, arg_at(&row->args, i));
    return mk_send(o);
}

static void put_row(struct mk_ctx *c, struct mk_out *o, const struct mk_table *fields, const struct mk_result *result,
                    unsigned row) {
    for (uint32_t i = 0; i < fields->count; i++) {
        const char *value = mk_result_get(c, result, row, arg_at(fields, i)->name);
        if (!value)
            continue;
        mk_open(o, "field", NULL);
        mk_put(o, "var", arg_at(fields, i)->name);
        mk_put(o, "label", arg_at(fields, i)->doc);
        mk_leaf(o, "value", NULL, value);
        mk_close(o);
    }
}

/* One row as fields, several as a table (XEP-0004, 3.4). */
static void put_result(struct mk_ctx *c, struct mk_out *o, const struct mk_cmd_decl *row,
                       const struct mk_result *result) {
    unsigned rows = mk_result_rows(result);
    if (!rows || !row->results.count)
        return;
    mk_open(o, "x", MK_NS_FORM);
    mk_put(o, "type", "result");
    mk_leaf(o, "title", NULL, row->summary);
    if (rows == 1) {
        put_row(c, o, &row->results, result, 0);
        mk_close(o);
        return;
    }
    mk_open(o, "reported", NULL);
    for (uint32_t i = 0; i < row->results.count; i++) {
        mk_open(o, "field", NULL);
        mk_put(o, "var", arg_at(&row->results, i)->name);
        mk_put(o, "label", arg_at(&row->results, i)->doc);
        mk_close(o);
    }
    mk_close(o);
    for (unsigned r = 0; r < rows; r++) {
        mk_open(o, "item", NULL);
        put_row(c, o, &row->results, result, r);
        mk_close(o);
    }
    mk_close(o);
}

/* ---- the form that comes back ------------------------------------------------------------------------------------------ */

struct values {
    const char *names[VALUES_MAX], *values[VALUES_MAX];
    uint32_t count;
};

static bool add_value(struct values *v, const char *name, const char *value) {
    if (v->count == VALUES_MAX)
        return false;
    v->names[v->count] = name;
    v->values[v->count++] = value;
    return true;
}

static const char *bool_text(const char *value) {
    if (strcmp(value, "1") == 0)
        return "true";
    return strcmp(value, "0") == 0 ? "false" : value;
}

/* The values of one field: each by itself for a list, else as lines of one text.  Empty ones are as good as none. */
static bool read_field(struct mk_ctx *c, struct values *v, const struct mk_arg_decl *arg, const struct mk_elem *field) {
    const char *text = NULL;
    for (const struct mk_elem *e = mk_elem_first(field); e; e = mk_elem_next(e)) {
        if (!mk_elem_is(e, "value", MK_NS_FORM))
            continue;
        const char *value = mk_text(c, e);
        if (arg->type != MK_ARG_TEXTS)
            text = text ? mk_printf(c, "%s\n%s", text, value) : value;
        else if (!add_value(v, arg->name, value))
            return false;
    }
    if (!text || !*text)
        return true;
    return add_value(v, arg->name, arg->type == MK_ARG_BOOL ? bool_text(text) : text);
}

static bool has_value(const struct values *v, const char *name) {
    for (uint32_t i = 0; i < v->count; i++)
        if (strcmp(v->names[i], name) == 0)
            return true;
    return false;
}

/* False if there is no form, or it lacks something required. */
static bool read_form(struct mk_ctx *c, const struct mk_cmd_decl *row, const struct mk_elem *command,
                      struct values *v) {
    const struct mk_elem *x = mk_elem_child(command, "x", MK_NS_FORM);
    if (!x)
        return false;
    for (const struct mk_elem *e = mk_elem_first(x); e; e = mk_elem_next(e)) {
        const struct mk_arg_decl *arg =
            mk_elem_is(e, "field", MK_NS_FORM) ? arg_named(&row->args, mk_attr(e, "var")) : NULL;
        if (arg && !has_value(v, arg->name) && !read_field(c, v, arg, e))
            return false;
    }
    for (uint32_t i = 0; i < row->args.count; i++)
        if (!(arg_at(&row->args, i)->flags & MK_ARG_OPTIONAL) && !has_value(v, arg_at(&row->args, i)->name))
            return false;
    return true;
}

/* An administrator of one host has no say in another: what the command works on is of this one.  *TARGET is the account
 * that it is about, NULL if none. */
static bool stays_here(struct mk_ctx *c, const struct mk_cmd_decl *row, struct values *v,
                       const struct mk_jid **target) {
    const char *host = mk_jid_text(mk_host(c));
    *target = NULL;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct mk_jid *jid;
        if (strcmp(v->names[i], "host") != 0 && strcmp(v->names[i], row->at) != 0)
            continue;
        if (mk_jid_parse(c, (struct mk_view){ v->values[i], strlen(v->values[i]) }, &jid) != MK_OK)
            return false;
        struct mk_view domain = mk_jid_domain(jid);
        if (domain.len != strlen(host) || memcmp(domain.s, host, domain.len) != 0)
            return false;
        if (strcmp(v->names[i], row->at) == 0)
            *target = jid;
    }
    if (arg_named(&row->args, "host") && !has_value(v, "host"))
        return add_value(v, "host", host);
    return true;
}

/* ---- execution ----------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int run(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_cmd_decl *row, const char *id,
                           struct values *v) {
    const struct mk_result *result = NULL;
    const char *who = mk_jid_text(mk_stanza_from(iq));
    const struct mk_jid *target;
    if (!stays_here(c, row, v, &target) || !may_run(c, mk_stanza_from(iq), row, target))
        return MK_E_DENIED;
    int rc = mk_command_run(c, row->name, v->count, v->names, v->values, &result);
    if (row->flags & MK_CMD_WRITE)
        mk_log(c, MK_NOTICE, "%s ran %s: %s", who, row->name, rc == MK_OK ? "done" : mk_strerror(rc));
    struct mk_out *o = answer(c, iq, row->name, id, "completed");
    if (rc != MK_OK) {
        const char *why = result ? mk_result_why(result) : NULL;
        put_note(o, "error", why ? why : mk_strerror(rc));
        return mk_send(o);
    }
    put_note(o, "info", mk_result_lines(result));
    put_result(c, o, row, result);
    return mk_send(o);
}

MK_SUSPENDS static int begin(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_cmd_decl *row) {
    const char *id = mk_random_id(c);
    if (!row->args.count)
        return run(c, iq, row, id, mk_alloc(c, sizeof(struct values)));
    sessions_begin(mk_worker(c), mk_stanza_from(iq), row->name, id, mk_now_ms(c));
    return answer_form(c, iq, row, id);
}

enum action { EXECUTE, COMPLETE, CANCEL, NEXT, PREV, UNKNOWN };

static enum action action_of(const struct mk_elem *command) {
    static const char *const names[] = { "execute", "complete", "cancel", "next", "prev" };
    const char *text = mk_attr(command, "action");
    unsigned i = EXECUTE;
    while (text && i < UNKNOWN && strcmp(names[i], text) != 0)
        i++;
    return i;
}

/* The session that the iq goes on with, or NULL and it was answered. */
static struct command_session *session_of(struct mk_ctx *c, const struct mk_stanza *iq, const char *node,
                                          enum action action, int *rc) {
    const struct adhoc *me = mk_inst(c);
    const char *id = mk_attr(mk_child(iq, "command", NS), "sessionid");
    struct command_session *s = sessions_find(mk_worker(c), mk_stanza_from(iq), id, mk_now_ms(c) - me->timeout);
    if (s && strcmp(s->node, node) == 0 && action != NEXT && action != PREV && action != CANCEL)
        return s;
    if (!s)
        *rc = refuse(c, iq, "not-allowed", "session-expired");
    else if (strcmp(s->node, node) != 0)
        *rc = refuse(c, iq, "bad-request", "bad-sessionid");
    else if (action != CANCEL)
        *rc = refuse(c, iq, "bad-request", "bad-action");
    else {
        sessions_end(s);
        *rc = mk_send(answer(c, iq, node, id, "canceled"));
    }
    return NULL;
}

/* There is one stage: the form comes back and the command is run. */
MK_SUSPENDS static int go_on(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_cmd_decl *row,
                             const struct mk_elem *command, enum action action) {
    const char *id = mk_attr(command, "sessionid");
    int rc;
    struct command_session *s = session_of(c, iq, row->name, action, &rc);
    if (!s)
        return rc;
    struct values *v = mk_alloc(c, sizeof *v);
    if (!read_form(c, row, command, v))
        return refuse(c, iq, "bad-request", "bad-payload");
    sessions_end(s); /* before the command runs: a form sent twice runs it once */
    return run(c, iq, row, id, v);
}

/* ---- the same for the others ------------------------------------------------------------------------------------------ */

MK_SUSPENDS static int run_other(struct mk_ctx *c, const struct mk_stanza *iq, const struct other *other,
                                 const char *id, const struct mk_elem *form) {
    struct mk_adhoc_request r = { .command = other->command, .who = mk_stanza_from(iq), .form = form };
    r.out = answer(c, iq, other->command->node, id, "completed");
    int rc = mk_adhoc_run(c, other->provider, &r);
    if (rc == MK_E_INVALID && form) /* it may be sent again */
        sessions_begin(mk_worker(c), r.who, other->command->node, id, mk_now_ms(c));
    if (rc == MK_E_INVALID)
        return refuse(c, iq, "bad-request", "bad-payload");
    if (rc != MK_OK)
        return rc;
    put_note(r.out, r.failed ? "error" : "info", r.note);
    return mk_send(r.out);
}

MK_SUSPENDS static int begin_other(struct mk_ctx *c, const struct mk_stanza *iq, const struct other *other) {
    struct mk_adhoc_request r = { .command = other->command, .who = mk_stanza_from(iq) };
    const char *id = mk_random_id(c), *node = other->command->node;
    if (!(other->command->flags & MK_ADHOC_FORM))
        return run_other(c, iq, other, id, NULL);
    r.out = begin_form(c, iq, node, id, other->command->name);
    int rc = mk_adhoc_form(c, other->provider, &r);
    if (rc != MK_OK)
        return rc;
    sessions_begin(mk_worker(c), r.who, node, id, mk_now_ms(c));
    return mk_send(r.out);
}

MK_SUSPENDS static int go_on_other(struct mk_ctx *c, const struct mk_stanza *iq, const struct other *other,
                                   const struct mk_elem *command, enum action action) {
    const struct mk_elem *form = mk_elem_child(command, "x", MK_NS_FORM);
    const char *id = mk_attr(command, "sessionid");
    int rc;
    struct command_session *s = session_of(c, iq, other->command->node, action, &rc);
    if (!s)
        return rc;
    if (!form)
        return refuse(c, iq, "bad-request", "bad-payload");
    sessions_end(s); /* before it runs: a form sent twice runs it once */
    return run_other(c, iq, other, id, form);
}

MK_SUSPENDS static int on_command(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *command = mk_child(iq, "command", NS);
    const struct mk_jid *from = mk_stanza_from(iq);
    const char *node = mk_attr(command, "node");
    bool goes_on = mk_attr(command, "sessionid");
    enum action action = action_of(command);
    struct other other;
    int found = node ? other_named(c, from, node, &other) : MK_E_NOTFOUND;
    if (found != MK_OK && (found != MK_E_NOTFOUND || !has_role(c, from)))
        return MK_E_DENIED;
    const struct mk_cmd_decl *row = node && found != MK_OK ? command_named(c, node) : NULL;
    if (found != MK_OK && !row)
        return node ? MK_E_NOTFOUND : MK_E_INVALID;
    if (row && !may_run(c, from, row, NULL))
        return MK_E_DENIED;
    if (action == UNKNOWN)
        return refuse(c, iq, "bad-request", "malformed-action");
    if (!goes_on && action != EXECUTE)
        return refuse(c, iq, "bad-request", "bad-action");
    if (row)
        return goes_on ? go_on(c, iq, row, command, action) : begin(c, iq, row);
    return goes_on ? go_on_other(c, iq, &other, command, action) : begin_other(c, iq, &other);
}

static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    sessions_clear(worker);
}

/* ---- discovery ------------------------------------------------------------------------------------------------------------ */

/* Who may run nothing does not learn that there is anything. */
MK_SUSPENDS static bool may_see(struct mk_ctx *c, const struct mk_ev_disco *ev) {
    struct other first;
    if (ev->for_account || !ev->iq)
        return false;
    return has_role(c, mk_stanza_from(ev->iq)) || other_at(c, mk_stanza_from(ev->iq), 0, &first);
}

static void put_item(struct mk_ctx *c, struct mk_out *o, const char *node, const char *name) {
    mk_open(o, "item", NULL);
    mk_put_jid(o, "jid", mk_host(c));
    mk_put(o, "node", node);
    mk_put(o, "name", name);
    mk_close(o);
}

MK_SUSPENDS static enum mk_flow on_disco_items(struct mk_ctx *c, struct mk_ev_disco *ev) {
    const struct adhoc *me = mk_inst(c);
    const struct mk_cmd_decl *row;
    struct other other;
    if ((ev->node[0] && strcmp(ev->node, NS) != 0) || !may_see(c, ev))
        return MK_NEXT;
    if (!ev->node[0] && me->report_commands_node)
        put_item(c, ev->reply, NS, "Commands");
    if (strcmp(ev->node, NS) != 0)
        return MK_NEXT;
    ev->known = true;
    for (unsigned i = 0; (row = mk_command_at(c, i)) != NULL; i++)
        if (is_offered(me, row) && may_run(c, mk_stanza_from(ev->iq), row, NULL))
            put_item(c, ev->reply, row->name, row->summary);
    for (uint32_t i = 0; other_at(c, mk_stanza_from(ev->iq), i, &other); i++)
        put_item(c, ev->reply, other.command->node, other.command->name);
    return MK_NEXT;
}

static void put_info(struct mk_out *o, const char *type, const char *name, const char *const *vars) {
    mk_open(o, "identity", NULL);
    mk_put(o, "category", "automation");
    mk_put(o, "type", type);
    mk_put(o, "name", name);
    mk_close(o);
    for (; *vars; vars++) {
        mk_open(o, "feature", NULL);
        mk_put(o, "var", *vars);
        mk_close(o);
    }
}

MK_SUSPENDS static enum mk_flow on_disco_info(struct mk_ctx *c, struct mk_ev_disco *ev) {
    static const char *const list[] = { NS, NULL }, *const one[] = { NS, MK_NS_FORM, NULL };
    struct other other;
    if (!ev->node[0] || !may_see(c, ev))
        return MK_NEXT;
    bool is_list = strcmp(ev->node, NS) == 0,
         is_other = other_named(c, mk_stanza_from(ev->iq), ev->node, &other) == MK_OK;
    const struct mk_cmd_decl *row = is_list || is_other ? NULL : command_named(c, ev->node);
    if (!is_list && !is_other && (!row || !may_run(c, mk_stanza_from(ev->iq), row, NULL)))
        return MK_NEXT;
    ev->known = true;
    if (is_list)
        put_info(ev->reply, "command-list", "Commands", list);
    else
        put_info(ev->reply, "command-node", is_other ? other.command->name : row->summary, one);
    return MK_NEXT;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct adhoc, report_commands_node, "false", MK_OPT_LIVE,
                "Whether the items of the host show administrators where the commands are."),
    MK_OPT_BOOL(struct adhoc, server_commands, "true", MK_OPT_LIVE,
                "Whether administrators of a host may run commands that concern the whole server."),
    MK_OPT_DURATION(struct adhoc, timeout, "10m", 1000, 86400000, MK_OPT_LIVE,
                    "How long a form may be filled in before it has to be asked for again."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct adhoc, accounts, mk_accounts, 1, 0, MK_NEED_SOFT, NULL),
    { "mk_adhoc", 1, 0, offsetof(struct adhoc, others), MK_NEED_MANY, NULL },
};
static const struct mk_iq_decl iqs[] = {
    { "command", NS, MK_TO_SERVER, MK_SET, MK_ASIDE, 0, on_command },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(disco_items, 50, MK_SERIAL, on_disco_items),
    MK_ON(disco_info, 50, MK_SERIAL, on_disco_info),
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0050", "1.3.0", "complete", "All commands have one stage." },
    { "0004", "2.13.2", "partial", "Forms of commands and their results." },
};

MK_PLUGIN(adhoc, .version = "1.0", .summary = "The operator's commands from within a client (XEP-0050)",
          .inst_size = sizeof(struct adhoc), .worker_size = sizeof(struct sessions), .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .disco = MK_TABLE(disco),
          .xeps = MK_TABLE(xeps), .worker_stop = worker_stop);
