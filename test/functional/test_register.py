# SPDX-License-Identifier: Apache-2.0
"""Registration from within a client (XEP-0077)."""
from element import NS, child, escape, show
from server import DOMAIN, OTHER, Server
from xmpp import check_error, fail

QUERY = f"<query xmlns='{NS['register']}'/>"
OPEN = {"plugins": {"register": {"open": True, "registration_timeout": 0}}}
CONFIG = OPEN


def query(*, name=None, password=None, extra=""):
    inner = (f"<username>{escape(name)}</username>" if name is not None else "")
    inner += f"<password>{escape(password)}</password>" if password is not None else ""
    return f"<query xmlns='{NS['register']}'>{inner}{extra}</query>"


REMOVE = query(extra="<remove/>")


def stranger(server, tls=True):
    c = server.connect()
    c.open()
    if tls:
        c.starttls()
    return c


def register(client, name, password="long enough"):
    return client.iq("set", query(name=name, password=password), DOMAIN)


def can_login(server, name, password):
    c = server.connect(user=name, password=password)
    c.open()
    c.starttls()
    c.scram("SCRAM-SHA-256")
    return c.next().tag.endswith("}success")


# ---- closed

def test_closed_by_default(server):
    for plugin in (None, {}):
        with Server({"plugins": {"register": plugin}}) as s:
            c = stranger(s)
            assert child(c.features, "regfeature:register") is None
            if plugin is None:
                c.ask("get", QUERY, DOMAIN)
                c.expect_error("not-authorized")
                continue
            c.refused("get", QUERY, "not-allowed", DOMAIN)
            check_error(c, register(c, "intruder"), "not-allowed")
            assert not s.exists(f"intruder@{DOMAIN}")


# ---- open

def test_form(server):
    c = stranger(server)
    assert child(c.features, "regfeature:register") is not None
    form = child(c.result("get", QUERY, DOMAIN), "register:query")
    assert child(form, "register:username") is not None and child(form, "register:password") is not None
    assert child(form, "register:instructions").text


def test_register_and_login(server):
    c = stranger(server)
    assert register(c, "newcomer", "a password").get("type") == "result"
    c.user, c.password = "newcomer", "a password"
    c.authenticate()
    c.bind()
    assert c.user == "newcomer"


def test_without_address(server):
    c = stranger(server)
    assert c.result("set", query(name="plainly", password="long enough")) is not None
    assert can_login(server, "plainly", "long enough")


def test_taken(server):
    user = server.account("taken")
    c = stranger(server)
    check_error(c, register(c, user), "conflict")
    check_error(c, register(c, user.upper()), "conflict")
    assert can_login(server, user, "secret"), "the account is as it was"


def test_not_acceptable(server):
    c = stranger(server)
    for name, password in (("", "long enough"), (None, "long enough"), ("somebody", ""), ("somebody", None),
                           ("somebody", "short"), ("a b", "long enough"), ("a@b", "long enough"), ("x" * 1024, "long enough"),
                           ("admin", "long enough"), ("ADMIN", "long enough"), ("somebody", "\u2028 no \u0085 line")):
        check_error(c, register(c, name, password), "not-acceptable")
    assert not server.exists(f"somebody@{DOMAIN}")


def test_remove_before_login(server):
    c = stranger(server)
    c.refused("set", REMOVE, "unexpected-request", DOMAIN)


def test_not_in_the_clear(server):
    c = stranger(server, tls=False)
    assert child(c.features, "regfeature:register") is None
    c.ask("set", query(name="naked", password="long enough"), DOMAIN)
    c.expect_error("not-authorized")
    assert not server.exists(f"naked@{DOMAIN}")


def test_waiting_time(server):
    """An address that has just registered must wait; a failed try does not count."""
    with Server({"plugins": {"register": {"open": True, "registration_timeout": "1h"}}}) as s:
        c = stranger(s)
        check_error(c, register(c, "first", "short"), "not-acceptable")
        assert register(c, "first").get("type") == "result"
        answer = register(stranger(s), "second")
        check_error(c, answer, "resource-constraint")


# ---- of an account

def test_registered(server):
    c = server.client()
    for to in (None, DOMAIN, c.bare):
        answer = child(c.result("get", QUERY, to), "register:query")
        assert child(answer, "register:registered") is not None
        assert child(answer, "register:username").text == c.user


def test_change_password(server):
    for to in (None, DOMAIN):
        c = server.client()
        c.result("set", query(name=c.user, password="changed it"), to)
        c.expect_nothing()
        assert can_login(server, c.user, "changed it") and not can_login(server, c.user, "secret")


def test_change_password_refused(server):
    c, other = server.client(), server.account("other")
    c.refused("set", query(name=other, password="stolen it"), "forbidden")
    c.refused("set", query(name=c.user, password="short"), "not-acceptable")
    c.refused("set", query(name=c.user), "bad-request")
    c.refused("set", query(name=c.user, password="stolen it"), "forbidden", OTHER)
    assert can_login(server, c.user, "secret") and can_login(server, other, "secret")


def test_change_switched_off(server):
    with Server({"plugins": {"register": {"allow_password_change": False, "allow_removal": False}}}) as s:
        c = s.client()
        c.refused("set", query(name=c.user, password="changed it"), "not-allowed")
        c.refused("set", REMOVE, "not-allowed")
        c.refused("set", REMOVE, "not-allowed", DOMAIN)
        assert can_login(s, c.user, "secret")


def test_remove(server):
    """All sessions end, the name is free, and nothing of the old account is left."""
    for to in (None, DOMAIN):
        c = server.client("leaver")
        other = server.more(c)
        c.result("set", f"<query xmlns='{NS['roster']}'><item jid='juliet@elsewhere.example'/></query>")
        id = c.ask("set", REMOVE, to)
        c.take("iq", id=id, type="result")
        for x in (c, other):
            error = x.take("stream:error")
            if child(error, "streams:not-authorized") is None:
                fail(x, f"expected not-authorized, but got {show(error)}")
        server.wait_log(f"{c.bare} removed itself")  # the one who asks the host is told before
        assert not can_login(server, c.user, "secret")
        server.ctl("users", "add", c.bare, "--password", "secret")
        again = server.client(user=c.user)
        assert len(child(again.result("get", f"<query xmlns='{NS['roster']}'/>"), "roster:query")) == 0


def test_remove_is_alone(server):
    c = server.client()
    c.refused("set", query(name=c.user, extra="<remove/>"), "bad-request")
    c.refused("set", REMOVE, "registration-required", OTHER)
    c.expect_nothing()
    assert can_login(server, c.user, "secret")


def test_not_of_others(server):
    alice, bob = server.client("alice"), server.client("bob")
    for type, payload in (("get", QUERY), ("set", REMOVE), ("set", query(name=bob.user, password="stolen it"))):
        assert alice.iq(type, payload, bob.bare).get("type") == "error"
    assert can_login(server, bob.user, "secret")


def test_announced(server):
    c = server.client()
    info = c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert NS["register"] in [f.get("var") for f in info[0]]
