/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook.h - the points where a plugin joins in.
 *
 * Every hook is a chain of handlers in the order of a number, 0 first to 100 last; ties go by plugin name.  The numbers
 * of the plugins that come with the server are in order.h; `meerkatctl hooks NAME` prints a chain as it runs.  A
 * handler's signature is checked by the compiler.  The list grows at its end only.
 */
#ifndef MEERKAT_HOOK_H
#define MEERKAT_HOOK_H

#include <meerkat/session.h>

MK_BEGIN_DECLS

enum mk_flow {
    MK_NEXT, /* go on down the chain */
    MK_STOP  /* I dealt with it: what that means is said at each hook */
};

/*
 * A stanza on its way.  STANZA may be replaced by a handler with another of the same kind; the rest is to be read.
 * In user_send_* hooks SESSION is the sender's.  In user_receive_* hooks SESSION is NULL, and TARGETS are the sessions
 * that the server will deliver to by RFC 6121 section 8, none if nobody is there.
 */
struct mk_ev_stanza {
    const struct mk_stanza *stanza;
    const struct mk_jid *to; /* whom it is for: never NULL, own bare JID if the stanza has no `to` */
    struct mk_session *session;
    struct mk_session *const *targets;
    uint32_t target_count;
    bool again;       /* mk_route_again(): the account had it before, and it was archived and copied then */
    uint32_t skipped; /* of the targets, the last so many do not get it: mk_skip_target() */
};

/* In a user_receive_* handler: target number I of EV, below target_count - skipped, does not get the stanza.  It changes
 * its place to the end of the targets; the others go on counting from 0, in no order that matters. */
MK_EXPORT void mk_skip_target(struct mk_ev_stanza *ev, uint32_t i);

/* A stanza on its way to one session.  TO, if not NULL, replaces its `to` on the wire. */
struct mk_ev_send {
    struct mk_session *session;
    const struct mk_stanza *stanza;
    const struct mk_jid *to;
};

enum mk_close_reason {
    MK_CLOSED_BY_CLIENT, /* the client closed its stream */
    MK_CLOSED_LOST,      /* the connection broke, or the client stopped answering */
    MK_CLOSED_REPLACED,  /* another stream bound the same resource */
    MK_CLOSED_BY_SERVER, /* a stream error, a command of the operator */
    MK_CLOSED_SHUTDOWN
};
struct mk_ev_session {
    struct mk_session *session;
    uint32_t reason; /* mk_close_reason; 0 in session_opened */
};

/* A disco#info or disco#items query (XEP-0030).  NODE is "" if the query names none.  Handlers add to REPLY, which is
 * inside <query/>.  FOR_ACCOUNT: the query is to the account mk_self(), not to the host. */
struct mk_ev_disco {
    const struct mk_stanza *iq;
    const char *node;
    struct mk_out *reply;
    bool for_account;
    bool known; /* set it if NODE is yours: a node that nobody knows is item-not-found */
    bool taken; /* set it if you answer the query yourself, now or later: REPLY is not sent */
};

/* An account that is made or removed.  mk_self() is its JID. */
struct mk_ev_account {
    const struct mk_jid *account;
};

struct mk_ev_host {
    const struct mk_jid *host;
};

/* The subscription state of a contact changed: bits MK_SUB_... of roster.h, 0 for no contact. */
struct mk_ev_contact {
    const struct mk_jid *contact; /* bare */
    uint32_t before, after;
};

/* What a session is like, beside its address, across a restart of the server. */
struct mk_ev_state {
    struct mk_session *session;
    struct mk_out *out;          /* session_saved: write one element of your namespace, or nothing */
    const struct mk_elem *saved; /* session_restored: its children are what was written */
};

/* The vCard of mk_self() changed: VCARD is the <vCard xmlns='vcard-temp'/> that it has now. */
struct mk_ev_vcard {
    const struct mk_elem *vcard;
};

/* Somebody has proved to be ACCOUNT, a bare JID, with MECHANISM, from ADDRESS ("203.0.113.7", "" if not known). */
struct mk_ev_login {
    const struct mk_jid *account;
    const char *mechanism, *address;
    const char *condition; /* set by who stops: of RFC 6120, 6.5, "account-disabled" say; static */
    const char *text;      /* set by who stops, for people: lent for the turn, or NULL */
};

/* A page of accounts of the turn's host that are listed: COUNT local parts, sorted by octets.  STATES[i] is NULL until a
 * handler sets it to one word, lent for the turn. */
struct mk_ev_accounts {
    const char *const *names;
    const char **states;
    uint32_t count, zero;
};

/* WHAT concerns all accounts of the host has changed; a plugin's name begins it. */
struct mk_ev_told {
    const char *what;
};

/* A disco feature of the host or of an account, that a row of some plugin offers. */
struct mk_ev_feature {
    const char *var;
    bool for_account;
};

/* An iq get or set for the host, or for an account's bare JID, which is mk_self(). */
struct mk_ev_request {
    const struct mk_stanza *iq;
    bool for_account;
    bool as_owner; /* set it if the sender may ask what else only the account itself may: rows with MK_OWNER */
};

/* What clients are told of a changed contact (RFC 6121, 2.1.6): an iq set of mk_self(), without `to`. */
struct mk_ev_push {
    const struct mk_stanza *push;
};

/* An external component (XEP-0114), by its domain. */
struct mk_ev_component {
    const char *domain;
};

/*
 * What a plugin stops of the presence that leaves has changed, for SESSION.  WAS_STOPPED says what was stopped before:
 * whether presence of SESSION to JID was; what is stopped now user_notify_presence tells.
 */
struct mk_ev_presence_filter {
    struct mk_session *session;
    bool (*was_stopped)(const void *arg, struct mk_session *session, const struct mk_jid *jid);
    const void *arg;
};

/* A request over HTTP (http.h).  Who stops answers it. */
struct mk_http_request;
struct mk_ev_http {
    struct mk_http_request *request;
};

/* clang-format off */
/*                name                   payload                  when, in whose turn, and what MK_STOP means          */
#define MK_HOOKS(X)                                                                                                    \
    /* Account.  A stanza of one of its sessions, before it is routed; `from` is set.  Stop: it is not routed; you    \
     * answered, or it was for the server itself. */                                                                  \
    X(user_send_message, struct mk_ev_stanza)                                                                          \
    X(user_send_presence, struct mk_ev_stanza)                                                                         \
    X(user_send_iq, struct mk_ev_stanza)                                                                               \
    /* Account.  Its presence of type subscribe, subscribed, unsubscribe, unsubscribed or probe; user_send_presence    \
     * gets the others.  Stop: it is not routed. */                                                                    \
    X(user_send_subscription, struct mk_ev_stanza)                                                                     \
    /* Account.  A stanza for it, before it is delivered; an iq to its bare JID too, which has no targets, before a     \
     * plugin answers it, unless the account itself sent it.  Stop: it is not delivered. */                            \
    X(user_receive_message, struct mk_ev_stanza)                                                                       \
    X(user_receive_presence, struct mk_ev_stanza)                                                                      \
    X(user_receive_iq, struct mk_ev_stanza)                                                                            \
    X(user_receive_subscription, struct mk_ev_stanza)                                                                  \
    /* Account.  A message that RFC 6121 section 8 keeps for later: nobody is there to take it.  Stop: it is kept.     \
     * If nobody stops, the sender gets service-unavailable. */                                                        \
    X(user_offline_message, struct mk_ev_stanza)                                                                       \
    /* Account.  One stanza for one session, last before the wire.  Stop: you took it and will mk_session_write() it   \
     * or account for it. */                                                                                           \
    X(session_send, struct mk_ev_send)                                                                                 \
    /* Account.  A stanza came from the session, before anything else sees it.  Stop is ignored. */                    \
    X(session_received, struct mk_ev_stanza)                                                                           \
    /* Account.  A resource was bound, or a session ended for good.  Stop is ignored. */                               \
    X(session_opened, struct mk_ev_session)                                                                            \
    X(session_closed, struct mk_ev_session)                                                                            \
    /* Account.  The connection is gone without a closed stream.  Stop: keep the session, detached; you end it with    \
     * mk_session_close().  If nobody stops, it is closed. */                                                          \
    X(session_lost, struct mk_ev_session)                                                                              \
    /* Account.  A session got a new stream by mk_stream_resume(). */                                                  \
    X(session_resumed, struct mk_ev_session)                                                                           \
    /* Host.  A message or presence to the host itself, or to a resource of it.  Stop: taken.  Else it is refused. */  \
    X(host_receive_message, struct mk_ev_stanza)                                                                       \
    X(host_receive_presence, struct mk_ev_stanza)                                                                      \
    /* Any entity.  A stanza for a domain that is not served here.  Stop: taken.  Else remote-server-not-found. */     \
    X(route_elsewhere, struct mk_ev_stanza)                                                                            \
    /* Host or account.  Stop is ignored. */                                                                           \
    X(disco_info, struct mk_ev_disco)                                                                                  \
    X(disco_items, struct mk_ev_disco)                                                                                 \
    /* Account.  Stop is ignored.  At account_removed every plugin deletes what it stored for the account. */          \
    X(account_created, struct mk_ev_account)                                                                           \
    X(account_removed, struct mk_ev_account)                                                                           \
    /* Host.  Once when the server begins to serve a host, and when the plugin is enabled for one. */                  \
    X(host_started, struct mk_ev_host)                                                                                 \
    /* Account.  mk_session_handled() grew after it had said less than was received.  Stop is ignored. */              \
    X(session_settled, struct mk_ev_session)                                                                           \
    /* Account.  Run by the plugin that keeps the roster, after the change is stored.  Stop is ignored. */             \
    X(contact_changed, struct mk_ev_contact)                                                                           \
    /* Account.  The session ends with the server, to be resumed when that is back; nobody has taken leave of it yet.  \
     * Stop is ignored. */                                                                                             \
    X(session_saved, struct mk_ev_state)                                                                               \
    /* Account.  The session is there again, after session_opened and before it has a stream.  Its presence follows    \
     * as if the client sent it anew.  Stop is ignored. */                                                             \
    X(session_restored, struct mk_ev_state)                                                                            \
    /* Account.  Run by the plugin that learns it: what the client of a session can do became known, or is another now   \
     * (caps.h).  Stop is ignored. */                                                                                  \
    X(session_features, struct mk_ev_session)                                                                          \
    /* Account.  It came into memory and is about to send or receive something that hooks will see: plugins load what  \
     * their INLINE handlers look at, unless they have it.  It runs once more after plugins were enabled, and, if one   \
     * stops because it could not, before the next stanza; until then what it did not load is for the plugin to know. */ \
    X(account_loaded, struct mk_ev_account)                                                                            \
    /* Account.  Presence of ev->session on its way to ev->to, that the presence plugin sends by itself: to a contact,  \
     * to who had directed presence, in answer to a probe.  Handlers are INLINE.  Stop: it is not sent. */             \
    X(user_notify_presence, struct mk_ev_stanza)                                                                       \
    /* Account.  Run by a plugin that stops user_notify_presence, when it stops other presence than before: who does    \
     * not get it any more is to see the end of it, who gets it again the current one.  Stop is ignored. */            \
    X(presence_filter_changed, struct mk_ev_presence_filter)                                                           \
    /* Account.  Run by the plugin that keeps vCards, after the change is stored.  Stop is ignored. */                 \
    X(vcard_changed, struct mk_ev_vcard)                                                                               \
    /* Any entity.  A message, not an error, for an account or a domain that does not exist.  Handlers are INLINE.     \
     * Stop: it is dealt with.  Else its sender gets service-unavailable or remote-server-not-found. */                \
    X(message_undeliverable, struct mk_ev_stanza)                                                                      \
    /* Host, in the turn of a stream that is logging in: it has proved who it is and was not told so yet.  Stop: the     \
     * login fails with ev->condition, which does not count as a wrong password. */                                    \
    X(login, struct mk_ev_login)                                                                                       \
    /* Host.  Accounts are listed by an operator: who knows of one that it is not as the others says so.  Stop is        \
     * ignored. */                                                                                                     \
    X(accounts_listed, struct mk_ev_accounts)                                                                          \
    /* Account, in memory.  A plugin called mk_tell_accounts().  Stop is ignored. */                                   \
    X(account_told, struct mk_ev_told)                                                                                 \
    /* The host that the request is for, on the worker of the connection, beside any entity.  Handlers are INLINE; one   \
     * that has to wait stops, and goes on with mk_aside().  Stop: it is answered, now or later. */                     \
    X(http_request, struct mk_ev_http)                                                                                 \
    /* Host or account, in any worker for the host.  Handlers are INLINE.  An iq before the plugin whose row it is      \
     * gets it; an account's after user_receive_iq.  Stop: you answer it, now or later. */                             \
    X(iq_request, struct mk_ev_request)                                                                                \
    /* Every host, in no entity's turn.  Handlers are INLINE.  A connection of a component has authenticated; what is   \
     * sent to it follows.  Stop is ignored. */                                                                        \
    X(component_joined, struct mk_ev_component)                                                                        \
    /* Host or account.  Run by disco for each feature of a row.  Handlers are INLINE.  Stop: it is not said. */        \
    X(disco_feature, struct mk_ev_feature)                                                                             \
    /* Account.  Run by the plugin that keeps the roster, whoever is online.  Handlers are INLINE.  Stop is ignored. */ \
    X(roster_pushed, struct mk_ev_push)                                                                                \
    /* Host.  The configuration was read anew and is in force.  Stop is ignored. */                                    \
    X(host_reloaded, struct mk_ev_host)
/* clang-format on */

#define X(name, payload) typedef enum mk_flow mk_on_##name(struct mk_ctx *, payload *);
MK_HOOKS(X)
#undef X
#define X(name, payload) MK_HOOK_##name,
enum mk_hook { MK_HOOKS(X) MK_HOOK_COUNT_ };
#undef X
#define X(name, payload) mk_on_##name *name;
union mk_hook_fn {
    MK_HOOKS(X)
};
#undef X

/*
 * mk_run_NAME(c, payload) runs the chain of a hook in the current turn: true if a handler stopped it.  For the plugin
 * whose business the hook is: disco runs disco_info, the roster contact_changed.  It suspends if a handler does, so the
 * caller is MK_SERIAL or MK_ASIDE unless it knows that all are INLINE.
 */
#define X(name, payload) MK_EXPORT bool mk_run_##name(struct mk_ctx *c, payload *ev);
MK_HOOKS(X)
#undef X

/* A row of .hooks.  PRIO 0 to 100; MODE INLINE or SERIAL. */
struct mk_hook_decl {
    uint16_t hook;
    int16_t prio;
    uint32_t mode;
    union mk_hook_fn fn;
};
#define MK_ON(hook, prio, mode, f)                                                                                     \
    {                                                                                                                  \
        MK_HOOK_##hook, (prio), (mode), {                                                                              \
            .hook = (f)                                                                                                \
        }                                                                                                              \
    }

/* ---- iq --------------------------------------------------------------------------------------------------------- */

enum { MK_TO_SERVER = 1, MK_TO_ACCOUNT = 2 };
enum { MK_GET = 1, MK_SET = 2 };

/*
 * An iq that the plugin answers: get or set whose first child is NAME in NS.  TO: to the host, to an account (its bare
 * JID, or no `to` at all), or both.  One row per (name, ns, to, type) in a configuration; two plugins that claim the
 * same is an error at start.
 *
 * To the server, INLINE and ASIDE handlers run on the sender's worker beside any entity, so that the host is no
 * bottleneck; SERIAL ones in the host's turn.  To an account they run in its turn; check who asks: mk_stanza_from() may
 * be anybody unless MK_OWNER is set, with which others get service-unavailable before the handler sees it.
 *
 * FN answers with mk_reply() or mk_refuse(), now or later, and returns 0; a negative code makes the server answer with
 * the stanza error of errors.h.
 */
struct mk_iq_decl {
    const char *name, *ns;
    uint32_t to, types, mode, flags;
    int (*fn)(struct mk_ctx *c, const struct mk_stanza *iq);
};
enum {
    MK_OWNER = 1,
    /* Also from streams that are not authenticated yet, in the stream's own turn: mk_stanza_from() is then NULL and
     * mk_current_stream() tells who asks.  For rows to the server. */
    MK_UNAUTHED = 2
};

/* A feature for disco#info: VAR is offered by the host, by accounts, or both (bits of TO). */
struct mk_disco_decl {
    const char *var;
    uint32_t to, zero;
};

/* The I-th disco feature of all plugins enabled for the turn's host, sorted and without doubles; NULL past the last. */
MK_EXPORT const char *mk_disco_feature(const struct mk_ctx *c, uint32_t to, unsigned i);

/* What the plugin implements, for the documentation: "0198", "1.6.3", "complete", "". */
struct mk_xep_decl {
    const char *number, *version, *status, *note;
};

MK_END_DECLS

#endif
