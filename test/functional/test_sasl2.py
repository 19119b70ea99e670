# SPDX-License-Identifier: Apache-2.0
"""SASL2 (XEP-0388) and Bind 2 (XEP-0386): what is offered, success, refusals, what may not be said meanwhile."""
import sasl
from element import NS, child, children, show, text
from server import DOMAIN, OTHER, Server
from test_sasl import fresh
from xmpp import Client, fail

ID = "d4565fa7-4d72-4749-b3d3-740edbf87770"
ID2 = "11111111-2222-4333-8444-555555555555"
BIND = f"<bind xmlns='{NS['bind2']}'/>"
CARBONS = f"<enable xmlns='{NS['carbons']}'/>"


def refused(client, condition, has_text=False):
    failure = client.expect("sasl2:failure", has="sasl:" + condition)
    if has_text and not text(failure, "sasl2:text"):
        fail(client, "the refusal gives no reason")
    return failure


def retry(client):
    """After a refusal the same stream is good for another try."""
    client.login2()
    client.expect_nothing()


def bound(server, user=None, bind="", **how):
    c = fresh(server, user)
    c.login2(bind=bind, **how)
    return c


# ---- what is offered

def test_offer(server):
    c = fresh(server)
    offered = [e.text for e in children(c.features, "sasl2:authentication/sasl2:mechanism")]
    assert offered == c.mechanisms(), offered
    inline = child(c.features, "sasl2:authentication/sasl2:inline")
    features = [e.get("var") for e in children(inline, "bind2:bind/bind2:inline/bind2:feature")]
    assert NS["carbons"] in features and len(set(features)) == len(features), features
    assert len(c.bindings()) == 2, "channel bindings are said once for both"


def test_offer_only_under_tls(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    assert child(c.features, "sasl2:authentication") is None, show(c.features)
    c.auth2("PLAIN", sasl.plain(c.user, "secret"))
    c.expect_error("not-authorized")


def test_offer_in_the_clear_where_allowed(server):
    with Server({"host_types": {"default": {"plain_without_tls": True}}}) as s:
        c = s.connect(user=s.account(), password="secret")
        c.open()
        c.login2("PLAIN")
        c.expect_nothing()


def test_switched_off(server):
    with Server({"host_types": {"default": {"sasl2": False}}}) as s:
        c = fresh(s)
        assert child(c.features, "sasl2:authentication") is None
        c.auth2("PLAIN", sasl.plain(c.user, "secret"))
        c.expect_error("not-authorized")


def test_offer_hash(server):
    """XEP-0474 hashes the list of the profile that is used."""
    c = fresh(server)
    exchange = c.scram2()
    assert sasl.fields(exchange.server_first)["h"] == sasl.offer_hash("SCRAM-SHA-256", c.mechanisms(), c.bindings())
    c.expect("sasl2:success")


# ---- success

def test_mechanisms(server):
    user = server.account()
    for mechanism in ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1-PLUS",
                      "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"):
        c = fresh(server, user)
        success = c.login2(mechanism)
        assert (child(success, "sasl2:additional-data") is None) == (mechanism == "PLAIN"), show(success)
        c.expect_nothing()


def test_without_bind(server):
    """A bare JID, features without a restart, and the old way of binding."""
    c = fresh(server)
    success = c.login2(bind=None)
    assert text(success, "sasl2:authorization-identifier") == c.bare and child(success, "bind2:bound") is None
    assert child(c.features, "bind:bind") is not None and child(c.features, "sasl2:authentication") is None
    c.bind("desk").expect_nothing()


def test_bound(server):
    c = fresh(server)
    success = c.login2()
    assert c.bare == c.jid.partition("/")[0] and len(c.resource) >= 8, c.jid
    assert child(c.features, "bind:bind") is None, "it is bound already"
    assert [e.tag for e in success].count("{urn:xmpp:bind:0}bound") == 1
    c.available().expect_nothing()


def test_initial_response_comes_later(server):
    c = fresh(server)
    exchange = sasl.Scram("SCRAM-SHA-256", c.user, "secret")
    c.auth2("SCRAM-SHA-256", None, BIND)
    assert not c.expect("sasl2:challenge").text
    c.respond2(exchange.first())
    c.respond2(exchange.final(sasl.unb64(c.expect("sasl2:challenge").text)))
    c.welcomed()
    c.expect_nothing()


def test_everything_at_once(server):
    """Header, login and stanzas in one piece: nothing waits for an answer."""
    user = server.account()
    c = server.connect(user=user, password="secret", listener="direct")
    ping = f"<iq type='get' id='p1' to='{DOMAIN}'><ping xmlns='{NS['ping']}'/></iq>"
    c.send(Client.header_text(to=DOMAIN, from_=f"{user}@{DOMAIN}") +
           f"<authenticate xmlns='{NS['sasl2']}' mechanism='PLAIN'><initial-response>"
           f"{sasl.b64(sasl.plain(user, 'secret'))}</initial-response>{BIND}</authenticate><presence/>{ping}")
    c.expect("stream:stream")
    c.expect("stream:features")
    c.welcomed()
    c.expect("presence", from_=c.jid)
    c.expect("iq", type="result", id="p1")


def test_anonymous(server):
    with Server({"host_types": {"default": {"anonymous": True}}}) as s:
        c = fresh(s)
        c.auth2("ANONYMOUS", None, BIND)
        c.welcomed()
        c.expect_nothing()


# ---- binding

def test_tag(server):
    c = bound(server, bind="<tag>Swift Hare</tag>")
    assert c.resource.startswith("Swift Hare/") and len(c.resource) > 18, c.jid


def test_tag_that_fits_no_resource(server):
    c = bound(server, bind="<tag>\ue000\u0340</tag>")
    assert "/" not in c.resource, c.jid
    d = bound(server, bind=f"<tag>{'x' * 1020}</tag>")
    assert len(d.resource) < 100, d.jid


def test_stable_resource(server):
    """The same for installation and tag; nothing of the id is in it."""
    user = server.account()
    seen = set()
    for _ in range(2):
        for agent, tag in ((ID, "a"), (ID, "b"), (ID2, "a")):
            c = bound(server, user, f"<tag>{tag}</tag>", agent=agent)
            seen.add(c.resource)
            assert not any(part in c.resource for part in agent.split("-")), c.resource
            c.end()
    assert len(seen) == 3, seen
    other = bound(server, bind="<tag>a</tag>", agent=ID)
    assert other.resource not in seen, "the same installation at another account"


def test_older_session_of_the_installation(server):
    user = server.account()
    old = bound(server, user, "<tag>a</tag>", agent=ID)
    bystander = bound(server, user, agent=ID2)
    new = bound(server, user, "<tag>b</tag>", agent=ID.upper())
    old.expect_error("conflict")
    bystander.expect_nothing()
    new.expect_nothing()


def test_too_many_sessions(server):
    with Server({"limits": {"sessions": 2}}) as s:
        user = s.account()
        for _ in range(2):
            bound(s, user)
        c = fresh(s, user)
        c.auth2("PLAIN", sasl.plain(user, "secret"), BIND)
        c.expect_error("resource-constraint")


def test_carbons(server):
    user = server.account()
    first, second = bound(server, user, CARBONS), bound(server, user)
    first.available()
    second.presence()
    friend = server.client("friend")
    second.skip(first)
    first.skip(second)
    second.message(friend.jid, "hello")
    first.take("message", has="carbons:sent")
    first.message(friend.jid, "again")
    second.quiet(friend)


# ---- refusals

def test_wrong_password(server):
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
        c = fresh(server)
        if mechanism == "PLAIN":
            c.auth2("PLAIN", sasl.plain(c.user, "wrong"), BIND)
        else:
            c.scram2(mechanism, password="wrong", inline=BIND)
        failure = refused(c, "not-authorized")
        assert child(failure, "bind2:bound") is None
        retry(c)


def test_failure_runs_no_inline(server):
    """An older session of the installation lives on."""
    old = bound(server, agent=ID)
    c = fresh(server, old.user)
    c.scram2(password="wrong", inline=BIND, agent=ID)
    refused(c, "not-authorized")
    old.expect_nothing()


def test_mechanism_not_offered(server):
    c = fresh(server)
    for mechanism in ("X-NONE", "", None, "ANONYMOUS", "scram-sha-256"):
        c.auth2(mechanism, b"a")
        refused(c, "invalid-mechanism")
    retry(c)


def test_encoding(server):
    for payload in ("not base64!", "=", "YQ", "Y Q=="):
        c = fresh(server)
        c.send(f"<authenticate xmlns='{NS['sasl2']}' mechanism='PLAIN'><initial-response>{payload}"
               "</initial-response></authenticate>")
        refused(c, "incorrect-encoding")
        retry(c)


def test_empty_initial_response_is_one(server):
    c = fresh(server)
    c.auth2("PLAIN", b"")
    refused(c, "malformed-request")
    retry(c)


def test_user_agent_id(server):
    for agent in ("me", ID[:-1], ID.replace("-4749", "-3749"), ID.replace("-b3d3", "-c3d3"), ID + "0"):
        c = fresh(server)
        c.auth2("PLAIN", sasl.plain(c.user, "secret"), agent=agent)
        refused(c, "malformed-request", has_text=True)
        retry(c)
    c = fresh(server)
    c.login2("PLAIN", software="Hare " * 100, device="ünïcödé" * 40)
    c.expect_nothing()


def test_abort(server):
    c = fresh(server)
    c.auth2("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "x").first())
    c.expect("sasl2:challenge")
    c.send(f"<abort xmlns='{NS['sasl2']}'><text>no</text></abort>")
    refused(c, "aborted")
    retry(c)


def test_too_many_tries(server):
    c = fresh(server)
    for _ in range(4):
        c.auth2("PLAIN", sasl.plain(c.user, "wrong"))
        refused(c, "not-authorized")
    c.auth2("PLAIN", sasl.plain(c.user, "wrong"))
    refused(c, "not-authorized")
    c.expect_error("policy-violation")


def header_from(server, from_):
    c = server.connect(user=server.account(), password="secret", listener="direct")
    c.send(Client.header_text(to=DOMAIN, from_=from_))
    c.expect("stream:stream")
    return c


def test_from_of_another_domain(server):
    for domain in (OTHER, "example.net"):
        header_from(server, f"user@{domain}").expect_error("invalid-from")


def test_authzid_and_from(server):
    other = server.account("other")
    c = header_from(server, f"{other}@{DOMAIN}")
    c.expect("stream:features")
    c.auth2("PLAIN", sasl.plain(c.user, "secret", c.bare))
    refused(c, "invalid-authzid")
    c.auth2("PLAIN", sasl.plain(c.user, "secret", f"{other}@{DOMAIN}"))
    refused(c, "invalid-authzid")
    d = server.connect(user=other, password="secret", listener="direct")
    d.send(Client.header_text(to=DOMAIN, from_=d.bare))
    d.expect("stream:stream")
    d.expect("stream:features")
    d.auth2("PLAIN", sasl.plain(d.user, "secret", d.bare))
    d.welcomed()


# ---- what may not be said meanwhile

def test_anything_else_during_the_exchange(server):
    for other in (" ", "\n", "<presence/>", f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>AA==</auth>",
                  f"<iq type='get' id='a'><query xmlns='{NS['register']}'/></iq>",
                  f"<authenticate xmlns='{NS['sasl2']}' mechanism='PLAIN'/>", f"<next xmlns='{NS['sasl2']}' task='A'/>"):
        c = fresh(server)
        c.auth2("SCRAM-SHA-256", sasl.Scram("SCRAM-SHA-256", c.user, "secret").first())
        c.expect("sasl2:challenge")
        c.send(other)
        c.expect_error("not-authorized")


def test_response_out_of_place(server):
    c = fresh(server)
    c.respond2(b"hello")
    c.expect_error("not-authorized")


def test_authenticate_twice(server):
    for bind in (None, ""):
        c = fresh(server)
        c.login2(bind=bind)
        c.auth2("PLAIN", sasl.plain(c.user, "secret"))
        c.expect_error("unsupported-stanza-type")


def test_both_profiles_on_one_stream(server):
    """A failure of one leaves the stream for the other."""
    c = fresh(server)
    c.auth2("PLAIN", sasl.plain(c.user, "wrong"))
    refused(c, "not-authorized")
    c.authenticate()
    c.bind().expect_nothing()
    d = fresh(server)
    d.auth("PLAIN", sasl.plain(d.user, "wrong"))
    d.expect("sasl:failure")
    retry(d)


def test_lost_while_it_logs_in(server):
    """Connections that break at any moment leave nothing behind; what they asked for may still happen."""
    user = server.account()
    for _ in range(20):
        c = fresh(server, user)
        c.auth2("PLAIN", sasl.plain(user, "secret"), BIND, agent=ID)
        c.drop()
    bound(server, user, agent=ID2).expect_nothing()


# ---- upgrades (XEP-0480)

def upgrade(*names):
    return "".join(f"<upgrade xmlns='{NS['upgrade']}'>UPGR-SCRAM-SHA-{name}</upgrade>" for name in names)


def old_account(hashes=("sha-1",)):
    """A server whose account USER has keys for HASHES only, and that takes others as well now."""
    s = Server({"plugins": {"auth_internal": {"hashes": list(hashes)}}}, sqlite=True)
    user = s.account()
    s.stop()
    s.configure({"plugins": {"auth_internal": {"hashes": ["sha-1", "sha-256", "sha-512"]}}})
    s.start()
    return s, user


def due(client, name):
    got = client.expect("sasl2:continue", has="sasl2:tasks")
    tasks = [e.text for e in children(got, "sasl2:tasks/sasl2:task")]
    assert tasks == ["UPGR-SCRAM-SHA-" + name], show(got)
    return got


def begin(client, name):
    client.send(f"<next xmlns='{NS['sasl2']}' task='UPGR-SCRAM-SHA-{name}'/>")
    salt = child(client.expect("sasl2:task-data"), "scramup:salt")
    return sasl.unb64(salt.text), int(salt.get("iterations"))


def answer(client, salted):
    client.send(f"<task-data xmlns='{NS['sasl2']}'><hash xmlns='{NS['scramup']}'>{sasl.b64(salted)}</hash></task-data>")


def test_upgrade(server):
    s, user = old_account()
    with s:
        c = fresh(s, user)
        offered = [e.text for e in children(c.features, "sasl2:authentication/upgrade:upgrade")]
        assert offered == ["UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-256"], offered
        exchange = c.scram2("SCRAM-SHA-1", inline=upgrade("256", "512", "1", "384") + BIND)
        first = due(c, "256")
        assert exchange.verify(sasl.unb64(text(first, "sasl2:additional-data")))
        answer(c, sasl.salted("sha256", b"secret", *begin(c, "256")))
        again = due(c, "512")
        assert child(again, "sasl2:additional-data") is None
        answer(c, sasl.salted("sha512", b"secret", *begin(c, "512")))
        success = c.welcomed()
        assert child(success, "bind2:bound") is not None and child(success, "sasl2:additional-data") is None
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512-PLUS", "PLAIN"):
            fresh(s, user).login2(mechanism)
        fresh(s, user).login2("SCRAM-SHA-1", inline=upgrade("256", "512"))  # nothing is due any more


def test_upgrade_gone_wrong(server):
    s, user = old_account()
    with s:
        def until_due():
            c = fresh(s, user)
            c.scram2("SCRAM-SHA-1", inline=upgrade("256") + BIND, agent=ID)
            due(c, "256")
            return c
        for what in ("task='UPGR-SCRAM-SHA-512'", "task='X'", ""):
            c = until_due()
            c.send(f"<next xmlns='{NS['sasl2']}' {what}/>")
            refused(c, "malformed-request")
        for salted in (b"", b"short", b"x" * 64):
            c = until_due()
            begin(c, "256")
            answer(c, salted)
            refused(c, "malformed-request")
        c = until_due()
        answer(c, b"x" * 32)
        refused(c, "malformed-request")
        c = until_due()
        c.send(f"<abort xmlns='{NS['sasl2']}'/>")
        refused(c, "aborted")
        c.login2("SCRAM-SHA-1")
        for other in (" ", "<presence/>", f"<authenticate xmlns='{NS['sasl2']}' mechanism='PLAIN'/>",
                      f"<response xmlns='{NS['sasl2']}'/>"):
            c = until_due()
            c.send(other)
            c.expect_error("not-authorized")
        c = fresh(s, user)
        c.scram("SCRAM-SHA-256")
        c.expect("sasl:failure", has="sasl:not-authorized")
        c = until_due()
        c.drop()
        fresh(s, user).login2("SCRAM-SHA-1", agent=ID)


def test_no_upgrade_for_a_wrong_password(server):
    s, user = old_account()
    with s:
        c = fresh(s, user)
        c.scram2("SCRAM-SHA-1", password="wrong", inline=upgrade("256"))
        refused(c, "not-authorized")
