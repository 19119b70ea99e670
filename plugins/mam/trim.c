/* SPDX-License-Identifier: Apache-2.0 */
/* How much an archive may hold.  Expired rows vanish by themselves; this enforces the count, and an age that was lowered. */
#include "mam.h"

/* Messages deleted in one go, and the time until the next if there is more. */
enum { BATCH = 500, AGAIN_MS = 200 };

static bool has_limits(const struct mam *me) {
    return me->max_messages || me->max_age != INT64_MAX;
}

void trim_soon(struct mk_ctx *c, struct archive *a) {
    const struct mam *me = mk_inst(c);
    if (a->trim_soon || !has_limits(me))
        return;
    a->trim_soon = true;
    mk_timer_start(c, NULL, a->room ? TIMER_TRIM_ROOM : TIMER_TRIM, (uint32_t)me->trim_every);
}

/* Deletes the oldest LIMIT of those in RANGE. */
MK_SUSPENDS static int trim(struct mk_ctx *c, struct archive *a, const struct range *range, uint32_t limit,
                            uint32_t *done) {
    const struct choice which = { .range = *range };
    const struct mk_row *const *rows;
    int rc = archive_scan(c, &which, false, limit, &rows, done);
    if (rc != MK_OK || !*done)
        return rc;
    rc = archive_drop_until(c, row_place(rows[*done - 1]));
    if (rc == MK_OK) {
        a->count -= *done;
        mk_count(c, M_TRIMMED, *done);
    }
    return rc;
}

MK_SUSPENDS static int trim_by_age(struct mk_ctx *c, struct archive *a, uint32_t *done) {
    const struct mam *me = mk_inst(c);
    struct range old = range_all();
    *done = 0;
    if (me->max_age == INT64_MAX || me->max_age > mk_now(c) / 1000)
        return MK_OK;
    range_to(&old, (struct place){ mk_now(c) - me->max_age * 1000, INT64_MAX }, true);
    return trim(c, a, &old, BATCH, done);
}

MK_SUSPENDS static int trim_by_count(struct mk_ctx *c, struct archive *a, uint32_t *done) {
    const struct mam *me = mk_inst(c);
    const struct choice all = { .range = range_all() };
    *done = 0;
    if (!me->max_messages)
        return MK_OK;
    int rc = a->counted ? MK_OK : archive_count(c, &all, 0, &a->count);
    a->counted |= rc == MK_OK;
    int64_t over = a->count - me->max_messages;
    if (rc != MK_OK || over <= 0)
        return rc;
    return trim(c, a, &all.range, over < BATCH ? (uint32_t)over : BATCH, done);
}

MK_SUSPENDS void on_trim_time(struct mk_ctx *c, struct mk_session *session) {
    struct archive *a = archive_self(c);
    uint32_t by_age, by_count = 0;
    (void)session;
    a->trim_soon = false;
    int rc = trim_by_age(c, a, &by_age);
    if (rc == MK_OK)
        rc = trim_by_count(c, a, &by_count);
    if (rc != MK_OK)
        a->counted = false;
    if (by_age < BATCH && by_count < BATCH)
        return;
    a->trim_soon = true;
    mk_timer_start(c, NULL, a->room ? TIMER_TRIM_ROOM : TIMER_TRIM, AGAIN_MS);
}
