/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"
#include "util/datetime.h"
#include "util/mem.h"
#include "util/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

enum { MESSAGE_MAX = 8192, PATIENCE_MS = 1000 };

/* Threads read these without a lock.  A file that is reopened takes the place of the old one under the same number. */
static atomic_int sink = STDERR_FILENO;
static atomic_int format = LOG_TEXT;
static atomic_int own_level = 6;

static const char *const level_names[] = { "emergency", "alert",  "critical", "error",
                                           "warning",   "notice", "info",     "debug" };

const char *log_level_name(int level) {
    return level_names[level & 7];
}

int log_level_of(const char *name) {
    for (int i = 3; i < 8; i++)
        if (strcmp(level_names[i], name) == 0)
            return i;
    return -1;
}

bool log_wants(int level) {
    return level <= atomic_load_explicit(&own_level, memory_order_relaxed);
}

void log_set_level(int level) {
    atomic_store_explicit(&own_level, level, memory_order_relaxed);
}

/* ---- where it goes ------------------------------------------------------------------------------------------------ */

static void write_all(const char *data, size_t len) {
    int fd = atomic_load_explicit(&sink, memory_order_acquire);
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            /* Standard error may be a pipe somebody made non-blocking; one that nobody reads must not stop the server. */
            struct pollfd p = { .fd = fd, .events = POLLOUT };
            if (poll(&p, 1, PATIENCE_MS) <= 0)
                return;
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

static void use_file(const char *file) {
    int old = atomic_load(&sink);
    if (!file) {
        if (old != STDERR_FILENO)
            dup3(STDERR_FILENO, old, O_CLOEXEC);
        return;
    }
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) {
        log_error("the log stays where it was: can't open %s: %s", file, strerror(errno));
    } else if (old == STDERR_FILENO) {
        atomic_store_explicit(&sink, fd, memory_order_release);
    } else {
        dup3(fd, old, O_CLOEXEC);
        close(fd);
    }
}

void log_setup(const struct log_config *config) {
    enum log_format wanted = config->format;
#ifndef HAVE_SYSTEMD
    if (wanted == LOG_JOURNAL)
        wanted = LOG_TEXT;
#endif
    log_set_level(config->level);
    atomic_store(&format, wanted);
    use_file(config->file);
    if (wanted != config->format)
        log_warning("built without libsystemd: the log is text instead of the journal's");
}

/* ---- a line ------------------------------------------------------------------------------------------------------- */

enum quoting { QUOTE_TEXT, QUOTE_JSON };

/* Length of the character at P, 2 to 4, or 0 if its bytes are no UTF-8. */
static size_t char_length(const char *p, size_t left) {
    for (size_t n = 2; n <= 4 && n <= left; n++)
        if (utf8_valid(p, n))
            return n;
    return 0;
}

/* The code points U+0080 to U+009F steer terminals, as those below U+0020 do. */
static bool is_c1(const char *p, size_t len) {
    return len == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
}

static void add_control(struct buf *out, enum quoting how, unsigned c) {
    static const char letters[] = "abtnvfr";
    if (how == QUOTE_TEXT && c >= 7 && c <= 13)
        buf_printf(out, "\\%c", letters[c - 7]);
    else
        buf_printf(out, how == QUOTE_TEXT ? "\\x%02x" : "\\u%04x", c);
}

/* What peers wrote must not look like another line, nor steer the terminal of who reads it. */
static void add_quoted(struct buf *out, enum quoting how, const char *text, size_t len) {
    size_t done = 0, i = 0;
    while (i < len) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : char_length(text + i, len - i);
        bool plain =
            n == 1 ? c >= ' ' && c != 0x7f && c != '\\' && !(how == QUOTE_JSON && c == '"') : n && !is_c1(text + i, n);
        if (plain) {
            i += n;
            continue;
        }
        buf_add(out, text + done, i - done);
        if (c == '\\' || (c == '"' && how == QUOTE_JSON))
            buf_printf(out, "\\%c", c);
        else if (n == 2)
            buf_printf(out, "\\u%04x", (unsigned char)text[i + 1]);
        else if (n == 0 && how == QUOTE_JSON)
            buf_puts(out, "\xef\xbf\xbd");
        else
            add_control(out, how, c);
        i += n ? n : 1;
        done = i;
    }
    buf_add(out, text + done, len - done);
}

static void add_time(struct buf *out) {
    enum { TO_MILLISECONDS = 23 };
    char text[DATETIME_SIZE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    datetime_write(text, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    buf_add(out, text, TO_MILLISECONDS);
    buf_puts(out, "Z");
}

static void add_word(struct buf *out, const char *text) {
    if (!text || !*text)
        return;
    buf_puts(out, " ");
    add_quoted(out, QUOTE_TEXT, text, strlen(text));
}

static void text_line(int level, const struct log_place *at, const struct buf *message) {
    struct buf line = { 0 };
    add_time(&line);
    add_word(&line, log_level_name(level));
    add_word(&line, at->plugin);
    add_word(&line, at->entity ? at->entity : at->host);
    add_word(&line, at->peer);
    buf_puts(&line, ": ");
    add_quoted(&line, QUOTE_TEXT, message->data, message->len);
    buf_puts(&line, "\n");
    write_all(line.data, line.len);
    buf_free(&line);
}

static void add_member(struct buf *out, const char *name, const char *text, size_t len) {
    buf_printf(out, ",\"%s\":\"", name);
    add_quoted(out, QUOTE_JSON, text, len);
    buf_puts(out, "\"");
}

static void json_line(int level, const struct log_place *at, const struct buf *message) {
    const struct {
        const char *name, *text;
    } parts[] = { { "level", log_level_name(level) },
                  { "plugin", at->plugin },
                  { "host", at->host },
                  { "entity", at->entity },
                  { "peer", at->peer } };
    struct buf line = { 0 };
    buf_puts(&line, "{\"time\":\"");
    add_time(&line);
    buf_puts(&line, "\"");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].text)
            add_member(&line, parts[i].name, parts[i].text, strlen(parts[i].text));
    add_member(&line, "message", message->data, message->len);
    buf_puts(&line, "}\n");
    write_all(line.data, line.len);
    buf_free(&line);
}

#ifdef HAVE_SYSTEMD
static void journal_line(int level, const struct log_place *at, const struct buf *message) {
    const struct {
        const char *name, *text;
    } parts[] = { { "MEERKAT_PLUGIN=", at->plugin },
                  { "MEERKAT_HOST=", at->host },
                  { "MEERKAT_ENTITY=", at->entity },
                  { "MEERKAT_PEER=", at->peer } };
    enum { PARTS = sizeof parts / sizeof parts[0] };
    struct buf fields[PARTS + 2] = { { 0 } };
    struct iovec iov[PARTS + 2];
    int count = 0;
    buf_puts(&fields[count], "MESSAGE=");
    add_quoted(&fields[count++], QUOTE_TEXT, message->data, message->len);
    buf_printf(&fields[count++], "PRIORITY=%d", level);
    for (size_t i = 0; i < PARTS; i++) {
        if (!parts[i].text)
            continue;
        buf_puts(&fields[count], parts[i].name);
        add_quoted(&fields[count++], QUOTE_TEXT, parts[i].text, strlen(parts[i].text));
    }
    for (int i = 0; i < count; i++)
        iov[i] = (struct iovec){ fields[i].data, fields[i].len };
    if (sd_journal_sendv(iov, count) < 0)
        text_line(level, at, message);
    for (int i = 0; i < count; i++)
        buf_free(&fields[i]);
}
#endif

static struct buf format_message(const char *fmt, va_list args) {
    static const char cut[] = " (cut)";
    char small[256];
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, fmt, args);
    size_t size = len < 0 ? 0 : (size_t)len < MESSAGE_MAX ? (size_t)len : MESSAGE_MAX;
    struct buf out = { xmalloc(size + sizeof cut), size, size + sizeof cut };
    if (size < sizeof small)
        memcpy(out.data, small, size);
    else
        vsnprintf(out.data, size + 1, fmt, again);
    va_end(again);
    if (len > MESSAGE_MAX)
        buf_puts(&out, cut);
    return out;
}

void log_vline(int level, const struct log_place *place, const char *fmt, va_list args) {
    static const struct log_place nowhere;
    const struct log_place *at = place ? place : &nowhere;
    if (!at->plugin && !log_wants(level))
        return;
    int error = errno; /* callers log before they look at it */
    struct buf message = format_message(fmt, args);
    switch (atomic_load_explicit(&format, memory_order_relaxed)) {
    case LOG_JSON:
        json_line(level, at, &message);
        break;
#ifdef HAVE_SYSTEMD
    case LOG_JOURNAL:
        journal_line(level, at, &message);
        break;
#endif
    default:
        text_line(level, at, &message);
    }
    buf_free(&message);
    errno = error;
}

void log_line(int level, const struct log_place *place, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    log_vline(level, place, fmt, args);
    va_end(args);
}
