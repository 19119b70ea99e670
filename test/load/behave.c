/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "worker.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every message says of itself in its id and at the begin of its body. */
struct token {
    char kind; /* 'c': to the partner, 'r': to a room */
    unsigned run;
    int worker, sender;
    uint64_t number, due;
};

#define TOKEN "ml%c.%x.%d.%d.%" PRIu64 ".%" PRIu64
#define TOKEN_READ "ml%c.%x.%d.%d.%" SCNu64 ".%" SCNu64

static bool token_read(const char *text, struct token *t) {
    return sscanf(text, TOKEN_READ, &t->kind, &t->run, &t->worker, &t->sender, &t->number, &t->due) == 6;
}

static uint64_t *counts(struct client *c) {
    return c->w->stats->counts;
}

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

static void send_message(struct client *c, char kind, uint64_t number, uint64_t due, const char *to, int size) {
    char token[128];
    uint64_t now = now_us();
    int len = snprintf(token, sizeof token, TOKEN, kind, c->w->run, c->w->index, c->number, number, due);
    int fill = size > len + 1 ? size - len - 1 : 0;
    size_t cap = 1024 + (size_t)fill;
    char *text = malloc(cap);
    int n = snprintf(text, cap, "<message to='%s' id='%s' type='%s'><body>%s %*s</body></message>", to, token,
                     kind == 'c' ? "chat" : "groupchat", token, fill, "");
    for (char *at = text + n - fill - 17; at < text + n - 17; at++)
        *at = 'x';
    if (worker_measures(c->w))
        histogram_add(&c->w->stats->times[TIME_LAG], now > due ? now - due : 0);
    client_stanza(c, due, text, (size_t)n);
    free(text);
}

static struct client *partner_of(const struct client *c) {
    return &c->w->clients[c->number ^ 1];
}

static void chat(struct client *c, uint64_t due) {
    counts(c)[COUNT_SENT]++;
    send_message(c, 'c', c->chat_number++, due, partner_of(c)->jid, c->group->size);
}

/* The next after BEFORE; it does not wait for anything that the server does. */
static uint64_t next_due(const struct client *c, uint64_t before, uint64_t think) {
    double wait = (double)think * (c->group->poisson ? -log(worker_random()) : 1);
    return before + (uint64_t)wait;
}

static void chat_all(struct client *c) {
    uint64_t now = now_us();
    for (; c->chat_due <= now && worker_works(c->w); c->chat_due = next_due(c, c->chat_due, c->group->think))
        chat(c, c->chat_due);
    worker_at(c, TIMER_CHAT, c->chat_due);
}

static void begin_chat(struct client *c) {
    c->chatting = true;
    if (c->group->window) {
        for (int i = 0; i < c->group->window; i++)
            chat(c, now_us());
        return;
    }
    c->chat_due = now_us() + (uint64_t)((double)c->group->think * worker_random());
    worker_at(c, TIMER_CHAT, c->chat_due);
}

static void chat_online(struct client *c) {
    struct client *other = partner_of(c);
    if (c->chatting && !c->group->window)
        worker_at(c, TIMER_CHAT, c->chat_due);
    if (c->chatting || other->state != STATE_ONLINE)
        return;
    begin_chat(c);
    begin_chat(other);
    client_flush(other);
}

/* ---- rooms --------------------------------------------------------------------------------------------------------------- */

static void join(struct client *c) {
    client_say(c,
               "<presence to='%s/m%d'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
               "</presence>",
               c->room->jid, c->number - c->room->first);
}

static void room_online(struct client *c) {
    if (c->room->open || c->number == c->room->first)
        join(c);
}

static void open_room(struct client *c) {
    struct room *r = c->room;
    if (r->open)
        return;
    r->open = true;
    counts(c)[COUNT_ROOMS]++;
    for (int i = 1; i < r->size; i++) {
        struct client *other = &c->w->clients[r->first + i];
        if (other->state != STATE_ONLINE)
            continue;
        join(other);
        client_flush(other);
    }
}

static void begin_room(struct client *c) {
    if (!c->room_due)
        c->room_due = now_us() + (uint64_t)((double)c->group->room_think * worker_random());
    worker_at(c, TIMER_ROOM, c->room_due);
}

static void joined(struct client *c, bool is_new) {
    struct room *r = c->room;
    bool complete = r->joined == r->size;
    if (!c->in_room)
        r->joined++;
    c->in_room = true;
    if (is_new)
        client_say(c,
                   "<iq to='%s' id='own' type='set'><query xmlns='http://jabber.org/protocol/muc#owner'>"
                   "<x xmlns='jabber:x:data' type='submit'/></query></iq>",
                   r->jid);
    else if (c->number == r->first)
        open_room(c);
    if (c->room_due)
        begin_room(c);
    /* Nobody speaks before all are there: then each message has a known number of receivers. */
    for (int i = 0; !complete && r->joined == r->size && i < r->size; i++)
        if (!c->w->clients[r->first + i].room_due)
            begin_room(&c->w->clients[r->first + i]);
}

static void speak(struct client *c) {
    uint64_t now = now_us();
    for (; c->room_due <= now && worker_works(c->w); c->room_due = next_due(c, c->room_due, c->group->room_think)) {
        if (!c->in_room)
            return;
        counts(c)[COUNT_ROOM_SENT]++;
        counts(c)[COUNT_ROOM_EXPECTED] += (uint64_t)c->room->joined;
        send_message(c, 'r', c->room_number++, c->room_due, c->room->jid, c->group->size);
    }
    worker_at(c, TIMER_ROOM, c->room_due);
}

void behave_presence(struct client *c, const char *stanza) {
    enum { JOIN_AGAIN_US = 1000000 };
    char from[512], type[32] = "";
    if (!c->room || !xml_attr(stanza, "from", from, sizeof from))
        return;
    size_t len = strlen(c->room->jid);
    if (strncmp(from, c->room->jid, len) != 0 || (from[len] != '/' && from[len] != '\0'))
        return;
    xml_attr(stanza, "type", type, sizeof type);
    if (strcmp(type, "error") == 0) {
        stats_reason(c->w->stats, "a room could not be joined");
        worker_at(c, TIMER_JOIN, now_us() + JOIN_AGAIN_US);
    } else if (!*type && (strstr(stanza, "'110'") || strstr(stanza, "\"110\""))) {
        joined(c, strstr(stanza, "'201'") || strstr(stanza, "\"201\""));
    }
}

/* ---- arrivals ---------------------------------------------------------------------------------------------------------------- */

static void note(struct client *c, const struct token *t, struct flow *flow, enum count delivered, enum timing timing) {
    enum flow_verdict verdict = flow_note(flow, t->number);
    static const int steps[] = { [FLOW_LATE] = COUNT_DISORDERED, [FLOW_DUPLICATE] = COUNT_DUPLICATED };
    bool in_room = delivered == COUNT_ROOM_DELIVERED;
    if (verdict == FLOW_UNKNOWN) {
        counts(c)[COUNT_UNKNOWN]++;
        return;
    }
    if (verdict != FLOW_NEW)
        counts(c)[steps[verdict] + (in_room ? COUNT_ROOM_DUPLICATED - COUNT_DUPLICATED : 0)]++;
    if (verdict == FLOW_DUPLICATE)
        return;
    counts(c)[delivered]++;
    worker_time(c->w, timing, t->due);
}

static void refused(struct client *c, const char *stanza) {
    char id[128], why[100], condition[64] = "";
    struct token t;
    const char *error = strstr(stanza, "<error");
    if (!xml_attr(stanza, "id", id, sizeof id) || !token_read(id, &t) || t.run != c->w->run)
        return;
    counts(c)[t.kind == 'r' ? COUNT_ROOM_REFUSED : COUNT_REFUSED]++;
    error = error ? strchr(error + 1, '<') : NULL;
    if (error)
        xml_name(error, condition, sizeof condition);
    snprintf(why, sizeof why, "a message was refused: %s", condition);
    stats_reason(c->w->stats, why);
    if (t.kind == 'c' && c->group->window && worker_works(c->w)) /* its place is free */
        chat(c, now_us());
}

static void delivered(struct client *c, const struct token *t) {
    struct worker *w = c->w;
    bool ours = t->run == w->run && t->worker == w->index && t->sender >= 0 && t->sender < w->count;
    if (ours && t->kind == 'c' && c->group->chats && t->sender == (c->number ^ 1)) {
        uint64_t before = c->from_partner->distinct;
        note(c, t, c->from_partner, COUNT_DELIVERED, TIME_DELIVERY);
        struct client *sender = partner_of(c);
        if (c->group->window && c->from_partner->distinct > before && worker_works(w) &&
            sender->state == STATE_ONLINE) {
            chat(sender, now_us());
            client_flush(sender);
        }
    } else if (ours && t->kind == 'r' && c->room && w->clients[t->sender].room == c->room) {
        note(c, t, &c->from_room[t->sender - c->room->first], COUNT_ROOM_DELIVERED, TIME_ROOM);
    } else {
        counts(c)[COUNT_STRAY]++;
    }
}

void behave_message(struct client *c, const char *stanza) {
    char type[16] = "";
    struct token t;
    const char *body = strstr(stanza, "<body");
    xml_attr(stanza, "type", type, sizeof type);
    if (strcmp(type, "error") == 0)
        refused(c, stanza);
    else if (strstr(stanza, "urn:xmpp:mam:2") && strstr(stanza, "<result"))
        counts(c)[COUNT_ARCHIVE_ROWS]++;
    else if (!strstr(stanza, "urn:xmpp:carbons:2") && body && (body = strchr(body, '>')) && token_read(body + 1, &t))
        delivered(c, &t);
}

/* ---- queries --------------------------------------------------------------------------------------------------------------------- */

static void ask_page(struct client *c, uint64_t due) {
    c->asking_archive = true;
    c->pages_read++;
    client_say(c,
               "<iq id='ar-%" PRIu64 "' type='set'><query xmlns='urn:xmpp:mam:2'>"
               "<set xmlns='http://jabber.org/protocol/rsm'><max>%d</max><before>%s</before></set></query></iq>",
               due, c->group->archive_page, c->page ? c->page : "");
}

static void on_page(struct client *c, const char *stanza) {
    char first[256];
    counts(c)[COUNT_ARCHIVE_PAGES]++;
    c->asking_archive = false;
    free(c->page);
    c->page = NULL;
    if (strstr(stanza, "complete='true'") || strstr(stanza, "complete=\"true\"") || !worker_works(c->w) ||
        c->pages_read == c->group->archive_pages || !xml_text(stanza, "first", first, sizeof first))
        return;
    c->page = strdup(first);
    ask_page(c, now_us());
}

static void change_roster(struct client *c, uint64_t due) {
    bool remove = c->churn++ % 2;
    client_say(c,
               "<iq id='rs-%" PRIu64 "' type='set'><query xmlns='jabber:iq:roster'>"
               "<item jid='friend%u@%s'%s/></query></iq>",
               due, c->churn / 2 - remove + 1, c->w->scenario->domain,
               remove ? " subscription='remove'" : " name='Friend'");
    counts(c)[COUNT_ROSTER_CHANGES]++;
}

void behave_result(struct client *c, const char *id, const char *type, const char *stanza) {
    char kind[4];
    uint64_t due = 0;
    bool failed = strcmp(type, "error") == 0;
    if (strcmp(id, "own") == 0 && c->room)
        open_room(c);
    if (sscanf(id, "%2[a-z]-%" SCNu64, kind, &due) != 2)
        return;
    if (failed) {
        counts(c)[COUNT_QUERY_ERRORS]++;
        stats_reason(c->w->stats, *kind == 'a' ? "an archive query was refused" : "a roster query was refused");
        c->asking_archive = false;
        return;
    }
    worker_time(c->w, *kind == 'a' ? TIME_ARCHIVE : TIME_ROSTER, due);
    if (*kind == 'a')
        on_page(c, stanza);
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------------- */

static void plan(struct client *c, enum timer timer, uint64_t every) {
    if (every)
        worker_at(c, timer, now_us() + (uint64_t)((double)every * worker_random()));
}

static void switch_on(struct client *c) {
    const struct group *g = c->group;
    if (g->stream_management) {
        stream_forget(c);
        client_raw(c, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        c->sm.on = true;
    }
    if (g->carbons)
        client_say(c, "<iq id='carbons' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    if (g->roster)
        client_say(c, "<iq id='ro-%" PRIu64 "' type='get'><query xmlns='jabber:iq:roster'/></iq>", now_us());
    if (g->presence)
        client_say(c, "<presence/>");
}

void behave_online(struct client *c, bool resumed) {
    const struct group *g = c->group;
    c->asking_archive = false;
    if (!resumed)
        switch_on(c);
    if (g->chats)
        chat_online(c);
    if (c->room && resumed && c->in_room)
        begin_room(c);
    else if (c->room)
        room_online(c);
    plan(c, TIMER_ARCHIVE, g->archive_every);
    plan(c, TIMER_ROSTER, g->roster_every);
    if (g->reconnect_every)
        worker_at(c, TIMER_RECONNECT, now_us() + (uint64_t)((double)g->reconnect_every * (0.5 + worker_random())));
}

void behave_offline(struct client *c) {
    if (!c->in_room || c->sm.id) /* a stream that can be resumed stays in its rooms */
        return;
    c->in_room = false;
    c->room->joined--;
}

void behave_timer(struct client *c, enum timer timer, uint64_t due) {
    const struct group *g = c->group;
    if (!worker_works(c->w))
        return;
    switch (timer) {
    case TIMER_CHAT:
        chat_all(c);
        break;
    case TIMER_ROOM:
        speak(c);
        break;
    case TIMER_JOIN:
        join(c);
        break;
    case TIMER_ARCHIVE:
        if (!c->asking_archive) {
            c->pages_read = 0;
            ask_page(c, due);
        }
        worker_at(c, timer, due + g->archive_every);
        break;
    case TIMER_ROSTER:
        change_roster(c, due);
        worker_at(c, timer, due + g->roster_every);
        break;
    default:
        break;
    }
}
