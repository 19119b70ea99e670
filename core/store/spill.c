/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue and its journal.  Writes whose caller does not wait go from memory to a segment when memory fills up or the
 * backend is away.  In the queue's list they leave a mark, so that their place in the order of all writes stays: what is
 * behind the mark waits until the journal's rows are stored.  The commit that is being tried is copied to the journal
 * instead, for its receipts: it stays in memory, and the copies are passed over once it worked.
 *
 * Where the next row to store lies in a segment is made durable before any newer write that is only in memory is
 * committed: a process that starts after this one died must not store an old row over a newer one.
 */
#include "run/metric.h"
#include "store/queue.h"
#include "store/value.h"
#include "util/log.h"
#include "util/mem.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_BYTES = 4 << 20, READ_BYTES = 256 << 10, READ_ROWS = 256, BROKEN_MS = 5000, POLL_MS = 1 };

struct journal_config spill_config = { .share = 50, .after = 5000 };

static void add_space(struct queue *q, int64_t rows, int64_t bytes) {
    atomic_fetch_add(&q->service->journal_rows, rows);
    atomic_fetch_add(&q->service->journal_bytes, bytes);
    METRIC(q->worker, store_journal_rows, rows);
    METRIC(q->worker, store_journal_bytes, bytes);
}

static int64_t segment_bytes(const struct segment *s) {
    return (int64_t)s->written - SEGMENT_HEADER;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static void run_write(struct spill_job *job, const char *backend) {
    if (!job->segment)
        job->error = segment_new(backend, &job->segment);
    if (!job->error)
        job->error = segment_append(job->segment, job->data.data, job->data.len);
}

/* Whole records, one at least. */
static void run_read(struct spill_job *job) {
    struct segment *s = job->segment;
    char head[RECORD_HEAD];
    size_t left = (size_t)(s->written - s->head), want = left < READ_BYTES ? left : READ_BYTES;
    if (segment_read(s, s->head, head, sizeof head) == RECORD_HEAD && record_length(head, sizeof head) > want)
        want = record_length(head, sizeof head);
    job->data.data = xmalloc(want + 1);
    ssize_t n = segment_read(s, s->head, job->data.data, want);
    job->error = n < 0 ? errno : 0;
    job->data.len = n < 0 ? 0 : (size_t)n;
}

static void run_mark(struct spill_job *job) {
    bool removed = job->dead != NULL;
    for (struct segment *s = job->dead, *next; s; s = next) {
        next = s->next;
        int rc = segment_remove(s);
        job->error = rc ? rc : job->error;
    }
    job->dead = NULL;
    int rc = job->segment ? segment_mark(job->segment) : 0;
    if (!rc && removed)
        rc = journal_sync();
    job->error = rc ? rc : job->error;
}

/* In a thread of the pool. */
static void run_job(struct offload_job *base) {
    struct spill_job *job = container_of(base, struct spill_job, job);
    struct worker *w = job->queue->worker;
    if (job->what == SPILL_WRITE)
        run_write(job, job->queue->provider->name);
    else if (job->what == SPILL_READ)
        run_read(job);
    else
        run_mark(job);
    atomic_store_explicit(&job->finished, true, memory_order_release);
    worker_post(w, &job->post);
}

static void job_free(struct spill_job *job) {
    buf_free(&job->data);
    free(job);
}

static void finish_write(struct queue *q, struct spill_job *job);
static void finish_read(struct queue *q, struct spill_job *job);
static void finish_mark(struct queue *q, struct spill_job *job);

static void job_done(struct post *p) {
    struct spill_job *job = container_of(p, struct spill_job, post);
    struct queue *q = job->queue;
    if (q) {
        q->spill.job = NULL;
        if (job->what == SPILL_WRITE)
            finish_write(q, job);
        else if (job->what == SPILL_READ)
            finish_read(q, job);
        else
            finish_mark(q, job);
    }
    job_free(job);
    if (q)
        queue_run(q);
}

static struct spill_job *job_new(struct queue *q, int what) {
    struct spill_job *job = xcalloc(1, sizeof *job);
    job->job.run = run_job;
    job->post.run = job_done;
    job->queue = q;
    job->what = what;
    return job;
}

static void job_start(struct queue *q, struct spill_job *job) {
    q->spill.job = job;
    offload(&job->job);
}

static void report_broken(struct queue *q, const char *what, int error) {
    if (!atomic_exchange(&q->service->journal_broken, true))
        log_error("storage: the journal of %s can't be %s: %s; writes wait in memory, and past its bound are refused",
                  q->provider->name, what, strerror(error));
    q->spill.broken_ms = worker_now_ms(q->worker) + BROKEN_MS;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* The segment that has the next row. */
static struct segment *current(const struct spill *s) {
    struct segment *at = s->first;
    while (at && at->head >= at->written)
        at = at->next;
    return at;
}

static bool is_wanted(const struct queue *q) {
    if (!journal_is_open() || !spill_config.size || q->spill.broken_ms > worker_now_ms(q->worker))
        return false;
    return queue_is_away(q) || (q->stopping && q->commit_failing) || queue_passes(q, spill_config.share);
}

/* Whether LEN bytes more may be in the journal, which then count. */
static bool take_space(struct queue *q, size_t len) {
    long long before = atomic_fetch_add(&q->service->journal_bytes, (long long)len);
    if (before + (long long)len <= spill_config.size)
        return true;
    atomic_fetch_sub(&q->service->journal_bytes, (long long)len);
    if (!atomic_exchange(&q->service->journal_full, true))
        log_error("storage: the journal of %s is full: writes wait in memory, and past its bound are refused",
                  q->provider->name);
    return false;
}

static void know_coll(struct spill *s, const struct mk_coll *coll) {
    unsigned n = 0;
    for (; s->colls && s->colls[n]; n++)
        if (s->colls[n] == coll)
            return;
    s->colls = xrealloc(s->colls, (n + 2) * sizeof(struct mk_coll *));
    s->colls[n] = coll;
    s->colls[n + 1] = NULL;
}

static bool add_record(struct queue *q, struct spill_job *job, const struct change *ch) {
    size_t before = job->data.len;
    record_add(&job->data, ch);
    if (!take_space(q, job->data.len - before)) {
        job->data.len = before;
        return false;
    }
    know_coll(&q->spill, ch->x.coll);
    return true;
}

/* False: there is no room for all of it. */
static bool add_shadows(struct queue *q, struct spill_job *job) {
    for (const struct change *ch = q->flying.head; ch; ch = ch->next) {
        if (!ch->spillable)
            continue;
        if (!add_record(q, job, ch))
            return false;
        job->shadows++;
    }
    job->shadow_bytes = job->data.len;
    job->commit_number = q->commit.number;
    return true;
}

static void add_queued(struct queue *q, struct spill_job *job) {
    for (struct change *ch = q->queued.head; ch && job->data.len < WRITE_BYTES; ch = ch->next) {
        if (!ch->spillable || ch->spilling)
            continue;
        if (!add_record(q, job, ch))
            return;
        ch->spilling = true;
        q->spill.spillable--;
        job->rows++;
    }
}

/* Copies of the commit must come before all that the segments have. */
static bool wants_shadows(const struct queue *q) {
    return q->flying.head && !q->flying.head->replayed && !q->spill.shadowed && !current(&q->spill);
}

void spill_run(struct queue *q) {
    struct spill *s = &q->spill;
    bool shadow = !s->job && wants_shadows(q);
    if (s->job || !(s->spillable || shadow) || !is_wanted(q))
        return;
    struct spill_job *job = job_new(q, SPILL_WRITE);
    if (shadow && !add_shadows(q, job)) { /* the order of rows allows nothing behind them either */
        atomic_fetch_sub(&q->service->journal_bytes, (long long)job->data.len);
        job_free(job);
        return;
    }
    s->shadowed |= shadow;
    add_queued(q, job);
    if (!job->data.len) {
        job_free(job);
        return;
    }
    job->segment = s->last && s->last->written < SEGMENT_MAX ? s->last : NULL;
    job_start(q, job);
}

static void write_failed(struct queue *q, const struct spill_job *job) {
    report_broken(q, "written", job->error);
    atomic_fetch_sub(&q->service->journal_bytes, (long long)job->data.len);
    if (job->shadows && job->commit_number == q->commit.number)
        q->spill.shadowed = false;
    for (struct change *ch = q->queued.head; ch; ch = ch->next)
        if (ch->spilling) {
            ch->spilling = false;
            q->spill.spillable++;
        }
    if (job->segment && job->segment != q->spill.last)
        segment_remove(job->segment);
}

static struct change *mark_new(const struct change *first) {
    struct change *mark = xcalloc(1, sizeof *mark);
    mark->seq = first->seq;
    return mark;
}

/* Takes what was written out of the list, leaving marks; it is in TAKEN then. */
static void leave_marks(struct queue *q, struct change_list *taken) {
    struct change_list kept = { NULL, &kept.head };
    struct change *ch, *mark = NULL;
    while ((ch = list_take(&q->queued)) != NULL) {
        if (!ch->spilling) {
            mark = ch->rows && !ch->old ? ch : NULL;
            list_push(&kept, ch);
            continue;
        }
        if (!mark)
            list_push(&kept, mark = mark_new(ch));
        mark->rows++;
        q->count--;
        q->bytes -= ch->bytes;
        METRIC(q->worker, store_queue, -1);
        list_push(taken, ch);
    }
    q->queued.head = kept.head;
    q->queued.tail = kept.head ? kept.tail : &q->queued.head;
}

static void pass_shadows(struct queue *q, struct segment *s, size_t bytes, uint32_t rows) {
    s->head += (off_t)bytes;
    s->rows -= rows;
    add_space(q, -(int64_t)rows, 0);
    q->spill.dirty = true;
}

static void append_segment(struct spill *s, struct segment *segment) {
    if (s->last == segment)
        return;
    if (s->last)
        s->last->next = segment;
    else
        s->first = segment;
    s->last = segment;
}

static void pay_shadows(struct queue *q) {
    for (struct change *ch = q->flying.head; ch; ch = ch->next) {
        struct mk_receipt *receipt = ch->spillable ? ch->receipt : NULL;
        if (receipt)
            ch->receipt = NULL;
        mk_receipt_pay(receipt);
    }
}

static void finish_write(struct queue *q, struct spill_job *job) {
    struct spill *s = &q->spill;
    struct change_list taken = { NULL, &taken.head };
    struct change *ch;
    if (job->error) {
        write_failed(q, job);
        return;
    }
    if (atomic_exchange(&q->service->journal_broken, false))
        log_notice("storage: the journal of %s is written again", q->provider->name);
    s->broken_ms = 0;
    append_segment(s, job->segment);
    job->segment->written += (off_t)job->data.len;
    job->segment->rows += job->rows + job->shadows;
    add_space(q, job->rows + job->shadows, 0);
    METRIC(q->worker, store_journal_bytes, (int64_t)job->data.len);
    leave_marks(q, &taken);
    if (job->shadows && (!q->flying.head || job->commit_number != q->commit.number)) {
        pass_shadows(q, job->segment, job->shadow_bytes, job->shadows);
    } else if (job->shadows) {
        s->shadows = job->shadows;
        s->shadow_bytes = job->shadow_bytes;
        pay_shadows(q);
    }
    while ((ch = list_take(&taken)) != NULL) {
        mk_receipt_pay(ch->receipt);
        change_free(ch);
    }
}

/* ---- storing --------------------------------------------------------------------------------------------------- */

static const struct mk_coll *find_coll(const struct spill *s, struct mk_view name) {
    for (unsigned i = 0; s->colls && s->colls[i]; i++)
        if (strlen(s->colls[i]->decl->name) == name.len && memcmp(s->colls[i]->decl->name, name.s, name.len) == 0)
            return s->colls[i];
    return NULL;
}

/* Reads wait no more for what is before the rows of MARK. */
static void pass_rows(struct queue *q, const struct change *mark) {
    if (!mark->old)
        q->done_seq = mark->seq - 1;
}

/* What can't be read any more is said, and passed over: the rest must not wait for it for ever. */
static void lose_segment(struct queue *q, struct segment *s, struct change *mark, const char *why) {
    log_error("storage: %u rows in the journal %s are lost: %s", s->rows, s->path, why);
    uint32_t lost = s->rows < mark->rows ? s->rows : mark->rows;
    mark->rows -= lost;
    mark->seq += lost;
    add_space(q, -(int64_t)s->rows, 0);
    s->rows = 0;
    s->head = s->written;
    q->spill.dirty = true;
    pass_rows(q, mark);
    if (!mark->rows)
        change_free(list_take(&q->queued));
}

static void fly_record(struct queue *q, struct change *mark, struct change *ch) {
    ch->replayed = true;
    ch->seq = mark->old ? q->done_seq : mark->seq++; /* rows of before have no number that a read may wait for */
    mark->rows--;
    if (!mark->old) {
        ch->of_partition = queue_pending(q, ch->x.coll, &ch->partition);
        ch->of_coll = queue_pending(q, ch->x.coll, NULL);
    }
    queue_fly(q, ch);
}

static struct change *next_record(const struct spill *s, const char *at, size_t left, size_t *len) {
    struct record r;
    *len = left >= RECORD_HEAD ? record_length(at, left) : 0;
    if (!*len || *len > left || !record_read(at, *len, &r))
        return NULL;
    const struct mk_coll *coll = find_coll(s, r.name);
    return coll ? record_change(&r, coll) : NULL;
}

static void finish_read(struct queue *q, struct spill_job *job) {
    struct spill *s = &q->spill;
    struct change *mark = q->queued.head, *ch;
    size_t at = 0, len;
    s->fetching = false;
    s->fetched = 0;
    q->commit.count = 0;
    while (mark->rows && s->fetched < READ_ROWS &&
           (ch = next_record(s, job->data.data + at, job->data.len - at, &len)) != NULL) {
        fly_record(q, mark, ch);
        s->fetched++;
        at += len;
    }
    s->fetched_bytes = at;
    if (!s->fetched) {
        lose_segment(q, job->segment, mark, job->error ? strerror(job->error) : "it is damaged");
        return;
    }
    if (!mark->rows)
        change_free(list_take(&q->queued));
    queue_commit(q);
}

static void fetch(struct queue *q) {
    struct segment *from = current(&q->spill);
    if (!from) { /* what it had was lost */
        struct change *mark = list_take(&q->queued);
        mark->seq += mark->rows;
        pass_rows(q, mark);
        change_free(mark);
        return;
    }
    struct spill_job *job = job_new(q, SPILL_READ);
    job->segment = from;
    q->spill.fetching = true;
    job_start(q, job);
}

void spill_committed(struct queue *q) {
    struct spill *s = &q->spill;
    if (s->fetched) {
        struct segment *at = current(s);
        at->head += (off_t)s->fetched_bytes;
        at->rows -= s->fetched;
        add_space(q, -(int64_t)s->fetched, 0);
        s->dirty = true;
    } else if (s->shadows) {
        pass_shadows(q, current(s), s->shadow_bytes, s->shadows);
    }
    s->fetched = s->shadows = 0;
    s->shadowed = false;
}

/* ---- marking --------------------------------------------------------------------------------------------------- */

static struct segment *take_stored(struct queue *q) {
    struct spill *s = &q->spill;
    struct segment *dead = NULL, **tail = &dead;
    while (s->first && s->first->head >= s->first->written) {
        struct segment *gone = s->first;
        s->first = gone->next;
        gone->next = NULL;
        add_space(q, 0, -segment_bytes(gone));
        atomic_store(&q->service->journal_full, false);
        *tail = gone;
        tail = &gone->next;
    }
    if (!s->first)
        s->last = NULL;
    return dead;
}

static void mark(struct queue *q) {
    struct spill_job *job = job_new(q, SPILL_MARK);
    job->dead = take_stored(q);
    job->segment = q->spill.first;
    job_start(q, job);
}

struct release {
    struct post post;
    const struct service *service;
};

/* On each worker: what waited for the rows of before goes on. */
static void release(struct post *p) {
    struct release *r = container_of(p, struct release, post);
    if (this_worker)
        queues_run(this_worker, r->service);
    free(r);
}

static void recovered(struct queue *q) {
    q->spill.recovering = false;
    atomic_store_explicit(&q->service->recovering, false, memory_order_release);
    log_notice("storage: the journal of %s is stored", q->provider->name);
    for (unsigned i = 0; i < worker_count; i++) {
        struct release *r = xcalloc(1, sizeof *r);
        r->post.run = release;
        r->service = q->service;
        worker_post(workers[i], &r->post);
    }
}

static void mark_again(struct timer *t) {
    struct spill *s = container_of(t, struct spill, again);
    s->marking_again = false;
    queue_run(container_of(s, struct queue, spill));
}

static void finish_mark(struct queue *q, struct spill_job *job) {
    struct spill *s = &q->spill;
    if (job->error) {
        report_broken(q, "marked", job->error);
        s->marking_again = true; /* nothing newer is committed before */
        s->again.fire = mark_again;
        worker_timer(q->worker, &s->again, BROKEN_MS);
        return;
    }
    s->dirty = false;
    bool old_left = (q->queued.head && q->queued.head->old) || q->flying.head;
    if (s->recovering && !old_left)
        recovered(q);
}

/* ---- steps ----------------------------------------------------------------------------------------------------- */

bool spill_allows(const struct queue *q) {
    const struct spill *s = &q->spill;
    const struct change *head = q->queued.head;
    if (s->fetching || s->marking_again ||
        (!s->recovering && atomic_load_explicit(&q->service->recovering, memory_order_acquire)))
        return false;
    if (head && head->rows)
        return !s->job;
    if (s->dirty)
        return !s->job;
    return head && !head->spilling && !(s->job && s->job->shadows);
}

bool spill_steps(struct queue *q) {
    const struct change *head = q->queued.head;
    bool recovered_now = q->spill.recovering && q->spill.dirty && head && !head->old;
    if (head && head->rows && !recovered_now)
        fetch(q);
    else if (q->spill.dirty)
        mark(q);
    else
        return false;
    return true;
}

uint32_t spill_safe(const struct queue *q) {
    return q->spill.shadows;
}

/* ---- start and stop --------------------------------------------------------------------------------------------- */

/* What a dead process left is stored by worker 0, ahead of everything. */
void spill_start(struct queue *q) {
    struct service *service = q->service;
    if (q->worker->index != 0 || !service->left)
        return;
    struct spill *s = &q->spill;
    struct change *old = xcalloc(1, sizeof *old);
    s->first = service->left;
    service->left = NULL;
    for (struct segment *at = s->first; at; at = at->next) {
        old->rows += at->rows;
        METRIC(q->worker, store_journal_rows, at->rows);
        METRIC(q->worker, store_journal_bytes, segment_bytes(at));
        s->last = at;
    }
    s->colls = service->left_colls;
    service->left_colls = NULL;
    s->recovering = true;
    old->old = true;
    list_push(&q->queued, old);
}

static void keep_written(struct queue *q, struct spill_job *job) {
    if (job->error) {
        if (job->segment && job->segment != q->spill.last)
            segment_remove(job->segment);
        return;
    }
    append_segment(&q->spill, job->segment);
    job->segment->written += (off_t)job->data.len;
    job->segment->rows += job->rows + job->shadows;
    q->count -= job->rows;
    q->spill.shadows = q->flying.head && job->commit_number == q->commit.number ? job->shadows : 0;
    q->spill.shadow_bytes = job->shadow_bytes;
}

/* The post stays in the worker's inbox, with nothing to do. */
void spill_stop(struct queue *q) {
    struct spill_job *job = q->spill.job;
    if (!job)
        return;
    while (!atomic_load_explicit(&job->finished, memory_order_acquire))
        poll(NULL, 0, POLL_MS);
    if (job->what == SPILL_WRITE)
        keep_written(q, job);
    job->queue = NULL;
    q->spill.job = NULL;
}

void spill_free(struct queue *q) {
    struct spill *s = &q->spill;
    struct segment *dead = take_stored(q);
    wheel_stop(&s->again);
    for (struct segment *next; dead; dead = next) {
        next = dead->next;
        segment_remove(dead);
    }
    if (s->first && s->dirty)
        segment_mark(s->first);
    for (struct segment *at = s->first, *next; at; at = next) {
        next = at->next;
        segment_close(at);
    }
    free(s->colls);
}
