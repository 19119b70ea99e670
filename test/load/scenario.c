/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"
#include "sasl.h"
#include "url.h"
#include <libconfig.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const way_names[] = { "tcp", "websocket", "bosh", NULL };

/* ---- reading one group: what was asked for is known, all else is a mistake ------------------------------------------- */

struct reader {
    const char *path; /* of the file */
    config_setting_t *at;
    const char *where; /* of the group in it, for messages */
    unsigned used;     /* members that were asked for */
    bool *ok;
};

/* Where KEY stands, or else the group that it is in; 0: nowhere. */
static unsigned line_of(const struct reader *r, const char *key) {
    config_setting_t *s = r->at ? config_setting_lookup(r->at, key) : NULL;
    return s ? config_setting_source_line(s) : r->at ? config_setting_source_line(r->at) : 0;
}

static void complain(struct reader *r, const char *key, const char *what) {
    unsigned line = line_of(r, key);
    char place[16] = "";
    if (line)
        snprintf(place, sizeof place, "%u:", line);
    fprintf(stderr, "%s:%s %s%s%s: %s\n", r->path, place, r->where, *r->where ? "." : "", key, what);
    *r->ok = false;
}

static config_setting_t *member(struct reader *r, const char *key) {
    config_setting_t *found = r->at ? config_setting_get_member(r->at, key) : NULL;
    r->used += found != NULL;
    return found;
}

static double number(struct reader *r, const char *key, double otherwise, double low, double high) {
    config_setting_t *s = member(r, key);
    double value;
    if (!s)
        return otherwise;
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
        value = config_setting_get_int(s);
        break;
    case CONFIG_TYPE_INT64:
        value = (double)config_setting_get_int64(s);
        break;
    case CONFIG_TYPE_FLOAT:
        value = config_setting_get_float(s);
        break;
    default:
        complain(r, key, "not a number");
        return otherwise;
    }
    if (value >= low && value <= high)
        return value;
    char text[96];
    snprintf(text, sizeof text, "%g is not from %g to %g", value, low, high);
    complain(r, key, text);
    return otherwise;
}

static uint64_t seconds(struct reader *r, const char *key, double otherwise, double low) {
    return (uint64_t)(number(r, key, otherwise, low, 1e6) * 1e6);
}

static bool yes(struct reader *r, const char *key, bool otherwise) {
    config_setting_t *s = member(r, key);
    if (!s)
        return otherwise;
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        complain(r, key, "neither true nor false");
    return config_setting_get_bool(s);
}

static void text(struct reader *r, const char *key, const char *otherwise, char *out, size_t size) {
    config_setting_t *s = member(r, key);
    const char *value = s ? config_setting_get_string(s) : otherwise;
    if (!value)
        complain(r, key, s ? "not a text" : "is missing");
    else if (strlen(value) >= size)
        complain(r, key, "too long");
    snprintf(out, size, "%s", value ? value : "");
}

static int choice(struct reader *r, const char *key, const char *const *names, int otherwise) {
    char value[32];
    text(r, key, names[otherwise], value, sizeof value);
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], value) == 0)
            return i;
    complain(r, key, "none of the words that are known here");
    return otherwise;
}

static struct reader inside(struct reader *r, const char *key) {
    struct reader inner = { r->path, member(r, key), key, 0, r->ok };
    if (inner.at && config_setting_type(inner.at) != CONFIG_TYPE_GROUP) {
        complain(r, key, "not a group");
        inner.at = NULL;
    }
    return inner;
}

static void finish(struct reader *r, const char *known) {
    if (!r->at || r->used == (unsigned)config_setting_length(r->at))
        return;
    for (int i = 0; i < config_setting_length(r->at); i++) {
        const char *name = config_setting_name(config_setting_get_elem(r->at, (unsigned)i));
        char word[64];
        snprintf(word, sizeof word, " %s ", name);
        if (!strstr(known, word))
            complain(r, name, "unknown");
    }
}

/* ---- the parts of a scenario ------------------------------------------------------------------------------------------ */

static void find_host(struct server *to, struct reader *r, const char *key) {
    struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found;
    char port[8];
    snprintf(port, sizeof port, "%d", to->port);
    int rc = getaddrinfo(to->host, port, &want, &found);
    if (rc != 0) {
        complain(r, key, gai_strerror(rc));
        return;
    }
    for (struct addrinfo *a = found; a && to->address_count < MOST_ADDRESSES; a = a->ai_next) {
        struct address *address = &to->addresses[to->address_count++];
        memcpy(&address->to, a->ai_addr, a->ai_addrlen);
        address->len = a->ai_addrlen;
    }
    freeaddrinfo(found);
}

static void read_url(struct scenario *s, struct reader *r, enum by by, const char *scheme) {
    char url[512];
    struct server *to = &s->servers[by];
    text(r, way_names[by], "", url, sizeof url);
    if (!*url)
        return;
    to->name = to->host;
    const char *wrong = url_read(url, scheme, to);
    if (wrong)
        complain(r, way_names[by], wrong);
    else
        find_host(to, r, way_names[by]);
}

static void read_server(struct scenario *s, struct reader *r) {
    static const char *const kinds[] = { "none", "starttls", "direct", NULL };
    struct server *tcp = &s->servers[BY_TCP];
    text(r, "host", "127.0.0.1", tcp->host, sizeof tcp->host);
    text(r, "domain", NULL, s->domain, sizeof s->domain);
    tcp->name = s->domain;
    tcp->port = (int)number(r, "port", 5222, 1, 65535);
    tcp->tls = (enum tls)choice(r, "tls", kinds, TLS_STARTTLS);
    s->per_address = (int)number(r, "connections_per_address", 5000, 0, 60000);
    s->verify = yes(r, "verify", false);
    text(r, "ca", "", s->ca, sizeof s->ca);
    config_setting_t *pids = member(r, "pids");
    for (int i = 0; pids && i < config_setting_length(pids) && i < MOST_PIDS; i++)
        s->pids[s->pid_count++] = config_setting_get_int_elem(pids, i);
    find_host(tcp, r, "host");
    read_url(s, r, BY_WEBSOCKET, "ws");
    read_url(s, r, BY_BOSH, "http");
    finish(r, " host domain port tls connections_per_address verify ca pids websocket bosh ");
}

static void read_accounts(struct scenario *s, struct reader *r) {
    text(r, "user", "user%d", s->user, sizeof s->user);
    text(r, "password", "secret", s->password, sizeof s->password);
    text(r, "mechanism", "SCRAM-SHA-1", s->mechanism, sizeof s->mechanism);
    text(r, "file", "", s->accounts_file, sizeof s->accounts_file);
    s->first = (int)number(r, "first", 0, 0, 1e9);
    s->register_first = yes(r, "register", false);
    if (!sasl_is_known(s->mechanism))
        complain(r, "mechanism", "not one of PLAIN, ANONYMOUS, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512");
    const char *place = strchr(s->user, '%');
    if (!*s->accounts_file && (!place || place[1] != 'd' || strchr(place + 1, '%')))
        complain(r, "user", "has not one %d, where the number of the account goes");
    finish(r, " user password mechanism file first register ");
}

static void read_chat(struct group *g, struct reader *r) {
    g->chats = r->at != NULL;
    g->think = seconds(r, "think", 10, 0.0001);
    g->poisson = yes(r, "poisson", true);
    g->size = (int)number(r, "size", 80, 0, 100000);
    g->window = (int)number(r, "window", 0, 0, 1000);
    finish(r, " think poisson size window ");
}

static void read_room(struct group *g, struct reader *r, const char *domain) {
    char service[128];
    snprintf(service, sizeof service, "conference.%.100s", domain);
    g->room_think = seconds(r, "think", 60, 0.0001);
    text(r, "service", service, g->room_service, sizeof g->room_service);
    if (r->at)
        g->room_size = (int)number(r, "size", 10, 2, 1000);
    finish(r, " think service size ");
}

static void read_others(struct group *g, struct reader *r) {
    struct reader archive = inside(r, "archive"), churn = inside(r, "roster_churn"), again = inside(r, "reconnect");
    g->archive_every = archive.at ? seconds(&archive, "every", 30, 0.001) : 0;
    g->archive_page = (int)number(&archive, "page", 50, 1, 1000);
    g->archive_pages = (int)number(&archive, "pages", 0, 0, 1e6);
    g->roster_every = churn.at ? seconds(&churn, "every", 60, 0.001) : 0;
    g->reconnect_every = again.at ? seconds(&again, "every", 60, 0.001) : 0;
    g->resume = yes(&again, "resume", false);
    g->abrupt = yes(&again, "abrupt", true);
    finish(&archive, " every page pages ");
    finish(&churn, " every ");
    finish(&again, " every resume abrupt ");
}

static void read_group(struct scenario *s, struct reader *r) {
    struct group *g = &s->groups[s->group_count++];
    char name[32];
    snprintf(name, sizeof name, "group%d", s->group_count);
    text(r, "name", name, g->name, sizeof g->name);
    g->count = (int)number(r, "count", 100, 1, (double)MOST_WORKERS * CLIENTS_PER_WORKER);
    g->by = (enum by)choice(r, "way", way_names, BY_TCP);
    if (!s->servers[g->by].name)
        complain(r, "way", g->by == BY_BOSH ? "needs the URL server.bosh" : "needs the URL server.websocket");
    g->presence = yes(r, "presence", true);
    g->roster = yes(r, "roster", true);
    g->carbons = yes(r, "carbons", false);
    g->stream_management = yes(r, "stream_management", true);
    struct reader chat = inside(r, "chat"), room = inside(r, "room");
    read_chat(g, &chat);
    read_room(g, &room, s->domain);
    read_others(g, r);
    g->unit = g->room_size ? g->room_size : g->chats ? 2 : 1;
    if (g->chats && g->unit % 2)
        complain(r, "room.size", "odd, but those who chat are pairs");
    if (g->count % g->unit)
        complain(r, "count", "not a multiple of 2 for those who chat, of the size of a room for those in rooms");
    if (g->resume && !g->stream_management)
        complain(r, "reconnect.resume", "needs stream_management");
    s->clients += g->count;
    s->connections += g->count * (g->by == BY_BOSH ? 2 : 1);
    finish(r, " name count way presence roster carbons stream_management chat room archive roster_churn reconnect ");
}

static void read_groups(struct scenario *s, struct reader *r) {
    config_setting_t *list = member(r, "groups");
    int count = list ? config_setting_length(list) : 0;
    if (count < 1 || count > MOST_GROUPS || !config_setting_is_list(list)) {
        complain(r, "groups", "not a list of 1 to 16 groups");
        return;
    }
    for (int i = 0; i < count; i++) {
        struct reader one = { r->path, config_setting_get_elem(list, (unsigned)i), "groups", 0, r->ok };
        if (config_setting_is_group(one.at))
            read_group(s, &one);
        else
            complain(r, "groups", "has what is not a group");
    }
}

static void read_all(struct scenario *s, struct reader *r) {
    struct reader server = inside(r, "server"), accounts = inside(r, "accounts"), arrival = inside(r, "arrival");
    read_server(s, &server);
    read_accounts(s, &accounts);
    s->rate = number(&arrival, "rate", 100, 0.001, 1e6);
    s->ramp = seconds(&arrival, "ramp", 0, 0);
    s->at_once = (int)number(&arrival, "at_once", 200, 1, 100000);
    s->login_timeout = seconds(&arrival, "timeout", 60, 0.1);
    finish(&arrival, " rate ramp at_once timeout ");
    s->hold = seconds(r, "hold", 30, 0);
    s->drain = seconds(r, "drain", 5, 0);
    s->workers = (int)number(r, "workers", 1, 1, MOST_WORKERS);
    read_groups(s, r);
    finish(r, " server accounts arrival hold drain workers groups ");
    if (s->clients > s->workers * CLIENTS_PER_WORKER)
        complain(r, "workers", "too few: each drives at most 20000 clients");
}

/* ---- accounts of a file --------------------------------------------------------------------------------------------- */

static bool read_accounts_file(struct scenario *s) {
    FILE *f = fopen(s->accounts_file, "r");
    char line[512], user[256], password[256];
    int n = 0;
    if (!f) {
        perror(s->accounts_file);
        return false;
    }
    s->accounts = calloc((size_t)s->clients, sizeof *s->accounts);
    while (n < s->clients && fgets(line, sizeof line, f)) {
        if (*line == '#' || sscanf(line, "%255s %255s", user, password) != 2)
            continue;
        user[strcspn(user, "@")] = '\0';
        s->accounts[n++] = (struct account){ strdup(user), strdup(password) };
    }
    fclose(f);
    if (n < s->clients)
        fprintf(stderr, "%s: has %d accounts, %d clients need one each\n", s->accounts_file, n, s->clients);
    return n == s->clients;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

static bool override(config_t *file, const char *over) {
    char path[256];
    const char *value = strchr(over, '=');
    config_setting_t *s = NULL;
    if (value) {
        snprintf(path, sizeof path, "%.*s", (int)(value++ - over), over);
        s = config_lookup(file, path);
    }
    if (!s) {
        fprintf(stderr, "--set %s: the scenario has no such setting\n", over);
        return false;
    }
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
        return config_setting_set_int(s, atoi(value));
    case CONFIG_TYPE_INT64:
        return config_setting_set_int64(s, atoll(value));
    case CONFIG_TYPE_FLOAT:
        return config_setting_set_float(s, atof(value));
    case CONFIG_TYPE_BOOL:
        return config_setting_set_bool(s, strcmp(value, "true") == 0);
    case CONFIG_TYPE_STRING:
        return config_setting_set_string(s, value);
    case CONFIG_TYPE_ARRAY: /* of the servers' processes */
        while (config_setting_length(s))
            config_setting_remove_elem(s, 0);
        for (const char *at = value; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
            config_setting_set_int_elem(s, -1, atoi(at));
        return true;
    default:
        fprintf(stderr, "--set %s: not a number, text or list of numbers\n", over);
        return false;
    }
}

bool scenario_read(struct scenario *s, const char *path, char *const *over, int over_count) {
    config_t file;
    bool ok = true;
    memset(s, 0, sizeof *s);
    config_init(&file);
    config_set_options(&file, CONFIG_OPTION_AUTOCONVERT);
    if (!config_read_file(&file, path)) {
        fprintf(stderr, "%s:%d: %s\n", path, config_error_line(&file), config_error_text(&file));
        config_destroy(&file);
        return false;
    }
    for (int i = 0; i < over_count; i++)
        ok = override(&file, over[i]) && ok;
    struct reader top = { path, config_root_setting(&file), "", 0, &ok };
    read_all(s, &top);
    config_destroy(&file);
    return ok && (!*s->accounts_file || read_accounts_file(s));
}
