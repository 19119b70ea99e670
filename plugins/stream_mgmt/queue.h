/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stanzas of a session that its client has not acknowledged: a ring that grows as needed and gives its memory back
 * when it is empty.  Counters are modulo 2^32, as XEP-0198 has them.
 */
#ifndef STREAM_MGMT_QUEUE_H
#define STREAM_MGMT_QUEUE_H

#include <meerkat/stanza.h>

/* What the session_send hook gave as the address. */
enum address {
    ADDRESS_OWN,     /* the stanza's */
    ADDRESS_SESSION, /* the full JID of the session: nothing to keep */
    ADDRESS_OTHER    /* .to */
};

struct unacked {
    const struct mk_stanza *stanza; /* OWNED */
    struct mk_receipt *receipt;     /* held while kill -9 would lose the stanza, else NULL */
    struct mk_jid *to;              /* OWNED; NULL unless ADDRESS_OTHER */
    int64_t sent_ms;                /* mk_now_ms() */
    uint8_t address;
    bool spooled; /* a row of the store keeps it too */
    bool shared;  /* another session was to get it at the same time */
};

struct queue {
    struct unacked *ring;
    uint32_t first, count, cap;
    uint32_t acked; /* `h` of the client's last ack: the stanza at I has number acked + 1 + I */
    uint64_t bytes; /* of the stanzas, about */
};

static inline struct unacked *queue_at(const struct queue *q, uint32_t i) {
    return &q->ring[(q->first + i) & (q->cap - 1)];
}
/* Room for one more at the end, zeroed. */
struct unacked *queue_push(struct queue *q);
/* Takes the first out.  The caller has released what it owns. */
void queue_pop(struct queue *q);
void queue_free(struct queue *q);

/* How many of the queue an ack of H acknowledges.  False: more than SENT, how many of it the client may know. */
bool queue_covers(const struct queue *q, uint32_t sent, uint32_t h, uint32_t *count);

/* Reads an xs:unsignedInt. */
bool read_uint32(const char *text, uint32_t *out);

#endif
