/* SPDX-License-Identifier: Apache-2.0 */
/* "tls port=443 priority=10 weight=50 sni=example.org": the relation, and what belongs to it. */
#include "host_meta.h"
#include <string.h>

static const char ns[] = "urn:xmpp:alt-connections:";

static bool is_number(const char *text) {
    size_t len = strlen(text);
    return len > 0 && len <= 5 && strspn(text, "0123456789") == len;
}

/* False: NAME is no member, or VALUE none of its kind. */
static bool set(struct link *l, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **at;
        bool number;
    } members[] = { { "href", &l->href, false }, { "sni", &l->sni, false },          { "ech", &l->ech, false },
                    { "port", &l->port, true },  { "priority", &l->priority, true }, { "weight", &l->weight, true } };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strcmp(members[i].name, name) != 0)
            continue;
        *members[i].at = value;
        return *value && (!members[i].number || is_number(value));
    }
    return false;
}

/* Takes a copy of TEXT apart at *AT, and moves that behind it. */
static bool read_link(struct link *l, const char *text, char **at) {
    l->rel = *at;
    *at = stpcpy(stpcpy(*at, ns), text) + 1;
    char *rest = (char *)l->rel + strcspn(l->rel, " ");
    while (*rest) {
        *rest++ = '\0';
        char *value = strchr(rest, '='), *end = rest + strcspn(rest, " ");
        if (!value || value > end)
            return false;
        *value++ = '\0';
        char more = *end;
        *end = '\0';
        if (!set(l, rest, value))
            return false;
        *end = more;
        rest = end;
    }
    return l->rel[sizeof ns - 1] && !l->href != !l->port;
}

int links_parse(struct host_meta *me, struct mk_err *err) {
    size_t size = 1;
    for (uint32_t i = 0; i < me->links.count; i++)
        size += strlen(me->links.items[i]) + sizeof ns;
    me->list = mk_malloc((me->links.count + 1) * sizeof *me->list);
    char *at = me->texts = mk_malloc(size);
    for (uint32_t i = 0; i < me->links.count; i++)
        if (!read_link(&me->list[i], me->links.items[i], &at))
            return mk_fail(
                err, MK_E_INVALID,
                "links: \"%s\" is not a relation and then name=value; href or port it has, and may have sni, "
                "ech, priority and weight",
                me->links.items[i]);
    return MK_OK;
}
