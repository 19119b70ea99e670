/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plugin share: a service is a command of XEP-0133, and stands on commands of the operator. */
#ifndef ADMIN_SERVICES_H
#define ADMIN_SERVICES_H

#include <meerkat/accounts.h>
#include <meerkat/adhoc.h>
#include <meerkat/plugin.h>

#define NS_ADMIN "http://jabber.org/protocol/admin"

struct admin {
    int64_t idle_after, max_list;
    const struct mk_accounts *accounts; /* NULL: only option `admins` says who may */
};

/* COMMAND is the operator's command that WHO must be allowed to run; without such a command there is no service. */
struct service {
    struct mk_adhoc_command row; /* first */
    const char *command;
    int (*form)(struct mk_ctx *c, struct mk_adhoc_request *r);
    int (*run)(struct mk_ctx *c, struct mk_adhoc_request *r);
};
extern const struct service services[];
extern const uint32_t service_count;
static inline const struct service *service_of(const struct mk_adhoc_request *r) {
    return (const struct service *)r->command;
}

/* ---- calls.c: arguments out of a form, commands, results ---- */

enum { ARGS_MAX = 4, LIST_MAX = 200 };
/* A command and its arguments, ended by a NULL name. */
struct call {
    const char *command;
    struct {
        const char *name, *value;
    } args[ARGS_MAX];
    const char *list; /* name of an argument with COUNT values, or NULL */
    const char *const *values;
    uint32_t count;
};

/* Runs it as WHO, who must be allowed to.  If it fails *RESULT says why, perhaps. */
MK_SUSPENDS MK_MUST_CHECK int call_run(struct mk_ctx *c, const struct mk_jid *who, const struct call *call,
                                       const struct mk_result **result);

/* The same for R, whose note then says why it failed.  False: it failed. */
MK_SUSPENDS bool call_done(struct mk_ctx *c, struct mk_adhoc_request *r, const struct call *call,
                           const struct mk_result **result);

MK_SUSPENDS bool command_exists(struct mk_ctx *c, const char *name);
MK_SUSPENDS bool may_run(struct mk_ctx *c, const struct mk_jid *who, const char *name, const struct mk_jid *target);

int fail(struct mk_adhoc_request *r, const char *note);

/* The values of a field; *COUNT 0 if there are none. */
const char *const *form_values(struct mk_ctx *c, const struct mk_elem *form, const char *var, uint32_t *count);
/* The same as one text, a line each; NULL if there are none or all are empty. */
const char *form_lines(struct mk_ctx *c, const struct mk_elem *form, const char *var);
/* The values of a field as addresses of the turn's host; MK_E_INVALID, with a note, or without one if there are none. */
int form_jids(struct mk_ctx *c, struct mk_adhoc_request *r, const char *var, const struct mk_jid *const **out,
              uint32_t *count);

void form_type(struct mk_out *o);
void open_result(struct mk_out *o); /* <x type='result'>, left open */
void put_values(struct mk_out *o, const char *var, const char *type, const char *label, const char *const *values,
                uint32_t count);
void put_number(struct mk_ctx *c, struct mk_out *o, const char *var, const char *label, int64_t number);
int64_t result_int(struct mk_ctx *c, const struct mk_result *result, unsigned row, const char *name);

#define SERVICE(name) MK_SUSPENDS int name(struct mk_ctx *c, struct mk_adhoc_request *r)
/* accounts.c */
SERVICE(form_add_user);
SERVICE(run_add_user);
SERVICE(form_accounts);
SERVICE(run_for_accounts);
SERVICE(form_password);
SERVICE(run_password);
SERVICE(run_get_password);
SERVICE(run_roster);
SERVICE(run_last_login);
SERVICE(form_account);
SERVICE(run_stats);
/* lists.c */
SERVICE(run_count);
SERVICE(form_list);
SERVICE(run_list);
/* texts.c */
SERVICE(form_announce);
SERVICE(run_announce);
SERVICE(form_motd);
SERVICE(form_edit_motd);
SERVICE(run_motd);
SERVICE(run_simple);
SERVICE(form_welcome);
SERVICE(run_welcome);
SERVICE(form_admins);
SERVICE(run_admins);
SERVICE(form_access);
SERVICE(run_access);
SERVICE(form_stop);
SERVICE(run_stop);

/* Which accounts: the places of the services that count and list them. */
enum { REGISTERED, DISABLED, ONLINE, ACTIVE, IDLE };
int kind_of(const struct mk_adhoc_request *r);

#endif
