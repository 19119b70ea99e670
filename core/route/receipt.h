/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts of stanzas that a client sent on a session that counts them (XEP-0198).  Each is held by the stanza's way
 * through the server; when the last holder lets go, on whatever worker, the session learns of it.
 */
#ifndef ROUTE_RECEIPT_H
#define ROUTE_RECEIPT_H

#include "route/session.h"

/* Counts STANZA as received on S and gives it a receipt, held once for the caller. */
struct mk_receipt *receipt_new(struct mk_session *s, struct mk_stanza *stanza);
/*
 * Whether STANZA is one that S received before it was resumed, and did not count as handled then (mk_session_recount()).
 * It is counted, and is on its way already; the receipt it has stands for it.
 */
bool receipt_again(struct mk_session *s, const struct mk_stanza *stanza);
/* The session ends: what it is owed is of no interest any more. */
void receipts_forget(struct mk_session *s);
/* Frees the thread's spare ones, at its end. */
void receipts_trim(void);

#endif
