/* SPDX-License-Identifier: Apache-2.0 */
#include "move/account.h"
#include "util/mem.h"
#include <stdlib.h>
#include <string.h>

enum { PART_BYTES = 128 * 1024 };
#define PART_START "<part xmlns='" NS_PIE "'>"
#define PART_END "</part>"

static enum dump_next give_up(struct import *i, int status) {
    i->status = status;
    return DUMP_STOP;
}

/* What the server left out. */
static void say_lines(struct import *i, const cJSON *answer) {
    const cJSON *line;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(answer, "lines")) {
        fprintf(stderr, "%s: %s\n", i->account, cJSON_GetStringValue(line));
        i->warnings++;
    }
}

/* ---- begin ----------------------------------------------------------------------------------------------------------- */

static void forget(struct import *i) {
    if (i->password)
        explicit_bzero(i->password, strlen(i->password));
    free(i->password);
    i->password = NULL;
    i->keys.len = i->part.len = 0;
    i->open = i->went_on = NULL;
    i->resumes = false;
}

static int exists(struct import *i, const char *account, bool *out) {
    cJSON *answer;
    int status = server_run(&i->server, &answer, "users.exists", "account", account, NULL);
    if (status != DONE)
        return status;
    *out = true_in(answer_rows(answer)->child, "exists");
    cJSON_Delete(answer);
    return DONE;
}

/* A state's account has a letter before it: whether it is merged. */
static bool was_begun(const struct import *i, const char *account) {
    return i->state.begun && strcmp(i->state.begun + 1, account) == 0;
}

static bool note_begun(struct import *i) {
    struct buf begun = { 0 };
    buf_printf(&begun, "%c%s", i->merges ? '=' : '+', i->account);
    bool good = state_save(&i->state, i->identity, i->seen - 1, i->last ? i->last : "", begun.data);
    buf_free(&begun);
    return good;
}

static int begin(struct import *i, bool there, bool again) {
    cJSON *answer;
    i->merges = again ? *i->state.begun == '=' : there && i->existing == EXISTING_MERGE;
    i->replaces = there && !again && i->existing == EXISTING_REPLACE;
    if (!note_begun(i))
        return FAILED;
    int status = server_run(&i->server, &answer, "move.begin", "account", i->account, "replace",
                            i->replaces ? "true" : NULL, NULL);
    cJSON_Delete(answer);
    return status;
}

enum dump_next import_begin(struct import *i, const char *account, const char *password) {
    bool there = false, again = was_begun(i, account);
    i->seen++;
    if (i->seen <= i->state.done) {
        i->done_before++;
        return DUMP_SKIP;
    }
    int status = exists(i, account, &there);
    if (status != DONE)
        return give_up(i, status);
    if (there && !again && i->existing == EXISTING_SKIP) {
        i->skipped++;
        progress_show(&i->progress, i->seen);
        return DUMP_SKIP;
    }
    forget(i);
    free(i->account);
    i->account = xstrdup(account);
    i->password = password ? xstrdup(password) : NULL;
    status = begin(i, there, again);
    return status == DONE ? DUMP_ON : give_up(i, status);
}

/* ---- elements -------------------------------------------------------------------------------------------------------- */

static void close_series(struct import *i) {
    if (i->open)
        buf_printf(&i->part, "</%s>", i->open->name);
}

/* Sends what waits.  A series that is open goes on in the next part. */
static enum dump_next send_part(struct import *i) {
    cJSON *answer;
    if (!i->part.len)
        return DUMP_ON;
    close_series(i);
    buf_puts(&i->part, PART_END);
    int status = server_run(&i->server, &answer, "move.take", "account", i->account, "xml", i->part.data, "state",
                            i->resumes ? i->part_state : NULL, NULL);
    if (status != DONE)
        return give_up(i, status);
    say_lines(i, answer);
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(answer_rows(answer)->child, "state");
    snprintf(i->part_state, sizeof i->part_state, "%.0f", cJSON_GetNumberValue(state));
    cJSON_Delete(answer);
    i->went_on = i->open;
    i->open = NULL;
    i->part.len = 0;
    return DUMP_ON;
}

static void begin_part(struct import *i, const struct dump_kind *kind) {
    buf_puts(&i->part, PART_START);
    i->resumes = i->went_on == kind;
    i->went_on = NULL;
}

static void enter_series(struct import *i, const struct dump_kind *kind, const char *wrapper) {
    if (i->open == kind && strcmp(i->wrapper.data, wrapper) == 0)
        return;
    close_series(i);
    i->wrapper.len = 0;
    buf_puts(&i->wrapper, wrapper);
    buf_puts(&i->part, wrapper);
    i->open = kind;
}

enum dump_next import_element(struct import *i, const struct dump_kind *kind, const char *wrapper,
                              const struct buf *xml) {
    if (strcmp(kind->ns, NS_SCRAM) == 0) {
        buf_add(&i->keys, xml->data, xml->len);
        return DUMP_ON;
    }
    if (!i->part.len)
        begin_part(i, kind);
    if (wrapper) {
        enter_series(i, kind, wrapper);
    } else {
        close_series(i);
        i->open = NULL;
    }
    buf_add(&i->part, xml->data, xml->len);
    return i->part.len < PART_BYTES ? DUMP_ON : send_part(i);
}

/* ---- end ------------------------------------------------------------------------------------------------------------- */

/* The password, or the keys of one. */
static int put_credentials(struct import *i) {
    struct buf keys = { 0 };
    cJSON *answer;
    if (i->keys.len)
        buf_printf(&keys, "%s%s%s", PART_START, i->keys.data, PART_END);
    int status = server_run(&i->server, &answer, "move.end", "account", i->account, "password", i->password, "keys",
                            keys.data, NULL);
    buf_free(&keys);
    if (status != DONE)
        return status;
    say_lines(i, answer);
    cJSON_Delete(answer);
    return DONE;
}

enum dump_next import_end(struct import *i) {
    if (send_part(i) != DUMP_ON)
        return DUMP_STOP;
    int status = i->merges ? DONE : put_credentials(i);
    if (status != DONE)
        return give_up(i, status);
    if (i->merges)
        i->merged++;
    else if (i->replaces)
        i->replaced++;
    else
        i->imported++;
    free(i->last);
    i->last = xstrdup(i->account);
    progress_show(&i->progress, i->seen);
    return DUMP_ON;
}

void import_free(struct import *i) {
    forget(i);
    server_close(&i->server);
    kinds_free(&i->kinds);
    buf_free(&i->keys);
    buf_free(&i->part);
    buf_free(&i->wrapper);
    free(i->account);
    free(i->last);
    free(i->identity);
}
