# SPDX-License-Identifier: Apache-2.0
"""Messages for who is away (XEP-0160)."""
import datetime

from element import child, show, text
from server import DOMAIN, Server
from xmpp import fail

SQLITE = True
HINTS = "urn:xmpp:hints"


def away(server, name="bob"):
    user = server.account(name)
    return user, f"{user}@{DOMAIN}"


def stored(client, body, sender):
    got = client.expect("message", body=body, from_=sender.jid, has="delay:delay")
    delay = child(got, "delay:delay")
    stamp = datetime.datetime.fromisoformat(delay.get("stamp").replace("Z", "+00:00"))
    age = datetime.datetime.now(datetime.timezone.utc) - stamp
    if delay.get("from") != DOMAIN or not -5 < age.total_seconds() < 600:
        fail(client, f"a delay says who kept it, and since when in UTC: {show(got)}")
    return got


def test_stored_and_delivered_once(server):
    alice = server.client("alice")
    bob, to = away(server)
    alice.message(to, "hello", id="m1", payload="<x xmlns='urn:example:x'><y/></x>")
    alice.message(to, "normal", type=None)
    alice.expect_nothing()
    first = server.client(user=bob)
    got = stored(first, "hello", alice)
    assert got.get("id") == "m1" and got.get("to") == to and got.get("type") == "chat"
    assert got.find("{urn:example:x}x/{urn:example:x}y") is not None, "the message is whole"
    stored(first, "normal", alice)
    first.expect_nothing()
    first.end()
    server.client(user=bob).expect_nothing()


def test_order(server):
    alice = server.client("alice")
    bob, to = away(server)
    for i in range(250):
        alice.message(to, f"m{i}")
    alice.expect_nothing()
    c = server.client(user=bob)
    for i in range(250):
        stored(c, f"m{i}", alice)
    c.expect_nothing()


def test_only_when_it_can_be_read(server):
    """Neither binding nor a negative priority fetches what waits."""
    alice = server.client("alice")
    bob, to = away(server)
    alice.message(to, "hello")
    alice.expect_nothing()
    c = server.client(user=bob, available=False)
    c.expect_nothing()
    c.available(priority=-1)
    c.expect_nothing()
    c.available(priority=0)
    stored(c, "hello", alice)
    c.available(priority=5)
    c.expect_nothing()


def test_first_resource_takes_all(server):
    alice = server.client("alice")
    bob, to = away(server)
    alice.message(to, "hello")
    alice.expect_nothing()
    one = server.client(user=bob)
    stored(one, "hello", alice)
    server.more(one).expect_nothing()


def test_what_is_kept(server):
    alice = server.client("alice")
    bob, to = away(server)
    keep = [("text", {"body": "text"}), ("an invitation", {"payload": "<x xmlns='jabber:x:conference' jid='r@c'/>"}),
            ("what says so", {"payload": f"<store xmlns='{HINTS}'/>"}),
            ("what is encrypted", {"payload": "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>"})]
    drop = [{"payload": "<composing xmlns='http://jabber.org/protocol/chatstates'/>"},
            {"type": "headline", "body": "news"}, {"type": "error", "body": "oops"}]
    for given in drop:
        alice.message(to, **given)
    for id, given in keep:
        alice.message(to, id=id, **given)
    alice.expect_nothing()
    c = server.client(user=bob)
    for id, _ in keep:
        c.expect("message", id=id, has="delay:delay")
    c.expect_nothing()


def test_no_store(server):
    """What must not be stored goes back, so that its sender knows."""
    alice = server.client("alice")
    bob, to = away(server)
    alice.message(to, "off the record", id="m", payload=f"<no-store xmlns='{HINTS}'/>")
    alice.expect_bounce("message", "service-unavailable", id="m")
    server.client(user=bob).expect_nothing()


def test_limit(server):
    with Server({"plugins": {"offline": {"max_messages": 3}, "mam": None}}) as s:
        alice = s.client("alice")
        bob, to = away(s)
        for i in range(5):
            alice.message(to, f"m{i}", id=f"m{i}")
        for i in (3, 4):
            alice.expect_bounce("message", "service-unavailable", id=f"m{i}", from_=to)
        c = s.client(user=bob)
        for i in range(3):
            stored(c, f"m{i}", alice)
        c.expect_nothing()
        c.end()
        alice.message(to, "room again")
        alice.expect_nothing()
        stored(s.client(user=bob), "room again", alice)


def test_big_backlog(server):
    """More than limits.output that waited is no slow reader."""
    with Server({"limits": {"output": "64K"}}) as s:
        alice = s.client("alice")
        bob, to = away(s)
        for i in range(30):
            alice.message(to, str(i) + "x" * 10000)
        alice.expect_nothing()
        c = s.client(user=bob)
        for i in range(30):
            stored(c, str(i) + "x" * 10000, alice)
        c.expect_nothing()


def test_restart(server):
    """What was accepted is there after a restart."""
    with Server(sqlite=True) as s:
        alice = s.client("alice")
        bob, to = away(s)
        alice.message(to, "Grüße & <b>", payload="<x xmlns='urn:example:x' a='&quot;'/>")
        alice.expect_nothing()
        s.restart()
        c = s.client(user=bob)
        got = stored(c, "Grüße & <b>", alice)
        assert got.find("{urn:example:x}x").get("a") == '"'
        c.expect_nothing()
        c.end()
        s.restart()
        s.client(user=bob).expect_nothing()


def test_kill_after_ack(server):
    """Once the sender has the ack of XEP-0198, no crash loses the message."""
    with Server(sqlite=True) as s:
        alice = s.client("alice")
        alice.enable()
        bob, to = away(s)
        for i in range(20):
            alice.message(to, f"m{i}")
        alice.wait_acked()
        s.kill()
        s.start()
        c = s.client(user=bob)
        for i in range(20):
            stored(c, f"m{i}", alice)
        c.expect_nothing()


def test_kill_before_the_client_has_it(server):
    """Delivered to a socket is not delivered: with XEP-0198 the message stays until the client acknowledges it."""
    with Server(sqlite=True) as s:
        alice = s.client("alice")
        alice.enable()
        bob, to = away(s)
        alice.message(to, "important")
        alice.wait_acked()
        c = s.client(user=bob, available=False)
        c.enable(auto=False)
        c.available()
        stored(c, "important", alice)
        s.kill()
        s.start()
        c = s.client(user=bob)
        stored(c, "important", alice)


def test_count_and_delete_commands(server):
    alice = server.client("alice")
    bob, to = away(server)
    for i in range(3):
        alice.message(to, f"m{i}")
    alice.expect_nothing()
    assert "3" in server.ctl("offline", "count", to)
    server.ctl("offline", "delete", to)
    assert "0" in server.ctl("offline", "count", to)
    server.client(user=bob).expect_nothing()


def test_removed_account(server):
    """A new account of the same name does not get the old one's messages."""
    alice = server.client("alice")
    bob, to = away(server)
    alice.message(to, "for the old one")
    alice.expect_nothing()
    server.ctl("users", "del", to)
    server.ctl("users", "add", to, "--password", "secret")
    server.client(user=bob).expect_nothing()


def test_offline_is_announced(server):
    c = server.client()
    info = c.result("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", DOMAIN)
    assert "msgoffline" in [f.get("var") for f in info[0]]


def test_body_survives_as_it_was(server):
    alice = server.client("alice")
    bob, to = away(server)
    body = " \n\t leading & trailing <>\"' 😀 \u00a0 "
    alice.message(to, body)
    alice.expect_nothing()
    assert text(server.client(user=bob).expect("message", body=body), "body") == body
