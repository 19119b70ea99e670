/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right plugin whose rooms keep archives: they send back what they get, with its id, and answer queries by whoever
 * asks.  A message of type headline is a command: "last N", "retract ID", "drop".
 */
#define MK_ABI_NEED 0
#include <meerkat/archive.h>
#include <meerkat/plugin.h>
#include <stdlib.h>
#include <string.h>

struct t_archive {
    const char *domain;
    const struct mk_archive *archive;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct t_archive, domain, "archive.@HOST@", 0, "The domain of rooms."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct t_archive, archive, mk_archive, 1, 0, MK_NEED_HARD, NULL),
};

static void say(struct mk_ctx *c, const struct mk_stanza *to, const char *body) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_HEADLINE, mk_stanza_from(to));
    mk_leaf(o, "body", NULL, body);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "could not answer");
}

static int reflect(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *occupant, const char *id) {
    struct mk_out *o = mk_derive(c, s, NULL);
    const struct mk_stanza *out;
    mk_from(o, occupant);
    mk_open(o, "stanza-id", "urn:xmpp:sid:0");
    mk_put_jid(o, "by", mk_self(c));
    mk_put(o, "id", id);
    int rc = mk_seal(o, &out);
    if (rc == MK_OK)
        mk_route(c, out, mk_stanza_from(s));
    return rc;
}

/* The nick is who writes. */
MK_SUSPENDS static int keep(struct mk_ctx *c, const struct mk_stanza *s) {
    const struct t_archive *me = mk_inst(c);
    const struct mk_jid *occupant, *from = mk_stanza_from(s), *self = mk_self(c);
    const struct mk_stanza *stored;
    const char *id;
    int rc = mk_archive_next_id(c, me->archive, &id);
    if (rc == MK_E_UNAVAILABLE)
        rc = mk_archive_open(c, me->archive, self);
    if (rc == MK_OK)
        rc = mk_archive_next_id(c, me->archive, &id);
    if (rc == MK_OK)
        rc = mk_jid_make(c, mk_jid_local(self), mk_jid_domain(self), mk_jid_local(from), &occupant);
    if (rc != MK_OK)
        return rc;
    struct mk_out *o = mk_derive(c, s, NULL);
    mk_from(o, occupant);
    rc = mk_seal(o, &stored);
    const struct mk_archive_entry e = { .id = id, .stanza = stored, .with = occupant, .sender = from, .receipt_of = s };
    if (rc == MK_OK)
        rc = mk_archive_add(c, me->archive, &e);
    return rc == MK_OK ? reflect(c, s, occupant, id) : rc;
}

static void put_reason(struct mk_ctx *c, struct mk_out *o, void *arg) {
    (void)c;
    mk_leaf(o, "reason", NULL, arg);
}

MK_SUSPENDS static int tell_last(struct mk_ctx *c, const struct mk_stanza *s, uint32_t count) {
    const struct t_archive *me = mk_inst(c);
    const struct mk_archive_row *const *rows;
    uint32_t found;
    int rc = mk_archive_last(c, me->archive, count, 0, &rows, &found);
    for (uint32_t i = 0; rc == MK_OK && i < found; i++)
        say(c, s, mk_printf(c, "%s %s", rows[i]->id, mk_text(c, mk_child(rows[i]->stanza, "body", NULL))));
    return rc;
}

MK_SUSPENDS static int obey(struct mk_ctx *c, const struct mk_stanza *s, const char *word) {
    static char reason[] = "rude";
    const struct t_archive *me = mk_inst(c);
    const struct mk_archive_tombstone t = { "r", put_reason, reason };
    int rc = MK_E_INVALID;
    if (strncmp(word, "last ", 5) == 0)
        rc = tell_last(c, s, (uint32_t)strtoul(word + 5, NULL, 10));
    else if (strncmp(word, "retract ", 8) == 0)
        rc = mk_archive_retract(c, me->archive, word + 8, &t);
    else if (strcmp(word, "drop") == 0)
        rc = mk_archive_drop(c, me->archive, mk_self(c));
    return rc;
}

/* As XEP-0313 has it for rooms: no `to`, and who wrote it. */
static void put(struct mk_ctx *c, const struct mk_archive_row *row, struct mk_out *o, void *arg) {
    struct mk_out *m = mk_new(c, MK_MESSAGE, mk_stanza_type(row->stanza), NULL);
    const struct mk_stanza *s;
    mk_from(m, row->with);
    for (const struct mk_elem *e = mk_elem_first(mk_root(row->stanza)); e; e = mk_elem_next(e))
        mk_put_elem(m, e);
    mk_open(m, "item", arg);
    mk_put_jid(m, "jid", row->sender);
    mk_close(m);
    if (mk_seal(m, &s) == MK_OK)
        mk_put_stanza(o, s);
}

MK_SUSPENDS static void on_room(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    static char ns[] = "urn:test:archive";
    const struct t_archive *me = mk_inst(c);
    const struct mk_archive_view view = { put, ns };
    const struct mk_stanza *s = ev->stanza;
    int rc = MK_OK;
    if (mk_stanza_kind(s) == MK_IQ)
        rc = mk_archive_answer(c, me->archive, s, &view);
    else if (mk_stanza_type(s) == MK_TYPE_GROUPCHAT)
        rc = keep(c, s);
    else if (mk_stanza_type(s) == MK_TYPE_HEADLINE) {
        rc = obey(c, s, mk_text(c, mk_child(s, "body", NULL)));
        say(c, s, mk_strerror(rc));
        rc = MK_OK;
    }
    if (rc != MK_OK && mk_refuse(c, s, rc == MK_E_NOTFOUND ? "item-not-found" : "bad-request", NULL) != MK_OK)
        mk_log(c, MK_ERROR, "could not refuse");
}

static const struct mk_domain_decl domains[] = { { "domain", MK_SERIAL, 0, on_room, NULL } };

MK_PLUGIN(t_archive, .version = "1.0", .summary = "Test: rooms with archives", .inst_size = sizeof(struct t_archive),
          .options = MK_TABLE(options), .needs = MK_TABLE(needs), .domains = MK_TABLE(domains));
