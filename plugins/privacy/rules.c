/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = { "any", "jid", "group", "subscription" };
static const char *const kind_names[] = { "message", "iq", "presence-in", "presence-out", "other" };
enum { TYPES = 4, KINDS = 5 };

const char *subscription_name(uint32_t state) {
    static const char *const names[] = { "none", "to", "from", "both" };
    return names[state & (MK_SUB_TO | MK_SUB_FROM)];
}

/* ---- making ---------------------------------------------------------------------------------------------------------- */

static int by_order(const void *a, const void *b) {
    const struct rule *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_value(const void *a, const void *b, void *arg) {
    const struct rule_list *l = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(l->rules[x].value, l->rules[y].value);
    return order ? order : (x > y) - (x < y);
}

static void index_rules(struct rule_list *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->rules[i].type == RULE_JID)
            l->jids[l->jid_count++] = i;
        else
            l->others[l->other_count++] = i;
        l->needs_roster |= l->rules[i].type == RULE_GROUP || l->rules[i].type == RULE_SUBSCRIPTION;
    }
    qsort_r(l->jids, l->jid_count, sizeof l->jids[0], by_value, l);
}

/* One block: the struct, the rules, the two indexes, the texts. */
struct rule_list *rule_list_new(const char *name, const struct rule *rules, uint32_t count) {
    size_t texts = strlen(name) + 1;
    for (uint32_t i = 0; i < count; i++)
        texts += strlen(rules[i].value) + 1;
    struct rule_list *l = mk_malloc(sizeof *l + count * (sizeof *rules + 2 * sizeof(uint32_t)) + texts);
    l->rules = (struct rule *)(l + 1);
    l->jids = (uint32_t *)(l->rules + count);
    l->others = l->jids + count;
    l->name = (char *)(l->others + count);
    l->count = count;
    char *at = stpcpy(l->name, name) + 1;
    for (uint32_t i = 0; i < count; i++) {
        l->rules[i] = rules[i];
        l->rules[i].value = at;
        at = stpcpy(at, rules[i].value) + 1;
    }
    qsort(l->rules, count, sizeof l->rules[0], by_order);
    index_rules(l);
    return l;
}

void rule_list_free(struct rule_list *l) {
    mk_free(l);
}

/* ---- matching -------------------------------------------------------------------------------------------------------- */

static int compare(const char *value, struct mk_view key) {
    int order = strncmp(value, key.s, key.len);
    return order ? order : value[key.len] != '\0';
}

/* The first of the rules about exactly KEY that is of KIND, if it comes before BEST; else BEST. */
static uint32_t first_about(const struct rule_list *l, struct mk_view key, uint32_t kind, uint32_t best) {
    uint32_t lo = 0, hi = l->jid_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (compare(l->rules[l->jids[mid]].value, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < l->jid_count && l->jids[lo] < best && compare(l->rules[l->jids[lo]].value, key) == 0; lo++)
        if (l->rules[l->jids[lo]].kinds & kind)
            return l->jids[lo];
    return best;
}

/* Whole, without resource, without local part, the domain: each is a piece of the whole. */
static uint32_t first_jid_rule(const struct rule_list *l, const struct mk_jid *jid, uint32_t kind) {
    struct mk_view bare = mk_jid_bare(jid), domain = mk_jid_domain(jid), whole = { mk_jid_text(jid), 0 };
    whole.len = strlen(whole.s);
    uint32_t best = first_about(l, bare, kind, l->count);
    if (whole.len != bare.len)
        best = first_about(l, whole, kind, best);
    if (domain.len == bare.len)
        return best;
    size_t local = (size_t)(domain.s - whole.s);
    best = first_about(l, domain, kind, best);
    return whole.len != bare.len ? first_about(l, (struct mk_view){ domain.s, whole.len - local }, kind, best) : best;
}

static bool is_in_group(const struct mk_roster_item *item, const char *group) {
    for (uint32_t i = 0; item && i < item->group_count; i++)
        if (strcmp(item->groups[i], group) == 0)
            return true;
    return false;
}

const struct rule *rule_list_match(const struct rule_list *l, const struct mk_jid *jid, uint32_t kind,
                                   contact_fn *contact, void *arg) {
    uint32_t best = l->jid_count ? first_jid_rule(l, jid, kind) : l->count;
    const struct mk_roster_item *item = NULL;
    bool asked = false;
    for (uint32_t i = 0; i < l->other_count && l->others[i] < best; i++) {
        const struct rule *r = &l->rules[l->others[i]];
        if (!(r->kinds & kind))
            continue;
        if (r->type == RULE_ANY)
            return r;
        item = asked ? item : contact(arg);
        asked = true;
        if (r->type == RULE_GROUP ? is_in_group(item, r->value)
                                  : strcmp(r->value, subscription_name(item ? item->state : 0)) == 0)
            return r;
    }
    return best < l->count ? &l->rules[best] : NULL;
}

/* ---- as text --------------------------------------------------------------------------------------------------------- */

static char *write_kinds(char *at, uint32_t kinds) {
    if (kinds == MK_PRIVACY_ALL)
        return stpcpy(at, "all");
    for (unsigned i = 0; i < KINDS; i++)
        if (kinds & 1u << i) {
            at = stpcpy(at, kind_names[i]);
            *at++ = ',';
        }
    *--at = '\0';
    return at;
}

const char *rules_write(struct mk_ctx *c, const struct rule_list *l) {
    enum { MOST = 96 }; /* of a line without its value */
    size_t size = 1;
    for (uint32_t i = 0; i < l->count; i++)
        size += MOST + strlen(l->rules[i].value);
    char *text = mk_alloc(c, size), *at = text;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct rule *r = &l->rules[i];
        at += sprintf(at, "%u %s ", r->order, r->deny ? "deny" : "allow");
        at = write_kinds(at, r->kinds);
        at += sprintf(at, " %s %s\n", type_names[r->type], r->value);
    }
    return text;
}

static uint8_t read_kinds(char *text) {
    uint8_t kinds = 0;
    char *save;
    if (strcmp(text, "all") == 0)
        return MK_PRIVACY_ALL;
    for (char *k = strtok_r(text, ",", &save); k; k = strtok_r(NULL, ",", &save))
        for (unsigned i = 0; i < KINDS; i++)
            if (strcmp(k, kind_names[i]) == 0)
                kinds |= (uint8_t)(1u << i);
    return kinds;
}

static bool read_rule(char *line, struct rule *out) {
    char *order = strsep(&line, " "), *action = strsep(&line, " "), *kinds = strsep(&line, " ");
    char *type = strsep(&line, " ");
    if (!line)
        return false;
    *out = (struct rule){ .order = (uint32_t)strtoul(order, NULL, 10), .deny = strcmp(action, "deny") == 0 };
    out->kinds = read_kinds(kinds);
    out->value = line;
    for (uint8_t i = 0; i < TYPES; i++)
        if (strcmp(type, type_names[i]) == 0) {
            out->type = i;
            return out->kinds != 0;
        }
    return false;
}

const struct rule *rules_read(struct mk_ctx *c, const char *text, uint32_t *count) {
    uint32_t most = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        most++;
    struct rule *rules = mk_alloc(c, (most + 1) * sizeof *rules);
    *count = 0;
    for (char *rest = mk_printf(c, "%s", text), *line; (line = strsep(&rest, "\n")) != NULL && *count < most;)
        *count += read_rule(line, &rules[*count]);
    return rules;
}
