/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration.  Input up to a line "--set" is the file, the lines after it are settings.  What was
 * read must have the shape that readers count on; it is filled into all types of options, and a value that was taken
 * must be in its range.
 */
#include "conf/conf.h"
#include "util/mem.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig forgets the last text before a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libconfig";
}

enum { MAX_SETS = 16 };

static const char *const colours[] = { "red", "green", NULL };
struct all {
    bool flag;
    int64_t count, wait, bytes, colour;
    const char *name, *secret, *file;
    const struct mk_jid *jid;
    struct mk_texts words;
};
static const struct mk_opt_decl rows[] = {
    MK_OPT_BOOL(struct all, flag, "true", MK_OPT_LIVE, "Flag."),
    MK_OPT_INT(struct all, count, "10", 1, 100, 0, "Count."),
    MK_OPT_DURATION(struct all, wait, "30s", 0, 3600000, MK_OPT_LIVE, "Wait."),
    MK_OPT_SIZE(struct all, bytes, "64K", 1, 1 << 20, 0, "Bytes."),
    MK_OPT_ENUM(struct all, colour, "green", colours, 0, "Colour."),
    MK_OPT_TEXT(struct all, name, NULL, MK_OPT_REQUIRED, "Name."),
    MK_OPT_TEXT(struct all, secret, NULL, MK_OPT_SECRET, "Secret."),
    MK_OPT_FILE(struct all, file, NULL, 0, "File."),
    MK_OPT_JID(struct all, jid, 0, "JID."),
    MK_OPT_TEXTS(struct all, words, "one, two", MK_OPT_LIVE, "Words."),
};
static const struct mk_table table = MK_TABLE(rows);

static void check_tree(const struct conf_node *group, unsigned depth) {
    if (depth > 200)
        abort();
    for (const struct conf_node *n = group->first; n; n = n->next) {
        bool named = group->type == CONF_GROUP;
        if (n->parent != group || named != (n->name != NULL) || (n->type == CONF_TEXT && !n->text) || !n->file ||
            (n->first && n->type != CONF_GROUP && n->type != CONF_LIST))
            abort();
        check_tree(n, depth + 1);
    }
}

static void check_values(const struct all *a) {
    if (a->count < 1 || a->count > 100 || a->wait < 0 || a->wait > 3600000 || a->bytes < 1 || a->bytes > 1 << 20 ||
        a->colour < 0 || a->colour > 1)
        abort();
    for (uint32_t i = 0; i < a->words.count; i++)
        if (!a->words.items[i])
            abort();
}

/* A file without a name on disk. */
static int file_of(const uint8_t *data, size_t size, char path[32]) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static size_t take_sets(char *text, const char **sets) {
    size_t count = 0;
    char *at = strstr(text, "\n--set\n");
    if (at) {
        *at = '\0';
        for (char *line = strtok(at + 7, "\n"); line && count < MAX_SETS; line = strtok(NULL, "\n"))
            sets[count++] = line;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[32], *text = xmemdup(data, size);
    const char *sets[MAX_SETS];
    size_t count = take_sets(text, sets);
    int fd = file_of(data, count ? strlen(text) : size, path);
    struct conf_errors e = { 0 };
    struct arena arena;
    arena_init(&arena);

    struct conf_node *root = conf_load(&arena, path, sets, count, &e);
    check_tree(root, 0);
    struct all a = { 0 };
    struct conf_errors filled = { 0 };
    conf_fill(&arena, "fuzz", conf_overlay(&arena, conf_find(root, "base"), conf_find(root, "demo")), &table, NULL, &a,
              &filled);
    if (filled.count == 0)
        check_values(&a);
    if (conf_differs(&table, &a, &a, true) || conf_differs(&table, &a, &a, false))
        abort();
    conf_check_unused(root, &e);
    for (const char *c = e.lines.data; c && *c; c++)
        if ((unsigned char)*c < 0x20 && *c != '\n')
            abort();

    buf_free(&e.lines);
    buf_free(&filled.lines);
    arena_free(&arena);
    close(fd);
    free(text);
    return 0;
}
