/* SPDX-License-Identifier: Apache-2.0 */
#include "spam.h"
#include <string.h>

static int start(void *inst, struct mk_err *err) {
    const struct spam *me = inst;
    if (me->lists.count > LISTS_MAX)
        return mk_fail(err, MK_E_INVALID, "Option lists names more than %d.", LISTS_MAX);
    for (unsigned i = 0; i < me->lists.count; i++) {
        const char *space = strchr(me->lists.items[i], ' ');
        if (!space || space == me->lists.items[i] || !space[1])
            return mk_fail(err, MK_E_INVALID, "Option lists has \"%s\", which is no service, a space and a node.",
                           me->lists.items[i]);
    }
    return MK_OK;
}

static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    mk_free(((struct worker *)worker)->hashes);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

static const char *const ways[] = { "allow", "refuse", "drop", NULL };
static const struct mk_opt_decl options[] = {
    MK_OPT_ENUM(struct spam, strangers, "allow", ways, MK_OPT_LIVE,
                "What becomes of messages from those who are no contacts of the account, and whom it did not write to: "
                "they are delivered, refused with policy-violation, or dropped."),
    MK_OPT_BOOL(struct spam, trust_local, "true", MK_OPT_LIVE, "Accounts of this server are no strangers."),
    MK_OPT_TEXTS(struct spam, trusted, NULL, MK_OPT_LIVE, "Domains that nobody is a stranger of: gateways, say."),
    MK_OPT_TEXTS(struct spam, lists, NULL, 0,
                 "Block lists of others, each a pubsub service, a space and a node: \"xmppbl.org muc_bans_sha256\"."),
    MK_OPT_ENUM(struct spam, listed, "refuse", ways, MK_OPT_LIVE,
                "The same for strangers who are in such a list; their subscription requests are dropped, unless it is "
                "allow."),
    MK_OPT_DURATION(struct spam, refresh, "6h", 60000, 7 * 86400000ll, MK_OPT_LIVE,
                    "How often a list is fetched as a whole; what changes meanwhile the service tells."),
    MK_OPT_INT(struct spam, max_items, "100000", 1, 10000000, MK_OPT_LIVE, "Most items of a list."),
    MK_OPT_DURATION(struct spam, window, "1h", 1000, 86400000, MK_OPT_LIVE, "The time that the next three count in."),
    MK_OPT_INT(struct spam, max_strangers, "100", 0, 1000000, MK_OPT_LIVE,
               "How many strangers an account may write to; 0 is no limit."),
    MK_OPT_INT(struct spam, max_requests, "100", 0, 1000000, MK_OPT_LIVE,
               "How many strangers an account may ask for a subscription; 0 is no limit."),
    MK_OPT_INT(struct spam, max_incoming, "0", 0, 1000000, MK_OPT_LIVE,
               "How many messages an account takes from strangers; 0 is no limit."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct spam, roster, mk_roster, 1, 0, 0, NULL),
};
static const struct mk_index_decl indexes[] = {
    { "by_list", "list", "hash" },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct spam, hashes, "spam_hashes", 1, 0, 0, hash_cols, MK_TABLE(indexes),
                  "Whom block lists of others name."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(account_loaded, MK_ORDER_FILTER, MK_SERIAL, on_loaded),
    MK_ON(user_send_message, MK_ORDER_FILTER, MK_INLINE, on_send),
    MK_ON(user_send_subscription, MK_ORDER_FILTER, MK_INLINE, on_request),
    MK_ON(user_receive_message, MK_ORDER_FILTER, MK_INLINE, on_receive),
    MK_ON(user_receive_subscription, MK_ORDER_FILTER, MK_INLINE, on_requested),
    MK_ON(host_receive_message, MK_ORDER_FILTER, MK_SERIAL, on_event),
    MK_ON(host_started, MK_ORDER_FILTER, MK_INLINE, on_host_started),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_ACCOUNT] = { "account", MK_ON_ACCOUNT, sizeof(struct account), NULL, account_fini },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_KEEP] = { "keep", MK_ON_ACCOUNT, MK_INLINE, on_keep_over },
    [TIMER_TICK] = { "tick", MK_ON_HOST, MK_INLINE, lists_tick },
    [TIMER_FETCH] = { "fetch", MK_ON_HOST, MK_ASIDE, lists_fetch },
};
static const struct mk_metric_decl metrics[] = {
    [M_STRANGERS] = { "strangers", MK_COUNTER, 0, "messages", "Messages of strangers that were not delivered." },
    [M_LISTED] = { "listed", MK_COUNTER, 0, "stanzas", "Messages and requests of those in block lists." },
    [M_LIMITED] = { "limited", MK_COUNTER, 0, "stanzas", "Messages and requests past a limit." },
};
static const struct mk_arg_decl host_args[] = { { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host." } };
static const struct mk_arg_decl list_results[] = {
    { "list", MK_ARG_TEXT, 0, "The list." },
    { "items", MK_ARG_INT, 0, "How many it names." },
};
static const struct mk_arg_decl check_args[] = {
    { "jid", MK_ARG_JID, 0, "Whom to look for; the domain is looked for too." },
    { "host", MK_ARG_JID, MK_ARG_OPTIONAL, "The host." },
};
static const struct mk_arg_decl check_results[] = {
    { "list", MK_ARG_TEXT, 0, "A list that names the address." },
    { "reason", MK_ARG_TEXT, 0, "Why, if the list says so." },
};
static const struct mk_cmd_decl commands[] = {
    { "spam.lists", "List the block lists and how many they name", "GET /spam/lists", "", MK_CMD_READ, 0,
      MK_TABLE(host_args), MK_TABLE(list_results), cmd_lists },
    { "spam.check", "Tell which block lists name an address", "GET /spam/check/{jid}", "", MK_CMD_READ, 0,
      MK_TABLE(check_args), MK_TABLE(check_results), cmd_check },
};
static const struct mk_xep_decl xeps[] = {
    { "0060", "1.26.0", "partial", "As a subscriber: block lists are items of pubsub nodes." },
    { "0159", "0.3", "partial", "Messages of strangers can be refused." },
};

MK_PLUGIN(spam, .version = "1.0", .summary = "Strangers, limits and block lists of others, against spam",
          .inst_size = sizeof(struct spam), .worker_size = sizeof(struct worker), .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers),
          .metrics = MK_TABLE(metrics), .commands = MK_TABLE(commands), .collections = MK_TABLE(collections),
          .xeps = MK_TABLE(xeps), .start = start, .worker_stop = worker_stop);
