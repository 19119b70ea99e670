/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's own iq requests.  Their ids name the worker that waits: an answer to a host goes straight there, past the
 * mail of whoever asked, whose turn it may be that waits.  One to an account goes through its mail.
 */
#include "route/query.h"
#include "route/router.h"
#include "run/op.h"
#include "util/mem.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

enum { ID_MAX = 64 };

struct query {
    struct list link; /* of its worker */
    char id[ID_MAX];
    struct mk_jid *to;
    struct mk_op *op;
};
static __thread struct list waiting;
static __thread bool ready;

/* An answer on its way to the worker. */
struct answer {
    struct post post;
    struct mk_stanza *stanza;
};

static struct list *queries(void) {
    if (!ready)
        list_init(&waiting);
    ready = true;
    return &waiting;
}

static struct query *find(const char *id) {
    for (struct list *l = queries()->next; l != &waiting; l = l->next) {
        struct query *q = container_of(l, struct query, link);
        if (strcmp(q->id, id) == 0)
            return q;
    }
    return NULL;
}

static void query_free(struct query *q) {
    list_remove(&q->link);
    mk_jid_free(q->to);
    free(q);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static void answered(struct post *p) {
    struct answer *a = container_of(p, struct answer, post);
    struct query *q = find(mk_stanza_id(a->stanza));
    if (q && mk_stanza_from(a->stanza) && mk_jid_same(mk_stanza_from(a->stanza), q->to)) {
        struct mk_op *op = q->op;
        query_free(q);
        op->outcome = a->stanza;
        mk_op_done(op, MK_OK);
    } else {
        mk_release(a->stanza);
    }
    free(a);
}

bool query_take(const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    const char *id = mk_stanza_id(s);
    char *end;
    if (mk_stanza_kind(s) != MK_IQ || (type != MK_TYPE_RESULT && type != MK_TYPE_ERROR) || !id ||
        strncmp(id, "mk", 2) != 0)
        return false;
    unsigned long worker = strtoul(id + 2, &end, 10);
    if (*end != '-' || worker >= worker_count)
        return false;
    struct answer *a = xmalloc(sizeof *a);
    *a = (struct answer){ .post.run = answered, .stanza = stanza_ref(s) };
    stanza_parse_now(a->stanza);
    worker_post(workers[worker], &a->post);
    return true;
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

struct mk_out *mk_query(struct mk_ctx *c, enum mk_type type, const struct mk_jid *to) {
    struct mk_out *o = mk_new(c, MK_IQ, type, to);
    mk_from(o, mk_host(c));
    mk_id(o, mk_printf(c, "mk%u-%s", c->worker->index, mk_random_id(c)));
    return o;
}

struct sending {
    struct mk_ctx *c;
    const struct mk_stanza *s;
    struct query *query;
};

static void send_query(struct mk_op *op, void *args) {
    struct sending *sending = args;
    struct query *q = xcalloc(1, sizeof *q);
    strncpy(q->id, mk_stanza_id(sending->s), sizeof q->id - 1);
    q->to = mk_jid_keep(mk_stanza_to(sending->s));
    q->op = op;
    list_append(queries(), &q->link);
    sending->query = q;
    route(sending->c, sending->s, mk_stanza_to(sending->s));
}

/* Nobody waits any more: what still comes finds nothing. */
static void give_up(const char *id) {
    struct query *q = find(id);
    if (!q)
        return;
    struct mk_op *op = q->op;
    query_free(q);
    mk_op_done(op, MK_E_TIMEOUT);
}

int mk_query_wait(struct mk_ctx *c, struct mk_out *o, const struct mk_stanza **answer) {
    const struct mk_stanza *s;
    void *outcome = NULL;
    int rc = mk_seal(o, &s);
    if (rc != MK_OK)
        return rc;
    struct sending sending = { c, s, NULL };
    rc = op_wait(c, op_begin(c, NULL, "query"), send_query, &sending, &outcome);
    if (rc != MK_OK) {
        if (sending.query)
            give_up(mk_stanza_id(s));
        return rc;
    }
    struct mk_stanza *got = outcome;
    rc = mk_stanza_read(c, mk_stanza_xml(c, got), answer);
    mk_release(got);
    return rc;
}
