/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a dump of XEP-0227 as it goes by, in memory that does not grow with it.  What is no XML of that kind - or a DTD,
 * an entity, what is nested too deep - ends the reading, with FILE:LINE in what is said.
 */
#ifndef MOVE_DUMP_H
#define MOVE_DUMP_H

#include "move/writer.h"
#include <stdio.h>

#define NS_PIE "urn:xmpp:pie:0"
#define NS_SCRAM "urn:xmpp:pie:0#scram"

/* Elements of <user/> that are wanted. */
struct dump_kind {
    char *name, *ns; /* OWNED by who made it */
    bool series;     /* its children are told one at a time */
};
struct dump_kinds {
    struct dump_kind *items;
    int count;
};
const struct dump_kind *kind_find(const struct dump_kinds *kinds, const char *name, const char *ns);

enum dump_next { DUMP_ON, DUMP_SKIP, DUMP_STOP }; /* STOP: it was said why */

struct dump;
/* What the reader of a dump wants to know.  All get ARG. */
struct dump_handler {
    enum dump_next (*host)(void *arg, const struct dump *d, const char *jid);
    enum dump_next (*user)(void *arg, const struct dump *d, const char *name, const char *password);
    /* XML is an element, or a child of one that is a series, whose start tag WRAPPER is then; else that is NULL. */
    enum dump_next (*element)(void *arg, const struct dump *d, const struct dump_kind *kind, const char *wrapper,
                              const struct buf *xml);
    /* An element that is not wanted, or that is longer than ELEMENT_MAX. */
    void (*ignored)(void *arg, const struct dump *d, const char *name, const char *ns, bool too_long);
    enum dump_next (*user_end)(void *arg, const struct dump *d);
};
enum { ELEMENT_MAX = 4 << 20, DEPTH_MAX = WRITER_DEPTH - 10 };

enum dump_level { AT_ROOT, IN_DATA, IN_HOST, IN_USER, IN_SERIES };

struct dump_source; /* a file that is being read */
struct dump {
    const struct dump_kinds *kinds;
    const struct dump_handler *handler;
    void *arg;
    char *folder; /* OWNED; nothing outside is included; NULL: nothing at all */
    struct dump_source *source;
    enum dump_level level;
    int inner; /* elements open inside of one that is collected or passed over */
    bool collecting, too_long, failed;
    const struct dump_kind *kind; /* of what is collected */
    struct buf wrapper;
    struct writer writer;
};

/* FILE is read to its end; NAME is for what is said of it.  False if it was said why not. */
bool dump_read(struct dump *d, FILE *file, const char *name);
void dump_free(struct dump *d);

/* On stderr: "NAME:LINE: ...".  Returns DUMP_STOP. */
enum dump_next dump_fail(const struct dump *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, and reading goes on. */
void dump_warn(const struct dump *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* include.c: reads the file that an <include/> of XInclude names.  HREF, PARSE and XPOINTER may be NULL. */
struct include {
    const char *href, *parse, *xpointer;
};
bool dump_include(struct dump *d, const struct include *i);
int source_depth(const struct dump_source *s);
const char *source_name(const struct dump_source *s);

#endif
