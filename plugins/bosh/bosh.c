/* SPDX-License-Identifier: Apache-2.0 */
/* Clients over BOSH (XEP-0124, XEP-0206). */
#include "bosh.h"
#include <meerkat/alternative.h>
#include <string.h>

static void answer_text(struct mk_ctx *c, struct mk_http_request *r, uint32_t status, const char *text) {
    const struct bosh *me = mk_inst(c);
    const struct mk_http_answer a = { .size = sizeof a,
                                      .status = status,
                                      .type = "text/plain; charset=utf-8",
                                      .cors = true,
                                      .methods = "GET, POST, OPTIONS",
                                      .body = { text, strlen(text) } };
    (void)mk_http_answer(c, me->http, r, &a);
}

/* On the worker that the sid names, and, if the session has gone, on the one it went to. */
void bosh_deliver(struct mk_ctx *c, void *arg) {
    struct pending *p = arg, **at;
    if (!c) {
        pending_free(p);
        return;
    }
    struct place *place = place_find(mk_worker(c), mk_attr(pending_body(p), "sid"));
    if (!place) {
        pending_refuse(c, mk_inst(c), p, "item-not-found");
    } else if (place->session) {
        session_request(c, place->session, p);
    } else if (place->travels) {
        for (at = &place->parked; *at;)
            at = &(*at)->next;
        *at = p;
    } else {
        mk_post(c, place->worker, bosh_deliver, p);
    }
}

static void take_body(struct mk_ctx *c, struct mk_http_request *r) {
    const struct bosh *me = mk_inst(c);
    const struct mk_stanza *body;
    unsigned worker;
    mk_count(c, M_REQUESTS, 1);
    if (mk_stanza_read(c, r->body, &body) != MK_OK || !mk_elem_is(mk_root(body), "body", NS_BODY)) {
        mk_count(c, M_REFUSED, 1);
        answer_text(c, r, 400, "That is no <body/> of BOSH.\n");
        return;
    }
    struct pending *p = pending_new(c, r, body);
    const char *sid = mk_attr(pending_body(p), "sid");
    if (!pending_number(p, "rid", (uint64_t)1 << 53, &p->rid) || !p->rid)
        pending_refuse(c, me, p, "bad-request");
    else if (!sid)
        session_create(c, p);
    else if (!place_home(c, sid, &worker))
        pending_refuse(c, me, p, "item-not-found");
    else if (worker == mk_worker_here(c))
        bosh_deliver(c, p);
    else
        mk_post(c, worker, bosh_deliver, p);
}

static enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_http *ev) {
    const struct bosh *me = mk_inst(c);
    struct mk_http_request *r = ev->request;
    if (!mk_http_path(r, me->path) || *r->rest)
        return MK_NEXT;
    if (mk_http_is(r, "POST"))
        take_body(c, r);
    else if (mk_http_is(r, "OPTIONS"))
        answer_text(c, r, 200, "");
    else if (mk_http_is(r, "GET") || mk_http_is(r, "HEAD"))
        answer_text(c, r, 200, "This is BOSH, a way for XMPP clients: XEP-0124.\n");
    else
        answer_text(c, r, 405, "");
    return MK_STOP;
}

static int start(void *inst, struct mk_err *err) {
    const struct bosh *me = inst;
    return *me->path == '/' ? MK_OK : mk_fail(err, MK_E_INVALID, "path: %s does not begin with /", me->path);
}

static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    places_free(worker);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct bosh, path, "/http-bind", 0,
                "Where clients send their requests, on every listener of kind http."),
    MK_OPT_DURATION(struct bosh, max_wait, "60s", 0, 600000, MK_OPT_LIVE,
                    "How long a request is kept at most when there is nothing to say. A client may ask for less."),
    MK_OPT_INT(struct bosh, max_hold, "2", 1, HOLD_MAX, MK_OPT_LIVE, "Requests of one session that are kept at most."),
    MK_OPT_DURATION(struct bosh, inactivity, "60s", 1000, 3600000, MK_OPT_LIVE,
                    "How long a session lives without a request; then its connection counts as lost."),
    MK_OPT_DURATION(struct bosh, polling, "5s", 0, 60000, MK_OPT_LIVE,
                    "Least time between two empty requests of a session that holds none. Others end with "
                    "policy-violation."),
    MK_OPT_DURATION(struct bosh, max_pause, "120s", 0, 3600000, MK_OPT_LIVE,
                    "How long a client may announce to be away. 0: it may not."),
    MK_OPT_INT(struct bosh, max_sessions, "100000", 0, INT32_MAX, MK_OPT_LIVE,
               "Most sessions, logged in or not; who begins another is refused. 0 is no limit."),
};

static const struct mk_need_decl needs[] = { MK_NEED(struct bosh, http, mk_http, 1, 0, MK_NEED_HARD, NULL) };

static const char *path(struct mk_ctx *c, uint32_t flags) {
    (void)flags;
    return ((const struct bosh *)mk_inst(c))->path;
}

static const struct mk_alternative_ops alternative = {
    sizeof alternative, 0, "urn:xmpp:alt-connections:xbosh", "http", "https", path
};
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_alternative, 1, 0, &alternative, "Where BOSH is.") };

static const struct mk_hook_decl hooks[] = { MK_ON(http_request, MK_ORDER_BOSH, MK_INLINE, on_request) };

static const struct mk_metric_decl metrics[] = {
    [M_SESSIONS] = { "sessions", MK_GAUGE, 0, "", "BOSH sessions." },
    [M_CREATED] = { "created", MK_COUNTER, 0, "", "Sessions that clients began." },
    [M_REQUESTS] = { "requests", MK_COUNTER, 0, "", "Requests with a body." },
    [M_RESENT] = { "resent", MK_COUNTER, 0, "", "Answers that were sent once more, to a repeated request." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "", "Requests refused: no body, no session, or out of order." },
    [M_EXPIRED] = { "expired", MK_COUNTER, 0, "", "Sessions whose client did not come back." },
};

static const struct mk_xep_decl xeps[] = {
    { "0124", "1.11.2", "complete", "" },
    { "0206", "1.4", "complete", "" },
};

MK_PLUGIN(bosh, .version = "1.0", .summary = "Clients over BOSH (XEP-0124, XEP-0206)", .inst_size = sizeof(struct bosh),
          .worker_size = sizeof(struct places), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .hooks = MK_TABLE(hooks), .metrics = MK_TABLE(metrics),
          .xeps = MK_TABLE(xeps), .start = start, .worker_stop = worker_stop);
