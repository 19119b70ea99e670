/* SPDX-License-Identifier: Apache-2.0 */
/* errors.h - what functions return: 0 is success, everything else is negative. */
#ifndef MEERKAT_ERRORS_H
#define MEERKAT_ERRORS_H

#include <meerkat/abi.h>

MK_BEGIN_DECLS

/*
 * When an iq handler returns one of these the server answers with the stanza error named here (RFC 6120, 8.3.3).  New
 * codes are appended: treat one you do not know as MK_E_BACKEND.
 */
enum mk_rc {
    MK_OK = 0,
    MK_E_NOTFOUND = -1,    /* item-not-found */
    MK_E_CONFLICT = -2,    /* conflict: it exists, or it changed meanwhile */
    MK_E_BUSY = -3,        /* resource-constraint, type wait: a queue is full */
    MK_E_CANCELLED = -4,   /* the server stops; return at once, the server answers */
    MK_E_TIMEOUT = -5,     /* resource-constraint, type wait: the turn's deadline passed */
    MK_E_UNSUPPORTED = -6, /* feature-not-implemented */
    MK_E_INVALID = -7,     /* bad-request */
    MK_E_BACKEND = -8,     /* internal-server-error: a database or another service failed */
    MK_E_LIMIT = -9,       /* policy-violation: over a configured limit */
    MK_E_DENIED = -10,     /* forbidden */
    MK_E_JID = -11,        /* jid-malformed */
    MK_E_UNAVAILABLE = -12 /* service-unavailable */
};

/* A short English phrase for RC, never NULL.  For logs, not for the wire. */
MK_EXPORT const char *mk_strerror(int rc);

/*
 * Start-up only: puts one sentence for the operator in ERR and returns RC, so that `return mk_fail(...)` reads well.
 * Say what is wrong and what to do; the server adds the plugin's name and the file:line of its configuration.
 */
MK_EXPORT int mk_fail(struct mk_err *err, enum mk_rc rc, const char *fmt, ...) MK_PRINTF(3);

MK_END_DECLS

#endif
