/* SPDX-License-Identifier: Apache-2.0 */
/* Work of plugins beside entities: work.h of the SDK. */
#include "route/host.h"
#include "run/turn.h"
#include "util/mem.h"
#include <meerkat/work.h>
#include <stdlib.h>

unsigned mk_worker_here(const struct mk_ctx *c) {
    return c->worker->index;
}

unsigned mk_worker_count(const struct mk_ctx *c) {
    (void)c;
    return worker_count;
}

/* FN and what it gets, for later. */
struct job {
    struct post post;
    const struct instance *inst;
    mk_work_fn *fn;
    void *arg;
};

static void run_turn(const struct instance *inst, mk_work_fn *fn, void *arg) {
    struct mk_ctx c;
    turn_begin(&c, NULL, NULL, NULL);
    c.inst = inst;
    fn(&c, arg);
    turn_end(&c);
}

static void run_post(struct post *p) {
    struct job j = *container_of(p, struct job, post);
    free(container_of(p, struct job, post));
    if (this_worker)
        run_turn(j.inst, j.fn, j.arg);
    else
        j.fn(NULL, j.arg);
}

void mk_post(struct mk_ctx *c, unsigned worker, mk_work_fn *fn, void *arg) {
    struct job *j = xmalloc(sizeof *j);
    *j = (struct job){ { NULL, run_post }, c->inst, fn, arg };
    worker_post(workers[worker % worker_count], &j->post);
}

int mk_in_host(struct mk_ctx *c, struct mk_view domain, mk_work_fn *fn, void *arg) {
    const struct snapshot *s = snapshot_current();
    const struct host *host = domain.len ? host_find(domain.s, domain.len) : s->host_count ? s->hosts[0] : NULL;
    struct mk_ctx turn;
    if (!host)
        return MK_E_NOTFOUND;
    turn_begin(&turn, NULL, host, host->jid);
    turn.inst = c->inst;
    fn(&turn, arg);
    turn_end(&turn);
    return MK_OK;
}

/* ---- alarms -------------------------------------------------------------------------------------------------------- */

struct mk_alarm {
    struct timer timer;
    const struct instance *inst;
    mk_work_fn *fn;
    void *arg;
};

static void on_alarm(struct timer *t) {
    struct mk_alarm a = *container_of(t, struct mk_alarm, timer);
    run_turn(a.inst, a.fn, a.arg);
}

struct mk_alarm *mk_alarm_new(struct mk_ctx *c, mk_work_fn *fn, void *arg) {
    struct mk_alarm *a = xcalloc(1, sizeof *a);
    *a = (struct mk_alarm){ .timer.fire = on_alarm, .inst = c->inst, .fn = fn, .arg = arg };
    return a;
}

void mk_alarm_set(struct mk_alarm *alarm, uint32_t ms) {
    worker_timer(this_worker, &alarm->timer, ms);
}

void mk_alarm_stop(struct mk_alarm *alarm) {
    wheel_stop(&alarm->timer);
}

void mk_alarm_free(struct mk_alarm *alarm) {
    if (!alarm)
        return;
    wheel_stop(&alarm->timer);
    free(alarm);
}
