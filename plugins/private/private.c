/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0049: XML that clients keep on the server, for their account alone. */
#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <string.h>

#define NS "jabber:iq:private"

struct private {
    int64_t max_size, max_elements;
    const struct mk_coll *elements;
};

enum { COL_OWNER, COL_NS, COL_NAME, COL_XML, COL_COUNT };
enum { MAX_KEY = 1024 };

static const struct mk_col_decl element_cols[COL_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "ns", MK_C_TEXT, MK_COL_SORT, "Namespace of the element." },
    { "name", MK_C_TEXT, MK_COL_SORT, "Name of the element." },
    { "xml", MK_C_TEXT, 0, "The element, inside an iq." },
};

static const struct mk_elem *query_of(const struct mk_stanza *iq) {
    return mk_child(iq, "query", NS);
}

/* An element has to have a namespace of its own. */
static bool has_key(const struct mk_elem *e) {
    const char *ns = mk_elem_ns(e);
    return *ns && strcmp(ns, NS) != 0 && strlen(ns) <= MAX_KEY && strlen(mk_elem_name(e)) <= MAX_KEY;
}

/* ---- get --------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int read_element(struct mk_ctx *c, const struct mk_elem *wanted, const struct mk_elem **out) {
    const struct private *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_text(mk_elem_ns(wanted)),
                                    mk_v_text(mk_elem_name(wanted)) };
    const struct mk_row *row;
    const struct mk_stanza *s;
    int rc = mk_get(c, me->elements, key, &row);
    if (rc != MK_OK)
        return rc;
    rc = mk_stanza_read(c, mk_row_bytes(row, COL_XML), &s);
    *out = rc == MK_OK ? mk_elem_first(mk_root(s)) : NULL;
    return *out ? MK_OK : MK_E_BACKEND;
}

MK_SUSPENDS static int on_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_elem *wanted = mk_elem_first(query_of(iq)), *found = NULL;
    if (!mk_jid_same_bare(mk_stanza_from(iq), mk_self(c)))
        return MK_E_DENIED;
    if (!wanted || mk_elem_next(wanted) || !has_key(wanted))
        return MK_E_INVALID;
    int rc = read_element(c, wanted, &found);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        return rc;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    if (found)
        mk_put_elem(o, found);
    else
        mk_leaf(o, mk_elem_name(wanted), mk_elem_ns(wanted), NULL);
    return mk_send(o);
}

/* ---- set --------------------------------------------------------------------------------------------------------------- */

/* The row of E; MK_E_LIMIT if it is too big. */
static int make_row(struct mk_ctx *c, const struct mk_elem *e, struct mk_value **row) {
    const struct private *me = mk_inst(c);
    const struct mk_stanza *s;
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_SET, NULL);
    mk_put_elem(o, e);
    int rc = mk_seal(o, &s);
    if (rc != MK_OK)
        return rc;
    struct mk_view xml = mk_stanza_xml(c, s);
    *row = mk_alloc(c, COL_COUNT * sizeof **row);
    (*row)[COL_OWNER] = mk_v_jid(mk_self(c));
    (*row)[COL_NS] = mk_v_text(mk_elem_ns(e));
    (*row)[COL_NAME] = mk_v_text(mk_elem_name(e));
    (*row)[COL_XML] = mk_v_view(xml);
    return xml.len > (size_t)me->max_size ? MK_E_LIMIT : MK_OK;
}

/* MK_E_LIMIT if the account would have too many elements.  Those of WRITES that are there already count only once. */
MK_SUSPENDS static int check_room(struct mk_ctx *c, const struct mk_write *writes, size_t count) {
    const struct private *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_row *row;
    int64_t stored;
    int rc = mk_scan_count(c, me->elements, MK_SCAN(.partition = &owner), &stored);
    if (rc != MK_OK || stored + (int64_t)count <= me->max_elements)
        return rc;
    for (size_t i = 0; i < count; i++) {
        rc = mk_get(c, me->elements, writes[i].values, &row);
        if (rc != MK_OK && rc != MK_E_NOTFOUND)
            return rc;
        stored += rc == MK_E_NOTFOUND;
    }
    return stored <= me->max_elements ? MK_OK : MK_E_LIMIT;
}

MK_SUSPENDS static int on_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct private *me = mk_inst(c);
    size_t count = 0;
    if (!mk_jid_same_bare(mk_stanza_from(iq), mk_self(c)))
        return MK_E_DENIED;
    for (const struct mk_elem *e = mk_elem_first(query_of(iq)); e; e = mk_elem_next(e))
        if (++count > (size_t)me->max_elements)
            return MK_E_LIMIT;
    struct mk_write *writes = mk_alloc(c, (count + 1) * sizeof *writes);
    size_t n = 0;
    for (const struct mk_elem *e = mk_elem_first(query_of(iq)); e; e = mk_elem_next(e)) {
        struct mk_value *row;
        int rc = has_key(e) ? make_row(c, e, &row) : MK_E_INVALID;
        if (rc != MK_OK)
            return rc;
        writes[n++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->elements, row };
    }
    if (!n)
        return MK_E_INVALID;
    int rc = check_room(c, writes, n);
    if (rc == MK_OK)
        rc = mk_batch(c, writes, n);
    return rc == MK_OK ? mk_send(mk_reply(c, iq)) : rc;
}

/* ---- moving (XEP-0227) -------------------------------------------------------------------------------------------------- */

enum { PART_ROWS = 20, PART_BYTES = 64 * 1024 };

static void put_row(struct mk_ctx *c, struct mk_out *o, const struct mk_row *row, struct mk_result *report) {
    const struct mk_stanza *s;
    if (mk_stanza_read(c, mk_row_bytes(row, COL_XML), &s) == MK_OK && mk_elem_first(mk_root(s)))
        mk_put_elem(o, mk_elem_first(mk_root(s)));
    else
        mk_result_say(report, "a stored element of private data is no XML: %.80s", mk_row_text(row, COL_NAME));
}

/* AFTER is namespace and name of the element before, a line each. */
MK_SUSPENDS static int move_write(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more,
                                  struct mk_result *report) {
    const struct private *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const char *line = strchr(after, '\n');
    const struct mk_value lo[] = { mk_v_view((struct mk_view){ after, line ? (size_t)(line - after) : 0 }),
                                   mk_v_text(line ? line + 1 : "") };
    const struct mk_rows *rows;
    size_t bytes = 0, i = 0;
    int rc = mk_scan(
        c, me->elements,
        MK_SCAN(.partition = &owner, .lo = lo, .lo_count = 2, .flags = MK_SCAN_LO_OPEN, .limit = PART_ROWS), &rows);
    if (rc != MK_OK || !mk_rows_count(rows))
        return rc;
    mk_open(o, "query", NS);
    for (; i < mk_rows_count(rows) && bytes < PART_BYTES; i++) {
        put_row(c, o, mk_rows_at(rows, i), report);
        bytes += mk_row_bytes(mk_rows_at(rows, i), COL_XML).len;
    }
    mk_close(o);
    const struct mk_row *last = mk_rows_at(rows, i - 1);
    if (i < mk_rows_count(rows) || i == PART_ROWS)
        *more = mk_printf(c, "%s\n%s", mk_row_text(last, COL_NS), mk_row_text(last, COL_NAME));
    return MK_OK;
}

MK_SUSPENDS static int move_take(struct mk_ctx *c, const struct mk_elem *query, int64_t *state,
                                 struct mk_result *report) {
    const struct private *me = mk_inst(c);
    size_t count = 0;
    (void)state;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e))
        count++;
    struct mk_write *writes = mk_alloc(c, (count + 1) * sizeof *writes);
    count = 0;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e)) {
        struct mk_value *row;
        if (has_key(e) && make_row(c, e, &row) == MK_OK)
            writes[count++] = (struct mk_write){ MK_W_PUT, MK_UPSERT, me->elements, row };
        else
            mk_result_say(report, "private data was left out, for it has no namespace or is too big: %.80s",
                          mk_elem_name(e));
    }
    int rc = count ? check_room(c, writes, count) : MK_OK;
    if (rc == MK_E_LIMIT) {
        mk_result_say(report, "%zu elements of private data were left out: there would be too many", count);
        return MK_OK;
    }
    return rc == MK_OK && count ? mk_batch(c, writes, count) : rc;
}

MK_SUSPENDS static int move_drop(struct mk_ctx *c) {
    const struct private *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    return mk_del_range(c, me->elements, MK_SCAN(.partition = &owner));
}

static const struct mk_move_kind kinds[] = {
    { "query", NS, MK_MOVE_SERIES, 0 },
};
static const struct mk_move_ops move_ops = {
    .size = sizeof move_ops,
    .kinds = MK_TABLE(kinds),
    .write = move_write,
    .take = move_take,
    .drop = move_drop,
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_move, 1, 0, &move_ops, "Moves private data."),
};

/* ---- the operator ------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int cmd_list(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct private *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    (void)args;
    int rc = mk_scan(c, me->elements, MK_SCAN(.partition = &owner), &rows);
    if (rc != MK_OK)
        return mk_result_error(result, rc, "The elements can't be read: %s.", mk_strerror(rc));
    mk_result_next(result); /* a list, be it empty */
    for (size_t i = 0; i < mk_rows_count(rows); i++, mk_result_next(result)) {
        const struct mk_row *row = mk_rows_at(rows, i);
        mk_result_text(result, "ns", mk_row_text(row, COL_NS));
        mk_result_text(result, "name", mk_row_text(row, COL_NAME));
        mk_result_int(result, "bytes", (int64_t)mk_row_bytes(row, COL_XML).len);
    }
    return MK_OK;
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    (void)ev;
    if (move_drop(c) != MK_OK)
        mk_log(c, MK_ERROR, "private data of a removed account is still stored");
    return MK_NEXT;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_SIZE(struct private, max_size, "64K", 256, 16777216, MK_OPT_LIVE, "Most bytes of one element."),
    MK_OPT_INT(struct private, max_elements, "100", 1, 100000, MK_OPT_LIVE, "Most elements of one account."),
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct private, elements, "private", 1, 0, 0, element_cols, MK_NO_INDEX,
                  "XML that clients keep for themselves."),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, 0, on_get },
    { "query", NS, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, 0, on_set },
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0049", "1.2", "complete", "" },
};
static const struct mk_arg_decl list_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl list_results[] = {
    { "ns", MK_ARG_TEXT, 0, "Namespace of the element." },
    { "name", MK_ARG_TEXT, 0, "Its name." },
    { "bytes", MK_ARG_INT, 0, "Its size." },
};
static const struct mk_cmd_decl commands[] = {
    { "private.list", "List the private data of an account", "GET /accounts/{account}/private", "account", MK_CMD_READ,
      0, MK_TABLE(list_args), MK_TABLE(list_results), cmd_list },
};

MK_PLUGIN(private, .version = "1.0", .summary = "Private XML storage (XEP-0049)", .inst_size = sizeof(struct private),
          .options = MK_TABLE(options), .provides = MK_TABLE(provides), .collections = MK_TABLE(collections),
          .iqs = MK_TABLE(iqs), .hooks = MK_TABLE(hooks), .disco = MK_TABLE(disco), .commands = MK_TABLE(commands),
          .xeps = MK_TABLE(xeps));
