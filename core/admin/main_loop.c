/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread's inbox: workers post to it what only that thread may do. */
#include "admin/command.h"
#include "run/op.h"
#include "util/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Atomic(struct post *) inbox;
static struct event *wake_event;
static int wake_fd = -1;
static bool closing;

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    uint64_t count;
    (void)what, (void)arg;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    posts_run(&inbox);
}

void main_post(struct post *p) {
    bool wake = posts_push(&inbox, p);
    uint64_t one = 1;
    while (wake && write(wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* ---- later --------------------------------------------------------------------------------------------------------- */

/* In the main thread. */
struct delay {
    struct post post; /* to the main thread */
    struct post *then;
    int64_t seconds;
    struct event *timer;
    struct delay *next;
};
static struct delay *delays;

static void delay_free(struct delay *d) {
    struct delay **at = &delays;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    event_free(d->timer);
    free(d);
}

static void on_delay_over(evutil_socket_t fd, short what, void *arg) {
    struct delay *d = arg;
    struct post *p = d->then;
    (void)fd, (void)what;
    delay_free(d);
    p->run(p);
}

static void begin_delay(struct post *p) {
    struct delay *d = container_of(p, struct delay, post);
    const struct timeval wait = { (time_t)d->seconds, 0 };
    if (closing) {
        free(d->then);
        free(d);
        return;
    }
    d->next = delays;
    delays = d;
    d->timer = evtimer_new(event_get_base(wake_event), on_delay_over, d);
    if (!d->timer || evtimer_add(d->timer, &wait) != 0)
        abort();
}

void main_post_later(struct post *p, int64_t seconds) {
    struct delay *d = xcalloc(1, sizeof *d);
    d->post.run = begin_delay;
    d->then = p;
    d->seconds = seconds;
    main_post(&d->post);
}

static void delays_drop(void) {
    while (delays) {
        free(delays->then);
        delay_free(delays);
    }
}

/* ---- the loop ------------------------------------------------------------------------------------------------------ */

void main_setup(struct event_base *base) {
    if (base) {
        closing = false;
        wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        wake_event = wake_fd < 0 ? NULL : event_new(base, wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
        if (!wake_event || event_add(wake_event, NULL) != 0)
            abort();
        return;
    }
    closing = true;
    posts_run(&inbox);
    delays_drop();
    event_free(wake_event);
    close(wake_fd);
    wake_event = NULL;
    wake_fd = -1;
}

/* ---- asking the main thread ---------------------------------------------------------------------------------------- */

struct question {
    struct post post; /* to the main thread, and back */
    struct mk_op *op;
    main_fn *fn;
    char *text;
    struct arena arena;
    struct mk_result *result; /* in ARENA */
    int rc;
};

static void question_free(struct question *q) {
    arena_free(&q->arena);
    free(q->text);
    free(q);
}

/* On the worker that asked: the op's memory is touched there alone. */
static void answer(struct post *p) {
    struct question *q = container_of(p, struct question, post);
    struct mk_op *op = q->op;
    int rc = q->rc;
    op->outcome = q->result;
    arena_adopt(&op->arena, &q->arena);
    question_free(q);
    mk_op_done(op, rc);
}

static void in_main(struct post *p) {
    struct question *q = container_of(p, struct question, post);
    if (closing) {
        question_free(q);
        return;
    }
    q->rc = q->fn(q->result, q->text);
    p->run = answer;
    worker_post(q->op->worker, p);
}

struct starting {
    struct question *question;
    bool started;
};

static void start(struct mk_op *op, void *args) {
    struct starting *s = args;
    s->started = true;
    s->question->op = op;
    main_post(&s->question->post);
}

int main_ask(struct mk_ctx *c, const char *method, main_fn *fn, const char *text, struct mk_result *result) {
    struct question *q = xcalloc(1, sizeof *q);
    q->post.run = in_main;
    q->fn = fn;
    q->text = text ? xstrdup(text) : NULL;
    q->result = arena_alloc(&q->arena, sizeof *q->result);
    result_init(q->result, &q->arena);
    struct starting s = { q, false };
    void *answered = NULL;
    int rc = op_wait(c, op_begin(c, NULL, method), start, &s, &answered);
    if (!s.started)
        question_free(q);
    if (answered)
        result_copy(result, answered);
    return rc;
}
