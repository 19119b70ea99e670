/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this folder. */
#ifndef COMPONENT_PART_H
#define COMPONENT_PART_H

#include "component/component.h"
#include "route/host.h"
#include "util/list.h"
#include "util/log.h"
#include "xml/parser.h"
#include "xml/scan.h"

#define NS_STREAMS "http://etherx.jabber.org/streams"

/* A domain that some configuration named: it stays until the end. */
struct component {
    struct component *next;
    char *name;
    size_t name_len;
    struct worker *home;                             /* set when workers run */
    _Atomic(const struct component_config *) config; /* NULL: not any more */
    atomic_uint streams;                             /* that may get stanzas */
    /* Of its home worker. */
    struct list links; /* of those, in the order of their turns */
    unsigned count;
};
/* The one that is DOMAIN, or has it below itself and serves that too; NULL: there is none. */
struct component *component_find(const char *domain, size_t len);
struct component *component_at(unsigned i); /* in the order of their names in memory; NULL past the last */
const struct component_config *component_config(const struct component *x);
struct worker *component_home(const struct component *x);

enum { LINK_HEADER, LINK_HANDSHAKE, LINK_READY, LINK_ENDED };
struct link {
    struct conn conn;
    struct list all;             /* in the worker's */
    struct list ready;           /* in the component's */
    struct list owing;           /* in the worker's, while RECEIPTS are not paid */
    struct component *component; /* once it said which */
    struct scan scan;
    struct timer timer; /* of the login */
    struct post move;
    struct mk_receipt **receipts; /* of what may not have left yet */
    unsigned receipt_count, receipt_cap;
    uint64_t since_ms;
    uint64_t serial;
    char *id, *prefixes;
    uint32_t refs;
    uint8_t state;
    bool opened, moving;
};
void component_fail(struct link *l, const char *cond, const char *text);
/* Writes S for TO, which may be what it says itself, and holds its receipt. */
void component_write(struct link *l, const struct mk_stanza *s, const struct mk_jid *to);
void component_log(const struct link *l, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct link *component_link_next(struct link *prev);

/* In component's home: it is authenticated, it ends. */
void component_join(struct link *l);
void component_leave(struct link *l);
void component_joined(const struct component *x); /* runs the hook, for every host */
/* What came from it, S is taken. */
void component_receive(struct link *l, struct mk_stanza *s);

#endif
