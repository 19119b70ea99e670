/* SPDX-License-Identifier: Apache-2.0 */
/* SASL2 (XEP-0388) up to the proof of who the client is: the syntax around the same mechanisms as RFC 6120 has. */
#include "route/host.h"
#include "sasl/sasl.h"
#include "stream/stream.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

enum { AGENT_TEXT_MAX = 128, UUID_LEN = 36 }; /* bytes kept of what the client calls itself and its device */

bool sasl2_offered(const struct mk_stream *st) {
    const struct host_type *t = st->host->type;
    return t->sasl2 && (stream_is_secure(st) || t->plain_without_tls);
}

void sasl2_free(struct login *l) {
    if (!l->sasl2)
        return;
    mk_release(l->sasl2->request);
    free(l->sasl2->data);
    free(l->sasl2->task);
    mk_jid_free(l->sasl2->account);
    buf_free(&l->sasl2->held);
    free(l->sasl2);
    l->sasl2 = NULL;
}

/* ---- the client about itself ------------------------------------------------------------------------------------ */

static bool is_uuid_4(const char *id) {
    static const char form[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
    if (strlen(id) != UUID_LEN)
        return false;
    for (int i = 0; i < UUID_LEN; i++) {
        const char *allowed = form[i] == 'x'   ? "0123456789abcdefABCDEF"
                              : form[i] == 'y' ? "89abAB"
                              : form[i] == '4' ? "4"
                                               : "-";
        if (!strchr(allowed, id[i]))
            return false;
    }
    return true;
}

/* Adds TEXT, cut before a character that would pass the limit, at AT; returns the end. */
static char *add_text(char *at, const char **where, const char *text) {
    size_t len = strlen(text);
    if (len > AGENT_TEXT_MAX)
        for (len = AGENT_TEXT_MAX; len && (text[len] & 0xc0) == 0x80;)
            len--;
    *where = at;
    at = (char *)mempcpy(at, text, len);
    *at = '\0';
    return at + 1;
}

/* False: its id is none. */
static bool read_agent(struct mk_ctx *c, struct login *l, const struct mk_elem *e) {
    const char *id = e ? mk_attr(e, "id") : NULL;
    free(l->agent);
    l->agent = NULL;
    if (!e)
        return true;
    if (id && !is_uuid_4(id))
        return false;
    struct agent *a = xcalloc(1, sizeof *a + UUID_LEN + 2 * AGENT_TEXT_MAX + 3);
    char *at = add_text(a->texts, &a->said.id, id ? id : "");
    for (char *lower = a->texts; *lower; lower++)
        *lower = *lower >= 'A' && *lower <= 'F' ? (char)(*lower | 32) : *lower;
    at = add_text(at, &a->said.software, mk_text(c, mk_elem_child(e, "software", NS_SASL2)));
    at = add_text(at, &a->said.device, mk_text(c, mk_elem_child(e, "device", NS_SASL2)));
    l->agent = xrealloc(a, (size_t)(at - (char *)a));
    /* The texts moved along. */
    l->agent->said.software = l->agent->texts + strlen(l->agent->texts) + 1;
    l->agent->said.device = l->agent->said.software + strlen(l->agent->said.software) + 1;
    l->agent->said.id = l->agent->texts;
    return true;
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static void authenticate(struct mk_ctx *c, struct login *l) {
    const struct mk_elem *root = mk_root(l->step), *first = mk_elem_child(root, "initial-response", NS_SASL2);
    l->sasl2 = xcalloc(1, sizeof *l->sasl2);
    l->sasl2->request = mk_keep(l->step);
    if (read_agent(c, l, mk_elem_child(root, "user-agent", NS_SASL2)))
        login_begin(c, l, mk_attr(root, "mechanism"), first ? mk_text(c, first) : NULL);
    else
        login_failed(c, l, "malformed-request", "The id of the user agent is no UUID of version 4.");
}

void sasl2_element(struct mk_ctx *c, struct login *l) {
    const struct mk_elem *root = mk_root(l->step);
    const char *name = mk_elem_name(root);
    if (!l->sasl2 && strcmp(name, "authenticate") == 0)
        authenticate(c, l);
    else if (l->sasl && l->sasl2 && strcmp(name, "response") == 0)
        login_go(c, l, mk_text(c, root));
    else if (l->sasl2 && strcmp(name, "abort") == 0)
        login_failed(c, l, "aborted", NULL);
    else if (l->sasl2 && l->sasl2->account)
        task_element(c, l);
    else
        stream_error(l->stream, "not-authorized", "That is not due now.");
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

void sasl2_challenge(struct login *l, const struct buf *data) {
    char *text = login_base64(data);
    struct buf b = { 0 };
    buf_printf(&b, "<challenge xmlns='" NS_SASL2 "'>%s</challenge>", text);
    stream_write(l->stream, b.data, b.len);
    buf_free(&b);
    free(text);
}

void sasl2_succeeded(struct mk_ctx *c, struct login *l, const struct mk_jid *account, const struct buf *data) {
    struct sasl2 *x = l->sasl2;
    if (data->len)
        x->data = login_base64(data);
    x->account = mk_jid_keep(account);
    if (!task_offer(c, l))
        sasl2_done(l);
}

void sasl2_done(struct login *l) {
    l->account = l->sasl2->account;
    l->sasl2->account = NULL;
}
