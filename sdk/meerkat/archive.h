/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - interface `mk_archive` 1.1: message archives (XEP-0313).  An archive is of the entity whose turn it is, an
 * account or a room: its owner is mk_self().  The plugin `mam` provides it and keeps the archives of accounts; one that
 * serves rooms decides what theirs hold, and who may read it.
 */
#ifndef MEERKAT_ARCHIVE_H
#define MEERKAT_ARCHIVE_H

#include <meerkat/service.h>
#include <meerkat/stanza.h>

MK_BEGIN_DECLS

/*
 * Ids are texts of 22 characters A-Z a-z 0-9 - _, ended by NUL.  They name one message of the archive for ever, can't be
 * guessed, and as octets sort in the order of the archive.
 */
enum { MK_ARCHIVE_ID_SIZE = 24 };

/* A message to store, lent for the call. */
struct mk_archive_entry {
    const char *id;                     /* of next_id() */
    const struct mk_stanza *stanza;     /* kept as it is */
    const struct mk_jid *with;          /* who wrote it, or whom it is for; a room: the occupant */
    const struct mk_jid *sender;        /* a room: the real address of who wrote it, NULL if none is to be kept */
    const struct mk_stanza *receipt_of; /* its receipt waits until the row is durable; may be NULL */
    bool sent;                          /* by the owner */
};

/* A message as it is stored, lent for the turn. */
struct mk_archive_row {
    char id[MK_ARCHIVE_ID_SIZE];
    int64_t time; /* microseconds since 1970 */
    const struct mk_stanza *stanza;
    const struct mk_jid *with, *sender; /* SENDER is NULL if none is kept */
    bool sent;
};

/* How a query is answered.  PUT writes the message of ROW, as who asks may see it, with mk_put_stanza() or otherwise,
 * inside of <forwarded/>; NULL: as it is stored. */
struct mk_archive_view {
    void (*put)(struct mk_ctx *c, const struct mk_archive_row *row, struct mk_out *o, void *arg);
    void *arg;
};

/* XEP-0424: what takes a message's place.  BY, if not NULL, writes children of <retracted/>, as XEP-0425 has them. */
struct mk_archive_tombstone {
    const char *id; /* of the stanza that retracts; NULL if it has none */
    void (*by)(struct mk_ctx *c, struct mk_out *o, void *arg);
    void *arg;
};

/* OWNER is mk_self() in all of them. */
struct mk_archive_ops {
    uint32_t size, zero;
    /* Makes the archive ready for next_id() and add(), once as long as the entity is in memory.  May suspend. */
    int (*open)(struct mk_ctx *c, const struct mk_jid *owner);
    /* A fresh id, later than all others of the archive, in the turn's memory.  MK_E_UNAVAILABLE before open(). */
    int (*next_id)(struct mk_ctx *c, const char **id);
    /* Stores a message with the next group commit.  Does not suspend.  MK_E_BUSY: refuse it with resource-constraint. */
    int (*add)(struct mk_ctx *c, const struct mk_archive_entry *entry);
    /* The last COUNT messages (1 to 1000) that came after AFTER (microseconds since 1970), the oldest first.  May
     * suspend. */
    int (*last)(struct mk_ctx *c, uint32_t count, int64_t after, const struct mk_archive_row *const **rows,
                uint32_t *found);
    /* Answers an iq of XEP-0313 to the archive: query, its form, metadata.  Returns what an iq handler does.  The caller
     * has checked who asks.  May suspend; also for MK_ASIDE. */
    int (*answer)(struct mk_ctx *c, const struct mk_stanza *iq, const struct mk_archive_view *view);
    /* Puts a tombstone in the place of message ID; MK_E_NOTFOUND.  May suspend. */
    int (*retract)(struct mk_ctx *c, const char *id, const struct mk_archive_tombstone *tombstone);
    /* Deletes the whole archive.  May suspend. */
    int (*drop)(struct mk_ctx *c, const struct mk_jid *owner);
    /* 1.1.  Whether message STANZA, received from or sent to WITH, is for the archive, by what it is and what the owner wants.
     * Does not suspend. */
    bool (*keeps)(struct mk_ctx *c, const struct mk_stanza *stanza, const struct mk_jid *with);
};
struct mk_archive {
    struct mk_svc svc;
};

MK_CALL1(mk_archive, open, int, MK_E_UNSUPPORTED, const struct mk_jid *, owner)
MK_CALL1(mk_archive, next_id, int, MK_E_UNSUPPORTED, const char **, id)
MK_CALL1(mk_archive, add, int, MK_E_UNSUPPORTED, const struct mk_archive_entry *, entry)
MK_CALL4(mk_archive, last, int, MK_E_UNSUPPORTED, uint32_t, count, int64_t, after,
         const struct mk_archive_row *const **, rows, uint32_t *, found)
MK_CALL2(mk_archive, answer, int, MK_E_UNSUPPORTED, const struct mk_stanza *, iq, const struct mk_archive_view *, view)
MK_CALL2(mk_archive, retract, int, MK_E_UNSUPPORTED, const char *, id, const struct mk_archive_tombstone *, tombstone)
MK_CALL1(mk_archive, drop, int, MK_E_UNSUPPORTED, const struct mk_jid *, owner)
MK_CALL2(mk_archive, keeps, bool, false, const struct mk_stanza *, stanza, const struct mk_jid *, with)

MK_END_DECLS

#endif
