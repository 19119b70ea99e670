/* SPDX-License-Identifier: Apache-2.0 */
/* Where the database is and how it is trusted: options made into libpq's parameters. */
#include "pgsql.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pgsql_sslmodes[] = {
    "auto", "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL
};

static void set(struct db *db, const char *key, const char *value) {
    unsigned i = 0;
    if (!value)
        return;
    while (db->keys[i])
        i++;
    if (i + 1 >= KEYWORDS_MAX)
        abort();
    db->keys[i] = key;
    db->values[i] = sql_must(strdup(value));
}

static void set_number(struct db *db, const char *key, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    set(db, key, text);
}

/* What `conninfo` has of what has a default here. */
struct given {
    bool sslmode, sslrootcert, remote, many;
};

static void look_at_host(struct given *g, const char *host) {
    g->remote |= host[0] && host[0] != '/' && host[0] != '@';
    g->many |= strchr(host, ',') != NULL;
}

static int look(const struct pgsql *me, struct given *g, struct mk_err *err) {
    char *why = NULL;
    if (me->host)
        look_at_host(g, me->host);
    if (!me->conninfo)
        return MK_OK;
    PQconninfoOption *all = PQconninfoParse(me->conninfo, &why);
    if (!all) {
        PQfreemem(why); /* it may quote the password */
        return mk_fail(err, MK_E_INVALID, "Option conninfo is no connection string that libpq knows.");
    }
    for (const PQconninfoOption *o = all; o->keyword; o++) {
        if (!o->val)
            continue;
        g->sslmode |= strcmp(o->keyword, "sslmode") == 0;
        g->sslrootcert |= strcmp(o->keyword, "sslrootcert") == 0;
        if (!me->host && (strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0))
            look_at_host(g, o->val);
    }
    PQconninfoFree(all);
    return MK_OK;
}

int target_fill(struct db *db, const struct pgsql *me, struct mk_err *err) {
    struct given g = { false, false, false, false };
    int rc = look(me, &g, err);
    if (rc)
        return rc;
    int64_t mode = me->sslmode;
    if (mode == SSL_AUTO && g.remote && !g.sslmode)
        mode = SSL_VERIFY_FULL;
    set(db, "dbname", me->conninfo); /* the first of this name may be a whole connection string */
    set(db, "service", me->service);
    set(db, "host", me->host);
    if (me->port)
        set_number(db, "port", me->port);
    set(db, "dbname", me->dbname);
    set(db, "user", me->user);
    set(db, "password", me->password);
    if (mode != SSL_AUTO)
        set(db, "sslmode", pgsql_sslmodes[mode]);
    if (me->sslrootcert)
        set(db, "sslrootcert", me->sslrootcert);
    else if (mode >= SSL_VERIFY_CA && !g.sslrootcert)
        set(db, "sslrootcert", sql_authorities()); /* libpq knows the place only since version 16 */
    set(db, "sslcert", me->sslcert);
    set(db, "sslkey", me->sslkey);
    if (g.many)
        set(db, "target_session_attrs", "read-write");
    set(db, "client_encoding", "UTF8");
    set_number(db, "tcp_user_timeout", me->query_timeout);
    return MK_OK;
}

/* A password is not left in memory that others get. */
void target_free(struct db *db) {
    for (unsigned i = 0; db->keys[i]; i++) {
        explicit_bzero(db->values[i], strlen(db->values[i]));
        free(db->values[i]);
    }
}
