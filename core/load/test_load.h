/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of load/ share: a configuration given as text, the plugins of test/abi, and messages without paths. */
#ifndef LOAD_TEST_LOAD_H
#define LOAD_TEST_LOAD_H

#include "check.h"
#include "load/load.h"
#include "load/plan.h"
#include "run/turn.h"
#include "store/store.h"
#include <sys/mman.h>
#include <unistd.h>

static struct arena trees;
static struct conf_errors errors;
static char config_path[32];

#ifndef MEERKAT_BUILD_DIR
#define MEERKAT_BUILD_DIR "build"
#endif

static const char *plugin_folder(void) {
    const char *folder = getenv("MEERKAT_TEST_PLUGINS");
    return folder ? folder : MEERKAT_BUILD_DIR "/test/abi";
}

static struct conf_node *read_config(const char *text) {
    int fd = memfd_create("meerkat.cfg", 0);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    snprintf(config_path, sizeof config_path, "/proc/self/fd/%d", fd);
    struct conf_node *root = conf_load(&trees, config_path, NULL, 0, &errors);
    close(fd);
    return root;
}

static void forget_errors(void) {
    buf_free(&errors.lines);
    errors.count = 0;
}

/* Anew, as a process that has just begun. */
static void begin(void) {
    load_stop();
    load_free();
    store_clear();
    arena_free(&trees);
    forget_errors();
    struct load_config config = {
        .plugin_dir = plugin_folder(), .workers = 2, .first_metric = 100, .level = MK_NOTICE
    };
    load_setup(&config);
}

/* One host and, for those who would be told that nobody can log in, anonymous logins. */
#define HOST "hosts = ( { name = \"localhost\"; } ); "
#define BASE HOST "host_types = { default = { anonymous = true; }; }; "

static bool plan(const char *text) {
    struct conf_node *root = read_config(text);
    bool ok = load_plan(root, &errors);
    conf_check_unused(root, &errors);
    return ok && errors.count == 0;
}

static bool start(const char *text) {
    return plan(text) && load_start(&errors);
}

/* The messages: "4: ..." for what stands in line 4, DIR for the plugin folder. */
static const char *said(void) {
    struct buf out = { 0 };
    const char *folder = plugin_folder();
    for (const char *at = errors.lines.data ? errors.lines.data : ""; *at;) {
        if (strncmp(at, config_path, strlen(config_path)) == 0 && at[strlen(config_path)] == ':') {
            at += strlen(config_path) + 1;
        } else if (strncmp(at, folder, strlen(folder)) == 0) {
            buf_puts(&out, "DIR");
            at += strlen(folder);
        } else {
            buf_add(&out, at++, 1);
        }
    }
    const char *text = arena_strdup(&trees, out.data ? out.data : "");
    buf_free(&out);
    return text;
}

/* The instance of plugin NAME for the first host of the newest snapshot. */
__attribute__((unused)) static const struct instance *instance_of(const char *name) {
    const struct host_type *t = snapshot_current()->hosts[0]->type;
    for (uint32_t i = 0; i < t->plugin_limit; i++)
        if (t->by_plugin[i] && strcmp(t->by_plugin[i]->plugin->name, name) == 0)
            return t->by_plugin[i];
    return NULL;
}

/* A turn without anything behind it. */
struct test_turn {
    struct mk_ctx ctx;
    struct worker worker;
    char log[256]; /* what handlers wrote */
};
__attribute__((unused)) static struct test_turn *turn_of(const char *domain) {
    static struct test_turn t;
    memset(&t, 0, sizeof t);
    t.ctx.worker = &t.worker;
    t.ctx.host = host_find(domain, strlen(domain));
    t.ctx.self = t.ctx.host ? t.ctx.host->jid : NULL;
    return &t;
}

/* Runs a hook of messages and presences; the letters its handlers wrote. */
__attribute__((unused)) static const char *run_stanza_hook(struct test_turn *t, enum mk_hook hook, bool *stopped) {
    struct mk_ev_stanza ev = { .session = (struct mk_session *)t->log };
    *t->log = '\0';
    bool stop = chain_run(&t->ctx, hook, &ev);
    if (stopped)
        *stopped = stop;
    return t->log;
}

#endif
