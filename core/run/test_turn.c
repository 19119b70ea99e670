/* SPDX-License-Identifier: Apache-2.0 */
/* Workers, mail, turns, ops: the parts together, on real threads. */
#include "check.h"
#include "run/offload.h"
#include "run/op.h"
#include "util/mem.h"
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

enum { FIBERS = 8, STACK = 256 * 1024 };

static sem_t done;
static atomic_int counter;

static void start_workers(unsigned count) {
    static const struct worker_hooks none;
    sem_init(&done, 0, 0);
    atomic_store(&counter, 0);
    CHECK_INT(workers_start(count, FIBERS, STACK, &none), 0);
}

static void end_workers(void) {
    workers_stop();
    workers_free();
}

struct job {
    struct post post;
    void (*fn)(void *arg);
    void *arg;
};

static void run_job(struct post *p) {
    struct job *j = container_of(p, struct job, post);
    j->fn(j->arg);
    free(j);
}

static void on_worker(unsigned index, void (*fn)(void *arg), void *arg) {
    struct job *j = xcalloc(1, sizeof *j);
    *j = (struct job){ { NULL, run_job }, fn, arg };
    worker_post(workers[index], &j->post);
}

/* ---- posts -------------------------------------------------------------------------------------------------------- */

enum { POSTS = 20000 };
static int last_seen[2];
static int disorder;

static void check_order(void *arg) {
    int n = (int)(intptr_t)arg, from = n & 1;
    if (n >> 1 != last_seen[from] + 1)
        disorder++;
    last_seen[from] = n >> 1;
    if (atomic_fetch_add(&counter, 1) + 1 == 2 * POSTS)
        sem_post(&done);
}

static void *flood(void *arg) {
    for (int i = 0; i < POSTS; i++)
        on_worker(0, check_order, (void *)(((intptr_t)i << 1) | (intptr_t)arg));
    return NULL;
}

static void posts_keep_the_order_of_each_sender(void) {
    pthread_t other;
    start_workers(1);
    last_seen[0] = last_seen[1] = -1;
    disorder = 0;
    pthread_create(&other, NULL, flood, (void *)1);
    flood((void *)0);
    sem_wait(&done);
    pthread_join(other, NULL);
    end_workers();
    CHECK_INT(disorder, 0);
}

static void ping(void *arg) {
    intptr_t left = (intptr_t)arg;
    if (!left)
        sem_post(&done);
    else
        on_worker(1 - this_worker->index, ping, (void *)(left - 1));
}

static void workers_wake_each_other(void) {
    start_workers(2);
    on_worker(0, ping, (void *)1000);
    sem_wait(&done);
    end_workers();
}

/* ---- entities ------------------------------------------------------------------------------------------------------ */

struct letter {
    struct mail mail;
    int number;
    int rc;
};

static struct mk_entity entity;
static char trace[512];
static int idle_calls;

static void note(const char *fmt, int n) {
    snprintf(trace + strlen(trace), sizeof trace - strlen(trace), fmt, n);
}
static void on_idle(struct mk_entity *e) {
    (void)e;
    idle_calls++;
}
static void on_full(struct mk_entity *e, bool full) {
    (void)e;
    note(full ? "F" : "E", 0);
}
static const struct entity_class class = { "test", on_idle, on_full };

static void letter_done(struct mail *m) {
    struct letter *l = container_of(m, struct letter, mail);
    if (l->number == 9)
        sem_post(&done);
    free(l);
}

static void post_letter(int number, bool suspends, void (*turn)(struct mk_ctx *c, struct mail *m)) {
    struct letter *l = xcalloc(1, sizeof *l);
    l->mail = (struct mail){ .suspends = suspends, .turn = turn, .done = letter_done };
    l->number = number;
    entity_mail(&entity, &l->mail);
}

static void quick(struct mk_ctx *c, struct mail *m) {
    (void)c;
    note("%d", container_of(m, struct letter, mail)->number);
}

static void slow(struct mk_ctx *c, struct mail *m) {
    int n = container_of(m, struct letter, mail)->number;
    note("<%d", n);
    CHECK_INT(mk_sleep(c, 120), 0);
    CHECK(c->entity == &entity);
    note("%d>", n);
}

static void reset(void) {
    entity_init(&entity, &class, NULL, NULL);
    trace[0] = '\0';
    idle_calls = 0;
}

static void send_some(void *arg) {
    (void)arg;
    post_letter(1, false, quick);
    post_letter(2, true, slow);
    post_letter(3, false, quick);
    post_letter(4, true, slow);
    post_letter(9, false, quick);
}

static void mail_waits_for_a_turn_that_waits(void) {
    reset();
    start_workers(1);
    on_worker(0, send_some, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_TEXT(trace, "1<22>3<44>9");
    CHECK(idle_calls >= 1);
    CHECK(entity_is_idle(&entity));
}

static void to_itself(struct mk_ctx *c, struct mail *m) {
    int n = container_of(m, struct letter, mail)->number;
    (void)c;
    note("(%d", n);
    if (n < 3)
        post_letter(n + 1, false, to_itself);
    else
        post_letter(9, false, quick);
    note("%d)", n);
}

static void send_one(void *arg) {
    (void)arg;
    post_letter(1, false, to_itself);
}

static void a_turn_is_not_entered_twice(void) {
    reset();
    start_workers(1);
    on_worker(0, send_one, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_TEXT(trace, "(11)(22)(33)9");
}

static void send_many(void *arg) {
    (void)arg;
    mailbox_high_mark = 4;
    post_letter(1, true, slow);
    for (int i = 0; i < 4; i++)
        post_letter(5, false, quick);
    post_letter(9, false, quick);
}

static void a_full_mailbox_says_so(void) {
    reset();
    start_workers(1);
    on_worker(0, send_many, NULL);
    sem_wait(&done);
    end_workers();
    mailbox_high_mark = 1000;
    CHECK_TEXT(trace, "<1F1>55559E");
}

/* ---- many fibers ------------------------------------------------------------------------------------------------------ */

static void nap(struct mk_ctx *c, void *arg) {
    (void)arg;
    CHECK(c->aside);
    CHECK_INT(mk_sleep(c, 1), 0);
    if (atomic_fetch_add(&counter, 1) + 1 == 5 * FIBERS)
        sem_post(&done);
}

static void start_naps(void *arg) {
    (void)arg;
    for (int i = 0; i < 5 * FIBERS; i++)
        turn_aside(NULL, NULL, NULL, nap, NULL);
}

static void turns_wait_for_a_fiber(void) {
    start_workers(1);
    on_worker(0, start_naps, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_INT(atomic_load(&counter), 5 * FIBERS);
}

/* ---- ops ------------------------------------------------------------------------------------------------------------- */

static int results[4];

static void done_at_once(struct mk_op *op, void *args) {
    char *text = mk_op_alloc(op, 8);
    strcpy(text, "result");
    *(char **)args = text;
    op->outcome = text;
    mk_op_done(op, 7);
}

static void *from_thread(void *arg) {
    usleep(1000);
    mk_op_done_remote(arg, 8);
    return NULL;
}

static pthread_t helper;
static void done_remotely(struct mk_op *op, void *args) {
    (void)args;
    pthread_create(&helper, NULL, from_thread, op);
}

static struct mk_op *forgotten;
static void never_done(struct mk_op *op, void *args) {
    (void)args;
    forgotten = op;
}

static void run_ops(struct mk_ctx *c, void *arg) {
    char *text = NULL;
    void *outcome = NULL;
    (void)arg;
    results[0] = op_wait(c, op_begin(c, NULL, "at once"), done_at_once, &text, &outcome);
    CHECK(outcome == text);
    CHECK_TEXT(text, "result"); /* the op's memory became the turn's */
    results[1] = op_wait(c, op_begin(c, NULL, "remote"), done_remotely, NULL, NULL);
    pthread_join(helper, NULL);
    c->deadline_ms = worker_now_ms(c->worker) + 50;
    results[2] = op_wait(c, op_begin(c, NULL, "late"), never_done, NULL, NULL);
    CHECK(!mk_op_live(forgotten));
    mk_op_done(forgotten, 0); /* a late completion is dropped */
    sem_post(&done);
}

static void start_ops(void *arg) {
    turn_aside(NULL, NULL, NULL, run_ops, arg);
}

static void try_ops(bool chaos) {
    memset(results, 0, sizeof results);
    yield_chaos = chaos;
    start_workers(1);
    on_worker(0, start_ops, NULL);
    sem_wait(&done);
    end_workers();
    yield_chaos = false;
    CHECK_INT(results[0], 7);
    CHECK_INT(results[1], 8);
    CHECK_INT(results[2], MK_E_TIMEOUT);
}

static void ops_complete_or_time_out(void) {
    try_ops(false);
}
static void ops_survive_yield_chaos(void) {
    try_ops(true);
}

static void stuck(struct mk_ctx *c, void *arg) {
    (void)arg;
    sem_post(&done);
    results[3] = op_wait(c, op_begin(c, NULL, "stuck"), never_done, NULL, NULL);
}

static void start_stuck(void *arg) {
    turn_aside(NULL, NULL, NULL, stuck, arg);
}

static void stopping_cancels_what_waits(void) {
    start_workers(1);
    on_worker(0, start_stuck, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_INT(results[3], MK_E_CANCELLED);
}

/* ---- watches --------------------------------------------------------------------------------------------------------- */

static struct watched {
    int fds[2];
    int calls, silences;
    char got[3];
} watched;

/* The first answer comes late, the second in two pieces. */
static void on_piece(struct mk_op *op, void *arg, bool ready) {
    struct watched *w = arg;
    w->calls++;
    if (!ready) {
        w->silences++;
        CHECK_INT(write(w->fds[1], "a", 1), 1);
        mk_op_watch(op, w->fds[0], 60000, on_piece, w);
        return;
    }
    CHECK_INT(read(w->fds[0], w->got + strlen(w->got), 1), 1);
    if (w->got[1]) {
        mk_op_watch(op, w->fds[0], 1, on_piece, w); /* ends with the op */
        mk_op_done(op, 9);
        return;
    }
    CHECK_INT(write(w->fds[1], "b", 1), 1);
    mk_op_watch(op, w->fds[0], 60000, on_piece, w);
}

static void wait_for_pieces(struct mk_op *op, void *arg) {
    struct watched *w = arg;
    mk_op_watch(op, w->fds[0], 60000, on_piece, w);
    mk_op_watch(op, w->fds[0], 1, on_piece, w); /* instead of the first */
}

static void run_watch(struct mk_ctx *c, void *arg) {
    CHECK_INT(pipe2(watched.fds, O_CLOEXEC), 0);
    results[0] = op_wait(c, op_begin(c, NULL, "watch"), wait_for_pieces, &watched, NULL);
    CHECK_INT(mk_sleep(c, 200), 0); /* longer than the last watch would have waited */
    close(watched.fds[0]);
    close(watched.fds[1]);
    (void)arg;
    sem_post(&done);
}

static void start_watch(void *arg) {
    turn_aside(NULL, NULL, NULL, run_watch, arg);
}

static void ops_watch_descriptors(void) {
    memset(&watched, 0, sizeof watched);
    start_workers(1);
    on_worker(0, start_watch, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_INT(results[0], 9);
    CHECK_TEXT(watched.got, "ab");
    CHECK_INT(watched.calls, 3);
    CHECK_INT(watched.silences, 1);
}

/* What is watched when the worker stops is freed with its op. */
static void watch_for_ever(struct mk_op *op, void *arg) {
    mk_op_watch(op, *(int *)arg, 60000, on_piece, NULL);
    sem_post(&done);
}

static void run_endless_watch(struct mk_ctx *c, void *arg) {
    (void)arg;
    results[0] = op_wait(c, op_begin(c, NULL, "endless"), watch_for_ever, &watched.fds[0], NULL);
}

static void start_endless_watch(void *arg) {
    turn_aside(NULL, NULL, NULL, run_endless_watch, arg);
}

static void watches_end_with_the_worker(void) {
    CHECK_INT(pipe2(watched.fds, O_CLOEXEC), 0);
    start_workers(1);
    on_worker(0, start_endless_watch, NULL);
    sem_wait(&done);
    end_workers();
    CHECK_INT(results[0], MK_E_CANCELLED);
    close(watched.fds[0]);
    close(watched.fds[1]);
}

static void compute(void *arg) {
    usleep(2000);
    *(pthread_t *)arg = pthread_self();
}

static pthread_t computed_in;
static void run_offload(struct mk_ctx *c, void *arg) {
    (void)arg;
    results[0] = mk_offload(c, compute, &computed_in);
    sem_post(&done);
}

static void start_offload(void *arg) {
    turn_aside(NULL, NULL, NULL, run_offload, arg);
}

static void offloaded_work_runs_elsewhere(void) {
    CHECK_INT(offload_start(2), 0);
    start_workers(1);
    on_worker(0, start_offload, NULL);
    sem_wait(&done);
    CHECK_INT(results[0], 0);
    CHECK(!pthread_equal(computed_in, workers[0]->thread));
    workers_stop();
    offload_stop(); /* its threads post to workers until they end */
    workers_free();
}

static void count_worker(struct worker *w, void *arg) {
    CHECK(w == this_worker);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void each_worker_is_asked(void) {
    start_workers(3);
    workers_each(count_worker, &counter);
    CHECK_INT(atomic_load(&counter), 3);
    end_workers();
}

int main(void) {
    return CHECK_RUN(T(posts_keep_the_order_of_each_sender), T(workers_wake_each_other),
                     T(mail_waits_for_a_turn_that_waits), T(a_turn_is_not_entered_twice), T(a_full_mailbox_says_so),
                     T(turns_wait_for_a_fiber), T(ops_complete_or_time_out), T(ops_survive_yield_chaos),
                     T(stopping_cancels_what_waits), T(ops_watch_descriptors), T(watches_end_with_the_worker),
                     T(offloaded_work_runs_elsewhere), T(each_worker_is_asked));
}
