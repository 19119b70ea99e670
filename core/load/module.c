/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"
#include "util/mem.h"
#include <dirent.h>
#include <dlfcn.h>
#include <libltdl/lt_dlloader.h>
#include <ltdl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef MEERKAT_PLUGIN_DIR
#define MEERKAT_PLUGIN_DIR "/usr/lib/meerkat-1"
#endif

/* ---- libltdl ----------------------------------------------------------------------------------------------------- */

/* Why the last open failed; libltdl's own text is of the last loader that tried. */
static char open_error[512];

/*
 * libltdl binds lazily, so that a missing function would end the server when it is first called.  Here it is an error
 * of the start.  NODELETE: what a plugin brought is used until the process ends.
 */
static lt_module open_now(lt_user_data data, const char *path, lt_dladvise advise) {
    (void)data;
    (void)advise;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        snprintf(open_error, sizeof open_error, "%s", dlerror());
    return handle;
}

static int close_now(lt_user_data data, lt_module module) {
    (void)data;
    return dlclose(module);
}

static void *find_now(lt_user_data data, lt_module module, const char *name) {
    (void)data;
    return dlsym(module, name);
}

/* Once a process.  Never undone: modules are resident, and libltdl forgets their handles at its end. */
static void setup_ltdl(void) {
    static bool done;
    if (done)
        return;
    lt_dlvtable *loader = xcalloc(1, sizeof *loader); /* libltdl frees it */
    loader->name = "meerkat";
    loader->module_open = open_now;
    loader->module_close = close_now;
    loader->find_sym = find_now;
    if (lt_dlinit() != 0 || lt_dlloader_add(loader) != 0)
        abort();
    free(lt_dlloader_remove("lt_dlopen"));
    done = true;
}

static lt_dlhandle open_module(const char *path) {
    lt_dladvise advise;
    setup_ltdl();
    if (lt_dladvise_init(&advise) != 0 || lt_dladvise_resident(&advise) != 0 || lt_dladvise_local(&advise) != 0)
        abort();
    *open_error = '\0';
    lt_dlhandle handle = lt_dlopenadvise(path, advise);
    if (!handle && !*open_error)
        snprintf(open_error, sizeof open_error, "%s", lt_dlerror());
    lt_dladvise_destroy(&advise);
    return handle;
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

#define END_OF(type, member) (uint32_t)(offsetof(type, member) + sizeof(((type *)0)->member))

/* LEAST is the size that a row had in 1.0: what is appended later does not count. */
struct row_kind {
    const char *name;
    size_t at; /* of the table in what holds it */
    uint32_t size, least;
};
#define ROWS(holder, field, type, last)                                                                                \
    { #field, offsetof(holder, field), sizeof(type), END_OF(type, last) }

static const struct row_kind kinds[] = {
    ROWS(struct mk_plugin, options, struct mk_opt_decl, names),
    ROWS(struct mk_plugin, needs, struct mk_need_decl, pick),
    ROWS(struct mk_plugin, provides, struct mk_provide_decl, doc),
    ROWS(struct mk_plugin, hooks, struct mk_hook_decl, fn),
    ROWS(struct mk_plugin, iqs, struct mk_iq_decl, fn),
    ROWS(struct mk_plugin, nonzas, struct mk_nonza_decl, fn),
    ROWS(struct mk_plugin, features, struct mk_feature_decl, fn),
    ROWS(struct mk_plugin, disco, struct mk_disco_decl, zero),
    ROWS(struct mk_plugin, slots, struct mk_slot_decl, fini),
    ROWS(struct mk_plugin, timers, struct mk_timer_decl, fn),
    ROWS(struct mk_plugin, metrics, struct mk_metric_decl, help),
    ROWS(struct mk_plugin, commands, struct mk_cmd_decl, run),
    ROWS(struct mk_plugin, collections, struct mk_coll_decl, doc),
    ROWS(struct mk_plugin, xeps, struct mk_xep_decl, note),
    ROWS(struct mk_plugin, domains, struct mk_domain_decl, domain),
    ROWS(struct mk_plugin, inlines, struct mk_inline_decl, put_offer),
    ROWS(struct mk_plugin, mechanisms, struct mk_mechanism_decl, step),
    ROWS(struct mk_plugin, listeners, struct mk_listener_decl, accepted),
};
static const struct row_kind command_kinds[] = {
    ROWS(struct mk_cmd_decl, args, struct mk_arg_decl, doc),
    ROWS(struct mk_cmd_decl, results, struct mk_arg_decl, doc),
};
static const struct row_kind collection_kinds[] = {
    ROWS(struct mk_coll_decl, cols, struct mk_col_decl, doc),
    ROWS(struct mk_coll_decl, indexes, struct mk_index_decl, sort),
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { MAX_ROWS = 10000 };

/* Rows as this server knows them: a longer row is cut, a shorter one ends in zeros. */
static bool copy_table(const struct row_kind *kind, void *holder, struct buf *why) {
    struct mk_table *t = (struct mk_table *)((char *)holder + kind->at);
    if (t->count == 0) {
        *t = (struct mk_table){ NULL, 0, kind->size };
        return true;
    }
    if (t->stride < kind->least || t->stride % _Alignof(void *) != 0) {
        buf_printf(why,
                   "its table `%s` has rows of %u bytes, which no release ever had: it was built with damaged headers",
                   kind->name, t->stride);
        return false;
    }
    if (!t->items || (uintptr_t)t->items % _Alignof(void *) != 0 || t->count > MAX_ROWS) {
        buf_printf(why, "its table `%s` is damaged", kind->name);
        return false;
    }
    char *rows = arena_zalloc(&load.keep, (size_t)t->count * kind->size);
    size_t known = t->stride < kind->size ? t->stride : kind->size;
    for (uint32_t i = 0; i < t->count; i++)
        memcpy(rows + (size_t)i * kind->size, (const char *)t->items + (size_t)i * t->stride, known);
    *t = (struct mk_table){ rows, t->count, kind->size };
    return true;
}

static bool copy_inner(struct mk_table *t, size_t size, const struct row_kind *inner, size_t count, struct buf *why) {
    for (uint32_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < count; k++)
            if (!copy_table(&inner[k], (char *)t->items + i * size, why))
                return false;
    return true;
}

static bool copy_tables(struct mk_plugin *d, struct buf *why) {
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (!copy_table(&kinds[i], d, why))
            return false;
    return copy_inner(&d->commands, sizeof(struct mk_cmd_decl), command_kinds, COUNT(command_kinds), why) &&
           copy_inner(&d->collections, sizeof(struct mk_coll_decl), collection_kinds, COUNT(collection_kinds), why);
}

static bool check_head(const struct mk_head *h, struct buf *why) {
    if (h->magic != MK_MAGIC)
        buf_puts(why, "what its mk_plugin_entry() returns is no descriptor");
    else if (h->abi_major != MK_ABI_MAJOR)
        buf_printf(why, "it was built for ABI %u, this server has ABI %u: install the plugin's release for this one",
                   h->abi_major, MK_ABI_MAJOR);
    else if (h->abi_need > MK_ABI_MINOR)
        buf_printf(why, "it needs ABI %u.%u, this server has %u.%u: upgrade the package `meerkat`", h->abi_major,
                   h->abi_need, MK_ABI_MAJOR, MK_ABI_MINOR);
    else if (h->size < END_OF(struct mk_plugin, worker_stop))
        buf_printf(why, "its descriptor has %u bytes, which no release ever had: it was built with damaged headers",
                   h->size);
    else
        return true;
    return false;
}

static bool copy_descriptor(struct plugin *m, const struct mk_plugin *from, const char *name, struct buf *why) {
    if (!check_head(&from->head, why))
        return false;
    memcpy(&m->d, from, from->head.size < sizeof m->d ? from->head.size : sizeof m->d);
    if (!m->d.name || strcmp(m->d.name, name) != 0) {
        buf_printf(why, "the plugin in it is named `%s`; name and file must be the same", m->d.name ? m->d.name : "");
        return false;
    }
    return copy_tables(&m->d, why) && rows_check(m, why);
}

static void name_handlers(struct module *m) {
    const struct mk_plugin *d = &m->plugin.d;
    m->hook_names = arena_alloc(&load.keep, (d->hooks.count + 1) * sizeof *m->hook_names);
    m->iq_names = arena_alloc(&load.keep, (d->iqs.count + 1) * sizeof *m->iq_names);
    const struct mk_hook_decl *hooks = d->hooks.items;
    for (uint32_t i = 0; i < d->hooks.count; i++)
        m->hook_names[i] = arena_printf(&load.keep, "%s:%s", d->name, hook_name(hooks[i].hook));
    const struct mk_iq_decl *iqs = d->iqs.items;
    for (uint32_t i = 0; i < d->iqs.count; i++)
        m->iq_names[i] = arena_printf(&load.keep, "%s:%s %s", d->name, iqs[i].name, iqs[i].ns);
}

static struct module *load_file(const char *path, const char *name, struct buf *why) {
    lt_dlhandle handle = open_module(path);
    if (!handle) {
        /* The loader's text begins with the path, which the caller says. */
        size_t len = strlen(path);
        bool same = strncmp(open_error, path, len) == 0 && strncmp(open_error + len, ": ", 2) == 0;
        buf_puts(why, same ? open_error + len + 2 : open_error);
        return NULL;
    }
    const struct mk_plugin *(*entry)(void);
    *(void **)&entry = lt_dlsym(handle, MK_ENTRY_NAME);
    if (!entry) {
        buf_puts(why, "it has no function " MK_ENTRY_NAME "(): it is no plugin of this server");
        return NULL;
    }
    const struct mk_plugin *d = entry();
    struct module *m = arena_zalloc(&load.keep, sizeof *m);
    if (!d || (uintptr_t)d % _Alignof(struct mk_plugin) != 0) {
        buf_puts(why, "what its mk_plugin_entry() returns is no descriptor");
        return NULL;
    }
    if (!copy_descriptor(&m->plugin, d, name, why))
        return NULL;
    m->plugin.name = m->plugin.d.name;
    m->plugin.file = arena_strdup(&load.keep, path);
    atomic_init(&m->plugin.level, load.config.level);
    if (m->plugin.d.flags & MK_PLUGIN_GLOBAL)
        m->plugin.apart = arena_zalloc(&load.keep, (m->plugin.d.metrics.count + 1) * sizeof *m->plugin.apart);
    name_handlers(m);
    return m;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

bool is_snake(const char *name) {
    return name && *name >= 'a' && *name <= 'z' && strlen(name) < 64 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static const char *plugin_dirs(const struct plan *p) {
    return p->plugin_dir ? p->plugin_dir : load.config.plugin_dir ? load.config.plugin_dir : MEERKAT_PLUGIN_DIR;
}

static const char *find_file(struct plan *p, const char *name) {
    for (const char *dir = plugin_dirs(p); *dir;) {
        size_t len = strcspn(dir, ":");
        const char *path = arena_printf(&p->arena, "%.*s/%s.so", (int)len, dir, name);
        struct stat st;
        if (len && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            return path;
        dir += len + (dir[len] == ':');
    }
    return NULL;
}

static void add_names(struct plan *p, const char *folder, const char ***names, size_t *count) {
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        size_t len = strlen(d->d_name);
        if (len <= 3 || strcmp(d->d_name + len - 3, ".so") != 0)
            continue;
        const char **grown = arena_alloc(&p->arena, (*count + 2) * sizeof *grown);
        memcpy(grown, *names, *count * sizeof *grown);
        grown[(*count)++] = arena_memdup(&p->arena, d->d_name, len - 3);
        grown[*count] = NULL;
        *names = grown;
    }
    if (dir)
        closedir(dir);
}

const char *const *module_names(struct plan *p, size_t *count) {
    static const char *none[] = { NULL };
    const char **names = none;
    *count = 0;
    for (const char *dir = plugin_dirs(p); *dir;) {
        size_t len = strcspn(dir, ":");
        add_names(p, arena_memdup(&p->arena, dir, len), &names, count);
        dir += len + (dir[len] == ':');
    }
    return names;
}

static void report_missing(struct plan *p, const char *name, const struct conf_node *where) {
    size_t count;
    const char *const *names = module_names(p, &count);
    const char *near = nearest_name(name, names, count);
    if (near)
        conf_error(p->e, where, "there is no plugin `%s` in %s; did you mean `%s`?", name, plugin_dirs(p), near);
    else
        conf_error(p->e, where, "there is no plugin `%s` in %s: install its package, or remove it here", name,
                   plugin_dirs(p));
}

struct module *module_get(struct plan *p, const char *name, const struct conf_node *where) {
    for (struct module *m = load.modules; m; m = m->next)
        if (strcmp(m->plugin.name, name) == 0)
            return m;
    const char *path = is_snake(name) ? find_file(p, name) : NULL;
    if (!path) {
        report_missing(p, name, where);
        return NULL;
    }
    struct buf why = { 0 };
    struct module *m = load_file(path, name, &why);
    if (m) {
        m->plugin.number = load.module_count++;
        struct module **at = &load.modules;
        while (*at && strcmp((*at)->plugin.name, name) < 0)
            at = &(*at)->next;
        m->next = *at;
        *at = m;
    } else {
        conf_error(p->e, where, "%s: %s", path, why.data);
    }
    buf_free(&why);
    return m;
}
