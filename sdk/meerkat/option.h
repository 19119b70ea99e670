/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - a plugin's configuration is a table.  The server parses, checks and documents it; the plugin reads the
 * fields of its instance.
 */
#ifndef MEERKAT_OPTION_H
#define MEERKAT_OPTION_H

#include <meerkat/abi.h>

MK_BEGIN_DECLS

/* The C type of the field is named beside each. */
enum mk_opt_type {
    MK_T_BOOL,     /* bool */
    MK_T_INT,      /* int64_t, within min..max */
    MK_T_DURATION, /* int64_t milliseconds; written 1500 (ms), "30s", "10m", "2h", "7d", or "infinite" (INT64_MAX) */
    MK_T_SIZE,     /* int64_t bytes; written 4096, "64K", "10M", "1G", or "infinite" (INT64_MAX) */
    MK_T_TEXT,     /* const char *, NULL if not set and without default */
    MK_T_JID,      /* const struct mk_jid *, NULL if not set */
    MK_T_ENUM,     /* int64_t, index in .names */
    MK_T_TEXTS,    /* struct mk_texts: a list of texts */
    /* const char *, a path that must be readable when the configuration is checked; a relative one is taken from the
     * folder of the file that names it */
    MK_T_FILE
};
enum {
    MK_OPT_REQUIRED = 1,
    MK_OPT_SECRET = 2, /* never printed; the value may be "file:PATH" or "env:NAME" */
    MK_OPT_LIVE = 4    /* a reload may change it; other options want a restart */
};

struct mk_texts {
    const char *const *items;
    uint32_t count;
};

/*
 * DFLT is the default as an operator would write it, NULL for none.  DOC is one or two full sentences for the manual.
 * Values live in the instance, whose memory is read-only once start() returned; on a reload a new instance takes over
 * and the fields that are no options are copied to it.
 */
struct mk_opt_decl {
    const char *name;
    uint32_t type, offset, flags, zero;
    int64_t min, max;
    const char *dflt, *doc;
    const char *const *names; /* MK_T_ENUM: ended by NULL */
};

#define MK_OPT_BOOL(T, m, dflt, flags, doc)                                                                            \
    { #m, MK_T_BOOL, offsetof(T, m) + MK_SAME_(bool, ((T *)0)->m), (flags), 0, 0, 1, (dflt), (doc), NULL }
#define MK_OPT_INT(T, m, dflt, min, max, flags, doc)                                                                   \
    { #m, MK_T_INT, offsetof(T, m) + MK_SAME_(int64_t, ((T *)0)->m), (flags), 0, (min), (max), (dflt), (doc), NULL }
#define MK_OPT_DURATION(T, m, dflt, min, max, flags, doc)                                                              \
    {                                                                                                                  \
#m, MK_T_DURATION, offsetof(T, m) + MK_SAME_(int64_t, ((T *)0)->m), (flags), 0, (min), (max), (dflt), (doc),   \
            NULL                                                                                                       \
    }
#define MK_OPT_SIZE(T, m, dflt, min, max, flags, doc)                                                                  \
    { #m, MK_T_SIZE, offsetof(T, m) + MK_SAME_(int64_t, ((T *)0)->m), (flags), 0, (min), (max), (dflt), (doc), NULL }
#define MK_OPT_TEXT(T, m, dflt, flags, doc)                                                                            \
    { #m, MK_T_TEXT, offsetof(T, m) + MK_SAME_(const char *, ((T *)0)->m), (flags), 0, 0, 0, (dflt), (doc), NULL }
#define MK_OPT_FILE(T, m, dflt, flags, doc)                                                                            \
    { #m, MK_T_FILE, offsetof(T, m) + MK_SAME_(const char *, ((T *)0)->m), (flags), 0, 0, 0, (dflt), (doc), NULL }
#define MK_OPT_JID(T, m, flags, doc)                                                                                   \
    { #m, MK_T_JID, offsetof(T, m) + MK_SAME_(const struct mk_jid *, ((T *)0)->m), (flags), 0, 0, 0, NULL, (doc), NULL }
#define MK_OPT_ENUM(T, m, dflt, names, flags, doc)                                                                     \
    { #m, MK_T_ENUM, offsetof(T, m) + MK_SAME_(int64_t, ((T *)0)->m), (flags), 0, 0, 0, (dflt), (doc), (names) }
#define MK_OPT_TEXTS(T, m, dflt, flags, doc)                                                                           \
    { #m, MK_T_TEXTS, offsetof(T, m) + MK_SAME_(struct mk_texts, ((T *)0)->m), (flags), 0, 0, 0, (dflt), (doc), NULL }

MK_END_DECLS

#endif
