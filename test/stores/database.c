/* SPDX-License-Identifier: Apache-2.0 */
#include "database.h"
#include "util/mem.h"
#include "util/text.h"
#include <stdlib.h>
#include <unistd.h>

static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "order", MK_C_TEXT, 0, "" },
    { "number", MK_C_INT, 0, "" },
    { "until", MK_C_TIME, MK_COL_TTL | MK_COL_NULL, "" },
};
static const struct mk_col_decl text_cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "" },
    { "id", MK_C_INT, MK_COL_SORT, "" },
    { "rank", MK_C_TEXT, MK_COL_TEXT_SEARCH, "" },
};
static const struct mk_index_decl indexes[] = { { "by_order", "owner", "order" } };
const struct mk_coll_decl things_decl = { "things", 1, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
const struct mk_coll_decl texts_decl = { "texts", 1, 0, 0, 0, MK_TABLE(text_cols), MK_NO_INDEX, "" };
const struct mk_coll *things, *texts;

char *options[OPTIONS];
int option_count;
const char *(*ask)(const char *text);

int database_main(const char *so, const char *name, const char *own, const struct test *tests, size_t count,
                  void (*connect)(void), void (*disconnect)(void)) {
    option_count = harness_env_options(name, options, OPTIONS - 2);
    if (own)
        options[option_count++] = xstrdup(own);
    harness_load(so, options, option_count);
    connect();
    int failed = tests_run(tests, count);
    disconnect();
    harness_unload();
    for (int i = 0; i < option_count; i++)
        free(options[i]);
    return failed;
}

/* ---- starts --------------------------------------------------------------------------------------------------------- */

bool begin(void) {
    const char *why = harness_start(NULL);
    if (why) {
        check_failed(__FILE__, __LINE__, "%s", why);
        return false;
    }
    things = harness_define(&things_decl);
    texts = harness_define(&texts_decl);
    return true;
}

void end(void) {
    harness_stop();
}

const char *option(const char *name) {
    size_t len = strlen(name);
    for (int i = 0; i < option_count; i++)
        if (strncmp(options[i], name, len) == 0 && options[i][len] == '=')
            return options[i] + len + 1;
    return "";
}

void with_options(const char *const *more) {
    static char *all[OPTIONS * 2];
    int count = 0;
    for (; count < option_count; count++)
        all[count] = options[count];
    for (; *more; more++)
        all[count++] = (char *)*more;
    harness_set_options(all, count);
}

void without_options(void) {
    harness_set_options(options, option_count);
}

void refuse(const char *more, const char *because) {
    with_options((const char *[]){ more, NULL });
    const char *why = harness_start_backend();
    if (!why || !strstr(why, because) || strchr(why, '\n'))
        check_failed(__FILE__, __LINE__, "%s: %s", more, why ? why : "it started");
    without_options();
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

int put(struct mk_ctx *c, const char *owner, int64_t id, const char *order, struct mk_value until) {
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "%s", owner)), mk_v_int(id), mk_v_text(order), mk_v_int(0),
                              until };
    return mk_put_now(c, things, MK_UPSERT, row);
}

void put_some(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "brien@example.org/it's")), mk_v_int(i),
                                  mk_v_text(i & 1 ? "odd words" : "even words") };
        NEED_INT(put(c, "brien@example.org/it's", i, "body", i ? mk_v_null() : mk_v_time(4102444800000000)), 0);
        NEED_INT(mk_put_now(c, texts, MK_UPSERT, row), 0);
    }
}

char *noise(struct mk_ctx *c, size_t len) {
    unsigned char *bytes = mk_alloc(c, len + 1);
    mk_random(bytes, len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)("abcdefghijklmnopqrstuvwxyz012345"[bytes[i] & 31]);
    return (char *)bytes;
}

static void put_right(struct mk_ctx *c, void *arg) {
    NEED_INT(put(c, "right@example.org", (intptr_t)arg, "body", mk_v_null()), 0);
}

/* Of a batch nothing is left if its second write is refused. */
static void put_pair(struct mk_ctx *c, void *arg) {
    struct mk_value owner = mk_v_jid(harness_jid(c, "pair@example.org"));
    struct mk_value new[] = { owner, mk_v_int((intptr_t)arg), mk_v_text(""), mk_v_int(0), mk_v_null() };
    struct mk_value old[] = { owner, mk_v_int(-1), mk_v_text(""), mk_v_int(0), mk_v_null() };
    struct mk_write writes[] = { { MK_W_PUT, MK_UPSERT, things, new }, { MK_W_PUT, MK_IF_ABSENT, things, old } };
    NEED_INT(mk_batch(c, writes, 2), (intptr_t)arg ? MK_E_CONFLICT : MK_OK);
}

void bad_rows_harm_no_other(void (*too_much)(struct mk_ctx *c, void *arg)) {
    if (!begin())
        return;
    harness_run(0, put_pair, NULL);
    for (intptr_t i = 1; i <= 30; i++) {
        harness_begin((unsigned)i % WORKERS, put_right, (void *)i);
        if (i % 3 == 0)
            harness_begin((unsigned)i % WORKERS, too_much, (void *)i);
        harness_begin((unsigned)i % WORKERS, put_pair, (void *)i);
    }
    harness_wait();
    ASK("SELECT count(*) FROM things WHERE owner='right@example.org'", "30");
    ASK("SELECT count(*) FROM things WHERE owner='pair@example.org'", "2");
    ASK("SELECT count(*) FROM things WHERE length(owner)>1000", "0");
    ASK("SELECT count(*) FROM texts WHERE length(owner)>1000", "0");
    end();
}

static void add_one(struct mk_ctx *c, void *arg) {
    int64_t number;
    struct mk_value key[] = { mk_v_jid(harness_jid(c, "refused@example.org")), mk_v_int(0) };
    (void)arg;
    NEED_INT(mk_add(c, things, key, NUMBER, 1, &number), 0);
    NEED_INT(number, 1);
}
static void put_none(struct mk_ctx *c, void *arg) {
    (void)arg;
    NEED_INT(put(c, "refused@example.org", 0, "body", mk_v_null()), 0);
}

void refused_commits_are_made_again(void) {
    if (!begin())
        return;
    harness_run(0, put_none, NULL);
    ask("CREATE SEQUENCE tries");
    ask("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF nextval(''tries'')=1 THEN RAISE ''not "
        "now''; END IF; RETURN NULL; END'");
    ask("CREATE CONSTRAINT TRIGGER refused AFTER UPDATE ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE "
        "FUNCTION refuse()");
    harness_run(0, add_one, NULL);
    ASK("SELECT last_value FROM tries", "2");
    ASK("SELECT number FROM things WHERE owner='refused@example.org'", "1");
    ask("DROP FUNCTION refuse CASCADE");
    ask("DROP SEQUENCE tries");
    end();
}

/* ---- connections lost ----------------------------------------------------------------------------------------------- */

enum { FIBERS_BUSY = 16, ROUNDS = 12 };
static _Atomic unsigned char counted[FIBERS_BUSY * ROUNDS + 1];

static void write_on(struct mk_ctx *c, void *arg) {
    int64_t number, mine = (intptr_t)arg;
    struct mk_value all[] = { mk_v_jid(harness_jid(c, "all@example.org")), mk_v_int(0) };
    struct mk_value row[COUNT] = { mk_v_jid(harness_jid(c, "own%d@example.org", (int)mine)), mk_v_int(0),
                                   mk_v_text("x"), mk_v_int(0), mk_v_null() };
    NEED_INT(mk_put_now(c, things, MK_IF_ABSENT, row), 0);
    for (int64_t i = 1; i <= ROUNDS; i++) {
        struct mk_value new[COUNT] = { row[OWNER], mk_v_int(i), mk_v_text("x"), mk_v_int(i), mk_v_null() };
        struct mk_value del[] = { row[OWNER], mk_v_int(i - 1) };
        NEED_INT(mk_add(c, things, all, NUMBER, 1, &number), 0);
        NEED(number > 0 && number <= FIBERS_BUSY * ROUNDS);
        NEED_INT(counted[number]++, 0); /* no number twice */
        NEED_INT(mk_put_now(c, things, MK_IF_ABSENT, new), 0);
        new[NUMBER] = mk_v_int(-i);
        NEED_INT(mk_put_if(c, things, NUMBER, mk_v_int(i), new), 0);
        NEED_INT(mk_del(c, things, del), 0);
    }
}

static void put_counter(struct mk_ctx *c, void *arg) {
    (void)arg;
    NEED_INT(put(c, "all@example.org", 0, "", mk_v_null()), 0);
}

/* The counter has counted all, and each writer's last row is there. */
static void all_was_stored(void) {
    ASK("SELECT number FROM things WHERE owner='all@example.org'", "192");
    ASK("SELECT count(*) FROM things WHERE owner LIKE 'own%'", "16");
    ASK("SELECT min(id) FROM things WHERE owner LIKE 'own%'", "12");
    ASK("SELECT max(number) FROM things WHERE owner LIKE 'own%'", "-12");
}

static void let_them_write(void) {
    ask("DELETE FROM things WHERE owner LIKE 'own%'");
    memset((void *)counted, 0, sizeof counted);
    for (intptr_t i = 0; i < FIBERS_BUSY; i++)
        harness_begin((unsigned)i % WORKERS, write_on, (void *)i);
}

void lost_answers_are_found_out(int port, bool pipelines, const char *const *through) {
    char own[12];
    const char *more[OPTIONS] = { NULL };
    struct buf texts_[OPTIONS] = { { 0 } };
    snprintf(own, sizeof own, "=%d", proxy_start(port, pipelines));
    for (int i = 0; through[i]; i++) {
        const char *mark = strstr(through[i], "=PORT");
        if (mark)
            buf_printf(&texts_[i], "%.*s%s%s", (int)(mark - through[i]), through[i], own, mark + strlen("=PORT"));
        more[i] = mark ? texts_[i].data : through[i];
    }
    with_options(more);
    if (!begin())
        return;
    harness_run(0, put_counter, NULL);
    proxy_cut_each(4);
    let_them_write();
    harness_wait();
    proxy_cut_each(0);
    if (proxy_cuts() < 2 * CUTS)
        check_failed(__FILE__, __LINE__, "only %d connections were cut", proxy_cuts());
    all_was_stored();
    end();
    ASK("SELECT count(*) FROM meerkat_commits", "0");
    without_options();
    proxy_stop();
    for (int i = 0; i < OPTIONS; i++)
        buf_free(&texts_[i]);
}

void ended_sessions_come_back(const char *end_them) {
    if (!begin())
        return;
    harness_run(0, put_counter, NULL);
    let_them_write();
    for (int i = 0; i < 10; i++) {
        ask(end_them);
        usleep(20000);
    }
    harness_wait();
    all_was_stored();
    end();
}

/* ---- sweeping ------------------------------------------------------------------------------------------------------- */

static void put_expired(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 500; i++) {
        struct mk_value row[] = { mk_v_jid(harness_jid(c, "past@example.org")), mk_v_int(i), mk_v_text("stale"),
                                  mk_v_int(0), i % 5 ? mk_v_time(1000) : mk_v_null() };
        NEED_INT(mk_put_later(c, things, MK_UPSERT, row, NULL), 0);
    }
}

void expired_rows_are_swept(void) {
    const char *left = "";
    with_options((const char *[]){ "sweep_interval=100", NULL });
    if (!begin())
        return;
    harness_run(0, put_expired, NULL);
    for (int i = 0; i < 3000; i++) {
        left = ask("SELECT count(*) FROM things WHERE owner LIKE 'past%'");
        if (strcmp(left, "100") == 0)
            break;
        usleep(10000);
    }
    NEED_TEXT(left, "100");
    end();
    without_options();
}

/* ---- rights ------------------------------------------------------------------------------------------------------- */

void without_the_right_to_create(void) {
    static const struct mk_coll_decl missing = { "missing", 1, 0, 0, 0, MK_TABLE(cols), MK_NO_INDEX, "" };
    static const struct mk_coll_decl newer = { "things", 2, 0, 0, 0, MK_TABLE(cols), MK_TABLE(indexes), "" };
    with_options((const char *[]){ "create=false", NULL });
    if (!begin())
        return;
    harness_run(0, put_some, NULL);
    const char *why = harness_refused(&missing);
    if (!strstr(why, "is not in the database") || !strstr(why, "create = false"))
        check_failed(__FILE__, __LINE__, "%s", why);
    end();
    if (harness_start(NULL) == NULL) {
        why = harness_refused(&newer);
        if (!strstr(why, "needs version 2") || !strstr(why, "create = false"))
            check_failed(__FILE__, __LINE__, "%s", why);
        harness_stop();
    }
    without_options();
}
