/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for what another entity does: for the server's own administration, never between accounts that talk. */
#ifndef ROUTE_ASK_H
#define ROUTE_ASK_H

#include "run/turn.h"

/*
 * Runs FN in the turn of TO (an account, or a host if it has no local part; its resource does not count) and waits for
 * what it returns.  If that turn is the one that runs, FN is called at once.  METHOD is static text.  MK_E_UNAVAILABLE
 * if the domain is not served.
 *
 * Takes over ARG: FREE_ARG (may be NULL) runs when nobody uses it any more, which may be after this returned: with
 * MK_E_TIMEOUT or MK_E_CANCELLED FN may still be running, or be about to.
 */
MK_SUSPENDS int entity_ask(struct mk_ctx *c, const struct mk_jid *to, const char *method,
                           int (*fn)(struct mk_ctx *c, void *arg), void (*free_arg)(void *arg), void *arg);

/* Whether the turn of C is that of TO itself, not one beside it. */
bool turn_is_of(const struct mk_ctx *c, const struct mk_jid *to);

#endif
