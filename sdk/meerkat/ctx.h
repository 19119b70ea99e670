/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctx.h - the execution contract, and what a turn gives you.
 *
 * THE EXECUTION CONTRACT (ABI 1).  Debug builds assert every MUST.
 *
 * Turns     An account, room or host is an entity with one home worker thread.  The server hands an entity one piece of
 *           mail at a time; handling it is a turn.  While your handler waits inside an MK_SUSPENDS call the entity takes
 *           no other mail: its slots, its sessions and the stanza you hold are as you left them.  Other entities of the
 *           worker do run: what you reach through mk_worker() may have changed; read it again.
 * Modes     MK_INLINE  on the worker's stack; MUST NOT call an MK_SUSPENDS function.
 *           MK_SERIAL  in the entity's fiber; may suspend; the entity's mail waits for you.
 *           MK_ASIDE   in a fiber beside the entity; may suspend; MUST NOT touch slots or sessions.  For queries.
 * Suspends  Only functions marked MK_SUSPENDS suspend; a function that calls one MUST be marked.  Logging, counting,
 *           building and sending never do.  A call returns its result, MK_E_TIMEOUT when the turn's deadline passes, or
 *           MK_E_CANCELLED when the server stops.  After the last two, return; the server answers the peer.
 * Threads   A fiber never changes thread.  Take no lock.  Do not carry errno or a thread-local across a suspension.
 *           Never block: no sleep, file, socket or name lookup; give such work to mk_offload().  10 ms of computing in
 *           one go is logged with your name.
 * Stack     64 KiB.  No VLA, no alloca, no frame above 4 KiB, no recursion on input, no foreign parser:
 *           mk_on_big_stack(c, fn, arg) runs fn on the worker's own stack, where it MUST NOT suspend.
 * Memory    What a function returns is lent until the turn ends unless its comment says OWNED.  Instance memory is
 *           read-only once start() returned.  Allocation does not fail: the process stops first.
 * Order     Mail from one entity to another keeps its order.  Nothing else does.  There is no call that waits for
 *           another entity, so there is nothing to deadlock: send mail, handle the answer as mail.
 * Backends  Methods declared with MK_METHOD run on the worker's own stack, never in a fiber.  Start the work, return,
 *           and complete the op exactly once; completing it before you return is the fast path.  Arguments are lent for
 *           the start only unless the interface says otherwise.
 */
#ifndef MEERKAT_CTX_H
#define MEERKAT_CTX_H

#include <meerkat/abi.h>
#include <meerkat/errors.h>

MK_BEGIN_DECLS

/* How a handler runs.  See the contract. */
enum mk_mode { MK_INLINE, MK_SERIAL, MK_ASIDE };

/* This plugin's instance for the host in whose name the turn runs: the struct its options were parsed into. */
MK_EXPORT const void *mk_inst(const struct mk_ctx *c);

/* This worker's copy of worker_size bytes; mutable, used by this thread alone; NULL if the plugin asked for none. */
MK_EXPORT void *mk_worker(const struct mk_ctx *c);

/*
 * The entity whose turn it is: an account's or room's bare JID, or a host.  In a handler of an iq sent to the server it
 * is the host.
 */
MK_EXPORT const struct mk_jid *mk_self(const struct mk_ctx *c);

/* The served host that the turn belongs to, as a JID without local part. */
MK_EXPORT const struct mk_jid *mk_host(const struct mk_ctx *c);

/* True if JID (any form) is an administrator of the turn's host: option `admins` of the host. */
MK_EXPORT bool mk_is_admin(const struct mk_ctx *c, const struct mk_jid *jid);

/* The I-th administrator of the turn's host, NULL past the last.  Their names are nobody's business but the operator's. */
MK_EXPORT const struct mk_jid *mk_admin_at(const struct mk_ctx *c, unsigned i);

/* True if DOMAIN is served here, as a host or by a plugin (domain.h). */
MK_EXPORT bool mk_is_local(const struct mk_ctx *c, struct mk_view domain);

/* The I-th external component (XEP-0114) that is connected and not to be hidden, by its domain; NULL past the last. */
MK_EXPORT const char *mk_component_at(const struct mk_ctx *c, unsigned i);

/* Memory of the turn, zeroed, freed when it ends.  Never NULL. */
MK_EXPORT void *mk_alloc(struct mk_ctx *c, size_t size) __attribute__((malloc, returns_nonnull));

/* Memory that outlives the turn, zeroed; for what slots and worker memory point to.  OWNED: give it back to mk_free(),
 * which takes NULL too.  Never NULL. */
MK_EXPORT void *mk_malloc(size_t size) __attribute__((malloc, returns_nonnull));
MK_EXPORT void mk_free(void *memory);

/* Text in the turn's memory, ended by NUL. */
MK_EXPORT char *mk_printf(struct mk_ctx *c, const char *fmt, ...) MK_PRINTF(2);
MK_EXPORT char *mk_text_of(struct mk_ctx *c, struct mk_view text);

/* Microseconds since 1970-01-01 UTC, read once per loop of the worker; may step when the clock is set. */
MK_EXPORT int64_t mk_now(const struct mk_ctx *c);

/* Milliseconds that only grow, for durations; from an arbitrary start. */
MK_EXPORT int64_t mk_now_ms(const struct mk_ctx *c);

/* TIME (microseconds since 1970) as XEP-0082 DateTime in UTC with microseconds, in the turn's memory. */
MK_EXPORT const char *mk_time_text(struct mk_ctx *c, int64_t time);

/* Reads a XEP-0082 DateTime into *TIME (microseconds since 1970).  MK_E_INVALID if it is none. */
MK_EXPORT MK_MUST_CHECK int mk_time_parse(const char *text, int64_t *time);

/* SIZE bytes fit for keys and tokens. */
MK_EXPORT void mk_random(void *out, size_t size);

/* A fresh unguessable identifier of 22 characters A-Z a-z 0-9 - _ in the turn's memory (128 bits). */
MK_EXPORT const char *mk_random_id(struct mk_ctx *c);

/* Log levels, syslog's order.  What is below the plugin's configured level costs one comparison. */
enum mk_level { MK_ERROR = 3, MK_WARNING = 4, MK_NOTICE = 5, MK_INFO = 6, MK_DEBUG = 7 };

/*
 * One line to the server's log; the server adds time, plugin, entity and host.  Never secrets.  Does not suspend.
 */
MK_EXPORT void mk_log(struct mk_ctx *c, enum mk_level level, const char *fmt, ...) MK_PRINTF(3);

/*
 * The same from any thread and without a turn, for what a plugin with MK_PLUGIN_GLOBAL does in threads of its own.  INST
 * is what its start() got; from start() on.
 */
MK_EXPORT void mk_log_from(const void *inst, enum mk_level level, const char *fmt, ...) MK_PRINTF(3);

/*
 * Runs FN(ARG) on a thread of the offload pool and suspends until it returned.  For work that computes or blocks: a
 * password hash, a file, a library without asynchronous calls.  FN gets no mk_ctx and must call no function of this
 * SDK but mk_random() and mk_strerror().  Waits for FN however long it takes, so ARG may live on your stack.
 * MK_E_CANCELLED if the server stops before FN was started, else 0.
 */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_offload(struct mk_ctx *c, void (*fn)(void *arg), void *arg);

/* Runs FN(ARG) at once on the worker's own stack (8 MiB), for code that needs more than a fiber has. */
MK_EXPORT void mk_on_big_stack(struct mk_ctx *c, void (*fn)(void *arg), void *arg);

/*
 * Runs FN(ARG) in a turn of its own beside mk_self() (MK_ASIDE), with a deadline of its own: for what takes long and whose
 * outcome this turn does not wait for.  FN frees ARG.  Does not suspend.
 */
MK_EXPORT void mk_aside(struct mk_ctx *c, void (*fn)(struct mk_ctx *c, void *arg), void *arg);

/* Suspends for MS milliseconds, 0 to 10,000; 0 lets other entities run.  Counts against the turn's deadline. */
MK_EXPORT MK_SUSPENDS MK_MUST_CHECK int mk_sleep(struct mk_ctx *c, uint32_t ms);

MK_END_DECLS

#endif
