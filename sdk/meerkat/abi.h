/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abi.h - the handshake between the server and a plugin, and the macros every other header uses.
 *
 * Change log of the ABI, newest first.  A minor is added when a function, a table or a member is added; a major when
 * something is taken away.  ABI.md has the rules.
 *
 *   1.0  2026-11-24  First release.
 */
#ifndef MEERKAT_ABI_H
#define MEERKAT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MK_ABI_MAJOR 1
#define MK_ABI_MINOR 0 /* of these headers */

/*
 * The lowest minor your plugin relies on.  Define it before the first include; it is your statement, not ours: a server
 * of this minor or any later one loads the plugin.
 */
#ifndef MK_ABI_NEED
#error "#define MK_ABI_NEED <lowest ABI minor you rely on> before including a meerkat header"
#elif MK_ABI_NEED > MK_ABI_MINOR
#error "these headers are older than MK_ABI_NEED"
#endif

#ifdef __cplusplus
#define MK_BEGIN_DECLS extern "C" {
#define MK_END_DECLS }
#else
#define MK_BEGIN_DECLS
#define MK_END_DECLS
#endif

#define MK_EXPORT __attribute__((visibility("default")))
#define MK_MUST_CHECK __attribute__((warn_unused_result))
#define MK_PRINTF(f) __attribute__((format(printf, f, (f) + 1)))

/*
 * Marks a function that may suspend the calling fiber; a function that calls one must be marked too.  A lint in the
 * source tree reads the mark; compilers other than clang see nothing.
 */
#ifdef __clang__
#define MK_SUSPENDS __attribute__((annotate("mk_suspends")))
#else
#define MK_SUSPENDS
#endif

/* Zero, and a compile-time error unless EXPR has exactly TYPE.  Row macros use it to check a field's type. */
#ifdef __cplusplus
#define MK_SAME_(type, expr) (0 * sizeof(static_cast<type *>(&(expr))))
#else
#define MK_SAME_(type, expr) (0 * _Generic((expr), type : 1))
#endif

#define MK_MAGIC 0x4d4b504cu /* "MKPL" */

/* The first bytes of every descriptor, the same in all majors for ever. */
struct mk_head {
    uint32_t magic;     /* MK_MAGIC */
    uint16_t abi_major; /* must equal the server's */
    uint16_t abi_need;  /* the server's minor must be at least this */
    uint16_t abi_built; /* minor of the headers used; only for messages */
    uint16_t zero;
    uint32_t size; /* sizeof(struct mk_plugin) as compiled */
};

/*
 * A table of rows.  The stride lets rows grow: the server copies the part it knows of each row and reads a missing tail
 * as zero.
 */
struct mk_table {
    const void *items;
    uint32_t count, stride;
};
#define MK_TABLE(a)                                                                                                    \
    { (a), sizeof(a) / sizeof((a)[0]), sizeof((a)[0]) }

/* Objects of the server.  A plugin holds pointers to them and never looks inside. */
struct mk_ctx;     /* the turn you are in: first argument of nearly everything */
struct mk_jid;     /* a JID, prepared and immutable */
struct mk_elem;    /* an XML element of a stanza, immutable */
struct mk_stanza;  /* a stanza or another element of a stream, immutable and counted */
struct mk_out;     /* a stanza being written */
struct mk_stream;  /* a client's stream: one connection */
struct mk_session; /* a bound resource, connected or kept for resumption */
struct mk_coll;    /* a collection you declared */
struct mk_row;     /* a row read from a collection */
struct mk_rows;
struct mk_op;     /* work that completes later */
struct mk_args;   /* arguments of a command */
struct mk_result; /* what a command answers */
struct mk_err;    /* why the server can't start */

/* A piece of text that need not end in NUL; lent as long as what it was read from. */
struct mk_view {
    const char *s;
    size_t len;
};

#endif
