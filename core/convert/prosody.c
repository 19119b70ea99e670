/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of Prosody's internal storage, of 0.10 and later: FOLDER/HOST/STORE/USER.dat is one value, USER.list many; what
 * is no letter or digit in a name is %XX.
 */
#include "convert/prosody.h"
#include "convert/convert.h"
#include "convert/db.h"
#include "move/writer.h"
#include "util/mem.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 64 };

/* ---- files ------------------------------------------------------------------------------------------------------------- */

static int hex(char c) {
    c |= c >= 'A' ? 0x20 : 0;
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A name as it was before Prosody wrote it as a file's, OWNED. */
static char *decode(const char *name, size_t len) {
    char *out = xmemdup(name, len), *to = out;
    for (size_t i = 0; i < len; i++) {
        int high = name[i] == '%' && i + 2 < len ? hex(name[i + 1]) : -1;
        int low = high < 0 ? -1 : hex(name[i + 2]);
        *to++ = low < 0 ? name[i] : (char)(high * 16 + low);
        i += low < 0 ? 0 : 2;
    }
    *to = '\0';
    return out;
}

/* Calls EACH with the values of the user's file in STORE; there may be none. */
static void each_value(struct prosody *job, const char *store, const char *ending, const char *word,
                       void (*each)(struct prosody *job, const struct lua_value *v, struct buf *out), struct buf *out) {
    struct buf path = { 0 };
    const struct lua_value *v;
    buf_printf(&path, "%s/%s/%s/%s.%s", job->folder, job->host, store, job->user, ending);
    struct lua_file f = { fopen(path.data, "re"), path.data, 1, false };
    if (!f.file && errno != ENOENT)
        job->failed = !complain("%s can't be read: %s", path.data, strerror(errno));
    while (f.file && (v = lua_next(&f, word, &job->arena)) != NULL) {
        each(job, v, out);
        arena_free(&job->arena);
    }
    arena_free(&job->arena);
    job->failed |= f.failed;
    if (f.file)
        fclose(f.file);
    buf_free(&path);
}

/* ---- stanzas ----------------------------------------------------------------------------------------------------------- */

static void put_attrs(struct buf *out, const struct lua_value *attrs, bool stanza) {
    int n = 0;
    for (const struct lua_entry *e = attrs && attrs->type == LUA_TABLE ? attrs->first : NULL; e; e = e->next) {
        const char *name = e->key && e->key->type == LUA_TEXT ? e->key->text : "";
        const char *split = strchr(name, '\1');
        bool old_stamp = stanza && (strcmp(name, "stamp") == 0 || strcmp(name, "stamp_legacy") == 0);
        if (!*name || strcmp(name, "xmlns") == 0 || old_stamp || e->value->type != LUA_TEXT)
            continue;
        if (split) { /* the namespace stands before it */
            char *ns = xmemdup(name, (size_t)(split - name)), prefixed[80];
            snprintf(prefixed, sizeof prefixed, "xmlns:n%d", n);
            put_attr(out, prefixed, ns);
            buf_printf(out, " n%d:", n++);
            free(ns);
            buf_printf(out, "%s='", split + 1);
            put_escaped(out, e->value->text, strlen(e->value->text));
            buf_puts(out, "'");
        } else {
            put_attr(out, name, e->value->text);
        }
    }
}

/* A table of Prosody's stanzas.  Nested no deeper than the reader of the file lets it. */
static void put_stanza(struct buf *out, const struct lua_value *s, const char *outer_ns, bool stanza) {
    const char *name = lua_text(s, "name"), *ns = lua_text(lua_get(s, "attr"), "xmlns");
    if (!name)
        return;
    ns = ns ? ns : stanza ? "jabber:client" : outer_ns;
    buf_printf(out, "<%s", name);
    if (strcmp(ns, outer_ns) != 0)
        put_attr(out, "xmlns", ns);
    put_attrs(out, lua_get(s, "attr"), stanza);
    buf_puts(out, ">");
    for (const struct lua_entry *e = s->first; e; e = e->next) {
        if (e->key && e->key->type != LUA_NUMBER)
            continue;
        if (e->value->type == LUA_TABLE)
            put_stanza(out, e->value, ns, false);
        else if (e->value->type == LUA_TEXT)
            put_escaped(out, e->value->text, strlen(e->value->text));
    }
    buf_printf(out, "</%s>", name);
}

/* ---- stores ------------------------------------------------------------------------------------------------------------ */

static size_t read_hex(const char *text, unsigned char out[KEY_MAX]) {
    size_t n = 0;
    for (; text && text[0] && text[1] && n < KEY_MAX; text += 2) {
        int high = hex(text[0]), low = hex(text[1]);
        if (high < 0 || low < 0)
            return 0;
        out[n++] = (unsigned char)(high * 16 + low);
    }
    return n;
}

/* Which hash it is only the length of the keys tells. */
void prosody_account(struct prosody *job, const struct lua_value *v, struct buf *out) {
    const char *password = lua_text(v, "password"), *salt = lua_text(v, "salt");
    unsigned char stored[KEY_MAX], server[KEY_MAX];
    size_t len = read_hex(lua_text(v, "stored_key"), stored);
    (void)out;
    dump_user(job->name, password);
    struct dump_keys k = { .mechanism = len == 20   ? "SCRAM-SHA-1"
                                        : len == 32 ? "SCRAM-SHA-256"
                                        : len == 64 ? "SCRAM-SHA-512"
                                                    : NULL,
                           .iterations = lua_text(v, "iteration_count"),
                           .salt = salt,
                           .stored = stored,
                           .server = server,
                           .salt_len = salt ? strlen(salt) : 0,
                           .len = len };
    if (!password && k.mechanism && k.iterations && salt && read_hex(lua_text(v, "server_key"), server) == len)
        dump_keys(&k);
}

static void put_groups(struct buf *out, const struct lua_value *groups) {
    for (const struct lua_entry *e = groups && groups->type == LUA_TABLE ? groups->first : NULL; e; e = e->next) {
        if (!e->key || e->key->type != LUA_TEXT || !*e->key->text)
            continue;
        buf_puts(out, "<group>");
        put_escaped(out, e->key->text, strlen(e->key->text));
        buf_puts(out, "</group>");
    }
}

static void put_contact(struct buf *out, const char *jid, const struct lua_value *v) {
    static const char *const same[] = { "name", "subscription", "ask" };
    const struct lua_value *approved = lua_get(v, "approved");
    buf_puts(out, "<item");
    put_attr(out, "jid", jid);
    for (int i = 0; i < 3; i++)
        if (lua_text(v, same[i]))
            put_attr(out, same[i], lua_text(v, same[i]));
    if (approved && approved->truth)
        put_attr(out, "approved", "true");
    buf_puts(out, ">");
    put_groups(out, lua_get(v, "groups"));
    buf_puts(out, "</item>");
}

/* Requests are kept as the presence that asks, or before 0.11 as `true`. */
static void put_pending(struct buf *out, const struct lua_value *pending) {
    for (const struct lua_entry *e = pending && pending->type == LUA_TABLE ? pending->first : NULL; e; e = e->next) {
        if (!e->key || e->key->type != LUA_TEXT)
            continue;
        if (lua_text(e->value, "name")) {
            put_stanza(out, e->value, "", true);
            continue;
        }
        buf_puts(out, "<presence xmlns='jabber:client' type='subscribe'");
        put_attr(out, "from", e->key->text);
        buf_puts(out, "/>");
    }
}

/* Under `false` is what is no contact; 0.9 had the requests under "pending". */
static void put_roster(struct prosody *job, const struct lua_value *v, struct buf *out) {
    const struct lua_value *pending = lua_get(v, "pending");
    (void)job;
    buf_puts(out, "<query xmlns='jabber:iq:roster'>");
    for (const struct lua_entry *e = v->first; e; e = e->next) {
        if (e->key && e->key->type == LUA_BOOL)
            pending = lua_get(e->value, "pending");
        else if (e->key && e->key->type == LUA_TEXT && strcmp(e->key->text, "pending") != 0)
            put_contact(out, e->key->text, e->value);
    }
    buf_puts(out, "</query>");
    put_pending(out, pending);
}

static void put_vcard(struct prosody *job, const struct lua_value *v, struct buf *out) {
    (void)job;
    put_stanza(out, v, "", false);
}

static void put_private(struct prosody *job, const struct lua_value *v, struct buf *out) {
    (void)job;
    buf_puts(out, "<query xmlns='jabber:iq:private'>");
    for (const struct lua_entry *e = v->first; e; e = e->next)
        put_stanza(out, e->value, "", false);
    buf_puts(out, "</query>");
}

static void put_blocklist(struct prosody *job, const struct lua_value *v, struct buf *out) {
    (void)job;
    buf_puts(out, "<blocklist xmlns='urn:xmpp:blocking'>");
    for (const struct lua_entry *e = v->first; e; e = e->next) {
        if (!e->key || e->key->type != LUA_TEXT)
            continue;
        buf_puts(out, "<item");
        put_attr(out, "jid", e->key->text);
        buf_puts(out, "/>");
    }
    buf_puts(out, "</blocklist>");
}

/* Prosody adds when it came only as it delivers it. */
static void put_offline(struct prosody *job, const struct lua_value *v, struct buf *out) {
    const char *stamp = lua_text(lua_get(v, "attr"), "stamp");
    out->len = 0;
    put_stanza(out, v, "", true);
    size_t end = strlen("</message>");
    if (stamp && out->len > end && strcmp(out->data + out->len - end, "</message>") == 0) {
        out->len -= end;
        buf_puts(out, "<delay xmlns='urn:xmpp:delay'");
        put_attr(out, "from", job->domain);
        put_attr(out, "stamp", stamp);
        buf_puts(out, "/></message>");
    }
    dump_text(out);
}

static void put_archived(struct prosody *job, const struct lua_value *v, struct buf *out) {
    const struct lua_value *when = lua_get(v, "when");
    (void)job;
    out->len = 0;
    if (!when || when->type != LUA_NUMBER || when->number <= 0 || when->number > 4e9)
        return;
    buf_puts(out, "<result xmlns='urn:xmpp:mam:2'");
    put_attr(out, "id", lua_text(v, "key") ? lua_text(v, "key") : "");
    buf_puts(out, "><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='");
    put_stamp(out, (int64_t)(when->number * 1e6));
    buf_puts(out, "'/>");
    put_stanza(out, v, "urn:xmpp:forward:0", true);
    buf_puts(out, "</forwarded></result>");
    dump_text(out);
}

const struct prosody_store prosody_stores[PROSODY_STORES] = {
    { "roster", put_roster }, { "vcard", put_vcard }, { "private", put_private }, { "blocklist", put_blocklist }
};

/* ---- accounts ---------------------------------------------------------------------------------------------------------- */

static void put_user(struct prosody *job) {
    struct buf out = { 0 };
    each_value(job, "accounts", "dat", "return", prosody_account, &out);
    for (int i = 0; i < PROSODY_STORES; i++) {
        out.len = 0;
        each_value(job, prosody_stores[i].name, "dat", "return", prosody_stores[i].put, &out);
        dump_text(&out);
    }
    puts("<offline-messages>");
    each_value(job, "offline", "list", "item(", put_offline, &out);
    puts("</offline-messages>\n<archive xmlns='urn:xmpp:pie:0#mam'>");
    each_value(job, "archive", "list", "item(", put_archived, &out);
    puts("</archive>");
    dump_user(NULL, NULL);
    buf_free(&out);
}

static int is_visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static void put_host(struct prosody *job) {
    struct buf path = { 0 };
    struct dirent **files;
    buf_printf(&path, "%s/%s/accounts", job->folder, job->host);
    int count = scandir(path.data, &files, is_visible, alphasort);
    buf_free(&path);
    if (count <= 0) {
        if (count == 0)
            free(files);
        return;
    }
    job->domain = decode(job->host, strlen(job->host));
    dump_host(job->domain);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(files[i]->d_name);
        if (!job->failed && len > 4 && strcmp(files[i]->d_name + len - 4, ".dat") == 0) {
            files[i]->d_name[len - 4] = '\0';
            job->user = files[i]->d_name;
            job->name = decode(job->user, len - 4);
            put_user(job);
            free(job->name);
        }
        free(files[i]);
    }
    free(files);
    dump_host(NULL);
    free(job->domain);
}

bool convert_prosody(int count, char **words) {
    struct prosody job = { .folder = words[0] };
    struct dirent **hosts;
    if (count != 1)
        return complain("prosody takes one folder, or one database");
    if (db_is_url(words[0]))
        return prosody_sql(words[0]);
    arena_init(&job.arena);
    int found = scandir(job.folder, &hosts, is_visible, alphasort);
    if (found < 0)
        return complain("%s can't be read: %s", job.folder, strerror(errno));
    dump_begin();
    for (int i = 0; i < found; i++) {
        job.host = hosts[i]->d_name;
        if (!job.failed)
            put_host(&job);
        free(hosts[i]);
    }
    free(hosts);
    dump_end();
    return !job.failed;
}
