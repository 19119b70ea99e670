/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of ejabberd, old and with server_host, and those of MongooseIM, which were ejabberd's once and name the host
 * `server`.
 */
#include "convert/convert.h"
#include "convert/db.h"
#include "convert/eterm.h"
#include "move/writer.h"
#include "util/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500 };

struct job {
    struct db *db;
    bool mongooseim, failed;
    const char *host;        /* whose accounts come now */
    const char *host_column; /* NULL: the tables are of one host */
    const char *user;
    struct buf out;
};

/* ---- queries ----------------------------------------------------------------------------------------------------------- */

/* Rows of the account: SELECT WHAT FROM TABLE, and REST.  LAST, if not NULL, is one more parameter. */
static struct db_rows *select_own(struct job *job, const char *what, const char *table, const char *rest,
                                  const char *last) {
    struct buf sql = { 0 };
    const char *params[3] = { job->user };
    int count = 1;
    buf_printf(&sql, "SELECT %s FROM %s WHERE username = ?", what, table);
    if (job->host_column) {
        buf_printf(&sql, " AND %s = ?", job->host_column);
        params[count++] = job->host;
    }
    if (last)
        params[count++] = last;
    buf_puts(&sql, rest);
    struct db_rows *rows = job->failed ? NULL : db_query(job->db, sql.data, count, params);
    job->failed |= !rows;
    buf_free(&sql);
    return rows;
}

static bool next(struct db_rows *rows) {
    if (rows && db_next(rows))
        return true;
    if (rows)
        db_done(rows);
    return false;
}

static bool is_true(const char *text) {
    return *text == 't' || *text == '1' || *text == '\1';
}

/* ---- XML --------------------------------------------------------------------------------------------------------------- */

/* What is no XML is left out, and told of. */
static bool put_own(struct job *job, const char *xml, size_t len, const char *ns, const char *what) {
    return put_xml(&job->out, xml, len, ns) ||
           complain("%s@%s: %s is no XML, and is left out", job->user, job->host, what);
}

static void flush(struct job *job) {
    dump_text(&job->out);
    job->out.len = 0;
}

/* ---- credentials ------------------------------------------------------------------------------------------------------- */

/* Base64 of keys, as XEP-0227 has them. */
static void put_keys(const char *mechanism, const char *iterations, const char *salt, const char *stored,
                     const char *server) {
    struct buf b = { 0 };
    buf_printf(&b, "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='%s'><iter-count>", mechanism);
    put_escaped(&b, iterations, strlen(iterations));
    buf_puts(&b, "</iter-count><salt>");
    put_escaped(&b, salt, strlen(salt));
    buf_puts(&b, "</salt><server-key>");
    put_escaped(&b, server, strlen(server));
    buf_puts(&b, "</server-key><stored-key>");
    put_escaped(&b, stored, strlen(stored));
    buf_puts(&b, "</stored-key></scram-credentials>");
    dump_text(&b);
    buf_free(&b);
}

/* "==SCRAM==,STORED,SERVER,SALT,ITERATIONS", or "==MULTI_SCRAM==,ITERATIONS,===SHA1===SALT|STORED|SERVER,..." */
static void put_mongoose_keys(char *text) {
    static const struct {
        const char *tag, *mechanism;
    } hashes[] = { { "===SHA1===", "SCRAM-SHA-1" },
                   { "==SHA256==", "SCRAM-SHA-256" },
                   { "==SHA512==", "SCRAM-SHA-512" } };
    const char *kind = strsep(&text, ","), *first = strsep(&text, ",");
    if (kind && first && strcmp(kind, "==SCRAM==") == 0) {
        const char *server = strsep(&text, ","), *salt = strsep(&text, ",");
        if (server && salt && text)
            put_keys("SCRAM-SHA-1", text, salt, first, server);
        return;
    }
    for (char *one; kind && first && strcmp(kind, "==MULTI_SCRAM==") == 0 && (one = strsep(&text, ",")) != NULL;)
        for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
            if (strncmp(one, hashes[i].tag, 10) != 0)
                continue;
            char *rest = one + 10;
            const char *salt = strsep(&rest, "|"), *stored = strsep(&rest, "|");
            if (stored && rest)
                put_keys(hashes[i].mechanism, first, salt, stored, rest);
        }
}

static const char *hash_of(const char *stored) {
    return strncmp(stored, "sha256:", 7) == 0   ? "SCRAM-SHA-256"
           : strncmp(stored, "sha512:", 7) == 0 ? "SCRAM-SHA-512"
                                                : "SCRAM-SHA-1";
}

/* With keys the column of the password has the stored key, before it the hash if that is not SHA-1. */
static void put_user(struct job *job, struct db_rows *row) {
    const char *password = db_text(row, 1, NULL);
    if (job->mongooseim) {
        char *details = xstrdup(db_text(row, 2, NULL));
        dump_user(job->user, *details ? NULL : password);
        put_mongoose_keys(details);
        free(details);
        return;
    }
    const char *salt = db_text(row, 3, NULL);
    dump_user(job->user, *salt ? NULL : password);
    if (*salt) {
        const char *stored =
            strncmp(password, "sha", 3) == 0 && strchr(password, ':') ? strchr(password, ':') + 1 : password;
        put_keys(hash_of(password), db_text(row, 4, NULL), salt, stored, db_text(row, 2, NULL));
    }
}

/* ---- rosters ----------------------------------------------------------------------------------------------------------- */

static void put_groups(struct job *job, const char *jid) {
    struct db_rows *rows = select_own(job, "grp", "rostergroups", " AND jid = ? ORDER BY grp", jid);
    while (next(rows)) {
        const char *group = db_text(rows, 0, NULL);
        if (!*group)
            continue;
        buf_puts(&job->out, "<group>");
        put_escaped(&job->out, group, strlen(group));
        buf_puts(&job->out, "</group>");
    }
}

static void put_request(struct buf *out, const char *jid, const char *message) {
    buf_puts(out, "<presence xmlns='jabber:client' type='subscribe'");
    put_attr(out, "from", jid);
    buf_puts(out, ">");
    if (*message) {
        buf_puts(out, "<status>");
        put_escaped(out, message, strlen(message));
        buf_puts(out, "</status>");
    }
    buf_puts(out, "</presence>");
}

/* Who has only asked is no contact. */
static void put_roster(struct job *job) {
    struct buf requests = { 0 };
    struct db_rows *rows =
        select_own(job, "jid, nick, subscription, ask, askmessage", "rosterusers", " ORDER BY jid", NULL);
    buf_puts(&job->out, "<query xmlns='jabber:iq:roster'>");
    while (next(rows)) {
        const char *jid = db_text(rows, 0, NULL), *nick = db_text(rows, 1, NULL), sub = *db_text(rows, 2, NULL),
                   ask = *db_text(rows, 3, NULL);
        if (ask == 'I' || ask == 'B')
            put_request(&requests, jid, db_text(rows, 4, NULL));
        if (ask == 'I' && sub == 'N')
            continue;
        buf_puts(&job->out, "<item");
        put_attr(&job->out, "jid", jid);
        if (*nick)
            put_attr(&job->out, "name", nick);
        put_attr(&job->out, "subscription", sub == 'B' ? "both" : sub == 'T' ? "to" : sub == 'F' ? "from" : "none");
        if (ask == 'O' || ask == 'B' || ask == 'S')
            put_attr(&job->out, "ask", "subscribe");
        buf_puts(&job->out, ">");
        char *copy = xstrdup(jid);
        put_groups(job, copy);
        free(copy);
        buf_puts(&job->out, "</item>");
    }
    buf_puts(&job->out, "</query>");
    buf_add(&job->out, requests.data ? requests.data : "", requests.len);
    buf_free(&requests);
    flush(job);
}

/* ---- privacy lists ----------------------------------------------------------------------------------------------------- */

static void put_rule(struct buf *out, struct db_rows *r) {
    static const char *const kinds[] = { "iq", "message", "presence-in", "presence-out" };
    const char type = *db_text(r, 0, NULL), *action = db_text(r, 2, NULL);
    buf_puts(out, "<item");
    if (type == 'j' || type == 'g' || type == 's') {
        put_attr(out, "type", type == 'j' ? "jid" : type == 'g' ? "group" : "subscription");
        put_attr(out, "value", db_text(r, 1, NULL));
    }
    put_attr(out, "action", *action == 'a' ? "allow" : "deny");
    buf_printf(out, " order='%ld'>", strtol(db_text(r, 3, NULL), NULL, 10));
    for (int i = 0; i < 4; i++)
        if (!is_true(db_text(r, 4, NULL)) && is_true(db_text(r, 5 + i, NULL)))
            buf_printf(out, "<%s/>", kinds[i]);
    buf_puts(out, "</item>");
}

static void put_list(struct job *job, const char *id, const char *name) {
    buf_puts(&job->out, "<list");
    put_attr(&job->out, "name", name);
    buf_puts(&job->out, ">");
    struct buf sql = { 0 };
    buf_printf(
        &sql,
        "SELECT t, value, action, ord, match_all, match_iq, match_message, match_presence_in, match_presence_out "
        "FROM privacy_list_data WHERE id = %lld ORDER BY ord",
        strtoll(id, NULL, 10));
    struct db_rows *rows = db_query(job->db, sql.data, 0, NULL);
    job->failed |= !rows;
    while (next(rows))
        put_rule(&job->out, rows);
    buf_free(&sql);
    buf_puts(&job->out, "</list>");
}

static void put_privacy(struct job *job) {
    bool any = false;
    buf_puts(&job->out, "<query xmlns='jabber:iq:privacy'>");
    struct db_rows *rows = select_own(job, "name", "privacy_default_list", "", NULL);
    while (next(rows)) {
        buf_puts(&job->out, "<default");
        put_attr(&job->out, "name", db_text(rows, 0, NULL));
        buf_puts(&job->out, "/>");
    }
    rows = select_own(job, "id, name", "privacy_list", " ORDER BY id", NULL);
    while (next(rows)) {
        char *id = xstrdup(db_text(rows, 0, NULL)), *name = xstrdup(db_text(rows, 1, NULL));
        put_list(job, id, name);
        free(id);
        free(name);
        any = true;
    }
    buf_puts(&job->out, "</query>");
    if (any)
        flush(job);
    job->out.len = 0;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

static void put_vcard(struct job *job) {
    struct db_rows *rows = select_own(job, "vcard", "vcard", "", NULL);
    while (next(rows)) {
        size_t len;
        const char *xml = db_text(rows, 0, &len);
        put_own(job, xml, len, "vcard-temp", "the vCard");
        flush(job);
    }
}

static void put_private(struct job *job) {
    struct db_rows *rows = select_own(job, "data, namespace", "private_storage", " ORDER BY namespace", NULL);
    buf_puts(&job->out, "<query xmlns='jabber:iq:private'>");
    while (next(rows)) {
        size_t len;
        const char *xml = db_text(rows, 0, &len);
        put_own(job, xml, len, db_text(rows, 1, NULL), "an element of private data");
    }
    buf_puts(&job->out, "</query>");
    flush(job);
}

static void put_last(struct job *job) {
    struct db_rows *rows = select_own(job, "seconds, state", "last", "", NULL);
    while (next(rows)) {
        const char *state = db_text(rows, 1, NULL);
        buf_puts(&job->out, "<last xmlns='urn:meerkat:last:0' logout='");
        put_stamp(&job->out, strtoll(db_text(rows, 0, NULL), NULL, 10) * 1000000);
        buf_puts(&job->out, "'>");
        put_escaped(&job->out, state, strlen(state));
        buf_puts(&job->out, "</last>");
        flush(job);
    }
}

static void put_offline(struct job *job) {
    struct db_rows *rows = job->mongooseim
                               ? select_own(job, "packet, timestamp", "offline_message", " ORDER BY id", NULL)
                               : select_own(job, "xml", "spool", " ORDER BY seq", NULL);
    puts("<offline-messages>");
    while (next(rows)) {
        size_t len;
        const char *xml = db_text(rows, 0, &len);
        if (put_own(job, xml, len, "jabber:client", "a message that waits") && job->mongooseim)
            put_delay(&job->out, job->host, strtoll(db_text(rows, 1, NULL), NULL, 10));
        flush(job);
    }
    puts("</offline-messages>");
}

/* ---- archives ---------------------------------------------------------------------------------------------------------- */

static void put_result_start(struct job *job, const char *id, int64_t us) {
    buf_puts(&job->out, "<result xmlns='urn:xmpp:mam:2'");
    put_attr(&job->out, "id", id);
    buf_puts(&job->out, "><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='");
    put_stamp(&job->out, us);
    buf_puts(&job->out, "'/>");
}

static void put_result(struct job *job, const char *id, int64_t us, const char *message, size_t len) {
    struct buf decoded = { 0 };
    put_result_start(job, id, us);
    bool term = len && *message != '<';
    if (term && eterm_stanza(message, len, &decoded)) {
        message = decoded.data;
        len = decoded.len;
    }
    bool good = put_own(job, message, len, "jabber:client", "an archived message");
    buf_puts(&job->out, "</forwarded></result>");
    if (good)
        flush(job);
    job->out.len = 0;
    buf_free(&decoded);
}

/* What the user sees as the id of a message: base 32. */
static const char *mongoose_id(unsigned long long id, char out[16]) {
    char *at = out + 15;
    *at = '\0';
    do
        *--at = "0123456789ABCDEFGHIJKLMNOPQRSTUV"[id % 32];
    while ((id /= 32) != 0);
    return at;
}

/* A page behind the message with the key AFTER, which becomes that of the last one.  Returns how many. */
static int put_page(struct job *job, long long *after, const char *owner) {
    char sql[300];
    int count = 0;
    struct db_rows *rows;
    if (job->mongooseim) {
        snprintf(sql, sizeof sql,
                 "SELECT id, id, message FROM mam_message WHERE user_id = %lld AND id > %lld ORDER BY id LIMIT %d",
                 strtoll(owner, NULL, 10), *after, PAGE);
        rows = db_query(job->db, sql, 0, NULL);
        job->failed |= !rows;
    } else {
        snprintf(sql, sizeof sql, " AND kind = 'chat' AND id > %lld ORDER BY id LIMIT %d", *after, PAGE);
        rows = select_own(job, "id, timestamp, xml", "archive", sql, NULL);
    }
    for (; next(rows); count++) {
        char id[16];
        size_t len;
        long long time = strtoll(db_text(rows, 1, NULL), NULL, 10);
        *after = strtoll(db_text(rows, 0, NULL), NULL, 10);
        const char *name = job->mongooseim ? mongoose_id((unsigned long long)time, id) : db_text(rows, 1, NULL);
        char *kept = xstrdup(name);
        const char *message = db_text(rows, 2, &len);
        put_result(job, kept, job->mongooseim ? time >> 8 : time, message, len);
        free(kept);
    }
    return count;
}

static char *mongoose_owner(struct job *job) {
    const char *params[] = { job->host, job->user };
    struct db_rows *rows =
        db_query(job->db, "SELECT id FROM mam_server_user WHERE server = ? AND user_name = ?", 2, params);
    char *id = NULL;
    job->failed |= !rows;
    while (next(rows)) {
        free(id);
        id = xstrdup(db_text(rows, 0, NULL));
    }
    return id;
}

static void put_archive(struct job *job) {
    char *owner = job->mongooseim ? mongoose_owner(job) : NULL;
    long long after = -1;
    puts("<archive xmlns='urn:xmpp:pie:0#mam'>");
    while ((owner || !job->mongooseim) && !job->failed && put_page(job, &after, owner) == PAGE)
        ;
    puts("</archive>");
    free(owner);
}

/* ---- accounts ---------------------------------------------------------------------------------------------------------- */

static void put_account(struct job *job, struct db_rows *row) {
    char *name = xstrdup(db_text(row, 0, NULL));
    job->user = name;
    put_user(job, row);
    put_roster(job);
    put_vcard(job);
    put_private(job);
    put_privacy(job);
    put_last(job);
    put_offline(job);
    put_archive(job);
    dump_user(NULL, NULL);
    job->user = NULL;
    free(name);
}

static int put_accounts(struct job *job, char **after) {
    const char *params[] = { *after, job->host };
    struct buf sql = { 0 };
    int count = 0;
    buf_printf(&sql, "SELECT username, password, %s FROM users WHERE username > ?",
               job->mongooseim ? "pass_details" : "serverkey, salt, iterationcount");
    if (job->host_column)
        buf_printf(&sql, " AND %s = ?", job->host_column);
    buf_printf(&sql, " ORDER BY username LIMIT %d", PAGE);
    struct db_rows *rows = db_query(job->db, sql.data, job->host_column ? 2 : 1, params);
    job->failed |= !rows;
    buf_free(&sql);
    for (; next(rows); count++) {
        free(*after);
        *after = xstrdup(db_text(rows, 0, NULL));
        if (!job->failed)
            put_account(job, rows);
    }
    return count;
}

static void put_host(struct job *job, const char *host) {
    char *after = xstrdup("");
    job->host = host;
    dump_host(host);
    while (!job->failed && put_accounts(job, &after) == PAGE)
        ;
    dump_host(NULL);
    free(after);
}

static void put_hosts(struct job *job) {
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT DISTINCT %s FROM users ORDER BY 1", job->host_column);
    struct db_rows *rows = db_query(job->db, sql, 0, NULL);
    job->failed |= !rows;
    while (next(rows)) {
        char *host = xstrdup(db_text(rows, 0, NULL));
        if (!job->failed)
            put_host(job, host);
        free(host);
    }
}

static bool convert(bool mongooseim, int count, char **words) {
    struct job job = { .db = db_open(words[0]), .mongooseim = mongooseim };
    if (!job.db)
        return false;
    if (mongooseim)
        job.host_column = "server";
    else if (db_has(job.db, "users", "server_host"))
        job.host_column = "server_host";
    if (job.host_column ? count != 1 : count != 2) {
        db_close(job.db);
        return complain(job.host_column ? "the database says which hosts there are: name none"
                                        : "tables without server_host are of one host: name it behind the database");
    }
    dump_begin();
    if (job.host_column)
        put_hosts(&job);
    else
        put_host(&job, words[1]);
    dump_end();
    job.failed |= job.db->failed;
    db_close(job.db);
    buf_free(&job.out);
    return !job.failed;
}

bool convert_ejabberd(int count, char **words) {
    return convert(false, count, words);
}

bool convert_mongooseim(int count, char **words) {
    return convert(true, count, words);
}
