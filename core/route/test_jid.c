/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "route/jid.h"
#include "run/turn.h"

static struct mk_ctx turn;

static const struct mk_jid *parse(const char *text) {
    const struct mk_jid *jid = NULL;
    return mk_jid_parse(&turn, (struct mk_view){ text, strlen(text) }, &jid) == 0 ? jid : NULL;
}

static struct mk_view view(const char *text) {
    return (struct mk_view){ text, strlen(text) };
}

/* Text, and what becomes of it; NULL if it is refused. */
struct row {
    const char *text, *want;
};

static void check_rows(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct mk_jid *jid = parse(rows[i].text);
        if (!jid != !rows[i].want || (jid && strcmp(mk_jid_text(jid), rows[i].want) != 0))
            check_fail(__FILE__, __LINE__, "%s is %s, not %s", rows[i].text, jid ? jid->text : "(refused)",
                       rows[i].want ? rows[i].want : "(refused)");
        if (jid)
            CHECK(mk_jid_same(jid, parse(jid->text)));
    }
    arena_free(&turn.arena);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* RFC 7622, 3.5, first table; where PRECIS and stringprep differ, what stringprep says. */
static void examples_of_the_rfc(void) {
    static const struct row rows[] = {
        { "juliet@example.com", "juliet@example.com" },
        { "juliet@example.com/foo", "juliet@example.com/foo" },
        { "juliet@example.com/foo bar", "juliet@example.com/foo bar" },
        { "juliet@example.com/foo@bar", "juliet@example.com/foo@bar" },
        { "foo\\20bar@example.com", "foo\\20bar@example.com" },
        { "fussball@example.com", "fussball@example.com" },
        { "fu\xc3\x9f"
          "ball@example.com",
          "fussball@example.com" }, /* stringprep folds the sharp s */
        { "\xcf\x80@example.com", "\xcf\x80@example.com" },
        { "\xce\xa3@example.com/foo", "\xcf\x83@example.com/foo" },
        { "\xcf\x83@example.com/foo", "\xcf\x83@example.com/foo" },
        { "\xcf\x82@example.com/foo", "\xcf\x83@example.com/foo" }, /* and the final sigma */
        { "king@example.com/\xe2\x99\x9a", "king@example.com/\xe2\x99\x9a" },
        { "example.com", "example.com" },
        { "example.com/foobar", "example.com/foobar" },
        { "a.example.com/b@example.net", "a.example.com/b@example.net" },
    };
    CHECK_ROWS(rows);
}

/* The second table.  A number or a symbol in the local part is what stringprep allows and PRECIS does not. */
static void violations_of_the_rfc(void) {
    static const struct row rows[] = {
        { "\"juliet\"@example.com", NULL },
        { "foo bar@example.com", NULL },
        { "juliet@example.com/", NULL },
        { "@example.com/", NULL },
        { "@example.com", NULL },
        { "juliet@", NULL },
        { "/foobar", NULL },
        { "henry\xe2\x85\xa3@example.com", "henryiv@example.com" },
        { "\xe2\x99\x9a@example.com", "\xe2\x99\x9a@example.com" },
    };
    CHECK_ROWS(rows);
}

static void local_parts(void) {
    static const struct row rows[] = {
        { "JULIET@example.com", "juliet@example.com" },
        { "a!#$%()*+,-.;=?[\\]^_`{|}~z@example.com", "a!#$%()*+,-.;=?[\\]^_`{|}~z@example.com" },
        { "a&b@example.com", NULL },
        { "a'b@example.com", NULL },
        { "a:b@example.com", NULL },
        { "a<b@example.com", NULL },
        { "a>b@example.com", NULL },
        { "a@b@example.com", NULL },
        { "a\tb@example.com", NULL },
        { "a\x7f"
          "b@example.com",
          NULL },
        { "a\xc2\xa0"
          "b@example.com",
          NULL },                                        /* no-break space */
        { "\xef\xbc\xa1@example.com", "a@example.com" }, /* full-width A */
        { "a\xef\xbc\xa0"
          "b@example.com",
          NULL },                                            /* full-width @ */
        { "a\xe2\x84\x80@example.com", NULL },               /* a/c in one character */
        { "\xc3\x84@example.com", "\xc3\xa4@example.com" },  /* folded */
        { "a\xcc\x88@example.com", "\xc3\xa4@example.com" }, /* composed */
        { "\xc2\xad@example.com", NULL },                    /* nothing is left of a soft hyphen */
        { "a\xc2\xad"
          "b@example.com",
          "ab@example.com" },
        { "\xd7\x90"
          "a@example.com",
          NULL }, /* right-to-left and left-to-right in one */
    };
    CHECK_ROWS(rows);
}

static void domains(void) {
    static const struct row rows[] = {
        { "EXAMPLE.Com", "example.com" },
        { "example.com.", "example.com" },
        { "example.com./r", "example.com/r" },
        { "example.com..", NULL },
        { ".example.com", NULL },
        { "exa..mple.com", NULL },
        { ".", NULL },
        { "", NULL },
        { "local_host-1", "local_host-1" },
        { "a b.example", NULL },
        { "a,b.example", NULL },
        { "192.0.2.1", "192.0.2.1" },
        { "a@[2001:DB8::1]/r", "a@[2001:db8::1]/r" },
        { "[2001:db8:0:0:0:0:0:1]", "[2001:db8::1]" },
        { "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]" },
        { "[::]", "[::]" },
        { "[192.0.2.1]", NULL },
        { "[]", NULL },
        { "[::1", NULL },
        { "::1", NULL },
        { "[::1].example", NULL },
        { "[::1%lo]", NULL },
        { "[2001:db8:0:0:0:0:0:1111:2222:3333:4444:5555:6666:7777]", NULL },
        { "B\xc3\x9c"
          "CHER.example",
          "b\xc3\xbc"
          "cher.example" },
        { "b\xc3\xbc"
          "cher\xe3\x80\x82"
          "example",
          "b\xc3\xbc"
          "cher.example" },                                       /* ideographic full stop */
        { "b\xc3\xbc.example\xef\xbd\xa1", "b\xc3\xbc.example" }, /* half-width, at the end */
        { "\xef\xbc\x8e", NULL },
        { "a\xe2\x80\xa4"
          "b.example",
          NULL }, /* one-dot leader would become a dot */
        { "a\xef\xbc\xa0"
          "b.example",
          NULL },
        { "\xd7\x90.example", "\xd7\x90.example" },
    };
    CHECK_ROWS(rows);
}

static void resources(void) {
    static const struct row rows[] = {
        { "a@b/C d/e@f", "a@b/C d/e@f" },
        { "a@b/ x", "a@b/ x" },
        { "a@b/&'\"<>", "a@b/&'\"<>" },
        { "a@b/\x01", NULL },
        { "a@b/\x7f", NULL },
        { "a@b/\n", NULL },
        { "a@b/\xc3\x84", "a@b/\xc3\x84" },
        { "a@b/A\xcc\x88", "a@b/\xc3\x84" },
        { "a@b/\xf0\x9f\x93\xb1", "a@b/\xf0\x9f\x93\xb1" }, /* newer than stringprep's Unicode */
        { "a@b/\xc2\xad", NULL },
        { "a@b/\xee\x80\x80", NULL }, /* private use */
        /* NFKC of Unicode 3.2 makes this another text each time. */
        { "a@b/\xeb\xa1\x9c\xcd\xa0\xe1\x86\xa8\xcc\x81", NULL },
        { "\xeb\xa1\x9c\xcd\xa0\xe1\x86\xa8\xcc\x81@b", NULL },
    };
    CHECK_ROWS(rows);
}

static void text_that_is_no_utf8(void) {
    static const struct row rows[] = {
        { "a\xff@example.com", NULL },    { "a@exampl\xc3.com", NULL },     { "a@b/\xed\xa0\x80", NULL },
        { "\xc0\x80@example.com", NULL }, { "a@b/\xf5\x80\x80\x80", NULL },
    };
    const struct mk_jid *jid;
    CHECK_ROWS(rows);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "a\0b@example.com", 15 }, &jid), MK_E_JID);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "a@b/x\0y", 7 }, &jid), MK_E_JID);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "\xc3\xa4\0@example.com", 15 }, &jid), MK_E_JID);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "[::1\0]", 6 }, &jid), MK_E_JID);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ "[::1\0:]", 7 }, &jid), MK_E_JID);
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ NULL, 0 }, &jid), MK_E_JID);
    arena_free(&turn.arena);
}

static void lengths(void) {
    static char part[1025], wide[1200];
    const struct mk_jid *jid;
    memset(part, 'a', 1024);
    struct mk_view most = { part, 1023 }, over = { part, 1024 }, none = { NULL, 0 };
    CHECK_INT(mk_jid_make(&turn, most, most, most, &jid), 0);
    CHECK_INT(jid->text_len, 3 * 1023 + 2);
    CHECK(mk_jid_same(jid, parse(jid->text)));
    CHECK_INT(mk_jid_make(&turn, over, most, most, &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, most, over, most, &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, most, most, over, &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, most, none, most, &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, none, most, none, &jid), 0);
    /* Each of these becomes 18 characters of two bytes. */
    for (size_t i = 0; i < 40; i++)
        memcpy(wide + 3 * i, "\xef\xb7\xba", 3);
    CHECK_INT(mk_jid_make(&turn, (struct mk_view){ wide, 30 }, most, none, &jid), MK_E_JID); /* it has spaces */
    CHECK_INT(mk_jid_make(&turn, none, most, (struct mk_view){ wide, 30 }, &jid), 0);
    CHECK_INT(jid->resource_len, 10 * 33);
    CHECK_INT(mk_jid_make(&turn, none, most, (struct mk_view){ wide, 120 }, &jid), MK_E_JID);
    /* Two labels that grow fourfold, and a plain one behind them. */
    for (size_t i = 0; i < 85; i++) {
        memcpy(wide + 3 * i, "\xe3\x8c\x80", 3);
        memcpy(wide + 256 + 3 * i, "\xe3\x8c\x80", 3);
    }
    wide[255] = wide[511] = '.';
    memset(wide + 512, 'a', 500);
    CHECK_INT(mk_jid_make(&turn, most, (struct mk_view){ wide, 255 }, none, &jid), 0);
    CHECK_INT(jid->domain_len, 85 * 12);
    CHECK_INT(mk_jid_make(&turn, most, (struct mk_view){ wide, 1012 }, none, &jid), MK_E_JID);
    arena_free(&turn.arena);
}

static void parts(void) {
    const struct mk_jid *jid = parse("a@b.c/d/e");
    CHECK_MEM(mk_jid_local(jid).s, mk_jid_local(jid).len, "a", 1);
    CHECK_MEM(mk_jid_domain(jid).s, mk_jid_domain(jid).len, "b.c", 3);
    CHECK_MEM(mk_jid_resource(jid).s, mk_jid_resource(jid).len, "d/e", 3);
    CHECK_MEM(mk_jid_bare(jid).s, mk_jid_bare(jid).len, "a@b.c", 5);
    jid = parse("b.c");
    CHECK_INT(mk_jid_local(jid).len, 0);
    CHECK_INT(mk_jid_resource(jid).len, 0);
    CHECK_MEM(mk_jid_bare(jid).s, mk_jid_bare(jid).len, "b.c", 3);
    CHECK_INT(mk_jid_make(&turn, view("Me"), view("Host"), view("Res"), &jid), 0);
    CHECK_TEXT(jid->text, "me@host/Res");
    CHECK_INT(mk_jid_make(&turn, view("a@b"), view("host"), view(""), &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, view(""), view("a@host"), view(""), &jid), MK_E_JID);
    CHECK_INT(mk_jid_make(&turn, view(""), view("host/x"), view(""), &jid), MK_E_JID);
    arena_free(&turn.arena);
}

static void equality_and_order(void) {
    const struct mk_jid *a = parse("a@b/1"), *a2 = parse("A@B/1"), *b = parse("a@b/2"), *bare = parse("a@b");
    CHECK(mk_jid_same(a, a2) && !mk_jid_same(a, b) && !mk_jid_same(a, bare) && !mk_jid_same(a, NULL) &&
          !mk_jid_same(NULL, NULL));
    CHECK(mk_jid_same_bare(a, b) && mk_jid_same_bare(a, bare) && !mk_jid_same_bare(a, parse("c@b")));
    CHECK(!mk_jid_same_bare(parse("a@b"), parse("a@bc")));
    CHECK(a->hash == bare->hash && a->hash != parse("c@b")->hash);
    CHECK(mk_jid_compare(a, b) < 0 && mk_jid_compare(b, a) > 0 && mk_jid_compare(a, a2) == 0 &&
          mk_jid_compare(bare, a) < 0);
    arena_free(&turn.arena);
}

static void copies(void) {
    const struct mk_jid *a = parse("a@b/c");
    struct mk_jid *kept = mk_jid_keep(a);
    const struct mk_jid *bare = mk_jid_to_bare(&turn, a);
    CHECK_TEXT(bare->text, "a@b");
    CHECK_INT(bare->hash, a->hash);
    CHECK(mk_jid_same(bare, parse("a@b")));
    CHECK(mk_jid_to_bare(&turn, bare) == bare);
    CHECK(mk_jid_same(jid_with(&turn.arena, bare, view("c")), a));
    CHECK(mk_jid_same(jid_copy(&turn.arena, a), a));
    arena_free(&turn.arena);
    CHECK_TEXT(kept->text, "a@b/c");
    mk_jid_free(kept);
    mk_jid_free(NULL);
}

static void stored_text(void) {
    const struct mk_jid *jid;
    CHECK_INT(jid_read(&turn.arena, "a@b/C", 5, &jid), 0);
    CHECK(mk_jid_same(jid, parse("a@b/C")));
    CHECK_INT(jid->hash, parse("a@b/C")->hash);
    CHECK_INT(jid->resource_len, 1);
    static const char *const bad[] = { "", "@b", "a@", "a@b/", "/c", "a@b/\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(jid_read(&turn.arena, bad[i], strlen(bad[i]), &jid), MK_E_JID);
    arena_free(&turn.arena);
}

int main(void) {
    return CHECK_RUN(T(examples_of_the_rfc), T(violations_of_the_rfc), T(local_parts), T(domains), T(resources),
                     T(text_that_is_no_utf8), T(lengths), T(parts), T(equality_and_order), T(copies), T(stored_text));
}
