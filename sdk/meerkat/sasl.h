/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sasl.h - mechanisms of SASL (RFC 4422) that a plugin adds.
 *
 * A mechanism is a row of .mechanisms: it takes the client's messages and gives the server's, as bytes.  XML, base64, the
 * two profiles (RFC 6120, 6 and XEP-0388) and the delay of those who guess are the server's business.
 */
#ifndef MEERKAT_SASL_H
#define MEERKAT_SASL_H

#include <meerkat/session.h>

MK_BEGIN_DECLS

struct mk_sasl; /* one exchange */

enum mk_sasl_status {
    MK_SASL_CONTINUE, /* what mk_sasl_answer() was given is the challenge */
    MK_SASL_SUCCESS,  /* the client is mk_sasl_account(); the answer goes with the success */
    MK_SASL_FAILURE   /* mk_sasl_fail() or mk_sasl_refuse() said why; or of mk_sasl_identify() */
};
enum {
    MK_MECHANISM_SPEAKS_FIRST = 1, /* the client does: without initial response it is asked for one */
    MK_MECHANISM_CLEAR = 2,        /* who listens learns a secret: needs TLS, or option plain_without_tls */
    MK_MECHANISM_SASL2 = 4,        /* not for RFC 6120 */
    MK_MECHANISM_UNLISTED = 8 /* in no list of mechanisms: the plugin offers it elsewhere, in an inline feature say */
};

/*
 * NAME is as in the IANA registry.  STEP gets one message of the client, of 8 KiB at most, in the stream's own turn; it
 * may suspend.  Where option `sasl` of the host type is set a mechanism must be named there, unless it is unlisted.
 */
struct mk_mechanism_decl {
    const char *name;
    uint32_t flags, zero;
    enum mk_sasl_status (*step)(struct mk_ctx *c, struct mk_sasl *x, struct mk_view in);
};

/*
 * Who wants in: NAME as the client wrote it, AUTHZID (len 0: none) whom it wants to act for, which must be the same
 * account.  MK_SASL_CONTINUE, and mk_sasl_account() is NULL if no account can have that name; go on then as for any
 * other, and fail in the end.  Or MK_SASL_FAILURE, to be returned at once.
 */
MK_EXPORT enum mk_sasl_status mk_sasl_identify(struct mk_sasl *x, struct mk_view name, struct mk_view authzid);
MK_EXPORT const struct mk_jid *mk_sasl_account(const struct mk_sasl *x); /* bare */

/* Bytes for the client, copied; at most once a step. */
MK_EXPORT void mk_sasl_answer(struct mk_sasl *x, const void *data, size_t len);

/*
 * Ends the exchange with a condition of RFC 6120, 6.5; TEXT may be NULL, both static.  mk_sasl_fail() counts as a wrong
 * password does: the answer is delayed, and too many lock the address and the account out for a while.
 * mk_sasl_refuse() does not count.  Both return MK_SASL_FAILURE.
 */
MK_EXPORT enum mk_sasl_status mk_sasl_fail(struct mk_sasl *x, const char *cond, const char *text);
MK_EXPORT enum mk_sasl_status mk_sasl_refuse(struct mk_sasl *x, const char *cond, const char *text);

/* Zeroed memory of the exchange, the same at each step; SIZE must be too.  It is wiped at the end. */
MK_EXPORT void *mk_sasl_state(struct mk_sasl *x, size_t size);

/* The <authenticate/> of XEP-0388, NULL by RFC 6120; what the client said of itself in it, NULL if nothing. */
MK_EXPORT const struct mk_elem *mk_sasl_request(const struct mk_sasl *x);
MK_EXPORT const struct mk_agent *mk_sasl_agent(const struct mk_sasl *x);

/* What binds the channel by TYPE: "tls-exporter" (RFC 9266), "tls-unique", "tls-server-end-point" (RFC 5929).  False
 * if the connection has none.  mk_stream_binds() tells the same before there is an exchange. */
MK_EXPORT bool mk_sasl_binding(const struct mk_sasl *x, const char *type, struct mk_view *out);
MK_EXPORT bool mk_stream_binds(const struct mk_stream *st, const char *type);

MK_END_DECLS

#endif
