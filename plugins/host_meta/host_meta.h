/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the host_meta plugin. */
#ifndef HOST_META_HOST_META_H
#define HOST_META_HOST_META_H

#include <meerkat/alternative.h>
#include <meerkat/http.h>
#include <meerkat/plugin.h>

/* An entry of option `links`. */
struct link {
    const char *rel, *href, *sni, *ech;   /* NULL: not said */
    const char *port, *priority, *weight; /* numbers */
};

struct host_meta {
    struct mk_texts links, ips, pins;
    int64_t ttl;
    const struct mk_http *http;
    struct mk_svcs alternatives;
    struct link *list; /* of .links; OWNED */
    char *texts;       /* that it points to; OWNED */
};

/* link.c: reads option `links`.  MK_E_INVALID: ERR says what is wrong. */
int links_parse(struct host_meta *me, struct mk_err *err);

/* document.c: both are lent for the turn. */
const char *document_xrd(struct mk_ctx *c, const struct mk_http_request *r);
const char *document_jrd(struct mk_ctx *c, const struct mk_http_request *r);

#endif
