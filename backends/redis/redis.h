/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections in Redis.  One thread has all connections; workers hand it jobs and it completes their ops.  What must be
 * atomic is a Lua script.
 *
 *     redis.c   the plugin     thread.c  jobs, the loop        table.c   keys, members, rows of a collection
 *     pool.c    requests, nodes, timeouts                      schema.c  defining and migrating collections
 *     conn.c    one connection: socket, TLS, login             commit.c, read.c, sweep.c    what the ops do
 *     login.c   what is said first, what a server must be     cluster.c, sentinel.c    who is to be asked
 */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#define MK_ABI_NEED 0
#include <gnutls/gnutls.h>
#include <hiredis/hiredis.h>
#include <meerkat/backend.h>
#include <meerkat/plugin.h>
#include <pthread.h>

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

struct bytes {
    char *s;
    size_t len, cap;
};
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_puts(struct bytes *b, const char *text);
void bytes_printf(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_free(struct bytes *b);
void *must_alloc(void *memory); /* MEMORY, or the end of the process */
int64_t now_ms(void);           /* monotonic */
int64_t time_us(void);          /* since 1970 */

/* ---- options -------------------------------------------------------------------------------------------------- */

enum { MODE_SINGLE, MODE_SENTINEL, MODE_CLUSTER };
struct redis {
    int64_t mode, database, wait_replicas, timeout, connections;
    struct mk_texts servers;
    const char *master, *user, *password, *sentinel_user, *sentinel_password, *prefix;
    const char *ca, *certificate, *key, *tls_name;
    bool tls, tls_verify, durable;
    struct db *db;
};
enum { M_CONNECTIONS, M_RECONNECTS, M_COMMANDS, M_ERRORS, M_REDIRECTS }; /* rows of .metrics */

/* ---- requests ------------------------------------------------------------------------------------------------- */

enum script {
    SCRIPT_WRITE,
    SCRIPT_SCAN,
    SCRIPT_INDEX_ADD,
    SCRIPT_INDEX_DEL,
    SCRIPT_INDEX_SCAN,
    SCRIPT_REINDEX,
    SCRIPT_REPLACE,
    SCRIPT_COUNT
};
extern const char *const script_texts[SCRIPT_COUNT];
enum { SHA_LEN = 40 };

struct db;
struct node;
struct conn;
enum { ANY_SLOT = -1 };

/* A command, from its making to its answer.  Its owner gets it back by DONE, with the answer or NULL and WHY. */
struct req {
    struct req *next;
    struct bytes text; /* arguments as RESP, behind room for their count */
    unsigned argc, tries;
    int slot;         /* ANY_SLOT: whoever there is */
    const char *addr; /* this node and no other; NULL: by SLOT */
    unsigned lane;    /* which of the node's connections */
    bool write;       /* waits while its node is away; is only done once replicas have it, if that is asked for */
    bool patient;     /* so does this */
    bool asking, confirming;
    int64_t deadline; /* of waiting and trying again */
    int64_t sent;
    redisReply *held; /* the answer, until replicas confirmed it */
    const char *why;
    void (*done)(struct db *db, struct req *r, redisReply *reply);
    void *arg;
    size_t number; /* the owner's */
};
struct req *req_new(struct db *db, void (*done)(struct db *db, struct req *r, redisReply *reply), void *arg);
void req_free(struct req *r);
void req_arg(struct req *r, const void *data, size_t len);
void req_text(struct req *r, const char *text);
void req_int(struct req *r, int64_t i);
void req_script(struct req *r, struct db *db, enum script script, int keys);
/* Routes by KEY, in a cluster. */
void req_key(struct req *r, const struct db *db, const char *key, size_t len);
void req_send(struct db *db, struct req *r);                                     /* may be done before it returns */
void req_done(struct db *db, struct req *r, redisReply *reply, const char *why); /* frees REPLY */
int key_slot(const char *key, size_t len);

struct req_list {
    struct req *head, **tail;
};
void reqs_init(struct req_list *l);
void reqs_push(struct req_list *l, struct req *r);
struct req *reqs_take(struct req_list *l);

/* ---- connections ---------------------------------------------------------------------------------------------- */

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_TLS, CONN_LOGIN, CONN_READY };
enum conn_kind { CONN_DATA, CONN_SENTINEL };
struct conn {
    struct db *db;
    struct node *node;
    enum conn_state state;
    enum conn_kind kind;
    int fd;
    uint32_t events;
    gnutls_session_t tls;
    char *tls_name; /* GnuTLS looks at it later */
    bool tls_again; /* what was given to GnuTLS last is still in it */
    redisReader *reader;
    struct bytes out;
    size_t out_sent;
    struct req_list inflight;
    unsigned logins;  /* answers of the login to come */
    int64_t progress; /* when something last moved, ms */
};
void conn_init(struct conn *c, struct db *db, struct node *node, enum conn_kind kind);
void conn_open(struct conn *c);
void conn_close(struct conn *c, const char *why); /* what is under way is lost */
void conn_send(struct conn *c, struct req *r);
void conn_event(struct conn *c, uint32_t events);
void conn_flush(struct conn *c);
void conn_login(struct conn *c);
void conn_scripts(struct conn *c);
int tls_setup(struct db *db, struct mk_err *err);
void tls_clear(struct db *db);

enum { CONNS_MAX = 16 };
struct node {
    struct node *next;
    char *addr; /* host:port, or a path */
    struct conn conns[CONNS_MAX];
    unsigned conn_count, turn;
    struct req_list waiting;
    bool away, wanted; /* wanted: the cluster's map or the configuration has it */
    int64_t next_try, backoff;
    unsigned address; /* of those that the name stands for, the one to try */
};
struct node *node_get(struct db *db, const char *addr);
void node_open(struct node *n);
void node_up(struct node *n);                    /* one of its connections became ready */
void node_down(struct node *n, const char *why); /* or was lost */
void node_free(struct node *n);
void node_close(struct node *n, const char *why);
bool node_ready(const struct node *n);
struct node *node_of(struct db *db, const struct req *r); /* NULL: nobody */

/* ---- who is to be asked ----------------------------------------------------------------------------------------- */

enum { SLOTS = 16384, READ_SIZE = 64 * 1024 };
void cluster_refresh(struct db *db); /* soon */
void cluster_tick(struct db *db, int64_t now);
bool cluster_moved(struct db *db, struct req *r, const char *error); /* whether it was sent on */
void sentinel_tick(struct db *db, int64_t now);
void sentinel_up(struct conn *c);
void sentinel_down(struct conn *c, const char *why);
struct node *sentinel_node_new(struct db *db);

/* ---- collections ---------------------------------------------------------------------------------------------- */

struct table {
    struct table *next;
    const struct mk_coll *coll;
    char *prefix; /* "meerkat:roster" */
    char *json;   /* for the scripts */
    char *schema; /* as it is stored */
    unsigned col_count, index_count;
    struct mk_coll_key key;
    int ttl_col;
    bool remote;         /* has an index whose rows lie in many partitions */
    struct names *names; /* of its partitions, while it is swept; the thread's */
};
struct table *table_new(const struct db *db, const struct mk_coll *coll);
void table_free(struct table *t);
bool table_is_remote(const struct table *t, unsigned index); /* 1 and up */
bool table_has_col(const struct table *t, unsigned index, uint32_t col);
const char *table_index_name(const struct table *t, unsigned index);

/* VALUES in the order of COLS: what stands between braces, a key part. */
void put_tag(struct bytes *b, const struct mk_value *values, uint32_t count);
void put_part(struct bytes *b, const struct mk_value *values, uint32_t count);
void put_base(struct bytes *b, const struct table *t, const struct mk_value *partition);
void put_field_of_row(struct bytes *b, const struct table *t, const struct mk_value *row);
void put_base_of_row(struct bytes *b, const struct table *t, const struct mk_value *row);
void put_row(struct bytes *b, const struct table *t, const struct mk_value *row, const void *token, size_t token_len);
void put_value(struct bytes *b, const struct mk_value *v); /* as in a row, without length */
/* Where index INDEX has the row; for one that lies elsewhere. */
void put_index_key(struct bytes *b, const struct table *t, unsigned index, const struct mk_value *row);
void put_index_member(struct bytes *b, const struct table *t, unsigned index, const struct mk_value *row);
/* What a scan reads: base if the rows are in one partition, and the order. */
void put_scan_key(struct bytes *b, const struct table *t, const struct mk_scan *s);
void put_bounds(struct bytes *min, struct bytes *max, const struct table *t, const struct mk_scan *s);
/* All keys that a change in a partition may touch, its base first: a cluster must know them. */
unsigned table_key_count(const struct table *t);
void req_table_keys(struct req *r, const struct table *t, const char *base, size_t len);
/* Begins a script about an index that lies elsewhere; TIMED: its rows may end. */
void req_index_keys(struct req *r, struct db *db, enum script script, const char *key, size_t len, bool timed);
/* Where the row of a member of a remote index lies; false: nonsense. */
bool member_place(const struct table *t, unsigned index, struct mk_view member, struct bytes *base,
                  struct bytes *field);
/* Values point into the row.  False: it is none of this collection. */
bool row_read(const struct table *t, const char *row, size_t len, struct mk_value *values);
bool row_lives(const struct table *t, const struct mk_value *values, int64_t now);
bool value_same(const struct mk_value *a, const struct mk_value *b);
bool row_matches(const struct mk_scan *s, const struct mk_value *values);
int64_t put_ttl(const struct table *t, const struct mk_value *row, bool *has);

void schema_remember(struct db *db);
int schema_define(struct db *db, struct table *t, struct mk_err *err);

/* ---- the thread ------------------------------------------------------------------------------------------------- */

struct job {
    struct job *next;
    void (*run)(struct db *db, struct job *job);
};
/* A command that the main thread waits for. */
struct call {
    struct job job;
    struct db *db;
    struct req *req;
    redisReply *reply; /* NULL: WHY */
    char why[256];
    bool done;
};
struct db {
    const struct redis *me;
    const void *inst;
    char **servers;
    unsigned server_count;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    pthread_t thread;
    int epoll, wake;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs, **jobs_tail; /* under the lock, like the next three */
    bool ending, ready;
    unsigned failures; /* rounds of attempts that led nowhere */
    char why[256];     /* the last one */
    struct node *nodes;
    struct node **slots; /* in a cluster */
    struct node *master; /* else */
    struct req_list retries;
    int64_t retry_at, remember_at;
    unsigned active; /* jobs under way */
    int64_t refresh_at;
    bool refreshing;
    struct conn sentinel;
    unsigned sentinel_turn;
    struct node *sentinel_node;
    int64_t sentinel_next;
    bool sentinel_asking;
    char sha[SCRIPT_COUNT][SHA_LEN + 1];
    unsigned char id[8];  /* of this start */
    struct table *tables; /* under the lock */
    bool closing;
    char buffer[READ_SIZE]; /* what was read last */
};
struct db *db_start(const struct redis *me, const void *inst, struct mk_err *err);
void db_stop(struct db *db);
void db_post(struct db *db, struct job *job);
void db_tell(struct db *db, bool ready, const char *why); /* to who waits for the start */
void db_count(struct db *db, unsigned metric, int64_t by);
redisReply *db_call(struct db *db, struct req *r, char why[256]); /* main thread; the caller frees it */
char **db_masters(struct db *db, size_t *count);                  /* main thread; addresses, the caller frees them */
bool reply_is(const redisReply *r, const char *text);
bool reply_error(const redisReply *r, const char *begin);

struct op_job { /* in the op's memory */
    struct job job;
    struct mk_op *op;
    struct mk_commit *commit;
    struct mk_read *read;
};
void commit_run(struct db *db, struct job *job);
void read_run(struct db *db, struct job *job);

/* ---- reads ---------------------------------------------------------------------------------------------------------- */

struct read_job {
    struct db *db;
    struct mk_op *op;
    struct mk_read *read;
    const struct mk_scan *scan;
    struct table *t;
    struct mk_value *values;
    struct bytes base, order, min, max;
    struct entry *entries;
    size_t entry_count, waits;
    redisReply *page;
    struct names *names; /* of a sweep: its partitions, and the next one */
    size_t next;
    char **nodes; /* that are still to be asked for names; ends in NULL */
    unsigned node;
    int64_t started; /* ms since 1970 */
    uint32_t left;   /* rows still wanted */
    bool failed, full;
    char why[256];
};
bool read_counts(const struct read_job *j);
void read_over(struct read_job *j, int rc); /* or on with the next partition */
void read_failed(struct read_job *j, const char *why);
void read_partition(struct read_job *j); /* the rows at BASE between MIN and MAX */
void sweep(struct read_job *j);
bool sweep_on(struct read_job *j); /* false: that was all */
void names_drop(struct names *n);

#endif
