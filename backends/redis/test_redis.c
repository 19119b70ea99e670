/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is Redis' own: keys as an operator sees them, servers that are refused, lost, stopped, failed over, resharded.  What
 * all backends do is in test/stores.  Usage: test_redis REDIS.so SERVICE, which is a script of test/services
 */
#include "test_redis.h"
#include <stdlib.h>

static void usual_options(void) {
    no_options();
    option("servers=(\"127.0.0.1:%s\")", env("REDIS_PORT_server"));
    option("password=secret");
    option("timeout=500ms");
    option("durable=true");
}

/* ---- what is refused at the start ------------------------------------------------------------------------------------------ */

static void wrong_logins_are_refused(void) {
    const char *port = env("REDIS_PORT_server");
    no_options();
    option("servers=(\"127.0.0.1:%s\")", port);
    refuse("NOAUTH");
    option("password=wrong");
    refuse("WRONGPASS");
    no_options();
    option("servers=(\"127.0.0.1:%s\")", port);
    option("user=nobody");
    option("password=secret");
    refuse("WRONGPASS");
}

static void a_replica_is_refused(void) {
    no_options();
    option("servers=(\"127.0.0.1:%s\")", env("REDIS_PORT_replica"));
    option("password=secret");
    refuse("it is a replica, not a master");
}

static void a_single_server_is_no_cluster(void) {
    usual_options();
    option("mode=cluster");
    option("wait_replicas=1");
    refuse("cluster support disabled");
}

static void nobody_is_refused(void) {
    no_options();
    option("servers=(\"127.0.0.1:1\")");
    option("timeout=500ms");
    refuse("127.0.0.1:1: Connection refused");
    no_options();
    option("servers=(\"%s/none\")", folder);
    refuse("No such file");
}

static void tls_options(const char *ca) {
    no_options();
    option("servers=(\"localhost:%s\")", env("REDIS_PORT_tls"));
    option("password=secret");
    option("tls=true");
    option("ca=\"%s/tls/%s.crt\"", folder, ca);
}

static void wrong_certificates_are_refused(void) {
    tls_options("wrong");
    refuse("The certificate is NOT trusted");
    tls_options("ca");
    option("tls_name=else.example");
    refuse("name in the certificate does not match");
    tls_options("ca");
    if (begin())
        harness_stop();
    tls_options("wrong");
    option("tls_verify=false");
    if (begin())
        harness_stop();
    no_options();
    option("servers=(\"127.0.0.1:%s\")", env("REDIS_PORT_server")); /* speaks none */
    option("tls=true");
    option("ca=\"%s/tls/ca.crt\"", folder);
    option("timeout=500ms");
    refuse("TLS");
}

static void client_certificates_are_shown(void) {
    const char *port = env("REDIS_PORT_server");
    shell(CLI "config set tls-auth-clients yes", port);
    tls_options("ca");
    option("timeout=1s");
    refuse("localhost:");
    option("certificate=\"%s/tls/client.crt\"", folder);
    refuse("certificate and key go together");
    option("key=\"%s/tls/client.key\"", folder);
    if (begin())
        harness_stop();
    shell(CLI "config set tls-auth-clients optional", port);
}

static void durable_is_checked(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    shell(CLI "config set appendfsync everysec", port);
    refuse("durable = true, but the server has not appendfsync always");
    shell(CLI "config set appendfsync always", port);
    shell(CLI "config set maxmemory-policy allkeys-lru", port);
    refuse("maxmemory-policy is not noeviction");
    shell(CLI "config set maxmemory-policy noeviction", port);
    shell(CLI "config set appendonly no", port);
    refuse("the server has appendonly no");
    shell(CLI "config set appendonly yes", port);
    no_options();
    option("servers=(\"127.0.0.1:%s\")", port);
    option("user=poor");
    option("password=mine");
    option("durable=true");
    refuse("allow CONFIG GET");
    drop_option(); /* who does not ask for it need not see it */
    if (!begin())
        return;
    static const struct mk_col_decl kept_cols[] = { { "name", MK_C_TEXT, MK_COL_PARTITION, "" } };
    struct mk_coll_decl decl = { "test_kept", 1, 0, MK_CAP_DURABLE, 0, MK_TABLE(kept_cols), MK_NO_INDEX, "" };
    expect(harness_refused(&decl), "needs durable storage");
    if (mk_coll_caps(things) & MK_CAP_DURABLE)
        check_failed(__FILE__, __LINE__, "it says it is durable");
    harness_stop();
}

static void options_that_make_no_sense_are_refused(void) {
    no_options();
    option("mode=sentinel");
    refuse("needs option master");
    option("master=x");
    option("durable=true");
    refuse("needs wait_replicas");
    no_options();
    option("mode=cluster");
    option("database=3");
    refuse("database 0 alone");
    no_options();
    option("prefix=\"a{b}\"");
    refuse("Option prefix");
    no_options();
    option("servers=(\"a:1\",\"b:2\")");
    refuse("names several");
}

/* ---- what an operator sees -------------------------------------------------------------------------------------------------- */

static void put_seen(struct mk_ctx *c, void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++)
        NEED_INT(put(c, MK_UPSERT, "brien", i, "body", i), 0);
}

static void keys_can_be_read(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    if (!begin())
        return;
    harness_run(0, put_seen, NULL);
    expect(shell(CLI "hlen \"meerkat:things:{brien@example.org}\"", port), "10");
    expect(shell(CLI "zcard \"meerkat:things:{brien@example.org}:_k\"", port), "10");
    expect(shell(CLI "zcard meerkat:things:by_body:{body}", port), "10");
    expect(shell(CLI "zcard \"meerkat:things:{brien@example.org}:own\"", port), "10");
    expect(shell(CLI "hget meerkat:schema things | head -1", port), "version 1");
    expect(shell(CLI "keys 'meerkat:fence:*' | wc -l", port), "1");
    harness_stop();
}

static void put_over_foreign(struct mk_ctx *c, void *arg) {
    struct mk_value key[] = { mk_v_jid(harness_jid(c, "foreign@example.org")), mk_v_int(1) };
    const struct mk_row *row;
    (void)arg;
    NEED_INT(put(c, MK_UPSERT, "foreign", 1, "body", 1), MK_E_BACKEND);
    NEED_INT(mk_get(c, things, key, &row), MK_E_BACKEND);
    NEED_INT(put(c, MK_UPSERT, "own", 1, "body", 1), 0);
}

/* What can never work does not hold up the rest. */
static void what_others_wrote_is_not_touched(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    if (!begin())
        return;
    shell(CLI "set meerkat:things:{foreign@example.org} mine", port);
    harness_run(0, put_over_foreign, NULL);
    expect(shell(CLI "get meerkat:things:{foreign@example.org}", port), "mine");
    harness_stop();
}

static int put_token(struct mk_ctx *c, const char *name, const char *text, struct mk_value until_) {
    struct mk_value row[] = { mk_v_text(name), mk_v_text(text), until_ };
    return mk_put_now(c, tokens, MK_UPSERT, row);
}

static void put_tokens(struct mk_ctx *c, void *arg) {
    int64_t now = mk_now(c);
    (void)arg;
    NEED_INT(put_token(c, "ends", "a", mk_v_time(now + 60000000)), 0);
    NEED_INT(put_token(c, "ends", "b", mk_v_time(now + 3600000000)), 0);
    NEED_INT(put_token(c, "stays", "a", mk_v_time(now + 60000000)), 0);
    NEED_INT(put_token(c, "stays", "b", mk_v_null()), 0);
    NEED_INT(put_token(c, "swept", "old", mk_v_time(now - 1)), 0);
    NEED_INT(put_token(c, "swept", "none", mk_v_null()), 0);
    NEED_INT(put_token(c, "swept", "next", mk_v_null()), 0);
}

static void what_ends_goes_by_itself(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    if (!begin())
        return;
    harness_run(0, put_tokens, NULL);
    static const char *const parts[] = { "", ":_k", ":_t" };
    for (int i = 0; i < 3; i++) {
        long ttl = atol(shell(CLI "ttl meerkat:tokens:{ends}%s", port, parts[i]));
        if (ttl < 3600 || ttl > 3660)
            check_failed(__FILE__, __LINE__, "%s ends in %ld s", parts[i], ttl);
        if (i < 2)
            expect(shell(CLI "ttl meerkat:tokens:{stays}%s", port, parts[i]), "-1");
    }
    expect(shell(CLI "hlen meerkat:tokens:{swept}", port), "2");
    long ttl = atol(shell(CLI "ttl meerkat:tokens:by_text:{b}", port));
    if (ttl != -1)
        check_failed(__FILE__, __LINE__, "an index with a row that stays ends in %ld s", ttl);
    harness_stop();
}

/* ---- large partitions --------------------------------------------------------------------------------------------------------- */

enum { LARGE = 10000 };
static void large_fiber(struct mk_ctx *c, void *arg) {
    const struct mk_rows *rows;
    int64_t count;
    (void)arg;
    struct mk_value row[] = { mk_v_jid(harness_jid(c, "large@example.org")), mk_v_int(0), mk_v_text("large"),
                              mk_v_int(0) };
    for (int i = 0; i < LARGE; i++) {
        row[ID] = mk_v_int(i);
        row[NUMBER] = mk_v_int(i % 10);
        if (i % 1000 == 999)
            NEED_INT(mk_put_now(c, things, MK_UPSERT, row), 0);
        else
            NEED_INT(mk_put_later(c, things, MK_UPSERT, row, NULL), 0);
    }
    NEED_INT(mk_scan(c, things, MK_SCAN(.partition = row), &rows), 0);
    NEED_INT(mk_rows_count(rows), LARGE);
    for (int i = 0; i < LARGE; i++)
        NEED_INT(mk_row_int(mk_rows_at(rows, (size_t)i), ID), i);
    struct mk_filter filter = { NUMBER, 0, mk_v_int(7) };
    NEED_INT(mk_scan_count(c, things, MK_SCAN(.partition = row, .filters = &filter, .filter_count = 1), &count), 0);
    NEED_INT(count, LARGE / 10);
    struct mk_value body = mk_v_text("large");
    NEED_INT(
        mk_scan(c, things, MK_SCAN(.index = 1, .partition = &body, .flags = MK_SCAN_REVERSE, .limit = 2500), &rows), 0);
    NEED_INT(mk_rows_count(rows), 2500);
    NEED_INT(mk_row_int(mk_rows_at(rows, 0), ID), LARGE - 1);
    struct mk_value hi = mk_v_int(LARGE - 100);
    NEED_INT(mk_del_range(c, things, MK_SCAN(.partition = row, .hi = &hi, .hi_count = 1)), 0);
    NEED_INT(mk_scan_count(c, things, MK_SCAN(.partition = row), &count), 0);
    NEED_INT(count, 99);
    NEED_INT(mk_scan_count(c, things, MK_SCAN(.index = 1, .partition = &body), &count), 0);
    NEED_INT(count, 99);
    NEED_INT(mk_del_range(c, things, MK_SCAN(.partition = row)), 0);
}
static void large_partitions_are_read_by_pages(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    if (!begin())
        return;
    shell(CLI "config resetstat", port);
    harness_run(0, large_fiber, NULL);
    /* Scan, count, range: 200 rows at a time. */
    long calls = atol(shell(CLI "info commandstats | sed -n 's/^cmdstat_evalsha:calls=\\([0-9]*\\).*/\\1/p'", port));
    if (calls < 3 * LARGE / 200)
        check_failed(__FILE__, __LINE__, "%ld scripts for all of it", calls);
    harness_stop();
}

/* ---- a single server in trouble ---------------------------------------------------------------------------------------------------- */

static void writes_survive_a_kill(void) {
    usual_options();
    if (!begin())
        return;
    begin_writing();
    for (int i = 0; i < 4; i++) {
        wait_written(100);
        send_signal("server", "KILL");
        start_again();
    }
    wait_written(100);
    end_writing();
}

static void writes_are_done_once_after_a_pause(void) {
    usual_options();
    if (!begin())
        return;
    empty_log();
    begin_writing();
    for (int i = 0; i < 3; i++) {
        wait_written(100);
        send_signal("server", "STOP");
        if (logged("can.t commit") == 0)
            check_failed(__FILE__, __LINE__, "a stopped server is not noticed");
        send_signal("server", "CONT");
        logged("commits again");
        empty_log();
    }
    wait_written(100);
    end_writing();
}

static void scripts_that_were_forgotten_come_again(void) {
    usual_options();
    if (!begin())
        return;
    begin_writing();
    for (int i = 0; i < 3; i++) {
        wait_written(50);
        shell(CLI "script flush", env("REDIS_PORT_server"));
        shell(CLI "client kill type normal", env("REDIS_PORT_server"));
    }
    wait_written(50);
    shell(CLI "script flush", env("REDIS_PORT_server"));
    wait_written(50);
    end_writing();
}

static void read_away(struct mk_ctx *c, void *arg) {
    struct mk_value key[2];
    const struct mk_row *row;
    atomic_int *rc = arg;
    atomic_store(rc, mk_get(c, things, counter(c, 0, key), &row));
}

static void reads_fail_while_it_is_away(void) {
    atomic_int rc;
    usual_options();
    if (!begin())
        return;
    empty_log();
    send_signal("server", "STOP");
    harness_run(0, read_away, &rc); /* nobody knows yet */
    if (atomic_load(&rc) != MK_E_BACKEND)
        check_failed(__FILE__, __LINE__, "a read of a stopped server gives %d", atomic_load(&rc));
    if (logged("lost 127.0.0.1") != 1)
        check_failed(__FILE__, __LINE__, "the loss is not said once");
    for (int i = 0; i < 200; i++) { /* were each to wait for the timeout, it would take minutes */
        harness_run(0, read_away, &rc);
        if (atomic_load(&rc) != MK_E_BACKEND)
            check_failed(__FILE__, __LINE__, "a read gives %d", atomic_load(&rc));
    }
    send_signal("server", "CONT");
    if (logged("connected to 127.0.0.1.* again") != 1 || logged("lost 127.0.0.1") != 1)
        check_failed(__FILE__, __LINE__, "not said once that it is back");
    harness_run(0, read_away, &rc);
    if (atomic_load(&rc) != MK_OK)
        check_failed(__FILE__, __LINE__, "a read gives %d", atomic_load(&rc));
    harness_stop();
}

static void a_server_that_lost_all_learns_the_schema(void) {
    const char *port = env("REDIS_PORT_server");
    usual_options();
    if (!begin())
        return;
    shell(CLI "flushall", port);
    shell(CLI "client kill type normal", port);
    until("version 1", CLI "hget meerkat:schema things", port);
    harness_stop();
}

static const struct test single_tests[] = {
    TEST(wrong_logins_are_refused),
    TEST(a_replica_is_refused),
    TEST(a_single_server_is_no_cluster),
    TEST(nobody_is_refused),
    TEST(wrong_certificates_are_refused),
    TEST(client_certificates_are_shown),
    TEST(durable_is_checked),
    TEST(options_that_make_no_sense_are_refused),
    TEST(keys_can_be_read),
    TEST(what_others_wrote_is_not_touched),
    TEST(what_ends_goes_by_itself),
    TEST(large_partitions_are_read_by_pages),
    TEST(writes_survive_a_kill),
    TEST(writes_are_done_once_after_a_pause),
    TEST(scripts_that_were_forgotten_come_again),
    TEST(reads_fail_while_it_is_away),
    TEST(a_server_that_lost_all_learns_the_schema),
};

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s REDIS.so redis|redis-sentinel|redis-cluster\n", argv[0]);
        return 2;
    }
    if (!service_up(argv[2])) {
        printf("1..0 # SKIP service %s does not run\n", argv[2]);
        return 77;
    }
    empty_log();
    harness_load(argv[1], NULL, 0);
    int failed;
    if (strcmp(argv[2], "redis-sentinel") == 0)
        failed = sentinel_main();
    else
        failed = strcmp(argv[2], "redis-cluster") == 0 ? cluster_main() : RUN(single_tests);
    no_options();
    harness_unload();
    return failed;
}
