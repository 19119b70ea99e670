/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of commands: their arguments, what they answer, and a call from its request to its answer. */
#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include "admin/admin.h"
#include "run/turn.h"
#include "util/arena.h"
#include <meerkat/command.h>

enum {
    ARG_MAX_BYTES = 64 * 1024, /* of one argument */
    ARG_LONG_BYTES = 8 << 20,  /* of one with MK_ARG_LONG */
    ARG_MAX_COUNT = 256        /* in a request, a list's items counted one by one */
};

/* ---- results ------------------------------------------------------------------------------------------------------- */

struct result_field {
    struct result_field *next;
    const char *name, *value; /* as text */
    enum mk_arg_type type;    /* MK_ARG_TEXT, MK_ARG_INT or MK_ARG_BOOL */
};
struct result_row {
    struct result_row *next;
    struct result_field *first, **last;
};
struct result_line {
    struct result_line *next;
    const char *text;
};
struct mk_result {
    struct arena *arena; /* of whoever made it; everything is in it */
    struct result_row *first, **last, *row;
    unsigned count;
    bool list; /* mk_result_next() was called: one row of it is still a list */
    struct result_line *lines, **last_line;
    const char *joined; /* the lines as one text, once asked for */
    const char *why;
    const char *more_name, *more_value; /* of the argument that gets the next part, NULL if this is all */
    bool stops;                         /* the server is to stop once this was answered, */
    bool restarts;                      /* to start again, */
    int64_t delay;                      /* in so many seconds */
};
void result_init(struct mk_result *r, struct arena *arena);
void result_copy(struct mk_result *to, const struct mk_result *from); /* appends; FROM's sentence replaces TO's */
void result_say_text(struct mk_result *r, const char *text);          /* a line each, split where TEXT has them */

/* ---- arguments ----------------------------------------------------------------------------------------------------- */

struct arg {
    const struct mk_arg_decl *decl;
    char *text; /* NULL: absent */
    const struct mk_jid *jid;
    int64_t number;
};
struct mk_args {
    struct arg *items;
    uint32_t count;
};

/*
 * Checks NAMES[i] = VALUES[i] by the rows DECLS.  0, or MK_E_INVALID with the sentence in RESULT.  An argument `host` is
 * let through undeclared if WITH_HOST.  All is copied to ARENA.
 */
int args_check(struct mk_args *args, struct arena *arena, const struct mk_table *decls, bool with_host, uint32_t count,
               const char *const *names, const char *const *values, struct mk_result *result);
void args_wipe(struct mk_args *args); /* secrets are overwritten */

/* Row I of a table of a command. */
static inline const struct mk_arg_decl *arg_row(const struct mk_table *t, uint32_t i) {
    return (const struct mk_arg_decl *)((const char *)t->items + (size_t)i * t->stride);
}

/* ---- calls --------------------------------------------------------------------------------------------------------- */

void stop_server(const struct mk_result *result); /* as RESULT says, from any thread */

/* Counted: who asked holds it, and the turn that it runs in.  ROW and INST live as long as the process. */
struct call {
    atomic_uint holders;
    atomic_bool finished; /* RC and RESULT are there to be read */
    int rc;
    const struct mk_cmd_decl *row;
    const struct instance *inst;
    const struct mk_jid *target;
    struct arena arena;
    struct mk_args args;
    struct mk_result result;
    void (*done)(struct call *call); /* in the main thread */
    void *user;
    struct post post;
};
struct call *call_new(void); /* held once */
void call_unref(struct call *call);

/*
 * Finds the command NAME, checks its arguments and chooses in whose turn it runs.  CALLER is the host in whose name is
 * asked, or NULL.  0, or an error code with the sentence in the call's result.
 */
int call_prepare(struct call *call, const struct host *caller, const char *name, uint32_t count,
                 const char *const *names, const char *const *values);

/* Main thread: runs a call that was prepared, and then DONE(call), which gives up the hold. */
void call_start(struct call *call, void (*done)(struct call *call), void *user);

/* Whether a command without AT takes an argument `host` that it does not declare. */
bool command_takes_host(const struct command_entry *e);

/* The newest snapshot's commands, each once: of all host types. */
struct command_list {
    const struct command_entry **items;
    uint32_t count;
};
void commands_all(struct arena *arena, struct command_list *out); /* sorted by name */

/* ---- for commands that look further -------------------------------------------------------------------------------- */

/*
 * Calls FN on every worker, with a copy of ARG's SIZE bytes, and waits.  (*OUT)[i] is what it returned on worker i; what
 * it allocates in ARENA belongs to the turn then.
 */
typedef void *gather_fn(struct worker *w, struct arena *arena, const void *arg);
MK_SUSPENDS int gather(struct mk_ctx *c, gather_fn *fn, const void *arg, size_t size, void ***out);

/* Calls FN(result, TEXT) in the main thread, waits, and adds what it answered to RESULT. */
typedef int main_fn(struct mk_result *result, const char *text);
MK_SUSPENDS int main_ask(struct mk_ctx *c, const char *method, main_fn *fn, const char *text, struct mk_result *result);

extern const struct admin_server *admin_server; /* what control_open() was given; main thread */

/* What a worker says of itself; on that worker. */
struct worker_sample {
    unsigned metric_count, fibers_busy;
    size_t stack_high_water;
    int64_t metrics[];
};
struct worker_sample *worker_sample(struct worker *w, struct arena *arena);
static inline int64_t sample_metric(const struct worker_sample *s, unsigned place) {
    return place < s->metric_count ? s->metrics[place] : 0;
}

const char *time_of_day(struct mk_ctx *c, int64_t us); /* to the second: "2026-11-24T10:11:12Z" */
int64_t process_memory(void);                          /* resident bytes */
int64_t process_allocated(void);                       /* bytes in use of those; what caches keep counts */
int64_t server_uptime(void);                           /* us */

/* ---- the server's own, one function a row -------------------------------------------------------------------------- */

#define COMMAND(name) MK_SUSPENDS int cmd_##name(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result)
COMMAND(status);
COMMAND(listeners);
COMMAND(hosts_list);
COMMAND(users_add);
COMMAND(users_del);
COMMAND(users_list);
COMMAND(users_password);
COMMAND(users_exists);
COMMAND(users_count);
COMMAND(sessions_list);
COMMAND(sessions_count);
COMMAND(sessions_kick);
COMMAND(components_list);
COMMAND(components_close);
COMMAND(s2s_list);
COMMAND(s2s_close);
COMMAND(plugins);
COMMAND(services);
COMMAND(hooks);
COMMAND(fibers);
COMMAND(metrics);
COMMAND(log_level);
COMMAND(storage_status);
COMMAND(storage_list);
COMMAND(storage_count);
COMMAND(schema);
COMMAND(reload);
COMMAND(stop);

#endif
