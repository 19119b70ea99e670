/* SPDX-License-Identifier: Apache-2.0 */
#include "contacts.h"
#include <stdlib.h>
#include <string.h>

enum { COL_OWNER, COL_CONTACT, COL_NAME, COL_GROUPS, COL_STATE, COL_VERSION, COL_FLOOR, COL_REQUEST, COL_COUNT };

/* Bits of column `state` beside those of <meerkat/roster.h>. */
enum { STATE_LISTED = 32, STATE_REMOVED = 64 };
enum { STATE_PUBLIC = 31 };

const struct mk_col_decl contact_cols[COL_COUNT] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    { "contact", MK_C_JID, MK_COL_SORT, "Bare JID of the contact." },
    { "name", MK_C_TEXT, MK_COL_NULL, "What the account calls the contact." },
    { "groups", MK_C_TEXT, MK_COL_NULL, "Names of the groups, one a line." },
    { "state", MK_C_INT, 0,
      "Bits: 1 to, 2 from, 4 asked, 8 is asked, 16 pre-approved, 32 in the roster, 64 removed from it." },
    { "version", MK_C_INT, 0, "Roster version of the last change, 0 if not in the roster." },
    { "floor", MK_C_INT, 0, "The highest of an account is its oldest version from which all changes are still here." },
    { "request", MK_C_TEXT, MK_COL_NULL, "The stanza that asks for a subscription and waits for an answer." },
};

/* ---- one contact ------------------------------------------------------------------------------------------------- */

static char *append(char **at, const char *text) {
    size_t size = strlen(text) + 1;
    char *start = memcpy(*at, text, size);
    *at += size;
    return start;
}

/* A copy in one block: the struct, the group pointers, the texts.  The JID is a block of its own. */
static struct contact *contact_copy(const struct contact *from) {
    const struct mk_roster_item *i = &from->item;
    size_t size = sizeof *from + i->group_count * sizeof(char *);
    size += i->name ? strlen(i->name) + 1 : 0;
    size += from->request ? strlen(from->request) + 1 : 0;
    for (uint32_t g = 0; g < i->group_count; g++)
        size += strlen(i->groups[g]) + 1;
    struct contact *to = mk_malloc(size);
    const char **groups = (const char **)(to + 1);
    char *at = (char *)(groups + i->group_count);
    *to = *from;
    to->item.jid = mk_jid_keep(i->jid);
    to->item.groups = groups;
    to->item.name = i->name ? append(&at, i->name) : NULL;
    to->request = from->request ? append(&at, from->request) : NULL;
    for (uint32_t g = 0; g < i->group_count; g++)
        groups[g] = append(&at, i->groups[g]);
    return to;
}

static void contact_free(const struct mk_roster_item *item) {
    mk_jid_free((struct mk_jid *)item->jid);
    mk_free((void *)item);
}

/* ---- the lists --------------------------------------------------------------------------------------------------- */

/* Where JID is, or would be. */
static uint32_t place(const struct contacts *r, const struct mk_jid *jid, bool *found) {
    uint32_t lo = 0, hi = r->count;
    *found = false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int order = mk_jid_compare(r->items[mid]->jid, jid);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct contact *contacts_find(const struct contacts *r, const struct mk_jid *jid) {
    bool found;
    uint32_t at = place(r, jid, &found);
    return found ? contact_at(r, at) : NULL;
}

/* Room for one element more in an array of elements of SIZE. */
static void *grown(void *array, uint32_t count, uint32_t *cap, size_t size) {
    if (count < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 8;
    void *bigger = mk_malloc(*cap * size);
    if (array)
        memcpy(bigger, array, count * size);
    mk_free(array);
    return bigger;
}

static void view_changed(struct contacts *r) {
    if (r->shared)
        r->shared->stale = true;
}

static void set(struct contacts *r, struct contact *kept) {
    bool found;
    view_changed(r);
    uint32_t at = place(r, kept->item.jid, &found);
    if (found) {
        r->listed -= contact_at(r, at)->listed;
        contact_free(r->items[at]);
    } else {
        r->items = grown(r->items, r->count, &r->cap, sizeof r->items[0]);
        memmove(r->items + at + 1, r->items + at, (r->count - at) * sizeof r->items[0]);
        r->count++;
    }
    r->items[at] = &kept->item;
    r->listed += kept->listed;
}

static void unset(struct contacts *r, const struct mk_jid *jid) {
    bool found;
    view_changed(r);
    uint32_t at = place(r, jid, &found);
    if (!found)
        return;
    r->listed -= contact_at(r, at)->listed;
    contact_free(r->items[at]);
    r->count--;
    memmove(r->items + at, r->items + at + 1, (r->count - at) * sizeof r->items[0]);
}

static void gone_add(struct contacts *r, const struct mk_jid *jid, int64_t version) {
    r->gone = grown(r->gone, r->gone_count, &r->gone_cap, sizeof r->gone[0]);
    r->gone[r->gone_count++] = (struct gone){ mk_jid_keep(jid), version };
}

static void gone_drop(struct contacts *r, uint32_t at) {
    mk_jid_free(r->gone[at].jid);
    r->gone_count--;
    memmove(r->gone + at, r->gone + at + 1, (r->gone_count - at) * sizeof r->gone[0]);
}

/* The contact is back. */
static void gone_forget(struct contacts *r, const struct mk_jid *jid) {
    for (uint32_t i = 0; i < r->gone_count; i++) {
        if (mk_jid_same(r->gone[i].jid, jid)) {
            gone_drop(r, i);
            return;
        }
    }
}

void contacts_free(struct contacts *r) {
    if (!r)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        contact_free(r->items[i]);
    for (uint32_t i = 0; i < r->gone_count; i++)
        mk_jid_free(r->gone[i].jid);
    mk_free(r->items);
    mk_free(r->gone);
    shared_free(r->shared);
    mk_free(r);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* "a\nb" as pointers into a copy in the turn's memory. */
static const char *const *split(struct mk_ctx *c, const char *lines, uint32_t *count) {
    *count = 0;
    if (!lines || !*lines)
        return NULL;
    uint32_t most = 1;
    for (const char *p = lines; (p = strchr(p, '\n')) != NULL; p++)
        most++;
    const char **out = mk_alloc(c, most * sizeof *out);
    for (char *p = mk_printf(c, "%s", lines); p;) {
        char *end = strchr(p, '\n');
        if (end)
            *end++ = '\0';
        out[(*count)++] = p;
        p = end;
    }
    return out;
}

static struct mk_value join(struct mk_ctx *c, const struct mk_roster_item *item) {
    size_t size = 1;
    for (uint32_t g = 0; g < item->group_count; g++)
        size += strlen(item->groups[g]) + 1;
    char *text = mk_alloc(c, size), *at = text;
    for (uint32_t g = 0; g < item->group_count; g++) {
        at = stpcpy(at, item->groups[g]);
        *at++ = g + 1 < item->group_count ? '\n' : '\0';
    }
    return item->group_count ? mk_v_text(text) : mk_v_null();
}

static void load_row(struct mk_ctx *c, struct contacts *r, const struct mk_row *row) {
    int64_t state = mk_row_int(row, COL_STATE), version = mk_row_int(row, COL_VERSION);
    int64_t floor = mk_row_int(row, COL_FLOOR);
    r->version = version > r->version ? version : r->version;
    r->floor = floor > r->floor ? floor : r->floor;
    if (state & STATE_REMOVED) {
        gone_add(r, mk_row_jid(row, COL_CONTACT), version);
        return;
    }
    struct contact k = { .version = version, .listed = state & STATE_LISTED, .request = mk_row_text(row, COL_REQUEST) };
    k.item.jid = mk_row_jid(row, COL_CONTACT);
    k.item.name = mk_row_text(row, COL_NAME);
    k.item.groups = split(c, mk_row_text(row, COL_GROUPS), &k.item.group_count);
    k.item.state = (uint32_t)state & STATE_PUBLIC;
    set(r, contact_copy(&k));
}

static int older(const void *a, const void *b) {
    const struct gone *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

int contacts_load(struct mk_ctx *c, const struct mk_coll *coll, struct contacts **out) {
    struct mk_value owner = mk_v_jid(mk_self(c));
    const struct mk_rows *rows;
    int rc = mk_scan(c, coll, MK_SCAN(.partition = &owner), &rows);
    if (rc != MK_OK)
        return rc;
    struct contacts *r = mk_malloc(sizeof *r);
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        load_row(c, r, mk_rows_at(rows, i));
    if (r->gone_count)
        qsort(r->gone, r->gone_count, sizeof r->gone[0], older);
    *out = r;
    return MK_OK;
}

/*
 * Versions are times, so that those of an account that was removed and made anew, or of a store that was set back, are
 * not taken for known ones.
 */
static int64_t next_version(struct mk_ctx *c, const struct contacts *r) {
    int64_t now = mk_now(c);
    return now > r->version ? now : r->version + 1;
}

MK_SUSPENDS static int drop_row(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r,
                                const struct mk_jid *jid) {
    struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_jid(jid) };
    int rc = mk_del(c, coll, key);
    if (rc != MK_OK && rc != MK_E_NOTFOUND)
        return rc;
    unset(r, jid);
    return MK_OK;
}

/* The row of K, whose version and floor are set. */
static struct mk_value *row_of(struct mk_ctx *c, const struct contact *k, int64_t floor) {
    struct mk_value *row = mk_alloc(c, COL_COUNT * sizeof *row);
    row[COL_OWNER] = mk_v_jid(mk_self(c));
    row[COL_CONTACT] = mk_v_jid(k->item.jid);
    row[COL_NAME] = mk_v_text(k->item.name);
    row[COL_GROUPS] = join(c, &k->item);
    row[COL_STATE] = mk_v_int(k->item.state | (k->listed ? STATE_LISTED : 0));
    row[COL_VERSION] = mk_v_int(k->version);
    row[COL_FLOOR] = mk_v_int(floor);
    row[COL_REQUEST] = mk_v_text(k->request);
    return row;
}

/* No client knows what was before the first. */
static int64_t floor_of(const struct contacts *r, const struct contact *k) {
    return !k->listed ? 0 : r->version ? r->floor : k->version;
}

/* K is stored. */
static const struct contact *stored(struct contacts *r, const struct contact *k, int64_t floor) {
    struct contact *copy = contact_copy(k);
    set(r, copy);
    if (k->listed) {
        gone_forget(r, copy->item.jid);
        r->version = k->version;
        r->floor = floor;
    }
    return copy;
}

int contacts_put(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r, const struct contact *new,
                 const struct contact **kept) {
    struct contact k = *new;
    *kept = NULL;
    if (!k.listed && !k.item.state)
        return drop_row(c, coll, r, k.item.jid);
    k.version = k.listed ? next_version(c, r) : 0;
    int64_t floor = floor_of(r, &k);
    int rc = mk_put_now(c, coll, MK_UPSERT, row_of(c, &k, floor));
    if (rc == MK_OK)
        *kept = stored(r, &k, floor);
    return rc;
}

int contacts_put_all(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r, const struct contact *new,
                     uint32_t count) {
    struct mk_write *writes = mk_alloc(c, (count + 1) * sizeof *writes);
    struct contact *all = mk_alloc(c, (count + 1) * sizeof *all);
    int64_t version = next_version(c, r), floor = r->version ? r->floor : version;
    for (uint32_t i = 0; i < count; i++) {
        all[i] = new[i];
        all[i].version = version + i;
        writes[i] = (struct mk_write){ MK_W_PUT, MK_UPSERT, coll, row_of(c, &all[i], floor) };
    }
    int rc = count ? mk_batch(c, writes, count) : MK_OK;
    for (uint32_t i = 0; rc == MK_OK && i < count; i++)
        stored(r, &all[i], floor);
    return rc;
}

int contacts_remove(struct mk_ctx *c, const struct mk_coll *coll, struct contacts *r, const struct mk_jid *jid,
                    uint32_t max_gone) {
    int64_t version = next_version(c, r);
    const struct gone *oldest = r->gone_count >= max_gone ? &r->gone[0] : NULL;
    int64_t floor = oldest ? oldest->version : r->floor;
    struct mk_value row[COL_COUNT] = {
        mk_v_jid(mk_self(c)),    mk_v_jid(jid),     mk_v_null(),     mk_v_null(),
        mk_v_int(STATE_REMOVED), mk_v_int(version), mk_v_int(floor), mk_v_null(),
    };
    struct mk_value key[] = { mk_v_jid(mk_self(c)), mk_v_jid(oldest ? oldest->jid : NULL) };
    const struct mk_write writes[] = {
        { MK_W_PUT, MK_UPSERT, coll, row },
        { MK_W_DEL, 0, coll, key },
    };
    int rc = mk_batch(c, writes, oldest ? 2 : 1);
    if (rc != MK_OK)
        return rc;
    if (oldest)
        gone_drop(r, 0);
    gone_add(r, jid, version);
    unset(r, jid);
    r->version = version;
    r->floor = floor;
    return MK_OK;
}
