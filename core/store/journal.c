/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"
#include "util/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1, SLOT_STEP = 512, SLOT_SIZE = 20 };
static const char magic[8] = "MKJRNL", blank[8];
/* Written whole, though most of it is empty: a mark must find its block there when the disk is full. */
static const char new_header[SEGMENT_HEADER] = { 'M', 'K', 'J', 'R', 'N', 'L', [sizeof magic] = FORMAT };
static const char suffix[] = ".journal";

static struct {
    char *folder; /* NULL: no journal */
    int fd;       /* of the folder, locked */
    _Atomic uint64_t number;
} journal = { .fd = -1 };

/* ---- files ---------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t len, off_t at) {
    while (len) {
        ssize_t n = pwrite(fd, data, len, at);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            at += n;
        }
    }
    return 0;
}

int journal_sync(void) {
    return fsync(journal.fd) == 0 ? 0 : errno;
}

void segment_close(struct segment *s) {
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
}

int segment_remove(struct segment *s) {
    int rc = unlink(s->path) == 0 || errno == ENOENT ? 0 : errno;
    segment_close(s);
    return rc;
}

static struct segment *segment_alloc(const char *name) {
    struct segment *s = xcalloc(1, sizeof *s);
    struct buf path = { 0 };
    buf_printf(&path, "%s/%s", journal.folder, name);
    s->path = path.data;
    s->fd = -1;
    s->written = s->head = SEGMENT_HEADER;
    return s;
}

static int make_file(struct segment *s) {
    s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return errno;
    int rc = write_all(s->fd, new_header, sizeof new_header, 0);
    if (!rc && fsync(s->fd) != 0)
        rc = errno;
    return rc ? rc : journal_sync();
}

int segment_new(const char *backend, struct segment **out) {
    char name[NAME_MAX];
    uint64_t number = atomic_fetch_add(&journal.number, 1) + 1;
    snprintf(name, sizeof name, "%s.%012" PRIu64 "%s", backend, number, suffix);
    struct segment *s = segment_alloc(name);
    s->number = number;
    int rc = make_file(s);
    *out = rc ? NULL : s;
    if (rc && s->fd >= 0)
        segment_remove(s);
    else if (rc)
        segment_close(s);
    return rc;
}

/* What was written in part must not stay: it would be taken for a write of this process. */
int segment_append(const struct segment *s, const char *data, size_t len) {
    int rc = write_all(s->fd, data, len, s->written);
    if (!rc && fdatasync(s->fd) != 0)
        rc = errno;
    int cut = rc ? segment_cut(s) : 0;
    return cut ? cut : rc;
}

/* One that failed is done again in the same slot: the other has the last mark that is known to be there. */
int segment_mark(struct segment *s) {
    char slot[SLOT_SIZE];
    uint64_t count = s->slot + 1;
    journal_put_int(slot, count, 8);
    journal_put_int(slot + 8, (uint64_t)s->head, 8);
    journal_put_int(slot + 16, journal_checksum(slot, 16), 4);
    int rc = write_all(s->fd, slot, sizeof slot, SLOT_STEP * (off_t)(1 + count % 2));
    if (!rc && fdatasync(s->fd) != 0)
        rc = errno;
    if (!rc)
        s->slot = count;
    return rc;
}

int segment_cut(const struct segment *s) {
    return ftruncate(s->fd, s->written) == 0 ? 0 : errno;
}

ssize_t segment_read(const struct segment *s, off_t at, char *to, size_t cap) {
    ssize_t n;
    do
        n = pread(s->fd, to, cap, at);
    while (n < 0 && errno == EINTR);
    return n;
}

/* ---- segments of others ----------------------------------------------------------------------------------------- */

static void read_slots(struct segment *s, const char *header) {
    for (int i = 0; i < 2; i++) {
        const char *slot = header + (i + 1) * SLOT_STEP;
        uint64_t count = journal_get_int(slot, 8), head = journal_get_int(slot + 8, 8);
        if (count > s->slot && journal_get_int(slot + 16, 4) == journal_checksum(slot, 16) && head >= SEGMENT_HEADER) {
            s->slot = count;
            s->head = (off_t)head;
        }
    }
}

/*
 * Of a file of SIZE bytes.  One that ends in its header, and has ours or none yet, was being made when its process died:
 * the header is durable before there is a record.
 */
static bool read_header(struct segment *s, off_t size) {
    char header[2 * SLOT_STEP + SLOT_SIZE] = { 0 };
    if (segment_read(s, 0, header, sizeof header) < 0)
        return false;
    bool ours = memcmp(header, magic, sizeof magic) == 0 && journal_get_int(header + sizeof magic, 4) == FORMAT;
    bool unmade = size <= SEGMENT_HEADER && (ours || memcmp(header, blank, sizeof blank) == 0);
    if (ours && !unmade)
        read_slots(s, header);
    s->written = unmade ? SEGMENT_HEADER : size;
    return ours || unmade;
}

struct name {
    char *text;
    uint64_t number;
};

static int by_number(const void *a, const void *b) {
    const struct name *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* BACKEND.NUMBER.journal: true, and the length of BACKEND. */
static bool parse_name(const char *name, uint64_t *number, size_t *backend_len) {
    const char *dot = strchr(name, '.');
    char *end;
    if (!dot || dot == name || dot[1] < '0' || dot[1] > '9')
        return false;
    *number = strtoull(dot + 1, &end, 10);
    *backend_len = (size_t)(dot - name);
    return strcmp(end, suffix) == 0;
}

static struct name *list_names(size_t *count) {
    struct name *names = NULL;
    DIR *dir = opendir(journal.folder);
    *count = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        uint64_t number;
        size_t len;
        if (!parse_name(e->d_name, &number, &len))
            continue;
        names = xrealloc(names, (*count + 1) * sizeof *names);
        names[(*count)++] = (struct name){ xstrdup(e->d_name), number };
    }
    if (dir)
        closedir(dir);
    if (*count)
        qsort(names, *count, sizeof *names, by_number);
    return names;
}

static struct segment *open_named(const struct name *name) {
    struct stat st;
    struct segment *s = segment_alloc(name->text);
    s->number = name->number;
    s->fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) != 0 || !read_header(s, st.st_size))
        s->written = 0;
    return s;
}

bool journal_each(bool (*fn)(void *arg, const char *backend, struct segment *s), void *arg) {
    size_t count;
    struct name *names = list_names(&count);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        if (good) {
            struct segment *s = open_named(&names[i]);
            *strchr(names[i].text, '.') = '\0';
            good = fn(arg, names[i].text, s);
        }
        free(names[i].text);
    }
    free(names);
    return good;
}

/* ---- the folder ------------------------------------------------------------------------------------------------- */

static void find_last_number(void) {
    size_t count;
    struct name *names = list_names(&count);
    atomic_store(&journal.number, count ? names[count - 1].number : 0);
    for (size_t i = 0; i < count; i++)
        free(names[i].text);
    free(names);
}

bool journal_open(const struct journal_config *config, bool *taken, char *why, size_t size) {
    *taken = false;
    if (config->size && mkdir(config->folder, 0700) != 0 && errno != EEXIST)
        return snprintf(why, size, "%s can't be made: %s", config->folder, strerror(errno)) < 0;
    journal.fd = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal.fd < 0)
        return snprintf(why, size, "%s can't be opened: %s", config->folder, strerror(errno)) < 0;
    if (flock(journal.fd, LOCK_EX | LOCK_NB) != 0) {
        journal_close();
        *taken = true;
        return snprintf(
                   why, size,
                   "The journal %s is another server's that runs: give this one a folder of its own in journal.folder.",
                   config->folder) < 0;
    }
    journal.folder = xstrdup(config->folder);
    find_last_number();
    return true;
}

void journal_close(void) {
    if (journal.fd >= 0)
        close(journal.fd);
    free(journal.folder);
    journal.fd = -1;
    journal.folder = NULL;
}

bool journal_is_open(void) {
    return journal.folder != NULL;
}
