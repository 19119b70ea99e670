/* SPDX-License-Identifier: Apache-2.0 */
/* XEP-0313: archives of messages, of the accounts and for those who serve rooms. */
#include "mam.h"
#include <string.h>

/* ---- accounts -------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static enum mk_flow on_opened(struct mk_ctx *c, struct mk_ev_session *ev) {
    (void)ev;
    if (account_load(c, account_self(c)) != MK_OK)
        mk_log(c, MK_WARNING, "what the account wants archived is not known yet: the default holds");
    return MK_NEXT;
}

/* What on_opened() could not do, or what was there before the plugin. */
MK_SUSPENDS static void on_load_time(struct mk_ctx *c, struct mk_session *session) {
    (void)session;
    if (account_load(c, account_self(c)) != MK_OK)
        mk_timer_start(c, NULL, TIMER_LOAD, 5000);
}

MK_SUSPENDS static enum mk_flow on_account_removed(struct mk_ctx *c, struct mk_ev_account *ev) {
    struct account *a = account_self(c);
    if (archive_drop(c, ev->account) != MK_OK || prefs_drop(c, ev->account) != MK_OK)
        mk_log(c, MK_ERROR, "the archive of a removed account is still stored");
    account_fini(a);
    *a = (struct account){ .prefs = NULL };
    return MK_NEXT;
}

MK_SUSPENDS static int on_query(struct mk_ctx *c, const struct mk_stanza *iq) {
    return answer(c, iq, NULL);
}

/* Before the client gets anything else: no message is between what it will fetch and what it will be sent. */
MK_SUSPENDS static void on_bind(struct mk_ctx *c, const struct mk_inline *in) {
    if (put_metadata(c, in->answer) != MK_OK)
        mk_log(c, MK_WARNING, "a client is not told what its archive holds");
    if (in->session)
        mk_session_set_reads_archive(in->session, true);
}

static enum mk_flow on_disco(struct mk_ctx *c, struct mk_ev_disco *ev) {
    if (!ev->for_account || *ev->node || !fulltext_works(mk_inst(c)))
        return MK_NEXT;
    mk_open(ev->reply, "feature", NULL);
    mk_put(ev->reply, "var", NS_FULLTEXT);
    mk_close(ev->reply);
    return MK_NEXT;
}

/* ---- for others -------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static int op_open(struct mk_ctx *c, const struct mk_jid *owner) {
    return mk_jid_same(owner, mk_self(c)) ? archive_open(c, archive_self(c)) : MK_E_INVALID;
}

static int op_next_id(struct mk_ctx *c, const char **id) {
    struct archive *a = archive_self(c);
    if (!a->open)
        return MK_E_UNAVAILABLE;
    char *text = mk_alloc(c, MK_ARCHIVE_ID_SIZE);
    id_write(text, archive_next(c, a));
    *id = text;
    return MK_OK;
}

static int op_add(struct mk_ctx *c, const struct mk_archive_entry *entry) {
    struct place at;
    return id_read(entry->id, &at) ? archive_add(c, archive_self(c), at, entry) : MK_E_INVALID;
}

MK_SUSPENDS static int op_last(struct mk_ctx *c, uint32_t count, int64_t after,
                               const struct mk_archive_row *const **out, uint32_t *found) {
    struct choice which = { .range = range_all() };
    const struct mk_row *const *rows;
    uint32_t n, kept = 0;
    if (count < 1 || count > 1000)
        return MK_E_INVALID;
    range_from(&which.range, (struct place){ after, INT64_MAX }, true);
    int rc = archive_scan(c, &which, true, count, &rows, &n);
    if (rc != MK_OK)
        return rc;
    const struct mk_archive_row **list = mk_alloc(c, (n + 1) * sizeof *list);
    while (n-- > 0) {
        struct mk_archive_row *row = mk_alloc(c, sizeof *row);
        if (row_read(c, rows[n], row) == MK_OK)
            list[kept++] = row;
    }
    *out = list;
    *found = kept;
    return MK_OK;
}

MK_SUSPENDS static int op_retract(struct mk_ctx *c, const char *id, const struct mk_archive_tombstone *t) {
    struct place at;
    const struct mk_row *row;
    if (!id_read(id, &at))
        return MK_E_NOTFOUND;
    int rc = archive_get(c, at, &row);
    return rc == MK_OK ? retract_row(c, row, t, mk_now(c)) : rc;
}

MK_SUSPENDS static int op_drop(struct mk_ctx *c, const struct mk_jid *owner) {
    return mk_jid_same(owner, mk_self(c)) ? archive_drop(c, owner) : MK_E_INVALID;
}

static bool op_keeps(struct mk_ctx *c, const struct mk_stanza *s, const struct mk_jid *with) {
    return is_kept(c, account_self(c), s, with);
}

static const struct mk_archive_ops archive_ops = {
    .size = sizeof archive_ops,
    .open = op_open,
    .next_id = op_next_id,
    .add = op_add,
    .last = op_last,
    .answer = answer,
    .retract = op_retract,
    .drop = op_drop,
    .keeps = op_keeps,
};

/* ---- rows ------------------------------------------------------------------------------------------------------------------- */

static const struct mk_opt_decl options[] = {
    MK_OPT_ENUM(struct mam, prefs_default, "always", wish_names, MK_OPT_LIVE,
                "What is archived for an account that never said what it wants: always, never, or messages to and from "
                "contacts (roster)."),
    MK_OPT_INT(struct mam, max_prefs, "500", 0, 10000, MK_OPT_LIVE,
               "Most JIDs in each of an account's two lists of whom always and never to archive."),
    MK_OPT_BOOL(struct mam, markers, "false", MK_OPT_LIVE,
                "Whether displayed markers and delivery receipts without a text are archived though they do not ask "
                "for it with the hint `store`."),
    MK_OPT_BOOL(struct mam, headlines, "false", MK_OPT_LIVE, "Whether headlines are archived."),
    MK_OPT_BOOL(struct mam, retraction, "true", MK_OPT_LIVE,
                "Whether a message that its sender retracts gives its place in the archive to a tombstone."),
    MK_OPT_BOOL(
        struct mam, fulltext, "false", MK_OPT_LIVE,
        "Whether clients may search their archives for words, where the storage backend can. Only messages that "
        "come while this is on are found; it makes archiving dearer."),
    MK_OPT_INT(struct mam, default_page, "50", 1, 1000, MK_OPT_LIVE,
               "Messages of a page if the client does not say how many it wants."),
    MK_OPT_INT(struct mam, max_page, "100", 1, 1000, MK_OPT_LIVE,
               "Most messages of a page, and most ids in one query."),
    MK_OPT_SIZE(struct mam, page_bytes, "512K", 1024, 1 << 30, MK_OPT_LIVE,
                "A page ends early when its messages have so many bytes. Keep it well below limits.output."),
    MK_OPT_INT(struct mam, count_up_to, "10000", 0, 1000000000, MK_OPT_LIVE,
               "Clients are told how many messages match their query if they are no more than this. 0 is never."),
    MK_OPT_DURATION(struct mam, max_age, "infinite", 60000, INT64_MAX, MK_OPT_LIVE,
                    "How long messages are kept. A new value holds for messages that come; for those that are there "
                    "a lower one does, when the account is next heard of."),
    MK_OPT_INT(struct mam, max_messages, "0", 0, INT64_MAX, MK_OPT_LIVE,
               "Most messages of one account or room; the oldest go. 0 is no limit."),
    MK_OPT_DURATION(struct mam, trim_every, "1m", 1000, 3600000, MK_OPT_LIVE,
                    "How long after a message its archive is looked at for what is too old or too much."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct mam, roster, mk_roster, 1, 0, MK_NEED_SOFT, NULL),
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_archive, 1, 1, &archive_ops, "Archives of accounts and rooms."),
    MK_PROVIDE(mk_move, 1, 0, &mam_move, "Moves archives, and what accounts wish to have archived."),
};
static const struct mk_col_decl cols[] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account or room." },
    [COL_TIME] = { "time", MK_C_TIME, MK_COL_SORT, "When the message came, made unique and growing." },
    [COL_NONCE] = { "nonce", MK_C_INT, MK_COL_SORT, "A random number: the id is made of time and nonce." },
    [COL_PEER] = { "peer", MK_C_JID, 0, "Bare JID of the other side; in a room, of the occupant." },
    [COL_RESOURCE] = { "resource", MK_C_TEXT, 0, "Its resource, empty if none." },
    [COL_SENT] = { "sent", MK_C_BOOL, 0, "Whether the owner sent it." },
    [COL_REF] = { "ref", MK_C_TEXT, 0, "The message's own id, empty if none." },
    [COL_SENDER] = { "sender", MK_C_JID, MK_COL_NULL, "In a room, the real address of who wrote it." },
    [COL_STANZA] = { "stanza", MK_C_TEXT, 0, "The message as XML." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "When it is dropped; null is never." },
};
static const struct mk_index_decl indexes[] = {
    { "by_peer", "owner,peer", "time,nonce" },
};
static const struct mk_col_decl words_cols[] = {
    [COL_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "As in mam_messages." },
    [COL_TIME] = { "time", MK_C_TIME, MK_COL_SORT, "As in mam_messages." },
    [COL_NONCE] = { "nonce", MK_C_INT, MK_COL_SORT, "As in mam_messages." },
    [COL_PEER] = { "peer", MK_C_JID, 0, "As in mam_messages." },
    [COL_RESOURCE] = { "resource", MK_C_TEXT, 0, "As in mam_messages." },
    [WORDS_WORDS] = { "words", MK_C_TEXT, MK_COL_TEXT_SEARCH, "The text of the message." },
    [WORDS_EXPIRES] = { "expires", MK_C_TIME, MK_COL_NULL | MK_COL_TTL, "As in mam_messages." },
};
static const struct mk_index_decl words_indexes[] = {
    { "by_peer", "owner,peer", "time,nonce" },
};
static const struct mk_col_decl prefs_cols[] = {
    [PREFS_OWNER] = { "owner", MK_C_JID, MK_COL_PARTITION, "Bare JID of the account." },
    [PREFS_DEFAULT] = { "by_default", MK_C_INT, 0, "0 always, 1 never, 2 contacts only." },
    [PREFS_ALWAYS] = { "always", MK_C_TEXT, 0, "JIDs, each ended by a newline." },
    [PREFS_NEVER] = { "never", MK_C_TEXT, 0, "JIDs, each ended by a newline." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct mam, messages, "mam_messages", 1, MK_COLL_BULKY, 0, cols, MK_TABLE(indexes),
                  "Archived messages."),
    MK_COLLECTION(struct mam, words, "mam_words", 1, MK_COLL_BULKY, 0, words_cols, MK_TABLE(words_indexes),
                  "Their texts, for the search; empty without option fulltext."),
    MK_COLLECTION(struct mam, prefs, "mam_prefs", 1, 0, 0, prefs_cols, MK_NO_INDEX,
                  "What accounts want archived (XEP-0441)."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, MK_ORDER_ARCHIVE, MK_INLINE, on_send),
    MK_ON(user_send_message, MK_ORDER_ARCHIVED, MK_INLINE, on_sent),
    MK_ON(user_receive_message, MK_ORDER_ARCHIVE, MK_INLINE, on_receive),
    MK_ON(user_offline_message, MK_ORDER_ARCHIVE, MK_SERIAL, on_offline),
    MK_ON(user_offline_message, MK_ORDER_ARCHIVED_OFFLINE, MK_INLINE, on_offline_end),
    MK_ON(session_opened, MK_ORDER_SESSION, MK_SERIAL, on_opened),
    MK_ON(account_removed, 50, MK_SERIAL, on_account_removed),
    MK_ON(disco_info, 50, MK_INLINE, on_disco),
};
static const struct mk_iq_decl iqs[] = {
    { "query", NS_MAM, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_ASIDE, MK_OWNER, on_query },
    { "query", NS_MAM1, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_ASIDE, MK_OWNER, on_query },
    { "query", NS_MAM0, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_ASIDE, MK_OWNER, on_query },
    { "metadata", NS_MAM, MK_TO_ACCOUNT, MK_GET, MK_ASIDE, MK_OWNER, on_query },
    { "prefs", NS_MAM, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_SERIAL, MK_OWNER, on_prefs },
    { "prefs", NS_MAM1, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_SERIAL, MK_OWNER, on_prefs },
    { "prefs", NS_MAM0, MK_TO_ACCOUNT, MK_GET | MK_SET, MK_SERIAL, MK_OWNER, on_prefs },
};
static const struct mk_inline_decl inlines[] = {
    { NULL, NS_MAM, NULL, MK_AT_BIND, MK_SERIAL, 50, 0, on_bind, NULL },
};
static const struct mk_slot_decl slots[] = {
    [SLOT_ACCOUNT] = { "account", MK_ON_ACCOUNT, sizeof(struct account), NULL, account_fini },
    [SLOT_ROOM] = { "room", MK_ON_ROOM, sizeof(struct archive), NULL, NULL },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_LOAD] = { "load", MK_ON_ACCOUNT, MK_SERIAL, on_load_time },
    [TIMER_RETRACT] = { "retract", MK_ON_ACCOUNT, MK_SERIAL, on_retract_time },
    [TIMER_TRIM] = { "trim", MK_ON_ACCOUNT, MK_SERIAL, on_trim_time },
    [TIMER_TRIM_ROOM] = { "trim_room", MK_ON_ROOM, MK_SERIAL, on_trim_time },
};
static const struct mk_metric_decl metrics[] = {
    [M_ARCHIVED] = { "archived", MK_COUNTER, 0, "messages", "Messages archived: one for each archive." },
    [M_REFUSED] = { "refused", MK_COUNTER, 0, "messages", "Messages refused because the store is in trouble." },
    [M_QUERIES] = { "queries", MK_COUNTER, 0, "", "Queries of archives." },
    [M_RESULTS] = { "results", MK_COUNTER, 0, "messages", "Archived messages sent to clients." },
    [M_RETRACTED] = { "retracted", MK_COUNTER, 0, "messages", "Messages that gave their place to a tombstone." },
    [M_TRIMMED] = { "trimmed", MK_COUNTER, 0, "messages", "Messages deleted because they were too old or too many." },
};
static const struct mk_disco_decl disco[] = {
    { NS_MAM, MK_TO_ACCOUNT, 0 },
    { NS_MAM "#extended", MK_TO_ACCOUNT, 0 },
    { NS_MAM "#groupchat-field", MK_TO_ACCOUNT, 0 },
    { NS_MAM1, MK_TO_ACCOUNT, 0 },
    { NS_MAM0, MK_TO_ACCOUNT, 0 },
    { NS_SID, MK_TO_ACCOUNT, 0 },
    { NS_RETRACT, MK_TO_SERVER | MK_TO_ACCOUNT, 0 },
    { NS_RETRACT "#tombstone", MK_TO_ACCOUNT, 0 },
};
static const struct mk_xep_decl xeps[] = {
    { "0059", "1.0.0", "complete", "In queries of archives." },
    { "0313", "1.1.3", "complete", "Of accounts; the namespaces of old versions 1 and 0 too." },
    { "0334", "1.0.0", "partial", "store, no-store and no-permanent-store decide about archiving." },
    { "0359", "0.7.0", "complete", "" },
    { "0424", "0.4.2", "complete", "Tombstones; the form with XEP-0422 is understood." },
    { "0431", "0.2.0", "complete", "With option fulltext, where the storage backend can." },
    { "0441", "0.2.0", "complete", "" },
};

MK_PLUGIN(mam, .version = "1.0", .summary = "Archives messages (XEP-0313)", .inst_size = sizeof(struct mam),
          .worker_size = sizeof(struct nonces), .options = MK_TABLE(options), .needs = MK_TABLE(needs),
          .provides = MK_TABLE(provides), .hooks = MK_TABLE(hooks), .iqs = MK_TABLE(iqs), .disco = MK_TABLE(disco),
          .slots = MK_TABLE(slots), .timers = MK_TABLE(timers), .metrics = MK_TABLE(metrics),
          .commands = { mam_commands, MAM_COMMANDS, sizeof mam_commands[0] }, .collections = MK_TABLE(collections),
          .xeps = MK_TABLE(xeps), .inlines = MK_TABLE(inlines));
