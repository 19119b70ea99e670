/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - interface `mk_reports` 1.0: takes reports of spam and abuse (XEP-0377) of the account whose turn it is. */
#ifndef MEERKAT_REPORT_H
#define MEERKAT_REPORT_H

#include <meerkat/service.h>

MK_BEGIN_DECLS

struct mk_reports_ops {
    uint32_t size, zero;
    /* REPORT is an element <report xmlns='urn:xmpp:reporting:1'/> about REPORTED, whom the account has blocked.  MK_E_LIMIT
     * if the account reports too much.  May suspend. */
    int (*take)(struct mk_ctx *c, const struct mk_jid *reported, const struct mk_elem *report);
};
struct mk_reports {
    struct mk_svc svc;
};

MK_CALL2(mk_reports, take, int, MK_E_UNSUPPORTED, const struct mk_jid *, reported, const struct mk_elem *, report)

MK_END_DECLS

#endif
