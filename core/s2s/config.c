/* SPDX-License-Identifier: Apache-2.0 */
/* The options of federation, and the policies for domains. */
#include "component/component.h"
#include "s2s/link.h"
#include "util/jid.h"
#include "util/mem.h"
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

struct options {
    int64_t access, tls, certificate;
    bool dialback, bidi, acks;
    const char *secret, *trust, *dnssec_anchor;
    struct mk_texts resolvers;
    int64_t resume_timeout, login_timeout, connect_timeout, dns_timeout, idle_timeout, backoff, backoff_max;
    int64_t queue, queue_bytes, streams, connecting, rate;
};
struct domain_options {
    const char *domain, *host;
    int64_t access, tls, certificate, port, host_tls;
    int64_t dialback;
    struct mk_texts pins;
};

static const char *const accesses[] = { "allow", "deny", NULL };
static const char *const needs[] = { "required", "optional", NULL };
static const char *const own_accesses[] = { "default", "allow", "deny", NULL };
static const char *const own_needs[] = { "default", "required", "optional", NULL };
static const char *const own_switches[] = { "default", "on", "off", NULL };
static const char *const host_modes[] = { "starttls", "direct", NULL };

static const struct mk_opt_decl rows[] = {
    MK_OPT_ENUM(struct options, access, "allow", accesses, MK_OPT_LIVE,
                "Whether there are streams with domains that `domains` does not name."),
    MK_OPT_ENUM(struct options, tls, "required", needs, MK_OPT_LIVE, "Whether streams must be encrypted."),
    MK_OPT_ENUM(struct options, certificate, "optional", needs, MK_OPT_LIVE,
                "Whether a server must show a certificate that is valid for its domain. Without, dialback will do."),
    MK_OPT_BOOL(struct options, dialback, "true", MK_OPT_LIVE,
                "Whether a server may prove its domain by dialback (XEP-0220): it is called back and asked."),
    MK_OPT_BOOL(struct options, bidi, "true", MK_OPT_LIVE,
                "Whether one stream carries stanzas both ways if the other server can do that too (XEP-0288)."),
    MK_OPT_BOOL(struct options, acks, "true", MK_OPT_LIVE,
                "Whether servers acknowledge each other's stanzas (XEP-0198), so that none is lost with a stream."),
    MK_OPT_FILE(struct options, dnssec_anchor, NULL, 0,
                "File of DS or DNSKEY records, such as /usr/share/dns/root.key, with which answers of DNS are checked: "
                "forged ones are then none. Without it the resolvers are believed."),
    MK_OPT_DURATION(struct options, resume_timeout, "1m", 0, 3600000, MK_OPT_LIVE,
                    "Time in which a server may resume a stream that was lost; 0 is not at all."),
    MK_OPT_TEXT(struct options, secret, NULL, MK_OPT_SECRET,
                "From which keys of dialback are made (XEP-0185); the same on all servers of a domain. Without, a new "
                "one is made at each start."),
    MK_OPT_FILE(struct options, trust, NULL, MK_OPT_LIVE,
                "PEM file of the authorities that certificates of servers are checked with; without it those of the "
                "system."),
    MK_OPT_TEXTS(struct options, resolvers, NULL, 0,
                 "DNS servers, 192.0.2.1 or with a port 192.0.2.1@5353; without any those of /etc/resolv.conf."),
    MK_OPT_DURATION(struct options, login_timeout, "30s", 100, 3600000, MK_OPT_LIVE,
                    "Time from a connection, in either direction, to an authenticated stream."),
    MK_OPT_DURATION(
        struct options, connect_timeout, "10s", 100, 600000, MK_OPT_LIVE,
        "Time that the last address of a server has to answer; others are tried 200 ms one after the other."),
    MK_OPT_DURATION(struct options, dns_timeout, "10s", 100, 600000, MK_OPT_LIVE, "Time that DNS has to answer."),
    MK_OPT_DURATION(struct options, idle_timeout, "10m", 1000, INT64_MAX, MK_OPT_LIVE,
                    "Time after which a stream that carries nothing is closed."),
    MK_OPT_DURATION(struct options, backoff, "5s", 0, 3600000, MK_OPT_LIVE,
                    "Time after a failure in which a server is not tried again and stanzas for it are refused. It "
                    "doubles with each failure, and differs by up to a half so that servers do not keep step."),
    MK_OPT_DURATION(struct options, backoff_max, "5m", 0, 86400000, MK_OPT_LIVE, "The longest such time."),
    MK_OPT_INT(struct options, queue, "1000", 1, 10000000, MK_OPT_LIVE,
               "Stanzas from one domain here to one elsewhere that may wait for their stream; more are refused."),
    MK_OPT_SIZE(struct options, queue_bytes, "4M", 65536, 1 << 30, MK_OPT_LIVE, "The same in bytes."),
    MK_OPT_INT(struct options, streams, "20", 1, 100000, MK_OPT_LIVE,
               "Streams at once that say to come from one domain."),
    MK_OPT_INT(struct options, connecting, "1000", 1, 1000000, MK_OPT_LIVE,
               "Servers that one worker connects to at once; what is for more of them is refused."),
    MK_OPT_SIZE(struct options, rate, "0", 0, UINT32_MAX, MK_OPT_LIVE,
                "Bytes a second that a server may send on a stream that we opened, after a burst of two seconds; for "
                "streams of others their listener says it. 0 is no limit."),
};
static const struct mk_table options_table = MK_TABLE(rows);

static const struct mk_opt_decl domain_rows[] = {
    MK_OPT_TEXT(struct domain_options, domain, NULL, MK_OPT_REQUIRED | MK_OPT_LIVE,
                "The remote domain; *.example.org is all that end so. The first entry that fits counts."),
    MK_OPT_ENUM(struct domain_options, access, "default", own_accesses, MK_OPT_LIVE,
                "Whether there are streams with it."),
    MK_OPT_ENUM(struct domain_options, tls, "default", own_needs, MK_OPT_LIVE, "As s2s.tls."),
    MK_OPT_ENUM(struct domain_options, certificate, "default", own_needs, MK_OPT_LIVE, "As s2s.certificate."),
    MK_OPT_ENUM(struct domain_options, dialback, "default", own_switches, MK_OPT_LIVE, "As s2s.dialback."),
    MK_OPT_TEXTS(struct domain_options, pins, NULL, MK_OPT_LIVE,
                 "SHA-256 of the public keys, in base64, of which its server must show one. That is required, and "
                 "enough: who signed the certificate and whom it names does not matter."),
    MK_OPT_TEXT(struct domain_options, host, NULL, MK_OPT_LIVE,
                "Name or address of its server, for which DNS is then not asked."),
    MK_OPT_INT(struct domain_options, port, "5269", 1, 65535, MK_OPT_LIVE, "Port of HOST."),
    MK_OPT_ENUM(struct domain_options, host_tls, "starttls", host_modes, MK_OPT_LIVE,
                "How TLS begins there: after plain text, or from the first byte (XEP-0368)."),
};
static const struct mk_table domain_table = MK_TABLE(domain_rows);

/* Workers read the newest while a reload sets another: old ones stay until the end. */
struct kept {
    struct s2s_config config; /* first */
    struct kept *before;
};
static const struct s2s_config off;
static _Atomic(const struct s2s_config *) newest = &off;
static struct kept *all_kept;
static bool started;
char s2s_secret[SECRET_HEX + 1];

/* ---- reading --------------------------------------------------------------------------------------------------------- */

static void read_pins(struct arena *arena, const struct domain_options *o, const struct conf_node *group,
                      struct s2s_policy *p, struct conf_errors *e) {
    uint8_t(*pins)[PIN_BYTES] = arena_zalloc(arena, (o->pins.count + 1) * sizeof *pins);
    for (uint32_t i = 0; i < o->pins.count; i++) {
        const char *text = o->pins.items[i];
        uint8_t *bytes = arena_alloc(arena, 3 * strlen(text) / 4 + 1);
        if (base64_decode(bytes, text, strlen(text)) != PIN_BYTES)
            conf_error(e, conf_find(group, "pins"), "\"%s\" is no SHA-256 in base64", text);
        else
            memcpy(pins[p->pin_count++], bytes, PIN_BYTES);
    }
    p->pins = (const uint8_t(*)[PIN_BYTES])pins;
}

static const char *read_pattern(struct arena *arena, const char *text) {
    const struct mk_jid *jid;
    bool below = strncmp(text, "*.", 2) == 0;
    const char *domain = below ? text + 2 : text;
    if (jid_parse(arena, domain, strlen(domain), &jid) != 0 || jid->local_len || jid->resource_len)
        return NULL;
    return below ? arena_printf(arena, "*.%s", jid->text) : jid->text;
}

static void read_domain(struct arena *arena, struct conf_node *group, struct s2s_policy *p, struct conf_errors *e,
                        const struct s2s_policy *others) {
    struct domain_options o = { 0 };
    conf_fill(arena, "s2s.domains", group, &domain_table, NULL, &o, e);
    *p = *others;
    if (!o.domain)
        return;
    p->domain = read_pattern(arena, o.domain);
    if (!p->domain)
        conf_error(e, group, "\"%s\" is no domain", o.domain);
    p->deny = o.access ? o.access == 2 : p->deny;
    p->tls = o.tls ? o.tls == 1 : p->tls;
    p->certificate = o.certificate ? o.certificate == 1 : p->certificate;
    p->dialback = o.dialback ? o.dialback == 1 : p->dialback;
    p->host = o.host;
    p->port = (uint16_t)o.port;
    p->direct = o.host_tls == 1;
    read_pins(arena, &o, group, p, e);
}

static void read_domains(struct arena *arena, struct conf_node *group, struct s2s_config *out, struct conf_errors *e) {
    const struct conf_node *list = conf_find(group, "domains");
    unsigned count = 0;
    if (list && list->type != CONF_LIST)
        conf_error(e, list, "s2s.domains is not a list of groups: domains = ( { domain = \"example.org\"; } );");
    if (!list || list->type != CONF_LIST)
        return;
    for (const struct conf_node *n = list->first; n; n = n->next)
        count++;
    struct s2s_policy *policies = arena_zalloc(arena, (count + 1) * sizeof *policies);
    for (struct conf_node *n = list->first; n; n = n->next) {
        n->used = true;
        read_domain(arena, n, &policies[out->policy_count++], e, &out->others);
    }
    out->policies = policies;
}

void s2s_read(struct arena *arena, struct conf_node *root, struct s2s_config *out, struct conf_errors *e) {
    static const char *const extra[] = { "domains", NULL };
    struct options o = { 0 };
    struct conf_node *group = conf_find(root, "s2s");
    conf_fill(arena, "s2s", group, &options_table, extra, &o, e);
    *out = (struct s2s_config){
        .others = { .deny = o.access == 1,
                    .tls = o.tls == 0,
                    .certificate = o.certificate == 0,
                    .dialback = o.dialback,
                    .port = 5269 },
        .bidi = o.bidi,
        .acks = o.acks,
        .dns = { o.resolvers, o.dnssec_anchor },
        .trust = o.trust,
        .secret = o.secret,
        .resume_ms = o.resume_timeout,
        .login_ms = o.login_timeout,
        .connect_ms = o.connect_timeout,
        .dns_ms = o.dns_timeout,
        .idle_ms = o.idle_timeout,
        .backoff_ms = o.backoff,
        .backoff_max_ms = o.backoff_max,
        .queue = o.queue,
        .queue_bytes = o.queue_bytes,
        .streams = o.streams,
        .connecting = o.connecting,
        .rate = o.rate,
    };
    read_domains(arena, group, out, e);
}

void s2s_manual(struct buf *out) {
    buf_puts(out, "## s2s\n\nStreams with other servers, which there are if a listener is of kind s2s.\n\n");
    conf_manual(out, &options_table);
    buf_puts(out, "\n### s2s.domains\n\nA list of groups, one for each remote domain, or for all below one.\n\n");
    conf_manual(out, &domain_table);
    buf_puts(out, "\n");
}

/* ---- in force ---------------------------------------------------------------------------------------------------------- */

static void make_secret(const char *text) {
    uint8_t digest[32], random[32];
    if (text) {
        gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
    } else {
        mk_random(random, sizeof random);
        gnutls_hash_fast(GNUTLS_DIG_SHA256, random, sizeof random, digest);
    }
    hex_encode(s2s_secret, digest, sizeof digest);
}

bool s2s_setup(const struct s2s_config *config, char *why, size_t why_size) {
    if (config->enabled && tls_trust_setup(config->trust, why, why_size) != 0) {
        if (config->trust)
            return false;
        log_warning("no certificate of another server is trusted: %s", why);
    }
    struct kept *k = xmalloc(sizeof *k);
    *k = (struct kept){ *config, all_kept };
    all_kept = k;
    atomic_store_explicit(&newest, &k->config, memory_order_release);
    if (!started && config->enabled) {
        started = true;
        make_secret(config->secret);
        dns_setup(&k->config.dns);
    }
    return true;
}

const struct s2s_config *s2s_config(void) {
    return atomic_load_explicit(&newest, memory_order_acquire);
}

void s2s_teardown(void) {
    atomic_store(&newest, &off);
    while (all_kept) {
        struct kept *k = all_kept;
        all_kept = k->before;
        free(k);
    }
    tls_trust_teardown();
}

/* ---- policies ---------------------------------------------------------------------------------------------------------- */

static bool fits(const struct s2s_policy *p, const char *remote) {
    if (p->domain[0] != '*')
        return strcmp(p->domain, remote) == 0;
    size_t len = strlen(remote), tail = strlen(p->domain) - 1; /* ".example.org" */
    return len > tail && strcmp(remote + len - tail, p->domain + 1) == 0;
}

const struct s2s_policy *policy_for(const char *remote) {
    const struct s2s_config *config = s2s_config();
    for (unsigned i = 0; i < config->policy_count; i++)
        if (fits(&config->policies[i], remote))
            return &config->policies[i];
    return &config->others;
}

bool policy_wants_cert(const struct s2s_policy *p) {
    return p->certificate || p->pin_count || !p->dialback;
}

bool policy_proves(const struct s2s_policy *p, const struct tls_peer *cert, const char *remote) {
    if (!cert || !cert->shown)
        return false;
    for (unsigned i = 0; i < p->pin_count; i++)
        if (memcmp(p->pins[i], cert->spki, PIN_BYTES) == 0)
            return true;
    if (!p->pin_count && cert->dane)
        return cert->named;
    return !p->pin_count && cert->trusted && tls_peer_is(cert, remote);
}

/* ---- domains ----------------------------------------------------------------------------------------------------------- */

const struct host *local_host(const char *domain) {
    const struct host *host = host_find(domain, strlen(domain));
    const struct domain *d = host ? NULL : domain_find(domain, strlen(domain));
    if (!host && !d)
        return component_host(domain, strlen(domain));
    return d ? d->host : host;
}

static const struct mk_jid *as_domain(struct arena *arena, const char *text) {
    const struct mk_jid *jid;
    if (!text || jid_parse(arena, text, strlen(text), &jid) != 0 || jid->local_len || jid->resource_len)
        return NULL;
    return jid;
}

char *domain_read(const char *text) {
    struct arena arena;
    arena_init(&arena);
    const struct mk_jid *jid = as_domain(&arena, text);
    char *domain = jid ? xstrdup(jid->text) : NULL;
    arena_free(&arena);
    return domain;
}

struct worker *domain_home(const char *domain) {
    return worker_of((uint32_t)hash_bytes(domain, strlen(domain)));
}
