/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this plugin. */
#ifndef DELEGATION_H
#define DELEGATION_H

#include <meerkat/plugin.h>

#define NS "urn:xmpp:delegation:2"
#define NS_BARE NS ":bare:"
#define NS_ANY_INFO NS_BARE "disco#info:*"
#define NS_ANY_ITEMS NS_BARE "disco#items:*"
#define NS_INFO "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"

enum { ATTRIBUTES_MAX = 8 };

/* A namespace that is delegated. */
struct entry {
    char *text; /* OWNED, what the others point into */
    const char *component, *ns;
    const char *attributes[ATTRIBUTES_MAX]; /* each must be there */
    uint32_t attribute_count;
};

struct delegation {
    struct mk_texts namespaces;
    int64_t features_for;
    struct entry *entries;    /* OWNED, as many as there are namespaces */
    _Atomic uint64_t *joined; /* OWNED: how often a component has come */
};
enum { M_FORWARDED, M_FAILED };

/* Reads the option; the caller frees the entries also if it fails. */
int entries_read(struct delegation *me, struct mk_err *err);
void entries_free(struct delegation *me);
bool entry_is_special(const struct entry *e);                         /* it is no namespace of requests */
bool entry_is_from(const struct entry *e, const struct mk_jid *from); /* the component itself asks */

/* ---- what components say of themselves, to be said by the server ------------------------------------------------------ */

/* One question to a component: the features of a namespace, for the host or for accounts. */
struct nested {
    const struct mk_stanza *answer; /* OWNED, NULL if there was none */
    int64_t until_ms;
    uint64_t joined;
};
struct nested_all {
    struct nested *items; /* OWNED: two for each entry, for the host and for accounts; NULL before the first */
};
void nested_free(const struct delegation *me, struct nested_all *all);
/* For hook iq_request: takes a query for features that are not known, and lets it go on when they are. */
bool nested_fetch(struct mk_ctx *c, const struct mk_stanza *iq, bool for_account);
enum mk_flow nested_on_info(struct mk_ctx *c, struct mk_ev_disco *ev);
enum mk_flow nested_on_feature(struct mk_ctx *c, struct mk_ev_feature *ev);

#endif
