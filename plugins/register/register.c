/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0077: accounts that are made, changed and removed from within a client. */
#include "register.h"
#include "rules.h"
#include <arpa/inet.h>
#include <meerkat/auth.h>
#include <string.h>

#define NS_FEATURE "http://jabber.org/features/iq-register"
#define NS_OOB "jabber:x:oob"

enum { M_REGISTERED, M_REMOVED, M_REFUSED };
enum { COL_HOST, COL_ADDRESS, COL_EXPIRES, COL_REGISTERED, COL_COUNT };

static const struct mk_elem *query_of(const struct mk_stanza *iq) {
    return mk_child(iq, "query", NS);
}

/* The form that was filled in, or NULL. */
static const struct mk_elem *form_of(const struct mk_stanza *iq) {
    return mk_elem_child(query_of(iq), "x", MK_NS_FORM);
}

/* Text of a field of the form, if there is one, or of the query; NULL if the field is not there. */
static const char *field(struct mk_ctx *c, const struct mk_stanza *iq, const char *name) {
    if (form_of(iq))
        return mk_form_value(c, form_of(iq), name);
    const struct mk_elem *e = mk_elem_child(query_of(iq), name, NS);
    return e ? mk_text(c, e) : NULL;
}

/* Whether the iq is of an account of this host.  Accounts elsewhere have nothing to register here. */
static bool is_ours(struct mk_ctx *c, const struct mk_jid *from) {
    struct mk_view a = mk_jid_domain(from), b = mk_jid_domain(mk_host(c));
    return mk_jid_local(from).len && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* ---- the addresses that registered a while ago -------------------------------------------------------------------------- */

/* "203.0.113.7:50123" without the port. */
static const char *address_of(struct mk_ctx *c, const struct mk_stream *st) {
    const char *address = mk_stream_address(st), *port = strrchr(address, ':');
    size_t len = port ? (size_t)(port - address) : strlen(address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    return mk_text_of(c, (struct mk_view){ address, len });
}

/* An IPv6 address without its last 64 bits, which are the client's to choose. */
static const char *address_key(struct mk_ctx *c, const char *text) {
    struct in6_addr v6;
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
 * Takes one of the address's turns.  MK_E_BUSY if it has had them all.  It is noted before the account is made, so that
 * many connections at once do not get many accounts.
 */
MK_SUSPENDS static int take_turn(struct mk_ctx *c, const char *address) {
    const struct registration *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c)), key[] = { host, mk_v_text(address) };
    const struct mk_value values[COL_COUNT] = { host, mk_v_text(address), expiry(c), mk_v_int(1) };
    int64_t count;
    if (!me->registration_timeout || !*address)
        return MK_OK;
    int rc = mk_put_now(c, me->addresses, MK_IF_ABSENT, values);
    if (rc != MK_E_CONFLICT)
        return rc;
    rc = mk_add(c, me->addresses, key, COL_REGISTERED, 1, &count);
    if (rc == MK_E_NOTFOUND) /* it expired at this moment */
        return mk_put_now(c, me->addresses, MK_UPSERT, values);
    return rc == MK_OK && count > me->registrations ? MK_E_BUSY : rc;
}

MK_SUSPENDS static void give_turn_back(struct mk_ctx *c, const char *address) {
    const struct registration *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(address) };
    int64_t count;
    if (me->registration_timeout && *address && mk_add(c, me->addresses, key, COL_REGISTERED, -1, &count) != MK_OK)
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

/* What is wrong with a new password, or NULL. */
static const char *password_wrong(const struct registration *me, const char *password) {
    if (text_length(password) < me->min_password)
        return "The password is too short.";
    if (password_entropy(password) < (double)me->min_entropy)
        return "The password is too easy to guess: make it longer, or of more kinds of characters.";
    return NULL;
}

/* The first rule that matches decides; without one everybody may. */
static bool network_allows(const struct registration *me, const char *address) {
    for (uint32_t i = 0; i < me->networks.count; i++) {
        bool allow, matches;
        if (network_rule(me->networks.items[i], address, &allow, &matches) && matches)
            return allow;
    }
    return true;
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

/* Whether the stream has shown a good invitation. */
static bool is_invited(struct mk_ctx *c, struct mk_stream *st) {
    const struct registration *me = mk_inst(c);
    const char *name;
    return st && me->invites && (me->allow_plain || mk_stream_is_secure(st)) &&
           mk_invites_shown(c, me->invites, st, &name) == MK_OK;
}

/* An account that has to wait does so before it is there: nobody can slip in. */
MK_SUSPENDS static int make(struct mk_ctx *c, const struct mk_jid *account, const char *password, const char *address) {
    const struct registration *me = mk_inst(c);
    int rc = mk_account_exists(c, account);
    if (rc != MK_E_NOTFOUND)
        return rc == MK_OK ? MK_E_CONFLICT : rc;
    rc = me->approval ? waiting_begin(c, account, address) : MK_OK;
    if (rc != MK_OK)
        return rc;
    rc = mk_account_create(c, account, password);
    if (rc != MK_OK && me->approval)
        waiting_end(c, account);
    return rc;
}

/* With an invitation neither address nor approval matter. */
MK_SUSPENDS static int create_invited(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_jid *account,
                                      const char *password) {
    const struct registration *me = mk_inst(c);
    struct mk_stream *st = mk_current_stream(c);
    const char *address = address_of(c, st);
    int rc = mk_invites_take(c, me->invites, st);
    if (rc == MK_E_LIMIT)
        return refuse(c, iq, "not-allowed", "The invitation was used or taken back.");
    if (rc != MK_OK)
        return rc;
    rc = mk_account_create(c, account, password);
    if (rc == MK_OK) {
        mk_count(c, M_REGISTERED, 1);
        mk_log(c, MK_NOTICE, "%s registered from %s with an invitation", mk_jid_text(account), address);
        tell_registered(c, account, address, false);
        rc = mk_invites_made(c, me->invites, st, account);
    } else if (mk_invites_give_back(c, me->invites, st) != MK_OK) {
        mk_log(c, MK_WARNING, "an invitation counts as used although it was not");
    }
    return answer_rc(c, iq, rc);
}

MK_SUSPENDS static int create(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_jid *account,
                              const char *password) {
    const struct registration *me = mk_inst(c);
    const char *address = address_of(c, mk_current_stream(c)), *key = address_key(c, address);
    int rc = take_turn(c, key);
    if (rc == MK_E_BUSY)
        return refuse(c, iq, "resource-constraint", "Your address registered a while ago. Try again later.");
    if (rc != MK_OK)
        return rc;
    rc = make(c, account, password, address);
    if (rc == MK_OK) {
        mk_count(c, M_REGISTERED, 1);
        mk_log(c, MK_NOTICE, "%s registered from %s", mk_jid_text(account), address);
        tell_registered(c, account, address, me->approval);
    } else {
        give_turn_back(c, key);
    }
    return answer_rc(c, iq, rc);
}

/* Why the stream may not register at all, or NULL. */
static const char *stranger_refused(struct mk_ctx *c, struct mk_stream *st) {
    const struct registration *me = mk_inst(c);
    if (is_invited(c, st))
        return NULL;
    if (!may_register_on(me, st))
        return "not-allowed";
    return network_allows(me, address_of(c, st)) ? NULL : "forbidden";
}

/* Why the stream can't have the name, or NULL. */
MK_SUSPENDS static const char *name_refused(struct mk_ctx *c, struct mk_stream *st, const struct mk_jid *account,
                                            const char **why) {
    const struct registration *me = mk_inst(c);
    const char *wanted = NULL;
    bool named = me->invites && mk_invites_shown(c, me->invites, st, &wanted) == MK_OK && wanted;
    int rc = me->invites ? mk_invites_check(c, me->invites, st, account) : MK_OK;
    *why = "The name is kept for somebody else.";
    if (rc == MK_E_CONFLICT)
        return "conflict";
    *why = "Your invitation is for another name.";
    if (rc == MK_E_DENIED)
        return "not-acceptable";
    *why = "The name is reserved.";
    return !named && is_reserved(me, mk_jid_local(account)) ? "not-acceptable"
           : rc == MK_OK                                    ? NULL
                                                            : "internal-server-error";
}

MK_SUSPENDS static int on_register(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    const char *name = field(c, iq, "username"), *password = field(c, iq, "password");
    struct mk_stream *st = mk_current_stream(c);
    const char *wrong = stranger_refused(c, st), *why;
    const struct mk_jid *account;
    if (wrong)
        return refuse(c, iq, wrong, NULL);
    if (mk_elem_child(query_of(iq), "remove", NS))
        return refuse(c, iq, "unexpected-request", NULL);
    if (!name || !*name || !password || !*password)
        return refuse(c, iq, "not-acceptable", "A name and a password are needed.");
    if (mk_jid_make(c, view_of(name), mk_jid_domain(mk_host(c)), view_of(""), &account) != MK_OK)
        return refuse(c, iq, "not-acceptable", "The name can't be used.");
    const char *cond = name_refused(c, st, account, &why);
    if (cond)
        return refuse(c, iq, cond, why);
    bool invited = is_invited(c, st);
    if ((why = password_wrong(me, password)) != NULL || (!invited && !challenge_met(c, st, form_of(iq), &why)))
        return refuse(c, iq, "not-acceptable", why);
    return invited ? create_invited(c, iq, account, password) : create(c, iq, account, password);
}

static void put_form(struct mk_ctx *c, struct mk_out *o, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    mk_open(o, "x", MK_NS_FORM);
    mk_put(o, "type", "form");
    mk_leaf(o, "title", NULL, "Registration");
    mk_leaf(o, "instructions", NULL, me->instructions);
    mk_form_put(o, "FORM_TYPE", "hidden", NULL, NS, false);
    struct mk_stream *st = mk_current_stream(c);
    const char *name = NULL;
    if (is_invited(c, st) && mk_invites_shown(c, me->invites, st, &name) != MK_OK)
        name = NULL;
    mk_form_put(o, "username", "text-single", "Name", name, true);
    mk_form_put(o, "password", "text-private", "Password", NULL, true);
    if (!is_invited(c, st))
        challenge_put(c, st, o, mk_stanza_id(iq));
    mk_close(o);
    challenge_put_data(c, st, o);
}

static void put_url(struct mk_out *o, const char *url) {
    mk_open(o, "x", NS_OOB);
    mk_leaf(o, "url", NULL, url);
    mk_close(o);
}

/* Elsewhere: XEP-0077, 6. */
static int redirect(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "instructions", NULL, me->instructions);
    put_url(o, me->url);
    return mk_send(o);
}

static int on_form(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct registration *me = mk_inst(c);
    const char *wrong = stranger_refused(c, mk_current_stream(c));
    if (wrong && !me->open && me->url)
        return redirect(c, iq);
    if (wrong)
        return refuse(c, iq, wrong, NULL);
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "query", NS);
    mk_leaf(o, "instructions", NULL, me->instructions);
    mk_leaf(o, "username", NULL, NULL);
    mk_leaf(o, "password", NULL, NULL);
    put_form(c, o, iq);
    if (me->url)
        put_url(o, me->url);
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
    if (mk_jid_make(c, view_of(name), mk_jid_domain(account), view_of(""), &named) != MK_OK ||
        !mk_jid_same(named, account))
        return refuse(c, iq, "forbidden", "That is not your name.");
    const char *wrong = password_wrong(me, password);
    if (wrong)
        return refuse(c, iq, "not-acceptable", wrong);
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
    const struct registration *me = mk_inst(c);
    bool elsewhere = (me->url || me->invites) && !me->open && mk_stream_is_secure(st);
    if (may_register_on(me, st) || elsewhere)
        mk_leaf(features, "register", NS_FEATURE, NULL);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

static int start(void *inst, struct mk_err *err) {
    const struct registration *me = inst;
    bool allow, matches;
    for (uint32_t i = 0; i < me->networks.count; i++)
        if (!network_rule(me->networks.items[i], "", &allow, &matches))
            return mk_fail(err, MK_E_INVALID,
                           "`%s` in networks is no rule: write \"allow 192.0.2.0/24\" or \"deny ::/0\"",
                           me->networks.items[i]);
    for (uint32_t i = 0; i < me->registration_watchers.count; i++)
        if (!strchr(me->registration_watchers.items[i], '.') && !strchr(me->registration_watchers.items[i], '@'))
            return mk_fail(err, MK_E_INVALID, "`%s` in registration_watchers is no address",
                           me->registration_watchers.items[i]);
    return challenge_check(me, err);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static const char *const captchas[] = {
    [CAPTCHA_NONE] = "none", [CAPTCHA_QUESTION] = "question", [CAPTCHA_IMAGE] = "image", [CAPTCHA_BOTH] = "both", NULL
};
static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct registration, open, "false", MK_OPT_LIVE,
                "Whether anybody may make an account. Open servers attract spammers."),
    MK_OPT_BOOL(
        struct registration, allow_plain, "false", MK_OPT_LIVE,
        "Whether an account may be made over a connection without TLS, which shows its password to the network."),
    MK_OPT_BOOL(struct registration, allow_password_change, "true", MK_OPT_LIVE,
                "Whether accounts may change their password."),
    MK_OPT_BOOL(struct registration, allow_removal, "true", MK_OPT_LIVE, "Whether accounts may remove themselves."),
    MK_OPT_BOOL(struct registration, approval, "false", MK_OPT_LIVE,
                "Whether an administrator has to approve an account before anybody can log in to it."),
    MK_OPT_ENUM(struct registration, captcha, "none", captchas, 0,
                "What shows that a person asks: a \"question\", an \"image\" with text, the choice of \"both\", or "
                "\"none\"."),
    MK_OPT_TEXTS(struct registration, questions, NULL, 0,
                 "Questions to choose from, each with its answer: \"What colour is snow? | white\"."),
    MK_OPT_INT(struct registration, min_password, "8", 1, 128, MK_OPT_LIVE, "Fewest characters of a new password."),
    MK_OPT_INT(struct registration, min_entropy, "0", 0, 512, MK_OPT_LIVE,
               "Fewest bits of a new password: its length times the logarithm of how many characters there are of the "
               "kinds in it."),
    MK_OPT_DURATION(struct registration, registration_timeout, "10m", 0, INT64_MAX, MK_OPT_LIVE,
                    "How long an address has to wait after it registered its accounts. 0: it need not."),
    MK_OPT_INT(struct registration, registrations, "1", 1, 1000, MK_OPT_LIVE,
               "How many accounts an address may register in that time."),
    MK_OPT_TEXTS(struct registration, networks, NULL, 0,
                 "Who may register by address: \"allow 192.0.2.0/24\", \"deny ::/0\". The first that fits decides; "
                 "if none does, one may."),
    MK_OPT_TEXTS(struct registration, registration_watchers, NULL, 0,
                 "Addresses that get a message for each account that is registered."),
    MK_OPT_TEXTS(struct registration, reserved, "admin, administrator, root, postmaster, abuse", MK_OPT_LIVE,
                 "Names that nobody can register, in lower case."),
    MK_OPT_TEXT(struct registration, instructions, "Choose a name and a password.", MK_OPT_LIVE,
                "What clients show to who registers."),
    MK_OPT_TEXT(struct registration, url, NULL, MK_OPT_LIVE,
                "A web page where one can register as well; or only there, if `open` is false."),
};
static const struct mk_col_decl cols[COL_COUNT] = {
    [COL_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [COL_ADDRESS] = { "address", MK_C_TEXT, MK_COL_SORT,
                      "Address that registered an account; of IPv6 the first 64 bits." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it may do so again; null is never." },
    [COL_REGISTERED] = { "registered", MK_C_INT, 0, "How many." },
};
static const struct mk_index_decl waiting_indexes[] = {
    { "by_host", "host", "since" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct registration, addresses, "register_address", 2, MK_COLL_TRANSIENT, 0, cols, MK_NO_INDEX,
                  "Addresses that registered an account a while ago."),
    MK_COLLECTION(struct registration, waiting, "register_waiting", 1, 0, 0, waiting_cols, MK_TABLE(waiting_indexes),
                  "Accounts that wait for approval."),
};
/* To the host SERIAL, for that is what streams without an account need. */
static const struct mk_iq_decl iqs[] = {
    { "query", NS, MK_TO_SERVER, MK_GET, MK_SERIAL, MK_UNAUTHED, on_host_get },
    { "query", NS, MK_TO_SERVER, MK_SET, MK_SERIAL, MK_UNAUTHED, on_host_set },
    { "query", NS, MK_TO_ACCOUNT, MK_GET, MK_INLINE, MK_OWNER, on_registered },
    { "query", NS, MK_TO_ACCOUNT, MK_SET, MK_SERIAL, MK_OWNER, on_account_set },
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct registration, accounts, mk_accounts, 1, 0, MK_NEED_SOFT, NULL),
    MK_NEED(struct registration, invites, mk_invites, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(login, 40, MK_SERIAL, waiting_on_login),
    MK_ON(accounts_listed, 60, MK_SERIAL, waiting_on_listed),
    MK_ON(account_removed, 50, MK_SERIAL, waiting_on_removed),
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
    { "0077", "2.4", "complete", "Without registration with other services." },
    { "0158", "1.0", "partial",
      "In registration: text in an image, a question; no stanza is answered by a challenge." },
    { "0221", "1.0", "complete", "" },
    { "0231", "1.1", "partial", "The image goes along with the form." },
    { "0066", "1.5", "partial", "The page to register on." },
};

MK_PLUGIN(register, .version = "1.0", .summary = "Registration and change of password from within a client (XEP-0077)",
          .inst_size = sizeof(struct registration), .start = start, .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .hooks = MK_TABLE(hooks),
          .commands = { waiting_commands, WAITING_COMMANDS, sizeof(struct mk_cmd_decl) },
          .collections = MK_TABLE(collections), .iqs = MK_TABLE(iqs), .features = MK_TABLE(features),
          .metrics = MK_TABLE(metrics), .disco = MK_TABLE(disco), .xeps = MK_TABLE(xeps));
