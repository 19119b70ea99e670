/* SPDX-License-Identifier: Apache-2.0 */
/* One external service, as the operator writes it: a URI in the manner of RFC 7064 and 7065, then words. */
#ifndef EXTDISCO_SERVICE_H
#define EXTDISCO_SERVICE_H

#include <meerkat/errors.h>

struct service {
    char *text;                                                              /* OWNED: what the rest points into */
    const char *type, *host, *port, *transport, *username, *password, *name; /* NULL if not given, but type and host */
};

/* Reads TEXT.  MK_E_INVALID with a sentence in ERR. */
MK_MUST_CHECK int service_parse(const char *text, struct service *out, struct mk_err *err);

#endif
