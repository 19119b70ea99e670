/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administration: commands from rows, run in the right turn; the control socket that meerkatctl talks to; metrics as
 * text.  The main thread has an event loop of its own for it.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "conf/conf.h"
#include "net/listener.h"
#include "route/host.h"
#include "run/worker.h"
#include <event2/event.h>

struct control_config {
    const char *socket; /* path; NULL: none */
    const char *group;  /* may use it, besides the server's own user; NULL: nobody */
};

/* What admin asks of the daemon, in the main thread. */
struct admin_server {
    /* Reads the configuration again and applies what is live.  LINES gets what changed, what needs a restart, what is
     * wrong.  False: refused, nothing changed. */
    bool (*reload)(struct buf *lines);
    void (*stop)(bool again); /* begins a clean stop; AGAIN: the program then starts anew */
    int64_t started_us;       /* of the monotonic clock */
    /* Calls EACH for every listening socket, with the real port.  May be NULL. */
    void (*listeners)(void (*each)(const struct listener_config *config, int port, void *arg), void *arg);
};

/* The server's own commands, for load_server_commands(). */
extern const struct mk_cmd_decl server_commands[];
extern const unsigned server_command_count;

/*
 * Opens the control socket, or none if CONFIG names none; SERVER, which must live on, is what commands work with in
 * either case.  In the main thread, with its loop.  0, or -1 and WHY says.
 */
int control_open(struct event_base *base, const struct control_config *config, const struct admin_server *server,
                 char *why, size_t why_size);
void control_close(void);

/* Has P->run(P) called in the main thread, from any thread; it owns P.  Order from one thread is kept. */
void main_post(struct post *p);
/* The same in SECONDS from now, 0 to MAIN_DELAY_MAX.  P is the start of a block of malloc(), which is freed
 * unused if the server stops before. */
enum { MAIN_DELAY_MAX = 86400 };
void main_post_later(struct post *p, int64_t seconds);
/* The loop of the main thread; before anything is posted.  NULL, when the workers are gone: runs what is left. */
void main_setup(struct event_base *base);

/* All metrics in the Prometheus text format; in the main thread, while the workers run. */
void metrics_text(struct buf *out);
/* Numbers the server's own metrics, from 0; returns how many places they take, load_config.first_metric. */
unsigned metrics_number(void);
/* Grows worker->metrics to COUNT places, load_metric_limit(); in the worker: at its start, and when it follows another
 * snapshot. */
void metrics_worker(struct worker *w, unsigned count);

#endif
