/* SPDX-License-Identifier: Apache-2.0 */
/* One privacy list: its rules in their order, and which of them is the first that fits. */
#ifndef PRIVACY_RULES_H
#define PRIVACY_RULES_H

#include <meerkat/plugin.h>
#include <meerkat/privacy.h>
#include <meerkat/roster.h>

enum rule_type { RULE_ANY, RULE_JID, RULE_GROUP, RULE_SUBSCRIPTION };
struct rule {
    uint32_t order;
    uint8_t type, kinds; /* kinds: bits of MK_PRIVACY_... */
    bool deny;
    const char *value; /* "" for RULE_ANY; a prepared JID, a group, "none", "to", "from" or "both" */
};

/* Rules are sorted by their order.  Those about a JID are found by it, the others one after the other. */
struct rule_list {
    char *name;
    struct rule *rules;
    uint32_t count, jid_count, other_count;
    uint32_t *jids;   /* places in rules, sorted by value, then by place */
    uint32_t *others; /* places in rules, in their order */
    bool needs_roster;
};

/* The JID's contact, or NULL; asked for at most once, if a rule wants to know. */
typedef const struct mk_roster_item *contact_fn(void *arg);

/* A list of copies of COUNT rules, in any order.  OWNED. */
struct rule_list *rule_list_new(const char *name, const struct rule *rules, uint32_t count);
void rule_list_free(struct rule_list *l);

/* The first rule that is about KIND (one bit) and JID, or NULL. */
const struct rule *rule_list_match(const struct rule_list *l, const struct mk_jid *jid, uint32_t kind,
                                   contact_fn *contact, void *arg);

/* A rule that XEP-0191 can show. */
static inline bool rule_blocks(const struct rule *r) {
    return r->type == RULE_JID && r->deny && r->kinds == MK_PRIVACY_ALL;
}

/* "none", "to", "from", "both" for the bits MK_SUB_TO and MK_SUB_FROM. */
const char *subscription_name(uint32_t state);

/* Rules as lines of text, for a column: "10 deny message,iq jid juliet@example.com".  In the turn's memory. */
const char *rules_write(struct mk_ctx *c, const struct rule_list *l);
/* The same way back; what is not understood is left out. */
const struct rule *rules_read(struct mk_ctx *c, const char *text, uint32_t *count);

#endif
