/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: a request a line, an answer a line, both JSON.
 *
 *     {"command": "users.add", "args": {"account": "alice@example.org", "password": "..."}}
 *     {"ok": true, "list": true, "rows": [{...}], "lines": ["..."]}
 *     {"ok": false, "error": "one sentence", "usage": true, "list": false, "rows": [...], "lines": [...]}
 *
 * "usage" is there if the request was wrong, not what it asked for; "list" is false if a row is the whole answer.
 * "more": {"after": "..."} is there if this is a part: the same request with this argument gets the next.
 * "help" answers with "commands".
 */
#include "admin/command.h"
#include "util/log.h"
#include "util/mem.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 64,
    READ_MAX = 512 * 1024,
    REQUEST_MAX = ARG_LONG_BYTES + (4 << 20),
    IDLE_S = 300,
    STALLED_S = 10,
    NO_DESCRIPTOR_US = 50000
};

struct client {
    struct list link;
    struct bufferevent *be;
    struct call *call; /* under way, or NULL */
    uid_t uid;
    bool ended; /* nothing more is read; freed when the answer is out */
};

const struct admin_server *admin_server;

static struct {
    struct event_base *base;
    struct event *event;
    char *path;
    gid_t group;
    bool has_group;
    struct list clients;
    unsigned count;
} control;

static void client_free(struct client *c) {
    if (c->call)
        c->call->user = NULL;
    list_remove(&c->link);
    control.count--;
    bufferevent_free(c->be);
    free(c);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static void send_json(struct client *c, cJSON *answer) {
    char *text = cJSON_PrintUnformatted(answer);
    if (!text)
        abort();
    bufferevent_write(c->be, text, strlen(text));
    bufferevent_write(c->be, "\n", 1);
    cJSON_free(text);
    cJSON_Delete(answer);
}

static void send_error(struct client *c, const char *why) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", false);
    cJSON_AddStringToObject(answer, "error", why);
    cJSON_AddBoolToObject(answer, "usage", true);
    send_json(c, answer);
}

static void add_field(cJSON *row, const struct result_field *f) {
    if (f->type == MK_ARG_INT)
        cJSON_AddRawToObject(row, f->name, f->value);
    else if (f->type == MK_ARG_BOOL)
        cJSON_AddBoolToObject(row, f->name, f->value[0] == 't');
    else
        cJSON_AddStringToObject(row, f->name, f->value);
}

static void send_result(struct client *c, const struct mk_result *r, int rc, bool usage) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", rc == 0);
    if (rc != 0)
        cJSON_AddStringToObject(answer, "error", r->why ? r->why : mk_strerror(rc));
    if (usage)
        cJSON_AddBoolToObject(answer, "usage", true);
    cJSON_AddBoolToObject(answer, "list", r->list);
    cJSON *rows = cJSON_AddArrayToObject(answer, "rows");
    for (const struct result_row *row = r->first; row; row = row->next) {
        cJSON *object = cJSON_CreateObject();
        for (const struct result_field *f = row->first; f; f = f->next)
            add_field(object, f);
        cJSON_AddItemToArray(rows, object);
    }
    cJSON *lines = cJSON_AddArrayToObject(answer, "lines");
    for (const struct result_line *l = r->lines; l; l = l->next)
        cJSON_AddItemToArray(lines, cJSON_CreateString(l->text));
    if (r->more_name)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(answer, "more"), r->more_name, r->more_value);
    send_json(c, answer);
}

static void add_args(cJSON *command, const char *name, const struct mk_table *table, bool with_host) {
    static const char *const types[] = { "text", "jid", "int", "bool", "secret", "texts" };
    cJSON *list = cJSON_AddArrayToObject(command, name);
    for (uint32_t i = 0; i < table->count + with_host; i++) {
        static const struct mk_arg_decl host = { "host", MK_ARG_TEXT, MK_ARG_OPTIONAL, "Domain to do it for." };
        const struct mk_arg_decl *d = i < table->count ? arg_row(table, i) : &host;
        with_host &= strcmp(d->name, host.name) != 0 || d == &host;
        cJSON *arg = cJSON_CreateObject();
        cJSON_AddStringToObject(arg, "name", d->name);
        cJSON_AddStringToObject(arg, "type", d->type <= MK_ARG_TEXTS ? types[d->type] : "text");
        cJSON_AddBoolToObject(arg, "optional", d->flags & MK_ARG_OPTIONAL);
        cJSON_AddStringToObject(arg, "doc", d->doc ? d->doc : "");
        cJSON_AddItemToArray(list, arg);
    }
}

static void send_help(struct client *c) {
    struct arena arena;
    struct command_list all;
    arena_init(&arena);
    commands_all(&arena, &all);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", true);
    cJSON *list = cJSON_AddArrayToObject(answer, "commands");
    for (uint32_t i = 0; i < all.count; i++) {
        const struct mk_cmd_decl *row = all.items[i]->row;
        cJSON *command = cJSON_CreateObject();
        cJSON_AddStringToObject(command, "name", row->name);
        cJSON_AddStringToObject(command, "summary", row->summary);
        cJSON_AddBoolToObject(command, "write", row->flags & MK_CMD_WRITE);
        cJSON_AddStringToObject(command, "rest", row->rest ? row->rest : "");
        cJSON_AddStringToObject(command, "plugin", all.items[i]->inst ? all.items[i]->inst->plugin->name : "");
        add_args(command, "args", &row->args, command_takes_host(all.items[i]));
        add_args(command, "results", &row->results, false);
        cJSON_AddItemToArray(list, command);
    }
    arena_free(&arena);
    send_json(c, answer);
}

/* ---- requests ------------------------------------------------------------------------------------------------------ */

struct request_args {
    struct arena arena;
    const char *names[ARG_MAX_COUNT + 1], *values[ARG_MAX_COUNT + 1];
    uint32_t count;
};

static bool add_value(struct request_args *r, const char *name, const cJSON *value) {
    const char *text;
    if (r->count > ARG_MAX_COUNT)
        return true; /* the checker says that there are too many */
    if (cJSON_IsString(value))
        text = value->valuestring;
    else if (cJSON_IsBool(value))
        text = cJSON_IsTrue(value) ? "true" : "false";
    else if (cJSON_IsNumber(value))
        text = arena_printf(&r->arena, "%.15g", value->valuedouble);
    else
        return false;
    r->names[r->count] = name;
    r->values[r->count++] = text;
    return true;
}

/* False: a value is neither text, number, bool, null, nor a list of these. */
static bool read_args(struct request_args *r, const cJSON *args) {
    for (const cJSON *a = args ? args->child : NULL; a; a = a->next) {
        if (cJSON_IsNull(a))
            continue;
        for (const cJSON *item = cJSON_IsArray(a) ? a->child : NULL; item; item = item->next)
            if (!add_value(r, a->string, item))
                return false;
        if (!cJSON_IsArray(a) && !add_value(r, a->string, a))
            return false;
    }
    return true;
}

static void read_on(struct client *c);

static void on_done(struct call *call) {
    struct client *c = call->user;
    if (!c)
        return;
    c->call = NULL;
    send_result(c, &call->result, call->rc, false);
    read_on(c);
}

static void run_command(struct client *c, const char *name, const cJSON *args) {
    struct request_args *r = xcalloc(1, sizeof *r);
    struct call *call = call_new();
    int rc = MK_E_INVALID;
    if (read_args(r, args))
        rc = call_prepare(call, NULL, name, r->count, r->names, r->values);
    else
        mk_result_error(&call->result, rc, "an argument is neither text, number, true, false nor a list");
    if (rc == 0) {
        if (call->row->flags & MK_CMD_WRITE)
            log_info("user %u runs command %s for %s", (unsigned)c->uid, name, mk_jid_text(call->target));
        c->call = call;
        call_start(call, on_done, c);
    } else {
        send_result(c, &call->result, rc, true);
        call_unref(call);
    }
    arena_free(&r->arena);
    free(r);
}

static void handle(struct client *c, const char *line, size_t len) {
    cJSON *request = cJSON_ParseWithLength(line, len);
    const cJSON *command = cJSON_GetObjectItemCaseSensitive(request, "command");
    cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
    if (!cJSON_IsString(command) || (args && !cJSON_IsObject(args)))
        send_error(c, "a request is a line such as {\"command\": \"help\", \"args\": {}}");
    else if (strcmp(command->valuestring, "help") == 0)
        send_help(c);
    else
        run_command(c, command->valuestring, args);
    for (cJSON *a = args ? args->child : NULL; a; a = a->next)
        if (cJSON_IsString(a)) /* it may be a password */
            explicit_bzero(a->valuestring, strlen(a->valuestring));
    cJSON_Delete(request);
}

/* One command at a time: what comes meanwhile stays in the socket. */
static void read_on(struct client *c) {
    struct evbuffer *in = bufferevent_get_input(c->be);
    size_t len;
    char *line;
    while (!c->call && !c->ended && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF)) != NULL) {
        handle(c, line, len);
        explicit_bzero(line, len);
        free(line);
    }
    if (!c->call && !c->ended && evbuffer_get_length(in) >= REQUEST_MAX) {
        send_error(c, "the request is too long");
        c->ended = true;
    }
    if (c->call || c->ended)
        bufferevent_disable(c->be, EV_READ);
    else
        bufferevent_enable(c->be, EV_READ);
}

static void on_read(struct bufferevent *be, void *arg) {
    (void)be;
    read_on(arg);
}

static void on_written(struct bufferevent *be, void *arg) {
    struct client *c = arg;
    if (c->ended && !c->call && evbuffer_get_length(bufferevent_get_output(be)) == 0)
        client_free(c);
}

/* The peer closed, or is too slow.  One that only ended its side still gets the answer of what it asked. */
static void on_event(struct bufferevent *be, short what, void *arg) {
    struct client *c = arg;
    if (!(what & BEV_EVENT_EOF) || (!c->call && evbuffer_get_length(bufferevent_get_output(be)) == 0)) {
        client_free(c);
        return;
    }
    c->ended = true;
    bufferevent_disable(be, EV_READ);
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

static bool in_group(int fd, gid_t primary) {
    socklen_t size = 0;
    if (!control.has_group)
        return false;
    bool found = primary == control.group;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
        return found;
    gid_t *groups = xmalloc(size);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0)
        size = 0;
    for (size_t i = 0; i < size / sizeof *groups; i++)
        found |= groups[i] == control.group;
    free(groups);
    return found;
}

static bool may_connect(int fd, uid_t *uid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    *uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid() || in_group(fd, peer.gid);
}

static void client_new(int fd, uid_t uid) {
    const struct timeval idle = { IDLE_S, 0 }, stalled = { STALLED_S, 0 };
    struct client *c = xcalloc(1, sizeof *c);
    c->uid = uid;
    c->be = bufferevent_socket_new(control.base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->be)
        abort();
    list_append(&control.clients, &c->link);
    control.count++;
    bufferevent_setcb(c->be, on_read, on_written, on_event, c);
    bufferevent_setwatermark(c->be, EV_READ, 0, REQUEST_MAX);
    bufferevent_set_max_single_read(c->be, READ_MAX); /* each looks for the end of a line anew */
    bufferevent_set_timeouts(c->be, &idle, &stalled);
    bufferevent_enable(c->be, EV_READ | EV_WRITE);
}

static void on_accept(evutil_socket_t listener, short what, void *arg) {
    uid_t uid = 0;
    (void)what, (void)arg;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* Without a descriptor the connection stays in the queue, and the loop would turn in place. */
        if (errno == EMFILE || errno == ENFILE)
            usleep(NO_DESCRIPTOR_US);
        return;
    }
    if (!may_connect(fd, &uid)) {
        log_notice("user %u may not use the control socket", (unsigned)uid);
        close(fd);
    } else if (control.count >= CLIENTS_MAX) {
        log_notice("more than %d clients at the control socket: one is turned away", CLIENTS_MAX);
        close(fd);
    } else {
        client_new(fd, uid);
    }
}

/* ---- the socket ---------------------------------------------------------------------------------------------------- */

static bool somebody_answers(const struct sockaddr_un *at) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool yes = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno == EAGAIN || errno == EINPROGRESS;
    close(fd);
    return yes;
}

static int say(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int say(char *why, size_t size, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, size, fmt, args);
    va_end(args);
    return -1;
}

/* Binds, over what a server that crashed left behind.  0 or -1. */
static int bind_to(int fd, const struct sockaddr_un *at, char *why, size_t size) {
    struct stat st;
    if (lstat(at->sun_path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return say(why, size, "%s is in the way: it is no socket", at->sun_path);
        if (somebody_answers(at))
            return say(why, size, "another server listens at %s", at->sun_path);
        unlink(at->sun_path);
    }
    if (fchmod(fd, 0660) != 0 || bind(fd, (const struct sockaddr *)at, sizeof *at) != 0 ||
        chmod(at->sun_path, 0660) != 0)
        return say(why, size, "can't make the control socket %s: %s", at->sun_path, strerror(errno));
    if (control.has_group && chown(at->sun_path, (uid_t)-1, control.group) != 0)
        return say(why, size, "can't give the control socket %s to its group: %s", at->sun_path, strerror(errno));
    return 0;
}

static int find_group(const char *name, char *why, size_t size) {
    control.has_group = name && *name;
    if (!control.has_group)
        return 0;
    const struct group *g = getgrnam(name);
    if (!g)
        return say(why, size, "there is no group %s, which control.group names", name);
    control.group = g->gr_gid;
    return 0;
}

static int open_socket(const struct sockaddr_un *at, char *why, size_t size) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return say(why, size, "can't make the control socket: %s", strerror(errno));
    if (bind_to(fd, at, why, size) != 0) {
        close(fd);
        return -1;
    }
    if (listen(fd, CLIENTS_MAX) != 0) {
        close(fd);
        return say(why, size, "can't listen at %s: %s", at->sun_path, strerror(errno));
    }
    return fd;
}

int control_open(struct event_base *base, const struct control_config *config, const struct admin_server *server,
                 char *why, size_t why_size) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    admin_server = server;
    control.base = base;
    list_init(&control.clients);
    if (!config->socket || !*config->socket)
        return 0;
    if (strlen(config->socket) >= sizeof at.sun_path)
        return say(why, why_size, "the path of the control socket is longer than %zu bytes: %s", sizeof at.sun_path - 1,
                   config->socket);
    strcpy(at.sun_path, config->socket);
    if (find_group(config->group, why, why_size) != 0)
        return -1;
    int fd = open_socket(&at, why, why_size);
    if (fd < 0)
        return -1;
    control.path = xstrdup(config->socket);
    control.event = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
    if (!control.event || event_add(control.event, NULL) != 0)
        abort();
    return 0;
}

void control_close(void) {
    if (!control.event)
        return;
    int fd = event_get_fd(control.event);
    event_free(control.event);
    close(fd);
    control.event = NULL;
    unlink(control.path);
    free(control.path);
    control.path = NULL;
    while (!list_empty(&control.clients)) {
        struct client *c = container_of(control.clients.next, struct client, link);
        struct evbuffer *out = bufferevent_get_output(c->be);
        evbuffer_unfreeze(out, 1); /* no loop runs any more that would write the answer to a stop */
        evbuffer_write(out, bufferevent_getfd(c->be));
        client_free(c);
    }
}
