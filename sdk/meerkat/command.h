/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - a command of the operator.  One row is a subcommand of meerkatctl, an ad-hoc command (XEP-0050), and a
 * section of the manual.
 */
#ifndef MEERKAT_COMMAND_H
#define MEERKAT_COMMAND_H

#include <meerkat/jid.h>

MK_BEGIN_DECLS

enum mk_arg_type { MK_ARG_TEXT, MK_ARG_JID, MK_ARG_INT, MK_ARG_BOOL, MK_ARG_SECRET, MK_ARG_TEXTS };
enum {
    MK_ARG_OPTIONAL = 1,
    MK_ARG_LONG = 2 /* a text of up to 8 MiB; else 64 KiB */
};
struct mk_arg_decl {
    const char *name;
    uint32_t type, flags;
    const char *doc;
};

enum { MK_CMD_READ = 0, MK_CMD_WRITE = 1 };

/*
 * NAME is a dotted path, "announce.online".  AT says whose turn RUN runs in: the name of a JID argument (that account's),
 * or "" for the host, which is the argument `host` if there is one and the only host else.  RUN is SERIAL.
 * REST is "METHOD /path/{arg}" for the HTTP interface.  RUN returns 0 or an error code after mk_result_error().
 */
struct mk_cmd_decl {
    const char *name, *summary, *rest, *at;
    uint32_t flags, zero;
    struct mk_table args, results; /* both of struct mk_arg_decl */
    int (*run)(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result);
};

/* The value of an argument, checked for its type; NULL, 0 or false if an optional one is absent.  As text a list is its
 * items, one a line. */
MK_EXPORT const char *mk_arg_text(const struct mk_args *args, const char *name);
MK_EXPORT const struct mk_jid *mk_arg_jid(const struct mk_args *args, const char *name);
MK_EXPORT int64_t mk_arg_int(const struct mk_args *args, const char *name);
MK_EXPORT bool mk_arg_bool(const struct mk_args *args, const char *name);
MK_EXPORT bool mk_arg_has(const struct mk_args *args, const char *name);

/*
 * Results: fields by name, as declared in .results.  mk_result_next() begins another row, for commands that answer a
 * list: call it once for each row, before or after it, or a list of one would look like a single answer.
 * mk_result_say() adds a line for people.  mk_result_error() sets the sentence shown on failure and returns RC.
 */
MK_EXPORT void mk_result_text(struct mk_result *r, const char *name, const char *value);
MK_EXPORT void mk_result_int(struct mk_result *r, const char *name, int64_t value);
MK_EXPORT void mk_result_bool(struct mk_result *r, const char *name, bool value);
MK_EXPORT void mk_result_next(struct mk_result *r);
MK_EXPORT void mk_result_say(struct mk_result *r, const char *fmt, ...) MK_PRINTF(2);
MK_EXPORT int mk_result_error(struct mk_result *r, int rc, const char *fmt, ...) MK_PRINTF(3);

/* There is more than this result should hold: who runs the command again with argument NAME being VALUE, and the others as
 * they were, gets the next part.  meerkatctl does so by itself. */
MK_EXPORT void mk_result_more(struct mk_result *r, const char *name, const char *value);

/* ---- for plugins that show commands to others, as adhoc does ------------------------------------------------------ */

/* The I-th command that the turn's host has, of the server itself and of all enabled plugins; NULL past the last. */
MK_EXPORT const struct mk_cmd_decl *mk_command_at(const struct mk_ctx *c, unsigned i);

/*
 * Runs a command by name with arguments NAMES[i] = VALUES[i] as text (a list's items with one name repeated), checked
 * as the row says, and suspends until it answered.  The result is lent for the turn.  The caller has checked that who
 * asks may.  Any turn but the one the command is AT: that one would wait for itself (MK_E_INVALID).
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_command_run(struct mk_ctx *c, const char *name, uint32_t count,
                                                       const char *const *names, const char *const *values,
                                                       const struct mk_result **out);

/* Reading a result: rows, fields, the lines for people, the sentence of an error (NULL if none). */
MK_EXPORT unsigned mk_result_rows(const struct mk_result *r);
MK_EXPORT const char *mk_result_get(struct mk_ctx *c, const struct mk_result *r, unsigned row, const char *name);
MK_EXPORT const char *mk_result_lines(const struct mk_result *r);
MK_EXPORT const char *mk_result_why(const struct mk_result *r);

/* What mk_result_more() was told: the argument's name, NULL if there is no more; and its value. */
MK_EXPORT const char *mk_result_more_name(const struct mk_result *r);
MK_EXPORT const char *mk_result_more_value(const struct mk_result *r);

/* Delivers S to every available session of the turn's host, on all workers.  Does not wait. */
struct mk_stanza;
MK_EXPORT void mk_send_online(struct mk_ctx *c, const struct mk_stanza *s);

/* Runs hook account_told in the turn of every account of the turn's host that is in memory, on all workers.  Does not
 * wait.  WHAT is the event's, copied. */
MK_EXPORT void mk_tell_accounts(struct mk_ctx *c, const char *what);

MK_END_DECLS

#endif
