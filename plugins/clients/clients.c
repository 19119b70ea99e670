/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of an account: who they say they are, their tokens (XEP-0484), and taking access away (XEP-0494). */
#include "clients.h"
#include <gnutls/crypto.h>
#include <string.h>

enum { ID_BYTES = 12, TRIES = 3 };
/* A login that changes nothing else is noted at most this often, us. */
#define NOTE_EVERY (INT64_C(3600) * 1000000)

const char *client_id(struct mk_ctx *c, const struct mk_jid *account, const struct mk_agent *agent) {
    const char *text = mk_printf(c, "client %s %s", mk_jid_text(account), agent->id);
    uint8_t digest[32];
    char *out = mk_alloc(c, 2 * ID_BYTES + 1);
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
    for (unsigned i = 0; i < ID_BYTES; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return out;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static struct token read_token(const struct mk_row *row, unsigned text, unsigned mechanism, unsigned expires) {
    if (mk_row_is_null(row, text) || mk_row_is_null(row, mechanism))
        return (struct token){ NULL, NULL, 0 };
    return (struct token){ mk_row_text(row, text), mk_row_text(row, mechanism), mk_row_int(row, expires) };
}

void client_read(const struct mk_row *row, struct client *out) {
    *out = (struct client){ .id = mk_row_text(row, COL_ID),
                            .software = mk_row_text(row, COL_SOFTWARE),
                            .device = mk_row_text(row, COL_DEVICE),
                            .version = mk_row_int(row, COL_VERSION),
                            .first_seen = mk_row_int(row, COL_FIRST_SEEN),
                            .last_seen = mk_row_int(row, COL_LAST_SEEN),
                            .methods = mk_row_int(row, COL_METHODS),
                            .fresh = read_token(row, COL_NEW_TOKEN, COL_NEW_MECHANISM, COL_NEW_EXPIRES),
                            .current = read_token(row, COL_TOKEN, COL_MECHANISM, COL_TOKEN_EXPIRES),
                            .count = mk_row_int(row, COL_COUNT) };
}

int client_get(struct mk_ctx *c, const struct mk_jid *account, const char *id, struct client *out) {
    const struct clients *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(account), mk_v_text(id) };
    const struct mk_row *row;
    int rc = mk_get(c, me->clients, key, &row);
    if (rc == MK_OK)
        client_read(row, out);
    else
        *out = (struct client){ .id = id, .software = "", .device = "" };
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

int client_put(struct mk_ctx *c, const struct mk_jid *account, struct client *k) {
    const struct clients *me = mk_inst(c);
    int64_t forget = me->forget_after == INT64_MAX ? 0 : k->last_seen + me->forget_after * 1000;
    const struct mk_value row[COL_COUNT_] = {
        [COL_OWNER] = mk_v_jid(account),
        [COL_ID] = mk_v_text(k->id),
        [COL_VERSION] = mk_v_int(k->version + 1),
        [COL_SOFTWARE] = mk_v_text(k->software),
        [COL_DEVICE] = mk_v_text(k->device),
        [COL_FIRST_SEEN] = mk_v_time(k->first_seen),
        [COL_LAST_SEEN] = mk_v_time(k->last_seen),
        [COL_METHODS] = mk_v_int(k->methods),
        [COL_NEW_TOKEN] = mk_v_text(k->fresh.text),
        [COL_NEW_MECHANISM] = mk_v_text(k->fresh.mechanism),
        [COL_NEW_EXPIRES] = mk_v_time(k->fresh.expires),
        [COL_TOKEN] = mk_v_text(k->current.text),
        [COL_MECHANISM] = mk_v_text(k->current.mechanism),
        [COL_TOKEN_EXPIRES] = mk_v_time(k->current.expires),
        [COL_COUNT] = mk_v_int(k->count),
        [COL_EXPIRES] = forget ? mk_v_time(forget) : mk_v_null(),
    };
    int rc = k->version ? mk_put_if(c, me->clients, COL_VERSION, mk_v_int(k->version), row)
                        : mk_put_now(c, me->clients, MK_IF_ABSENT, row);
    if (rc == MK_OK)
        k->version++;
    return rc;
}

/* ---- logins ------------------------------------------------------------------------------------------------------ */

/* There is room for one more: the one that was not seen for longest goes. */
MK_SUSPENDS static int make_room(struct mk_ctx *c) {
    const struct clients *me = mk_inst(c);
    const struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->clients, MK_SCAN(.partition = &owner), &rows);
    if (rc != MK_OK || (int64_t)mk_rows_count(rows) < me->max_clients)
        return rc;
    const struct mk_row *oldest = mk_rows_at(rows, 0);
    for (size_t i = 1; i < mk_rows_count(rows); i++)
        if (mk_row_int(mk_rows_at(rows, i), COL_LAST_SEEN) < mk_row_int(oldest, COL_LAST_SEEN))
            oldest = mk_rows_at(rows, i);
    const struct mk_value key[] = { owner, mk_v_text(mk_row_text(oldest, COL_ID)) };
    return mk_del(c, me->clients, key);
}

/* True if there is something to write. */
static bool note(struct mk_ctx *c, const struct mk_inline *in, const struct mk_agent *agent, struct client *k) {
    const struct clients *me = mk_inst(c);
    const char *mechanism = mk_attr(in->all, "mechanism");
    int64_t method = strncmp(mechanism, "HT-", 3) == 0 ? BY_TOKEN : BY_PASSWORD;
    const char *software = me->names ? agent->software : "", *device = me->names ? agent->device : "";
    bool changed = !k->version || mk_now(c) - k->last_seen > NOTE_EVERY || !(k->methods & method) ||
                   strcmp(k->software, software) != 0 || strcmp(k->device, device) != 0;
    k->software = software;
    k->device = device;
    k->methods |= method;
    k->first_seen = k->version ? k->first_seen : mk_now(c);
    k->last_seen = mk_now(c);
    return changed;
}

MK_SUSPENDS static int try_login(struct mk_ctx *c, const struct mk_inline *in, const struct mk_agent *agent) {
    struct client k;
    int rc = client_get(c, mk_self(c), client_id(c, mk_self(c), agent), &k);
    if (rc != MK_OK)
        return rc;
    bool changed = note(c, in, agent, &k), renewed = tokens_renew(c, in, &k);
    if (!k.version)
        rc = make_room(c);
    if (rc == MK_OK && (changed || renewed))
        rc = client_put(c, mk_self(c), &k);
    if (rc == MK_OK && renewed)
        tokens_answer(c, in, &k);
    return rc;
}

/* A store in trouble costs the client its token, not its login. */
MK_SUSPENDS static void on_login(struct mk_ctx *c, const struct mk_inline *in) {
    const struct mk_agent *agent = mk_stream_agent(in->stream);
    int rc = MK_E_CONFLICT;
    if (!agent || !*agent->id)
        return;
    for (int i = 0; i < TRIES && rc == MK_E_CONFLICT; i++)
        rc = try_login(c, in, agent);
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "a client's login is not noted: %s", mk_strerror(rc));
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    const struct clients *me = mk_inst(c);
    struct mk_value owner = mk_v_jid(ev->account);
    if (mk_del_range(c, me->clients, MK_SCAN(.partition = &owner)) != MK_OK)
        mk_log(c, MK_ERROR, "clients of a removed account are still stored");
    return MK_NEXT;
}

/* ---- rows of the plugin ------------------------------------------------------------------------------------------ */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct clients, tokens, "true", MK_OPT_LIVE, "Whether clients get tokens to log in with (XEP-0484)."),
    MK_OPT_DURATION(struct clients, token_lifetime, "21d", 60000, 3650 * INT64_C(86400000), MK_OPT_LIVE,
                    "How long a token is good."),
    MK_OPT_DURATION(struct clients, rotate_before, "14d", 0, 3650 * INT64_C(86400000), MK_OPT_LIVE,
                    "A client that logs in with a token that is good for less than this gets a new one. 0: never."),
    MK_OPT_DURATION(struct clients, forget_after, "90d", 60000, INT64_MAX, MK_OPT_LIVE,
                    "How long a client that does not come back is remembered."),
    MK_OPT_BOOL(struct clients, names, "true", MK_OPT_LIVE,
                "Whether the names that clients give themselves and their devices are kept."),
    MK_OPT_INT(struct clients, max_clients, "50", 1, 10000, MK_OPT_LIVE,
               "Most clients of one account; past it the one that was not seen for longest is forgotten."),
};
static const struct mk_col_decl cols[COL_COUNT_] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [COL_ID] = { "id", MK_C_TEXT, MK_COL_SORT, "Digest of the id of the user agent." },
    [COL_VERSION] = { "version", MK_C_INT, 0, "Grows with each change." },
    [COL_SOFTWARE] = { "software", MK_C_TEXT, 0, "What the client calls itself." },
    [COL_DEVICE] = { "device", MK_C_TEXT, 0, "What it calls its device." },
    [COL_FIRST_SEEN] = { "first_seen", MK_C_TIME, 0, "Its first login." },
    [COL_LAST_SEEN] = { "last_seen", MK_C_TIME, 0, "Its last login, up to an hour old." },
    [COL_METHODS] = { "methods", MK_C_INT, 0, "How it has logged in: 1 with the password, 2 with a token." },
    [COL_NEW_TOKEN] = { "new_token", MK_C_TEXT, MK_COL_NULL, "Token that was given out and not used yet. Secret." },
    [COL_NEW_MECHANISM] = { "new_mechanism", MK_C_TEXT, MK_COL_NULL, "Mechanism it is for." },
    [COL_NEW_EXPIRES] = { "new_expires", MK_C_TIME, 0, "Until when it is good." },
    [COL_TOKEN] = { "token", MK_C_TEXT, MK_COL_NULL, "Token in use. Secret." },
    [COL_MECHANISM] = { "mechanism", MK_C_TEXT, MK_COL_NULL, "Mechanism it is for." },
    [COL_TOKEN_EXPIRES] = { "token_expires", MK_C_TIME, 0, "Until when it is good." },
    [COL_COUNT] = { "count", MK_C_INT, 0, "The highest count that came with it." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When the client is forgotten; null: never." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct clients, clients, "clients", 1, 0, 0, cols, MK_NO_INDEX,
                  "Clients that have logged in to accounts, with their tokens."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
};
static const struct mk_inline_decl inlines[] = {
    { NULL, NS_FAST, "fast", MK_AT_LOGIN, MK_SERIAL, 80, 0, on_login, tokens_put_offer },
};
static const struct mk_iq_decl iqs[] = {
    { "list", NS_CAM, MK_TO_ACCOUNT, MK_GET, MK_SERIAL, MK_OWNER, access_list },
    { "revoke", NS_CAM, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, access_revoke },
};
static const struct mk_metric_decl metrics[] = {
    [M_ISSUED] = { "tokens_issued", MK_COUNTER, 0, "tokens", "Tokens given to clients." },
    [M_LOGINS] = { "token_logins", MK_COUNTER, 0, "logins", "Logins with a token." },
    [M_REVOKED] = { "revoked", MK_COUNTER, 0, "clients", "Clients whose access was revoked." },
};
static const struct mk_disco_decl disco[] = {
    { NS_CAM, MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0484", "0.2.0", "complete", "HT-SHA-256; not inside of TLS early data." },
    { "0494", "0.1.0", "complete", "" },
};

MK_PLUGIN(clients, .version = "1.0", .summary = "Tokens for clients and their list (XEP-0484, XEP-0494)",
          .inst_size = sizeof(struct clients), .options = MK_TABLE(options), .collections = MK_TABLE(collections),
          .hooks = MK_TABLE(hooks), .inlines = MK_TABLE(inlines), .mechanisms = MK_TABLE(token_mechanisms),
          .iqs = MK_TABLE(iqs), .metrics = MK_TABLE(metrics), .disco = MK_TABLE(disco),
          .commands = MK_TABLE(access_commands), .xeps = MK_TABLE(xeps));
