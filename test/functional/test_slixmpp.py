# SPDX-License-Identifier: Apache-2.0
"""slixmpp (as Debian has it) over TLS: presence, messages, a lost connection."""
from real import Cutter, slixmpp
from server import DOMAIN, Server

COST = 5


def friends(server, address):
    """Two clients, logged in with SCRAM, that see each other: slixmpp approves and subscribes back by itself."""
    a = slixmpp(server.account("alice"), server.address(), tls="TLSv1_2")
    b = slixmpp(server.account("bob"), address, tls="TLSv1_2")
    a.do("subscribe", to=b.jid.partition("/")[0])
    a.wait("presence", from_=b.jid, type="available")
    b.wait("presence", from_=a.jid, type="available")
    return a, b


def test_chat(server):
    a, b = friends(server, server.address())
    for i in range(20):
        a.send(b.jid, f"to b {i}")
        b.send(a.jid, f"to a {i}")
    for i in range(20):
        b.wait("message", body=f"to b {i}", from_=a.jid, type="chat")
        a.wait("message", body=f"to a {i}", from_=b.jid)
    a.stop()
    b.wait("presence", from_=a.jid, type="unavailable")
    b.stop()


def test_history(server):
    """It pages through the archive, in both directions."""
    a, b = friends(server, server.address())
    eve = slixmpp(server.account("eve"), server.address(), tls="TLSv1_2")
    bodies = [f"m{i}" for i in range(23)]
    for body in bodies:
        a.send(b.jid, body)
        eve.send(b.jid, "spam " + body)
    for body in bodies:
        b.wait("message", body=body)
        b.wait("message", body="spam " + body)
    for reverse in (False, True):
        b.do("history", page=5, reverse=reverse, **{"with": a.jid.partition("/")[0]})
        got = b.wait("history")
        assert sorted(got["bodies"], key=lambda x: int(x[1:])) == bodies and len(set(got["ids"])) == 23, got
        assert got["bodies"] == (bodies[::-1] if reverse else bodies), got
    for c in (a, b, eve):
        c.stop()


def logged_in(server, **how):
    """On the first connection."""
    c = slixmpp(server.account(), server.address(), **how)
    assert not any(e["event"] == "disconnected" for e in c.seen), f"it took several connections: {c.seen}"
    c.stop()


def test_login_as_it_comes(server):
    """This version binds channels by tls-unique alone, which TLS 1.3 has not, and claims then that none was offered.  We
    refuse both, and it must still get in by PLAIN, without being taken for one who guesses passwords."""
    logged_in(server)


def test_scram_plus(server):
    for mechanism in ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"):
        logged_in(server, mechanism=mechanism, tls="TLSv1_2")


def test_scram(server):
    """Where no channel binding is offered."""
    mechanisms = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"]
    with Server({"host_types": {"default": {"sasl": mechanisms}}}) as s:
        for mechanism in mechanisms:
            logged_in(s, mechanism=mechanism)


def test_resume(server):
    """The connection breaks again and again; no message is lost, none comes twice, the friend sees no absence."""
    cutter = Cutter(server.address())
    a, b = friends(server, cutter.address)
    bodies = []
    for round in range(3):
        for i in range(5):
            bodies.append(f"before {round}.{i}")
            a.send(b.jid, bodies[-1])
        assert cutter.cut()
        for i in range(5):
            bodies.append(f"after {round}.{i}")
            a.send(b.jid, bodies[-1])
        b.wait("resumed")
    b.send(a.jid, "I have not been away")
    a.wait("message", body="I have not been away", from_=b.jid)
    a.send(b.jid, "the end")
    b.wait("message", body="the end")
    assert b.bodies() == bodies, f"{b.bodies()}\nis not\n{bodies}"
    assert not any(e["event"] == "presence" and e["type"] == "unavailable" and e["from"] == b.jid for e in a.seen)
    assert DOMAIN in b.jid
    for c in (a, b):
        c.stop()
    cutter.close()


def test_what_it_can_do(server):
    """Its hash (XEP-0115) is right by our count, and its like is not asked again."""
    def counted():
        return {w: next(x for x in server.ctl("metrics").splitlines() if x.startswith(f"meerkat_caps_{w}")).rsplit(" ", 1)[1]
                for w in ("queries", "learned", "wrong")}

    a, b = friends(server, server.address())
    a.send(b.jid, "hello")
    b.wait("message", body="hello")
    first = counted()
    assert first["wrong"] == "0" and first["learned"] != "0", first
    c = slixmpp(server.account("carol"), server.address(), tls="TLSv1_2")
    c.send(b.jid, "hello")
    b.wait("message", body="hello", from_=c.jid)
    assert counted() == first
    for x in (a, b, c):
        x.stop()


def test_inactive(server):
    """What it says of itself (XEP-0352) is understood, and a message reaches it all the same."""
    def inactive():
        return next(x for x in server.ctl("metrics").splitlines() if x.startswith("meerkat_csi_inactive")).rsplit(" ", 1)[1]

    a, b = friends(server, server.address())
    for what, count in (("inactive", "1"), ("active", "0")):
        b.do(what)
        b.send(a.jid, what)
        a.wait("message", body=what)
        assert inactive() == count
        a.send(b.jid, what)
        b.wait("message", body=what)
    for x in (a, b):
        x.stop()
