/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket as a client sees it, and meerkatctl itself. */
#include "admin/test_admin.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int cmd_echo(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    mk_result_text(result, "text", mk_arg_text(args, "text"));
    mk_result_text(result, "items", mk_arg_text(args, "items"));
    mk_result_int(result, "count", mk_arg_int(args, "count"));
    mk_result_bool(result, "flag", mk_arg_bool(args, "flag"));
    mk_result_bool(result, "secret", mk_arg_has(args, "secret") && strcmp(mk_arg_text(args, "secret"), "hush") == 0);
    return MK_OK;
}

static int cmd_rows(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c;
    for (int64_t i = 0; i < mk_arg_int(args, "count"); i++) {
        mk_result_next(result);
        mk_result_text(result, "name", i % 2 ? "b\xc3\xa4r\x1b\xc2\x9b" : "a");
        mk_result_int(result, "number", i * 100);
    }
    mk_result_say(result, "a note");
    return MK_OK;
}

static int cmd_fail(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    (void)c, (void)args;
    mk_result_say(result, "a line");
    return mk_result_error(result, MK_E_BUSY, "it went wrong");
}

#define ARGS(...) MK_TABLE(((const struct mk_arg_decl[]){ __VA_ARGS__ }))
#define WHO_AND_WORD ARGS({ "who", MK_ARG_JID, 0, "Who." }, { "secret_word", MK_ARG_SECRET, 0, "Hush." })
static const struct mk_cmd_decl commands[] = {
    { "t.echo", "Says it again", "POST /echo", "who", MK_CMD_WRITE, 0,
      ARGS({ "who", MK_ARG_JID, 0, "Who." }, { "text", MK_ARG_TEXT, 0, "What." },
           { "count", MK_ARG_INT, MK_ARG_OPTIONAL, "" }, { "flag", MK_ARG_BOOL, MK_ARG_OPTIONAL, "" },
           { "secret", MK_ARG_SECRET, MK_ARG_OPTIONAL, "" }, { "items", MK_ARG_TEXTS, MK_ARG_OPTIONAL, "" }),
      ARGS({ "text", MK_ARG_TEXT, 0, "What." }), cmd_echo },
    { "t.rows", "Shows rows", "", "", MK_CMD_READ, 0, ARGS({ "count", MK_ARG_INT, 0, "How many." }), { 0 }, cmd_rows },
    { "t.rows.fail", "Fails", "", "", MK_CMD_READ, 0, { 0 }, { 0 }, cmd_fail },
    { "t.lock", "Needs a secret", "", "who", MK_CMD_WRITE, 0, WHO_AND_WORD, { 0 }, cmd_fail },
};

static char path[64];
static char why[256];
static struct admin_server server;

static int open_at(const char *at, const char *group) {
    why[0] = '\0';
    return control_open(main_base, &(struct control_config){ at, group }, &server, why, sizeof why);
}

/* ---- the protocol ------------------------------------------------------------------------------------------------ */

static int connect_raw(void) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        abort();
    return fd;
}

static void send_text(int fd, const char *text) {
    for (size_t len = strlen(text); len;) {
        ssize_t n = write(fd, text, len);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else {
            event_base_loop(main_base, EVLOOP_NONBLOCK);
        }
    }
}

/* The next line, NULL at the end of the connection. */
static char *receive(int fd) {
    static char line[1 << 20];
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, line + len, 1);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return NULL;
        if (n < 0) {
            event_base_loop(main_base, EVLOOP_NONBLOCK);
            continue;
        }
        if (line[len] == '\n') {
            line[len] = '\0';
            return line;
        }
        len++;
    }
}

static void check_answer(int fd, const char *request, const char *want) {
    send_text(fd, request);
    send_text(fd, "\n");
    CHECK_TEXT(receive(fd), want);
}

#define WRONG                                                                                                          \
    "{\"ok\":false,\"error\":\"a request is a line such as {\\\"command\\\": \\\"help\\\", \\\"args\\\": "             \
    "{}}\",\"usage\":true}"

static void requests(void) {
    int fd = connect_raw();
    check_answer(fd,
                 "{\"command\":\"t.echo\",\"args\":{\"who\":\"a@one.example\",\"text\":\"x "
                 "\\\"y\\\"\\nz\",\"count\":42,\"flag\":true,"
                 "\"secret\":\"hush\",\"items\":[\"p\",2,false],\"host\":null}}",
                 "{\"ok\":true,\"list\":false,\"rows\":[{\"text\":\"x "
                 "\\\"y\\\"\\nz\",\"items\":\"p\\n2\\nfalse\",\"count\":42,\"flag\":true,"
                 "\"secret\":true}],\"lines\":[]}");
    check_answer(fd, "{\"command\":\"t.rows\",\"args\":{\"count\":\"1\",\"host\":\"one.example\"}}",
                 "{\"ok\":true,\"list\":true,\"rows\":[{\"name\":\"a\",\"number\":0}],\"lines\":[\"a note\"]}");
    check_answer(fd, "{\"command\":\"t.rows.fail\",\"args\":{\"host\":\"one.example\"}}",
                 "{\"ok\":false,\"error\":\"it went wrong\",\"list\":false,\"rows\":[],\"lines\":[\"a line\"]}");
    check_answer(fd, "{\"command\":\"t.ros\"}",
                 "{\"ok\":false,\"error\":\"there is no command t.ros; did you mean "
                 "t.rows?\",\"usage\":true,\"list\":false,\"rows\":[],"
                 "\"lines\":[]}");
    check_answer(fd, "{\"command\":\"status\",\"args\":{\"x\":{}}}",
                 "{\"ok\":false,\"error\":\"an argument is neither text, number, true, false nor a "
                 "list\",\"usage\":true,\"list\":false,"
                 "\"rows\":[],\"lines\":[]}");
    check_answer(fd, "nonsense", WRONG);
    check_answer(fd, "", WRONG);
    check_answer(fd, "[]", WRONG);
    check_answer(fd, "{\"command\":7}", WRONG);
    check_answer(fd, "{\"command\":\"status\",\"args\":[]}", WRONG);
    close(fd);
}

static void answers_keep_their_order(void) {
    int fd = connect_raw();
    for (int i = 0; i < 20; i++) {
        char request[128];
        snprintf(request, sizeof request,
                 "{\"command\":\"t.echo\",\"args\":{\"who\":\"u%d@two.example\",\"text\":\"%d\"}}\n", i, i);
        send_text(fd, request);
    }
    shutdown(fd, SHUT_WR); /* what was asked before is still answered */
    for (int i = 0; i < 20; i++) {
        char want[64];
        snprintf(want, sizeof want, "{\"ok\":true,\"list\":false,\"rows\":[{\"text\":\"%d\",", i);
        const char *got = receive(fd);
        CHECK(got && strncmp(got, want, strlen(want)) == 0);
    }
    CHECK(!receive(fd));
    close(fd);
}

/* Not a byte more than it takes: what the server leaves unread would reset the connection. */
static void too_long_a_request(void) {
    static char piece[64 * 1024];
    size_t left = 12 << 20;
    memset(piece, 'a', sizeof piece);
    int fd = connect_raw();
    while (left) {
        ssize_t n = send(fd, piece, left < sizeof piece ? left : sizeof piece, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        if (n < 0)
            event_base_loop(main_base, EVLOOP_NONBLOCK);
        left -= n > 0 ? (size_t)n : 0;
    }
    CHECK(!left);
    CHECK_TEXT(receive(fd), "{\"ok\":false,\"error\":\"the request is too long\",\"usage\":true}");
    CHECK(!receive(fd));
    close(fd);
}

static void only_so_many_clients(void) {
    int fds[70];
    for (int i = 0; i < 70; i++) {
        fds[i] = connect_raw();
        event_base_loop(main_base, EVLOOP_NONBLOCK);
    }
    check_answer(fds[63], "{}", WRONG);
    CHECK(!receive(fds[69]));
    for (int i = 0; i < 70; i++)
        close(fds[i]);
    int fd;
    for (const char *got = NULL; !got; close(fd)) { /* once the server has noticed */
        event_base_loop(main_base, EVLOOP_NONBLOCK);
        fd = connect_raw();
        if (send(fd, "{}\n", 3, MSG_NOSIGNAL) == 3)
            got = receive(fd);
    }
}

/* A client that goes while its command runs takes nothing down. */
static void hangs_up_early(void) {
    for (int i = 0; i < 10; i++) {
        int fd = connect_raw();
        send_text(fd, "{\"command\":\"sessions.list\"}\n{\"command\":\"sessions.list\"}\n");
        event_base_loop(main_base, EVLOOP_NONBLOCK);
        close(fd);
    }
    int fd = connect_raw();
    check_answer(fd, "{\"command\":\"sessions.list\"}", "{\"ok\":true,\"list\":false,\"rows\":[],\"lines\":[]}");
    close(fd);
}

static void help_lists_everything(void) {
    int fd = connect_raw();
    send_text(fd, "{\"command\":\"help\"}\n");
    cJSON *answer = cJSON_Parse(receive(fd));
    close(fd);
    const cJSON *list = cJSON_GetObjectItem(answer, "commands"), *c, *rows = NULL, *echo = NULL;
    cJSON_ArrayForEach(c, list) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(c, "name"));
        if (strcmp(name, "t.rows") == 0)
            rows = c;
        if (strcmp(name, "t.echo") == 0)
            echo = c;
    }
    CHECK_INT(cJSON_GetArraySize(list), server_command_count + sizeof commands / sizeof commands[0]);
    CHECK(rows && echo);
    char *text = cJSON_PrintUnformatted(rows);
    CHECK_TEXT(
        text,
        "{\"name\":\"t.rows\",\"summary\":\"Shows rows\",\"write\":false,\"rest\":\"\",\"plugin\":\"t\",\"args\":["
        "{\"name\":\"count\",\"type\":\"int\",\"optional\":false,\"doc\":\"How many.\"},"
        "{\"name\":\"host\",\"type\":\"text\",\"optional\":true,\"doc\":\"Domain to do it for.\"}],\"results\":[]}");
    cJSON_free(text);
    CHECK_INT(cJSON_GetArraySize(cJSON_GetObjectItem(echo, "args")), 6); /* it runs for an account: no host */
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(echo, "write")));
    cJSON_Delete(answer);
}

static volatile bool stopped;

static void stop(bool again) {
    (void)again;
    control_close();
    stopped = true;
}

/* The socket is closed right when the stop begins, and the answer is there. */
static void stop_is_answered(void) {
    int fd = connect_raw();
    server.stop = stop;
    send_text(fd, "{\"command\":\"stop\"}\n");
    loop_until(&stopped);
    CHECK_TEXT(receive(fd), "{\"ok\":true,\"list\":false,\"rows\":[],\"lines\":[\"The server stops.\"]}");
    CHECK(!receive(fd));
    close(fd);
    CHECK_INT(open_at(path, NULL), 0);
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static void socket_file(void) {
    struct stat st;
    CHECK_INT(lstat(path, &st), 0);
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_INT(st.st_mode & 0777, 0660);
    control_close();
    CHECK(lstat(path, &st) != 0 && errno == ENOENT);
    CHECK_INT(open_at(path, NULL), 0);
}

static void in_the_way(void) {
    char want[256];
    control_close();
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    fclose(f);
    CHECK_INT(open_at(path, NULL), -1);
    snprintf(want, sizeof want, "%s is in the way: it is no socket", path);
    CHECK_TEXT(why, want);
    unlink(path);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    strcpy(at.sun_path, path);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(other, (struct sockaddr *)&at, sizeof at) == 0 && listen(other, 1) == 0);
    CHECK_INT(open_at(path, NULL), -1);
    snprintf(want, sizeof want, "another server listens at %s", path);
    CHECK_TEXT(why, want);
    close(other); /* a server that was killed leaves its socket */
    CHECK_INT(open_at(path, NULL), 0);
}

static void bad_settings(void) {
    char big[200];
    control_close();
    memset(big, 'a', sizeof big);
    big[199] = '\0';
    CHECK_INT(open_at(big, NULL), -1);
    CHECK(strstr(why, "the path of the control socket is longer than 107 bytes") == why);
    CHECK_INT(open_at("/nonexistent/sock", NULL), -1);
    CHECK_TEXT(why, "can't make the control socket /nonexistent/sock: No such file or directory");
    CHECK_INT(open_at(path, "no-such-group"), -1);
    CHECK_TEXT(why, "there is no group no-such-group, which control.group names");
    CHECK_INT(open_at(NULL, NULL), 0);
    CHECK_INT(open_at(path, NULL), 0);
}

/* ---- meerkatctl -------------------------------------------------------------------------------------------------- */

struct client_run {
    char command[1024];
    char output[8192];
    int status;
    struct post post;
    volatile bool done;
};

static void client_over(struct post *p) {
    container_of(p, struct client_run, post)->done = true;
}

static void *client_main(void *arg) {
    struct client_run *r = arg;
    FILE *f = popen(r->command, "r");
    size_t len = f ? fread(r->output, 1, sizeof r->output - 1, f) : 0;
    r->output[len] = '\0';
    int status = f ? pclose(f) : -1;
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    main_post(&r->post);
    return NULL;
}

static struct client_run ran;

/* Runs meerkatctl with the words of ARGS as a shell takes them, and what follows them. */
static void ctl(const char *args) {
    pthread_t thread;
    ran.done = false;
    ran.post.run = client_over;
    snprintf(ran.command, sizeof ran.command, "MEERKAT_SOCKET=%s; export MEERKAT_SOCKET; %s/core/meerkatctl %s", path,
             MEERKAT_BUILD_DIR, args);
    if (pthread_create(&thread, NULL, client_main, &ran) != 0)
        abort();
    loop_until(&ran.done);
    pthread_join(thread, NULL);
}

#define CHECK_CTL(args, code, want)                                                                                    \
    do {                                                                                                               \
        ctl(args);                                                                                                     \
        CHECK_TEXT(ran.output, (want));                                                                                \
        CHECK_INT(ran.status, (code));                                                                                 \
    } while (0)

static void ctl_arguments(void) {
    static const char all[] = "text    hi\nitems   a?b\ncount   3\nflag    true\nsecret  true\n";
    CHECK_CTL("t echo a@one.example hi 3 true hush a b 2>&1", 0, all);
    CHECK_CTL("t.echo who=a@one.example text=hi count=3 flag=yes secret=hush items=a items=b 2>&1", 0, all);
    CHECK_CTL("t echo --items=a --items b --flag --count 3 --text hi --who a@one.example --secret=hush 2>&1", 0, all);
    CHECK_CTL("t echo --secret-file - a@one.example hi 3 --flag a b 2>&1 <<END\nhush\nEND", 0, all);
    CHECK_CTL("t echo a@one.example -- --flag 2>/dev/null | head -1", 0, "text    --flag\n");
    CHECK_CTL("t echo a@one.example -- x=y | head -1", 0, "text    x=y\n");
    CHECK_CTL("t echo a@one.example 2>&1", 2, "meerkatctl: argument text is missing: What.\n");
    CHECK_CTL("t echo a@one.example x txet=y 2>&1", 2,
              "meerkatctl: there is no argument txet; a value with = in it is given by name, or behind --\n");
    CHECK_CTL("t echo a@one.example x --txet y 2>&1", 2,
              "meerkatctl: there is no option --txet; meerkatctl help tells what the command takes\n");
    CHECK_CTL("t echo text=x text=y 2>&1", 2, "meerkatctl: argument text is given twice\n");
    CHECK_CTL("t echo a@one.example x --count 2>&1", 2, "meerkatctl: --count needs a value\n");
    CHECK_CTL("t rows 1 one.example two.example 2>&1", 2,
              "meerkatctl: one argument too many: two.example; meerkatctl help tells what the command takes\n");
    CHECK_CTL("t echo a@one.example x count=many 2>&1", 2, "meerkatctl: count must be a whole number, not \"many\"\n");
    CHECK_CTL("t lock a@one.example 2>&1 </dev/null", 2,
              "meerkatctl: argument secret_word is missing: --secret_word-file - reads it from standard input\n");
    CHECK_CTL("t lock a@one.example --secret-word x 2>&1", 1, "meerkatctl: it went wrong\na line\n");
}

static void ctl_output(void) {
    CHECK_CTL("t rows 3 one.example 2>/dev/null", 0,
              "NAME   NUMBER\na           0\nb\xc3\xa4r?\xc2\xbf     100\na         200\n");
    CHECK_CTL("t rows 1 one.example 2>&1 >/dev/null", 0, "a note\n");
    CHECK_CTL("t rows 0 one.example", 0, "a note\n");
    CHECK_CTL("--json t rows 1 one.example 2>/dev/null", 0, "[{\n\t\t\"name\":\t\"a\",\n\t\t\"number\":\t0\n\t}]\n");
    CHECK_CTL("--json t rows 0 one.example", 0, "{\n\t\"lines\":\t[\"a note\"]\n}\n");
    CHECK_CTL("--json t echo a@one.example x | tr -d '\\t\\n'", 0,
              "{\"text\":\"x\",\"items\":\"\",\"count\":0,\"flag\":false,\"secret\":false}");
    CHECK_CTL("--json sessions list", 0, "[]\n");
    CHECK_CTL("t rows fail one.example 2>/dev/null", 1, "");
    CHECK_CTL("t rows fail one.example 2>&1", 1, "meerkatctl: it went wrong\na line\n");
    CHECK_CTL("--json t rows fail one.example 2>/dev/null | tr -d '\\t\\n'", 0,
              "{\"error\":\"it went wrong\",\"lines\":[\"a line\"]}");
}

static void ctl_without_sense(void) {
    CHECK_CTL("statsu 2>&1", 2, "meerkatctl: there is no command statsu; did you mean status?\n");
    CHECK_CTL("t ros 1 2>&1", 2, "meerkatctl: there is no command t.ros.1; did you mean t.rows?\n");
    CHECK_CTL(
        "sessions 2>&1", 2,
        "  sessions count  How many are logged in\n  sessions kick   End the sessions of an account, or one of them\n"
        "  sessions list   Who is logged in\nmeerkatctl: this is only the beginning of a command\n");
    CHECK_CTL("--socket /nonexistent status 2>&1", 3,
              "meerkatctl: no server answers at /nonexistent (No such file or directory)\n");
    CHECK_CTL("2>/dev/null", 2, "");
    CHECK_CTL("--version", 0, "meerkatctl " MEERKAT_VERSION "\n");
}

static void ctl_help(void) {
    CHECK_CTL("help t rows", 0,
              "Shows rows\n\nmeerkatctl t rows COUNT [HOST]\n\nArguments:\n  count  How many.\n  host   Domain to do "
              "it for. Optional.\n");
    CHECK_CTL("t rows --help | head -1", 0, "Shows rows\n");
    CHECK_CTL("help t echo | sed -n 3p", 0, "meerkatctl t echo WHO TEXT [COUNT] [FLAG] [SECRET] [ITEMS...]\n");
    CHECK_CTL("help | grep -c '^  '", 0, "32\n");
    CHECK_CTL("help x 2>&1", 2, "meerkatctl: there is no command of this name; meerkatctl help lists them\n");
}

static void ctl_completion(void) {
    CHECK_CTL("--complete s", 0, "s2s\nschema\nservices\nsessions\nstatus\nstop\nstorage\n");
    CHECK_CTL("--complete sessions ''", 0, "count\nkick\nlist\n");
    CHECK_CTL("--complete t rows ''", 0, "fail\ncount=\nhost=\n");
    CHECK_CTL("--complete t rows count=1 ''", 0, "host=\n");
    CHECK_CTL("--complete t rows count = 1", 0, "");
    CHECK_CTL("--complete nothing ''", 0, "");
    CHECK_CTL("--socket /nonexistent --complete s", 0, "");
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    log_setup(&(struct log_config){ .level = 3 });
    set_up(commands, sizeof commands / sizeof commands[0]);
    snprintf(path, sizeof path, "/tmp/test_control.%d", (int)getpid());
    if (open_at(path, NULL) != 0)
        abort();
    int failed = CHECK_RUN(T(requests), T(answers_keep_their_order), T(too_long_a_request), T(only_so_many_clients),
                           T(hangs_up_early), T(help_lists_everything), T(stop_is_answered), T(socket_file),
                           T(in_the_way), T(bad_settings), T(ctl_arguments), T(ctl_output), T(ctl_without_sense),
                           T(ctl_help), T(ctl_completion));
    control_close();
    tear_down();
    return failed;
}
