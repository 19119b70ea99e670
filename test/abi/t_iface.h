/* SPDX-License-Identifier: Apache-2.0 */
/* An interface of the test plugins. */
#ifndef T_IFACE_H
#define T_IFACE_H

#include <meerkat/service.h>

struct t_iface_ops {
    uint32_t size, zero;
    int (*twice)(struct mk_ctx *c, int64_t n);
};
struct t_iface {
    struct mk_svc svc;
};
MK_CALL1(t_iface, twice, int, -1, int64_t, n)

#endif
