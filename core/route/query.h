/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own iq requests, mk_query(). */
#ifndef ROUTE_QUERY_H
#define ROUTE_QUERY_H

#include "xml/stanza.h"
#include <stdbool.h>

/* Whether S, which is for a host, answers one: it then has been taken. */
bool query_take(const struct mk_stanza *s);

#endif
