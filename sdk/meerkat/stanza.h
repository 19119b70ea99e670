/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stanza.h - reading stanzas, and writing them.
 *
 * A stanza never changes.  It was parsed and checked once; its strings lie in one block; it is counted, so that any
 * number of queues may hold it.  To change one is to write another: mk_derive().
 */
#ifndef MEERKAT_STANZA_H
#define MEERKAT_STANZA_H

#include <meerkat/jid.h>

MK_BEGIN_DECLS

/* ---- reading -------------------------------------------------------------------------------------------------- */

enum mk_kind { MK_NONZA, MK_MESSAGE, MK_PRESENCE, MK_IQ }; /* a nonza is any other element of a stream */

/* The `type` attribute by kind (RFC 6121 4.7.1, 5.2.2, 8.2.3).  A message of unknown type is normal, as the RFC says. */
enum mk_type {
    MK_TYPE_NONE,
    MK_TYPE_ERROR,
    MK_TYPE_NORMAL, /* messages */
    MK_TYPE_CHAT,
    MK_TYPE_GROUPCHAT,
    MK_TYPE_HEADLINE,
    MK_TYPE_AVAILABLE, /* presence: no type attribute */
    MK_TYPE_UNAVAILABLE,
    MK_TYPE_SUBSCRIBE,
    MK_TYPE_SUBSCRIBED,
    MK_TYPE_UNSUBSCRIBE,
    MK_TYPE_UNSUBSCRIBED,
    MK_TYPE_PROBE,
    MK_TYPE_GET, /* iq */
    MK_TYPE_SET,
    MK_TYPE_RESULT,
    MK_TYPE_INVALID /* presence or iq with a type that the RFC does not have; the server refuses it before hooks */
};

MK_EXPORT enum mk_kind mk_stanza_kind(const struct mk_stanza *s);
MK_EXPORT enum mk_type mk_stanza_type(const struct mk_stanza *s);
MK_EXPORT const char *mk_stanza_id(const struct mk_stanza *s);            /* NULL if absent */
MK_EXPORT const struct mk_jid *mk_stanza_from(const struct mk_stanza *s); /* never NULL once a hook sees it */
MK_EXPORT const struct mk_jid *mk_stanza_to(const struct mk_stanza *s);   /* NULL if absent */
MK_EXPORT size_t mk_stanza_size(const struct mk_stanza *s);               /* bytes on the wire, about */

/* Its root element, lent as long as the stanza. */
MK_EXPORT const struct mk_elem *mk_root(const struct mk_stanza *s);

/* First child element of the root with this name and namespace; NULL as NAME or NS matches any.  NULL if none. */
MK_EXPORT const struct mk_elem *mk_child(const struct mk_stanza *s, const char *name, const char *ns);

MK_EXPORT const char *mk_elem_name(const struct mk_elem *e);
MK_EXPORT const char *mk_elem_ns(const struct mk_elem *e); /* "" if it has none */
MK_EXPORT bool mk_elem_is(const struct mk_elem *e, const char *name, const char *ns);

/* Value of an attribute without namespace; NULL if absent.  mk_attr_ns() for xml:lang and the like. */
MK_EXPORT const char *mk_attr(const struct mk_elem *e, const char *name);
MK_EXPORT const char *mk_attr_ns(const struct mk_elem *e, const char *name, const char *ns);

/* Child elements in order: mk_elem_first(e), then mk_elem_next() until NULL.  Text between them is passed over. */
MK_EXPORT const struct mk_elem *mk_elem_first(const struct mk_elem *e);
MK_EXPORT const struct mk_elem *mk_elem_next(const struct mk_elem *e);
MK_EXPORT const struct mk_elem *mk_elem_child(const struct mk_elem *e, const char *name, const char *ns);

/* All text directly in E, joined, ended by NUL, in the turn's memory; "" if there is none or E is NULL. */
MK_EXPORT const char *mk_text(struct mk_ctx *c, const struct mk_elem *e);

/* The id that BY gave the stanza (XEP-0359), in its first <stanza-id/> of BY, which is compared by octets; NULL if none.
 * Trust it only where those that somebody else wrote are taken away. */
MK_EXPORT const char *mk_stanza_given_id(const struct mk_stanza *s, const struct mk_jid *by);

/*
 * Holds a stanza beyond the turn.  OWNED: give it back with mk_release().  The sender's receipt is not held by it: a
 * queue that answers for the stanza holds that too, mk_receipt_hold().
 */
MK_EXPORT const struct mk_stanza *mk_keep(const struct mk_stanza *s);
MK_EXPORT void mk_release(const struct mk_stanza *s);

/*
 * The whole stanza as XML that stands alone (it names its namespace), in the turn's memory: for a column of a
 * collection.  mk_stanza_read() makes a stanza of such text again; MK_E_INVALID if it is none.
 */
MK_EXPORT struct mk_view mk_stanza_xml(struct mk_ctx *c, const struct mk_stanza *s);
MK_EXPORT MK_MUST_CHECK int mk_stanza_read(struct mk_ctx *c, struct mk_view xml, const struct mk_stanza **out);

/* A copy of element E that stands alone: the message inside of <forwarded/> as a stanza, say.  MK_E_INVALID if its root
 * could be none. */
MK_EXPORT MK_MUST_CHECK int mk_elem_stanza(struct mk_ctx *c, const struct mk_elem *e, const struct mk_stanza **out);

/* ---- receipts ------------------------------------------------------------------------------------------------- */

/*
 * A receipt is what is owed to the sender of a stanza, an XEP-0198 ack say.  It is paid when nobody holds it any more:
 * the server holds it while the stanza travels; whoever takes the stanza over into memory that kill -9 would lose holds
 * it until the stanza is delivered or durable.  NULL if nobody waits for it; both functions take that.
 */
struct mk_receipt;
MK_EXPORT struct mk_receipt *mk_receipt_hold(const struct mk_stanza *s);
MK_EXPORT void mk_receipt_pay(struct mk_receipt *r);

/* ---- writing -------------------------------------------------------------------------------------------------- */

/*
 * A builder writes XML as it goes, escapes what needs it, and remembers the first error; test the result of mk_send()
 * or mk_seal() once.  It lives in the turn's memory: one that is never sent just vanishes.
 *
 * A new stanza.  TO may be NULL (the server, or the sender's own account); the sender is mk_self() unless mk_from()
 * says otherwise.
 */
MK_EXPORT struct mk_out *mk_new(struct mk_ctx *c, enum mk_kind kind, enum mk_type type, const struct mk_jid *to);

/* A result for an iq get or set, addressed back to its sender. */
MK_EXPORT struct mk_out *mk_reply(struct mk_ctx *c, const struct mk_stanza *iq);

/*
 * An error for a stanza, addressed back, with the RFC 6120 condition COND and the type that goes with it.  Further
 * children go inside <error/>.  For a stanza that is itself an error it builds nothing, and mk_send() then does
 * nothing: errors are never answered.
 */
MK_EXPORT struct mk_out *mk_reply_error(struct mk_ctx *c, const struct mk_stanza *s, const char *cond);

/* Sends mk_reply_error() with an English TEXT, or none if NULL. */
MK_EXPORT MK_MUST_CHECK int mk_refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text);

/*
 * A copy of S that is open for more children at its end; it shares S's receipt.  The way to add a delay or a
 * stanza-id.  With WITHOUT_NS not NULL, direct children of that namespace are left out.
 */
MK_EXPORT struct mk_out *mk_derive(struct mk_ctx *c, const struct mk_stanza *s, const char *without_ns);

/* A nonza: an element of the stream that is no stanza.  For mk_stream_send() only. */
MK_EXPORT struct mk_out *mk_nonza(struct mk_ctx *c, const char *name, const char *ns);

/* Attributes of the stanza itself; before the first child. */
MK_EXPORT void mk_from(struct mk_out *o, const struct mk_jid *from);
MK_EXPORT void mk_id(struct mk_out *o, const char *id);

/*
 * Opens a child element; NS NULL keeps the parent's namespace.  Then attributes, then content, then mk_close().
 * Elements still open at mk_send() are closed.  Text must be UTF-8 without characters XML 1.0 forbids, else the
 * builder's error is MK_E_INVALID.
 */
MK_EXPORT void mk_open(struct mk_out *o, const char *name, const char *ns);
MK_EXPORT void mk_put(struct mk_out *o, const char *attr, const char *value); /* value NULL: left out */
MK_EXPORT void mk_put_int(struct mk_out *o, const char *attr, int64_t value);
MK_EXPORT void mk_put_jid(struct mk_out *o, const char *attr, const struct mk_jid *value); /* NULL: left out */
MK_EXPORT void mk_put_text(struct mk_out *o, const char *text);
MK_EXPORT void mk_close(struct mk_out *o);

/* An element with text and nothing else; TEXT NULL leaves it empty. */
MK_EXPORT void mk_leaf(struct mk_out *o, const char *name, const char *ns, const char *text);

/* A copy of an element of a stanza, with its content. */
MK_EXPORT void mk_put_elem(struct mk_out *o, const struct mk_elem *e);

/* A whole stanza as a child, naming its namespace: what XEP-0297 puts in <forwarded/>. */
MK_EXPORT void mk_put_stanza(struct mk_out *o, const struct mk_stanza *s);

/* XEP-0203 <delay/>: FROM and STAMP (microseconds since 1970). */
MK_EXPORT void mk_put_delay(struct mk_out *o, const struct mk_jid *from, int64_t stamp);

/* Ends the builder and gives the stanza, lent for the turn.  The builder is used up.  Returns the builder's error. */
MK_EXPORT MK_MUST_CHECK int mk_seal(struct mk_out *o, const struct mk_stanza **out);

/*
 * Ends the builder and routes the stanza to its `to` as mail.  Does not suspend; 0 or the builder's error.  What
 * becomes of the stanza is the recipient's business: errors come back as stanzas.
 */
MK_EXPORT MK_MUST_CHECK int mk_send(struct mk_out *o);

/* Routes S to TO, whatever its own `to` says; the recipient sees TO.  One stanza may so go to many. */
MK_EXPORT void mk_route(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* The same for a stanza that the account TO had already and that did not reach anybody: it is delivered anew, without
 * being archived or copied once more (mk_ev_stanza.again). */
MK_EXPORT void mk_route_again(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* The same for what an account of this server can do without while it has no session, such as a contact's presence: it is
 * then dropped, and nothing is read for it. */
MK_EXPORT void mk_route_online(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *to);

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/*
 * An iq of type get or set from the turn's host to TO, with an id of its own; add the payload.  mk_from() may make it
 * one of the account mk_self().  mk_query_wait() sends it
 * and suspends until the answer came, at most until the turn's deadline: ANSWER is a result or an error, lent for the
 * turn.  Else the builder's error, MK_E_TIMEOUT, or MK_E_CANCELLED.  The entity takes no mail meanwhile: ask beside it
 * (MK_ASIDE) where others wait for it.
 */
MK_EXPORT struct mk_out *mk_query(struct mk_ctx *c, enum mk_type type, const struct mk_jid *to);
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_query_wait(struct mk_ctx *c, struct mk_out *o,
                                                      const struct mk_stanza **answer);

MK_END_DECLS

#endif
