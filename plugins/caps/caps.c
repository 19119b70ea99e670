/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XEP-0115 and XEP-0390: what a client can do, by a hash in its presence.  A client whose hash nobody here has met is
 * asked once, and believed about others with that hash if the hash is right.
 */
#include "caps.h"
#include <meerkat/caps.h>
#include <stdio.h>
#include <string.h>

enum { SLOT_SESSION };
enum { TIMER_TELL };
enum { M_QUERIES, M_LEARNED, M_WRONG };
enum { COL_KEY, COL_FEATURES, COL_EXPIRES };

/* A client that was asked and has not answered yet. */
struct asked {
    char id[32];
    enum form form;
    char *algo, *hash; /* in the same block */
    char key[];
};

/* Every session has this. */
struct client {
    struct known *known; /* held; NULL if it announced nothing, or nothing that is known yet */
    struct asked *asked; /* OWNED */
};

/* What a presence announces. */
struct announced {
    enum form form;
    const char *algo, *hash, *node, *key;
};

static struct client *client_of(struct mk_ctx *c, struct mk_session *s) {
    return mk_session_slot(c, s, SLOT_SESSION);
}

static void fini_session(void *slot) {
    struct client *x = slot;
    known_let_go(x->known);
    mk_free(x->asked);
}

/* ---- reading presence ------------------------------------------------------------------------------------------------------- */

static bool complete(struct mk_ctx *c, struct announced *a) {
    if (!a->algo || !a->hash || !a->hash[0] || strlen(a->hash) > 128 || !digest_knows(a->algo))
        return false;
    a->key = mk_printf(c, "%d %s %s", (int)a->form, a->algo, a->hash);
    return true;
}

/* XEP-0390 before XEP-0115.  False if there is neither, or none with a hash function that we have. */
static bool read_caps(struct mk_ctx *c, const struct mk_stanza *s, struct announced *a) {
    const struct mk_elem *c2 = mk_child(s, "c", NS_CAPS2), *c1 = mk_child(s, "c", NS_CAPS1);
    for (const struct mk_elem *h = c2 ? mk_elem_first(c2) : NULL; h; h = mk_elem_next(h)) {
        if (!mk_elem_is(h, "hash", NS_HASHES))
            continue;
        *a = (struct announced){ FORM_0390, mk_attr(h, "algo"), mk_text(c, h), NULL, NULL };
        if (!complete(c, a))
            continue;
        a->node = mk_printf(c, NS_CAPS2 "#%s.%s", a->algo, a->hash);
        return true;
    }
    if (!c1 || !mk_attr(c1, "node"))
        return false;
    *a = (struct announced){ FORM_0115, mk_attr(c1, "hash"), mk_attr(c1, "ver"), NULL, NULL };
    if (!complete(c, a))
        return false;
    a->node = mk_printf(c, "%s#%s", mk_attr(c1, "node"), a->hash);
    return true;
}

/* ---- what is known ----------------------------------------------------------------------------------------------------------- */

static struct cache *cache_of(struct mk_ctx *c) {
    return &((struct worker *)mk_worker(c))->cache;
}

static void store(struct mk_ctx *c, const char *key, struct mk_view features) {
    const struct caps *me = mk_inst(c);
    const struct mk_value row[] = {
        [COL_KEY] = mk_v_text(key),
        [COL_FEATURES] = mk_v_view(features),
        [COL_EXPIRES] = mk_v_time(mk_now(c) + me->ttl * 1000),
    };
    if (mk_put_later(c, me->known, MK_UPSERT, row, NULL) != MK_OK)
        mk_log(c, MK_DEBUG, "what a client can do was not stored");
}

/* From the collection into the cache, and stored anew once half its time is over. */
MK_SUSPENDS static struct known *load(struct mk_ctx *c, const char *key) {
    const struct caps *me = mk_inst(c);
    const struct mk_value k[] = { mk_v_text(key) };
    const struct mk_row *row;
    if (mk_get(c, me->known, k, &row) != MK_OK)
        return NULL;
    const char *features = mk_row_text(row, COL_FEATURES);
    const struct mk_view view = { features, strlen(features) };
    if (mk_row_int(row, COL_EXPIRES) - mk_now(c) < me->ttl * 500)
        store(c, key, view);
    return cache_add(cache_of(c), key, view, (uint32_t)me->cache_size);
}

/* Takes KNOWN for what the client can do.  True if that is news. */
static bool settle(struct client *x, struct known *known) {
    struct known *before = x->known;
    mk_free(x->asked);
    x->asked = NULL;
    if (before == known)
        return false;
    x->known = known ? known_hold(known) : NULL;
    known_let_go(before);
    return true;
}

MK_SUSPENDS static void tell(struct mk_ctx *c, struct mk_session *session) {
    struct mk_ev_session ev = { session, 0 };
    mk_run_session_features(c, &ev);
}

/* ---- asking -------------------------------------------------------------------------------------------------------------------- */

static struct asked *asked_new(struct mk_ctx *c, const struct announced *a) {
    size_t key = strlen(a->key) + 1, algo = strlen(a->algo) + 1, hash = strlen(a->hash) + 1;
    struct asked *q = mk_malloc(sizeof *q + key + algo + hash);
    snprintf(q->id, sizeof q->id, "caps-%s", mk_random_id(c));
    q->form = a->form;
    memcpy(q->key, a->key, key);
    q->algo = memcpy(q->key + key, a->algo, algo);
    q->hash = memcpy(q->key + key + algo, a->hash, hash);
    return q;
}

static void ask(struct mk_ctx *c, struct mk_session *session, struct client *x, const struct announced *a) {
    const struct mk_stanza *s;
    x->asked = asked_new(c, a);
    struct mk_out *o = mk_new(c, MK_IQ, MK_TYPE_GET, mk_session_jid(session));
    mk_from(o, mk_host(c));
    mk_id(o, x->asked->id);
    mk_open(o, "query", NS_INFO);
    mk_put(o, "node", a->node);
    if (mk_seal(o, &s) != MK_OK)
        return;
    mk_session_send(c, session, s, NULL);
    mk_count(c, M_QUERIES, 1);
}

/* The features in QUERY, a line each.  False if they are too long. */
static bool read_features(struct mk_ctx *c, const struct mk_elem *query, struct mk_view *out) {
    const struct caps *me = mk_inst(c);
    size_t size = 0;
    const char *var;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e))
        size += mk_elem_is(e, "feature", NS_INFO) && (var = mk_attr(e, "var")) != NULL ? strlen(var) + 1 : 0;
    if (size > (size_t)me->max_bytes)
        return false;
    char *text = mk_alloc(c, size + 1), *at = text;
    for (const struct mk_elem *e = mk_elem_first(query); e; e = mk_elem_next(e)) {
        var = mk_elem_is(e, "feature", NS_INFO) ? mk_attr(e, "var") : NULL;
        if (!var || strchr(var, '\n'))
            continue;
        at = stpcpy(at, at == text ? "" : "\n");
        at = stpcpy(at, var);
    }
    *out = (struct mk_view){ text, (size_t)(at - text) };
    return true;
}

/* An answer with the right hash holds for everybody who has the hash; with a wrong one, for this session alone. */
static struct known *learn(struct mk_ctx *c, const struct asked *q, const struct mk_elem *query, const char *lang) {
    const struct caps *me = mk_inst(c);
    struct mk_view features;
    const char *hash;
    if (!read_features(c, query, &features))
        return NULL;
    if (digest_of(c, query, lang, q->form, q->algo, &hash) != MK_OK || strcmp(hash, q->hash) != 0) {
        mk_count(c, M_WRONG, 1);
        return cache_add(cache_of(c), "", features, 0);
    }
    mk_count(c, M_LEARNED, 1);
    store(c, q->key, features);
    return cache_add(cache_of(c), q->key, features, (uint32_t)me->cache_size);
}

static const char *lang_of(const struct mk_session *session, const struct mk_stanza *iq) {
    const char *lang = mk_attr_ns(mk_root(iq), "lang", "http://www.w3.org/XML/1998/namespace");
    const struct mk_stream *st = mk_session_stream(session);
    return lang ? lang : st ? mk_stream_lang(st) : "";
}

static enum mk_flow on_send_iq(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    enum mk_type type = mk_stanza_type(ev->stanza);
    if (type != MK_TYPE_RESULT && type != MK_TYPE_ERROR)
        return MK_NEXT;
    struct client *x = client_of(c, ev->session);
    const char *id = mk_stanza_id(ev->stanza);
    if (!x->asked || !id || strcmp(id, x->asked->id) != 0 || !mk_jid_same(ev->to, mk_host(c)))
        return MK_NEXT;
    const struct mk_elem *query = type == MK_TYPE_RESULT ? mk_child(ev->stanza, "query", NS_INFO) : NULL;
    struct known *k = query ? learn(c, x->asked, query, lang_of(ev->session, ev->stanza)) : NULL;
    if (settle(x, k))
        mk_timer_start(c, ev->session, TIMER_TELL, 0);
    return MK_STOP;
}

/* ---- presence -------------------------------------------------------------------------------------------------------------------- */

MK_SUSPENDS static enum mk_flow on_send_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    struct client *x = client_of(c, ev->session);
    struct announced a;
    if (mk_stanza_to(ev->stanza)) /* directed presence changes nothing for others */
        return MK_NEXT;
    if (mk_stanza_type(ev->stanza) != MK_TYPE_AVAILABLE || !read_caps(c, ev->stanza, &a)) {
        if (settle(x, NULL))
            tell(c, ev->session);
        return MK_NEXT;
    }
    if (x->asked && strcmp(x->asked->key, a.key) == 0)
        return MK_NEXT;
    if (x->known && strcmp(x->known->key, a.key) == 0)
        return MK_NEXT;
    struct known *k = cache_find(cache_of(c), a.key);
    if (!k)
        k = load(c, a.key);
    if (settle(x, k))
        tell(c, ev->session);
    if (!k)
        ask(c, ev->session, x, &a);
    return MK_NEXT;
}

/* ---- the interface --------------------------------------------------------------------------------------------------------------- */

static bool session_has(struct mk_ctx *c, struct mk_session *session, const char *feature) {
    return known_has(client_of(c, session)->known, feature);
}

static int presence_has(struct mk_ctx *c, const struct mk_stanza *presence, const char *feature) {
    struct announced a;
    const struct known *k = read_caps(c, presence, &a) ? cache_find(cache_of(c), a.key) : NULL;
    return k ? known_has(k, feature) : MK_E_NOTFOUND;
}

static const struct mk_caps_ops caps_ops = { sizeof caps_ops, 0, session_has, presence_has };

/* ---- rows ------------------------------------------------------------------------------------------------------------------------ */

static void worker_stop(const void *inst, void *worker) {
    (void)inst;
    cache_free(&((struct worker *)worker)->cache);
}

static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct caps, node, "urn:meerkat:server", 0,
                "What the server calls its software in its own capabilities: an address on the web, say."),
    MK_OPT_INT(struct caps, cache_size, "1000", 1, 1000000, MK_OPT_LIVE,
               "Most hashes of clients that one worker remembers in memory. Those used longest ago go first."),
    MK_OPT_DURATION(struct caps, ttl, "30d", 60000, 365 * 86400000LL, MK_OPT_LIVE,
                    "How long the storage remembers what a hash stands for after it was last used."),
    MK_OPT_SIZE(struct caps, max_bytes, "16K", 1024, 1048576, MK_OPT_LIVE,
                "Longest list of features, in bytes. What a client says beyond that is ignored as a whole."),
};
static const struct mk_need_decl needs[] = {
    MK_NEED(struct caps, disco, mk_disco, 1, 0, MK_NEED_HARD, NULL),
};
static const struct mk_provide_decl provides[] = {
    MK_PROVIDE(mk_caps, 1, 0, &caps_ops, "what clients can do"),
};
static const struct mk_col_decl cols[] = {
    [COL_KEY] = { "hash", MK_C_TEXT, MK_COL_PARTITION, "1 (XEP-0115) or 2 (XEP-0390), the hash function, the hash." },
    [COL_FEATURES] = { "features", MK_C_TEXT, 0, "What it stands for, a feature a line." },
    [COL_EXPIRES] = { "expires", MK_C_TIME, MK_COL_TTL, "When it is forgotten." },
};
static const struct mk_coll_decl collections[] = {
    MK_COLLECTION(struct caps, known, "caps_known", 1, MK_COLL_TRANSIENT, 0, cols, MK_NO_INDEX,
                  "Features of clients by hash, of all hosts."),
};
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_presence, MK_ORDER_CAPS, MK_SERIAL, on_send_presence),
    MK_ON(user_send_iq, MK_ORDER_FILTER, MK_INLINE, on_send_iq),
    MK_ON(session_opened, MK_ORDER_SESSION, MK_SERIAL, own_on_session_opened),
    MK_ON(disco_info, 50, MK_SERIAL, own_on_disco_info),
    MK_ON(host_receive_presence, 50, MK_SERIAL, own_on_presence),
};
static const struct mk_slot_decl slots[] = {
    [SLOT_SESSION] = { "client", MK_ON_SESSION, sizeof(struct client), NULL, fini_session },
};
static const struct mk_timer_decl timers[] = {
    [TIMER_TELL] = { "tell", MK_ON_SESSION, MK_SERIAL, tell },
};
static const struct mk_feature_decl features[] = {
    { "c", NS_CAPS1, MK_WHEN_AUTHED, 0, own_feature },
};
static const struct mk_disco_decl disco[] = {
    { NS_CAPS1, MK_TO_SERVER, 0 },
    { NS_CAPS2, MK_TO_SERVER, 0 },
};
static const struct mk_metric_decl metrics[] = {
    [M_QUERIES] = { "queries", MK_COUNTER, 0, "queries", "Clients asked what they can do." },
    [M_LEARNED] = { "learned", MK_COUNTER, 0, "hashes", "Answers with the right hash." },
    [M_WRONG] = { "wrong", MK_COUNTER, 0, "hashes", "Answers with a wrong hash, or with contradictions." },
};
static const struct mk_xep_decl xeps[] = {
    { "0115", "1.6.0", "complete", "" },
    { "0390", "0.3.2", "complete", "" },
};

MK_PLUGIN(caps, .version = "1.0", .summary = "What clients and server can do, by hash (XEP-0115, XEP-0390)",
          .inst_size = sizeof(struct caps), .worker_size = sizeof(struct worker), .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .provides = MK_TABLE(provides), .collections = MK_TABLE(collections),
          .hooks = MK_TABLE(hooks), .slots = MK_TABLE(slots), .timers = MK_TABLE(timers),
          .features = MK_TABLE(features), .disco = MK_TABLE(disco), .metrics = MK_TABLE(metrics),
          .xeps = MK_TABLE(xeps), .worker_stop = worker_stop);
