/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0377: reports of spam and abuse, kept for the operator and forwarded where the reporter allowed it. */
#include <meerkat/plugin.h>
#include <meerkat/report.h>
#include <stdlib.h>
#include <string.h>

#define NS "urn:xmpp:reporting:1"
#define NS_SID "urn:xmpp:sid:0"

struct reports {
    int64_t ttl, max_reports, max_daily, max_text, max_ids;
    struct mk_texts forward_to;
    bool forward_to_origin;
    const struct mk_coll *reports, *counts;
};

enum { M_TAKEN, M_REFUSED, M_FORWARDED };
enum { COL_HOST, COL_ID, COL_REPORTER, COL_REPORTED, COL_REASON, COL_TEXT, COL_MESSAGES, COL_EXPIRES, COL_COUNT };
enum { COUNT_REPORTER, COUNT_DAY, COUNT_REPORTS, COUNT_EXPIRES, COUNT_COUNT };
static const int64_t DAY = 86400000000;

static const struct mk_col_decl report_cols[COL_COUNT] = {
    { "host", MK_C_JID, MK_COL_PARTITION, "The reporter's host." },
    { "id", MK_C_TEXT, MK_COL_SORT, "When it came, in microseconds since 1970 with 20 digits, and some random text." },
    { "reporter", MK_C_JID, 0, "Bare JID of the account that reports." },
    { "reported", MK_C_JID, 0, "Whom it blocked and reports." },
    { "reason", MK_C_TEXT, 0, "URN of the reason." },
    { "text", MK_C_TEXT, MK_COL_NULL, "What the reporter says." },
    { "messages", MK_C_TEXT, MK_COL_NULL,
      "Ids of the reported messages, one a line: who gave the id, a space, the id." },
    { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it is dropped; null is never." },
};
static const struct mk_col_decl count_cols[COUNT_COUNT] = {
    { "reporter", MK_C_JID, MK_COL_PARTITION, "Bare JID of an account." },
    { "day", MK_C_INT, MK_COL_SORT, "Days since 1970." },
    { "reports", MK_C_INT, 0, "How many reports came from it on that day." },
    { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When this is of no interest any more." },
};

/* A report as it came in. */
struct report {
    const struct mk_jid *reported;
    const char *id, *reason, *text, *messages;
    const struct mk_elem *element;
};

/* ---- taking ----------------------------------------------------------------------------------------------------------- */

static int read_messages(struct mk_ctx *c, const struct mk_elem *e, struct report *r) {
    const struct reports *me = mk_inst(c);
    int64_t count = 0;
    size_t size = 1;
    for (const struct mk_elem *x = mk_elem_first(e); x; x = mk_elem_next(x)) {
        const char *by = mk_attr(x, "by"), *id = mk_attr(x, "id");
        if (!mk_elem_is(x, "stanza-id", NS_SID))
            continue;
        if (!by || !id || ++count > me->max_ids || strpbrk(by, " \n") || strchr(id, '\n'))
            return MK_E_INVALID;
        size += strlen(by) + strlen(id) + 2;
    }
    if (!count)
        return MK_OK;
    char *text = mk_alloc(c, size), *at = text;
    for (const struct mk_elem *x = mk_elem_first(e); x; x = mk_elem_next(x)) {
        if (!mk_elem_is(x, "stanza-id", NS_SID))
            continue;
        at = stpcpy(stpcpy(stpcpy(at, mk_attr(x, "by")), " "), mk_attr(x, "id"));
        at = stpcpy(at, "\n");
    }
    r->messages = text;
    return MK_OK;
}

/* The first LEN bytes of TEXT, or a few less: no character is cut. */
static const char *clip(struct mk_ctx *c, const char *text, size_t len) {
    if (strlen(text) <= len)
        return text;
    while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return mk_text_of(c, (struct mk_view){ text, len });
}

static int read_report(struct mk_ctx *c, const struct mk_jid *reported, const struct mk_elem *e, struct report *r) {
    const struct reports *me = mk_inst(c);
    const struct mk_elem *text = mk_elem_child(e, "text", NS);
    *r = (struct report){ .reported = reported, .reason = mk_attr(e, "reason"), .element = e };
    if (!r->reason || !*r->reason || strlen(r->reason) > 255)
        return MK_E_INVALID;
    if (text)
        r->text = clip(c, mk_text(c, text), (size_t)me->max_text);
    r->id = mk_printf(c, "%020lld-%.8s", (long long)mk_now(c), mk_random_id(c));
    return read_messages(c, e, r);
}

static struct mk_value in(int64_t now, int64_t us) {
    return us < INT64_MAX - now ? mk_v_time(now + us) : mk_v_null();
}

/* So that nobody fills the collection. */
MK_SUSPENDS static int count_one(struct mk_ctx *c) {
    const struct reports *me = mk_inst(c);
    int64_t day = mk_now(c) / DAY, count;
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_int(day) };
    int rc = mk_add(c, me->counts, key, COUNT_REPORTS, 1, &count);
    if (rc == MK_E_NOTFOUND) {
        const struct mk_value row[COUNT_COUNT] = { key[0], key[1], mk_v_int(1), in(mk_now(c), 2 * DAY) };
        return mk_put_now(c, me->counts, MK_UPSERT, row);
    }
    return rc == MK_OK && count > me->max_daily ? MK_E_LIMIT : rc;
}

/* The oldest give way: what is new matters more. */
MK_SUSPENDS static int make_room(struct mk_ctx *c) {
    const struct reports *me = mk_inst(c);
    struct mk_value host = mk_v_jid(mk_host(c));
    int64_t count;
    const struct mk_rows *rows;
    int rc = mk_scan_count(c, me->reports, MK_SCAN(.partition = &host), &count);
    if (rc != MK_OK || count < me->max_reports)
        return rc;
    rc = mk_scan(c, me->reports, MK_SCAN(.partition = &host, .limit = (uint32_t)(count - me->max_reports + 1)), &rows);
    if (rc != MK_OK || !mk_rows_count(rows))
        return rc;
    struct mk_value last = mk_v_text(mk_row_text(mk_rows_at(rows, mk_rows_count(rows) - 1), COL_ID));
    return mk_del_range(c, me->reports, MK_SCAN(.partition = &host, .hi = &last, .hi_count = 1));
}

MK_SUSPENDS static int store(struct mk_ctx *c, const struct report *r) {
    const struct reports *me = mk_inst(c);
    int64_t us = me->ttl == INT64_MAX ? INT64_MAX : me->ttl * 1000;
    const struct mk_value row[COL_COUNT] = {
        mk_v_jid(mk_host(c)), mk_v_text(r->id),   mk_v_jid(mk_self(c)),   mk_v_jid(r->reported),
        mk_v_text(r->reason), mk_v_text(r->text), mk_v_text(r->messages), in(mk_now(c), us),
    };
    int rc = make_room(c);
    return rc == MK_OK ? mk_put_now(c, me->reports, MK_UPSERT, row) : rc;
}

/* The reporter is not named: nobody outside needs to know. */
static void forward(struct mk_ctx *c, const struct report *r, const struct mk_jid *to) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, to);
    mk_from(o, mk_host(c));
    mk_id(o, r->id);
    mk_leaf(o, "body", NULL,
            mk_printf(c, "%s is reported: %s%s%s", mk_jid_text(r->reported), r->reason, r->text ? "\n" : "",
                      r->text ? r->text : ""));
    mk_open(o, "report", NS);
    mk_put(o, "reason", r->reason);
    mk_leaf(o, "jid", "urn:xmpp:jid:0", mk_jid_text(r->reported));
    if (r->text)
        mk_leaf(o, "text", NULL, r->text);
    for (const struct mk_elem *x = mk_elem_first(r->element); x; x = mk_elem_next(x))
        if (mk_elem_is(x, "stanza-id", NS_SID))
            mk_put_elem(o, x);
    if (mk_send(o) != MK_OK) {
        mk_log(c, MK_WARNING, "a report was not forwarded to %s", mk_jid_text(to));
        return;
    }
    mk_count(c, M_FORWARDED, 1);
}

static void forward_all(struct mk_ctx *c, const struct report *r) {
    const struct reports *me = mk_inst(c);
    const struct mk_jid *to;
    for (uint32_t i = 0; mk_elem_child(r->element, "third-party", NS) && i < me->forward_to.count; i++) {
        const char *text = me->forward_to.items[i];
        if (mk_jid_parse(c, (struct mk_view){ text, strlen(text) }, &to) == MK_OK)
            forward(c, r, to);
        else
            mk_log(c, MK_ERROR, "forward_to: \"%s\" is no JID", text);
    }
    struct mk_view none = { "", 0 }, domain = mk_jid_domain(r->reported);
    if (me->forward_to_origin && mk_elem_child(r->element, "report-origin", NS) && !mk_is_local(c, domain) &&
        mk_jid_make(c, none, domain, none, &to) == MK_OK)
        forward(c, r, to);
}

MK_SUSPENDS static int op_take(struct mk_ctx *c, const struct mk_jid *reported, const struct mk_elem *element) {
    struct report r;
    int rc = read_report(c, reported, element, &r);
    if (rc == MK_OK)
        rc = count_one(c);
    if (rc == MK_OK)
        rc = store(c, &r);
    if (rc != MK_OK) {
        mk_count(c, M_REFUSED, 1);
        return rc;
    }
    mk_count(c, M_TAKEN, 1);
    mk_log(c, MK_NOTICE, "%s reports %s: %s", mk_jid_text(mk_self(c)), mk_jid_text(reported), r.reason);
    forward_all(c, &r);
    return MK_OK;
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

static void put_row(struct mk_ctx *c, struct mk_result *result, const struct mk_row *row) {
    const char *text = mk_row_text(row, COL_TEXT), *messages = mk_row_text(row, COL_MESSAGES);
    mk_result_text(result, "id", mk_row_text(row, COL_ID));
    mk_result_text(result, "time", mk_time_text(c, strtoll(mk_row_text(row, COL_ID), NULL, 10)));
    mk_result_text(result, "reporter", mk_jid_text(mk_row_jid(row, COL_REPORTER)));
    mk_result_text(result, "reported", mk_jid_text(mk_row_jid(row, COL_REPORTED)));
    mk_result_text(result, "reason", mk_row_text(row, COL_REASON));
    mk_result_text(result, "text", text ? text : "");
    mk_result_text(result, "messages", messages ? messages : "");
}

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct reports *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), before = mk_v_text(mk_arg_text(args, "before"));
    const struct mk_filter about = { COL_REPORTED, 0, mk_v_jid(mk_arg_jid(args, "reported")) };
    int64_t limit = mk_arg_has(args, "limit") ? mk_arg_int(args, "limit") : 100;
    const struct mk_rows *rows;
    if (limit < 1 || limit > 10000)
        return mk_result_error(result, MK_E_INVALID, "The limit is 1 to 10000.");
    int rc = mk_scan(c, me->reports,
                     MK_SCAN(.partition = &host, .hi = &before, .hi_count = mk_arg_has(args, "before"),
                             .flags = MK_SCAN_REVERSE | MK_SCAN_HI_OPEN, .limit = (uint32_t)limit, .filters = &about,
                             .filter_count = mk_arg_has(args, "reported")),
                     &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The reports can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++, mk_result_next(result))
        put_row(c, result, mk_rows_at(rows, i));
    return MK_OK;
}

MK_SUSPENDS static int cmd_show(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct reports *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(mk_arg_text(args, "id")) };
    const struct mk_row *row;
    int rc = mk_get(c, me->reports, key, &row);
    if (rc != MK_OK)
        return mk_result_error(result, rc,
                               rc == MK_E_NOTFOUND ? "There is no such report." : "The report can't be read.");
    put_row(c, result, row);
    return MK_OK;
}

MK_SUSPENDS static int cmd_delete(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct reports *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(mk_arg_text(args, "id")) };
    int rc = mk_del(c, me->reports, key);
    return rc == MK_OK
               ? rc
               : mk_result_error(result, rc,
                                 rc == MK_E_NOTFOUND ? "There is no such report." : "The report was not deleted.");
}

/* ---- accounts ---------------------------------------------------------------------------------------------------------- */

/* What the account reported goes with it; what others reported about it stays until it expires, or is deleted: it may be
 * why the account is gone. */
MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct reports *me = mk_inst(c);
    const struct mk_value self = mk_v_jid(ev->account), by[] = { self };
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->reports, MK_SCAN(.index = 1, .partition = by), &rows);
    for (size_t i = 0; rc == MK_OK && i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        const struct mk_value key[] = { mk_v_jid(mk_row_jid(row, COL_HOST)), mk_v_text(mk_row_text(row, COL_ID)) };
        rc = mk_del(c, me->reports, key);
        rc = rc == MK_E_NOTFOUND ? MK_OK : rc;
    }
    if (rc == MK_OK)
        rc = mk_del_range(c, me->counts, MK_SCAN(.partition = &self));
    if (rc != MK_OK)
        mk_log(c, MK_ERROR, "reports of a removed account are still stored");
    return MK_NEXT;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_DURATION(struct reports, ttl, "90d", 60000, INT64_MAX, MK_OPT_LIVE, "How long a report is kept."),
    MK_OPT_INT(struct reports, max_reports, "10000", 1, 10000000, MK_OPT_LIVE,
               "Most reports kept for one host. The oldest give way."),
    MK_OPT_INT(struct reports, max_daily, "50", 1, 1000000, MK_OPT_LIVE,
               "Most reports taken of one account on one day. Whom further ones name is blocked all the same."),
    MK_OPT_SIZE(struct reports, max_text, "4K", 0, 65536, MK_OPT_LIVE, "What is kept of the text of a report."),
    MK_OPT_INT(struct reports, max_ids, "100", 0, 10000, MK_OPT_LIVE, "Most messages that one report may name."),
    MK_OPT_TEXTS(struct reports, forward_to, NULL, MK_OPT_LIVE,
                 "JIDs that get a report if its reporter agreed that others process it."),
    MK_OPT_BOOL(struct reports, forward_to_origin, "false", MK_OPT_LIVE,
                "Also forward a report to the server of the reported, if its reporter agreed."),
};
static const struct mk_index_decl report_indexes[] = {
    { "by_reporter", "reporter", "id" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct reports, reports, "reports", 1, 0, 0, report_cols, MK_TABLE(report_indexes),
                  "Reports of spam and abuse."),
    MK_COLLECTION(struct reports, counts, "report_counts", 1, 0, 0, count_cols, MK_NO_INDEX,
                  "How much each account reported lately."),
};
static const struct mk_reports_ops ops = { .size = sizeof ops, .take = op_take };
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_reports, 1, 0, &ops, "Takes reports of spam and abuse."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_metric_decl metrics[] = {
    [M_TAKEN] = { "taken", MK_COUNTER, 0, "reports", "Reports that were stored." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "reports", "Reports that were malformed or too many." },
    [M_FORWARDED] = { "forwarded", MK_COUNTER, 0, "reports", "Reports sent to others." },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0377", "0.4.1", "complete", "" },
};
static const struct mk_arg_decl list_args[] = {
    { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Domain of the reporters." },
    { "reported", MK_ARG_JID, MK_ARG_OPTIONAL, "Only reports about this JID." },
    { "before", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only reports older than the one with this id." },
    { "limit", MK_ARG_INT, MK_ARG_OPTIONAL, "Most reports to show, 100 by default." },
};
static const struct mk_arg_decl id_args[] = {
    { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Domain of the reporter." },
    { "id", MK_ARG_TEXT, 0, "Id of the report." },
};
static const struct mk_arg_decl report_results[] = {
    { "id", MK_ARG_TEXT, 0, "Id of the report." },
    { "time", MK_ARG_TEXT, 0, "When it came." },
    { "reporter", MK_ARG_JID, 0, "Who reports." },
    { "reported", MK_ARG_JID, 0, "Who is reported." },
    { "reason", MK_ARG_TEXT, 0, "URN of the reason." },
    { "text", MK_ARG_TEXT, 0, "What the reporter says." },
    { "messages", MK_ARG_TEXT, 0, "Reported messages, one a line: who gave the id, the id." },
};
static const struct mk_cmd_decl commands[] = {
    { "reports.list", "List reports, the newest first", "GET /reports", "", MK_CMD_READ, 0, MK_TABLE(list_args),
      MK_TABLE(report_results), cmd_list },
    { "reports.show", "Show a report", "GET /reports/{id}", "", MK_CMD_READ, 0, MK_TABLE(id_args),
      MK_TABLE(report_results), cmd_show },
    { "reports.delete",
      "Delete a report",
      "DELETE /reports/{id}",
      "",
      MK_CMD_WRITE,
      0,
      MK_TABLE(id_args),
      { NULL, 0, 0 },
      cmd_delete },
};

MK_PLUGIN(reports, .version = "1.0", .summary = "Takes reports of spam and abuse (XEP-0377)",
          .inst_size = sizeof(struct reports), .options = MK_TABLE(options), .provides = MK_TABLE(provides),
          .collections = MK_TABLE(collections), .hooks = MK_TABLE(hooks), .metrics = MK_TABLE(metrics),
          .disco = MK_TABLE(disco), .commands = MK_TABLE(commands), .xeps = MK_TABLE(xeps));
