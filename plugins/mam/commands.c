/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do with the archives of accounts. */
#include "mam.h"
#include <string.h>

/* Messages of a part of an export, and their bytes, about; messages read and deleted at once. */
enum { PART_MAX = 1000, PART_BYTES = 4 << 20, CHUNK = 50, BATCH = 200 };

static int failed(struct mk_result *result, int rc) {
    return mk_result_error(result, rc, "The archive can't be reached: %s.", mk_strerror(rc));
}

static const char *id_text(struct mk_ctx *c, const struct mk_row *row) {
    char *id = mk_alloc(c, MK_ARCHIVE_ID_SIZE);
    id_write(id, row_place(row));
    return id;
}

/* ---- stats ----------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int say_end(struct mk_ctx *c, const char *name, bool last, struct mk_result *result) {
    const struct choice all = { .range = range_all() };
    const struct mk_row *const *rows;
    uint32_t count;
    int rc = archive_scan(c, &all, last, 1, &rows, &count);
    if (rc == MK_OK)
        mk_result_text(result, name, count ? mk_time_text(c, row_place(rows[0]).time) : "");
    return rc;
}

MK_SUSPENDS static int cmd_stats(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct choice all = { .range = range_all() };
    int64_t count;
    (void)args;
    int rc = archive_count(c, &all, 0, &count);
    if (rc != MK_OK)
        return failed(result, rc);
    mk_result_int(result, "messages", count);
    rc = say_end(c, "oldest", false, result);
    if (rc == MK_OK)
        rc = say_end(c, "newest", true, result);
    return rc == MK_OK ? rc : failed(result, rc);
}

/* ---- export ---------------------------------------------------------------------------------------------------------------- */

static size_t add_row(struct mk_ctx *c, const struct mk_row *row, struct mk_result *result) {
    const char *stanza = mk_row_text(row, COL_STANZA);
    struct mk_view peer = mk_jid_bare(mk_row_jid(row, COL_PEER));
    mk_result_next(result);
    mk_result_text(result, "id", id_text(c, row));
    mk_result_text(result, "time", mk_time_text(c, row_place(row).time));
    mk_result_text(result, "with", mk_text_of(c, peer));
    mk_result_bool(result, "sent", mk_row_int(row, COL_SENT));
    mk_result_text(result, "stanza", stanza);
    return strlen(stanza);
}

/* A part at a time: the account's mail waits while its turn reads. */
MK_SUSPENDS static int cmd_export(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct choice left = { .range = range_all(), .with = mk_arg_jid(args, "with") };
    const char *after = mk_arg_text(args, "after");
    const struct mk_row *const *rows;
    struct place at;
    uint32_t count = 0, done = 0;
    size_t bytes = 0;
    if (after && !id_read(after, &at))
        return mk_result_error(result, MK_E_INVALID, "after is the id of a message.");
    if (after)
        range_from(&left.range, at, true);
    do {
        int rc = archive_scan(c, &left, false, CHUNK, &rows, &count);
        if (rc != MK_OK)
            return failed(result, rc);
        for (uint32_t i = 0; i < count; i++)
            bytes += add_row(c, rows[i], result);
        if (count)
            range_from(&left.range, row_place(rows[count - 1]), true);
        done += count;
    } while (count == CHUNK && done < PART_MAX && bytes < PART_BYTES);
    if (count == CHUNK)
        mk_result_more(result, "after", id_text(c, rows[count - 1]));
    if (!done)
        mk_result_next(result);
    return MK_OK;
}

/* ---- remove ---------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int remove_some(struct mk_ctx *c, const struct choice *which, int64_t *total) {
    const struct mk_row *const *rows;
    uint32_t count;
    do {
        int rc = archive_scan(c, which, false, BATCH, &rows, &count);
        if (rc == MK_OK && count)
            rc = which->with ? archive_drop_rows(c, rows, count) : archive_drop_until(c, row_place(rows[count - 1]));
        if (rc != MK_OK)
            return rc;
        *total += count;
    } while (count == BATCH);
    return MK_OK;
}

MK_SUSPENDS static int cmd_remove(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    struct choice which = { .range = range_all(), .with = mk_arg_jid(args, "with") };
    const char *before = mk_arg_text(args, "before");
    int64_t time, total = 0;
    if (before && mk_time_parse(before, &time) != MK_OK)
        return mk_result_error(result, MK_E_INVALID, "before is a time such as 2026-01-31T00:00:00Z.");
    if (before)
        range_to(&which.range, (struct place){ time, 0 }, true);
    int rc = remove_some(c, &which, &total);
    account_self(c)->archive.counted = false;
    if (rc == MK_OK)
        mk_result_int(result, "removed", total);
    else if (rc == MK_E_TIMEOUT || rc == MK_E_BUSY)
        return mk_result_error(result, rc, "%lld messages were removed so far: run the command again.",
                               (long long)total);
    return rc == MK_OK ? rc : failed(result, rc);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

static const struct mk_arg_decl stats_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
};
static const struct mk_arg_decl stats_results[] = {
    { "messages", MK_ARG_INT, 0, "How many messages its archive has." },
    { "oldest", MK_ARG_TEXT, 0, "When the oldest came; empty if there is none." },
    { "newest", MK_ARG_TEXT, 0, "When the newest came." },
};
static const struct mk_arg_decl export_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "with", MK_ARG_JID, MK_ARG_OPTIONAL, "Only messages to and from this JID." },
    { "after", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only those after the message with this id." },
};
static const struct mk_arg_decl export_results[] = {
    { "id", MK_ARG_TEXT, 0, "Id of the message in the archive." },
    { "time", MK_ARG_TEXT, 0, "When it came." },
    { "with", MK_ARG_JID, 0, "Bare JID of the other side." },
    { "sent", MK_ARG_BOOL, 0, "Whether the account sent it." },
    { "stanza", MK_ARG_TEXT, 0, "The message as XML." },
};
static const struct mk_arg_decl remove_args[] = {
    { "account", MK_ARG_JID, 0, "The account." },
    { "with", MK_ARG_JID, MK_ARG_OPTIONAL, "Only messages to and from this JID." },
    { "before", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Only those that came before this time (XEP-0082)." },
};
static const struct mk_arg_decl remove_results[] = {
    { "removed", MK_ARG_INT, 0, "How many messages were removed." },
};
const struct mk_cmd_decl mam_commands[MAM_COMMANDS] = {
    { "mam.stats", "Say how much the archive of an account holds", "GET /accounts/{account}/mam/stats", "account",
      MK_CMD_READ, 0, MK_TABLE(stats_args), MK_TABLE(stats_results), cmd_stats },
    { "mam.export", "Show the archive of an account, the oldest message first", "GET /accounts/{account}/mam",
      "account", MK_CMD_READ, 0, MK_TABLE(export_args), MK_TABLE(export_results), cmd_export },
    { "mam.remove", "Remove the archive of an account, or some of it", "DELETE /accounts/{account}/mam", "account",
      MK_CMD_WRITE, 0, MK_TABLE(remove_args), MK_TABLE(remove_results), cmd_remove },
};
