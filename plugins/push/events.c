/* SPDX-License-Identifier: Apache-2.0 */
/* What is worth a notification, and for whom. */
#include "push.h"
#include <string.h>

struct account *account_self(struct mk_ctx *c) {
    return mk_self_slot(c, SLOT_ACCOUNT);
}

static char *copy(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(mk_malloc(size), text, size);
}

static void news_free(struct news *n) {
    if (!n)
        return;
    for (unsigned i = 0; i < n->count; i++)
        mk_free(n->resources[i]);
    mk_free(n->sender);
    mk_free(n->body);
    mk_free(n);
}

void account_fini(void *slot) {
    news_free(((struct account *)slot)->news);
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

/* What a person would want to be woken for: text, what is encrypted, a call. */
static bool is_worth(struct mk_ctx *c, const struct mk_stanza *s) {
    enum mk_type type = mk_stanza_type(s);
    const char *own = mk_elem_ns(mk_root(s));
    if (mk_stanza_kind(s) != MK_MESSAGE || type == MK_TYPE_ERROR || type == MK_TYPE_HEADLINE || !mk_stanza_from(s) ||
        mk_jid_same_bare(mk_stanza_from(s), mk_self(c)))
        return false;
    return mk_child(s, "body", own) || mk_child(s, "encryption", "urn:xmpp:eme:0") ||
           mk_child(s, "propose", "urn:xmpp:jingle-message:0");
}

static void replace(char **text, const char *with) {
    mk_free(*text);
    *text = with && *with ? copy(with) : NULL;
}

static void add_resource(struct news *n, const char *resource) {
    for (unsigned i = 0; i < n->count; i++)
        if (strcmp(n->resources[i], resource) == 0)
            return;
    if (n->count == WHO_MAX)
        n->all = true;
    else
        n->resources[n->count++] = copy(resource);
}

/* RESOURCE: who missed it; NULL: everybody. */
static void note(struct mk_ctx *c, const struct mk_stanza *s, const char *resource) {
    const struct push *me = mk_inst(c);
    struct account *a = account_self(c);
    if (a->none)
        return;
    if (!a->news)
        a->news = mk_malloc(sizeof *a->news);
    a->messages++;
    if (resource)
        add_resource(a->news, resource);
    a->news->all |= !resource;
    if (me->sender)
        replace(&a->news->sender, mk_jid_text(mk_stanza_from(s)));
    if (me->body)
        replace(&a->news->body, mk_text(c, mk_child(s, "body", mk_elem_ns(mk_root(s)))));
    if (!mk_timer_runs(c, NULL, TIMER_PUBLISH))
        mk_timer_start(c, NULL, TIMER_PUBLISH, (uint32_t)me->delay);
}

enum mk_flow on_missed(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (!ev->again && is_worth(c, ev->stanza))
        note(c, ev->stanza, NULL);
    return MK_NEXT;
}

/* A session whose client is away, and may come back to it. */
enum mk_flow on_session_send(struct mk_ctx *c, struct mk_ev_send *ev) {
    if (!mk_session_is_connected(ev->session) && is_worth(c, ev->stanza))
        note(c, ev->stanza, mk_jid_resource(mk_session_jid(ev->session)).s);
    return MK_NEXT;
}

enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    (void)ev;
    account_self(c)->messages = 0;
    return MK_NEXT;
}

/* ---- telling --------------------------------------------------------------------------------------------------------- */

static bool is_connected(struct mk_ctx *c, const char *resource) {
    struct mk_session *s = mk_session_find(c, (struct mk_view){ resource, strlen(resource) });
    return s && mk_session_is_connected(s);
}

static bool is_for(struct mk_ctx *c, const struct news *n, const char *resource) {
    if (is_connected(c, resource))
        return false;
    for (unsigned i = 0; i < n->count; i++)
        if (strcmp(n->resources[i], resource) == 0)
            return true;
    return n->all;
}

static void begin(struct mk_ctx *c, const struct mk_row *row, const struct news *n, uint32_t messages) {
    struct notice *notice = mk_malloc(sizeof *notice);
    const char *options = mk_row_text(row, COL_OPTIONS);
    *notice = (struct notice){ .service = mk_jid_keep(mk_row_jid(row, COL_SERVICE)),
                               .node = copy(mk_row_text(row, COL_NODE)),
                               .options = options ? copy(options) : NULL,
                               .sender = n->sender ? copy(n->sender) : NULL,
                               .body = n->body ? copy(n->body) : NULL,
                               .messages = messages };
    mk_aside(c, publish, notice);
}

MK_SUSPENDS void on_publish_time(struct mk_ctx *c, struct mk_session *none) {
    const struct push *me = mk_inst(c);
    struct account *a = account_self(c);
    struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    (void)none;
    if (!a->news)
        return;
    int rc = mk_scan(c, me->devices, MK_SCAN(.partition = &owner), &rows);
    size_t count = rc == MK_OK ? mk_rows_count(rows) : 0;
    for (size_t i = 0; i < count; i++)
        if (is_for(c, a->news, mk_row_text(mk_rows_at(rows, i), COL_RESOURCE)))
            begin(c, mk_rows_at(rows, i), a->news, a->messages);
    a->none = rc == MK_OK && count == 0;
    if (rc != MK_OK)
        mk_log(c, MK_WARNING, "devices are not told of a message: %s", mk_strerror(rc));
    news_free(a->news);
    a->news = NULL;
}
