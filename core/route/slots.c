/* SPDX-License-Identifier: Apache-2.0 */
#include "route/host.h"
#include "run/turn.h"
#include "util/log.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

enum { OWNERS = MK_ON_ROOM + 1 };

/* The segments of an object that a reload brought; the object's first segment begins with a pointer to the list. */
struct later {
    struct later *next;
    uint64_t segment;
};

struct slot_row {
    const struct mk_slot_decl *decl;
    const struct plugin *plugin;
    uint32_t owner, segment, offset;
    uint32_t bit_at; /* offset of the word that has its bit */
    uint64_t bit;    /* 0: neither init nor fini */
};

/* Where everything is.  Immutable; slots_add() makes another and keeps the old one, which a worker may be reading. */
struct layout {
    struct layout *before;
    uint32_t count;
    uint32_t segments;       /* the same for all owners */
    uint32_t *sizes[OWNERS]; /* of each segment */
    struct slot_row *rows;
};
static _Atomic(struct layout *) current;

static uint32_t round_up(uint32_t size) {
    return (size + 7) & ~7u;
}

static bool has_bit(const struct mk_slot_decl *d) {
    return d->init || d->fini;
}

/* Lays out segment SEGMENT of one owner: the head, the bits, the slots. */
static uint32_t lay_out(struct slot_row *rows, uint32_t count, uint32_t segment, enum mk_owner owner) {
    uint32_t head = segment == 0 ? sizeof(struct later *) : sizeof(struct later), bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot_row *r = &rows[i];
        if (r->owner != owner || !has_bit(r->decl))
            continue;
        r->bit_at = head + bits / 64 * 8;
        r->bit = UINT64_C(1) << bits % 64;
        bits++;
    }
    uint32_t at = head + (bits + 63) / 64 * 8;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].owner != owner)
            continue;
        rows[i].segment = segment;
        rows[i].offset = at;
        at += round_up(rows[i].decl->size);
    }
    return at;
}

void slots_add(struct plugin *const *plugins, unsigned count) {
    struct layout *old = atomic_load_explicit(&current, memory_order_relaxed), *l = xcalloc(1, sizeof *l);
    uint32_t had = old ? old->count : 0;
    l->before = old;
    l->count = had;
    for (unsigned i = 0; i < count; i++) {
        plugins[i]->slot_base = l->count;
        l->count += plugins[i]->d.slots.count;
    }
    l->rows = xcalloc(l->count, sizeof *l->rows);
    if (old)
        memcpy(l->rows, old->rows, had * sizeof *l->rows);
    struct slot_row *r = l->rows + had;
    for (unsigned i = 0; i < count; i++) {
        const struct mk_slot_decl *d = plugins[i]->d.slots.items;
        for (uint32_t j = 0; j < plugins[i]->d.slots.count; j++, r++)
            *r = (struct slot_row){ .decl = &d[j], .plugin = plugins[i], .owner = d[j].owner };
    }
    l->segments = old ? old->segments + 1 : 1;
    for (uint32_t owner = 0; owner < OWNERS; owner++) {
        l->sizes[owner] = xcalloc(l->segments, sizeof *l->sizes[owner]);
        if (old)
            memcpy(l->sizes[owner], old->sizes[owner], old->segments * sizeof *l->sizes[owner]);
        l->sizes[owner][l->segments - 1] = lay_out(l->rows + had, l->count - had, l->segments - 1, owner);
    }
    atomic_store_explicit(&current, l, memory_order_release);
}

void slots_free(void) {
    struct layout *l = atomic_load_explicit(&current, memory_order_relaxed);
    while (l) {
        struct layout *before = l->before;
        for (uint32_t owner = 0; owner < OWNERS; owner++)
            free(l->sizes[owner]);
        free(l->rows);
        free(l);
        l = before;
    }
    atomic_store_explicit(&current, NULL, memory_order_relaxed);
}

size_t slots_size(enum mk_owner owner) {
    const struct layout *l = atomic_load_explicit(&current, memory_order_acquire);
    return l ? l->sizes[owner][0] : sizeof(struct later *);
}

/* ---- one object -------------------------------------------------------------------------------------------------- */

static char *find_later(const void *first, uint32_t segment) {
    struct later *block = *(struct later *const *)first;
    while (block && block->segment != segment)
        block = block->next;
    return (char *)block;
}

static char *make_later(const struct layout *l, enum mk_owner owner, void *first, uint32_t segment) {
    struct later *block = xcalloc(1, l->sizes[owner][segment]);
    block->segment = segment;
    block->next = *(struct later **)first;
    *(struct later **)first = block;
    return (char *)block;
}

static inline bool is_made(const struct slot_row *r, const char *base) {
    return *(const uint64_t *)(base + r->bit_at) & r->bit;
}

static void make(struct mk_ctx *c, const struct instance *inst, const struct slot_row *r, char *base) {
    *(uint64_t *)(base + r->bit_at) |= r->bit;
    if (!r->decl->init)
        return;
    const struct instance *before = c->inst;
    c->inst = inst;
    r->decl->init(c, base + r->offset);
    c->inst = before;
}

void slots_init(struct mk_ctx *c, enum mk_owner owner, void *first) {
    const struct layout *l = atomic_load_explicit(&current, memory_order_acquire);
    memset(first, 0, slots_size(owner));
    for (uint32_t i = 0; l && c->host && i < l->count; i++) {
        const struct slot_row *r = &l->rows[i];
        if (r->owner != owner || r->segment != 0 || !r->decl->init)
            continue;
        const struct instance *inst = type_instance(c->host->type, r->plugin);
        if (inst)
            make(c, inst, r, first);
    }
}

void *slots_get(struct mk_ctx *c, enum mk_owner owner, void *first, unsigned number) {
    const struct layout *l = atomic_load_explicit(&current, memory_order_acquire);
    const struct slot_row *r = l && number < l->count ? &l->rows[number] : NULL;
    if (!r || r->owner != owner) {
        log_error("%s asks for a slot that it does not have on this object",
                  c->inst ? c->inst->plugin->name : "the server");
        abort();
    }
    char *base = first;
    if (r->segment != 0) {
        base = find_later(first, r->segment);
        if (!base)
            base = make_later(l, owner, first, r->segment);
    }
    if (r->bit && !is_made(r, base))
        make(c, c->inst, r, base);
    return base + r->offset;
}

void slots_fini(enum mk_owner owner, void *first) {
    const struct layout *l = atomic_load_explicit(&current, memory_order_acquire);
    for (uint32_t i = l ? l->count : 0; i-- > 0;) {
        const struct slot_row *r = &l->rows[i];
        if (r->owner != owner || !r->decl->fini)
            continue;
        char *base = r->segment == 0 ? first : find_later(first, r->segment);
        if (base && is_made(r, base))
            r->decl->fini(base + r->offset);
    }
    struct later *block = *(struct later **)first, *next;
    for (; block; block = next) {
        next = block->next;
        free(block);
    }
    *(struct later **)first = NULL;
}
