/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of accounts: those of the configuration and those of the collection. */
#ifndef SHARED_ROSTER_GROUPS_H
#define SHARED_ROSTER_GROUPS_H

#include <meerkat/auth.h>
#include <meerkat/plugin.h>

struct shared_roster {
    struct mk_texts groups;
    int64_t max_everybody;
    struct mk_svcs auth; /* who can list the accounts */
    const struct mk_coll *stored, *members;
};

enum { GROUP_HOST, GROUP_ID, GROUP_LABEL, GROUP_EVERYBODY, GROUP_SHOWN_TO, GROUP_COUNT };
enum { MEMBER_HOST, MEMBER_GROUP, MEMBER_ACCOUNT, MEMBER_SINCE, MEMBER_COUNT };
extern const struct mk_col_decl group_cols[GROUP_COUNT], member_cols[MEMBER_COUNT];

struct words {
    const char *const *items;
    uint32_t count;
};
/* In the turn's memory. */
struct group {
    const char *id, *label;
    struct words shown_to; /* ids of the groups whose members see its own; itself if none was named */
    struct words names;    /* of a configured one: its members, as local parts */
    bool everybody;        /* its members are all accounts of the host */
    bool configured;
    const struct mk_jid *const *members; /* once group_members() has read them; NULL before */
    uint32_t member_count;
};
struct groups {
    struct group *items;
    uint32_t count;
};

/* Checks an entry of option groups; 0, or -1. */
int group_check(const char *entry);

MK_SUSPENDS MK_MUST_CHECK int groups_read(struct mk_ctx *c, struct groups *out);
struct group *group_find(const struct groups *all, const char *id);
MK_SUSPENDS MK_MUST_CHECK int group_has(struct mk_ctx *c, const struct group *g, const struct mk_jid *account,
                                        bool *has);
MK_SUSPENDS MK_MUST_CHECK int group_members(struct mk_ctx *c, struct group *g);

/* Splits at any of SEPARATORS, without spaces around the pieces and without empty ones. */
struct words words_split(struct mk_ctx *c, const char *text, const char *separators);

enum { GROUP_COMMANDS = 6 };
extern const struct mk_cmd_decl group_commands[GROUP_COMMANDS];

#endif
