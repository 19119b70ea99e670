/* SPDX-License-Identifier: Apache-2.0 */
/* Stores something; knows accounts. */
#define MK_ABI_NEED 0
#include <meerkat/auth.h>
#include <meerkat/plugin.h>

struct keeper {
    const struct mk_coll *things;
#ifdef SEARCH
    const struct mk_coll *texts;
#endif
};
static const struct mk_col_decl cols[] = {
    { "owner", MK_C_JID, MK_COL_PARTITION, "Whose." },
    { "name", MK_C_TEXT, MK_COL_SORT, "Which." },
    { "value", MK_C_INT, 0, "How much." },
};
static const struct mk_index_decl indexes[] = { { "by_name", "name", "owner" } };
#ifdef SEARCH
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct keeper, texts, "t_texts", 1, 0, MK_CAP_TEXT_SEARCH | MK_CAP_BATCH, cols, MK_TABLE(indexes),
                  "Texts."),
    MK_COLLECTION(struct keeper, things, "t_things", 1, 0, 0, cols, MK_TABLE(indexes), "Things."),
};
#else
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct keeper, things, "t_things", 1, 0, 0, cols, MK_TABLE(indexes), "Things."),
};
#endif
static int exists(struct mk_ctx *c, const struct mk_jid *account) {
    (void)c;
    (void)account;
    return 0;
}
static const struct mk_auth_ops ops = { .size = sizeof ops, .caps = MK_AUTH_PASSWORD, .exists = exists };
static const struct mk_provide_decl provides[] = { MK_PROVIDE(mk_auth, 1, 0, &ops, "Everybody exists.") };

#ifdef SEARCH
MK_PLUGIN(t_search, .version = "1.0", .summary = "Test: wants what the backend can't",
          .inst_size = sizeof(struct keeper), .collections = MK_TABLE(collections), .provides = MK_TABLE(provides));
#else
MK_PLUGIN(t_keeper, .version = "1.0", .summary = "Test: stores things", .inst_size = sizeof(struct keeper),
          .collections = MK_TABLE(collections), .provides = MK_TABLE(provides));
#endif
