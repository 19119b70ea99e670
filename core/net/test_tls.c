/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over real sockets, against a GnuTLS client. */
#include "test_tls.h"

static const char tls12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
enum { DAY = 24 * 3600 };

struct server {
    struct conn conn;
    int client;
    struct sockaddr_in peer;
    const struct conn_class *class;
    bool starttls, dead;
    size_t amount;
    char *data;
    uint8_t binding[64];
    size_t binding_len;
    enum cb_type type;
};

static void note_closed(struct conn *c, int error) {
    note("closed %d", error);
    conn_free_now(c);
}

static void note_secured(struct conn *c) {
    const char *sni = conn_sni(c);
    note("secured %s", conn_is_secure(c) ? conn_tls_name(c) : "not");
    note("sni %s", sni ? sni : "none");
    note("ready");
}

static void note_drained(struct conn *c) {
    (void)c;
    note("drained");
}

static size_t echo(struct conn *c, const char *data, size_t len) {
    conn_write(c, data, len);
    return len;
}
static const struct conn_class echo_class = { echo, note_secured, note_closed, note_drained };

static void open_conn(void *arg) {
    struct server *s = arg;
    conn_init(&s->conn, s->class, this_worker, s->conn.fd, (struct sockaddr *)&s->peer);
    if (!s->starttls)
        conn_start_tls(&s->conn, "xmpp-client");
}

static struct server *serve_with(const struct conn_class *class, bool starttls, int sndbuf) {
    struct server *s = xcalloc(1, sizeof *s);
    struct pair p = tcp_pair(sndbuf);
    clear_notes();
    s->client = p.client;
    s->peer = p.peer;
    s->class = class;
    s->conn.fd = p.server;
    s->starttls = starttls;
    on_worker(0, open_conn, s);
    return s;
}

static struct server *serve(void) {
    return serve_with(&echo_class, false, 0);
}

static void free_conn(void *arg) {
    struct server *s = arg;
    conn_free_now(&s->conn);
}

static void finish(struct server *s, struct client *c) {
    on_worker(0, free_conn, s);
    if (c)
        client_end(c);
    else
        close(s->client);
    free(s->data);
    free(s);
}

/* The handshake, and until the server knows that it is done: the client does first. */
static int join(struct server *s, struct client *c, const struct client_options *o) {
    int rc = client_start(c, s->client, o);
    return rc == 0 && !await_note("ready") ? -1 : rc;
}

static void nothing(void *arg) {
    (void)arg;
}

static void look_idle(void *arg) {
    struct server *s = arg;
    note("in %d out %d raw %d", s->conn.in != NULL, s->conn.out != NULL, s->conn.tls->kept != NULL);
}

static void echoes(void) {
    static const char *const versions[][2] = {
        { "NORMAL", "secured TLS1.3 AES-256-GCM" },
        { "NORMAL:-VERS-ALL:+VERS-TLS1.2", "secured TLS1.2 AES-256-GCM" },
        { "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305:+AES-128-GCM", "secured TLS1.3 AES-128-GCM" },
        { "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", "secured TLS1.3 CHACHA20-POLY1305" },
    };
    int64_t done = metric_sum(METRIC_tls_handshakes_row);
    for (unsigned i = 0; i < 4; i++) {
        struct server *s = serve();
        struct client c;
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i][0] }), 0);
        CHECK(await_note(versions[i][1]));
        CHECK(await_note("sni none"));
        CHECK(client_send_text(&c, "hello"));
        CHECK(client_recv_text(&c, "hello"));
        CHECK(client_send_text(&c, "again"));
        CHECK(client_recv_text(&c, "again"));
        on_worker(0, look_idle, s);
        CHECK(await_note("in 0 out 0 raw 0"));
        need(gnutls_bye(c.session, GNUTLS_SHUT_WR));
        CHECK(await_note("closed 0"));
        finish(s, &c);
    }
    CHECK_INT(metric_sum(METRIC_tls_handshakes_row) - done, 4);
}

static void bytewise(void) {
    const char *const versions[] = { "NORMAL", tls12 };
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = serve();
        struct client c;
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i], .bytewise = true }), 0);
        CHECK(client_send_text(&c, "byte by byte"));
        CHECK(client_recv_text(&c, "byte by byte"));
        finish(s, &c);
    }
}

struct transfer {
    struct client *client;
    const char *data;
    size_t len;
};

static void *send_thread(void *arg) {
    struct transfer *t = arg;
    client_send(t->client, t->data, t->len);
    return NULL;
}

static bool goes_round(struct client *c, const char *data, size_t len) {
    struct transfer t = { c, data, len };
    pthread_t thread;
    if (pthread_create(&thread, NULL, send_thread, &t) != 0)
        return false;
    char *got = xmalloc(len);
    size_t n = client_recv(c, got, len);
    bool same = n == len && memcmp(got, data, len) == 0;
    pthread_join(thread, NULL);
    free(got);
    return same;
}

static void megabyte(void) {
    const char *const versions[] = { "NORMAL", tls12 };
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = serve_with(&echo_class, false, 4096);
        struct client c;
        char *data = pattern(1 << 20);
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i] }), 0);
        CHECK(goes_round(&c, data, 1 << 20));
        free(data);
        on_worker(0, look_idle, s);
        CHECK(await_note("in 0 out 0 raw 0"));
        finish(s, &c);
    }
}

static void write_data(void *arg) {
    struct server *s = arg;
    for (size_t at = 0; at < s->amount; at += 5000)
        conn_write(&s->conn, s->data + at, s->amount - at < 5000 ? s->amount - at : 5000);
}

static void look_blocked(void *arg) {
    struct server *s = arg;
    note("blocked %d queued %d", (s->conn.flags & CONN_BLOCKED) != 0, s->conn.out_len > 0);
}

static void blocked_output(void) {
    struct server *s = serve_with(&echo_class, false, 16384);
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    s->amount = 2 << 20;
    s->data = pattern(s->amount);
    on_worker(0, write_data, s);
    on_worker(0, look_blocked, s);
    CHECK(await_note("blocked 1 queued 1"));
    /* Input goes on meanwhile, and what it causes comes after. */
    CHECK(client_send_text(&c, "last"));
    char *got = xmalloc(s->amount);
    CHECK_INT(client_recv(&c, got, s->amount), s->amount);
    CHECK(memcmp(got, s->data, s->amount) == 0);
    free(got);
    CHECK(client_recv_text(&c, "last"));
    CHECK(await_note("drained"));
    finish(s, &c);
}

static size_t one_line_then_pause(struct conn *c, const char *data, size_t len) {
    const char *end = memchr(data, '\n', len);
    if (!end)
        return 0;
    conn_write(c, data, (size_t)(end - data) + 1);
    note("line of %zu", (size_t)(end - data));
    conn_pause(c);
    return (size_t)(end - data) + 1;
}
static const struct conn_class pausing_class = { one_line_then_pause, note_secured, note_closed, NULL };

static void resume(void *arg) {
    struct server *s = arg;
    conn_resume(&s->conn);
}

/* More than the worker's buffers hold is on the way: in our block, in GnuTLS, in the socket. */
static void pauses(void) {
    enum { LINE = 50000, LINES = 8 };
    struct server *s = serve_with(&pausing_class, false, 0);
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    char *data = xmalloc(LINE * LINES);
    for (size_t i = 0; i < LINE * LINES; i++)
        data[i] = (char)(i % LINE == LINE - 1 ? '\n' : 'a' + i / LINE);
    struct transfer t = { &c, data, LINE * LINES };
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, send_thread, &t), 0);
    for (unsigned i = 0; i < LINES; i++) {
        static char got[LINE];
        CHECK(await_note("line of 49999"));
        CHECK_INT(client_recv(&c, got, LINE), LINE);
        CHECK(memcmp(got, data + i * LINE, LINE) == 0);
        on_worker(0, nothing, NULL);
        CHECK(!noted("line of 49999"));
        on_worker(0, resume, s);
    }
    pthread_join(thread, NULL);
    CHECK(client_send_text(&c, "end\n"));
    CHECK(client_recv_text(&c, "end\n"));
    free(data);
    finish(s, &c);
}

/* ---- STARTTLS ---- */

static size_t start_or_echo(struct conn *c, const char *data, size_t len) {
    struct server *s = container_of(c, struct server, conn);
    if (conn_is_secure(c))
        return echo(c, data, len);
    if (len < 8 || memcmp(data, "starttls", 8) != 0)
        return 0;
    write_data(s);
    conn_write(c, "proceed", 7);
    conn_start_tls(c, NULL);
    return 8;
}
static const struct conn_class starttls_class = { start_or_echo, note_secured, note_closed, NULL };

static void starttls(void) {
    struct server *s = serve_with(&starttls_class, true, 0);
    struct client c;
    CHECK(send_text(s->client, "start"));
    CHECK(send_text(s->client, "tls<injected/>"));
    CHECK(recv_text(s->client, "proceed"));
    CHECK_INT(join(s, &c, &(struct client_options){ .sni = "a.example" }), 0);
    CHECK(await_note("sni a.example"));
    CHECK(client_send_text(&c, "hello"));
    CHECK(client_recv_text(&c, "hello"));
    finish(s, &c);
}

/* Even injected input that is long enough to be kept in a block of its own. */
static void starttls_drops_much(void) {
    struct server *s = serve_with(&starttls_class, true, 0);
    struct client c;
    static char text[30000];
    memset(text, 'i', sizeof text);
    memcpy(text, "starttls", 8);
    CHECK(send_all(s->client, text, 6));
    CHECK(send_all(s->client, text + 6, sizeof text - 6));
    if (recv_text(s->client, "proceed"))
        join(s, &c, &(struct client_options){ 0 });
    else
        CHECK(false);
    on_worker(0, nothing, NULL);
    CHECK(!noted("injected"));
    finish(s, &c);
}

/* What was written before goes out in the clear, all of it, however slowly it is read. */
static void starttls_behind_output(void) {
    struct server *s = serve_with(&starttls_class, true, 16384);
    struct client c;
    s->amount = 1 << 20;
    s->data = pattern(s->amount);
    CHECK(send_text(s->client, "starttls"));
    char *got = xmalloc(s->amount);
    CHECK_INT(recv_all(s->client, got, s->amount), s->amount);
    CHECK(memcmp(got, s->data, s->amount) == 0);
    free(got);
    CHECK(recv_text(s->client, "proceed"));
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    CHECK(client_send_text(&c, "hello"));
    CHECK(client_recv_text(&c, "hello"));
    finish(s, &c);
}

/* ---- Certificates ---- */

static bool shows(const char *sni, struct tls_cert *want) {
    struct server *s = serve();
    struct client c;
    bool same = false;
    if (join(s, &c, &(struct client_options){ .sni = sni }) == 0) {
        unsigned count = 0;
        const gnutls_datum_t *list = gnutls_certificate_get_peers(c.session, &count);
        const gnutls_datum_t *own = &want->chain[0].cert;
        same = count == 1 && list[0].size == own->size && memcmp(list[0].data, own->data, own->size) == 0;
    }
    finish(s, &c);
    return same;
}

static void sni_picks(void) {
    CHECK(shows("a.example", shown[0].cert));
    CHECK(shows("b.example", shown[1].cert));
    CHECK(shows("B.Example", shown[1].cert));
    CHECK(shows("b\xc3\xbc"
                "cher.example",
                shown[2].cert));
    CHECK(shows("other.example", shown[0].cert));
    CHECK(shows(NULL, shown[0].cert));
}

static void no_certificate(void) {
    struct tls_cert *first = shown[0].cert;
    int64_t failed = metric_sum(METRIC_tls_failures_row);
    shown[0].cert = NULL;
    struct server *s = serve();
    struct client c;
    int rc = join(s, &c, &(struct client_options){ .sni = "a.example" });
    shown[0].cert = first;
    CHECK_INT(rc, GNUTLS_E_FATAL_ALERT_RECEIVED);
    char text[32];
    snprintf(text, sizeof text, "closed %d", EPROTO);
    CHECK(await_note(text));
    CHECK_INT(metric_sum(METRIC_tls_failures_row) - failed, 1);
    finish(s, &c);
}

static void replace_cert(void *arg) {
    struct tls_cert *old = shown[1].cert;
    shown[1].cert = arg;
    tls_cert_release(old);
}

static void reload(void) {
    struct server *s = serve(), *t;
    struct client c, d;
    CHECK_INT(join(s, &c, &(struct client_options){ .sni = "b.example" }), 0);
    make_cert("b.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, -DAY, 3 * DAY);
    struct tls_cert *newer = load_cert("b.example");
    CHECK(newer && newer->end_point_len == 32);
    on_worker(0, replace_cert, newer);
    CHECK(client_send_text(&c, "old"));
    CHECK(client_recv_text(&c, "old"));
    t = serve();
    CHECK_INT(join(t, &d, &(struct client_options){ .sni = "b.example" }), 0);
    CHECK(s->conn.tls->cert != newer);
    CHECK(t->conn.tls->cert == newer);
    finish(s, &c);
    finish(t, &d);
    CHECK(shows("b.example", newer));
}

static void check_refused(const char *crt, const char *key, const char *want) {
    char why[512] = "";
    CHECK(tls_cert_load(crt, key, why, sizeof why) == NULL);
    if (!strstr(why, want))
        check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", why, want);
}

static void bad_certificates(void) {
    char crt[128], key[128];
    snprintf(crt, sizeof crt, "%s/a.example.crt", cert_dir);
    snprintf(key, sizeof key, "%s/a.example.key", cert_dir);
    check_refused("/nonexistent.crt", key, "can't read the certificate /nonexistent.crt: No such file or directory");
    check_refused(crt, "/nonexistent.key", "can't read the private key /nonexistent.key: No such file or directory");
    check_refused(key, key, "there is no PEM certificate in it");
    check_refused(crt, crt, "there is no PEM private key in it");
    check_refused(crt, cert_file("b.example", ".key"), "does not belong to certificate");
    check_refused(cert_dir, key, "can't read the certificate");
    write_file(cert_file("half", ".crt"), "-----BEGIN CERTIFICATE-----\nMIIB\n", 33);
    check_refused(cert_file("half", ".crt"), key, "certificate ");
}

static void expired_certificate_loads(void) {
    make_cert("old.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, -3 * DAY, -DAY);
    struct tls_cert *cert = load_cert("old.example");
    CHECK(cert);
    CHECK(tls_cert_expires(cert) < time(NULL));
    tls_cert_release(cert);
    CHECK(tls_cert_expires(shown[0].cert) > time(NULL));
}

/* ---- ALPN, versions, what is not TLS ---- */

static void alpn(void) {
    struct server *s = serve();
    struct client c;
    gnutls_datum_t chosen;
    CHECK_INT(join(s, &c, &(struct client_options){ .alpn = "xmpp-client" }), 0);
    need(gnutls_alpn_get_selected_protocol(c.session, &chosen));
    CHECK_MEM((char *)chosen.data, chosen.size, "xmpp-client", 11);
    finish(s, &c);
    const char *const versions[] = { "NORMAL", tls12 };
    for (unsigned i = 0; i < 2; i++) {
        s = serve();
        CHECK_INT(join(s, &c, &(struct client_options){ .alpn = "h2", .priorities = versions[i] }),
                  GNUTLS_E_FATAL_ALERT_RECEIVED);
        CHECK_INT(gnutls_alert_get(c.session), GNUTLS_A_NO_APPLICATION_PROTOCOL);
        finish(s, &c);
    }
}

static void old_versions(void) {
    struct server *s = serve();
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1" }),
              GNUTLS_E_FATAL_ALERT_RECEIVED);
    CHECK_INT(gnutls_alert_get(c.session), GNUTLS_A_PROTOCOL_VERSION);
    finish(s, &c);
}

static void priorities(void) {
    char why[256] = "";
    tls_teardown();
    CHECK_INT(tls_setup("NORMAL:+NONSENSE:%SERVER_PRECEDENCE", find_shown, why, sizeof why), -1);
    CHECK(strstr(why, "TLS priorities \"NORMAL:+NONSENSE:%SERVER_PRECEDENCE\": "));
    CHECK(strstr(why, ", at +NONSENSE"));
    CHECK_INT(tls_setup("NORMAL:-VERS-ALL:+VERS-TLS1.0", find_shown, why, sizeof why), -1);
    CHECK_INT(tls_setup("NORMAL:+VERS-TLS1.1", find_shown, why, sizeof why), 0);
    old_versions();
    tls_teardown();
    CHECK_INT(tls_setup("", find_shown, why, sizeof why), 0);
    old_versions();
}

static void garbage(void) {
    struct server *s = serve();
    CHECK(send_text(s->client, "<?xml version='1.0'?><stream:stream xmlns='jabber:client'>"));
    char text[32];
    snprintf(text, sizeof text, "closed %d", EPROTO);
    CHECK(await_note(text));
    finish(s, NULL);
    s = serve();
    CHECK(send_text(s->client, "\x16\x03\x01\x02"));
    on_worker(0, nothing, NULL);
    finish(s, NULL); /* in the middle of the handshake */
}

static void end_in_the_handshake(void) {
    struct server *s = serve();
    CHECK(send_text(s->client, "\x16\x03\x01\x02"));
    shutdown(s->client, SHUT_WR);
    char text[32];
    snprintf(text, sizeof text, "closed %d", ECONNRESET);
    CHECK(await_note(text));
    finish(s, NULL);
}

/* ---- The end ---- */

static void after_close(struct conn *c) {
    note("after %d", c->fd);
}

static void write_and_close(void *arg) {
    struct server *s = arg;
    write_data(s);
    conn_close(&s->conn, after_close);
}

static void closes_with_notify(void) {
    const char *const versions[] = { "NORMAL", tls12 };
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = serve_with(&echo_class, false, 16384);
        struct client c;
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i] }), 0);
        s->amount = 1 << 20;
        s->data = pattern(s->amount);
        on_worker(0, write_and_close, s);
        char *got = xmalloc(s->amount), more;
        CHECK_INT(client_recv(&c, got, s->amount), s->amount);
        CHECK(memcmp(got, s->data, s->amount) == 0);
        free(got);
        CHECK_INT(gnutls_record_recv(c.session, &more, 1), 0);
        CHECK(recv_end(c.fd));
        CHECK(!noted("after -1"));
        close(c.fd);
        c.fd = -1;
        CHECK(await_note("after -1"));
        CHECK(!noted("closed 0"));
        finish(s, &c);
    }
}

static void close_in_the_handshake(void) {
    struct server *s = serve();
    CHECK(send_text(s->client, "\x16\x03\x01\x02"));
    on_worker(0, write_and_close, s);
    CHECK(recv_end(s->client));
    shutdown(s->client, SHUT_WR);
    CHECK(await_note("after -1"));
    finish(s, NULL);
}

static void truncation(void) {
    struct server *s = serve();
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    CHECK(client_send_text(&c, "hello"));
    CHECK(client_recv_text(&c, "hello"));
    shutdown(c.fd, SHUT_WR);
    char text[32];
    snprintf(text, sizeof text, "closed %d", ECONNRESET);
    CHECK(await_note(text));
    finish(s, &c);
}

static void corruption(void) {
    struct server *s = serve();
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    CHECK(client_send_text(&c, "hello"));
    CHECK(client_recv_text(&c, "hello"));
    CHECK(send_all(c.fd,
                   "\x17\x03\x03\x00\x20"
                   "0123456789abcdef0123456789abcdef",
                   37));
    char text[32], more;
    snprintf(text, sizeof text, "closed %d", EPROTO);
    CHECK(await_note(text));
    CHECK_INT(gnutls_record_recv(c.session, &more, 1), GNUTLS_E_FATAL_ALERT_RECEIVED);
    CHECK_INT(gnutls_alert_get(c.session), GNUTLS_A_BAD_RECORD_MAC);
    finish(s, &c);
}

/* ---- Renewal ---- */

static void refuses_renegotiation(void) {
    struct server *s = serve();
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ .priorities = tls12 }), 0);
    CHECK_INT(gnutls_handshake(c.session), GNUTLS_E_WARNING_ALERT_RECEIVED);
    CHECK_INT(gnutls_alert_get(c.session), GNUTLS_A_NO_RENEGOTIATION);
    CHECK(!noted("closed 0"));
    CHECK(gnutls_handshake(c.session) < 0);
    finish(s, &c);
}

static void updates_keys(void) {
    struct server *s = serve();
    struct client c;
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    CHECK(client_send_text(&c, "one"));
    CHECK(client_recv_text(&c, "one"));
    CHECK_INT(gnutls_session_key_update(c.session, GNUTLS_KU_PEER), 0);
    CHECK(client_send_text(&c, "two"));
    CHECK(client_recv_text(&c, "two"));
    finish(s, &c);
}

/* ---- Channel bindings ---- */

static void read_binding(void *arg) {
    struct server *s = arg;
    s->binding_len = 0;
    bool has = conn_has_channel_binding(&s->conn, s->type);
    bool got = conn_channel_binding(&s->conn, s->type, s->binding, &s->binding_len);
    note("%s %d", cb_name(s->type), has && got);
    if (has != got)
        note("has and has not");
}

/* The server's binding is the client's, or neither is to be had if WANT is false. */
static void check_binding(struct server *s, struct client *c, enum cb_type type, gnutls_channel_binding_t theirs,
                          bool want) {
    char text[64];
    gnutls_datum_t data;
    s->type = type;
    on_worker(0, read_binding, s);
    snprintf(text, sizeof text, "%s %d", cb_name(type), want);
    CHECK(await_note(text));
    CHECK(!noted("has and has not"));
    if (!want)
        return;
    CHECK_INT(gnutls_session_channel_binding(c->session, theirs, &data), 0);
    CHECK_MEM((char *)s->binding, s->binding_len, (char *)data.data, data.size);
    gnutls_free(data.data);
}

static void channel_bindings(void) {
    struct server *s = serve();
    struct client c;
    s->type = CB_TLS_EXPORTER;
    on_worker(0, read_binding, s);
    CHECK(await_note("tls-exporter 0"));
    CHECK_INT(join(s, &c, &(struct client_options){ 0 }), 0);
    check_binding(s, &c, CB_TLS_EXPORTER, GNUTLS_CB_TLS_EXPORTER, true);
    CHECK_INT(s->binding_len, 32);
    check_binding(s, &c, CB_TLS_SERVER_END_POINT, GNUTLS_CB_TLS_SERVER_END_POINT, true);
    check_binding(s, &c, CB_TLS_UNIQUE, GNUTLS_CB_TLS_UNIQUE, false);
    finish(s, &c);
    s = serve();
    CHECK_INT(join(s, &c, &(struct client_options){ .priorities = tls12 }), 0);
    check_binding(s, &c, CB_TLS_EXPORTER, GNUTLS_CB_TLS_EXPORTER, false);
    check_binding(s, &c, CB_TLS_SERVER_END_POINT, GNUTLS_CB_TLS_SERVER_END_POINT, true);
    check_binding(s, &c, CB_TLS_UNIQUE, GNUTLS_CB_TLS_UNIQUE, true);
    finish(s, &c);
    s = serve();
    CHECK_INT(join(s, &c, &(struct client_options){ .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH" }),
              0);
    check_binding(s, &c, CB_TLS_UNIQUE, GNUTLS_CB_TLS_UNIQUE, false);
    finish(s, &c);
}

static void end_point_hashes(void) {
    static const struct {
        const char *name;
        gnutls_pk_algorithm_t pk;
        gnutls_digest_algorithm_t hash, want;
    } rows[] = {
        { "c1.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA256 },
        { "c2.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA384, GNUTLS_DIG_SHA384 },
        { "c3.example", GNUTLS_PK_RSA, GNUTLS_DIG_SHA512, GNUTLS_DIG_SHA512 },
        { "c4.example", GNUTLS_PK_RSA, GNUTLS_DIG_SHA1, GNUTLS_DIG_SHA256 },
    };
    for (unsigned i = 0; i < 4; i++) {
        make_cert(rows[i].name, rows[i].pk, rows[i].hash, -DAY, DAY);
        struct tls_cert *cert = load_cert(rows[i].name);
        CHECK(cert);
        uint8_t hash[64];
        need(gnutls_hash_fast(rows[i].want, cert->chain[0].cert.data, cert->chain[0].cert.size, hash));
        CHECK_MEM((char *)cert->end_point, cert->end_point_len, (char *)hash, gnutls_hash_get_len(rows[i].want));
        tls_cert_release(cert);
    }
}

static void resumes_sessions(void) {
    const char *const versions[] = { "NORMAL", tls12 };
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = serve();
        struct client c;
        gnutls_datum_t data;
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i] }), 0);
        CHECK(client_send_text(&c, "hello")); /* the ticket is in before the answer */
        CHECK(client_recv_text(&c, "hello"));
        need(gnutls_session_get_data2(c.session, &data));
        finish(s, &c);
        s = serve();
        CHECK_INT(join(s, &c, &(struct client_options){ .priorities = versions[i], .resume = &data }), 0);
        gnutls_free(data.data);
        CHECK(gnutls_session_is_resumed(c.session));
        CHECK(client_send_text(&c, "hello"));
        CHECK(client_recv_text(&c, "hello"));
        check_binding(s, &c, CB_TLS_EXPORTER, GNUTLS_CB_TLS_EXPORTER, i == 0);
        check_binding(s, &c, CB_TLS_UNIQUE, GNUTLS_CB_TLS_UNIQUE, i == 1);
        check_binding(s, &c, CB_TLS_SERVER_END_POINT, GNUTLS_CB_TLS_SERVER_END_POINT, false);
        finish(s, &c);
    }
}

int main(void) {
    char why[256];
    make_cert_dir();
    make_cert("a.example", GNUTLS_PK_ECDSA, GNUTLS_DIG_SHA256, -DAY, DAY);
    make_cert("b.example", GNUTLS_PK_RSA, GNUTLS_DIG_SHA512, -DAY, DAY);
    make_cert("xn--bcher-kva.example", GNUTLS_PK_EDDSA_ED25519, GNUTLS_DIG_SHA512, -DAY, DAY);
    shown[0] = (struct shown){ "a.example", load_cert("a.example") };
    shown[1] = (struct shown){ "b.example", load_cert("b.example") };
    shown[2] = (struct shown){ "b\xc3\xbc"
                               "cher.example",
                               load_cert("xn--bcher-kva.example") };
    if (tls_setup(NULL, find_shown, why, sizeof why) != 0)
        abort();
    start_workers(1);
    int rc = CHECK_RUN(T(echoes), T(bytewise), T(megabyte), T(blocked_output), T(pauses), T(starttls),
                       T(starttls_drops_much), T(starttls_behind_output), T(sni_picks), T(no_certificate), T(reload),
                       T(bad_certificates), T(expired_certificate_loads), T(alpn), T(old_versions), T(priorities),
                       T(garbage), T(end_in_the_handshake), T(closes_with_notify), T(close_in_the_handshake),
                       T(truncation), T(corruption), T(refuses_renegotiation), T(updates_keys), T(channel_bindings),
                       T(end_point_hashes), T(resumes_sessions));
    stop_workers();
    for (unsigned i = 0; i < 3; i++)
        tls_cert_release(shown[i].cert);
    tls_teardown();
    remove_cert_dir();
    return rc;
}
