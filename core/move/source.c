/* SPDX-License-Identifier: Apache-2.0 */
#include "move/source.h"
#include "util/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_stdin(const struct arguments *a) {
    return !a->from && strcmp(a->file, "-") == 0;
}

bool source_is_lasting(const struct arguments *a) {
    struct stat s;
    return a->from || (!is_stdin(a) && stat(a->file, &s) == 0 && S_ISREG(s.st_mode));
}

static bool open_file(struct source *s, const char *path) {
    s->name = xstrdup(path);
    s->folder = realpath(path, NULL);
    s->file = s->folder ? fopen(path, "re") : NULL;
    if (!s->file)
        return fail(FAILED, "%s can't be read: %s", path, strerror(errno)) == DONE;
    char *slash = strrchr(s->folder, '/');
    slash[slash == s->folder] = '\0';
    return true;
}

static void run_converter(const struct arguments *a, int out) {
    const char *program = getenv("MEERKAT_CONVERT");
    char **argv = xcalloc((size_t)a->from_count + 2, sizeof(char *));
    argv[0] = xstrdup(program && *program ? program : MEERKAT_BIN_DIR "/meerkat-convert");
    memcpy(argv + 1, a->from, (size_t)a->from_count * sizeof(char *));
    dup2(out, STDOUT_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    fail(FAILED, "%s can't be run: %s; it may be in a package of its own", argv[0], strerror(errno));
    _exit(127);
}

static bool open_converter(struct source *s, const struct arguments *a) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail(FAILED, "no pipe: %s", strerror(errno)) == DONE;
    s->name = xstrdup(a->from[0]);
    s->converter = fork();
    if (s->converter == 0)
        run_converter(a, ends[1]);
    close(ends[1]);
    s->file = fdopen(ends[0], "r");
    return s->converter > 0 && s->file;
}

bool source_open(struct source *s, const struct arguments *a) {
    *s = (struct source){ .file = NULL };
    if (a->from)
        return open_converter(s, a);
    if (!is_stdin(a))
        return open_file(s, a->file);
    s->file = stdin;
    s->name = xstrdup("standard input");
    return true;
}

/* The folder stays the source's. */
bool source_read(struct source *s, struct dump *d) {
    d->folder = s->folder ? xstrdup(s->folder) : NULL;
    return dump_read(d, s->file, s->name);
}

bool source_close(struct source *s) {
    int status = 0;
    if (s->file && s->file != stdin)
        fclose(s->file);
    while (s->converter > 0 && waitpid(s->converter, &status, 0) < 0 && errno == EINTR)
        ;
    free(s->name);
    free(s->folder);
    return status == 0;
}

char *source_identity(const struct arguments *a) {
    struct buf id = { 0 };
    struct stat s;
    if (!a->from && stat(a->file, &s) == 0)
        buf_printf(&id, "%s %" PRId64 " %" PRId64, a->file, (int64_t)s.st_size, (int64_t)s.st_mtime);
    for (int i = 0; i < a->from_count; i++)
        buf_printf(&id, "%s ", a->from[i]);
    for (char *p = id.data; p && *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    return id.data ? id.data : xstrdup("");
}
