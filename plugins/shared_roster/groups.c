/* SPDX-License-Identifier: Apache-2.0 */
#include "groups.h"
#include <stdlib.h>
#include <string.h>

const struct mk_col_decl group_cols[GROUP_COUNT] = {
    [GROUP_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [GROUP_ID] = { "id", MK_C_TEXT, MK_COL_SORT, "What commands know the group by." },
    [GROUP_LABEL] = { "label", MK_C_TEXT, 0, "Name of the group in rosters." },
    [GROUP_EVERYBODY] = { "everybody", MK_C_BOOL, 0, "Whether all accounts are its members." },
    [GROUP_SHOWN_TO] = { "shown_to", MK_C_TEXT, 0, "Groups whose members see its own, one a line; empty: itself." },
};
const struct mk_col_decl member_cols[MEMBER_COUNT] = {
    [MEMBER_HOST] = { "host", MK_C_JID, MK_COL_PARTITION, "Host." },
    [MEMBER_GROUP] = { "group_id", MK_C_TEXT, MK_COL_PARTITION, "The group." },
    [MEMBER_ACCOUNT] = { "member", MK_C_JID, MK_COL_SORT, "Bare JID of the account." },
    [MEMBER_SINCE] = { "since", MK_C_TIME, 0, "When it was added." },
};

/* ---- words -------------------------------------------------------------------------------------------------------------- */

struct words words_split(struct mk_ctx *c, const char *text, const char *separators) {
    uint32_t most = 1, count = 0;
    for (const char *p = text; *p; p++)
        most += strchr(separators, *p) != NULL;
    const char **out = mk_alloc(c, most * sizeof *out);
    while (*text) {
        size_t len = strcspn(text, separators), end = len, start = strspn(text, " ");
        while (end > start && text[end - 1] == ' ')
            end--;
        if (end > start)
            out[count++] = mk_text_of(c, (struct mk_view){ text + start, end - start });
        text += len + (text[len] != '\0');
    }
    return (struct words){ out, count };
}

static bool has_word(const struct words *w, const char *word) {
    for (uint32_t i = 0; i < w->count; i++)
        if (strcmp(w->items[i], word) == 0)
            return true;
    return false;
}

/* ---- configured ones ---------------------------------------------------------------------------------------------------- */

/* "ID | LABEL | MEMBERS" or "ID | LABEL | MEMBERS | SHOWN TO". */
int group_check(const char *entry) {
    int fields = 1;
    for (const char *p = entry; (p = strchr(p, '|')) != NULL; p++)
        fields++;
    const char *id = entry + strspn(entry, " ");
    size_t label = strcspn(id, "|") + 1;
    if (fields < 3 || fields > 4 || *id == '|')
        return -1;
    return id[label + strspn(id + label, " ")] == '|' ? -1 : 0;
}

static const char *field(struct mk_ctx *c, const char *entry, int number) {
    for (; number; number--) {
        const char *bar = strchr(entry, '|');
        if (!bar)
            return "";
        entry = bar + 1;
    }
    const struct words one = words_split(c, mk_text_of(c, (struct mk_view){ entry, strcspn(entry, "|") }), "|");
    return one.count ? one.items[0] : "";
}

static void show_to_itself(struct mk_ctx *c, struct group *g) {
    if (!g->shown_to.count)
        g->shown_to = words_split(c, g->id, "\n");
}

static void read_entry(struct mk_ctx *c, const char *entry, struct group *out) {
    *out = (struct group){ .id = field(c, entry, 0), .label = field(c, entry, 1), .configured = true };
    out->names = words_split(c, field(c, entry, 2), ",");
    out->everybody = has_word(&out->names, "*");
    out->shown_to = words_split(c, field(c, entry, 3), ",");
    show_to_itself(c, out);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

int groups_read(struct mk_ctx *c, struct groups *out) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_value host = mk_v_jid(mk_host(c));
    const struct mk_rows *rows;
    int rc = mk_scan(c, me->stored, MK_SCAN(.partition = &host), &rows);
    if (rc != MK_OK)
        return rc;
    out->items = mk_alloc(c, (me->groups.count + mk_rows_count(rows) + 1) * sizeof *out->items);
    out->count = 0;
    for (uint32_t i = 0; i < me->groups.count; i++)
        read_entry(c, me->groups.items[i], &out->items[out->count++]);
    for (size_t i = 0; i < mk_rows_count(rows); i++) {
        const struct mk_row *row = mk_rows_at(rows, i);
        if (group_find(out, mk_row_text(row, GROUP_ID)))
            continue; /* the configuration has one of this name now */
        struct group *g = &out->items[out->count++];
        *g = (struct group){ .id = mk_row_text(row, GROUP_ID), .label = mk_row_text(row, GROUP_LABEL) };
        g->everybody = mk_row_int(row, GROUP_EVERYBODY) != 0;
        g->shown_to = words_split(c, mk_row_text(row, GROUP_SHOWN_TO), "\n");
        show_to_itself(c, g);
    }
    return MK_OK;
}

struct group *group_find(const struct groups *all, const char *id) {
    for (uint32_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].id, id) == 0)
            return &all->items[i];
    return NULL;
}

int group_has(struct mk_ctx *c, const struct group *g, const struct mk_jid *account, bool *has) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(g->id), mk_v_jid(account) };
    const struct mk_row *row;
    *has = g->everybody || (g->configured && has_word(&g->names, mk_text_of(c, mk_jid_local(account))));
    if (*has || g->configured)
        return MK_OK;
    int rc = mk_get(c, me->members, key, &row);
    *has = rc == MK_OK;
    return rc == MK_E_NOTFOUND ? MK_OK : rc;
}

/* ---- members ------------------------------------------------------------------------------------------------------------ */

/* Of NAMES those that can be names. */
static void take_names(struct mk_ctx *c, struct group *g, const char *const *names, uint32_t count) {
    const struct mk_view none = { "", 0 };
    const struct mk_jid **out = mk_alloc(c, (g->member_count + count + 1) * sizeof(*out));
    if (g->member_count)
        memcpy(out, g->members, g->member_count * sizeof(*out));
    for (uint32_t i = 0; i < count; i++)
        if (mk_jid_make(c, (struct mk_view){ names[i], strlen(names[i]) }, mk_jid_domain(mk_host(c)), none,
                        &out[g->member_count]) == MK_OK)
            g->member_count++;
    g->members = out;
}

/* An account that two providers have is there twice; who reads the members joins them. */
MK_SUSPENDS static int read_everybody(struct mk_ctx *c, struct group *g) {
    const struct shared_roster *me = mk_inst(c);
    uint32_t left = (uint32_t)me->max_everybody;
    take_names(c, g, NULL, 0);
    for (uint32_t i = 0; i < me->auth.count && left; i++) {
        const struct mk_auth *auth = (const struct mk_auth *)me->auth.items[i];
        struct mk_auth_page page = { NULL, 0, 0 };
        if (!(mk_auth_caps(auth) & MK_AUTH_LIST))
            continue;
        int rc = mk_auth_list(c, auth, NULL, left, &page);
        if (rc != MK_OK)
            return rc;
        take_names(c, g, page.names, page.count);
        left -= page.count < left ? page.count : left;
    }
    if (!left)
        mk_log(c, MK_WARNING, "group %s has more members than max_everybody: the others are left out", g->id);
    return MK_OK;
}

int group_members(struct mk_ctx *c, struct group *g) {
    const struct shared_roster *me = mk_inst(c);
    const struct mk_value key[] = { mk_v_jid(mk_host(c)), mk_v_text(g->id) };
    const struct mk_rows *rows;
    if (g->members)
        return MK_OK;
    if (g->everybody)
        return read_everybody(c, g);
    if (g->configured) {
        take_names(c, g, g->names.items, g->names.count);
        return MK_OK;
    }
    int rc = mk_scan(c, me->members, MK_SCAN(.partition = key), &rows);
    if (rc != MK_OK)
        return rc;
    const struct mk_jid **out = mk_alloc(c, (mk_rows_count(rows) + 1) * sizeof(*out));
    for (size_t i = 0; i < mk_rows_count(rows); i++)
        out[g->member_count++] = mk_row_jid(mk_rows_at(rows, i), MEMBER_ACCOUNT);
    g->members = out;
    return MK_OK;
}
