/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0012: when an account was last here, and how long the server has been. */
#include <meerkat/last.h>
#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <meerkat/roster.h>
#include <string.h>
#include <time.h>

#define NS "jabber:iq:last"
#define NS_MOVE "urn:meerkat:last:0"

struct last {
    int64_t max_status, ttl;
    int64_t started; /* us since 1970 */
    const struct mk_roster *roster;
    const struct mk_coll *seen;
};

/* STATUS is OWNED: what the session said when it became unavailable, or NULL. */
struct session {
    char *status;
};
struct account {
    int64_t login; /* when the last session came, as it is stored */
};

enum { SLOT_SESSION, SLOT_ACCOUNT };
enum { COL_OWNER, COL_HOST, COL_SEEN, COL_LOGIN, COL_LOGOUT, COL_STATUS, COL_EXPIRES, COL_COUNT };

static const struct mk_col_decl seen_cols[COL_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "host", MK_C_JID, 0, "Its host." },
    { "seen", MK_C_TIME, 0, "When a session of it last came, or the last one went." },
    { "login", MK_C_TIME, 0, "When a session last came." },
    { "logout", MK_C_TIME, MK_COL_NULL, "When the last session went; null while there is one." },
    { "status", MK_C_TEXT, MK_COL_NULL, "What the last session said when it became unavailable." },
    { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When this is forgotten; null is never." },
};

/* ---- noting ------------------------------------------------------------------------------------------------------------ */

/* LOGOUT 0: there is a session. */
static void fill_row(struct mk_ctx *c, struct mk_value row[COL_COUNT], int64_t login, int64_t logout,
                     const char *status) {
    const struct last *me = mk_inst(c);
    int64_t seen = logout ? logout : login;
    bool forever = me->ttl >= (INT64_MAX - seen) / 1000;
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_HOST] = mk_v_jid(mk_host(c));
    row[COL_SEEN] = mk_v_time(seen);
    row[COL_LOGIN] = mk_v_time(login);
    row[COL_LOGOUT] = logout ? mk_v_time(logout) : mk_v_null();
    row[COL_STATUS] = mk_v_text(status);
    row[COL_EXPIRES] = forever ? mk_v_null() : mk_v_time(seen + me->ttl * 1000);
}

static void store(struct mk_ctx *c, int64_t login, bool here, const char *status) {
    const struct last *me = mk_inst(c);
    struct mk_value row[COL_COUNT];
    fill_row(c, row, login, here ? 0 : mk_now(c), status);
    if (mk_put_later(c, me->seen, MK_UPSERT, row, NULL) != MK_OK)
        mk_log(c, MK_WARNING, "it is not noted when %s was here", mk_jid_text(mk_self(c)));
}

static enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    struct account *a = mk_self_slot(c, SLOT_ACCOUNT);
    (void)ev;
    a->login = mk_now(c);
    store(c, a->login, true, NULL);
    return MK_NEXT;
}

static enum mk_flow on_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    const struct account *a = mk_self_slot(c, SLOT_ACCOUNT);
    const struct session *x = mk_session_slot(c, ev->session, SLOT_SESSION);
    for (struct mk_session *s = NULL; (s = mk_session_next(c, s)) != NULL;)
        if (s != ev->session)
            return MK_NEXT;
    store(c, a->login, false, x->status);
    return MK_NEXT;
}

static void forget_status(struct session *x) {
    mk_free(x->status);
    x->status = NULL;
}

static void fini_session(void *slot) {
    forget_status(slot);
}

/* A status that is too long is not kept. */
static enum mk_flow on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    const struct last *me = mk_inst(c);
    struct session *x = mk_session_slot(c, ev->session, SLOT_SESSION);
    if (mk_stanza_to(ev->stanza))
        return MK_NEXT;
    forget_status(x);
    const struct mk_elem *e = mk_child(ev->stanza, "status", mk_elem_ns(mk_root(ev->stanza)));
    if (mk_stanza_type(ev->stanza) != MK_TYPE_UNAVAILABLE || !e)
        return MK_NEXT;
    const char *status = mk_text(c, e);
    size_t len = strlen(status);
    if (len && len <= (size_t)me->max_status)
        x->status = memcpy(mk_malloc(len + 1), status, len);
    return MK_NEXT;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

MK_SUSPENDS static int op_seen(struct mk_ctx *c, const struct mk_jid *account, struct mk_last_seen *seen) {
    const struct last *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_jid_to_bare(c, account));
    const struct mk_row *row;
    int rc = mk_get(c, me->seen, &key, &row);
    if (rc != MK_OK)
        return rc;
    const char *status = mk_row_text(row, COL_STATUS);
    *seen = (struct mk_last_seen){ mk_row_int(row, COL_LOGIN), 0, status ? status : "" };
    seen->logout = mk_row_is_null(row, COL_LOGOUT) ? 0 : mk_row_int(row, COL_LOGOUT);
    return MK_OK;
}

static int answer(struct mk_ctx *c, const struct mk_stanza *iq, int64_t since, const char *status) {
    int64_t us = mk_now(c) - since;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_put_int(o, "seconds", us > 0 ? us / 1000000 : 0);
    if (*status)
        mk_put_text(o, status);
    return mk_send(o);
}

/* Who may see the account's presence. */
static bool may_ask(struct mk_ctx *c, const struct mk_jid *from) {
    const struct last *me = mk_inst(c);
    const struct mk_roster_item *item;
    if (mk_jid_same_bare(from, mk_self(c)))
        return true;
    return me->roster && mk_roster_find(c, me->roster, mk_jid_to_bare(c, from), &item) == MK_OK &&
           item->state & MK_SUB_FROM;
}

MK_SUSPENDS static int on_account(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_last_seen seen;
    if (!may_ask(c, mk_stanza_from(iq)))
        return MK_E_DENIED;
    if (mk_session_next(c, NULL))
        return answer(c, iq, mk_now(c), "");
    int rc = op_seen(c, mk_self(c), &seen);
    return rc == MK_OK ? answer(c, iq, seen.logout ? seen.logout : seen.login, seen.status) : rc;
}

/*
 * A session answers for itself, but only to who may ask.  Its contacts are in memory once it is available; before that
 * the account alone may ask.
 */
static enum mk_flow on_receive_iq(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (mk_stanza_type(ev->stanza) != MK_TYPE_GET || !ev->target_count || !mk_child(ev->stanza, "query", NS))
        return MK_NEXT;
    const struct mk_jid *from = mk_stanza_from(ev->stanza);
    if (mk_jid_same_bare(from, mk_self(c)) || (mk_session_is_available(ev->targets[0]) && may_ask(c, from)))
        return MK_NEXT;
    if (mk_refuse(c, ev->stanza, "forbidden", NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "a refusal was not sent");
    return MK_STOP;
}

static int on_server(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct last *me = mk_inst(c);
    return answer(c, iq, me->started, "");
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

static void put_time(struct mk_ctx *c, struct mk_result *result, const char *name, int64_t time) {
    mk_result_text(result, name, time ? mk_time_text(c, time) : "");
}

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct mk_last_seen seen;
    (void)args;
    int rc = op_seen(c, mk_self(c), &seen);
    if (rc != MK_OK)
        return mk_result_error(result, rc, rc == MK_E_NOTFOUND ? "Nobody has seen %s." : "%s can't be looked up.",
                               mk_jid_text(mk_self(c)));
    mk_result_bool(result, "online", mk_session_next(c, NULL) != NULL);
    put_time(c, result, "login", seen.login);
    put_time(c, result, "logout", seen.logout);
    mk_result_text(result, "status", seen.status);
    return MK_OK;
}

static int64_t days_ago(struct mk_ctx *c, const struct mk_args *args) {
    int64_t days = mk_arg_int(args, "days");
    return days < 0 || days > 100000 ? -1 : mk_now(c) - days * 86400000000;
}

MK_SUSPENDS static int cmd_active(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct last *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), since = mk_v_time(days_ago(c, args));
    int64_t count;
    if (since.u.i < 0)
        return mk_result_error(result, MK_E_INVALID, "The days are 0 to 100000.");
    int rc = mk_scan_count(c, me->seen, MK_SCAN(.index = 1, .partition = &host, .lo = &since, .lo_count = 1), &count);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "They can't be counted: %s.", mk_strerror(rc));
    mk_result_int(result, "accounts", count);
    return MK_OK;
}

MK_SUSPENDS static int cmd_idle(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct last *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), since = mk_v_time(days_ago(c, args));
    int64_t limit = mk_arg_has(args, "limit") ? mk_arg_int(args, "limit") : 100;
    const struct mk_rows *rows;
    if (since.u.i < 0 || limit < 1 || limit > 100000)
        return mk_result_error(result, MK_E_INVALID, "The days are 0 to 100000, the limit 1 to 100000.");
    int rc = mk_scan(c, me->seen,
                     MK_SCAN(.index = 1, .partition = &host, .hi = &since, .hi_count = 1, .flags = MK_SCAN_HI_OPEN,
                             .limit = (uint32_t)limit),
                     &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "They can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++, mk_result_next(result)) {
        const struct mk_row *row = mk_rows_at(rows, i);
        mk_result_text(result, "account", mk_jid_text(mk_row_jid(row, COL_OWNER)));
        put_time(c, result, "seen", mk_row_int(row, COL_SEEN));
    }
    return MK_OK;
}

/* ---- moving (XEP-0227, which has no element for it) ---------------------------------------------------------------------- */

MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    struct mk_last_seen seen;
    (void)after, (void)more, (void)report;
    int rc = op_seen(c, mk_self(c), &seen);
    if (rc != MK_OK)
        return rc == MK_E_NOTFOUND ? MK_OK : rc;
    mk_open(o, "last", NS_MOVE);
    mk_put(o, "login", mk_time_text(c, seen.login));
    mk_put(o, "logout", mk_time_text(c, seen.logout ? seen.logout : seen.login));
    if (*seen.status)
        mk_put_text(o, seen.status);
    mk_close(o);
    return MK_OK;
}

/* Not over what this server saw itself. */
MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *e, int64_t *state, struct mk_result *report) {
    const struct last *me = mk_inst(c);
    const char *in = mk_attr(e, "login"), *out = mk_attr(e, "logout"), *status = mk_text(c, e);
    struct mk_value row[COL_COUNT];
    struct mk_last_seen seen;
    int64_t login, logout;
    (void)state;
    if (!out || mk_time_parse(out, &logout) != MK_OK || mk_time_parse(in ? in : out, &login) != MK_OK) {
        mk_result_say(report, "when the account was last here makes no sense");
        return MK_OK;
    }
    int rc = op_seen(c, mk_self(c), &seen);
    if (rc != MK_E_NOTFOUND && (rc != MK_OK || seen.login > login))
        return rc;
    bool fits = *status && strlen(status) <= (size_t)me->max_status;
    fill_row(c, row, login, logout, fits ? status : NULL);
    return mk_put_now(c, me->seen, MK_UPSERT, row);
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    const struct last *me = mk_inst(c);
    const struct mk_value key = mk_v_jid(mk_self(c));
    int rc = mk_del(c, me->seen, &key);
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

static const struct mk_move_kind kinds[] = {
    { "last", NS_MOVE, 0, 0 },
};
static const struct mk_move_ops move_ops = {
    .size = sizeof move_ops,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};

/* ---- life -------------------------------------------------------------------------------------------------------------- */

static int start(void *inst, struct mk_err *err) {
    struct last *me = inst;
    struct timespec now;
    (void)err;
    clock_gettime(CLOCK_REALTIME, &now);
    me->started = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    return MK_OK;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    if (move_drop(c) != MK_OK)
        mk_log(c, MK_ERROR, "it is still stored when a removed account was here");
    return MK_NEXT;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_SIZE(struct last, max_status, "1K", 0, 65536, MK_OPT_LIVE,
                "Longest status kept of those who became unavailable. A longer one is not kept."),
    MK_OPT_DURATION(struct last, ttl, "infinite", 60000, INT64_MAX, MK_OPT_LIVE,
                    "When it is forgotten that an account was here."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct last, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_last_ops ops = { .size = sizeof ops, .seen = op_seen };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_last, 1, 0, &ops, "When accounts were last here."),
    MK_PROVIDE(mk_move, 1, 0, &move_ops, "Moves when accounts were last here."),
};
static const struct mk_index_decl seen_indexes[] = {
    { "by_time", "host", "seen" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct last, seen, "last", 1, 0, 0, seen_cols, MK_TABLE(seen_indexes),
                  "When each account was last here."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_account },
    { "query", NS, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_server },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(session_opened, MK_ORDER_SESSION, MK_INLINE, on_opened),
    MK_ON(session_closed, MK_ORDER_SESSION, MK_INLINE, on_closed),
    MK_ON(user_send_presence, MK_ORDER_PRESENCE, MK_INLINE, on_presence),
    MK_ON(user_receive_iq, MK_ORDER_LAST, MK_INLINE, on_receive_iq),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "status", MK_ON_SESSION, sizeof(struct session), NULL, fini_session },
    [SLOT_ACCOUNT] = { "login", MK_ON_ACCOUNT, sizeof(struct account), NULL, NULL },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0012", "2.0", "complete", "" },
};
static const struct mk_arg_decl show_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl show_results[] = {
    { "online", MK_ARG_BOOL, 0, "Whether it has sessions." },
    { "login", MK_ARG_TEXT, 0, "When a session last came." },
    { "logout", MK_ARG_TEXT, 0, "When the last session went; empty while there is one." },
    { "status", MK_ARG_TEXT, 0, "What the last session said when it became unavailable." },
};
static const struct mk_arg_decl active_args[] = {
    { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Their domain." },
    { "days", MK_ARG_INT, 0, "They came or went in the last so many days." },
};
static const struct mk_arg_decl active_results[] = {
    { "accounts", MK_ARG_INT, 0, "How many there are." },
};
static const struct mk_arg_decl idle_args[] = {
    { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Their domain." },
    { "days", MK_ARG_INT, 0, "They neither came nor went in the last so many days." },
    { "limit", MK_ARG_INT, MK_ARG_OPTIONAL, "Most accounts to list, 100 by default." },
};
static const struct mk_arg_decl idle_results[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "seen", MK_ARG_TEXT, 0, "When it last came or went." },
};
static const struct mk_cmd_decl commands[] = {
    { "last.show", "Show when an account was last here", "GET /accounts/{account}/last", "account", MK_CMD_READ, 0,
      MK_TABLE(show_args), MK_TABLE(show_results), cmd_show },
    { "last.active", "Count the accounts that were here lately", "GET /last/active", "", MK_CMD_READ, 0,
      MK_TABLE(active_args), MK_TABLE(active_results), cmd_active },
    { "last.idle", "List the accounts that were not here for long, the longest first", "GET /last/idle", "",
      MK_CMD_READ, 0, MK_TABLE(idle_args), MK_TABLE(idle_results), cmd_idle },
};

MK_PLUGIN(last, .version = "1.0", .summary = "Says when accounts were last here (XEP-0012)",
          .inst_size = sizeof(struct last), .start = start, .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .collections = MK_TABLE(collections), .iqs = MK_TABLE(iqs),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .disco = MK_TABLE(disco), .commands = MK_TABLE(commands),
          .xeps = MK_TABLE(xeps));
