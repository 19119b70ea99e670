/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks between the proof of who the client is and the success of its login (XEP-0388, 2.6.3): upgrades (XEP-0480). */
#include "sasl/sasl.h"
#include "stream/stream.h"
#include "util/mem.h"
#include "xml/out.h"
#include <stdlib.h>
#include <string.h>

#define NS_UPGRADE "urn:xmpp:sasl:upgrade:0"
#define NS_SCRAM_UPGRADE "urn:xmpp:scram-upgrade:0"

void task_put_offer(struct mk_stream *st, struct mk_out *o) {
    const char *task;
    for (unsigned i = 0; (task = upgrade_offer(st->host->type, i)) != NULL; i++)
        mk_leaf(o, "upgrade", NS_UPGRADE, task);
}

static void say(struct login *l, const char *name, struct mk_out *o) {
    struct mk_view bytes = out_bytes(o);
    struct buf b = { 0 };
    buf_printf(&b, "<%s xmlns='" NS_SASL2 "'>", name);
    buf_add(&b, bytes.s, bytes.len);
    buf_printf(&b, "</%s>", name);
    stream_write(l->stream, b.data, b.len);
    buf_free(&b);
}

/* The next that the client asked for and that there is to do; in what is left of the request, from L->sasl2->after. */
MK_SUSPENDS static bool find(struct mk_ctx *c, struct login *l) {
    struct sasl2 *x = l->sasl2;
    const struct mk_elem *e = x->after ? mk_elem_next(x->after) : mk_elem_first(mk_root(x->request));
    for (; e; e = mk_elem_next(e)) {
        x->after = e;
        if (!mk_elem_is(e, "upgrade", NS_UPGRADE))
            continue;
        free(x->task);
        x->task = xstrdup(mk_text(c, e));
        if (upgrade_missing(c, l->stream->host->type, x->account, x->task, &x->salt))
            return true;
    }
    return false;
}

bool task_offer(struct mk_ctx *c, struct login *l) {
    struct sasl2 *x = l->sasl2;
    if (!find(c, l))
        return false;
    struct mk_out *o = out_fragment(c, &c->arena);
    if (x->data)
        mk_leaf(o, "additional-data", NS_SASL2, x->data);
    mk_open(o, "tasks", NS_SASL2);
    mk_leaf(o, "task", NULL, x->task);
    mk_close(o);
    free(x->data);
    x->data = NULL;
    x->chosen = false;
    say(l, "continue", o);
    return true;
}

static void next(struct mk_ctx *c, struct login *l) {
    struct sasl2 *x = l->sasl2;
    const char *task = mk_attr(mk_root(l->step), "task");
    if (x->chosen || !task || strcmp(task, x->task) != 0) {
        login_failed(c, l, "malformed-request", "That task was not offered.");
        return;
    }
    x->chosen = true;
    struct buf salt = { (char *)x->salt.salt, x->salt.salt_len, 0 };
    char *text = login_base64(&salt);
    struct mk_out *o = out_fragment(c, &c->arena);
    mk_open(o, "salt", NS_SCRAM_UPGRADE);
    mk_put_int(o, "iterations", x->salt.iterations);
    mk_put_text(o, text);
    mk_close(o);
    say(l, "task-data", o);
    free(text);
}

/* A provider that is in trouble costs the upgrade, not the login. */
MK_SUSPENDS static void data(struct mk_ctx *c, struct login *l) {
    struct sasl2 *x = l->sasl2;
    const char *text = mk_text(c, mk_elem_child(mk_root(l->step), "hash", NS_SCRAM_UPGRADE));
    size_t len = strlen(text);
    uint8_t *salted = mk_alloc(c, 3 * len / 4 + 1);
    ssize_t got = base64_decode(salted, text, len);
    int rc = x->chosen && got > 0 ? upgrade_store(c, l->stream->host->type, x->account, x->task, salted, (size_t)got)
                                  : MK_E_INVALID;
    explicit_bzero(salted, 3 * len / 4 + 1);
    if (rc == MK_E_INVALID) {
        login_failed(c, l, "malformed-request", "That is no answer to the task.");
        return;
    }
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "keys for %s were not stored: %s", x->task, mk_strerror(rc));
    if (!task_offer(c, l))
        sasl2_done(l);
}

void task_element(struct mk_ctx *c, struct login *l) {
    const char *name = mk_elem_name(mk_root(l->step));
    if (strcmp(name, "next") == 0)
        next(c, l);
    else if (strcmp(name, "task-data") == 0)
        data(c, l);
    else
        stream_error(l->stream, "not-authorized", "A task is due.");
}
