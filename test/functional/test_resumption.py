# SPDX-License-Identifier: Apache-2.0
"""Resumption (XEP-0198) across a restart, of ended sessions, and inside of SASL2 and Bind 2."""
from element import NS, child, children, differences, show
from server import DOMAIN, Server
from test_carbons import ENABLE
from test_roster import befriend, interested
from test_sasl import fresh
from test_stream_mgmt import PING, all_handled, managed, watched
from xmpp import Sm


# ---- across a restart

def durable(**options):
    return Server({"plugins": {"stream_mgmt": options}}, sqlite=True)


def test_resume_after_restart(server):
    """Nothing is lost, and nothing comes twice; contacts see the session go and come."""
    with durable() as s:
        alice, bob, carol = interested(s, "alice"), interested(s, "bob"), s.client("carol")
        befriend(alice, bob)
        bob.enable(auto=False)
        bob.result("set", ENABLE)
        for i in range(5):
            alice.message(bob.jid, f"m{i}", id=f"m{i}")
            bob.take("message", body=f"m{i}")
        h = bob.sm.received - 2
        bob.ack(h)
        bob.message(carol.jid, "before")
        carol.take("message", body="before")
        bob.result("get", PING, DOMAIN)
        s.restart()
        alice = s.client(user=alice.user)
        alice.message(bob.bare, "meanwhile", id="meanwhile")
        alice.skip(s.client("dave"))
        sent = bob.sm.sent
        again = s.authed(bob)
        again.resume(bob.sm, h)
        answer = again.expect("sm:resumed", previd=bob.sm.id)
        again.jid = bob.jid
        assert int(answer.get("h")) == sent, f"{show(answer)} {sent}"
        again.expect("message", body="m3", id="m3", lacks="delay:delay")
        again.expect("message", body="m4", id="m4", lacks="delay:delay")
        alice.take("presence", from_=bob.jid, type=None)
        again.take("message", body="meanwhile")
        more = s.client(user=bob.user, available=False)
        again.skip(alice)
        more.message(carol.bare, "carbons are on")
        again.take("message", has="carbons:sent")
        again.quiet(alice)
        rest = s.control("offline.count", account=bob.bare)[0]["messages"]
        assert rest == 0, f"{rest} messages are stored twice"


def test_resume_twice_after_restart(server):
    """The restored session is as good as any: it is lost and resumed, and outlives the next restart."""
    with durable() as s:
        alice, bob = s.client("alice"), managed(s, available=False)
        alice.message(bob.jid, "one")
        bob.take("message", body="one")
        for _ in range(2):
            s.restart()
            h = bob.sm.received - 1
            bob = back_at(s, bob, h)
            bob.take("message", body="one")
            bob.sm.received = h + 1
            bob.drop()
            bob = back_at(s, bob, h)
            bob.take("message", body="one")
            bob.sm.received = h + 1
        bob.ack()
        bob.queue.clear()
        bob.expect_nothing()


def back_at(server, old, h):
    new = server.authed(old)
    new.resume(old.sm, h)
    new.expect("sm:resumed", previd=old.sm.id)
    new.jid = old.jid
    return new


def test_no_resume_after_crash(server):
    """After kill -9 the session is gone; what it had not acknowledged is not."""
    with durable(spool_after="100ms") as s:
        alice, bob = managed(s, "alice", auto=True), managed(s)
        alice.message(bob.jid, "kept")
        bob.take("message", body="kept")
        alice.wait_acked()
        s.kill()
        s.start()
        again = s.authed(bob)
        again.resume(bob.sm)
        again.expect("sm:failed", has="stanzas:item-not-found", h=None)
        again.bind().available()
        again.take("message", body="kept", has="delay:delay")


def test_saved_session_is_given_up(server):
    """One that nobody resumes in time ends as any other: its messages go on."""
    with durable(resume_timeout="1s") as s:
        alice, bob = s.client("alice"), managed(s)
        alice.message(bob.jid, "unseen")
        bob.take("message", body="unseen")
        s.restart()
        s.client(user=bob.user).take("message", body="unseen", has="delay:delay", from_=alice.jid)


def test_count_of_an_ended_session(server):
    with Server({"plugins": {"stream_mgmt": {"resume_timeout": "1s"}}}) as s:
        alice = s.client("alice")
        bob = watched(s, alice)
        for i in range(3):
            bob.message(alice.jid, f"m{i}")
            alice.take("message", body=f"m{i}")
        sent = bob.sm.sent
        all_handled(bob)
        bob.drop()
        alice.take("presence", from_=bob.jid, type="unavailable")
        again = s.authed(bob)
        again.resume(bob.sm)
        again.expect("sm:failed", has="stanzas:item-not-found", h=str(sent))
        other = s.authed(alice)
        other.resume(bob.sm)
        other.expect("sm:failed", has="stanzas:item-not-found", h=None)


def test_count_not_remembered(server):
    with Server({"plugins": {"stream_mgmt": {"resume_timeout": "1s", "remember": 0}}}) as s:
        alice = s.client("alice")
        bob = watched(s, alice)
        bob.drop()
        alice.take("presence", from_=bob.jid, type="unavailable")
        again = s.authed(bob)
        again.resume(bob.sm)
        again.expect("sm:failed", has="stanzas:item-not-found", h=None)


# ---- inside of SASL2 and Bind 2

def resume_text(sm, h=None):
    return f"<resume xmlns='{NS['sm']}' previd='{sm.id}' h='{sm.received if h is None else h}'/>"


def test_inline_offer(server):
    c = fresh(server)
    assert child(c.features, "sasl2:authentication/sasl2:inline/sm:sm") is not None
    offered = children(c.features, "sasl2:authentication/sasl2:inline/bind2:bind/bind2:inline/bind2:feature")
    assert NS["sm"] in [e.get("var") for e in offered]


def test_inline_enable(server):
    alice, c = server.client("alice"), fresh(server)
    success = c.login2(bind=f"<enable xmlns='{NS['sm']}' resume='true'/>")
    enabled = child(success, "bind2:bound/sm:enabled")
    assert len(enabled.get("id")) >= 16, show(success)
    assert child(c.features, "sm:sm") is None, "a client would enable it once more"
    c.sm = Sm(False)
    c.sm.id = enabled.get("id")
    assert c.handled() == 0
    alice.message(c.jid, "hello")
    c.take("message", body="hello")
    c.drop()
    back_at(server, c, 0).take("message", body="hello")


def test_inline_resume(server):
    """<resumed/> in <success/>, no features, <bind/> ignored; what was held back follows."""
    alice, bob = server.client("alice"), managed(server)
    alice.message(bob.jid, "one")
    bob.take("message", body="one")
    bob.drop()
    c = fresh(server, bob.user)
    c.sm = bob.sm
    success = c.login2(inline=resume_text(bob.sm, 0), resumed=True)
    resumed = child(success, "sm:resumed")
    assert resumed.get("previd") == bob.sm.id and int(resumed.get("h")) == bob.sm.sent, show(success)
    assert c.jid == bob.jid and child(success, "bind2:bound") is None, show(success)
    got = c.next()
    while differences(got, "message", body="one") is not None:
        assert got.tag != "{http://etherx.jabber.org/streams}features", show(got)
        got = c.next()
    c.result("get", PING, DOMAIN)


def test_inline_resume_fails(server):
    """The login does not: a resource is bound."""
    bob = managed(server)
    for inline in (f"<resume xmlns='{NS['sm']}' previd='none' h='0'/>", f"<resume xmlns='{NS['sm']}' h='0'/>",
                   f"<resume xmlns='{NS['sm']}' previd='{bob.sm.id}' h='x'/>"):
        c = fresh(server, bob.user)
        success = c.login2(inline=inline)
        assert child(success, "sm:failed") is not None and child(success, "bind2:bound") is not None, show(success)
        c.expect_nothing()
    c = fresh(server, bob.user)
    success = c.login2(inline=inline, bind=None)
    assert child(success, "sm:failed") is not None
    c.bind().expect_nothing()


def test_inline_resume_too_high(server):
    bob = managed(server)
    bob.drop()
    c = fresh(server, bob.user)
    c.scram2(inline=resume_text(bob.sm, 5))
    c.expect_error("undefined-condition", "sm:handled-count-too-high")


def test_inline_resume_after_restart(server):
    with durable() as s:
        alice, bob = s.client("alice"), managed(s)
        alice.message(bob.jid, "one")
        bob.take("message", body="one")
        s.restart()
        c = fresh(s, bob.user)
        c.sm = bob.sm
        success = c.login2(inline=resume_text(bob.sm, 0), resumed=True)
        assert child(success, "sm:resumed") is not None and c.jid == bob.jid, show(success)
        c.take("message", body="one")
