# SPDX-License-Identifier: Apache-2.0
"""Who has read how far: smart markers, and markers for those who are away."""
from element import NS, child, children, escape, text
from server import DOMAIN, OTHER, Server

CONFIG = {"plugins": {"smart_markers": {}}}
WHERE = "smart:query/smart:marker"


def mark(kind, id, thread=None):
    inner = f"<thread>{thread}</thread>" if thread else ""
    return f"<{kind} xmlns='urn:xmpp:chat-markers:0' id='{escape(id)}'/>" + inner


def query(peer, **more):
    extra = "".join(f" {k}='{escape(v)}'" for k, v in more.items())
    return f"<query xmlns='{NS['smart']}' peer='{peer}'{extra}/>"


def markers(client, peer, **more):
    answer = client.result("get", query(peer, **more))
    assert child(answer, "smart:query").get("peer") == peer
    return {(m.get("from"), m.get("type"), m.get("thread"), m.get("id")) for m in children(answer, WHERE)}


def test_both_sides(server):
    a, b = server.client("a"), server.client("b")
    for id in ("1", "2"):
        a.message(b.jid, payload=mark("displayed", id))
        b.expect("message", from_=a.jid)
    a.message(b.jid, payload=mark("received", "3", "t"))
    b.expect("message")
    b.message(a.bare, payload=mark("displayed", "4"))
    a.expect("message")
    wanted = {(a.bare, "displayed", None, "2"), (a.bare, "received", "t", "3"), (b.bare, "displayed", None, "4")}
    assert markers(a, b.bare) == markers(b, a.bare) == wanted
    assert markers(a, b.bare, thread="t") == {(a.bare, "received", "t", "3")}
    assert markers(a, b.bare, after="2999-01-01T00:00:00Z") == set()
    assert markers(server.client("c"), b.bare) == set(), "nobody else's business"


def test_after(server):
    a, b = server.client("a"), server.client("b")
    a.message(b.jid, payload=mark("displayed", "1"))
    b.expect("message")
    first = children(a.result("get", query(b.bare)), WHERE)[0].get("timestamp")
    a.message(b.jid, payload=mark("received", "2"))
    b.expect("message")
    assert markers(a, b.bare, after=first) == {(a.bare, "received", None, "2")}


def test_refused(server):
    a, b = server.client("a"), server.client("b")
    for wrong, why in ((f"<query xmlns='{NS['smart']}'/>", "invalid-peer"), (query("@"), "invalid-peer"),
                       (query(b.bare, after="yesterday"), "invalid-timestamp")):
        answer = a.refused("get", wrong, "bad-request")
        assert text(answer, "error/stanzas:text") == why
    a.refused("set", query(b.bare), "not-allowed")
    assert a.iq("get", query(a.bare), b.bare).get("type") == "error"


def test_not_remembered(server):
    a, b = server.client("a"), server.client("b")
    for payload in (mark("displayed", "x" * 1024), mark("displayed", "1", "t" * 256), mark("seen", "1"),
                    "<displayed xmlns='urn:xmpp:chat-markers:0'/>"):
        a.message(b.jid, payload=payload)
        b.expect("message")
    a.message(b.jid, type="error", payload=mark("displayed", "1"))
    b.expect("message")
    assert markers(a, b.bare) == set()


def test_room(server):
    """Nobody sees others' markers there unless the operator says so."""
    room = f"room@rooms.{OTHER}"
    with Server({"plugins": {"smart_markers": {"show_rooms": True}}}) as open_server:
        for s, shown in ((server, False), (open_server, True)):
            a, b, c = s.client("a"), s.client("b"), s.client("c")
            for x in (a, b):
                x.message(room, type="groupchat", payload=mark("displayed", x.user))
                x.expect_bounce("message", "remote-server-not-found")
            got = markers(a, room)
            assert (a.bare, "displayed", None, a.user) in got and ((b.bare, "displayed", None, b.user) in got) == shown
            assert markers(c, room) == set()


def test_private(server):
    with Server({"plugins": {"smart_markers": {"keep_private": True}}}) as s:
        a, b = s.client("a"), s.client("b")
        a.message(b.jid, payload=mark("displayed", "1"))
        b.quiet(a)
        a.message(b.jid, "with words", payload=mark("displayed", "2"))
        b.expect("message", body="with words")
        assert markers(a, b.bare) == {(a.bare, "displayed", None, "2")}
        assert markers(b, a.bare) == set()


def test_away(server):
    """The newest of each thread and kind waits, and comes once."""
    a, b = server.client("a"), server.account("b")
    to = f"{b}@{DOMAIN}"
    for id, thread in (("1", None), ("2", "t"), ("3", None), ("4", "t")):
        a.message(to, payload=mark("displayed", id, thread), id=id)
    a.message(to, payload=mark("received", "5"), id="5")
    a.expect_nothing()
    there = server.client(user=b)
    got = {there.expect("message", from_=a.jid, has="delay:delay").get("id") for _ in range(3)}
    assert got == {"3", "4", "5"}
    there.end()
    server.client(user=b).quiet(a)


def test_away_bounded(server):
    with Server({"plugins": {"smart_markers": {"max_waiting": 1}, "offline": None}}) as s:
        a, b = s.client("a"), s.account("b")
        for id, thread in (("1", None), ("2", None)):
            a.message(f"{b}@{DOMAIN}", payload=mark("displayed", id, thread))
        a.message(f"{b}@{DOMAIN}", payload=mark("displayed", "3", "t"), id="3")
        a.expect_bounce("message", "service-unavailable", id="3")
        s.configure({"plugins": {"smart_markers": {"keep_for_offline": False}}})
        s.reload()
        a.message(f"{b}@{DOMAIN}", payload=mark("displayed", "4"), id="4")
        a.expect_bounce("message", "service-unavailable", id="4")


def test_durable(server):
    with Server(CONFIG, sqlite=True) as s:
        a, b = s.client("a"), s.account("b")
        to = f"{b}@{DOMAIN}"
        a.enable()
        a.message(to, payload=mark("displayed", "1"))
        a.wait_acked()
        s.kill()
        s.start()
        assert markers(s.client(user=a.user, resource="other"), to) == {(a.bare, "displayed", None, "1")}
        s.client(user=b).take("message", from_=a.jid, has="delay:delay")


def test_removed_account(server):
    a, b = server.client("a"), server.client("b")
    a.message(b.jid, payload=mark("displayed", "1"))
    b.expect("message")
    server.control("users.del", account=a.bare)
    assert markers(b, a.bare) == set()
