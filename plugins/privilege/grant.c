/* SPDX-License-Identifier: Apache-2.0 */
#include "privilege.h"
#include <string.h>

/* The word after the one at AT, which may be NULL for the first; NULL at the end. */
static const char *next_word(const char *grant, const char *at) {
    at = at ? at + strcspn(at, " ") : grant;
    at += strspn(at, " ");
    return *at ? at : NULL;
}

static bool word_is(const char *word, const char *text) {
    size_t len = strcspn(word, " ");
    return strlen(text) == len && memcmp(word, text, len) == 0;
}

/* "iq=TYPE:NAMESPACE" of type TYPE. */
static bool word_is_iq(const char *word, const char *type) {
    size_t len = strlen(type);
    return strncmp(word, "iq=", 3) == 0 && strncmp(word + 3, type, len) == 0 && word[3 + len] == ':' &&
           word[4 + len] != ' ' && word[4 + len];
}

static bool word_is_good(const char *word) {
    static const char *const words[] = { "roster=get",
                                         "roster=set",
                                         "roster=both",
                                         "push=false",
                                         "push=true",
                                         "message=outgoing",
                                         "presence=managed_entity",
                                         "presence=roster" };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (word_is(word, words[i]))
            return true;
    return word_is_iq(word, "get") || word_is_iq(word, "set") || word_is_iq(word, "both");
}

const char *grant_check(const char *grant) {
    const char *word = next_word(grant, NULL);
    if (!word)
        return "names no component";
    while ((word = next_word(grant, word)) != NULL)
        if (!word_is_good(word))
            return "has a word that is no privilege";
    if (grant_has(grant, "presence", "roster") && !grant_reads_roster(grant))
        return "has presence=roster, which needs roster=get or roster=both";
    if (grant_has(grant, "push", "true") && !grant_reads_roster(grant))
        return "has push=true, which needs roster=get or roster=both";
    return NULL;
}

struct mk_view grant_component(const char *grant) {
    const char *word = next_word(grant, NULL);
    return word ? (struct mk_view){ word, strcspn(word, " ") } : (struct mk_view){ "", 0 };
}

const struct mk_jid *grant_address(struct mk_ctx *c, const char *grant) {
    const struct mk_jid *jid;
    return mk_jid_parse(c, grant_component(grant), &jid) == MK_OK ? jid : NULL;
}

const char *grant_of(struct mk_ctx *c, const struct mk_jid *from) {
    const struct privilege *me = mk_inst(c);
    struct mk_view domain = mk_jid_domain(from);
    for (uint32_t i = 0; i < me->grants.count; i++) {
        struct mk_view name = grant_component(me->grants.items[i]);
        if (name.len == domain.len && memcmp(name.s, domain.s, name.len) == 0)
            return me->grants.items[i];
    }
    return NULL;
}

bool grant_has(const char *grant, const char *name, const char *value) {
    size_t len = strlen(name);
    for (const char *word = next_word(grant, NULL); (word = next_word(grant, word)) != NULL;)
        if (strncmp(word, name, len) == 0 && word[len] == '=' && word_is(word + len + 1, value))
            return true;
    return false;
}

static bool allows(const char *grant, const char *name, const char *type, const char *ns) {
    size_t len = strlen(name);
    if (!ns)
        return grant_has(grant, name, type);
    for (const char *word = next_word(grant, NULL); (word = next_word(grant, word)) != NULL;)
        if (strncmp(word, name, len) == 0 && word_is_iq(word, type) && word_is(word + len + 2 + strlen(type), ns))
            return true;
    return false;
}

bool grant_allows(const char *grant, const char *name, enum mk_type type, const char *ns) {
    return allows(grant, name, type == MK_TYPE_GET ? "get" : "set", ns) || allows(grant, name, "both", ns);
}

bool grant_reads_roster(const char *grant) {
    return grant_allows(grant, "roster", MK_TYPE_GET, NULL);
}

bool grant_pushes(const char *grant) {
    return grant_reads_roster(grant) && !grant_has(grant, "push", "false");
}

bool grant_sees_contacts(const char *grant) {
    return grant_has(grant, "presence", "roster") && grant_reads_roster(grant);
}

bool grant_namespace(struct mk_ctx *c, const char *grant, uint32_t i, const char **ns, const char **type) {
    for (const char *word = next_word(grant, NULL); (word = next_word(grant, word)) != NULL;) {
        const char *colon = strncmp(word, "iq=", 3) == 0 ? strchr(word, ':') : NULL;
        if (!colon || i-- > 0)
            continue;
        *type = mk_text_of(c, (struct mk_view){ word + 3, (size_t)(colon - word - 3) });
        *ns = mk_text_of(c, (struct mk_view){ colon + 1, strcspn(colon + 1, " ") });
        return true;
    }
    return false;
}
