/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: writes that wait on disk while their backend is away.
 *
 * A file is a segment: a header, then records, one a write, in the order of writing.  It has the name
 * BACKEND.NUMBER.journal; numbers grow.  A segment belongs to one queue and is removed when all of it is stored; what a
 * dead process left is stored at the next start.  A record that was not written whole ends its segment.
 *
 * Header, 4096 bytes: "MKJRNL" 0 0, version; at 512 and 1024 a slot each of { count, head, checksum }: the valid one with
 * the higher count says where the first record begins that is not stored yet.
 * Record: length of what follows, checksum of it; kind, mode, length of the name, number of values, version of the
 * collection; its name; values as a type each, then 8 bytes, or a length and so many bytes.  All numbers little-endian.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/store.h"
#include <sys/types.h>

struct change;

/* ---- records -------------------------------------------------------------------------------------------------- */

enum { RECORD_HEAD = 8, RECORD_MAX = 1 << 30 };

void record_add(struct buf *out, const struct change *ch);
/* The bytes of the record at DATA with its head, as it says; 0 if it can't be one.  LEN must be RECORD_HEAD at least. */
size_t record_length(const char *data, size_t len);

void journal_put_int(char *at, uint64_t n, unsigned bytes);
uint64_t journal_get_int(const char *at, unsigned bytes);
uint32_t journal_checksum(const char *data, size_t len);

struct record {
    uint32_t kind, mode, version, count;
    struct mk_view name;
    const char *values, *end;
};
/* Of a whole record.  False: its checksum or form is wrong. */
bool record_read(const char *data, size_t len, struct record *r);
/* The change, as COLL, which may be a later version, has it.  NULL: it does not fit. */
struct change *record_change(const struct record *r, const struct mk_coll *coll);

/* ---- segments: any thread, one at a time; functions return 0 or an errno ----------------------------------------- */

struct segment {
    struct segment *next;
    char *path;
    int fd;
    uint64_t number;
    off_t written, head; /* where the next record goes; the first that is not stored */
    uint64_t slot;       /* count of the newest slot */
    uint32_t rows;       /* from HEAD on */
};
enum { SEGMENT_HEADER = 4096, SEGMENT_MAX = 16 << 20 }; /* a new one is begun past it */

int segment_new(const char *backend, struct segment **out);
/* Behind what is written, and makes it durable; the caller, whose thread may be another, moves WRITTEN on. */
int segment_append(const struct segment *s, const char *data, size_t len);
int segment_cut(const struct segment *s); /* what is behind WRITTEN goes */
int segment_mark(struct segment *s);      /* makes HEAD durable */
int segment_remove(struct segment *s);    /* frees S in any case */
void segment_close(struct segment *s);    /* the file stays */
int journal_sync(void);                   /* removals are durable */
/* Up to CAP bytes at AT.  -1: errno says why. */
ssize_t segment_read(const struct segment *s, off_t at, char *to, size_t cap);

/* ---- the folder: main thread ---------------------------------------------------------------------------------- */

struct journal_config {
    const char *folder;
    int64_t size;  /* bytes that the segments of a backend may have together; 0: nothing is written */
    int64_t share; /* percent of the queue that may wait in memory before the journal is used */
    int64_t after; /* ms that commits may fail before the backend counts as away */
};
/* Locks the folder, making it if need be.  False: there is no journal, WHY has a phrase; TAKEN: another process has it. */
bool journal_open(const struct journal_config *config, bool *taken, char *why, size_t size);
void journal_close(void);
bool journal_is_open(void);

/*
 * The segments that others left, oldest first, as FN(ARG) takes them over: the backend's name, the segment not read yet.
 * Returns false once FN does.
 */
bool journal_each(bool (*fn)(void *arg, const char *backend, struct segment *s), void *arg);

#endif
