/* SPDX-License-Identifier: Apache-2.0 */
#include "delegation.h"
#include <string.h>

/* Cuts the next word off *TEXT; NULL at the end. */
static char *word(char **text) {
    char *at = *text + strspn(*text, " ");
    size_t len = strcspn(at, " ");
    if (!len)
        return NULL;
    *text = at + len + (at[len] != '\0');
    at[len] = '\0';
    return at;
}

static int read_one(struct entry *e, const char *given, struct mk_err *err) {
    char *rest = e->text = mk_malloc(strlen(given) + 1), *attribute;
    memcpy(rest, given, strlen(given) + 1);
    e->component = word(&rest);
    e->ns = e->component ? word(&rest) : NULL;
    if (!e->ns)
        return mk_fail(err, MK_E_INVALID, "`%s` in namespaces is not of the form \"COMPONENT NAMESPACE ATTRIBUTE ...\"",
                       given);
    if (strcmp(e->ns, NS) == 0)
        return mk_fail(err, MK_E_INVALID, "Namespace " NS " can't be delegated.");
    while ((attribute = word(&rest)) != NULL) {
        if (e->attribute_count == ATTRIBUTES_MAX)
            return mk_fail(err, MK_E_INVALID, "`%s` in namespaces has more than %d attributes", given, ATTRIBUTES_MAX);
        e->attributes[e->attribute_count++] = attribute;
    }
    return MK_OK;
}

int entries_read(struct delegation *me, struct mk_err *err) {
    me->entries = mk_malloc((me->namespaces.count + 1) * sizeof *me->entries);
    for (uint32_t i = 0; i < me->namespaces.count; i++) {
        int rc = read_one(&me->entries[i], me->namespaces.items[i], err);
        if (rc != MK_OK)
            return rc;
    }
    return MK_OK;
}

void entries_free(struct delegation *me) {
    for (uint32_t i = 0; me->entries && i < me->namespaces.count; i++)
        mk_free(me->entries[i].text);
    mk_free(me->entries);
    me->entries = NULL;
}

bool entry_is_special(const struct entry *e) {
    return strcmp(e->ns, NS_ANY_INFO) == 0 || strcmp(e->ns, NS_ANY_ITEMS) == 0;
}

bool entry_is_from(const struct entry *e, const struct mk_jid *from) {
    struct mk_view domain = mk_jid_domain(from);
    return domain.len == strlen(e->component) && memcmp(domain.s, e->component, domain.len) == 0;
}
