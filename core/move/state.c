/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text of four lines: the dump, how many accounts are done, the last of them, the one that is begun.  It is written
 * before an account is made, so that an account that is there already is known to be of an import that was cut.
 */
#include "move/move.h"
#include "util/mem.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *next_line(FILE *f) {
    char *line = NULL;
    size_t cap = 0;
    if (getline(&line, &cap, f) <= 0) {
        free(line);
        return xstrdup("");
    }
    line[strcspn(line, "\n")] = '\0';
    return line;
}

bool state_open(struct state *s, const char *path, const char *identity) {
    *s = (struct state){ .path = path ? xstrdup(path) : NULL };
    FILE *f = path ? fopen(path, "re") : NULL;
    if (!f)
        return !path || errno == ENOENT || fail(FAILED, "%s can't be read: %s", path, strerror(errno)) == DONE;
    char *of = next_line(f), *done = next_line(f);
    char *last = next_line(f), *begun = next_line(f);
    fclose(f);
    bool same = strcmp(of, identity) == 0;
    if (same) {
        s->done = strtoll(done, NULL, 10);
        s->last = xstrdup(last);
    }
    s->begun = *begun ? xstrdup(begun) : NULL;
    free(of);
    free(done);
    free(last);
    free(begun);
    return true;
}

bool state_save(struct state *s, const char *identity, int64_t done, const char *last, const char *begun) {
    struct buf new = { 0 };
    if (!s->path)
        return true;
    buf_printf(&new, "%s.new", s->path);
    FILE *f = fopen(new.data, "we");
    bool good = f && fprintf(f, "%s\n%" PRId64 "\n%s\n%s\n", identity, done, last, begun) > 0;
    good = f && fclose(f) == 0 && good;
    good = good && rename(new.data, s->path) == 0;
    buf_free(&new);
    return good || fail(FAILED, "%s can't be written: %s", s->path, strerror(errno)) == DONE;
}

void state_end(struct state *s, bool good) {
    if (good && s->path)
        unlink(s->path);
    free(s->path);
    free(s->begun);
    free(s->last);
}
