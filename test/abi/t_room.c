/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A right plugin that serves domains.  Rooms count their stanzas and answer with the count; what a message says makes
 * them stay, leave, start a timer, or write to another room.  Those of the option `slow` wait before they answer.
 */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>
#include <string.h>

#define NS "urn:test:room"

struct room_options {
    const char *domain, *slow, *late;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct room_options, domain, "rooms.@HOST@", MK_OPT_LIVE, "The domain of rooms."),
    MK_OPT_TEXT(struct room_options, slow, NULL, 0, "The domain of rooms that wait."),
    MK_OPT_TEXT(struct room_options, late, NULL, MK_OPT_LIVE, "A domain that has no rooms."),
};

enum { SLOT_ROOM };
enum { TIMER_TICK };
struct room {
    int64_t count;
    struct mk_jid *asked; /* the timer */
};
static void room_fini(void *slot) {
    mk_jid_free(((struct room *)slot)->asked);
}
static const struct mk_slot_decl slots[] = { { "room", MK_ON_ROOM, sizeof(struct room), NULL, room_fini } };

static void say(struct mk_ctx *c, const struct mk_jid *from, const struct mk_jid *to, const char *body) {
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_HEADLINE, to);
    if (from)
        mk_from(o, from);
    mk_leaf(o, "body", NULL, body);
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "could not answer");
}

static void on_tick(struct mk_ctx *c, struct mk_session *session) {
    struct room *r = mk_self_slot(c, SLOT_ROOM);
    (void)session;
    say(c, NULL, r->asked, mk_printf(c, "tick %d", (int)r->count));
}
static const struct mk_timer_decl timers[] = { { "tick", MK_ON_ROOM, MK_INLINE, on_tick } };

static void obey(struct mk_ctx *c, struct room *r, const struct mk_stanza *s, const char *word) {
    const struct mk_jid *other;
    if (strcmp(word, "stay") == 0 || strcmp(word, "leave") == 0)
        mk_self_hold(c, *word == 's');
    if (strcmp(word, "tick") == 0) {
        mk_jid_free(r->asked);
        r->asked = mk_jid_keep(mk_stanza_from(s));
        mk_timer_start(c, NULL, TIMER_TICK, 200);
    }
    if (strncmp(word, "tell ", 5) == 0 && mk_jid_parse(c, (struct mk_view){ word + 5, strlen(word + 5) }, &other) == 0)
        say(c, NULL, other, "told");
}

static void on_message(struct mk_ctx *c, struct room *r, const struct mk_ev_stanza *ev) {
    enum mk_type type = mk_stanza_type(ev->stanza);
    if (type == MK_TYPE_HEADLINE || type == MK_TYPE_ERROR)
        return;
    const char *word = mk_text(c, mk_child(ev->stanza, "body", NULL));
    obey(c, r, ev->stanza, word);
    say(c, ev->to, mk_stanza_from(ev->stanza), mk_printf(c, "%d %s", (int)r->count, word));
}

static void on_iq(struct mk_ctx *c, const struct room *r, const struct mk_stanza *iq) {
    if (mk_stanza_type(iq) != MK_TYPE_GET)
        return;
    struct mk_out *o = mk_reply(c, iq);
    mk_open(o, "room", NS);
    mk_put_int(o, "count", r->count);
    mk_put_jid(o, "self", mk_self(c));
    mk_put_jid(o, "host", mk_host(c));
    if (mk_send(o) != MK_OK)
        mk_log(c, MK_ERROR, "could not answer");
}

static void on_room(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct room *r = mk_self_slot(c, SLOT_ROOM);
    r->count++;
    switch (mk_stanza_kind(ev->stanza)) {
    case MK_MESSAGE:
        on_message(c, r, ev);
        break;
    case MK_IQ:
        on_iq(c, r, ev->stanza);
        break;
    default:
        say(c, ev->to, mk_stanza_from(ev->stanza), mk_printf(c, "%d presence", (int)r->count));
    }
}

MK_SUSPENDS static void on_slow_room(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    if (mk_sleep(c, 20) == MK_OK)
        on_room(c, ev);
}

static const struct mk_domain_decl domains[] = {
    { "domain", MK_INLINE, 0, on_room, on_room },
    { "slow", MK_SERIAL, 0, on_slow_room, NULL },
    { "late", MK_INLINE, 0, NULL, on_room },
};

#define PARTS                                                                                                          \
    .version = "1.0", .summary = "Test: rooms", .inst_size = sizeof(struct room_options),                              \
    .options = MK_TABLE(options), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers), .domains = MK_TABLE(domains)
#ifdef OTHER_NAME
MK_PLUGIN(t_rooms, PARTS);
#else
MK_PLUGIN(t_room, PARTS);
#endif
