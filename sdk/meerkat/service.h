/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - what plugins provide to each other.
 *
 * An interface is a header of its own: a struct whose first member is a struct mk_svc, a table of operations whose
 * first member is its size, and one typed wrapper an operation.  A provider fills the table; a user binds a field of
 * its instance to the provider and calls the wrappers.  A new interface needs no change of the server.
 *
 * There are two kinds of operation.
 *   MK_CALL    the provider's function runs in the caller's turn, on its stack, with mk_inst() and mk_worker() being
 *              the provider's.  It may suspend if the wrapper is called where that is allowed.  For features.
 *   MK_METHOD  start and complete: the provider's function runs on the worker's own stack and the caller's fiber is
 *              suspended until mk_op_done().  For backends over callback libraries.
 */
#ifndef MEERKAT_SERVICE_H
#define MEERKAT_SERVICE_H

#include <meerkat/ctx.h>

MK_BEGIN_DECLS

/* A bound service.  Filled by the server. */
struct mk_svc {
    const void *ops;
    void *provider; /* the server's own: who provides it */
    uint32_t minor; /* of the provider's table */
    uint32_t zero;
};

/* A list of services, for MK_NEED_MANY, in the order the operator named the providers. */
struct mk_svcs {
    const struct mk_svc *const *items;
    uint32_t count;
};

enum {
    MK_NEED_HARD = 0, /* the server does not start without a provider */
    MK_NEED_SOFT = 1, /* the field is NULL if nobody provides it */
    MK_NEED_MANY = 2  /* bind all providers; the field is a struct mk_svcs */
};
struct mk_need_decl {
    const char *iface;
    uint16_t major, minor; /* majors equal, the provider's minor at least this */
    uint32_t bind;         /* offset in the instance */
    uint32_t flags;
    const char *pick; /* name of a text option that chooses among several providers, or NULL */
};
struct mk_provide_decl {
    const char *iface;
    uint16_t major, minor;
    const void *ops;
    const char *doc;
};

/* Bind field m of instance T, a `const struct SVC *`, to a provider of SVC. */
#define MK_NEED(T, m, svc, major, minor, flags, pick)                                                                  \
    { #svc, (major), (minor), offsetof(T, m) + MK_SAME_(const struct svc *, ((T *)0)->m), (flags), (pick) }
#define MK_PROVIDE(svc, major, minor, opstab, doc)                                                                     \
    { #svc, (major), (minor), (opstab), (doc) }

/* ---- direct calls ---------------------------------------------------------------------------------------------- */

/* For the wrappers of MK_CALL: makes the provider current, and the caller again. */
MK_EXPORT const void *mk_svc_enter(struct mk_ctx *c, const struct mk_svc *svc);
MK_EXPORT void mk_svc_leave(struct mk_ctx *c, const void *before);

/* An operation M of interface I with up to 4 arguments, returning R, or ELSE if the provider's table is too old. */
#define MK_CALL_(I, m, R, otherwise, params, args)                                                                     \
    static inline R I##_##m params {                                                                                   \
        const struct I##_ops *o = (const struct I##_ops *)s->svc.ops;                                                  \
        if (o->size <= offsetof(struct I##_ops, m) || !o->m)                                                           \
            return otherwise;                                                                                          \
        const void *before = mk_svc_enter(c, &s->svc);                                                                 \
        R r = o->m args;                                                                                               \
        mk_svc_leave(c, before);                                                                                       \
        return r;                                                                                                      \
    }
#define MK_CALL0(I, m, R, otherwise) MK_CALL_(I, m, R, otherwise, (struct mk_ctx * c, const struct I *s), (c))
#define MK_CALL1(I, m, R, otherwise, t1, a1)                                                                           \
    MK_CALL_(I, m, R, otherwise, (struct mk_ctx * c, const struct I *s, t1 a1), (c, a1))
#define MK_CALL2(I, m, R, otherwise, t1, a1, t2, a2)                                                                   \
    MK_CALL_(I, m, R, otherwise, (struct mk_ctx * c, const struct I *s, t1 a1, t2 a2), (c, a1, a2))
#define MK_CALL3(I, m, R, otherwise, t1, a1, t2, a2, t3, a3)                                                           \
    MK_CALL_(I, m, R, otherwise, (struct mk_ctx * c, const struct I *s, t1 a1, t2 a2, t3 a3), (c, a1, a2, a3))
#define MK_CALL4(I, m, R, otherwise, t1, a1, t2, a2, t3, a3, t4, a4)                                                   \
    MK_CALL_(I, m, R, otherwise, (struct mk_ctx * c, const struct I *s, t1 a1, t2 a2, t3 a3, t4 a4),                   \
             (c, a1, a2, a3, a4))

/* ---- start and complete ---------------------------------------------------------------------------------------- */

typedef void mk_go_fn(struct mk_op *op, void *args);

/*
 * Runs GO(op, ARGS) on the worker's own stack, then suspends until the op is done; counts and times METHOD.  Returns
 * what the op was done with, MK_E_TIMEOUT or MK_E_CANCELLED.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_op_run(struct mk_ctx *c, const struct mk_svc *svc, const char *method,
                                                  mk_go_fn *go, void *args);

/* Completes the op, exactly once, on the worker that started it.  Before the start function returns is fine. */
MK_EXPORT void mk_op_done(struct mk_op *op, int rc);

/* The same from any other thread. */
MK_EXPORT void mk_op_done_remote(struct mk_op *op, int rc);

/*
 * For a library that has a connection of its own and does not block: its answer then costs no thread.  Calls FN(op, ARG,
 * true) on the op's worker once FD can be read, or has failed; or FN(op, ARG, false) after MS milliseconds, 1 to 3,600,000.
 * Once, unless FN asks again, and not before this returns.  To be called on the op's worker while the op is not done; an op
 * has one watch, so a new one takes the place of the old.  It ends with the op: FD must stay open until FN is called or the
 * op is done.  FN is INLINE, on the worker's own stack.  Once the server has begun to stop FN may never be called, and
 * whoever completes the op then must find that out by itself.  Does not suspend.
 */
typedef void mk_op_ready_fn(struct mk_op *op, void *arg, bool ready);
MK_EXPORT void mk_op_watch(struct mk_op *op, int fd, uint32_t ms, mk_op_ready_fn *fn, void *arg);

/* False once nobody waits: then write no result, the caller's memory is gone.  Ask on the op's worker. */
MK_EXPORT bool mk_op_live(const struct mk_op *op);

/* The provider's instance and worker memory, for the op's start function. */
MK_EXPORT const void *mk_op_inst(const struct mk_op *op);
MK_EXPORT void *mk_op_worker(const struct mk_op *op);

/*
 * Memory that belongs to the op until it is done and then to the turn that waited (or to nobody, if none does): the
 * place for results.  Any one thread at a time.
 */
MK_EXPORT void *mk_op_alloc(struct mk_op *op, size_t size) __attribute__((returns_nonnull));

#define MK_METHOD_(I, m, fields, params, inits, args)                                                                  \
    struct I##_##m##_args {                                                                                            \
        const struct I *s;                                                                                             \
        fields                                                                                                         \
    };                                                                                                                 \
    static inline void I##_##m##_go(struct mk_op *op, void *p) {                                                       \
        struct I##_##m##_args *a = (struct I##_##m##_args *)p;                                                         \
        const struct I##_ops *o = (const struct I##_ops *)a->s->svc.ops;                                               \
        if (o->size <= offsetof(struct I##_ops, m) || !o->m)                                                           \
            mk_op_done(op, MK_E_UNSUPPORTED);                                                                          \
        else                                                                                                           \
            o->m args;                                                                                                 \
    }                                                                                                                  \
    MK_SUSPENDS MK_MUST_CHECK static inline int I##_##m params {                                                       \
        struct I##_##m##_args a = inits;                                                                               \
        return mk_op_run(c, &s->svc, #m, I##_##m##_go, &a);                                                            \
    }
#define MK_INIT_(...)                                                                                                  \
    { __VA_ARGS__ }
#define MK_METHOD1(I, m, t1, a1)                                                                                       \
    MK_METHOD_(I, m, t1 a1;, (struct mk_ctx * c, const struct I *s, t1 a1), MK_INIT_(s, a1), (op, a->a1))
#define MK_METHOD2(I, m, t1, a1, t2, a2)                                                                               \
    MK_METHOD_(I, m, t1 a1; t2 a2;                                                                                     \
               , (struct mk_ctx * c, const struct I *s, t1 a1, t2 a2), MK_INIT_(s, a1, a2), (op, a->a1, a->a2))
#define MK_METHOD3(I, m, t1, a1, t2, a2, t3, a3)                                                                       \
    MK_METHOD_(I, m, t1 a1; t2 a2; t3 a3;, (struct mk_ctx * c, const struct I *s, t1 a1, t2 a2, t3 a3),                \
                                         MK_INIT_(s, a1, a2, a3), (op, a->a1, a->a2, a->a3))

MK_END_DECLS

#endif
