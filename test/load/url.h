/* SPDX-License-Identifier: Apache-2.0 */
/* Where a URL leads. */
#ifndef URL_H
#define URL_H

#include "scenario.h"

/* Fills in all of TO but its name and addresses.  SCHEME is that without TLS; with one more "s" it is that with TLS.  Returns
 * what is wrong with TEXT, or NULL. */
const char *url_read(const char *text, const char *scheme, struct server *to);

#endif
