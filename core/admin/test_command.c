/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results on their own, and commands from the request to the answer. */
#include "admin/test_admin.h"

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static const struct mk_arg_decl rows[] = {
    { "account", MK_ARG_JID, 0, "Address." },          { "count", MK_ARG_INT, MK_ARG_OPTIONAL, "How many." },
    { "loud", MK_ARG_BOOL, MK_ARG_OPTIONAL, "Loud." }, { "names", MK_ARG_TEXTS, MK_ARG_OPTIONAL, "Names." },
    { "secret", MK_ARG_SECRET, MK_ARG_OPTIONAL, "" },  { "text", MK_ARG_TEXT, MK_ARG_OPTIONAL, "" },
};
static const struct mk_table table = MK_TABLE(rows);

struct checked {
    struct arena arena;
    struct mk_args args;
    struct mk_result result;
    int rc;
};

/* PAIRS: name, value, ...; ended by NULL. */
static void check_args(struct checked *out, bool with_host, const char *const *pairs) {
    static const char *names[300], *values[300];
    uint32_t count = 0;
    for (; pairs[count * 2]; count++) {
        names[count] = pairs[count * 2];
        values[count] = pairs[count * 2 + 1];
    }
    memset(out, 0, sizeof *out);
    result_init(&out->result, &out->arena);
    out->rc = args_check(&out->args, &out->arena, &table, with_host, count, names, values, &out->result);
}
#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void refused(const char *const *pairs, const char *why) {
    struct checked c;
    check_args(&c, false, pairs);
    CHECK_TEXT(c.result.why, why);
    CHECK_INT(c.rc, MK_E_INVALID);
    arena_free(&c.arena);
}

static void good_arguments(void) {
    struct checked c;
    check_args(&c, false,
               PAIRS("names", "b", "account", "Alice@Example.ORG/x", "count", "-12", "names", "a", "loud", "Yes"));
    CHECK_INT(c.rc, 0);
    CHECK_TEXT(mk_jid_text(mk_arg_jid(&c.args, "account")), "alice@example.org/x");
    CHECK_INT(mk_arg_int(&c.args, "count"), -12);
    CHECK(mk_arg_bool(&c.args, "loud"));
    CHECK_TEXT(mk_arg_text(&c.args, "names"), "b\na");
    CHECK(mk_arg_has(&c.args, "names") && !mk_arg_has(&c.args, "secret") && !mk_arg_has(&c.args, "text"));
    CHECK(!mk_arg_text(&c.args, "text") && !mk_arg_bool(&c.args, "secret"));
    arena_free(&c.arena);
    check_args(&c, false, PAIRS("account", "a@b", "count", "9223372036854775807", "loud", "off"));
    CHECK(c.rc == 0 && mk_arg_int(&c.args, "count") == INT64_MAX && !mk_arg_bool(&c.args, "loud") &&
          mk_arg_has(&c.args, "loud"));
    arena_free(&c.arena);
}

static void bad_arguments(void) {
    refused(PAIRS("count", "1"), "argument account is missing: Address.");
    refused(PAIRS("acount", "a@b"), "there is no argument acount; did you mean account?");
    refused(PAIRS("xyzzy", "a@b"),
            "there is no argument xyzzy; the command takes: account, count, loud, names, secret, text");
    refused(PAIRS("host", "a"),
            "there is no argument host; the command takes: account, count, loud, names, secret, text");
    refused(PAIRS("account", "a@"), "account must be an address such as alice@example.org, not \"a@\"");
    refused(PAIRS("account", "a@b", "account", "a@b"), "account is given twice");
    refused(PAIRS("count", "12x"), "count must be a whole number, not \"12x\"");
    refused(PAIRS("count", ""), "count must be a whole number, not \"\"");
    refused(PAIRS("count", " 1"), "count must be a whole number, not \" 1\"");
    refused(PAIRS("count", "9223372036854775808"), "count must be a whole number, not \"9223372036854775808\"");
    refused(PAIRS("loud", "maybe"), "loud must be true or false, not \"maybe\"");
    refused(PAIRS("text", "\xff"), "text must be UTF-8 without control characters");
    refused(PAIRS("text", "a\x01"), "text must be UTF-8 without control characters");
    refused(PAIRS("names", "a\nb"), "an item of names must be one line");
}

static void bounds(void) {
    static char big[ARG_MAX_BYTES + 2];
    static const char *many[2 * (ARG_MAX_COUNT + 1) + 1];
    struct checked c;
    memset(big, 'a', sizeof big - 1);
    refused(PAIRS("text", big), "text is longer than 65536 bytes");
    big[ARG_MAX_BYTES] = '\0';
    refused(PAIRS("names", big, "names", "b"), "names is longer than 65536 bytes");
    check_args(&c, false, PAIRS("account", "a@b", "text", big));
    CHECK_INT(c.rc, 0);
    arena_free(&c.arena);
    for (size_t i = 0; i < ARG_MAX_COUNT + 1; i++) {
        many[2 * i] = "names";
        many[2 * i + 1] = "x";
    }
    refused(many, "more than 256 arguments");
}

static void host_may_be_implied(void) {
    struct checked c;
    check_args(&c, true, PAIRS("account", "a@b", "host", "one.example"));
    CHECK_INT(c.rc, 0);
    CHECK_TEXT(mk_arg_text(&c.args, "host"), "one.example");
    arena_free(&c.arena);
}

static void secrets_are_wiped(void) {
    struct checked c;
    check_args(&c, false, PAIRS("account", "a@b", "secret", "hush", "text", "open"));
    const char *secret = mk_arg_text(&c.args, "secret");
    CHECK_TEXT(secret, "hush");
    args_wipe(&c.args);
    CHECK_MEM(secret, 4, "\0\0\0\0", 4);
    CHECK_TEXT(mk_arg_text(&c.args, "text"), "open");
    arena_free(&c.arena);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static void rows_and_lines(void) {
    struct arena arena = { 0 };
    struct mk_result r, copy;
    result_init(&r, &arena);
    CHECK_INT(mk_result_rows(&r), 0);
    CHECK_TEXT(mk_result_lines(&r), "");
    CHECK(!r.list && !mk_result_why(&r));
    mk_result_next(&r);
    mk_result_text(&r, "a", "x");
    mk_result_int(&r, "n", -5);
    mk_result_next(&r);
    mk_result_next(&r);
    mk_result_bool(&r, "b", true);
    mk_result_text(&r, "a", NULL);
    mk_result_next(&r);
    mk_result_say(&r, "%s\ntwo", "one");
    mk_result_say(&r, "three");
    CHECK_INT(mk_result_error(&r, MK_E_BUSY, "because of %d", 7), MK_E_BUSY);
    result_init(&copy, &arena);
    mk_result_text(&copy, "first", "row");
    result_copy(&copy, &r);
    CHECK_INT(mk_result_rows(&r), 2);
    CHECK_TEXT(mk_result_get(NULL, &r, 0, "n"), "-5");
    CHECK_TEXT(mk_result_get(NULL, &r, 1, "b"), "true");
    CHECK_TEXT(mk_result_get(NULL, &r, 1, "a"), "");
    CHECK(!mk_result_get(NULL, &r, 0, "b") && !mk_result_get(NULL, &r, 2, "a"));
    CHECK_TEXT(mk_result_lines(&r), "one\ntwo\nthree");
    CHECK_INT(mk_result_rows(&copy), 3);
    CHECK_TEXT(mk_result_get(NULL, &copy, 0, "first"), "row");
    CHECK_TEXT(mk_result_get(NULL, &copy, 1, "a"), "x");
    CHECK_TEXT(mk_result_get(NULL, &copy, 2, "b"), "true");
    CHECK_TEXT(mk_result_lines(&copy), "one\ntwo\nthree");
    CHECK_TEXT(mk_result_why(&copy), "because of 7");
    CHECK(copy.list);
    arena_free(&arena);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Tells whose turn it is. */
static int cmd_where(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    mk_result_text(result, "self", mk_jid_text(c->self));
    mk_result_text(result, "plugin", c->inst->name);
    mk_result_bool(result, "home", worker_of(c->self->hash) == c->worker && this_worker == c->worker);
    return MK_OK;
}

static int cmd_fail(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    return mk_arg_has(args, "why") ? mk_result_error(result, MK_E_BUSY, "%s", mk_arg_text(args, "why")) : MK_E_BUSY;
}

static atomic_bool may_answer;

/* Outlives the patience of whoever waits: it goes on when the test says so. */
static int cmd_late(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)args;
    c->deadline_ms += 60000;
    while (!may_answer)
        if (mk_sleep(c, 1) != 0)
            return MK_E_CANCELLED;
    mk_result_say(result, "late");
    return MK_OK;
}

#define ARGS(...) MK_TABLE(((const struct mk_arg_decl[]){ __VA_ARGS__ }))
#define WHO ARGS({ "who", MK_ARG_JID, 0, "Who." })
#define MAYBE ARGS({ "who", MK_ARG_JID, MK_ARG_OPTIONAL, "Who." })
#define WHO_AND_WHY ARGS({ "who", MK_ARG_JID, 0, "" }, { "why", MK_ARG_TEXT, MK_ARG_OPTIONAL, "" })
static const struct mk_cmd_decl commands[] = {
    { "t.account", "", "", "who", MK_CMD_READ, 0, WHO, { 0 }, cmd_where },
    { "t.maybe", "", "", "who", MK_CMD_READ, 0, MAYBE, { 0 }, cmd_where },
    { "t.host", "", "", "", MK_CMD_READ, 0, { 0 }, { 0 }, cmd_where },
    { "t.fail", "", "", "who", MK_CMD_READ, 0, WHO_AND_WHY, { 0 }, cmd_fail },
    { "t.late", "", "", "who", MK_CMD_READ, 0, WHO, { 0 }, cmd_late },
};

static void in_the_account_turn(void) {
    struct call *call = run_command("t.account", "who", "alice@one.example/phone", NULL);
    CHECK_INT(call->rc, 0);
    CHECK_FIELD(call, 0, "self", "alice@one.example");
    CHECK_FIELD(call, 0, "plugin", "t");
    CHECK_FIELD(call, 0, "home", "true");
    call_unref(call);
    for (char name[] = "a@two.example"; name[0] <= 'h'; name[0]++) { /* of them some live on either worker */
        call = run_command("t.account", "who", name, NULL);
        CHECK_FIELD(call, 0, "self", name);
        CHECK_FIELD(call, 0, "home", "true");
        call_unref(call);
    }
}

static void in_the_host_turn(void) {
    struct call *call = run_command("t.host", "host", "Two.Example", NULL);
    CHECK_FIELD(call, 0, "self", "two.example");
    CHECK_FIELD(call, 0, "home", "true");
    call_unref(call);
    CHECK_FAILS(run_command("t.host", NULL), MK_E_INVALID, "2 hosts have this command: say which with host=DOMAIN");
    CHECK_FAILS(run_command("t.host", "host", "three.example", NULL), MK_E_NOTFOUND,
                "three.example is not served here");
    CHECK_FAILS(run_command("t.host", "host", "a@one.example", NULL), MK_E_NOTFOUND,
                "a@one.example is not served here");
    CHECK_FAILS(run_command("t.host", "host", "bare.example", NULL), MK_E_UNSUPPORTED,
                "host bare.example has no command t.host");
}

static void the_only_host_needs_no_name(void) {
    test_snapshot.host_count = 1;
    struct call *call = run_command("t.host", NULL);
    test_snapshot.host_count = 3;
    CHECK_FIELD(call, 0, "self", "one.example");
    call_unref(call);
}

static void what_does_not_fit(void) {
    CHECK_FAILS(run_command("t.acount", NULL), MK_E_NOTFOUND, "there is no command t.acount; did you mean t.account?");
    CHECK_FAILS(run_command("utterly.else", NULL), MK_E_NOTFOUND, "there is no command utterly.else");
    CHECK_FAILS(run_command("t.account", NULL), MK_E_INVALID, "argument who is missing: Who.");
    CHECK_FAILS(run_command("t.maybe", NULL), MK_E_INVALID, "argument who is missing");
    CHECK_FAILS(run_command("t.account", "who", "one.example", NULL), MK_E_INVALID,
                "who must be an account such as alice@one.example, not a host");
    CHECK_FAILS(run_command("t.account", "who", "a@else.example", NULL), MK_E_NOTFOUND,
                "else.example is not served here");
    CHECK_FAILS(run_command("t.account", "who", "a@bare.example", NULL), MK_E_UNSUPPORTED,
                "host bare.example has no command t.account");
}

static void failures_have_a_sentence(void) {
    CHECK_FAILS(run_command("t.fail", "who", "a@one.example", "why", "so it is", NULL), MK_E_BUSY, "so it is");
    CHECK_FAILS(run_command("t.fail", "who", "a@one.example", NULL), MK_E_BUSY, mk_strerror(MK_E_BUSY));
}

/* ---- from a turn ------------------------------------------------------------------------------------------------- */

static struct {
    int rc;
    char self[64], why[128], lines[32];
    unsigned commands;
} seen;

static void run_from(struct mk_ctx *c, const char *name, const char *who) {
    static const char *const names[] = { "who" };
    const struct mk_result *result;
    seen.rc = mk_command_run(c, name, who ? 1 : 0, names, &who, &result);
    const char *self = mk_result_get(c, result, 0, "self"), *why = mk_result_why(result);
    snprintf(seen.self, sizeof seen.self, "%s", self ? self : "");
    snprintf(seen.why, sizeof seen.why, "%s", why ? why : "");
    snprintf(seen.lines, sizeof seen.lines, "%s", mk_result_lines(result));
}

static void ask_account(struct mk_ctx *c) {
    run_from(c, "t.account", "bob@two.example");
}
static void ask_host(struct mk_ctx *c) {
    run_from(c, "t.host", NULL);
}
static void ask_self(struct mk_ctx *c) {
    run_from(c, "t.account", "alice@one.example/x");
}
static void ask_nonsense(struct mk_ctx *c) {
    run_from(c, "t.nonsense", NULL);
}
static void ask_failure(struct mk_ctx *c) {
    run_from(c, "t.fail", "bob@two.example");
}

static void ask_stop(struct mk_ctx *c) {
    run_from(c, "stop", NULL);
}

static void from_a_turn(void) {
    in_turn_of("alice@one.example", ask_account);
    CHECK_INT(seen.rc, 0);
    CHECK_TEXT(seen.self, "bob@two.example");
    in_turn_of("alice@two.example", ask_host);
    CHECK_INT(seen.rc, 0);
    CHECK_TEXT(seen.self, "two.example");
    in_turn_of("alice@one.example", ask_nonsense);
    CHECK_INT(seen.rc, MK_E_NOTFOUND);
    CHECK_TEXT(seen.why, "there is no command t.nonsense");
    in_turn_of("alice@one.example", ask_failure);
    CHECK_INT(seen.rc, MK_E_BUSY);
    CHECK_TEXT(seen.why, mk_strerror(MK_E_BUSY));
}

static void not_of_its_own_turn(void) {
    in_turn_of("alice@one.example", ask_self);
    CHECK_INT(seen.rc, MK_E_INVALID);
    CHECK_TEXT(seen.why, "the command would wait for the turn that asks for it");
    in_turn_of("two.example", ask_host);
    CHECK_INT(seen.rc, MK_E_INVALID);
}

static void ask_late(struct mk_ctx *c) {
    c->deadline_ms = worker_now_ms(c->worker) + 100;
    run_from(c, "t.late", "carol@one.example");
}

/* The answer comes when nobody waits for it any more: it is dropped, and the next call is not disturbed. */
static void too_late(void) {
    may_answer = false;
    in_turn_of("alice@two.example", ask_late);
    CHECK_INT(seen.rc, MK_E_TIMEOUT);
    CHECK_TEXT(seen.why, mk_strerror(MK_E_TIMEOUT));
    CHECK_TEXT(seen.lines, "");
    may_answer = true;
    struct call *call = run_command("t.account", "who", "carol@one.example", NULL);
    CHECK_FIELD(call, 0, "self", "carol@one.example");
    call_unref(call);
}

static void count_commands(struct mk_ctx *c) {
    seen.commands = 0;
    while (mk_command_at(c, seen.commands))
        seen.commands++;
}

static void listed_by_host(void) {
    in_turn_of("one.example", count_commands);
    CHECK_INT(seen.commands, server_command_count + sizeof commands / sizeof commands[0]);
    in_turn_of("bare.example", count_commands);
    CHECK_INT(seen.commands, server_command_count);
    struct command_list all;
    commands_all(&test_arena, &all);
    CHECK_INT(all.count, server_command_count + sizeof commands / sizeof commands[0]);
    for (uint32_t i = 1; i < all.count; i++)
        CHECK(strcmp(all.items[i - 1]->row->name, all.items[i]->row->name) < 0);
}

/* ---- gather, main_ask -------------------------------------------------------------------------------------------- */

static void *tell(struct worker *w, struct arena *arena, const void *arg) {
    return arena_printf(arena, "%u %s %d", w->index, (const char *)arg, this_worker == w);
}

static char gathered[2][32];
static int gather_rc;

static void gather_turn(struct mk_ctx *c) {
    void **out;
    char text[] = "hello";
    gather_rc = gather(c, tell, text, sizeof text, &out);
    for (unsigned i = 0; gather_rc == 0 && i < 2; i++)
        snprintf(gathered[i], sizeof gathered[i], "%s", (const char *)out[i]);
}

static void gathers(void) {
    in_turn_of("one.example", gather_turn);
    CHECK_INT(gather_rc, 0);
    CHECK_TEXT(gathered[0], "0 hello 1");
    CHECK_TEXT(gathered[1], "1 hello 1");
}

static int answer_in_main(struct mk_result *result, const char *text) {
    mk_result_bool(result, "main", this_worker == NULL);
    mk_result_say(result, "%s", text);
    return mk_result_error(result, MK_E_CONFLICT, "refused");
}

static int main_rc;
static char main_said[64];

static void main_turn(struct mk_ctx *c) {
    struct mk_result r;
    result_init(&r, &c->arena);
    main_rc = main_ask(c, "test", answer_in_main, "question", &r);
    const char *in_main = mk_result_get(c, &r, 0, "main"), *why = mk_result_why(&r);
    snprintf(main_said, sizeof main_said, "%s %s %s", in_main ? in_main : "", mk_result_lines(&r), why ? why : "");
}

static void asks_main(void) {
    in_turn_of("alice@one.example", main_turn);
    CHECK_INT(main_rc, MK_E_CONFLICT);
    CHECK_TEXT(main_said, "true question refused");
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void two_sessions(struct mk_ctx *c) {
    add_session(c, "pc", true);
    add_session(c, "phone", false);
}

static void end_all_sessions(struct mk_ctx *c) {
    struct account *a = account_of(c->entity);
    while (!list_empty(&a->sessions))
        session_end(c, container_of(a->sessions.next, struct mk_session, link), MK_CLOSED_BY_SERVER);
}

static void session_commands(void) {
    in_turn_of("alice@one.example", two_sessions);
    in_turn_of("bob@two.example", two_sessions);
    struct call *call = run_command("sessions.list", NULL);
    CHECK_INT(mk_result_rows(&call->result), 4);
    CHECK_FIELD(call, 0, "jid", "alice@one.example/pc");
    CHECK_FIELD(call, 0, "address", "192.0.2.1:5000");
    CHECK_FIELD(call, 0, "available", "true");
    CHECK_FIELD(call, 0, "connected", "false");
    CHECK_FIELD(call, 0, "since", "2023-11-14T22:13:20Z");
    CHECK_FIELD(call, 1, "jid", "alice@one.example/phone");
    CHECK_FIELD(call, 1, "available", "false");
    CHECK_FIELD(call, 2, "jid", "bob@two.example/pc");
    call_unref(call);
    call = run_command("sessions.list", "host", "two.example", "limit", "1", NULL);
    CHECK_INT(mk_result_rows(&call->result), 1);
    CHECK_FIELD(call, 0, "jid", "bob@two.example/pc");
    CHECK_TEXT(mk_result_lines(&call->result), "There are more than 1 sessions: limit=NUMBER shows more.");
    call_unref(call);
    call = run_command("sessions.list", "account", "bob@two.example", NULL);
    CHECK_INT(mk_result_rows(&call->result), 2);
    call_unref(call);
    call = run_command("sessions.count", NULL);
    CHECK_FIELD(call, 0, "host", "one.example");
    CHECK_FIELD(call, 0, "sessions", "2");
    CHECK_FIELD(call, 0, "accounts", "1");
    CHECK_FIELD(call, 2, "sessions", "0");
    call_unref(call);
    call = run_command("sessions.kick", "account", "alice@one.example/phone", NULL);
    CHECK_FIELD(call, 0, "ended", "1");
    call_unref(call);
    call = run_command("sessions.kick", "account", "bob@two.example", NULL);
    CHECK_FIELD(call, 0, "ended", "2");
    call_unref(call);
    call = run_command("sessions.list", NULL);
    CHECK_INT(mk_result_rows(&call->result), 1);
    CHECK_FIELD(call, 0, "jid", "alice@one.example/pc");
    call_unref(call);
    in_turn_of("alice@one.example", end_all_sessions);
}

static void announce(struct mk_ctx *c) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_HEADLINE, NULL);
    const struct mk_stanza *s;
    mk_leaf(o, "body", NULL, "hello");
    if (mk_seal(o, &s) == 0)
        mk_send_online(c, s);
}

static int64_t written;

static void count_written(struct worker *w, void *arg) {
    (void)arg;
    __atomic_fetch_add(&written, w->metrics[server_metric_place[METRIC_stanzas_out_row]], __ATOMIC_RELAXED);
}

static int64_t all_written(void) {
    written = 0;
    workers_each(count_written, NULL);
    return written;
}

/* Mail in one mailbox keeps its order: a turn of the same account that comes later comes after the delivery.  The piece
 * of each worker was posted before this turn's mail is. */
static void nothing(struct mk_ctx *c) {
    (void)c;
}

static void to_everybody_online(void) {
    in_turn_of("alice@one.example", two_sessions);
    in_turn_of("carol@one.example", two_sessions);
    in_turn_of("bob@two.example", two_sessions);
    int64_t before = all_written();
    in_turn_of("one.example", announce);
    in_turn_of("alice@one.example", nothing);
    in_turn_of("carol@one.example", nothing);
    CHECK_INT(all_written() - before, 2); /* those available on this host */
    in_turn_of("alice@one.example", end_all_sessions);
    in_turn_of("carol@one.example", end_all_sessions);
    in_turn_of("bob@two.example", end_all_sessions);
}

/* ---- the server's own -------------------------------------------------------------------------------------------- */

static bool reload_good;
static volatile bool stop_asked;

static bool reload(struct buf *lines) {
    buf_puts(lines, "a.cfg:1: one\na.cfg:2: two\n");
    return reload_good;
}
static void stop(bool again) {
    (void)again;
    stop_asked = true;
}
static void listeners(void (*each)(const struct listener_config *config, int port, void *arg), void *arg) {
    const struct listener_config l = { .kind = "c2s", .address = "::", .tls = LISTEN_DIRECT_TLS, .proxy = true };
    each(&l, 5223, arg);
}

static void server_itself(void) {
    static const struct admin_server server = { .reload = reload, .stop = stop, .listeners = listeners };
    admin_server = &server;
    struct call *call = run_command("status", NULL);
    CHECK_FIELD(call, 0, "version", MEERKAT_VERSION);
    CHECK_FIELD(call, 0, "hosts", "3");
    CHECK_FIELD(call, 0, "workers", "2");
    CHECK(atoll(mk_result_get(NULL, &call->result, 0, "memory")) > 1000000);
    CHECK(!call->result.list);
    call_unref(call);
    call = run_command("listeners", NULL);
    CHECK_FIELD(call, 0, "port", "5223");
    CHECK_FIELD(call, 0, "tls", "direct");
    call_unref(call);
    reload_good = true;
    call = run_command("reload", NULL);
    CHECK_INT(call->rc, 0);
    CHECK_TEXT(mk_result_lines(&call->result), "a.cfg:1: one\na.cfg:2: two");
    call_unref(call);
    reload_good = false;
    call = run_command("reload", NULL);
    CHECK_TEXT(mk_result_lines(&call->result), "a.cfg:1: one\na.cfg:2: two");
    CHECK_FAILS(call, MK_E_INVALID, "the configuration was refused; nothing has changed");
    CHECK(!stop_asked);
    call = run_command("stop", NULL);
    CHECK_INT(call->rc, 0);
    CHECK_TEXT(mk_result_lines(&call->result), "The server stops.");
    call_unref(call);
    loop_until(&stop_asked);
    stop_asked = false;
    in_turn_of("alice@two.example", ask_stop);
    CHECK_INT(seen.rc, 0);
    loop_until(&stop_asked);
}

static void log_levels(void) {
    test_plugin.level = 6;
    struct call *call = run_command("log.level", "plugin", "t", "level", "debug", NULL);
    CHECK_INT(call->rc, 0);
    CHECK_FIELD(call, 0, "level", "debug");
    CHECK_INT(test_plugin.level, 7);
    call_unref(call);
    CHECK(!log_wants(7));
    call = run_command("log.level", "plugin", "server", "level", "debug", NULL);
    call_unref(call);
    CHECK(log_wants(7));
    log_set_level(5);
    call = run_command("log.level", NULL);
    CHECK_FIELD(call, 0, "plugin", "server");
    CHECK_FIELD(call, 0, "level", "notice");
    CHECK_FIELD(call, 1, "plugin", "t");
    CHECK_FIELD(call, 1, "level", "debug");
    call_unref(call);
    CHECK_FAILS(run_command("log.level", "plugin", "tt", "level", "info", NULL), MK_E_NOTFOUND,
                "plugin tt is not loaded; did you mean t?");
    CHECK_FAILS(run_command("log.level", "plugin", "t", "level", "loud", NULL), MK_E_INVALID,
                "level must be error, warning, notice, info or debug, not \"loud\"");
    CHECK_INT(test_plugin.level, 7);
}

static void hooks_by_name(void) {
    struct call *call = run_command("hooks", NULL);
    CHECK_INT(mk_result_rows(&call->result), MK_HOOK_COUNT_);
    CHECK_FIELD(call, 0, "hook", "user_send_message");
    CHECK_FIELD(call, 0, "handlers", "0");
    call_unref(call);
    CHECK_FAILS(run_command("hooks", "name", "user_send_mesage", NULL), MK_E_NOTFOUND,
                "there is no hook user_send_mesage; did you mean user_send_message?");
}

int main(void) {
    set_up(commands, sizeof commands / sizeof commands[0]);
    int failed = CHECK_RUN(
        T(good_arguments), T(bad_arguments), T(bounds), T(host_may_be_implied), T(secrets_are_wiped), T(rows_and_lines),
        T(in_the_account_turn), T(in_the_host_turn), T(the_only_host_needs_no_name), T(what_does_not_fit),
        T(failures_have_a_sentence), T(from_a_turn), T(not_of_its_own_turn), T(too_late), T(listed_by_host), T(gathers),
        T(asks_main), T(session_commands), T(to_everybody_online), T(server_itself), T(log_levels), T(hooks_by_name));
    tear_down();
    return failed;
}
