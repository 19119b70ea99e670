/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.h - interface `mk_move` 1.0: what a plugin stores for an account, on its way out of this server or into it.
 *
 * It travels as the elements that XEP-0227 has inside of <user/>, or as elements of a namespace of the plugin's own where
 * the XEP has none.  Every plugin that keeps data of accounts provides this interface; the plugin `move` asks all of
 * them, and knows none.  All operations run in the account's own turn: mk_self() is the account, slots may be used, and
 * sessions that are there are to see what changed as if another client had changed it.
 *
 * Accounts themselves and their credentials are not moved by this interface but by auth.h.
 */
#ifndef MEERKAT_MOVE_H
#define MEERKAT_MOVE_H

#include <meerkat/command.h>
#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

#define MK_NS_MOVE "urn:xmpp:pie:0" /* XEP-0227 */

/* An element that the plugin writes and takes, inside of <user/>. */
struct mk_move_kind {
    const char *name, *ns;
    uint32_t flags, zero; /* MK_MOVE_... */
};
enum {
    /* It may be too long for memory: an archive.  Its children are moved some at a time, each time in an element of this
     * name, which together stand for one.  Its own attributes come each time. */
    MK_MOVE_SERIES = 1
};

struct mk_move_ops {
    uint32_t size, zero;
    struct mk_table kinds; /* of struct mk_move_kind: no other element comes to take() */
    /*
     * Writes a part of the account's data to O as whole elements, or nothing if there is none: about 64 KiB of what can
     * be long.  AFTER is "" at first.  With *MORE set, to text of at most 1 KiB in the turn's memory, it is called again
     * with that as AFTER.  What can't be written is left out, with a line in REPORT by mk_result_say().  May suspend.
     */
    int (*write)(struct mk_ctx *c, const char *after, struct mk_out *o, const char **more, struct mk_result *report);
    /*
     * Stores what is in E, an element of KINDS, beside what the account has: of one thing that is in both, E's stays.
     * The same may come again after an import that was cut, and then nothing may be stored twice.  *STATE is 0 for the
     * first element of a name, and what the call before left there for the next ones of a series, in the same import.
     * What is invalid or goes beyond a limit is left out, with a line in REPORT; an error is for the store alone.
     */
    int (*take)(struct mk_ctx *c, const struct mk_elem *e, int64_t *state, struct mk_result *report);
    /* Deletes all that the account has of this, without telling anybody else: it is about to be replaced.  May suspend. */
    int (*drop)(struct mk_ctx *c);
};
struct mk_move {
    struct mk_svc svc;
};

MK_CALL4(mk_move, write, int, MK_E_UNSUPPORTED, const char *, after, struct mk_out *, out, const char **, more,
         struct mk_result *, report)
MK_CALL3(mk_move, take, int, MK_E_UNSUPPORTED, const struct mk_elem *, e, int64_t *, state, struct mk_result *, report)
MK_CALL0(mk_move, drop, int, MK_E_UNSUPPORTED)

MK_END_DECLS

#endif
