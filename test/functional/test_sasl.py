# SPDX-License-Identifier: Apache-2.0
"""Authentication: every mechanism, and every way to be refused."""
import sasl
import tls
from element import NS, child, text
from server import DOMAIN, Server
from xmpp import fail

SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")


def fresh(server, user=None, password="secret", version=None, **how):
    """Under TLS, features read, not authenticated."""
    c = server.connect(user=user or server.account(), password=password, **how)
    c.open()
    c.starttls(tls.context(version=version))
    return c


def refused(client, condition, has_text=None):
    failure = client.expect("sasl:failure", has="sasl:" + condition)
    if has_text and not text(failure, "sasl:text"):
        fail(client, "the refusal gives no reason")
    return failure


def retry(client):
    """After a refusal the same stream is good for another try."""
    client.authenticate()
    client.bind().expect_nothing()


# ---- what is offered

def test_offer(server):
    c = fresh(server)
    offered = c.mechanisms()
    for mechanism in SCRAM:
        assert mechanism in offered and mechanism + "-PLUS" in offered, offered
    assert "PLAIN" in offered and "ANONYMOUS" not in offered, offered
    assert offered[0] == "SCRAM-SHA-512-PLUS" and offered[-1] == "PLAIN", "the strongest first"
    assert len(set(offered)) == len(offered)


def test_bindings_by_version(server):
    """XEP-0440: tls-exporter with TLS 1.3, tls-unique with 1.2, tls-server-end-point with both."""
    assert set(fresh(server, version="1.3").bindings()) == {"tls-exporter", "tls-server-end-point"}
    assert set(fresh(server, version="1.2").bindings()) == {"tls-unique", "tls-server-end-point"}


def test_configured_mechanisms(server):
    with Server({"host_types": {"default": {"sasl": ["SCRAM-SHA-256", "PLAIN"]}}}) as s:
        c = fresh(s)
        assert c.mechanisms() == ["SCRAM-SHA-256", "PLAIN"], c.mechanisms()
        assert not c.bindings(), "no binding without a -PLUS mechanism"
        c.auth("SCRAM-SHA-1", b"n,,n=a,r=b")
        refused(c, "mechanism-too-weak")
        retry(c)


# ---- success

def test_scram(server):
    user = server.account()
    for mechanism in SCRAM:
        c = fresh(server, user)
        c.authenticate(mechanism)
        c.bind().expect_nothing()


def test_scram_plus(server):
    user = server.account()
    for version in ("1.2", "1.3"):
        for mechanism in SCRAM:
            c = fresh(server, user, version=version)
            for kind in c.bindings():
                c = fresh(server, user, version=version)
                c.authenticate(mechanism + "-PLUS", flag="p=" + kind, channel=tls.binding(c.sock, kind))
                c.bind().expect_nothing()


def test_plain(server):
    c = fresh(server)
    c.authenticate("PLAIN")
    c.bind().expect_nothing()


def test_plain_with_own_authzid(server):
    c = fresh(server)
    c.auth("PLAIN", sasl.plain(c.user, "secret", c.bare))
    c.expect("sasl:success")


def test_plain_without_initial_response(server):
    c = fresh(server)
    c.auth("PLAIN")
    challenge = c.expect("sasl:challenge")
    assert not challenge.text
    c.respond(sasl.plain(c.user, "secret"))
    c.expect("sasl:success")


def test_scram_without_initial_response(server):
    c = fresh(server)
    exchange = sasl.Scram("SCRAM-SHA-256", c.user, "secret")
    c.auth("SCRAM-SHA-256")
    assert not c.expect("sasl:challenge").text
    c.respond(exchange.first())
    c.respond(exchange.final(sasl.unb64(c.expect("sasl:challenge").text)))
    assert exchange.verify(sasl.unb64(c.expect("sasl:success").text))


def test_names_and_passwords_of_the_world(server):
    password = "pä ss,w=örd\u00a0\u2168"  # SASLprep: the space becomes plain, the numeral IX
    user = server.account("mülleß,=", password=password)
    for mechanism in SCRAM[:2]:
        fresh(server, user, "pä ss,w=örd IX").authenticate(mechanism)
    c = fresh(server, user, password)
    c.authenticate("PLAIN")


def test_case_of_names(server):
    user = server.account("case")
    c = fresh(server, user.upper())
    c.authenticate()
    c.bind()
    assert c.user == user, "names are folded"


def test_resource_as_asked(server):
    c = server.client(resource="Desk ☕")
    assert c.resource == "Desk ☕"
    d = server.client()
    assert len(d.resource) >= 8, "one is made up"


def test_login_twice_by_other_mechanisms(server):
    a = server.client()
    for mechanism in ("PLAIN", "SCRAM-SHA-1"):
        server.more(a, mechanism=mechanism)


# ---- refusals

def test_wrong_password(server):
    for mechanism in SCRAM:
        c = fresh(server)
        c.scram(mechanism, password="wrong")
        refused(c, "not-authorized")
        retry(c)
    c = fresh(server)
    c.auth("PLAIN", sasl.plain(c.user, "wrong"))
    refused(c, "not-authorized")
    retry(c)


def shape(client, user, password="secret"):
    """What an observer sees of a failed SCRAM login, without what is random."""
    exchange = client.scram("SCRAM-SHA-256", user=user, password=password)
    first = sasl.fields(exchange.server_first)
    failure = client.expect("sasl:failure")
    salt = sasl.unb64(first.pop("s"))
    return {k: v for k, v in first.items() if k != "r"}, len(salt), salt, [e.tag for e in failure]


def test_unknown_user_looks_like_any(server):
    known, unknown = shape(fresh(server), server.account(), "wrong"), shape(fresh(server), "nobody")
    assert known[:2] == unknown[:2] and known[3] == unknown[3], f"{known} {unknown}"
    again = shape(fresh(server), "nobody")
    assert again[2] == unknown[2], "the same salt each time, as an account would have"
    assert shape(fresh(server), "nobody2")[2] != unknown[2]
    tags = []
    for user in (server.account(), "nobody"):
        c = fresh(server, user)
        c.auth("PLAIN", sasl.plain(user, "wrong"))
        tags.append([e.tag for e in refused(c, "not-authorized")])
    assert tags[0] == tags[1]


def test_abort(server):
    c = fresh(server)
    c.auth("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "x").first())
    c.expect("sasl:challenge")
    c.send(f"<abort xmlns='{NS['sasl']}'/>")
    refused(c, "aborted")
    retry(c)


def test_incorrect_encoding(server):
    for payload in ("not base64!", "=A==", "YQ", "YQ=", "YQ===", "Y Q=="):
        c = fresh(server)
        c.send(f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{payload}</auth>")
        refused(c, "incorrect-encoding")
        retry(c)


def test_invalid_mechanism(server):
    c = fresh(server)
    for mechanism in ("X-NONE", "", "scram-sha-256", "EXTERNAL", "ANONYMOUS"):
        c.auth(mechanism, b"a")
        refused(c, "invalid-mechanism")
    c = fresh(server)
    c.send(f"<auth xmlns='{NS['sasl']}'/>")
    refused(c, "invalid-mechanism")
    retry(c)


def test_malformed_request(server):
    for mechanism, data in (("PLAIN", b"no nul"), ("PLAIN", b"\0\0"), ("PLAIN", b"\0a\0"), ("PLAIN", b"\0\xff\0a"),
                            ("SCRAM-SHA-256", b"n,,n=a"), ("SCRAM-SHA-256", b"x,,n=a,r=b"),
                            ("SCRAM-SHA-256", b"n,,n=a=b,r=c"), ("SCRAM-SHA-256", b"n,,m=x,n=a,r=b"),
                            ("SCRAM-SHA-256", b"")):
        c = fresh(server)
        c.auth(mechanism, data)
        refused(c, "malformed-request")
        retry(c)


def test_response_out_of_place(server):
    c = fresh(server)
    c.respond(b"hello")
    refused(c, "malformed-request")
    retry(c)


def test_broken_final_message(server):
    for change in (lambda m: m.replace(",r=", ",r=x"), lambda m: m.rpartition(",")[0], lambda m: m[:-4] + "AAA=",
                   lambda m: m.replace("c=biws", "c=eSws"), lambda m: ""):
        c = fresh(server)
        exchange = sasl.Scram("SCRAM-SHA-256", c.user, "secret")
        c.auth("SCRAM-SHA-256", exchange.first())
        final = exchange.final(sasl.unb64(c.expect("sasl:challenge").text)).decode()
        c.respond(change(final).encode())
        c.expect("sasl:failure")
        retry(c)


def test_authzid_of_somebody_else(server):
    other = server.account("other")
    c = fresh(server)
    c.auth("PLAIN", sasl.plain(c.user, "secret", f"{other}@{DOMAIN}"))
    refused(c, "invalid-authzid")
    c.auth("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "secret", authzid=f"{other}@{DOMAIN}").first())
    refused(c, "invalid-authzid")
    retry(c)


def test_account_of_another_host(server):
    user = server.account(domain="two.example", password="only there")
    c = fresh(server, user, "only there")
    c.scram("SCRAM-SHA-256")
    refused(c, "not-authorized")


def test_auth_twice(server):
    """After success there is nothing to authenticate: the next element must be a stream header or a stanza."""
    c = server.client(available=False)
    c.auth("PLAIN", sasl.plain(c.user, "secret"))
    c.expect_error("unsupported-stanza-type")


def test_too_many_tries(server):
    c = fresh(server)
    for _ in range(4):
        c.auth("PLAIN", sasl.plain(c.user, "wrong"))
        refused(c, "not-authorized")
    c.auth("PLAIN", sasl.plain(c.user, "wrong"))
    refused(c, "not-authorized")
    c.expect_error("policy-violation")


def test_throttle(server):
    """Past the limit even the right password is refused for a while; another account on another address is not."""
    with Server({"limits": {"failed_logins": 3, "failed_login_window": "1h"}}) as s:
        user = s.account()
        for _ in range(3):
            c = fresh(s, user)
            c.auth("PLAIN", sasl.plain(user, "wrong"))
            refused(c, "not-authorized")
        c = fresh(s, user)
        c.auth("PLAIN", sasl.plain(user, "secret"))
        refused(c, "temporary-auth-failure", has_text=True)
        c.auth("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", user, "secret").first())
        refused(c, "temporary-auth-failure")


def test_throttle_forgets_success(server):
    """A right password clears the account's count (the address keeps its own: raised here out of the way)."""
    with Server({"limits": {"failed_logins": 6}}) as s:
        user = s.account()
        for _ in range(2):
            for _ in range(2):
                c = fresh(s, user)
                c.auth("PLAIN", sasl.plain(user, "wrong"))
                refused(c, "not-authorized")
            fresh(s, user).authenticate()


# ---- channel binding

def test_binding_mismatch(server):
    c = fresh(server)
    for kind in c.bindings():
        c = fresh(server)
        c.scram("SCRAM-SHA-256-PLUS", flag="p=" + kind, channel=b"somebody else's channel........")
        refused(c, "not-authorized")
        retry(c)


def test_binding_type_not_offered(server):
    c = fresh(server, version="1.3")
    c.auth("SCRAM-SHA-256-PLUS", sasl.Scram("SCRAM-SHA-256-PLUS", c.user, "secret", flag="p=tls-unique").first())
    refused(c, "malformed-request")
    retry(c)


def test_plus_without_binding(server):
    for flag in ("n", "y"):
        c = fresh(server)
        c.auth("SCRAM-SHA-256-PLUS", sasl.Scram("SCRAM-SHA-256-PLUS", c.user, "secret", flag=flag).first())
        refused(c, "malformed-request")
        retry(c)


def test_binding_without_plus(server):
    c = fresh(server)
    c.auth("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "secret", flag="p=tls-server-end-point").first())
    refused(c, "malformed-request")
    retry(c)


def test_downgrade(server):
    """ "y" says that the client could bind but saw no offer.  We made one, so somebody took it out."""
    c = fresh(server)
    c.auth("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "secret", flag="y").first())
    refused(c, "not-authorized")
    retry(c)


def test_downgrade_flag_without_offer(server):
    with Server({"host_types": {"default": {"sasl": ["SCRAM-SHA-256"]}}}) as s:
        fresh(s).authenticate(flag="y")


def test_offer_hash(server):
    """XEP-0474 and XEP-0515: SCRAM says what was offered, and the TLS version."""
    for version, code in (("1.2", "0303"), ("1.3", "0304")):
        for mechanism in SCRAM:
            c = fresh(server, version=version)
            exchange = c.scram(mechanism)
            first = sasl.fields(exchange.server_first)
            assert first["h"] == sasl.offer_hash(mechanism, c.mechanisms(), c.bindings()), exchange.server_first
            assert first["t"] == code, exchange.server_first
            c.expect("sasl:success")


# ---- without TLS

def test_plain_in_the_clear_where_allowed(server):
    with Server({"host_types": {"default": {"plain_without_tls": True}}}) as s:
        c = s.connect(user=s.account(), password="secret")
        c.open()
        assert child(c.features, "tls:starttls") is not None and child(c.features, "tls:starttls/tls:required") is None
        assert "PLAIN" in c.mechanisms()
        c.authenticate("PLAIN")
        c.bind().expect_nothing()


def test_encryption_required(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        c.auth(mechanism, b"\0a\0b")
        refused(c, "encryption-required")
    c.starttls()
    retry(c)


# ---- anonymous

def test_anonymous(server):
    with Server({"host_types": {"default": {"anonymous": True}}}) as s:
        users = set()
        for _ in range(3):
            c = fresh(s)
            assert "ANONYMOUS" in c.mechanisms()
            c.authenticate("ANONYMOUS")
            c.bind()
            c.expect_nothing()
            users.add(c.user)
        assert len(users) == 3, "each gets an account of its own"


def test_anonymous_with_trace(server):
    with Server({"host_types": {"default": {"anonymous": True}}}) as s:
        c = fresh(s)
        c.auth("ANONYMOUS", "sirhc@example.org".encode())
        c.expect("sasl:success")
        c.open()
        c.bind()
        assert "sirhc" not in c.user
