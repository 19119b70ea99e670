/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0227: moves accounts out of the server and into it, an account at a time and a long one in parts.  What an account
 * has is the business of the plugins that keep it; files are the business of who asks, meerkat-move.
 */
#include "keys.h"
#include <meerkat/move.h>
#include <meerkat/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct move {
    struct mk_svcs parts; /* of mk_move */
};

enum { M_OUT, M_IN };

/* An answer has as much as this, or one part more. */
enum { ANSWER_BYTES = 256 * 1024, KEYS_PART = -1 };

static const struct mk_move *part_at(const struct move *me, uint32_t i) {
    return (const struct mk_move *)me->parts.items[i];
}

static const struct mk_move_kind *kind_at(const struct mk_move *part, uint32_t i) {
    const struct mk_table *t = &((const struct mk_move_ops *)part->svc.ops)->kinds;
    return i < t->count ? (const struct mk_move_kind *)((const char *)t->items + (size_t)i * t->stride) : NULL;
}

static const struct mk_move *taker_of(const struct move *me, const struct mk_elem *e) {
    const struct mk_move_kind *k;
    for (uint32_t p = 0; p < me->parts.count; p++)
        for (uint32_t i = 0; (k = kind_at(part_at(me, p), i)) != NULL; i++)
            if (mk_elem_is(e, k->name, k->ns))
                return part_at(me, p);
    return NULL;
}

static int failed(struct mk_result *result, int rc) {
    return mk_result_error(result, rc, "The storage is in trouble: %s.", mk_strerror(rc));
}

/* ---- kinds -------------------------------------------------------------------------------------------------------------- */

static int cmd_kinds(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct move *me = mk_inst(c);
    const struct mk_move_kind *k;
    (void)args;
    for (uint32_t p = 0; p < me->parts.count; p++)
        for (uint32_t i = 0; (k = kind_at(part_at(me, p), i)) != NULL; i++) {
            mk_result_next(result);
            mk_result_text(result, "name", k->name);
            mk_result_text(result, "ns", k->ns);
            mk_result_bool(result, "series", k->flags & MK_MOVE_SERIES);
        }
    return MK_OK;
}

/* ---- out ---------------------------------------------------------------------------------------------------------------- */

/* Where the next part comes from: number of the provider, KEYS_PART first, and what it said. */
struct cursor {
    long part;
    const char *after;
};

static bool cursor_read(const char *text, struct cursor *at) {
    char *end;
    *at = (struct cursor){ KEYS_PART, "" };
    if (!text)
        return true;
    at->part = strtol(text, &end, 10);
    at->after = end + 1;
    return *end == ':' && at->part >= 0;
}

/* One part, and where the next one is. */
MK_SUSPENDS static int write_part(struct mk_ctx *c, struct cursor *at, struct mk_view *xml, struct mk_result *result) {
    const struct move *me = mk_inst(c);
    const char *more = NULL;
    const struct mk_stanza *s;
    struct mk_out *o = mk_nonza(c, "part", MK_NS_MOVE);
    int rc = at->part == KEYS_PART ? keys_write(c, o)
                                   : mk_move_write(c, part_at(me, (uint32_t)at->part), at->after, o, &more, result);
    if (rc == MK_OK)
        rc = mk_seal(o, &s);
    if (rc != MK_OK)
        return rc;
    *xml = mk_elem_first(mk_root(s)) ? mk_stanza_xml(c, s) : (struct mk_view){ "", 0 };
    at->part += more ? 0 : 1;
    at->after = more ? more : "";
    return MK_OK;
}

MK_SUSPENDS static int cmd_export(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct move *me = mk_inst(c);
    struct cursor at;
    size_t bytes = 0;
    if (!cursor_read(mk_arg_text(args, "after"), &at))
        return mk_result_error(result, MK_E_INVALID, "after is what an answer said before.");
    int rc = at.part == KEYS_PART ? mk_account_exists(c, mk_self(c)) : MK_OK;
    if (rc == MK_E_NOTFOUND)
        return mk_result_error(result, rc, "There is no account %s.", mk_jid_text(mk_self(c)));
    while (rc == MK_OK && at.part < (long)me->parts.count && bytes < ANSWER_BYTES) {
        struct mk_view xml = { "", 0 };
        rc = write_part(c, &at, &xml, result);
        if (!xml.len)
            continue;
        mk_result_next(result);
        mk_result_text(result, "xml", mk_text_of(c, xml));
        bytes += xml.len;
    }
    if (rc != MK_OK)
        return failed(result, rc);
    if (at.part < (long)me->parts.count)
        mk_result_more(result, "after", mk_printf(c, "%ld:%s", at.part, at.after));
    else
        mk_count(c, M_OUT, 1);
    return MK_OK;
}

/* ---- in ----------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int drop_all(struct mk_ctx *c) {
    const struct move *me = mk_inst(c);
    struct mk_session *s = NULL;
    int rc = MK_OK;
    while ((s = mk_session_next(c, s)) != NULL)
        mk_session_close(c, s, "reset", "The account is replaced by another");
    for (uint32_t i = 0; i < me->parts.count && rc == MK_OK; i++)
        rc = mk_move_drop(c, part_at(me, i));
    return rc;
}

MK_SUSPENDS static int cmd_begin(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct mk_scram_keys nobody;
    int rc = mk_account_exists(c, mk_self(c));
    bool existed = rc == MK_OK;
    if (rc == MK_E_NOTFOUND) {
        keys_of_nobody(&nobody);
        rc = mk_account_put_keys(c, mk_self(c), &nobody, 1);
    } else if (existed && mk_arg_bool(args, "replace")) {
        rc = drop_all(c);
    }
    if (rc == MK_E_UNSUPPORTED)
        return mk_result_error(result, rc, "Where the passwords of %s live they can't be written to.",
                               mk_jid_text(mk_host(c)));
    mk_result_bool(result, "existed", existed);
    return rc == MK_OK ? rc : failed(result, rc);
}

/* XML of one <part/>. */
static int read_part(struct mk_ctx *c, const char *xml, const struct mk_elem **out, struct mk_result *result) {
    const struct mk_stanza *s;
    if (mk_stanza_read(c, (struct mk_view){ xml, strlen(xml) }, &s) != MK_OK ||
        !mk_elem_is(mk_root(s), "part", MK_NS_MOVE))
        return mk_result_error(result, MK_E_INVALID, "xml must be an element <part xmlns='%s'/>.", MK_NS_MOVE);
    *out = mk_root(s);
    return MK_OK;
}

MK_SUSPENDS static int cmd_take(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct move *me = mk_inst(c);
    const struct mk_elem *part = NULL, *before = NULL;
    int64_t state = mk_arg_int(args, "state");
    int rc = read_part(c, mk_arg_text(args, "xml"), &part, result);
    if (rc != MK_OK)
        return rc;
    for (const struct mk_elem *e = mk_elem_first(part); e && rc == MK_OK; before = e, e = mk_elem_next(e)) {
        const struct mk_move *taker = taker_of(me, e);
        if (before && !mk_elem_is(e, mk_elem_name(before), mk_elem_ns(before)))
            state = 0;
        if (taker)
            rc = mk_move_take(c, taker, e, &state, result);
        else
            mk_result_say(result, "<%.80s xmlns='%.200s'/> is not known here", mk_elem_name(e), mk_elem_ns(e));
    }
    mk_result_int(result, "state", state);
    return rc == MK_OK ? rc : failed(result, rc);
}

static int explain_password(struct mk_result *result, int rc) {
    if (rc == MK_E_INVALID)
        mk_result_say(result, "the password is empty or has characters that no password may have: nobody can log in");
    else if (rc == MK_E_LIMIT)
        mk_result_say(result, "the password breaks a rule of the configuration: nobody can log in");
    else
        return rc;
    return MK_OK;
}

MK_SUSPENDS static int cmd_end(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const char *password = mk_arg_text(args, "password"), *xml = mk_arg_text(args, "keys");
    struct mk_scram_keys keys[KEYS_MAX];
    const struct mk_elem *part = NULL;
    uint32_t count = 0;
    int rc = xml ? read_part(c, xml, &part, result) : MK_OK;
    if (rc != MK_OK)
        return rc;
    if (xml)
        count = keys_read(c, part, keys, result);
    if (password)
        rc = explain_password(result, mk_account_set_password(c, mk_self(c), password));
    else if (count)
        rc = mk_account_put_keys(c, mk_self(c), keys, count);
    else
        mk_result_say(result, "there is no password: nobody can log in until one is set");
    explicit_bzero(keys, sizeof keys);
    if (rc != MK_OK)
        return failed(result, rc);
    mk_count(c, M_IN, 1);
    return MK_OK;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

static const struct mk_need_decl needs[] = {
    { "mk_move", 1, 0, offsetof(struct move, parts), MK_NEED_MANY, NULL },
};
static const struct mk_metric_decl metrics[] = {
    [M_OUT] = { "accounts_out", MK_COUNTER, 0, "accounts", "Accounts that were exported." },
    [M_IN] = { "accounts_in", MK_COUNTER, 0, "accounts", "Accounts that were imported." },
};
static const struct mk_arg_decl kinds_results[] = {
    { "name", MK_ARG_TEXT, 0, "Name of an element that can be imported." },
    { "ns", MK_ARG_TEXT, 0, "Its namespace." },
    { "series", MK_ARG_BOOL, 0, "Whether its children may come some at a time." },
};
static const struct mk_arg_decl export_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "after", MK_ARG_TEXT, MK_ARG_OPTIONAL, "What the answer before said: the next part." },
};
static const struct mk_arg_decl export_results[] = {
    { "xml", MK_ARG_TEXT, 0, "Elements of the account, inside of <part/>." },
};
static const struct mk_arg_decl begin_args[] = {
    { "account", MK_ARG_JID, 0, "The account. It is made, with a password that nobody knows, if it is not there." },
    { "replace", MK_ARG_BOOL, MK_ARG_OPTIONAL, "Whether what it has is deleted, if it is there." },
};
static const struct mk_arg_decl begin_results[] = {
    { "existed", MK_ARG_BOOL, 0, "Whether it was there." },
};
static const struct mk_arg_decl take_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "xml", MK_ARG_TEXT, MK_ARG_LONG, "Elements of it, inside of <part/>." },
    { "state", MK_ARG_INT, MK_ARG_OPTIONAL, "What the answer before said, if the first element goes on." },
};
static const struct mk_arg_decl take_results[] = {
    { "state", MK_ARG_INT, 0, "For the next part, if it goes on with the last element." },
};
static const struct mk_arg_decl end_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "password", MK_ARG_SECRET, MK_ARG_OPTIONAL, "Its password." },
    { "keys", MK_ARG_SECRET, MK_ARG_OPTIONAL, "Or its SCRAM keys: <scram-credentials/>, inside of <part/>." },
};
static const struct mk_cmd_decl commands[] = {
    { "move.kinds",
      "Say which elements of an account can be imported",
      "GET /move/kinds",
      "",
      MK_CMD_READ,
      0,
      { NULL, 0, 0 },
      MK_TABLE(kinds_results),
      cmd_kinds },
    { "move.export", "Show all of an account as XEP-0227 has it, with the keys of its password",
      "GET /accounts/{account}/move", "account", MK_CMD_READ, 0, MK_TABLE(export_args), MK_TABLE(export_results),
      cmd_export },
    { "move.begin", "Begin the import of an account", "POST /accounts/{account}/move", "account", MK_CMD_WRITE, 0,
      MK_TABLE(begin_args), MK_TABLE(begin_results), cmd_begin },
    { "move.take", "Import elements of an account", "PATCH /accounts/{account}/move", "account", MK_CMD_WRITE, 0,
      MK_TABLE(take_args), MK_TABLE(take_results), cmd_take },
    { "move.end",
      "End the import of an account: now its user can log in",
      "PUT /accounts/{account}/move",
      "account",
      MK_CMD_WRITE,
      0,
      MK_TABLE(end_args),
      { NULL, 0, 0 },
      cmd_end },
};
static const struct mk_xep_decl xeps[] = {
    { "0227", "1.1", "partial", "Written and read, with XInclude; of PEP nodes only what a plugin keeps." },
};

MK_PLUGIN(move, .version = "1.0", .summary = "Moves accounts in and out (XEP-0227)", .inst_size = sizeof(struct move),
          .needs = MK_TABLE(needs), .metrics = MK_TABLE(metrics), .commands = MK_TABLE(commands),
          .xeps = MK_TABLE(xeps));
