/* SPDX-License-Identifier: Apache-2.0 */
/* meerkat-convert: what another server stored as a dump of XEP-0227 on standard output. */
#ifndef CONVERT_CONVERT_H
#define CONVERT_CONVERT_H

#include "util/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On stderr; returns false. */
bool complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Readers of servers: WORDS are what was given behind the server's name.  False: it was said why. */
bool convert_prosody(int count, char **words);
bool convert_ejabberd(int count, char **words);
bool convert_mongooseim(int count, char **words);

/* The dump, on standard output. */
void dump_begin(void);
void dump_end(void);
void dump_host(const char *jid);                        /* NULL: the one before ends */
void dump_user(const char *name, const char *password); /* PASSWORD may be NULL; NAME NULL: the one before ends */
void dump_text(const struct buf *xml);
/* SCRAM keys; binary. */
struct dump_keys {
    const char *mechanism, *iterations;
    const void *salt, *stored, *server;
    size_t salt_len, len;
};
void dump_keys(const struct dump_keys *k);
/* Adds what is an element by itself; NS is for one that says none.  False if it is none: it would spoil the dump. */
bool put_xml(struct buf *out, const char *xml, size_t len, const char *ns);
/* Adds <delay/> to the message that OUT ends with: servers that say only as they deliver it when it came. */
void put_delay(struct buf *out, const char *from, int64_t us);
void put_stamp(struct buf *out, int64_t us); /* as XEP-0082 has it */

#endif
