/* SPDX-License-Identifier: Apache-2.0 */
#include "control_client.h"
#include "move/move.h"
#include "util/mem.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int server_connect(struct server *s, const char *socket) {
    s->socket = socket;
    s->fd = control_connect(socket);
    if (s->fd >= 0)
        return DONE;
    if (errno == EACCES)
        return fail(NO_SERVER, "%s is for root, the server's user and its group", socket);
    return fail(NO_SERVER, "no server answers at %s (%s): start it, for accounts move through it", socket,
                strerror(errno));
}

void server_close(struct server *s) {
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

int server_run(struct server *s, cJSON **answer, const char *command, ...) {
    cJSON *args = cJSON_CreateObject();
    const char *name, *value, *why;
    va_list list;
    va_start(list, command);
    while ((name = va_arg(list, const char *)) != NULL)
        if ((value = va_arg(list, const char *)) != NULL)
            cJSON_AddStringToObject(args, name, value);
    va_end(list);
    *answer = control_ask(s->fd, command, args, &why);
    if (!*answer)
        return fail(NO_SERVER, "%s", why);
    if (true_in(*answer, "ok"))
        return DONE;
    int status = fail(FAILED, "%s", text_in(*answer, "error"));
    cJSON_Delete(*answer);
    *answer = NULL;
    return status;
}

cJSON *answer_rows(const cJSON *answer) {
    return cJSON_GetObjectItemCaseSensitive(answer, "rows");
}

const char *text_in(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

bool true_in(const cJSON *object, const char *name) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* ---- what there is --------------------------------------------------------------------------------------------------- */

static void kinds_add(struct dump_kinds *k, const char *name, const char *ns, bool series) {
    if (kind_find(k, name, ns))
        return;
    k->items = xrealloc(k->items, ((size_t)k->count + 1) * sizeof *k->items);
    k->items[k->count++] = (struct dump_kind){ xstrdup(name), xstrdup(ns), series };
}

/* Hosts of different kinds may take different things. */
int server_kinds(struct server *s, struct dump_kinds *out) {
    static const struct names all;
    struct names hosts = { 0 };
    int status = server_hosts(s, &all, &hosts);
    for (int i = 0; status == DONE && i < hosts.count; i++) {
        cJSON *answer;
        const cJSON *row;
        status = server_run(s, &answer, "move.kinds", "host", hosts.items[i], NULL);
        if (status != DONE)
            break;
        cJSON_ArrayForEach(row, answer_rows(answer))
            kinds_add(out, text_in(row, "name"), text_in(row, "ns"), true_in(row, "series"));
        cJSON_Delete(answer);
    }
    kinds_add(out, "scram-credentials", NS_SCRAM, false);
    names_free(&hosts);
    return status;
}

void kinds_free(struct dump_kinds *k) {
    for (int i = 0; i < k->count; i++) {
        free(k->items[i].name);
        free(k->items[i].ns);
    }
    free(k->items);
}

void names_add(struct names *n, const char *name) {
    n->items = xrealloc(n->items, ((size_t)n->count + 1) * sizeof *n->items);
    n->items[n->count++] = xstrdup(name);
}

void names_free(struct names *n) {
    for (int i = 0; i < n->count; i++)
        free(n->items[i]);
    free(n->items);
    *n = (struct names){ NULL, 0 };
}

bool names_allow(const struct names *n, const char *name) {
    for (int i = 0; i < n->count; i++)
        if (strcmp(n->items[i], name) == 0)
            return true;
    return n->count == 0;
}

int server_hosts(struct server *s, const struct names *asked, struct names *out) {
    cJSON *answer;
    const cJSON *row;
    int status = server_run(s, &answer, "hosts.list", NULL);
    if (status != DONE)
        return status;
    cJSON_ArrayForEach(row, answer_rows(answer)) if (names_allow(asked, text_in(row, "host")))
        names_add(out, text_in(row, "host"));
    cJSON_Delete(answer);
    for (int i = 0; i < asked->count; i++)
        if (!out->count || !names_allow(out, asked->items[i]))
            return fail(FAILED, "%s is not served here", asked->items[i]);
    return DONE;
}
