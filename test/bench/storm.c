/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All accounts come back at once: user0 to userN-1, each by a full login, and once the server was restarted, each by
 * resuming its stream.
 *   bench_storm PORT COUNT PID
 * After each it prints what happened, the seconds it took and the server's CPU seconds, and waits for a line: the first
 * has the PID of the server that was started anew.
 */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { AT_ONCE = 200 };

static struct peer **peers;
static int port, count, ready, resumed, ended;
static bool *is_in;

static void on_ready(struct peer *p) {
    is_in[p->index] = true;
    resumed += login_resumed(p);
    ready++;
}

static void arrived(struct peer *p) {
    if (is_in[p->index])
        login_listen(p);
    else
        login_arrived(p);
}

static void come(const char *what, int pid) {
    double began = now_s(), cpu = cpu_of(pid);
    ready = resumed = 0;
    memset(is_in, 0, (size_t)count * sizeof *is_in);
    for (int i = 0; ready < count;) {
        for (; i < count && i - ready < AT_ONCE; i++) {
            struct peer *before = peers[i], *p = peers[i] = peer_open(i, port, false, arrived);
            if (!before)
                continue;
            memcpy(p->sm, before->sm, sizeof p->sm);
            p->heard = before->heard;
            peer_close(before);
        }
        peers_poll(1000);
    }
    printf("%s %.3f %.3f %d\n", what, now_s() - began, cpu_of(pid) - cpu, resumed);
    fflush(stdout);
}

static int wait_for_line(void) {
    char line[64];
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    return atoi(line);
}

int main(int argc, char **argv) {
    struct rlimit files;
    if (argc != 4)
        return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = atoi(argv[1]);
    count = atoi(argv[2]);
    peers = calloc((size_t)count, sizeof(struct peer *));
    is_in = calloc((size_t)count, sizeof *is_in);
    login_setup(
        &(struct script){ .domain = "localhost", .accounts = count, .full = true, .roster = true, .done = on_ready });
    come("login", atoi(argv[3]));
    for (double end = now_s() + 1; now_s() < end;) /* presence of the last ones */
        peers_poll(50);
    peers_may_end(&ended);
    puts("at rest");
    fflush(stdout);
    while (ended < count)
        peers_poll(100);
    int pid = wait_for_line();
    ended = 0;
    come("resume", pid);
    wait_for_line();
    return 0;
}
