/* SPDX-License-Identifier: Apache-2.0 */
#include "move/move.h"
#include "control_client.h"
#include "util/arena.h"
#include "util/jid.h"
#include "util/mem.h"
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int fail(int status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("meerkat-move: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    return status;
}

static void usage(FILE *out) {
    fputs(
        "Usage: meerkat-move export [--host DOMAIN]... [--user JID]... [--force] [--json] FILE\n"
        "       meerkat-move import [--host DOMAIN]... [--user JID]... [--existing skip|merge|replace]\n"
        "                           [--state FILE] [--check] [--json] FILE\n"
        "       meerkat-move import [the same options] --from ejabberd|prosody|mongooseim SOURCE...\n"
        "  FILE is a dump of XEP-0227; - is standard input or output.  The server runs meanwhile.\n"
        "  --host, --user    only these; may be given several times\n"
        "  --force           writes over a file that is there\n"
        "  --existing        what becomes of an account that is there: skip leaves it, merge adds to it what the dump\n"
        "                    has and leaves its password, replace deletes what it has first; default skip\n"
        "  --state FILE      how far the import came, so that it can go on; default the dump's name with .state\n"
        "  --check           reads the whole dump and says what is wrong, and changes nothing\n"
        "  --from            what follows is for meerkat-convert, which reads what another server stored\n"
        "  --socket PATH     the server's control socket\n"
        "  --json            a summary for scripts\n",
        out);
}

/* Adds a JID or domain in the form in which the server knows it. */
static bool add_name(struct names *n, const char *text, bool bare) {
    struct arena arena;
    const struct mk_jid *jid;
    arena_init(&arena);
    bool good = jid_parse(&arena, text, strlen(text), &jid) == 0 && (jid->local_len != 0) == bare && !jid->resource_len;
    if (good)
        names_add(n, jid->text);
    else
        fail(MISUSED, bare ? "%s is no address of an account" : "%s is no domain", text);
    arena_free(&arena);
    return good;
}

static bool read_existing(const char *text, enum existing *out) {
    static const char *const names[] = { "skip", "merge", "replace" };
    for (int i = 0; i < 3; i++)
        if (strcmp(names[i], text) == 0) {
            *out = (enum existing)i;
            return true;
        }
    fail(MISUSED, "--existing is skip, merge or replace, not %s", text);
    return false;
}

enum { HOST = 256, USER, EXISTING, STATE, CHECK, FORCE, SOCKET, JSON, FROM, HELP };
static const struct option options[] = {
    { "host", required_argument, NULL, HOST },
    { "user", required_argument, NULL, USER },
    { "existing", required_argument, NULL, EXISTING },
    { "state", required_argument, NULL, STATE },
    { "check", no_argument, NULL, CHECK },
    { "force", no_argument, NULL, FORCE },
    { "socket", required_argument, NULL, SOCKET },
    { "json", no_argument, NULL, JSON },
    { "from", no_argument, NULL, FROM },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int take_option(struct arguments *a, int option) {
    switch (option) {
    case HOST:
        return add_name(&a->hosts, optarg, false) ? -1 : MISUSED;
    case USER:
        return add_name(&a->users, optarg, true) ? -1 : MISUSED;
    case EXISTING:
        return read_existing(optarg, &a->existing) ? -1 : MISUSED;
    case STATE:
        a->state = optarg;
        return -1;
    case CHECK:
        a->check = true;
        return -1;
    case FORCE:
        a->force = true;
        return -1;
    case SOCKET:
        a->socket = optarg;
        return -1;
    case JSON:
        a->json = true;
        return -1;
    case HELP:
        usage(stdout);
        return DONE;
    default:
        usage(stderr);
        return MISUSED;
    }
}

/* What follows --from is not ours to read. */
static int read_arguments(struct arguments *a, int argc, char **argv) {
    int option, status = -1;
    a->socket = control_default_socket();
    while (status < 0 && (option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == FROM) {
            a->from = argv + optind;
            a->from_count = argc - optind;
            return a->from_count ? -1 : (usage(stderr), MISUSED);
        }
        status = take_option(a, option);
    }
    if (status >= 0)
        return status;
    if (optind + 1 != argc) {
        usage(stderr);
        return MISUSED;
    }
    a->file = argv[optind];
    return -1;
}

int main(int argc, char **argv) {
    struct arguments a = { 0 };
    bool in = argc > 1 && strcmp(argv[1], "import") == 0, out = argc > 1 && strcmp(argv[1], "export") == 0;
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("meerkat-move " MEERKAT_VERSION);
        return DONE;
    }
    if (!in && !out) {
        bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
        usage(help ? stdout : stderr);
        return help ? DONE : MISUSED;
    }
    int status = read_arguments(&a, argc - 1, argv + 1);
    if (status < 0 && out && (a.from || a.check || a.state))
        status = fail(MISUSED, "--from, --check and --state are for an import");
    if (status < 0)
        status = in ? import_accounts(&a) : export_accounts(&a);
    names_free(&a.hosts);
    names_free(&a.users);
    xmlCleanupParser();
    return status;
}
