/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adhoc.h - interface `mk_adhoc` 1.0: commands for clients (XEP-0050) that have a node and a form of their own.  Any
 * number of plugins provide it, and plugin adhoc offers them beside the operator's commands, which need no interface.
 */
#ifndef MEERKAT_ADHOC_H
#define MEERKAT_ADHOC_H

#include <meerkat/form.h>
#include <meerkat/service.h>

MK_BEGIN_DECLS

enum { MK_ADHOC_FORM = 1 /* it begins with a form; else it runs at once */ };
struct mk_adhoc_command {
    const char *node, *name; /* NAME is what people read */
    uint32_t flags, zero;
};

/* Somebody uses a command. */
struct mk_adhoc_request {
    const struct mk_adhoc_command *command;
    const struct mk_jid *who;   /* full */
    const struct mk_elem *form; /* in run: what was filled in, NULL without MK_ADHOC_FORM */
    struct mk_out *out;         /* form: inside of <x type='form'/>, write fields.  run: inside of <command/> */
    const char *note;           /* set by run, for people: lent for the turn, or NULL */
    bool failed;                /* set by run if the note is about an error */
};

/* In the turn of nobody, for the host (MK_ASIDE); all may suspend. */
struct mk_adhoc_ops {
    uint32_t size, zero;
    /* Command number I of the provider; MK_E_NOTFOUND past the last. */
    int (*at)(struct mk_ctx *c, uint32_t i, const struct mk_adhoc_command **command);
    /* 0 if WHO may use it, and learn that it is there; MK_E_DENIED. */
    int (*may)(struct mk_ctx *c, const struct mk_jid *who, const struct mk_adhoc_command *command);
    int (*form)(struct mk_ctx *c, struct mk_adhoc_request *request);
    /* MK_E_INVALID: the form lacks something, and may be sent again.  Other codes are answered as errors.h says. */
    int (*run)(struct mk_ctx *c, struct mk_adhoc_request *request);
};
struct mk_adhoc {
    struct mk_svc svc;
};

MK_CALL2(mk_adhoc, at, int, MK_E_NOTFOUND, uint32_t, i, const struct mk_adhoc_command **, command)
MK_CALL2(mk_adhoc, may, int, MK_E_DENIED, const struct mk_jid *, who, const struct mk_adhoc_command *, command)
MK_CALL1(mk_adhoc, form, int, MK_E_UNSUPPORTED, struct mk_adhoc_request *, request)
MK_CALL1(mk_adhoc, run, int, MK_E_UNSUPPORTED, struct mk_adhoc_request *, request)

MK_END_DECLS

#endif
