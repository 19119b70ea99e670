/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers: Sentinel and Cluster. */
#include "test_redis.h"
#include <stdlib.h>

/* ---- Sentinel -------------------------------------------------------------------------------------------------------------------------- */

static void sentinel_options(int replicas) {
    no_options();
    option("mode=sentinel");
    option("servers=%s", env("REDIS_SERVERS"));
    option("master=main");
    option("password=secret");
    option("sentinel_password=secret");
    option("durable=true");
    option("timeout=1s");
    option("wait_replicas=%d", replicas);
}

static const char *master_port(void) {
    static char port[16];
    snprintf(port, sizeof port, "%s",
             shell(CLI "sentinel get-master-addr-by-name main | tail -1", env("REDIS_PORT_sentinel1")));
    return port;
}
static const char *name_of_port(const char *port) {
    static const char *const names[] = { "one", "two", "three" };
    for (int i = 0; i < 3; i++) {
        char variable[32];
        snprintf(variable, sizeof variable, "REDIS_PORT_%s", names[i]);
        if (strcmp(env(variable), port) == 0)
            return names[i];
    }
    return "";
}

static void a_master_of_another_name_is_refused(void) {
    sentinel_options(1);
    other_option(2, "master=other");
    refuse("knows no master of this name");
    sentinel_options(1);
    other_option(4, "sentinel_password=wrong");
    refuse("WRONGPASS");
}

static void writes_survive_the_loss_of_the_master(void) {
    char old[16];
    snprintf(old, sizeof old, "%s", master_port());
    sentinel_options(1);
    if (!begin())
        return;
    empty_log();
    begin_writing();
    wait_written(100);
    send_signal(name_of_port(old), "KILL");
    if (logged("the master is now") == 0)
        check_failed(__FILE__, __LINE__, "no new master");
    wait_written(100);
    start_again();
    until("role:slave", CLI "info replication | grep role", old);
    wait_written(100);
    if (strcmp(master_port(), old) == 0)
        check_failed(__FILE__, __LINE__, "there was no failover");
    end_writing();
}

/* The old master lives: what it still takes is not acknowledged, since not all confirm it. */
static void writes_survive_a_change_of_master(void) {
    char old[16];
    snprintf(old, sizeof old, "%s", master_port());
    until("2", CLI "info replication | grep -c state=online", old);
    sentinel_options(2);
    if (!begin())
        return;
    empty_log();
    begin_writing();
    wait_written(100);
    /* A sentinel refuses, or gives up, while it has no fresh word of a replica. */
    until("changed",
          "[ $(" CLI "sentinel get-master-addr-by-name main | tail -1) != %s ] && echo changed || " CLI
          "sentinel failover main",
          env("REDIS_PORT_sentinel1"), old, env("REDIS_PORT_sentinel1"));
    if (logged("the master is now") == 0)
        check_failed(__FILE__, __LINE__, "no new master");
    wait_written(100);
    end_writing();
}

/* ---- Cluster ----------------------------------------------------------------------------------------------------------------------------- */

static void cluster_options(void) {
    no_options();
    option("mode=cluster");
    option("servers=%s", env("REDIS_SERVERS"));
    option("password=secret");
    option("timeout=1s");
    option("durable=true");
    option("wait_replicas=1");
}

static void writes_go_on_while_slots_move(void) {
    cluster_options();
    if (!begin())
        return;
    begin_writing();
    wait_written(100);
    char one[64];
    snprintf(one, sizeof one, "%s", shell(CLI "cluster myid", env("REDIS_PORT_node1")));
    for (int i = 2; i <= 3; i++) {
        char variable[32], from[64];
        snprintf(variable, sizeof variable, "REDIS_PORT_node%d", i);
        snprintf(from, sizeof from, "%s", shell(CLI "cluster myid", env(variable)));
        shell("REDISCLI_AUTH=secret redis-cli --cluster reshard 127.0.0.1:%s --cluster-from %s --cluster-to %s "
              "--cluster-slots 3000 --cluster-yes >%s/reshard.log 2>&1; echo",
              env("REDIS_PORT_node1"), from, one, folder);
        wait_written(100);
    }
    until("cluster_slots_ok:16384", CLI "cluster info | grep slots_ok", env("REDIS_PORT_node1"));
    if (atoi(shell(CLI "cluster nodes | grep myself | tr ' ' '\\n' | tail -n +9 | wc -l", env("REDIS_PORT_node1"))) < 2)
        check_failed(__FILE__, __LINE__, "no slot has moved");
    end_writing();
}

static void writes_survive_the_loss_of_a_node(void) {
    cluster_options();
    if (!begin())
        return;
    begin_writing();
    wait_written(100);
    send_signal("node2", "KILL");
    until("master", CLI "role | head -1", env("REDIS_PORT_node5"));
    start_again();
    until("slave", CLI "role | head -1", env("REDIS_PORT_node2"));
    wait_written(100);
    end_writing();
}

static void put_real(struct mk_ctx *c, void *arg) {
    (void)arg;
    NEED_INT(put(c, MK_UPSERT, "real", 1, "stale", 5), 0);
    NEED_INT(put(c, MK_UPSERT, "other", 1, "elsewhere", 5), 0);
}
static void check_real(struct mk_ctx *c, void *arg) {
    const struct mk_rows *rows;
    struct mk_value body = mk_v_text("stale");
    (void)arg;
    NEED_INT(mk_scan(c, things, MK_SCAN(.index = 1, .partition = &body), &rows), 0);
    NEED_INT(mk_rows_count(rows), 1);
    NEED_TEXT(mk_row_text(mk_rows_at(rows, 0), OWNER), "real@example.org");
}

/* What a server that was killed between the entry and the row leaves. */
static void entries_without_a_row_are_no_rows(void) {
    const char *port = env("REDIS_PORT_node1");
    cluster_options();
    if (!begin())
        return;
    harness_run(0, put_real, NULL);
    expect(shell(CLI "-c zcard meerkat:things:by_body:{stale}", port), "1");
    shell(CLI "-c zadd meerkat:things:by_body:{stale} 0 \"$(printf "
              "'\\200\\001\\001\\001\\001\\001\\001\\001other@example.org')\"",
          port);
    shell(CLI "-c eval \"return "
              "redis.call('zadd',KEYS[1],0,'\\\\128\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\5other@example."
              "org\\\\0\\\\128\\\\0\\\\0\\\\0\\\\0"
              "\\\\0\\\\0\\\\1')\" 1 meerkat:things:by_body:{stale}",
          port);
    expect(shell(CLI "-c zcard meerkat:things:by_body:{stale}", port), "3");
    harness_run(0, check_real, NULL);
    until("1", CLI "-c zcard meerkat:things:by_body:{stale}", port);
    harness_run(0, check_real, NULL);
    harness_stop();
}

static const struct test sentinel_tests[] = {
    TEST(a_master_of_another_name_is_refused),
    TEST(writes_survive_the_loss_of_the_master),
    TEST(writes_survive_a_change_of_master),
};
static const struct test cluster_tests[] = {
    TEST(entries_without_a_row_are_no_rows),
    TEST(writes_go_on_while_slots_move),
    TEST(writes_survive_the_loss_of_a_node),
};

int sentinel_main(void) {
    return RUN(sentinel_tests);
}
int cluster_main(void) {
    return RUN(cluster_tests);
}
