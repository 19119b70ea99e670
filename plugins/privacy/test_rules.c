/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "route/jid.h"
#include "rules.h"
#include "run/turn.h"
#include <string.h>

static struct mk_ctx turn;
static unsigned asked;

static const struct mk_jid *jid(const char *text) {
    const struct mk_jid *out;
    CHECK_INT(mk_jid_parse(&turn, (struct mk_view){ text, strlen(text) }, &out), 0);
    return out;
}

static const struct mk_roster_item *contact(void *arg) {
    asked++;
    return arg;
}

static struct rule_list *list_of(const char *text) {
    uint32_t count;
    const struct rule *rules = rules_read(&turn, text, &count);
    return rule_list_new("l", rules, count);
}

/* The order of the rule that fits, -1 if none does. */
static int match(const struct rule_list *l, const char *who, uint32_t kind, const struct mk_roster_item *item) {
    const struct rule *r = rule_list_match(l, jid(who), kind, contact, (void *)item);
    return r ? (int)r->order : -1;
}

static int about(const struct rule_list *l, const char *who) {
    return match(l, who, MK_PRIVACY_MESSAGE_IN, NULL);
}

static void finds_all_forms_of_a_jid(void) {
    struct rule_list *l = list_of("1 deny all jid a@x/r\n2 deny all jid b@x\n3 deny all jid y/r\n4 deny all jid z\n");
    CHECK_INT(about(l, "a@x/r"), 1);
    CHECK_INT(about(l, "a@x/other"), -1);
    CHECK_INT(about(l, "a@x"), -1);
    CHECK_INT(about(l, "b@x"), 2);
    CHECK_INT(about(l, "b@x/any"), 2);
    CHECK_INT(about(l, "y/r"), 3);
    CHECK_INT(about(l, "someone@y/r"), 3);
    CHECK_INT(about(l, "y"), -1);
    CHECK_INT(about(l, "z"), 4);
    CHECK_INT(about(l, "anybody@z/r"), 4);
    CHECK_INT(about(l, "anybody@sub.z"), -1);
    CHECK_INT(about(l, "bb@x"), -1);
    rule_list_free(l);
}

static void lower_order_wins(void) {
    struct rule_list *l = list_of("30 deny all any \n20 allow all jid a@x\n10 deny message jid x\n25 allow iq jid x\n");
    CHECK_INT(about(l, "a@x/r"), 10);
    CHECK_INT(match(l, "a@x/r", MK_PRIVACY_IQ_IN, NULL), 20);
    CHECK_INT(match(l, "b@x/r", MK_PRIVACY_IQ_IN, NULL), 25);
    CHECK_INT(match(l, "b@y/r", MK_PRIVACY_OTHER, NULL), 30);
    rule_list_free(l);
}

static void same_jid_by_kinds(void) {
    struct rule_list *l = list_of("1 allow iq jid a@x\n2 deny presence-in,presence-out jid a@x\n3 allow all jid a@x\n");
    CHECK_INT(match(l, "a@x", MK_PRIVACY_IQ_IN, NULL), 1);
    CHECK_INT(match(l, "a@x", MK_PRIVACY_PRESENCE_IN, NULL), 2);
    CHECK_INT(match(l, "a@x", MK_PRIVACY_PRESENCE_OUT, NULL), 2);
    CHECK_INT(match(l, "a@x", MK_PRIVACY_MESSAGE_IN, NULL), 3);
    rule_list_free(l);
}

static void asks_the_roster_once_and_only_if_it_must(void) {
    const char *groups[] = { "Friends", "Co workers" };
    struct mk_roster_item both = { .groups = groups, .group_count = 2, .state = MK_SUB_TO | MK_SUB_FROM };
    struct rule_list *l = list_of("1 allow all jid a@x\n2 deny all group Co workers\n3 deny all subscription none\n"
                                  "4 allow all subscription both\n");
    asked = 0;
    CHECK_INT(match(l, "a@x", MK_PRIVACY_MESSAGE_IN, &both), 1);
    CHECK_INT(asked, 0);
    CHECK_INT(match(l, "b@x", MK_PRIVACY_MESSAGE_IN, &both), 2);
    CHECK_INT(match(l, "b@x", MK_PRIVACY_MESSAGE_IN, NULL), 3);
    CHECK_INT(asked, 2);
    both.group_count = 1;
    CHECK_INT(match(l, "b@x", MK_PRIVACY_MESSAGE_IN, &both), 4);
    both.state = MK_SUB_TO | MK_SUB_PENDING_IN;
    CHECK_INT(match(l, "b@x", MK_PRIVACY_MESSAGE_IN, &both), -1);
    CHECK(l->needs_roster);
    rule_list_free(l);
}

static void text_and_back(void) {
    static const char text[] = "1 deny message,iq jid a@x/r s\n2 allow all any \n5 deny presence-out group G 1\n";
    struct rule_list *l = list_of(text);
    CHECK_TEXT(rules_write(&turn, l), text);
    CHECK_INT(l->count, 3);
    rule_list_free(l);
    l = list_of("garbage\n1 deny nothing jid a@x\n\n2 deny all what a@x\n");
    CHECK_INT(l->count, 0);
    CHECK_INT(about(l, "a@x"), -1);
    rule_list_free(l);
}

int main(void) {
    int rc = CHECK_RUN(T(finds_all_forms_of_a_jid), T(lower_order_wins), T(same_jid_by_kinds),
                       T(asks_the_roster_once_and_only_if_it_must), T(text_and_back));
    arena_free(&turn.arena);
    return rc;
}
