/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - streams and sessions.
 *
 * A stream is one connection of a client.  A session is a bound resource of an account; it has a stream, or it is
 * detached: its connection is lost and it is kept for resumption.  Sessions belong to their account: touch them only in
 * the account's own turn (modes INLINE and SERIAL), which is where every hook that gets one runs.
 */
#ifndef MEERKAT_SESSION_H
#define MEERKAT_SESSION_H

#include <meerkat/stanza.h>

MK_BEGIN_DECLS

/* Sessions of the account whose turn it is, in the order they were bound: PREV NULL for the first.  NULL at the end. */
MK_EXPORT struct mk_session *mk_session_next(struct mk_ctx *c, struct mk_session *prev);

/* The one with this resource, or NULL. */
MK_EXPORT struct mk_session *mk_session_find(struct mk_ctx *c, struct mk_view resource);

MK_EXPORT const struct mk_jid *mk_session_jid(const struct mk_session *s); /* full JID */

/* A number that names this session and no other while the process lives; never 0. */
MK_EXPORT uint64_t mk_session_number(const struct mk_session *s);
MK_EXPORT bool mk_session_is_connected(const struct mk_session *s);

/* "203.0.113.7:50123" of the client, after PROXY protocol; lent as long as the session.  "" if not known. */
MK_EXPORT const char *mk_session_address(const struct mk_session *s);

/*
 * What the session last announced.  The server routes messages to bare JIDs by it (RFC 6121, 8.5.2).  Set by the
 * plugin that handles presence; PRIORITY is -128 to 127.
 */
MK_EXPORT bool mk_session_is_available(const struct mk_session *s);
MK_EXPORT int mk_session_priority(const struct mk_session *s);
MK_EXPORT void mk_session_set_presence(struct mk_session *s, bool available, int priority);

/*
 * Delivers S to the session itself, past the router and the user_receive_* hooks, through the session_send hooks.  TO
 * replaces the stanza's `to` on the wire; NULL keeps it.
 */
MK_EXPORT void mk_session_send(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s,
                               const struct mk_jid *to);

/*
 * Writes S to the session's connection, past all hooks.  For the plugin that stopped session_send and now lets go of
 * what it held.  Nothing happens if the session is detached.
 */
MK_EXPORT void mk_session_write(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s,
                                const struct mk_jid *to);

/*
 * What the client said of itself when it logged in with SASL2 (XEP-0388, 2.3).  ID is a UUID of version 4, in lower
 * case, that names the installation; it is a secret of account and server, never to be shown to others.  A text that
 * was not said is "".  Lent as long as the stream, or the session that it became.
 */
struct mk_agent {
    const char *id, *software, *device;
};
MK_EXPORT const struct mk_agent *mk_session_agent(const struct mk_session *s); /* NULL: it said nothing */

/* The SASL mechanism that its client logged in with last, "" if not known; lent as long as the process lives. */
MK_EXPORT const char *mk_session_mechanism(const struct mk_session *s);

/*
 * Whether the client fetches what it missed from the account's archive: it bound its resource by Bind 2, and the plugin
 * that keeps the archive said so, in a row of .inlines.  What was stored for later is then dropped, not sent
 * (XEP-0386, 4).
 */
MK_EXPORT bool mk_session_reads_archive(const struct mk_session *s);
MK_EXPORT void mk_session_set_reads_archive(struct mk_session *s, bool reads);

/* Ends the session with this stream error (RFC 6120, 4.9.3), or in peace if COND is NULL.  Takes effect after the turn. */
MK_EXPORT void mk_session_close(struct mk_ctx *c, struct mk_session *session, const char *cond, const char *text);

/*
 * Starts counting the stanzas that come from the client, at 0; the one being handled is not counted.
 * mk_session_handled() is how many of them, from the first without a gap, were handled: their receipts are paid, so a
 * crash loses none.  Modulo 2^32, the `h` of XEP-0198.  If it is less than what was received, hook session_settled
 * runs when it has grown.
 */
MK_EXPORT void mk_session_count_start(struct mk_session *s);
MK_EXPORT uint32_t mk_session_handled(struct mk_session *s);
MK_EXPORT uint32_t mk_session_received(const struct mk_session *s); /* all of them, handled or not */
/*
 * The session is resumed: goes on from mk_session_handled(), which it returns for the client to be told (XEP-0198, 5).
 * The client sends the others again; each that is as it was then, and in order, is counted and dropped, for it is on
 * its way already.
 */
MK_EXPORT uint32_t mk_session_recount(struct mk_session *s);

/*
 * Makes a session again that ended when the server stopped: detached, with RESOURCE, its stanzas counted from RECEIVED.
 * session_opened runs; then the caller runs session_restored, and gives it a stream by mk_stream_resume() in the same
 * turn.  NULL: somebody has bound the resource, or the account has too many sessions.
 */
MK_EXPORT MK_SUSPENDS struct mk_session *mk_session_restore(struct mk_ctx *c, struct mk_view resource,
                                                            uint32_t received);

/* Handles S, `from` set to the session, as if its client had sent it now; it is not counted. */
MK_EXPORT MK_SUSPENDS void mk_session_handle(struct mk_ctx *c, struct mk_session *session, const struct mk_stanza *s);

/* ---- streams -------------------------------------------------------------------------------------------------- */

/* The stream of a session, NULL while it is detached; the session of a stream, NULL before one is bound. */
MK_EXPORT struct mk_stream *mk_session_stream(const struct mk_session *s);
MK_EXPORT struct mk_session *mk_stream_session(const struct mk_stream *st);

/* The stream whose own turn it is, before authentication; NULL in every other turn. */
MK_EXPORT struct mk_stream *mk_current_stream(const struct mk_ctx *c);
MK_EXPORT bool mk_stream_is_secure(const struct mk_stream *st); /* TLS, or vouched for by the operator */
MK_EXPORT const char *mk_stream_address(const struct mk_stream *st);
MK_EXPORT const char *mk_stream_lang(const struct mk_stream *st); /* xml:lang of its header, "" if none */
MK_EXPORT const struct mk_agent *
mk_stream_agent(const struct mk_stream *st); /* as that of a session; NULL until then */

/*
 * A text that plugins leave on a stream until it is bound, under a name that begins with theirs: "register.challenge".
 * It survives the start of TLS and goes with the stream.  Lent until it is set anew; NULL if there is none.  A VALUE of
 * NULL takes it away; on a stream that is bound nothing happens.  In the turn of the stream.
 */
MK_EXPORT const char *mk_stream_note(const struct mk_stream *st, const char *name);
MK_EXPORT void mk_stream_set_note(struct mk_stream *st, const char *name, const char *value);

/* Milliseconds since anything came from the client: a stanza, a nonza, a piece of one, white space. */
MK_EXPORT int64_t mk_stream_idle_ms(const struct mk_stream *st);

/* Writes a nonza or a stanza to the stream as it is.  Consumes O.  0 or the builder's error. */
MK_EXPORT MK_MUST_CHECK int mk_stream_send(struct mk_ctx *c, struct mk_stream *st, struct mk_out *o);

/*
 * Ends the stream with a stream error and closes the connection after the turn.  APP, if not NULL, is an
 * application-specific condition: one element begun with mk_nonza(), consumed.
 */
MK_EXPORT void mk_stream_fail(struct mk_ctx *c, struct mk_stream *st, const char *cond, const char *text,
                              struct mk_out *app);

/* The same, but the session of the stream is not to blame: it is treated as one whose connection broke (session_lost). */
MK_EXPORT void mk_stream_lose(struct mk_ctx *c, struct mk_stream *st, const char *cond, const char *text);

/*
 * Gives a stream that is authenticated but not bound an existing session of the same account.  A stream that the
 * session still had is closed with <conflict/>.  The session keeps its JID, presence and slots; nothing is written.
 */
MK_EXPORT void mk_stream_resume(struct mk_ctx *c, struct mk_stream *st, struct mk_session *session);

/* ---- rows ------------------------------------------------------------------------------------------------------ */

enum mk_when {
    MK_WHEN_CONNECTED = 1, /* before authentication */
    MK_WHEN_AUTHED = 2,    /* authenticated, no resource */
    MK_WHEN_BOUND = 4
};

/*
 * A nonza that the plugin handles, in the account's turn (before authentication: in the stream's own, INLINE or
 * SERIAL, where mk_self() is the host).  A nonza that no row claims ends the stream with unsupported-stanza-type.
 * NONZA is lent for the turn.
 */
struct mk_nonza_decl {
    const char *name, *ns;
    uint32_t when; /* bits of mk_when */
    uint32_t mode;
    void (*fn)(struct mk_ctx *c, struct mk_stream *st, const struct mk_stanza *nonza);
};

/*
 * A stream feature.  Without FN the element <NAME xmlns='NS'/> is offered when WHEN fits.  With FN the plugin writes it
 * itself, or nothing.  FN is INLINE.
 */
struct mk_feature_decl {
    const char *name, *ns;
    uint32_t when; /* MK_WHEN_CONNECTED or MK_WHEN_AUTHED, or both */
    uint32_t zero;
    void (*fn)(struct mk_ctx *c, struct mk_stream *st, struct mk_out *features);
};

/*
 * A feature that a client may ask for in the very element that logs it in, so that it is on before any stanza travels.
 * It is handled in the account's turn, after the client has proved who it is and before it is told so; what the
 * handlers send meanwhile follows the answer.  A login that fails runs no row.
 */
enum mk_inline_at {
    MK_AT_LOGIN = 1, /* SASL2 (XEP-0388): asked for in <authenticate/>, answered in <success/> */
    MK_AT_BIND = 2   /* Bind 2 (XEP-0386): asked for in its <bind/>, answered in <bound/> */
};

/* What a handler gets.  STREAM may have ended while an earlier handler waited; sending to it does nothing then. */
struct mk_inline {
    struct mk_stream *stream;
    struct mk_session *session; /* at MK_AT_LOGIN NULL, or one that an earlier row resumed: no resource is bound then */
    const struct mk_elem *request; /* what the client asked; NULL in rows without name */
    struct mk_out *answer;         /* inside of <success/> or <bound/>: write whole elements, or nothing */
    const struct mk_elem *all;     /* the <authenticate/> or <bind/> that REQUEST is in */
};

/*
 * NAME and NS are of the request; it is a child of <authenticate/> or <bind/>, and the first one counts.  With NAME NULL
 * FN runs at every SASL2 login or Bind 2 there is, for what the server says unasked.  Rows run in the order of PRIO, 0 to
 * 100, ties by plugin name, those of the login first; a row that calls mk_stream_resume() makes the server ignore
 * <bind/>.  Two rows of a place may ask for the same NAME and NS: each is called.
 *
 * OFFER, if not NULL, is what the stream features say: at MK_AT_LOGIN the name of an element of NS inside of <inline/>,
 * at MK_AT_BIND the `var` of a <feature/>.  PUT_OFFER, if not NULL, writes it instead, or nothing; it is INLINE, and runs
 * before the client has said who it is.
 */
struct mk_inline_decl {
    const char *name, *ns, *offer;
    uint32_t at, mode; /* mk_inline_at; INLINE or SERIAL */
    int32_t prio;
    uint32_t zero;
    void (*fn)(struct mk_ctx *c, const struct mk_inline *in);
    void (*put_offer)(struct mk_ctx *c, struct mk_stream *st, struct mk_out *inline_features);
};

MK_END_DECLS

#endif
