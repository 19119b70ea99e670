/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this plugin. */
#ifndef PRIVILEGE_H
#define PRIVILEGE_H

#include <meerkat/plugin.h>

#define NS "urn:xmpp:privilege:2"
#define NS_OLD "urn:xmpp:privilege:1"
#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_ROSTER "jabber:iq:roster"

struct privilege {
    struct mk_texts grants;
};
enum { M_MESSAGES, M_REQUESTS, M_REFUSED };
enum { SLOT_SESSION };

/* ---- grants: texts of the operator, read when they are wanted, for a reload may change them --------------------------- */

/* What is wrong with one, NULL if nothing is. */
const char *grant_check(const char *grant);
struct mk_view grant_component(const char *grant);
const struct mk_jid *grant_address(struct mk_ctx *c, const char *grant); /* of the component; NULL if it is none */
/* The grant of the component that FROM is of; NULL if it has none. */
const char *grant_of(struct mk_ctx *c, const struct mk_jid *from);

/* Whether it has the word NAME=VALUE. */
bool grant_has(const char *grant, const char *name, const char *value);
/* Whether requests of TYPE are granted: NAME=get, set or both; those with NS have it behind a colon. */
bool grant_allows(const char *grant, const char *name, enum mk_type type, const char *ns);
bool grant_pushes(const char *grant);
bool grant_reads_roster(const char *grant);
bool grant_sees_contacts(const char *grant); /* presence=roster, which needs to read the roster */
/* The I-th namespace that requests are granted in, and how: "get", "set", "both".  False past the last. */
bool grant_namespace(struct mk_ctx *c, const char *grant, uint32_t i, const char **ns, const char **type);

bool is_of_host(struct mk_ctx *c, const struct mk_jid *jid); /* in its domain */
int refuse(struct mk_ctx *c, const struct mk_stanza *s, const char *cond, const char *text);

/* ---- request.c ---------------------------------------------------------------------------------------------------------- */

enum mk_flow on_request(struct mk_ctx *c, struct mk_ev_request *ev);
enum mk_flow on_pushed(struct mk_ctx *c, struct mk_ev_push *ev);

/* ---- presence.c ---------------------------------------------------------------------------------------------------------- */

void presence_tell(struct mk_ctx *c, const char *component); /* what there is, to one that has come */
enum mk_flow on_told(struct mk_ctx *c, struct mk_ev_told *ev);
enum mk_flow on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_contact(struct mk_ctx *c, struct mk_ev_stanza *ev);
enum mk_flow on_closed(struct mk_ctx *c, struct mk_ev_session *ev);
void session_fini(void *slot);

#endif
