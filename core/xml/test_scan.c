/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "xml/scan.h"

#define HEADER "<?xml version='1.0'?> <stream:stream to='a>b' xmlns=\"jabber:client\" a='/'>"

static const struct xml_limits roomy = { .bytes = 100000, .depth = 20, .attrs = 10, .children = 100 };

/* A result and the bytes it stands for, as one line of text: "header74,stanza20,more". */
struct trace {
    char text[2000];
    size_t len;
};

static void note(struct trace *t, enum scan_result r, size_t used) {
    static const char *const names[] = { "more",       "space",     "header", "stanza", "close",
                                         "restricted", "malformed", "bytes",  "limit" };
    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%s%s", t->len ? "," : "", names[r]);
    if (r >= SCAN_SPACE && r <= SCAN_CLOSE)
        t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%zu", used);
}

/*
 * Feeds LEN bytes, STEP at a time, each time in a fresh buffer of just that size, so that a look beyond is found out.
 * SPACE of several calls is told as one.
 */
static enum scan_result scan_copy(struct scan *s, const struct xml_limits *limits, const char *data, size_t len,
                                  size_t *used) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, data, len);
    enum scan_result r = scan_next(s, limits, copy, len, used);
    free(copy);
    return r;
}

static void run(struct trace *t, struct scan *s, const struct xml_limits *limits, const char *data, size_t len,
                size_t step) {
    size_t from = 0, have = 0, spaces = 0, used = 0;
    t->len = 0;
    t->text[0] = '\0';
    while (have < len) {
        have = have + step < len ? have + step : len;
        for (;;) {
            enum scan_result r = scan_copy(s, limits, data + from, have - from, &used);
            if (r == SCAN_MORE)
                break;
            if (r == SCAN_SPACE) {
                spaces += used;
                from += used;
                continue;
            }
            if (spaces)
                note(t, SCAN_SPACE, spaces);
            spaces = 0;
            note(t, r, used);
            if (r > SCAN_CLOSE)
                return;
            from += used;
        }
    }
    if (spaces)
        note(t, SCAN_SPACE, spaces);
    if (from < len)
        note(t, SCAN_MORE, 0);
}

static void check_one(const char *data, const char *want, const struct xml_limits *limits, struct scan start) {
    static struct trace t;
    size_t len = strlen(data);
    for (size_t step = 1; step <= len; step = step < 40 ? step + 1 : len > step ? len : len + 1) {
        struct scan s = start;
        run(&t, &s, limits, data, len, step);
        if (strcmp(t.text, want) != 0)
            check_fail(__FILE__, __LINE__, "%s in steps of %zu: %s, not %s", data, step, t.text, want);
    }
}

struct row {
    const char *data, *want;
};

static void check_rows(const struct row *rows, size_t count, const struct xml_limits *limits, struct scan start) {
    for (size_t i = 0; i < count; i++)
        check_one(rows[i].data, rows[i].want, limits, start);
}
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void streams(void) {
    static const struct row rows[] = {
        { HEADER, "header74" },
        { HEADER "<a/>", "header74,stanza4" },
        { HEADER "<a></a> \n\t\r <b/></stream:stream>", "header74,stanza7,space5,stanza4,close16" },
        { "<s>", "header3" },
        { " <s>", "space1,header3" },
        { "<s:s xmlns:s='a/'>", "header18" },
        { "<?xml version=\"1.0\" encoding='a?>", "more" },
        { "<?xml ?x?><s>", "header13" },
        { "", "" },
    };
    check_rows(rows, COUNT(rows), &roomy, (struct scan){ 0 });
}

static void stanzas(void) {
    static const struct row rows[] = {
        { "<a/>", "stanza4" },
        { "<a />", "stanza5" },
        { "<a\n>\n</a\n>", "stanza10" },
        { "<a><b/><b></b>text</a>", "stanza22" },
        { "<a x='>'/>", "stanza10" },
        { "<a x='/>\"' y=\"'</a>\"/>", "stanza22" },
        { "<a x='<'/>", "stanza10" }, /* the parser's to refuse */
        { "<a><![CDATA[</a><x>]]]></a>", "stanza27" },
        { "<a><![CDATA[</a><x>]] ></a>", "more" },
        { "<a><![CDATA[</a><x>]] >]>]]]]></a>", "stanza34" },
        { "<a>]]></a>", "stanza10" },
        { "<message to='somebody@example.org/a-long-resource' from='someone@example.org'><body>text</body></message>",
          "stanza105" },
        { "<\xc3\xa4/><_/><:/>", "stanza5,stanza4,stanza4" },
        { "<a>", "more" },
        { "<a", "more" },
        { "<a/", "more" },
        { "<a b='", "more" },
        { "</s>", "close4" },
        { "   ", "space3" },
    };
    check_rows(rows, COUNT(rows), &roomy, (struct scan){ .open = 1 });
}

static void forbidden(void) {
    static const struct row in_stream[] = {
        { "<!-- x --><a/>", "restricted" },
        { "<a><!-- x --></a>", "restricted" },
        { "<!DOCTYPE a>", "restricted" },
        { "<a><!DOCTYPE a></a>", "restricted" },
        { "<?pi x?>", "restricted" },
        { "<a><?pi x?></a>", "restricted" },
        { "<?xml version='1.0'?>", "restricted" },
        { "<a/><?xml version='1.0'?>", "stanza4,restricted" },
        { "<![CDATA[x]]>", "malformed" },
        { "<a><![CDATB[x]]></a>", "malformed" },
        { "<a><![IGNORE[x]]></a>", "malformed" },
        { "text", "malformed" },
        { " x", "space1,malformed" },
        { "<a/>x", "stanza4,malformed" },
        { "<a <b/></a>", "malformed" },
        { "<a b=<'/>", "malformed" },
        { "< a/>", "malformed" },
        { "<>", "malformed" },
        { "<1/>", "malformed" },
        { "</>", "malformed" },
        { "</ s>", "malformed" },
        { "<=/>", "malformed" },
        { "<\"/>", "malformed" },
    };
    static const struct row at_start[] = {
        { "<!DOCTYPE a>", "restricted" },
        { "<!-- x --><s>", "restricted" },
        { "<?pi?><s>", "restricted" },
        { "<?xml-style x?><s>", "restricted" },
        { "<?XML version='1.0'?><s>", "restricted" },
        { " <?xml version='1.0'?><s>", "space1,restricted" },
        { " <?ml version='1.0'?><s>", "space1,restricted" },
        { "<?xml version='1.0'?><?xml version='1.0'?><s>", "restricted" },
        { "<?xml version='1.0'?> <!-- x -->", "restricted" },
        { "<?xml version='1.0'?>x<s>", "malformed" },
        { "</s>", "malformed" },
        { "<s/>", "malformed" },
        { "x", "malformed" },
        { "\xef\xbb\xbf<s>", "malformed" },
        { "GET / HTTP/1.1", "malformed" },
    };
    check_rows(in_stream, COUNT(in_stream), &roomy, (struct scan){ .open = 1 });
    check_rows(at_start, COUNT(at_start), &roomy, (struct scan){ 0 });
}

static void size_limit(void) {
    struct xml_limits limits = roomy;
    static const struct row rows[] = {
        { "<a>3456789</a>", "stanza14" },
        { "<a>3456789x</a>", "bytes" },
        { "<a>3456789012", "more" },
        { "<a>34567890123", "bytes" },
        { "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bytes" },
        { "<a b='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bytes" },
        { "                    <a/>", "space20,stanza4" },
        { "<a>3456789</a><a>3456789</a><a/>", "stanza14,stanza14,stanza4" },
    };
    limits.bytes = 14;
    check_rows(rows, COUNT(rows), &limits, (struct scan){ .open = 1 });
    static const struct row header[] = { { "<s b='9 1234'>", "header14" }, { "<s b='9 12345'>", "bytes" } };
    check_rows(header, COUNT(header), &limits, (struct scan){ 0 });
}

static void shape_limits(void) {
    struct xml_limits limits = { .bytes = 1000, .depth = 3, .attrs = 2, .children = 5 };
    static const struct row rows[] = {
        { "<a><b><c></c></b></a>", "stanza21" },
        { "<a><b><c/></b></a>", "stanza18" },
        { "<a><b><c><d/></c></b></a>", "limit" },
        { "<a><b><c><d", "limit" },
        { "<a b='' c=\"\"/>", "stanza14" },
        { "<a b='' c='' d=''/>", "limit" },
        { "<a b='' c=''><d e='' f=''/></a>", "stanza31" },
        { "<a><b/><b/><b/><b/></a><a><b/></a>", "stanza23,stanza11" },
        { "<a><b/><b/><b/><b/><b/></a>", "limit" },
    };
    check_rows(rows, COUNT(rows), &limits, (struct scan){ .open = 1 });
    check_one("<s a='' b='' c=''>", "limit", &limits, (struct scan){ 0 });
}

/* Deep, and wide, and with the numbers of a hostile peer. */
static void generated(void) {
    static char text[20000];
    char *at = text;
    struct xml_limits limits = { .bytes = sizeof text, .depth = 64, .attrs = 256, .children = 10000 };
    for (int i = 0; i < 64; i++)
        at = stpcpy(at, "<a>");
    for (int i = 0; i < 64; i++)
        at = stpcpy(at, "</a>");
    check_one(text, "stanza448", &limits, (struct scan){ .open = 1 });
    at = stpcpy(text, "<a");
    for (int i = 0; i < 65; i++)
        at = stpcpy(at, "><a");
    check_one(text, "limit", &limits, (struct scan){ .open = 1 });
    at = stpcpy(text, "<a");
    for (int i = 0; i < 300; i++)
        at += sprintf(at, " a%d='x'", i);
    stpcpy(at, "/>");
    check_one(text, "limit", &limits, (struct scan){ .open = 1 });
    limits.attrs = 300;
    snprintf(text + sizeof text - 100, 100, "stanza%zu", strlen(text));
    check_one(text, text + sizeof text - 100, &limits, (struct scan){ .open = 1 });
}

/* State of a connection in idle: nothing of the last stanza is left. */
static void idle_state_is_clean(void) {
    struct scan s;
    size_t used;
    scan_init_open(&s);
    CHECK_INT(scan_next(&s, &roomy, "<a x='1'><b/></a>", 17, &used), SCAN_STANZA);
    CHECK_INT(used, 17);
    CHECK_INT(s.pos + s.depth + s.children + s.state, 0);
    CHECK_INT(sizeof s, 16);
}

int main(void) {
    return CHECK_RUN(T(streams), T(stanzas), T(forbidden), T(size_limit), T(shape_limits), T(generated),
                     T(idle_state_is_clean));
}
