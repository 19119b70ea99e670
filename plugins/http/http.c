/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1.1 server for all who need it: see http.h of the SDK. */
#include "client.h"
#include <stdlib.h>
#include <string.h>

void bytes_add(struct bytes *b, const void *data, size_t len) {
    if (b->len + len > b->cap) {
        size_t cap = 2 * (b->len + len) + 64;
        char *grown = mk_malloc(cap);
        if (b->len)
            memcpy(grown, b->data, b->len);
        mk_free(b->data);
        b->data = grown;
        b->cap = cap;
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_puts(struct bytes *b, const char *text) {
    bytes_add(b, text, strlen(text));
}

void bytes_free(struct bytes *b) {
    mk_free(b->data);
    *b = (struct bytes){ NULL, 0, 0 };
}

static int start(void *inst, struct mk_err *err) {
    struct http_config *me = inst;
    http_parser_set_max_header_size(2u << 20); /* ours comes first */
    return proxies_parse(me, err) && files_parse(me, err) ? MK_OK : MK_E_INVALID;
}

static void stop(void *inst) {
    struct http_config *me = inst;
    mk_free(me->networks);
    mk_free(me->folders);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct http_config, default_host, NULL, MK_OPT_LIVE,
                "The served host that answers requests whose Host header names none. By default the first one of the "
                "configuration."),
    MK_OPT_TEXTS(
        struct http_config, trusted_proxies, NULL, 0,
        "Addresses, or networks such as 10.0.0.0/8, of proxies whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed."),
    MK_OPT_TEXTS(struct http_config, cors_origins, "*", MK_OPT_LIVE,
                 "Origins of web pages that may read answers, \"https://chat.example.org\" say. * is all of them."),
    MK_OPT_TEXTS(struct http_config, files, NULL, 0,
                 "Folders whose files are served, each as PATH=FOLDER. A folder itself is its index.html."),
    MK_OPT_BOOL(struct http_config, access_log, "false", MK_OPT_LIVE,
                "Whether each request is a line in the log, at level info."),
    MK_OPT_SIZE(struct http_config, max_head, "16K", 1024, 1 << 20, MK_OPT_LIVE,
                "Bytes of the target and the headers of one request."),
    MK_OPT_SIZE(struct http_config, max_body, "1M", 1024, 1 << 30, MK_OPT_LIVE, "Bytes of the body of one request."),
    MK_OPT_SIZE(struct http_config, max_pending, "256M", 0, (int64_t)1 << 40, MK_OPT_LIVE,
                "Bytes of requests that are being read or wait for their answer, of all connections together, of each "
                "those above 4 KB. Each worker has an equal share, and takes one request at least. 0 is no limit."),
    MK_OPT_DURATION(struct http_config, request_timeout, "20s", 1000, 3600000, MK_OPT_LIVE,
                    "How long a client may take from its connection, or from the first byte of a request, until that "
                    "is whole; and to take an answer."),
    MK_OPT_DURATION(struct http_config, keep_alive, "60s", 1000, 3600000, MK_OPT_LIVE,
                    "How long a connection is kept for another request."),
};

static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_http, 1, 0, &http_ops, "Answers requests of the hook http_request."),
};

static const struct mk_metric_decl metrics[] = {
    [M_REQUESTS] = { "requests", MK_COUNTER, 0, "", "Requests that were read whole." },
    [M_ERRORS] = { "errors", MK_COUNTER, 0, "", "Requests answered with a status of 400 or above." },
    [M_TIMEOUTS] = { "timeouts", MK_COUNTER, 0, "", "Connections closed because their client was slow." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "", "Requests refused before they were read whole." },
    [M_SENT] = { "sent", MK_COUNTER, 0, "bytes", "Bytes of bodies of answers." },
};

static const struct mk_listener_decl listeners[] = {
    { "http", "http/1.1", &client_handlers, client_accepted },
};

MK_PLUGIN(http, .version = "1.0", .summary = "HTTP server for WebSocket, BOSH, files and other plugins",
          .flags = MK_PLUGIN_GLOBAL, .inst_size = sizeof(struct http_config), .worker_size = sizeof(struct http_worker),
          .options = MK_TABLE(options), .provides = MK_TABLE(provides), .metrics = MK_TABLE(metrics),
          .listeners = MK_TABLE(listeners), .start = start, .stop = stop);
