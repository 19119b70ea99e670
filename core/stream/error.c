/* SPDX-License-Identifier: Apache-2.0 */
/* Stream errors as bytes, whoever's stream it is. */
#include "run/metric.h"
#include "run/worker.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "util/text.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

#define NS_ERRORS "urn:ietf:params:xml:ns:xmpp-streams"

/* A text may tell what the peer said, or what is in its certificate. */
static void put_escaped(struct buf *b, const char *text) {
    char *out = xmalloc(6 * strlen(text) + 1);
    buf_add(b, out, (size_t)(xml_escape(out, text, strlen(text)) - out));
    free(out);
}

void stream_put_error(struct buf *b, const char *cond, const char *text, const char *app) {
    METRIC(this_worker, stream_errors, 1);
    buf_printf(b, "<stream:error><%s xmlns='" NS_ERRORS "'/>", cond);
    if (text) {
        buf_puts(b, "<text xmlns='" NS_ERRORS "' xml:lang='en'>");
        put_escaped(b, text);
        buf_puts(b, "</text>");
    }
    if (app)
        buf_puts(b, app);
    buf_puts(b, "</stream:error>");
}

const char *stream_refusal(enum scan_result r, const char **text) {
    *text = r == SCAN_BYTES   ? "The stanza is too large."
            : r == SCAN_LIMIT ? "The stanza has too many elements, levels or attributes."
                              : NULL;
    if (r == SCAN_RESTRICTED)
        return "restricted-xml";
    return *text ? "policy-violation" : "not-well-formed";
}
