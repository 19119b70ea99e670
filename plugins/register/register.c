/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0077: accounts that are made, changed and removed from within a client. */
#include <arpa/inet.h>
#include <meerkat/auth.h>
#include <meerkat/plugin.h>
#include <string.h>

#define NS "jabber:iq:register"
#define NS_FEATURE "http://jabber.org/features/iq-register"

struct registration {
    bool open, allow_plain, allow_password_change, allow_removal;
    int64_t min_password, registration_timeout;
    struct mk_texts reserved;
    const char *instructions;
    const struct mk_coll *addresses;
};

enum { M_REGISTERED, M_REMOVED, M_REFUSED };
enum { COL_HOST, COL_ADDRESS, COL_EXPIRES, COL_COUNT };

static const struct mk_elem *query_of(const struct mk_stanza *iq) {
    return mk_child(iq, "query", NS);
}

static struct mk_view view(const char *text) {
    return (struct mk_view){ text, strlen(text) };
}

/* Text of a field of the query; NULL if the field is not there. */
static const char *field(struct mk_ctx *c, const struct mk_stanza *iq, const char *name) {
    const struct mk_elem *e = mk_elem_child(query_of(iq), name, NS);
    return e ? mk_text(c, e) : NULL;
}

/* Whether the iq is of an account of this host.  Accounts elsewhere have nothing to register here. */
static bool is_ours(struct mk_ctx *c, const struct mk_jid *from) {
    struct mk_view a = mk_jid_domain(from), b = mk_jid_domain(mk_host(c));
    return mk_jid_local(from).len && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* ---- the addresses that registered a while ago -------------------------------------------------------------------------- */

/* "203.0.113.7:50123" without the port; an IPv6 address without its last 64 bits, which are the client's to choose. */
static const char *address_key(struct mk_ctx *c, const char *address) {
    const char *port = strrchr(address, ':');
    struct in6_addr v6;
    size_t len = port ? (size_t)(port - address) : strlen(address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    char *text = mk_text_of(c, (struct mk_view){ address, len });
    if (inet_pton(AF_INET6, text, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
        return text;
    memset(v6.s6_addr + 8, 0, 8);
    char *prefix = mk_alloc(c, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET6, &v6, prefix, INET6_ADDRSTRLEN) ? prefix : text;
}

static struct mk_value expiry(struct mk_ctx *c) {
    const struct registration *me = mk_inst(c);
    int64_t now = mk_now(c), ms = me->registration_timeout;
    return ms < (INT64_MAX - now) / 1000 ? mk_v_time(now + ms * 1000) : mk_v_null();
}

/*
 * Takes the address's turn.  MK_E_BUSY if it had one a while ago.  The row stands before the account is made, so that
 * many connections at once do not get many accounts.
 */
MK_SUSPENDS static int take_turn(struct mk_ctx *c, const char *address) {
    const struct registration *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), key[] = { host, mk_v_text(address) };
    const struct mk_row *row;
    if (!me->registration_timeout || !*address)
        return MK_OK;
    int rc = mk_get(c, me->addresses, key, &row);
    if (rc != MK_E_NOTFOUND)
        return rc == MK_OK ? MK_E_BUSY : rc;
    const struct mk_value values[COL_COUNT] = { host, mk_v_text(address), expiry(c) };
    return mk_put_now(c, me->addresses, MK_UPSERT, values);
}

static void give_turn_back(struct mk_ctx *c, const char *address) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(address) };
    if (me->registration_timeout && *address && mk_del_later(c, me->addresses, key) != MK_OK)
        mk_log(c, MK_DEBUG, "%s has to wait although it did not register", address);
}

/* ---- registering -------------------------------------------------------------------------------------------------------- */

static int refuse(struct mk_ctx *c, const struct mk_stanza *iq, const char *cond, const char *text) {
    mk_count(c, M_REFUSED, 1);
    return mk_refuse(c, iq, cond, text);
}

static bool is_reserved(const struct registration *me, struct mk_view local) {
    for (uint32_t i = 0; i < me->reserved.count; i++)
        if (strlen(me->reserved.items[i]) == local.len && memcmp(me->reserved.items[i], local.s, local.len) == 0)
            return true;
    return false;
}

/* Characters of UTF-8 text. */
static int64_t length(const char *text) {
    int64_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static bool may_register_on(const struct registration *me, const struct mk_stream *st) {
    return me->open && st && (me->allow_plain || mk_stream_is_secure(st));
}

/* The answer to what mk_account_create() or mk_account_set_password() said. */
static int answer_rc(struct mk_ctx *c, const struct mk_stanza *iq, int rc) {
    if (rc == MK_E_INVALID)
        return refuse(c, iq, "not-acceptable", "The password can't be used.");
    if (rc == MK_E_UNSUPPORTED)
        return refuse(c, iq, "not-allowed", NULL);
    return rc == MK_OK ? mk_send(mk_reply(c, iq)) : rc;
}

MK_SUSPENDS static int create(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_jid *account,
                              const char *password) {
    const char *address = address_key(c, mk_stream_address(mk_current_stream(c)));
    int rc = take_turn(c, address);
    if (rc == MK_E_BUSY)
        return refuse(c, iq, "resource-constraint", "Your address registered a while ago. Try again later.");
    if (rc != MK_OK)
        return rc;
    rc = mk_account_create(c, account, password);
    if (rc == MK_OK) {
        mk_count(c, M_REGISTERED, 1);
        mk_log(c, MK_NOTICE, "%s registered from %s", mk_jid_text(account), address);
    } else {
        give_turn_back(c, address);
    }
    return answer_rc(c, iq, rc);
}

MK_SUSPENDS static int on_register(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    const char *name = field(c, iq, "username"), *password = field(c, iq, "password");
    const struct mk_jid *account;
    if (!may_register_on(me, mk_current_stream(c)))
        return refuse(c, iq, "not-allowed", NULL);
    if (mk_elem_child(query_of(iq), "remove", NS))
        return refuse(c, iq, "unexpected-request", NULL);
    if (!name || !*name || !password || !*password)
        return refuse(c, iq, "not-acceptable", "A name and a password are needed.");
    if (mk_jid_make(c, view(name), mk_jid_domain(mk_host(c)), view(""), &account) != MK_OK)
        return refuse(c, iq, "not-acceptable", "The name can't be used.");
    if (is_reserved(me, mk_jid_local(account)))
        return refuse(c, iq, "not-acceptable", "The name is reserved.");
    if (length(password) < me->min_password)
        return refuse(c, iq, "not-acceptable", "The password is too short.");
    return create(c, iq, account, password);
}

static int on_form(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    if (!may_register_on(me, mk_current_stream(c)))
        return refuse(c, iq, "not-allowed", NULL);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "instructions", NULL, me->instructions);
    mk_leaf(o, "username", NULL, NULL);
    mk_leaf(o, "password", NULL, NULL);
    return mk_send(o);
}

/* ---- accounts that are logged in ------------------------------------------------------------------------------------------ */

static int on_registered(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "registered", NULL, NULL);
    mk_leaf(o, "username", NULL, mk_text_of(c, mk_jid_local(mk_stanza_from(iq))));
    mk_leaf(o, "password", NULL, NULL);
    return mk_send(o);
}

MK_SUSPENDS static int change_password(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    const struct mk_jid *account = mk_jid_to_bare(c, mk_stanza_from(iq)), *named;
    const char *name = field(c, iq, "username"), *password = field(c, iq, "password");
    if (!me->allow_password_change)
        return refuse(c, iq, "not-allowed", NULL);
    if (!name || !password || !*password)
        return refuse(c, iq, "bad-request", "The name and the new password are needed.");
    if (mk_jid_make(c, view(name), mk_jid_domain(account), view(""), &named) != MK_OK || !mk_jid_same(named, account))
        return refuse(c, iq, "forbidden", "That is not your name.");
    if (length(password) < me->min_password)
        return refuse(c, iq, "not-acceptable", "The password is too short.");
    int rc = mk_account_set_password(c, account, password);
    if (rc == MK_OK)
        mk_log(c, MK_NOTICE, "%s changed its password", mk_jid_text(account));
    return answer_rc(c, iq, rc);
}

/* Why the account may not be removed, or NULL. */
static const char *removal_refused(const struct registration *me, const struct mk_stanza *iq) {
    const struct mk_elem *first = mk_elem_first(query_of(iq));
    if (!me->allow_removal)
        return "not-allowed";
    return mk_elem_next(first) || !mk_elem_is(first, "remove", NS) ? "bad-request" : NULL;
}

static void note_removal(struct mk_ctx *c, const struct mk_jid *account, int rc) {
    if (rc == MK_OK) {
        mk_count(c, M_REMOVED, 1);
        mk_log(c, MK_NOTICE, "%s removed itself", mk_jid_text(account));
    } else {
        mk_log(c, MK_ERROR, "%s wanted to be removed and was not: %s", mk_jid_text(account), mk_strerror(rc));
    }
}

/* In the account's turn: its sessions end after the turn, so that the answer still reaches the one that asked. */
MK_SUSPENDS static int remove_self(struct mk_ctx *c, const struct mk_stanza *iq) {
    struct mk_session *session = mk_session_find(c, mk_jid_resource(mk_stanza_from(iq)));
    const char *wrong = removal_refused(mk_inst(c), iq);
    const struct mk_stanza *answer;
    if (wrong)
        return refuse(c, iq, wrong, NULL);
    int rc = mk_account_remove(c, mk_self(c));
    note_removal(c, mk_self(c), rc);
    if (rc != MK_OK)
        return rc == MK_E_UNSUPPORTED ? refuse(c, iq, "not-allowed", NULL) : rc;
    if (mk_seal(mk_reply(c, iq), &answer) == MK_OK && session)
        mk_session_send(c, session, answer, NULL);
    return MK_OK;
}

/* In the host's turn: the answer goes first, for the removal ends the session that waits for it. */
MK_SUSPENDS static int remove_other(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_jid *account = mk_jid_to_bare(c, mk_stanza_from(iq));
    const char *wrong = removal_refused(mk_inst(c), iq);
    if (wrong)
        return refuse(c, iq, wrong, NULL);
    int rc = mk_send(mk_reply(c, iq));
    note_removal(c, account, rc == MK_OK ? mk_account_remove(c, account) : rc);
    return rc;
}

/* ---- iqs ------------------------------------------------------------------------------------------------------------------ */

static int on_host_get(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_jid *from = mk_stanza_from(iq);
    if (!from)
        return on_form(c, iq);
    return is_ours(c, from) ? on_registered(c, iq) : refuse(c, iq, "forbidden", NULL);
}

MK_SUSPENDS static int on_host_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct mk_jid *from = mk_stanza_from(iq);
    bool remove = mk_elem_child(query_of(iq), "remove", NS);
    if (!from)
        return on_register(c, iq);
    if (!is_ours(c, from))
        return refuse(c, iq, remove ? "registration-required" : "forbidden", NULL);
    return remove ? remove_other(c, iq) : change_password(c, iq);
}

MK_SUSPENDS static int on_account_set(struct mk_ctx *c, const struct mk_stanza *iq) {
    return mk_elem_child(query_of(iq), "remove", NS) ? remove_self(c, iq) : change_password(c, iq);
}

static void put_feature(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features) {
    if (may_register_on(mk_inst(c), st))
        mk_leaf(features, "register", NS_FEATURE, NULL);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct registration, open, "false", MK_OPT_LIVE,
                "Whether anybody may make an account. Open servers attract spammers."),
    MK_OPT_BOOL(
        struct registration, allow_plain, "false", MK_OPT_LIVE,
        "Whether an account may be made over a connection without TLS, which shows its password to the network."),
    MK_OPT_BOOL(struct registration, allow_password_change, "true", MK_OPT_LIVE,
                "Whether accounts may change their password."),
    MK_OPT_BOOL(struct registration, allow_removal, "true", MK_OPT_LIVE, "Whether accounts may remove themselves."),
    MK_OPT_INT(struct registration, min_password, "8", 1, 128, MK_OPT_LIVE, "Fewest characters of a new password."),
    MK_OPT_DURATION(struct registration, registration_timeout, "10m", 0, INT64_MAX, MK_OPT_LIVE,
                    "How long an address has to wait after it registered an account. 0: it need not."),
    MK_OPT_TEXTS(struct registration, reserved, "admin, administrator, root, postmaster, abuse", MK_OPT_LIVE,
                 "Names that nobody can register, in lower case."),
    MK_OPT_TEXT(struct registration, instructions, "Choose a name and a password.", MK_OPT_LIVE,
                "What clients show to who registers."),
};
static const struct mk_col_decl cols[COL_COUNT] = {
    [COL_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [COL_ADDRESS] = { "address", MK_C_TEXT, MK_COL_SORT,
                      "Address that registered an account; of IPv6 the first 64 bits." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it may do so again; null is never." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct registration, addresses, "register_address", 1, MK_COLL_TRANSIENT, 0, cols, MK_NO_INDEX,
                  "Addresses that registered an account a while ago."),
};
/* To the host SERIAL, for that is what streams without an account need. */
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_SERVER, MK_GET, MK_SERIAL, MK_UNAUTHED, on_host_get },
    { "query", NS, MK_TO_SERVER, MK_SET, MK_SERIAL, MK_UNAUTHED, on_host_set },
    { "query", NS, MK_TO_ACCOUNT, MK_GET, MK_INLINE, MK_OWNER, on_registered },
    { "query", NS, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_account_set },
};
static const struct mk_feature_decl features[] = {
    { "register", NS_FEATURE, MK_WHEN_CONNECTED, 0, put_feature },
};
static const struct mk_metric_decl metrics[] = {
    [M_REGISTERED] = { "registered", MK_COUNTER, 0, "accounts", "Accounts that were made by who uses them." },
    [M_REMOVED] = { "removed", MK_COUNTER, 0, "accounts", "Accounts that removed themselves." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "requests", "Requests that were refused." },
};
static const struct mk_disco_decl disco[] = {
    { NS, MK_TO_SERVER, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0077", "2.4", "complete", "Without data forms, redirection, and registration with other services." },
};

MK_PLUGIN(register, .version = "1.0", .summary = "Registration and change of password from within a client (XEP-0077)",
          .inst_size = sizeof(struct registration), .options = MK_TABLE(options), .collections = MK_TABLE(collections),
          .iqs = MK_TABLE(iqs), .features = MK_TABLE(features), .metrics = MK_TABLE(metrics), .disco = MK_TABLE(disco),
          .xeps = MK_TABLE(xeps));
