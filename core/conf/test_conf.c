/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "conf/conf.h"
#include "conf/tree.h"
#include "util/jid.h"
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static struct conf_errors errors;
static char folder[64];

/* A folder of its own for each test, gone when the test begins anew. */
static void begin(void) {
    arena_free(&arena);
    buf_free(&errors.lines);
    errors.count = 0;
    if (!folder[0]) {
        strcpy(folder, "/tmp/meerkat-conf-XXXXXX");
        if (!mkdtemp(folder))
            abort();
    }
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    if (system(command) != 0)
        abort();
}

static void end(void) {
    begin();
    arena_free(&arena);
    rmdir(folder);
    folder[0] = '\0';
}

static const char *in_folder(const char *name) {
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(in_folder(name), "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static struct conf_node *load_with(const char *text, const char *const *sets, size_t count) {
    write_file("meerkat.cfg", text);
    return conf_load(&arena, in_folder("meerkat.cfg"), sets, count, &errors);
}

static struct conf_node *load(const char *text) {
    return load_with(text, NULL, 0);
}

/* The messages, without the folder's name. */
static const char *said(void) {
    struct buf out = { 0 };
    for (const char *at = errors.lines.data; at && *at;) {
        if (strncmp(at, folder, strlen(folder)) == 0) {
            at += strlen(folder) + 1;
            continue;
        }
        buf_add(&out, at++, 1);
    }
    const char *text = arena_strdup(&arena, out.data ? out.data : "");
    buf_free(&out);
    return text;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void reads_types_and_places(void) {
    begin();
    struct conf_node *root = load("a = 1;\nb = -9000000000L;\nc = true;\nd = 1.5;\ne = \"x\" \"y\";\n"
                                  "f = { g = ( { h = 0x10; }, [ 1, 2 ] ); };\n");
    CHECK_TEXT(said(), "");
    CHECK_INT(conf_find(root, "a")->number, 1);
    CHECK_INT(conf_find(root, "b")->number, -9000000000);
    CHECK_INT(conf_find(root, "b")->line, 2);
    CHECK_INT(conf_find(root, "c")->type, CONF_BOOL);
    CHECK(conf_find(root, "d")->type == CONF_FLOAT && conf_find(root, "d")->real == 1.5);
    CHECK_TEXT(conf_find(root, "e")->text, "xy");
    CHECK_INT(conf_find(root, "f.g.0.h")->number, 16);
    CHECK_INT(conf_find(root, "f.g.1.1")->number, 2);
    CHECK(conf_find(root, "f.g.2") == NULL);
    CHECK(conf_find(root, "f.x") == NULL);
    CHECK(conf_find(root, "a.b") == NULL);
    CHECK(conf_find(NULL, "a") == NULL);
    CHECK_TEXT(conf_find(root, "f.g.0.h")->file, in_folder("meerkat.cfg"));
}

static void merges_the_folder(void) {
    begin();
    mkdir(in_folder("plugins.d"), 0700);
    write_file("plugins.d/20.cfg", "plugins = { b = { x = 2; }; };\n");
    write_file("plugins.d/10.cfg", "plugins = { a = { x = 1; }; };\n");
    write_file("plugins.d/.hidden.cfg", "syntax error");
    write_file("plugins.d/old.cfg~", "syntax error");
    struct conf_node *root = load("plugins = { b = { y = 3; }; };\n");
    CHECK_TEXT(said(), "");
    CHECK_INT(conf_find(root, "plugins.a.x")->number, 1);
    CHECK_INT(conf_find(root, "plugins.b.x")->number, 2);
    CHECK_INT(conf_find(root, "plugins.b.y")->number, 3);
    CHECK_TEXT(conf_find(root, "plugins.b.x")->file, in_folder("plugins.d/20.cfg"));
}

static void refuses_to_set_twice(void) {
    begin();
    mkdir(in_folder("plugins.d"), 0700);
    write_file("plugins.d/10.cfg", "\ng = { a = 2; };\nl = [ 1 ];\ng2 = 5;\n");
    struct conf_node *root = load("g = { a = 1; };\nl = [ 2 ];\ng2 = { };\n");
    CHECK_TEXT(said(), "plugins.d/10.cfg:2: `a` is already set at meerkat.cfg:1\n"
                       "plugins.d/10.cfg:3: `l` is already set at meerkat.cfg:2\n"
                       "plugins.d/10.cfg:4: `g2` is already set at meerkat.cfg:3\n");
    CHECK_INT(errors.count, 3);
    CHECK_INT(conf_find(root, "g.a")->number, 1);
}

static void includes_files(void) {
    begin();
    write_file("more.cfg", "b = 2;\n\nc = 5000000000;\n");
    struct conf_node *root = load("a = 1;\n@include \"more.cfg\"\n");
    CHECK_TEXT(said(), "more.cfg:3: 5000000000 must be written with an L behind it, as all numbers above 2147483647\n");
    CHECK(conf_find(root, "a") == NULL);
    begin();
    write_file("more.cfg", "b = 2;\n");
    root = load("a = 1;\n@include \"more.cfg\"\n");
    CHECK_TEXT(said(), "");
    CHECK_INT(conf_find(root, "b")->number, 2);
    CHECK_TEXT(conf_find(root, "b")->file, in_folder("more.cfg"));
    begin();
    write_file("more.cfg", "b = 2;\nc = = 3;\n");
    load("@include \"more.cfg\"\n");
    CHECK_TEXT(said(), "more.cfg:2: syntax error\n");
}

static void reports_syntax(void) {
    begin();
    mkdir(in_folder("plugins.d"), 0700);
    write_file("plugins.d/10.cfg", "a = 1;\na = 2;\n");
    write_file("plugins.d/20.cfg", "b = 2;\n");
    struct conf_node *root = load("x = {\n  y = ;\n};\n");
    CHECK_TEXT(said(), "meerkat.cfg:2: syntax error\nplugins.d/10.cfg:2: duplicate setting name\n");
    CHECK_INT(conf_find(root, "b")->number, 2);
}

static void survives_odd_files(void) {
    begin();
    conf_load(&arena, in_folder("none.cfg"), NULL, 0, &errors);
    CHECK_TEXT(said(), "none.cfg: can't be read: No such file or directory\n");
    begin();
    mkdir(in_folder("sub"), 0700);
    load("a = 1;\n@include \"sub\"\n");
    CHECK_TEXT(said(), "meerkat.cfg:2: @include \"sub\": this is no file\n");
    begin();
    conf_load(&arena, folder, NULL, 0, &errors);
    CHECK(strstr(errors.lines.data, "this is no file"));
    begin();
    load("@include \"meerkat.cfg\"\n");
    CHECK_TEXT(said(), "meerkat.cfg:1: include file nesting too deep\n");
    begin();
    load("a = 1;\nb = \"x;\nc = 2;\n");
    CHECK_TEXT(said(), "meerkat.cfg:2: the text that begins here has no end\n");
    begin();
    load("a = \"\xff\";\n");
    CHECK_TEXT(said(), "meerkat.cfg:1: the text of `a` is not UTF-8\n");
    begin();
    struct buf deep = { 0 };
    for (int i = 0; i < 60; i++)
        buf_puts(&deep, "a={");
    for (int i = 0; i < 60; i++)
        buf_puts(&deep, "};");
    load(deep.data);
    buf_free(&deep);
    CHECK_TEXT(said(), "meerkat.cfg:1: groups and lists are nested more than 32 deep\n");
}

static void finds_numbers_that_would_be_cut(void) {
    begin();
    load("/* 9999999999 */ a = \"9999999999 \\\" 9999999999\"; # 9999999999\nb = 3.0e10; n9999999999 = 2147483647;\n"
         "c = 0x80000000;\nd = 0x80000000L;\ne = 99999999999999999999L;\n");
    CHECK_TEXT(said(),
               "meerkat.cfg:3: 0x80000000 must be written with an L behind it, as all numbers above 2147483647\n"
               "meerkat.cfg:5: 99999999999999999999L is more than 64 bits can hold\n");
}

static void sets_override(void) {
    begin();
    const char *sets[] = { "a.b=5",        "a.c.d=yes it is", "l.1.x=9",
                           "g=\"quoted\"", "big=5000000000",  "list=[ \"p\", \"q\" ]",
                           "s=a; t = 2",   "flag=false",      "u=redis://h:1" };
    struct conf_node *root =
        load_with("a = { b = 1; k = 2; };\nl = ( { x = 1; }, { x = 2; } );\ng = { h = 1; };\n", sets, 9);
    CHECK_TEXT(said(), "");
    CHECK_INT(conf_find(root, "a.b")->number, 5);
    CHECK_TEXT(conf_find(root, "a.b")->text, "5");
    CHECK_INT(conf_find(root, "a.b")->line, 0);
    CHECK_INT(conf_find(root, "a.k")->number, 2);
    CHECK_TEXT(conf_find(root, "a.c.d")->text, "yes it is");
    CHECK_INT(conf_find(root, "l.0.x")->number, 1);
    CHECK_INT(conf_find(root, "l.1.x")->number, 9);
    CHECK_TEXT(conf_find(root, "g")->text, "quoted");
    CHECK_INT(conf_find(root, "big")->number, 5000000000);
    CHECK_TEXT(conf_find(root, "list.1")->text, "q");
    CHECK_TEXT(conf_find(root, "s")->text, "a; t = 2");
    CHECK_INT(conf_find(root, "flag")->type, CONF_BOOL);
    CHECK_TEXT(conf_find(root, "u")->text, "redis://h:1");
}

static void refuses_bad_sets(void) {
    begin();
    const char *sets[] = { "novalue", "=1", "a b=1", "x.y.z=1", "l.5.x=1", "a..b=1" };
    load_with("x = { y = 1; };\nl = ( );\n", sets, 6);
    CHECK_TEXT(said(), "--set novalue: must be NAME=VALUE, with a NAME like storage.default\n"
                       "--set : there is no such item\n"
                       "--set a b: must be NAME=VALUE, with a NAME like storage.default\n"
                       "--set x.y.z: what stands before the last dot is no group\n"
                       "--set l.5.x: there is no such item\n"
                       "--set a..b: there is no such item\n");
}

static void reports_what_nobody_used(void) {
    begin();
    struct conf_node *root =
        load("workers = 2;\nlistners = ( );\nlog = { level = 1; };\nhosts = ( { name = 1; }, { name = 2; } );\n"
             "plain = [ 1, 2 ];\n");
    conf_find(root, "workers");
    conf_find(root, "listeners");
    conf_find(root, "log");
    conf_find(root, "plain");
    conf_find(root, "hosts.0.name");
    conf_check_unused(root, &errors);
    CHECK_TEXT(said(), "meerkat.cfg:2: unknown setting `listners`; did you mean `listeners`?\n"
                       "meerkat.cfg:3: unknown setting `level` in `log`\n"
                       "meerkat.cfg:4: unknown setting `(item of a list)` in `hosts`\n");
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

static const char *const colours[] = { "red", "green", "blue", NULL };
struct demo {
    bool flag;
    int64_t count, wait, bytes, colour;
    const char *name, *secret, *file;
    const struct mk_jid *jid;
    struct mk_texts words;
};
static const struct mk_opt_decl rows[] = {
    MK_OPT_BOOL(struct demo, flag, "true", MK_OPT_LIVE, "Flag."),
    MK_OPT_INT(struct demo, count, "10", 1, 100, 0, "Count | much."),
    MK_OPT_DURATION(struct demo, wait, "30s", 0, INT64_MAX, MK_OPT_LIVE, "Wait."),
    MK_OPT_SIZE(struct demo, bytes, "64K", 1, 1 << 20, 0, "Bytes."),
    MK_OPT_ENUM(struct demo, colour, "green", colours, 0, "Colour."),
    MK_OPT_TEXT(struct demo, name, NULL, MK_OPT_LIVE, "Name."),
    MK_OPT_TEXT(struct demo, secret, NULL, MK_OPT_SECRET, "Secret."),
    MK_OPT_FILE(struct demo, file, NULL, 0, "File."),
    MK_OPT_JID(struct demo, jid, 0, "JID."),
    MK_OPT_TEXTS(struct demo, words, "one, two", MK_OPT_LIVE, "Words."),
};
static const struct mk_table table = MK_TABLE(rows);
static const struct mk_opt_decl needed[] = {
    MK_OPT_TEXT(struct demo, name, NULL, MK_OPT_REQUIRED, "The name it goes by."),
};
static const struct mk_table needed_table = MK_TABLE(needed);

static struct demo fill(const char *text) {
    struct demo d = { 0 };
    struct conf_node *root = load(text);
    conf_fill(&arena, "plugin demo", conf_find(root, "demo"), &table, NULL, &d, &errors);
    conf_check_unused(root, &errors);
    return d;
}

static void fills_defaults(void) {
    begin();
    struct demo d = { 0 };
    conf_fill(&arena, "plugin demo", NULL, &table, NULL, &d, &errors);
    CHECK_TEXT(said(), "");
    CHECK(d.flag);
    CHECK_INT(d.count, 10);
    CHECK_INT(d.wait, 30000);
    CHECK_INT(d.bytes, 65536);
    CHECK_INT(d.colour, 1);
    CHECK(!d.name && !d.file && !d.jid);
    CHECK_INT(d.words.count, 2);
    CHECK_TEXT(d.words.items[1], "two");
}

static void fills_values(void) {
    begin();
    write_file("cert.pem", "x");
    struct demo d =
        fill("demo = { flag = false; count = 100; wait = \"2h\"; bytes = 4096; colour = \"blue\"; name = \"n\";\n"
             "secret = \"plain\"; file = \"cert.pem\"; jid = \"Admin@localhost\"; words = [ \"w\" ]; };\n");
    CHECK_TEXT(said(), "");
    CHECK(!d.flag);
    CHECK_INT(d.count, 100);
    CHECK_INT(d.wait, 7200000);
    CHECK_INT(d.bytes, 4096);
    CHECK_INT(d.colour, 2);
    CHECK_TEXT(d.name, "n");
    CHECK_TEXT(d.secret, "plain");
    CHECK_TEXT(d.file, in_folder("cert.pem"));
    CHECK_TEXT(d.jid->text, "admin@localhost");
    CHECK_TEXT(d.words.items[0], "w");
    CHECK_INT(fill("demo = { wait = \"infinite\"; words = []; };").wait, INT64_MAX);
    CHECK_INT(fill("demo = { wait = \"500ms\"; };").wait, 500);
    CHECK_INT(fill("demo = { bytes = \"1M\"; };").bytes, 1 << 20);
    CHECK_TEXT(said(), "");
}

static void refuses_values(void) {
    begin();
    fill("demo = {\nflag = 1;\ncount = 101;\nwait = \"3 weeks\";\nbytes = \"infinite\";\ncolour = \"bleu\";\nname = "
         "5;\nfile = \"none\";\n"
         "jid = \"a@b c\";\nwords = [ 1, 2 ];\n};\n");
    CHECK_TEXT(
        said(),
        "meerkat.cfg:2: option `flag` of plugin demo must be true or false\n"
        "meerkat.cfg:3: option `count` of plugin demo must be in the range 1 to 100\n"
        "meerkat.cfg:4: option `wait` of plugin demo must be a duration such as \"30s\", \"10m\", \"2h\", \"7d\", or "
        "a number of milliseconds\n"
        "meerkat.cfg:5: option `bytes` of plugin demo must be in the range 1 to 1M\n"
        "meerkat.cfg:6: option `colour` of plugin demo must be one of \"red\", \"green\", \"blue\"; did you mean "
        "\"blue\"?\n"
        "meerkat.cfg:7: option `name` of plugin demo must be a text in quotes\n"
        "meerkat.cfg:8: option `file` of plugin demo names the file \"none\", which can't be read: No such file or "
        "directory\n"
        "meerkat.cfg:9: option `jid` of plugin demo must be a JID in quotes\n"
        "meerkat.cfg:10: option `words` of plugin demo must be a list of texts; item 1 is none\n");
    begin();
    fill("demo = { count = \"7\"; wait = \"99999999999999999999s\"; bytes = \"9000000000000000G\"; words = \"w\"; file "
         "= \"/\"; };");
    CHECK_TEXT(
        said(),
        "meerkat.cfg:1: option `count` of plugin demo must be a whole number\n"
        "meerkat.cfg:1: option `wait` of plugin demo must be a duration such as \"30s\", \"10m\", \"2h\", \"7d\", or a "
        "number of milliseconds\n"
        "meerkat.cfg:1: option `bytes` of plugin demo must be a size such as \"64K\", \"10M\", \"1G\", or a number of "
        "bytes\n"
        "meerkat.cfg:1: option `file` of plugin demo names \"/\", which is a folder\n"
        "meerkat.cfg:1: option `words` of plugin demo must be a list of texts, [ \"...\", \"...\" ]\n");
}

static void refuses_names(void) {
    begin();
    fill("demo = {\n  cuont = 1;\n  zzz = { a = 1; };\n};\n");
    CHECK_TEXT(said(), "meerkat.cfg:2: unknown option `cuont` in plugin demo; did you mean `count`?\n"
                       "meerkat.cfg:3: unknown option `zzz` in plugin demo\n");
    begin();
    struct conf_node *root = load("demo = { enabled = true; };\n");
    static const char *const extra[] = { "enabled", NULL };
    struct demo d = { 0 };
    conf_fill(&arena, "plugin demo", conf_find(root, "demo"), &table, extra, &d, &errors);
    CHECK_TEXT(said(), "");
    begin();
    fill("demo = 5;\n");
    CHECK_TEXT(said(), "meerkat.cfg:1: plugin demo must be a group, { ... }\n");
}

static void wants_required(void) {
    begin();
    struct demo d = { 0 };
    struct conf_node *root = load("\ndemo = { };\n");
    conf_fill(&arena, "plugin demo", conf_find(root, "demo"), &needed_table, NULL, &d, &errors);
    conf_fill(&arena, "plugin other", NULL, &needed_table, NULL, &d, &errors);
    CHECK_TEXT(said(), "meerkat.cfg:2: plugin demo needs the option `name`: The name it goes by.\n"
                       "plugin other needs the option `name`: The name it goes by.\n");
}

static void reads_secrets(void) {
    begin();
    write_file("password", "from file\n");
    struct demo d = fill(arena_printf(&arena, "demo = { secret = \"file:%s\"; };", in_folder("password")));
    CHECK_TEXT(d.secret, "from file");
    setenv("MEERKAT_TEST_SECRET", "from env", 1);
    CHECK_TEXT(fill("demo = { secret = \"env:MEERKAT_TEST_SECRET\"; };").secret, "from env");
    CHECK_TEXT(said(), "");
    CHECK_TEXT(fill("demo = { name = \"env:MEERKAT_TEST_SECRET\"; };").name, "env:MEERKAT_TEST_SECRET");
    fill("demo = { secret = \"env:MEERKAT_TEST_NONE\"; };");
    fill("demo = { secret = \"file:/nonexistent\"; };");
    CHECK_TEXT(
        said(),
        "meerkat.cfg:1: option `secret` of plugin demo wants the environment variable MEERKAT_TEST_NONE, which is not "
        "set\n"
        "meerkat.cfg:1: option `secret` of plugin demo can't be read from \"/nonexistent\": No such file or "
        "directory\n");
}

static void set_gives_texts_as_written(void) {
    begin();
    const char *sets[] = { "demo.name=007", "demo.secret=true", "demo.count=x" };
    struct conf_node *root = load_with("", sets, 3);
    struct demo d = { 0 };
    conf_fill(&arena, "plugin demo", conf_find(root, "demo"), &table, NULL, &d, &errors);
    CHECK_TEXT(d.name, "007");
    CHECK_TEXT(d.secret, "true");
    CHECK_TEXT(said(), "--set demo.count: option `count` of plugin demo must be a whole number\n");
}

static void overlays(void) {
    begin();
    struct conf_node *root =
        load("base = { count = 1; name = \"base\"; };\nover = { count = 2; flag = false; bad = 1; };\n");
    struct demo d = { 0 };
    struct conf_node *both = conf_overlay(&arena, conf_find(root, "base"), conf_find(root, "over"));
    conf_fill(&arena, "plugin demo", both, &table, NULL, &d, &errors);
    conf_check_unused(root, &errors);
    CHECK_INT(d.count, 2);
    CHECK(!d.flag);
    CHECK_TEXT(d.name, "base");
    CHECK_TEXT(said(), "meerkat.cfg:2: unknown option `bad` in plugin demo\n");
    CHECK(conf_overlay(&arena, NULL, NULL) == NULL);
    CHECK_INT(conf_find(conf_overlay(&arena, conf_find(root, "base"), NULL), "count")->number, 1);
}

static void says_nothing_twice(void) {
    begin();
    struct conf_node where = { .file = "f", .line = 3 };
    conf_error(&errors, &where, "wrong\n%s", "x");
    conf_error(&errors, &where, "wrong\n%s", "x");
    conf_error(&errors, &where, "wrong");
    CHECK_TEXT(said(), "f:3: wrong?x\nf:3: wrong\n");
    CHECK_INT(errors.count, 2);
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static void compares_and_copies(void) {
    begin();
    struct demo a = fill("demo = { name = \"a\"; jid = \"x@y\"; };"),
                b = fill("demo = { name = \"a\"; jid = \"x@y\"; };");
    CHECK(!conf_differs(&table, &a, &b, true) && !conf_differs(&table, &a, &b, false));
    b = fill("demo = { name = \"b\"; jid = \"x@y\"; };");
    CHECK(conf_differs(&table, &a, &b, true) && !conf_differs(&table, &a, &b, false));
    b = fill("demo = { name = \"a\"; jid = \"x@z\"; };");
    CHECK(!conf_differs(&table, &a, &b, true) && conf_differs(&table, &a, &b, false));
    b = fill("demo = { name = \"b\"; count = 5; words = [ \"only\" ]; wait = 1; };");
    CHECK(conf_differs(&table, &a, &b, true) && conf_differs(&table, &a, &b, false));
    conf_copy_live(&table, &a, &b);
    CHECK_TEXT(a.name, "b");
    CHECK_INT(a.wait, 1);
    CHECK_INT(a.words.count, 1);
    CHECK_INT(a.count, 10);
    CHECK_TEXT(a.jid->text, "x@y");
}

static void writes_a_manual(void) {
    begin();
    struct buf out = { 0 };
    conf_manual(&out, &table);
    conf_manual(&out, &needed_table);
    CHECK(strstr(out.data, "| `count` | number | `10` | 1 to 100 | restart | Count \\| much. |\n"));
    CHECK(strstr(out.data, "| `wait` | duration | `30s` | 0ms to infinite | live | Wait. |\n"));
    CHECK(strstr(out.data, "| `colour` | `red`, `green` or `blue` | `green` |  | restart | Colour. |\n"));
    CHECK(strstr(out.data, "| `name` | text | required |  | restart | The name it goes by. |\n"));
    CHECK(strstr(
        out.data,
        "| `secret` | text | none |  | restart | Secret. Secret: may be given as `file:PATH` or `env:NAME`. |\n"));
    buf_free(&out);
    end();
}

int main(void) {
    return CHECK_RUN(T(reads_types_and_places), T(merges_the_folder), T(refuses_to_set_twice), T(includes_files),
                     T(reports_syntax), T(survives_odd_files), T(finds_numbers_that_would_be_cut), T(sets_override),
                     T(refuses_bad_sets), T(reports_what_nobody_used), T(fills_defaults), T(fills_values),
                     T(refuses_values), T(refuses_names), T(wants_required), T(reads_secrets),
                     T(set_gives_texts_as_written), T(overlays), T(says_nothing_twice), T(compares_and_copies),
                     T(writes_a_manual));
}
