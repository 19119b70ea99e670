/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every storage backend must do: test_stores BACKEND.so [OPTION=VALUE...].  @TMP@ in a value is a fresh folder,
 * which is removed at the end.  $NAME instead stands for the words of that environment variable, which a service sets
 * (test/services); without it everything is skipped.  A backend passes when this does; there are no tests of one backend
 * here.
 */
#include "suite.h"
#include "util/text.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const struct mk_coll *kinds, *pairs, *letters, *ends, *texts;
char run_id[16];

static const struct mk_col_decl kinds_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Whose." },
    { "id", MK_C_INT, MK_COL_SORT, "Which." },
    { "select", MK_C_TEXT, MK_COL_NULL, "A text, under a name that SQL has uses for." },
    { "data", MK_C_BYTES, MK_COL_NULL, "Bytes." },
    { "number", MK_C_INT, MK_COL_NULL, "A number." },
    { "at", MK_C_TIME, MK_COL_NULL, "A time." },
    { "flag", MK_C_BOOL, 0, "A truth." },
    { "peer", MK_C_JID, MK_COL_NULL, "A JID." },
    { "note", MK_C_TEXT, 0, "A text that is always there." },
};
static const struct mk_col_decl pairs_cols[] = {
    { "title", MK_C_TEXT, MK_COL_SORT, "First of the sort key." },
    { "room", MK_C_TEXT, MK_COL_PARTITION, "First of the partition." },
    { "number", MK_C_INT, 0, "A number." },
    { "floor", MK_C_INT, MK_COL_PARTITION, "Second of the partition." },
    { "place", MK_C_INT, MK_COL_SORT, "Second of the sort key." },
};
static const struct mk_col_decl letters_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Whose." }, { "stamp", MK_C_TIME, MK_COL_SORT, "When." },
    { "id", MK_C_TEXT, MK_COL_SORT, "Which." },        { "peer", MK_C_JID, 0, "With whom." },
    { "body", MK_C_TEXT, MK_COL_NULL, "What." },       { "read", MK_C_BOOL, 0, "Whether it was read." },
};
static const struct mk_index_decl letters_indexes[] = {
    { "by_peer", "owner, peer", "stamp" },
    { "of_peer", "peer", "stamp,id" },
    { "unread", "owner,read", NULL },
};
static const struct mk_col_decl ends_cols[] = {
    { "name", MK_C_TEXT, MK_COL_PARTITION, "Of what." },
    { "item", MK_C_TEXT, MK_COL_SORT, "Which." },
    { "number", MK_C_INT, 0, "A number." },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "When it ends." },
};
static const struct mk_index_decl ends_indexes[] = { { "by_number", "name", "number" } };
static const struct mk_col_decl texts_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Whose." },
    { "id", MK_C_INT, MK_COL_SORT, "Which." },
    { "body", MK_C_TEXT, MK_COL_TEXT_SEARCH | MK_COL_NULL, "What is searched." },
};
static const struct mk_index_decl texts_indexes[] = { { "by_id", "id", "owner" } };

#define DECL(name, flags, need, cols, indexes)                                                                         \
    { (name), 1, (flags), (need), 0, MK_TABLE(cols), indexes, "Of the store tests." }
static const struct mk_coll_decl kinds_decl = DECL("test_kinds", 0, 0, kinds_cols, MK_NO_INDEX);
static const struct mk_coll_decl pairs_decl = DECL("test_pairs", 0, 0, pairs_cols, MK_NO_INDEX);
static const struct mk_coll_decl letters_decl =
    DECL("test_letters", MK_COLL_BULKY, 0, letters_cols, MK_TABLE(letters_indexes));
static const struct mk_coll_decl ends_decl = DECL("test_ends", 0, 0, ends_cols, MK_TABLE(ends_indexes));
static const struct mk_coll_decl texts_decl =
    DECL("test_texts", 0, MK_CAP_TEXT_SEARCH, texts_cols, MK_TABLE(texts_indexes));

void suite_define(void) {
    kinds = harness_define(&kinds_decl);
    pairs = harness_define(&pairs_decl);
    letters = harness_define(&letters_decl);
    ends = harness_define(&ends_decl);
    texts = harness_caps() & MK_CAP_TEXT_SEARCH ? harness_define(&texts_decl) : NULL;
}

/* ---- folders --------------------------------------------------------------------------------------------------- */

enum { OPTIONS_MAX = 32 };
static char folder[] = "/tmp/meerkat-stores-XXXXXX";

static void remove_folder(void) {
    struct buf command = { 0 };
    buf_printf(&command, "rm -rf '%s'", folder);
    if (system(command.data) != 0)
        printf("# %s stays\n", folder);
    buf_free(&command);
}

static char *with_folder(const char *option) {
    static bool made;
    const char *mark = strstr(option, "@TMP@");
    struct buf text = { 0 };
    if (!mark)
        return strdup(option);
    if (!made) {
        if (!mkdtemp(folder))
            exit(1);
        atexit(remove_folder);
        made = true;
    }
    buf_printf(&text, "%.*s%s%s", (int)(mark - option), option, folder, mark + strlen("@TMP@"));
    return text.data;
}

static int read_options(char **args, int arg_count, char ***options) {
    int count = 0;
    *options = calloc(OPTIONS_MAX, sizeof **options);
    for (int i = 0; i < arg_count && count < OPTIONS_MAX; i++)
        if (args[i][0] == '$')
            count += harness_env_options(args[i] + 1, *options + count, OPTIONS_MAX - count);
        else
            (*options)[count++] = with_folder(args[i]);
    return count;
}

static struct test *all_tests(size_t *count) {
    const struct {
        const struct test *tests;
        size_t count;
    } parts[] = { { row_tests, row_test_count },
                  { scan_tests, scan_test_count },
                  { queue_tests, queue_test_count },
                  { whole_tests, whole_test_count },
                  { life_tests, life_test_count } };
    *count = 0;
    for (int i = 0; i < 5; i++)
        *count += parts[i].count;
    struct test *all = calloc(*count, sizeof *all), *at = all;
    for (int i = 0; i < 5; i++)
        for (size_t j = 0; j < parts[i].count; j++)
            *at++ = parts[i].tests[j];
    return all;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s BACKEND.so [OPTION=VALUE...]\n", argv[0]);
        return 2;
    }
    const char *child = getenv("STORES_CHILD");
    char **options;
    int option_count = read_options(argv + 2, argc - 2, &options);
    harness_load(argv[1], options, option_count);
    if (child)
        return child_main(child);
    snprintf(run_id, sizeof run_id, "%lx", (unsigned long)time(NULL) << 8 ^ (unsigned long)getpid());
    const char *why = harness_start(NULL);
    if (why) {
        printf("Bail out! %s\n", why);
        return 1;
    }
    suite_define();
    size_t count;
    struct test *tests = all_tests(&count);
    int failed = tests_run(tests, count);
    harness_stop();
    harness_unload();
    free(tests);
    for (int i = 0; i < option_count; i++)
        free(options[i]);
    free(options);
    return failed;
}
