/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event, as text, JSON, or to journald.  Threads write whole lines; nothing is lost on a crash
 * but what a dead disk loses.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_format { LOG_TEXT, LOG_JSON, LOG_JOURNAL };
struct log_config {
    enum log_format format;
    const char *file; /* NULL: standard error */
    int level;        /* mk_level of the server itself */
};
void log_setup(const struct log_config *config); /* also at reload: reopens the file */
bool log_wants(int level);                       /* of the server itself */
void log_set_level(int level);                   /* of the server itself, until the next log_setup() */
const char *log_level_name(int level);           /* "error" to "debug" */
int log_level_of(const char *name);              /* -1 if there is none of this name */

struct mk_jid;
struct log_place { /* all may be NULL */
    const char *plugin;
    const char *host;
    const char *entity; /* a JID as text */
    const char *peer;   /* address */
};
/* Lines without a plugin are the server's own and obey its level; who names one has checked that plugin's. */
void log_line(int level, const struct log_place *place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_vline(int level, const struct log_place *place, const char *fmt, va_list args);

/* For the server's own lines. */
#define log_error(...) log_line(3, NULL, __VA_ARGS__)
#define log_warning(...) log_line(4, NULL, __VA_ARGS__)
#define log_notice(...) log_line(5, NULL, __VA_ARGS__)
#define log_info(...) (log_wants(6) ? log_line(6, NULL, __VA_ARGS__) : (void)0)
#define log_debug(...) (log_wants(7) ? log_line(7, NULL, __VA_ARGS__) : (void)0)

#endif
