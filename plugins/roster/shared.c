/* SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"
#include "contacts.h"
#include <stdlib.h>
#include <string.h>

/* ---- what providers give ------------------------------------------------------------------------------------------------ */

static int by_jid(const void *a, const void *b) {
    const struct mk_roster_item *x = a, *y = b;
    return mk_jid_compare(x->jid, y->jid);
}

static bool has_group(const struct mk_roster_item *item, const char *group) {
    for (uint32_t g = 0; g < item->group_count; g++)
        if (strcmp(item->groups[g], group) == 0)
            return true;
    return false;
}

/* The groups of B behind those of A, into OUT. */
static uint32_t join_groups(const char **out, const struct mk_roster_item *a, const struct mk_roster_item *b) {
    uint32_t n = 0;
    for (uint32_t g = 0; g < a->group_count; g++)
        out[n++] = a->groups[g];
    for (uint32_t g = 0; g < b->group_count; g++)
        if (!has_group(a, b->groups[g]))
            out[n++] = b->groups[g];
    return n;
}

/* Several providers may give the same contact. */
static uint32_t unite(struct mk_ctx *c, struct mk_roster_item *all, uint32_t count) {
    uint32_t kept = 0;
    if (count)
        qsort(all, count, sizeof *all, by_jid);
    for (uint32_t i = 0; i < count; i++) {
        struct mk_roster_item *last = kept ? &all[kept - 1] : NULL;
        if (!last || !mk_jid_same(last->jid, all[i].jid)) {
            all[kept++] = all[i];
            continue;
        }
        const char **groups = mk_alloc(c, (last->group_count + all[i].group_count + 1) * sizeof *groups);
        last->group_count = join_groups(groups, last, &all[i]);
        last->groups = groups;
        last->state |= all[i].state;
        last->name = last->name ? last->name : all[i].name;
    }
    return kept;
}

static size_t texts_size(const struct mk_roster_item *item) {
    size_t size = item->group_count * sizeof(char *) + (item->name ? strlen(item->name) + 1 : 0);
    for (uint32_t g = 0; g < item->group_count; g++)
        size += strlen(item->groups[g]) + 1;
    return (size + sizeof(char *) - 1) / sizeof(char *) * sizeof(char *);
}

static const char *append(char **at, const char *text) {
    size_t size = strlen(text) + 1;
    char *start = memcpy(*at, text, size);
    *at += size;
    return start;
}

/* FNV-1a; the zero byte between texts counts. */
static uint64_t hash_text(uint64_t hash, const char *text) {
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    while (*text++);
    return hash;
}

static uint64_t hash_item(uint64_t hash, const struct mk_roster_item *item) {
    static const char *const states[] = { "n", "t", "f", "b" };
    hash = hash_text(hash, mk_jid_text(item->jid));
    hash = hash_text(hash, item->name ? item->name : "");
    hash = hash_text(hash, states[item->state & (MK_SUB_TO | MK_SUB_FROM)]);
    for (uint32_t g = 0; g < item->group_count; g++)
        hash = hash_text(hash, item->groups[g]);
    return hash_text(hash, "");
}

static struct shared *shared_new(const struct mk_roster_item *all, uint32_t count) {
    struct shared *s = mk_malloc(sizeof *s);
    size_t size = 1;
    for (uint32_t i = 0; i < count; i++)
        size += texts_size(&all[i]);
    char *block = s->texts = mk_malloc(size);
    s->items = mk_malloc(count * sizeof s->items[0]);
    s->count = count;
    s->stale = true;
    s->hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < count; i++) {
        const char **groups = (const char **)(void *)block;
        char *at = (char *)(groups + all[i].group_count);
        s->items[i] = all[i];
        s->items[i].jid = mk_jid_keep(all[i].jid);
        s->items[i].state &= MK_SUB_TO | MK_SUB_FROM;
        s->items[i].groups = groups;
        s->items[i].name = all[i].name ? append(&at, all[i].name) : NULL;
        for (uint32_t g = 0; g < all[i].group_count; g++)
            groups[g] = append(&at, all[i].groups[g]);
        block += texts_size(&all[i]);
        s->hash = hash_item(s->hash, &s->items[i]);
    }
    return s;
}

struct shared *shared_read(struct mk_ctx *c, const struct mk_svcs *providers) {
    struct mk_roster_item *all = NULL;
    uint32_t count = 0;
    for (uint32_t p = 0; p < providers->count; p++) {
        const struct mk_roster_item *items;
        uint32_t n;
        int rc = mk_shared_roster_items(c, (const struct mk_shared_roster *)providers->items[p], &items, &n);
        if (rc != MK_OK)
            mk_log(c, MK_WARNING, "shared contacts can't be read: %s", mk_strerror(rc));
        if (rc != MK_OK || !n)
            continue;
        struct mk_roster_item *more = mk_alloc(c, (count + n) * sizeof *more);
        if (count)
            memcpy(more, all, count * sizeof *more);
        memcpy(more + count, items, n * sizeof *more);
        all = more;
        count += n;
    }
    count = unite(c, all, count);
    return count ? shared_new(all, count) : NULL;
}

static void view_free(struct shared *s) {
    mk_free(s->view);
    mk_free(s->joined);
    mk_free(s->joined_groups);
}

void shared_free(struct shared *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        mk_jid_free((struct mk_jid *)s->items[i].jid);
    view_free(s);
    mk_free(s->items);
    mk_free(s->texts);
    mk_free(s);
}

const struct mk_roster_item *shared_find(const struct shared *s, const struct mk_jid *jid) {
    const struct mk_roster_item key = { .jid = jid };
    return s ? bsearch(&key, s->items, s->count, sizeof key, by_jid) : NULL;
}

bool items_equal(const struct mk_roster_item *a, const struct mk_roster_item *b) {
    if (!a || !b || a->state != b->state || a->group_count != b->group_count || !a->name != !b->name ||
        (a->name && strcmp(a->name, b->name) != 0))
        return a == b;
    for (uint32_t g = 0; g < a->group_count; g++)
        if (strcmp(a->groups[g], b->groups[g]) != 0)
            return false;
    return true;
}

/* ---- the view ------------------------------------------------------------------------------------------------------------ */

/* A contact that is both: the user's name for it, all groups, all of the state. */
static void join(struct mk_roster_item *out, const char **groups, const struct contact *own,
                 const struct mk_roster_item *given) {
    struct mk_roster_item listed = *given;
    if (!shared_is_listed(given))
        listed.group_count = 0;
    *out = own->item;
    out->name = own->item.name ? own->item.name : given->name;
    out->groups = groups;
    out->group_count = join_groups(groups, &own->item, &listed);
    out->state |= given->state;
}

static void view_make(struct shared *s, const struct contacts *r) {
    uint32_t own = 0, given = 0, both = 0, groups = 0;
    size_t most = 1;
    view_free(s);
    for (uint32_t i = 0; i < s->count; i++)
        most += s->items[i].group_count;
    for (uint32_t i = 0; i < r->count; i++)
        most += r->items[i]->group_count;
    const char **room = s->joined_groups = mk_malloc(most * sizeof *room);
    s->joined = mk_malloc((s->count + 1) * sizeof s->joined[0]);
    s->view = mk_malloc((s->count + r->count + 1) * sizeof s->view[0]);
    s->view_count = 0;
    while (own < r->count || given < s->count) {
        int order = own == r->count     ? 1
                    : given == s->count ? -1
                                        : mk_jid_compare(r->items[own]->jid, s->items[given].jid);
        if (order == 0) {
            join(&s->joined[both], room + groups, contact_at(r, own), &s->items[given]);
            groups += s->joined[both].group_count;
            s->view[s->view_count++] = &s->joined[both++];
        } else {
            s->view[s->view_count++] = order < 0 ? r->items[own] : &s->items[given];
        }
        own += order <= 0;
        given += order >= 0;
    }
    s->stale = false;
}

void view_all(const struct contacts *r, const struct mk_roster_item *const **items, uint32_t *count) {
    struct shared *s = r->shared;
    if (s && s->stale)
        view_make(s, r);
    *items = s ? s->view : r->items;
    *count = s ? s->view_count : r->count;
}

const struct mk_roster_item *view_find(const struct contacts *r, const struct mk_jid *jid) {
    const struct mk_roster_item *const *items;
    uint32_t lo = 0, hi;
    view_all(r, &items, &hi);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int order = mk_jid_compare(items[mid]->jid, jid);
        if (order == 0)
            return items[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool view_is_listed(const struct contacts *r, const struct mk_roster_item *item) {
    const struct contact *own = contacts_find(r, item->jid);
    return (own && own->listed) || shared_is_listed(shared_find(r->shared, item->jid));
}
