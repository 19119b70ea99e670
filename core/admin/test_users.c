/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: the commands, and what they are made of, with two providers of which one can't be written to. */
#include "admin/test_admin.h"
#include "route/ask.h"
#include <meerkat/auth.h>
#include <pthread.h>

/* ---- providers --------------------------------------------------------------------------------------------------- */

enum { NAMES = 3000 };
struct entry {
    char name[64], password[64];
};
struct shelf {
    struct entry entries[NAMES];
    int count;
    int broken;       /* code that exists() fails with */
    int refuses;      /* code that remove() fails with */
    const void *inst; /* of whom it was called */
};
static struct shelf fixed, written;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct instance fixed_instance = { .plugin = &test_plugin, .name = "fixed", .type_name = "default" },
                       written_instance = { .plugin = &test_plugin, .name = "written", .type_name = "default" };

/* The entry of ACCOUNT, or NULL; the shelf is that of the provider whose function runs. */
static struct shelf *shelf_of(struct mk_ctx *c) {
    pthread_mutex_lock(&lock);
    struct shelf *s = c->inst == &fixed_instance ? &fixed : &written;
    s->inst = c->inst;
    return s;
}

static struct entry *find(struct shelf *s, const struct mk_jid *account) {
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->entries[i].name, mk_jid_text(account)) == 0)
            return &s->entries[i];
    return NULL;
}

static int leave(int rc) {
    pthread_mutex_unlock(&lock);
    return rc;
}

static void work(void *arg) {
    (void)arg;
}

static int exists(struct mk_ctx *c, const struct mk_jid *account) {
    int rc = mk_offload(c, work, NULL);
    struct shelf *s = shelf_of(c);
    return leave(rc ? rc : s->broken ? s->broken : find(s, account) ? 0 : MK_E_NOTFOUND);
}

static void add(struct shelf *s, const char *name, const char *password) {
    struct entry *e = &s->entries[s->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->password, sizeof e->password, "%s", password);
}

static int set_password(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    struct entry *e = find(shelf_of(c), account);
    if (!*password)
        return leave(MK_E_INVALID);
    if (strlen(password) < 3)
        return leave(MK_E_LIMIT);
    if (e)
        snprintf(e->password, sizeof e->password, "%s", password);
    return leave(e ? 0 : MK_E_NOTFOUND);
}

static int create(struct mk_ctx *c, const struct mk_jid *account, const char *password) {
    struct shelf *s = shelf_of(c);
    if (find(s, account))
        return leave(MK_E_CONFLICT);
    add(s, mk_jid_text(account), password);
    return leave(0);
}

static int remove_account(struct mk_ctx *c, const struct mk_jid *account) {
    struct shelf *s = shelf_of(c);
    struct entry *e = find(s, account);
    if (s->refuses || !e)
        return leave(s->refuses ? s->refuses : MK_E_NOTFOUND);
    *e = s->entries[--s->count];
    return leave(0);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list(struct mk_ctx *c, const char *after, uint32_t limit, struct mk_auth_page *out) {
    const char **names = mk_alloc(c, NAMES * sizeof *names);
    const char *domain = mk_jid_text(mk_host(c));
    struct shelf *s = shelf_of(c);
    uint32_t count = 0;
    for (int i = 0; i < s->count; i++) {
        char *name = mk_printf(c, "%s", s->entries[i].name), *at = strchr(name, '@');
        *at = '\0';
        if (strcmp(at + 1, domain) == 0 && (!after || strcmp(name, after) > 0))
            names[count++] = name;
    }
    qsort(names, count, sizeof *names, by_name);
    *out = (struct mk_auth_page){ names, count < limit ? count : limit, 0 };
    return leave(0);
}

static const struct mk_auth_ops fixed_ops = {
    .size = sizeof fixed_ops, .caps = MK_AUTH_LIST, .exists = exists, .list = list
};
static const struct mk_auth_ops written_ops = { .size = sizeof written_ops,
                                                .caps = MK_AUTH_LIST | MK_AUTH_WRITE,
                                                .exists = exists,
                                                .set_password = set_password,
                                                .create = create,
                                                .remove = remove_account,
                                                .list = list };
static const struct mk_auth fixed_auth = { { &fixed_ops, &fixed_instance, 0, 0 } },
                            written_auth = { { &written_ops, &written_instance, 0, 0 } };
static const struct mk_auth *const providers[] = { &fixed_auth, &written_auth };

static struct entry *stored(const char *name) {
    return find(&written, jid(name));
}

/* ---- hooks: what they saw ---------------------------------------------------------------------------------------- */

static struct {
    int created, removed, closed;
    char self[64], account[64];
    bool sessions_there, still_stored, home;
    unsigned reason;
} seen;

static void see(struct mk_ctx *c, const struct mk_ev_account *ev) {
    struct account *a = account_of(c->entity);
    snprintf(seen.self, sizeof seen.self, "%s", mk_jid_text(mk_self(c)));
    snprintf(seen.account, sizeof seen.account, "%s", mk_jid_text(ev->account));
    seen.sessions_there = a->session_count != 0;
    seen.home = entity_is_account(c->entity) && worker_of(c->self->hash) == this_worker && c->inst == &test_instance;
    pthread_mutex_lock(&lock);
    seen.still_stored = find(&written, ev->account) != NULL;
    pthread_mutex_unlock(&lock);
}

static enum mk_flow on_created(struct mk_ctx *c, struct mk_ev_account *ev) {
    see(c, ev);
    seen.created++;
    return MK_STOP; /* has no meaning here */
}
static enum mk_flow on_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    see(c, ev);
    seen.removed += mk_offload(c, work, NULL) == 0;
    return MK_NEXT;
}
static enum mk_flow on_closed(struct mk_ctx *c, struct mk_ev_session *ev) {
    (void)c;
    seen.closed++;
    seen.reason = ev->reason;
    return MK_NEXT;
}

static void set_hooks(void) {
    static struct handler created, removed, closed;
    created = (struct handler){ { .account_created = on_created }, &test_instance, "t", stats_new(), 50, false };
    removed = (struct handler){ { .account_removed = on_removed }, &test_instance, "t", stats_new(), 50, true };
    closed = (struct handler){ { .session_closed = on_closed }, &test_instance, "t", stats_new(), 50, false };
    test_type.chains[MK_HOOK_account_created] = (struct chain){ &created, 1, false };
    test_type.chains[MK_HOOK_account_removed] = (struct chain){ &removed, 1, true };
    test_type.chains[MK_HOOK_session_closed] = (struct chain){ &closed, 1, false };
}

static void begin(void) {
    memset(&seen, 0, sizeof seen);
    fixed.count = written.count = 0;
    fixed.broken = written.broken = written.refuses = 0;
    add(&fixed, "root@one.example", "");
}

#define ONE "alice@one.example"

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static void added(void) {
    begin();
    struct call *call = run_command("users.add", "account", "Alice@one.example/x", "password", "secret", NULL);
    CHECK_INT(call->rc, 0);
    call_unref(call);
    CHECK(stored(ONE));
    CHECK_TEXT(stored(ONE)->password, "secret");
    CHECK_INT(seen.created, 1);
    CHECK_TEXT(seen.self, ONE);
    CHECK_TEXT(seen.account, ONE);
    CHECK(seen.home && seen.still_stored);
    CHECK_FAILS(run_command("users.add", "account", ONE, "password", "other", NULL), MK_E_CONFLICT,
                "the account alice@one.example exists already");
    CHECK_TEXT(stored(ONE)->password, "secret");
    CHECK_FAILS(run_command("users.add", "account", "root@one.example", "password", "x", NULL), MK_E_CONFLICT,
                "the account root@one.example exists already");
    CHECK_INT(seen.created, 1);
}

static void not_added(void) {
    begin();
    CHECK_FAILS(run_command("users.add", "account", "a@bare.example", "password", "secret", NULL), MK_E_UNSUPPORTED,
                "where the passwords of bare.example live they can't be written to");
    fixed.broken = MK_E_BACKEND; /* who knows whether it has this account */
    struct call *call = run_command("users.add", "account", ONE, "password", "secret", NULL);
    CHECK_INT(call->rc, MK_E_BACKEND);
    call_unref(call);
    CHECK(!stored(ONE));
    CHECK_INT(seen.created, 0);
}

static void passwords(void) {
    begin();
    add(&written, ONE, "old");
    struct call *call = run_command("users.password", "account", ONE, "password", "new secret", NULL);
    CHECK_INT(call->rc, 0);
    call_unref(call);
    CHECK_TEXT(stored(ONE)->password, "new secret");
    CHECK_FAILS(run_command("users.password", "account", "nobody@one.example", "password", "abc", NULL), MK_E_NOTFOUND,
                "there is no account nobody@one.example");
    CHECK_FAILS(run_command("users.password", "account", "root@one.example", "password", "abc", NULL), MK_E_UNSUPPORTED,
                "where the passwords of one.example live they can't be written to");
    CHECK_FAILS(run_command("users.password", "account", ONE, "password", "", NULL), MK_E_INVALID,
                "the password is empty or has characters that no password may have");
    CHECK_FAILS(run_command("users.password", "account", ONE, "password", "ab", NULL), MK_E_LIMIT,
                "the password breaks a rule that the configuration makes, such as a least length");
    CHECK_TEXT(stored(ONE)->password, "new secret");
}

static void existence(void) {
    begin();
    add(&written, ONE, "x");
    static const char *const cases[][2] = { { ONE, "true" },
                                            { "root@one.example", "true" },
                                            { "bob@one.example", "false" },
                                            { "alice@two.example", "false" } };
    for (size_t i = 0; i < 4; i++) {
        struct call *call = run_command("users.exists", "account", cases[i][0], NULL);
        CHECK_FIELD(call, 0, "exists", cases[i][1]);
        call_unref(call);
    }
    written.broken = MK_E_BACKEND;
    struct call *call = run_command("users.exists", "account", ONE, NULL);
    CHECK_INT(call->rc, MK_E_BACKEND);
    call_unref(call);
}

static void sit_there(struct mk_ctx *c) {
    add_session(c, "pc", true);
    add_session(c, "phone", false);
}

static bool account_removed_flag;
static unsigned sessions_left;
static enum account_exists known;

static void look(struct mk_ctx *c) {
    struct account *a = account_of(c->entity);
    account_removed_flag = a->removed;
    sessions_left = a->session_count;
    known = a->exists;
}

static void removed(void) {
    begin();
    add(&written, ONE, "x");
    in_turn_of(ONE, sit_there);
    struct call *call = run_command("users.del", "account", ONE, NULL);
    CHECK_INT(call->rc, 0);
    call_unref(call);
    CHECK(!stored(ONE));
    CHECK_INT(seen.closed, 2);
    CHECK_INT(seen.reason, MK_CLOSED_BY_SERVER);
    CHECK_INT(seen.removed, 1);
    CHECK_TEXT(seen.self, ONE);
    CHECK(!seen.sessions_there && seen.still_stored && seen.home);
    CHECK_FAILS(run_command("users.del", "account", ONE, NULL), MK_E_NOTFOUND, "there is no account alice@one.example");
    CHECK_FAILS(run_command("users.del", "account", "root@one.example", NULL), MK_E_UNSUPPORTED,
                "where the passwords of one.example live they can't be written to");
    CHECK_INT(seen.removed, 1);
}

static void removal_that_fails(void) {
    begin();
    add(&written, ONE, "x");
    written.refuses = MK_E_BACKEND;
    struct call *call = run_command("users.del", "account", ONE, NULL);
    CHECK_INT(call->rc, MK_E_BACKEND);
    call_unref(call);
    CHECK(stored(ONE));
    written.refuses = 0;
    call = run_command("users.del", "account", ONE, NULL);
    CHECK_INT(call->rc, 0);
    call_unref(call);
    CHECK_INT(seen.removed, 2);
}

/* ---- users.list -------------------------------------------------------------------------------------------------- */

static void listed(void) {
    begin();
    add(&written, "zoe@one.example", "x");
    add(&written, "root@one.example", "x"); /* both have it */
    add(&written, ONE, "x");
    add(&written, "bob@two.example", "x");
    struct call *call = run_command("users.list", "host", "one.example", NULL);
    CHECK_INT(mk_result_rows(&call->result), 3);
    CHECK_FIELD(call, 0, "account", ONE);
    CHECK_FIELD(call, 1, "account", "root@one.example");
    CHECK_FIELD(call, 2, "account", "zoe@one.example");
    CHECK_FIELD(call, 2, "state", "enabled");
    CHECK_TEXT(mk_result_lines(&call->result), "");
    call_unref(call);
    call = run_command("users.list", "host", "one.example", "after", "alice", "limit", "1", NULL);
    CHECK_INT(mk_result_rows(&call->result), 1);
    CHECK_FIELD(call, 0, "account", "root@one.example");
    CHECK_TEXT(mk_result_lines(&call->result), "There may be more: after=root shows what follows.");
    call_unref(call);
    CHECK_FAILS(run_command("users.count", NULL), MK_E_INVALID, "several hosts are served: say which with host=DOMAIN");
    CHECK_FAILS(run_command("users.list", NULL), MK_E_INVALID, "several hosts are served: say which with host=DOMAIN");
    CHECK_FAILS(run_command("users.list", "host", "bare.example", NULL), MK_E_UNSUPPORTED,
                "where the passwords of bare.example live they can't be listed");
    CHECK_FAILS(run_command("users.list", "host", "one.example", "limit", "0", NULL), MK_E_INVALID,
                "limit must be from 1 to 100000");
}

static void listed_by_the_page(void) {
    enum { MANY = 2500 };
    char name[64];
    begin();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "u%05d@one.example", i);
        add(i % 3 ? &written : &fixed, name, "x");
    }
    struct call *call = run_command("users.count", "host", "one.example", NULL);
    CHECK_FIELD(call, 0, "accounts", "2501");
    call_unref(call);
    call = run_command("users.list", "host", "one.example", NULL);
    CHECK_INT(mk_result_rows(&call->result), MANY + 1);
    CHECK_FIELD(call, 0, "account", "root@one.example");
    for (unsigned i = 0; i < MANY; i += 499) {
        snprintf(name, sizeof name, "u%05u@one.example", i);
        CHECK_FIELD(call, i + 1, "account", name);
    }
    call_unref(call);
}

/* ---- from turns -------------------------------------------------------------------------------------------------- */

static int turn_rc;

static void create_from(struct mk_ctx *c) {
    const struct host *host = c->host;
    const struct mk_jid *self = c->self;
    turn_rc = mk_account_create(c, jid(ONE), "secret");
    if (c->host != host || c->self != self)
        turn_rc = 1;
}
static void remove_from(struct mk_ctx *c) {
    turn_rc = mk_account_remove(c, jid(ONE));
}
static void exists_from(struct mk_ctx *c) {
    turn_rc = mk_account_exists(c, jid(ONE));
}

static void from_other_turns(void) {
    static const char *const from[] = { "two.example", "one.example", "bob@two.example", "carol@one.example", ONE };
    begin();
    for (size_t i = 0; i < 5; i++) {
        in_turn_of(from[i], create_from);
        CHECK_INT(turn_rc, 0);
        CHECK_INT(seen.created, i + 1);
        CHECK_TEXT(seen.self, ONE);
        CHECK(seen.home);
        in_turn_of(from[i], exists_from);
        CHECK_INT(turn_rc, 0);
        in_turn_of(from[i], remove_from);
        CHECK_INT(turn_rc, 0);
        CHECK_INT(seen.removed, i + 1);
        CHECK_TEXT(seen.self, ONE);
        in_turn_of(from[i], exists_from);
        CHECK_INT(turn_rc, MK_E_NOTFOUND);
    }
}

static unsigned before_close;

static void remove_self(struct mk_ctx *c) {
    struct account *a = account_of(c->entity);
    a->stream_count++; /* keeps the account in memory, as the client's stream would */
    c->inst = &test_instance;
    turn_rc = mk_account_remove(c, jid(ONE));
    before_close = a->session_count;
}
static void let_go(struct mk_ctx *c) {
    account_of(c->entity)->stream_count--;
}

/* A handler may hold the session it acts for: its end is mail. */
static void from_its_own_turn(void) {
    begin();
    add(&written, ONE, "x");
    in_turn_of(ONE, sit_there);
    in_turn_of(ONE, remove_self);
    CHECK_INT(turn_rc, 0);
    CHECK_INT(before_close, 2);
    CHECK_INT(seen.removed, 1);
    in_turn_of(ONE, look);
    CHECK_INT(sessions_left, 0);
    CHECK_INT(seen.closed, 2);
    CHECK(account_removed_flag && known == EXISTS_NO);
    in_turn_of("bob@two.example", create_from);
    CHECK_INT(turn_rc, 0);
    in_turn_of(ONE, look);
    CHECK(!account_removed_flag && known == EXISTS_YES);
    in_turn_of(ONE, let_go);
}

/* ---- entity_ask -------------------------------------------------------------------------------------------------- */

static atomic_int freed;

static void count_free(void *arg) {
    (void)arg;
    freed++;
}
static int say_seven(struct mk_ctx *c, void *arg) {
    *(bool *)arg = turn_is_of(c, jid("bob@two.example/any"));
    return -7;
}

static bool was_his_turn;

static void ask_bob(struct mk_ctx *c) {
    turn_rc = entity_ask(c, jid("bob@two.example"), "test", say_seven, count_free, &was_his_turn);
}
static void ask_nowhere(struct mk_ctx *c) {
    turn_rc = entity_ask(c, jid("bob@three.example"), "test", say_seven, count_free, &was_his_turn);
}

static void asking(void) {
    freed = 0;
    in_turn_of(ONE, ask_bob);
    CHECK(turn_rc == -7 && was_his_turn);
    was_his_turn = false;
    in_turn_of("bob@two.example", ask_bob);
    CHECK(turn_rc == -7 && was_his_turn);
    was_his_turn = false;
    in_turn_of(ONE, ask_nowhere);
    CHECK_INT(turn_rc, MK_E_UNAVAILABLE);
    CHECK(!was_his_turn);
    CHECK_INT(freed, 3);
}

int main(void) {
    log_setup(&(struct log_config){ .level = 3 });
    test_plugin.level = 2;
    test_type.auth = providers;
    test_type.auth_count = 2;
    other_type.auth = providers;
    other_type.auth_count = 0;
    set_up(NULL, 0);
    set_hooks();
    int failed = CHECK_RUN(T(added), T(not_added), T(passwords), T(existence), T(removed), T(removal_that_fails),
                           T(listed), T(listed_by_the_page), T(from_other_turns), T(from_its_own_turn), T(asking));
    tear_down();
    return failed;
}
