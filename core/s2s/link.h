/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this folder: a stream in either direction, and what waits for a domain. */
#ifndef S2S_LINK_H
#define S2S_LINK_H

#include "net/dial.h"
#include "route/host.h"
#include "s2s/s2s.h"
#include "util/log.h"
#include "xml/parser.h"
#include "xml/scan.h"

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_DB "jabber:server:dialback"
#define NS_BIDI "urn:xmpp:bidi"
#define NS_SM "urn:xmpp:sm:3"
#define NS_STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* A stanza on its way out.  It is in one list, or in a post. */
struct parcel {
    struct list link;
    struct post post;
    struct mk_stanza *stanza;
    struct mk_receipt *receipt;
    struct mk_jid *to; /* NULL: as the stanza says */
    bool resent;       /* its stream broke under it once */
};

enum link_state {
    LINK_HEADER, /* waits for a stream header */
    LINK_OPEN,   /* negotiates */
    LINK_READY,  /* ours is authenticated: stanzas may go out */
    LINK_ENDED   /* our end tag is written and nothing more is read */
};

/* REMOTE may send to LOCAL, or to all our domains if that is NULL. */
struct grant {
    struct grant *next;
    char *local, *remote;
    const char *by; /* "certificate", "dialback" */
};

/* What came on a stream, by XEP-0198; it outlives the stream if that is lost and may be resumed. */
struct inbox {
    struct list link;   /* in the worker's list of those that may be resumed */
    struct link *owner; /* NULL: it waits for a stream that resumes it */
    struct list owed;   /* receipts of what came and was not paid yet, the oldest first */
    struct timer timer;
    uint32_t received;
    bool ack_due, answer_due; /* once all is paid: an <a/>, or a <resumed/> */
    char *id, *remote;        /* NULL: it can't be resumed */
};

struct link {
    struct conn conn;
    struct list link; /* in the worker's links */
    struct scan scan;
    struct timer timer; /* of the negotiation, then of idleness, then of the goodbye */
    struct post move;
    uint64_t serial, since_ms;
    uint64_t used_ms;     /* when it last carried a stanza of ours */
    char *local, *remote; /* as the headers say; REMOTE NULL: not said */
    char *id;             /* of the stream; dialback keys are made with it */
    char *prefixes;
    struct tls_peer *cert;   /* NULL before TLS */
    struct dns_answer *tlsa; /* what DNS says of the certificate, of ours; NULL: nothing */
    char *target;            /* the name that it is of */
    struct grant *grants;
    struct pair *pair;   /* it sends for; NULL: it only receives */
    struct list sent;    /* parcels that may not have reached the socket, or are not acknowledged */
    struct list sent_in; /* in the worker's list of links with such */
    struct inbox *inbox; /* what comes in is counted; NULL: it is not */
    char *sm_id;         /* of ours: by which it can be resumed; NULL: it can't */
    uint32_t sent_count, acked;
    uint64_t asked_ms; /* when we asked for an acknowledgement that is not there yet */
    uint32_t refs;
    uint32_t peer_max; /* bytes of a stanza that the peer takes (XEP-0478); 0: it did not say */
    uint8_t state;
    uint8_t failures;  /* refused authentications */
    uint8_t verifying; /* dialback keys that are being asked about */
    bool outgoing, opened, moved, moving;
    bool finishing; /* it ends once what came and what went is acknowledged: nothing more is sent on it */
    bool goodbye;   /* our end tag is written, that of the peer awaited */
    /* Of ours: what the peer's features offer and we can use; what was tried. */
    bool external, starttls, can_bidi;
    bool can_sm;
    bool tracks;  /* what goes out is kept until it is acknowledged (XEP-0198), from the request for it on */
    bool tracked; /* the peer agreed */
    bool asked;
    bool resuming; /* of ours: an answer to our <resume/> is awaited */
    bool lost;     /* it ended without a word */
    bool key_sent, external_tried, refused_external;
    bool authed; /* by SASL: a new header follows */
    bool bidi;   /* stanzas go both ways on it (XEP-0288) */
    bool able;   /* TLS is as it must be: authentication and questions may begin */
};

/* A dialback key that we want to know about: asked for by the worker of a stream, asked by that of the domain. */
enum verdict { VERDICT_VALID, VERDICT_INVALID, VERDICT_ERROR };
struct verify {
    struct list link; /* in pair->verifies */
    struct post post;
    struct timer deadline;
    struct worker *asker;
    uint64_t serial; /* of the stream */
    enum verdict verdict;
    const char *condition; /* VERDICT_ERROR: a stanza error; static */
    bool sent;
    char *local, *remote, *id, *key;
};

/* What one of our domains has to do with one of theirs. */
struct pair {
    char *local, *remote;
    const struct host *host; /* whose the local one is */
    struct link *link;       /* NULL while there is none */
    struct dial *dial;       /* while there is more to try */
    struct list queue;       /* parcels */
    size_t queue_bytes;
    unsigned queue_count;
    struct list verifies;
    struct list unacked; /* parcels of a stream that was lost and can be resumed: by SM_ID */
    char *sm_id;         /* NULL: there is none */
    uint32_t unacked_count, sm_acked, sm_received;
    unsigned resumes;  /* without anything acknowledged in between */
    struct timer rest; /* while RESTING after a failure nothing is tried and all is refused; then it is remembered */
    unsigned failures;
    const char *condition; /* of the last failure; static */
    char *why;             /* a sentence for it */
    bool ready;            /* LINK is authenticated */
    bool resting, ending;
    bool no_external;   /* it refused our certificate, and may have closed the stream over it */
    bool stream_failed; /* on one address of this round: WHY is of that */
};

/* ---- config.c, policy.c -------------------------------------------------------------------------------------------- */

const struct s2s_config *s2s_config(void); /* the newest; lives until the end */
const struct s2s_policy *policy_for(const char *remote);
/* Whether what the peer showed proves that it is REMOTE. */
bool policy_proves(const struct s2s_policy *p, const struct tls_peer *cert, const char *remote);
/* Whether nothing but a certificate will do. */
bool policy_wants_cert(const struct s2s_policy *p);
extern char s2s_secret[SECRET_HEX + 1]; /* SHA-256 of the secret, in hex: the key of XEP-0185 */

/* One of our domains: its host, NULL if it is not served. */
const struct host *local_host(const char *domain);
/* TEXT as a domain, prepared and malloc'd; NULL if it is none. */
char *domain_read(const char *text);
struct worker *domain_home(const char *domain);

/* ---- link.c --------------------------------------------------------------------------------------------------------- */

struct link *link_new(struct worker *w, int fd, const struct sockaddr *peer, bool outgoing);
void link_write(struct link *l, const char *data, size_t len);
void link_say(struct link *l, const char *text);
void link_printf(struct link *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct buf;
void buf_attr(struct buf *b, const char *name, const char *value); /* " name='value'", escaped */
void link_send_header(struct link *l);
/* Ends it: with a stream error, or in peace if COND is NULL.  Its pair hears of it. */
void link_fail(struct link *l, const char *cond, const char *text);
void link_error_came(struct link *l, const struct mk_stanza *s);
/* Ends it so that nothing is lost or comes twice: when all is acknowledged it says goodbye, and goes on to read until the
 * peer did too.  What is for the peer meanwhile waits for another stream. */
void link_finish(struct link *l);
void link_settled(struct link *l);                  /* perhaps it can say goodbye now */
void link_parcel(struct link *l, struct parcel *p); /* writes and takes it */
bool link_is_full(const struct link *l);
void link_drop(struct link *l, uint32_t count); /* the oldest of what was sent has arrived */
void link_sent(struct link *l);                 /* all of it has */
void link_timer(struct link *l, int64_t ms);
void link_log(const struct link *l, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void links_write_start(void);
struct link *link_next(struct link *prev); /* of this worker; NULL is before the first, and behind the last */
struct link *link_find(uint64_t serial);   /* of this worker */
void link_grant(struct link *l, const char *local, const char *remote, const char *by);
const struct grant *link_granted(const struct link *l, const char *local, const char *remote);
void link_check_cert(struct link *l); /* after TLS */
unsigned links_from(const char *remote);
static inline struct link *link_ref(struct link *l) {
    l->refs++;
    return l;
}
void link_unref(struct link *l);
void link_go_home(struct link *l); /* to the worker of its remote domain; in_at_home() follows there */

/* ---- in.c: what comes on streams that others opened ------------------------------------------------------------------- */

void in_header(struct link *l, const struct xml_header *h);
void in_at_home(struct link *l); /* it is where the streams of its domain are: our header and features follow */
void in_element(struct link *l, struct mk_stanza *s); /* takes S */
void in_stanza(struct link *l, struct mk_stanza *s);  /* takes S: one of the three kinds */

/* ---- out.c: what comes on ours ----------------------------------------------------------------------------------------- */

void out_begin(struct pair *p, const struct dial_result *r);
void out_header(struct link *l, const struct xml_header *h);
void out_secured(struct link *l);
void out_element(struct link *l, struct mk_stanza *s);
void out_ready(struct link *l); /* it is authenticated */
void out_wake(struct link *l);  /* there is more to do on it */

/* ---- dialback.c ----------------------------------------------------------------------------------------------------------- */

enum { KEY_HEX = 64 };
void dialback_key(const char *receiving, const char *originating, const char *id, char out[KEY_HEX + 1]);
void dialback_in(struct link *l, const struct mk_stanza *s); /* an element of NS_DB on a stream of others */
void dialback_out(struct link *l, const struct mk_stanza *s);
void dialback_send_verify(struct link *l, struct verify *v);
void verify_free(struct verify *v);
void verify_done(struct verify *v, enum verdict verdict, const char *condition);

/* ---- ack.c ------------------------------------------------------------------------------------------------------------- */

/* Counts a stanza that came, and gives it a receipt that the caller pays once; NULL if it need not. */
struct mk_receipt *ack_receive(struct link *l, struct mk_stanza *s);
void ack_last(struct link *l);  /* before the goodbye: the peer need not send again what came */
void ack_end(struct link *l);   /* the stream is over */
void ack_begin(struct link *l); /* on ours, before the first stanza: pair_ready() follows now or later */
void ack_worker_start(void);
void ack_worker_stop(void);
void ack_ask(struct link *l); /* something was sent */
void ack_element(struct link *l, const struct mk_elem *e);

/* ---- pair.c --------------------------------------------------------------------------------------------------------------- */

struct pair *pair_get(const char *local, const char *remote); /* made if there is none; NULL: LOCAL is not served */
struct pair *pair_find(const char *local, const char *remote);
void pair_verify(struct verify *v); /* takes V */
void pair_ready(struct pair *p);    /* its link is authenticated, or has room again */
void pair_lost(struct pair *p, struct link *l, const char *cond, const char *why); /* its link is no more */
void pair_adopt(struct pair *p, struct link *l);
/* L, which REMOTE opened and is authenticated for, may carry what is for it, unless there is another stream. */
void pair_offer(const char *local, const char *remote, struct link *l);
void pair_requeue(struct pair *p); /* what was not acknowledged goes out once more */
void pairs_start(void);
void pairs_stop(void);
void pairs_shutdown(void);
void pairs_follow_hosts(void);
void pairs_rows(struct arena *arena, struct s2s_row **last);
unsigned pairs_end(const char *remote); /* gives up what waits */
void parcel_free(struct parcel *p);

#endif
