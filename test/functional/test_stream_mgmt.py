# SPDX-License-Identifier: Apache-2.0
"""Stream management (XEP-0198): acknowledgements, loss, resumption."""
from element import NS, child, differences, show
from server import DOMAIN, Server, wait_until
from test_carbons import ENABLE, carbon
from test_roster import befriend, interested
from xmpp import fail

PING = f"<ping xmlns='{NS['ping']}'/>"
REQUEST = f"<r xmlns='{NS['sm']}'/>"


def managed(server, name="bob", auto=False, resume=True, **how):
    c = server.client(name, **how)
    c.enable(resume=resume, auto=auto)
    return c


def back(server, old):
    """A new connection of the account that resumes OLD's session."""
    new = server.authed(old)
    new.resumed(old)
    return new


def watched(server, watcher, **how):
    """A managed session whose end WATCHER hears of."""
    c = managed(server, **how)
    c.presence(to=watcher.jid)
    watcher.take("presence", from_=c.jid)
    return c


def messages(client, *bodies, lacks="delay:delay", **wanted):
    for body in bodies:
        client.take("message", body=body, lacks=lacks, **wanted)


# ---- enabling

def test_feature(server):
    c = server.client()
    assert child(c.features, "sm:sm") is not None


def test_enable(server):
    c = server.client()
    enabled = c.enable()
    assert len(enabled.get("id")) >= 16 and int(enabled.get("max")) > 0
    d = server.client()
    assert d.enable(resume=False).get("id") is None


def test_ids_differ(server):
    assert managed(server).sm.id != managed(server).sm.id


def test_enable_before_bind(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.starttls()
    c.send(f"<enable xmlns='{NS['sm']}'/>")
    c.expect("sm:failed", has="stanzas:unexpected-request")
    c.authenticate()
    c.send(f"<enable xmlns='{NS['sm']}'/>")
    c.expect("sm:failed", has="stanzas:unexpected-request")
    c.bind().expect_nothing()


def test_enable_twice(server):
    c = managed(server)
    c.send(f"<enable xmlns='{NS['sm']}'/>")
    c.expect("sm:failed", has="stanzas:unexpected-request")
    c.expect_error("policy-violation")


def test_not_enabled(server):
    c = server.client()
    c.send(REQUEST)
    c.expect("sm:failed", has="stanzas:unexpected-request")
    c.send(f"<a xmlns='{NS['sm']}' h='0'/>")
    c.expect("sm:failed", has="stanzas:unexpected-request")
    c.expect_nothing()


def test_wish_for_a_short_time(server):
    c = server.client()
    enabled = c.enable(max="30")
    assert enabled.get("max") == "30"


def test_resumption_switched_off(server):
    with Server({"plugins": {"stream_mgmt": {"resume_timeout": 0}}}) as s:
        c = s.client()
        c.send(f"<enable xmlns='{NS['sm']}' resume='true'/>")
        enabled = c.expect("sm:enabled")
        assert enabled.get("id") is None and enabled.get("resume") in (None, "false", "0"), show(enabled)


def all_handled(client):
    """Its messages are delivered; that they are safe the server may learn a moment later, on another worker."""
    while client.handled() < client.sm.sent:
        pass


# ---- counting

def test_what_counts(server):
    """Stanzas do; nonzas and white space do not."""
    c = managed(server)
    assert c.handled() == 0
    c.message(c.jid, "one")
    c.presence("<status>two</status>")
    c.result("get", PING, DOMAIN)
    c.send(" \n ")
    c.ack()
    assert c.handled() == 3
    c.message(f"nobody@{DOMAIN}", "a bounced one was handled")
    c.take("message", type="error")
    assert c.handled() == 4


def test_server_asks(server):
    """It asks after some stanzas, or after a moment."""
    alice, bob = server.client("alice"), managed(server)
    for i in range(5):
        alice.message(bob.jid, f"m{i}")
    messages(bob, *(f"m{i}" for i in range(5)))
    bob.take("sm:r")
    bob.ack()
    bob.queue.clear()
    alice.message(bob.jid, "only one")
    bob.take("message", body="only one")
    bob.take("sm:r")


def test_ack_too_high(server):
    c = managed(server)
    c.ack(3)
    error = c.expect_error("undefined-condition", "sm:handled-count-too-high")
    app = child(error, "sm:handled-count-too-high")
    assert app.get("h") == "3" and app.get("send-count") == "0", show(error)


def test_ack_without_count(server):
    for h in ("", "-1", "many", "4294967296", "1.0"):
        c = managed(server)
        c.send(f"<a xmlns='{NS['sm']}' h='{h}'/>")
        c.expect_error("bad-format")


def test_old_ack_again(server):
    alice, bob = server.client("alice"), managed(server)
    for i in range(4):
        alice.message(bob.jid, f"m{i}")
    messages(bob, *(f"m{i}" for i in range(4)))
    for h in (3, 1, 3, 4, 0):
        bob.ack(h)
    bob.result("get", PING, DOMAIN)


def test_ack_waits_for_the_recipient(server):
    """The sender's message counts as handled once it is safe: here, when its recipient has acknowledged it."""
    with Server({"plugins": {"stream_mgmt": {"spool_after": "1h"}}}) as s:
        alice, bob = managed(s, "alice"), managed(s)
        alice.message(bob.jid, "hello")
        bob.take("message", body="hello")
        assert alice.handled() == 0
        bob.ack()
        alice.take("sm:a", h="1")


def test_ack_when_stored(server):
    """A recipient that says nothing does not keep the sender waiting for ever."""
    alice, bob = managed(server, "alice", auto=True), managed(server)
    alice.message(bob.jid, "hello")
    bob.take("message", body="hello")
    alice.wait_acked()


def test_silent_client_is_lost(server):
    """Who does not answer <r/> in time loses the connection, but not the session."""
    with Server({"plugins": {"stream_mgmt": {"ack_timeout": "1s", "ack_every": 1}}}) as s:
        alice, bob = s.client("alice"), managed(s)
        alice.message(bob.jid, "hello")
        bob.take("message", body="hello")
        bob.take("sm:r")
        bob.take("stream:error", has="streams:connection-timeout")
        again = back(s, bob)
        again.ack()
        again.expect_nothing()


# ---- resuming

def test_exact_resend(server):
    """What was not acknowledged comes again, in order, once, as it was; what came meanwhile follows."""
    alice, bob = server.client("alice"), managed(server)
    for i in range(10):
        alice.message(bob.jid, f"m{i}", id=f"m{i}")
    messages(bob, *(f"m{i}" for i in range(10)))
    bob.ack(4)
    bob.drop()
    for i in range(10, 13):
        alice.message(bob.bare, f"m{i}", id=f"m{i}")
    alice.expect_nothing()
    again = server.authed(bob)
    again.resume(bob.sm, h=6)
    again.expect("sm:resumed", previd=bob.sm.id)
    for i in range(6, 13):
        again.expect("message", id=f"m{i}", body=f"m{i}", lacks="delay:delay", from_=alice.jid)
    again.jid, again.sm.received = bob.jid, 13
    again.ack()
    again.queue.clear()
    again.quiet(alice)


def test_resumed_says_what_was_handled(server):
    alice, bob = server.client("alice"), managed(server)
    for i in range(7):
        bob.message(alice.jid, f"m{i}")
    messages(alice, *(f"m{i}" for i in range(7)))
    all_handled(bob)
    bob.drop()
    again = back(server, bob)
    assert again.sm.acked == 7
    assert again.handled() == 7


def unsafe(s, *bodies):
    """Alice, whose session was lost while bob had not acknowledged what she had sent him, and bob."""
    alice, bob = managed(s, "alice"), managed(s)
    for body in bodies:
        alice.message(bob.jid, body)
    messages(bob, *bodies)
    assert alice.handled() == 0
    alice.drop()
    return alice, bob


def slow_to_store():
    return Server({"plugins": {"stream_mgmt": {"spool_after": "1h"}}})


def test_resent_comes_once(server):
    """What was on its way when the connection broke is counted when it is sent again, not delivered."""
    with slow_to_store() as s:
        alice, bob = unsafe(s, "m0", "m1", "m2")
        again = back(s, alice)
        assert again.sm.acked == 0
        for i in range(4):
            again.message(bob.jid, f"m{i}")
        messages(bob, "m3")
        assert again.handled() == 0
        bob.ack(2)
        wait_until(lambda: again.handled() == 2)
        bob.ack(4)
        wait_until(lambda: again.handled() == 4)


def test_resent_after_all_was_safe(server):
    """Also if the recipient has acknowledged it before; and once more over a second loss."""
    with slow_to_store() as s:
        alice, bob = unsafe(s, "m0", "m1")
        again = back(s, alice)
        bob.ack()
        again.message(bob.jid, "m0")
        wait_until(lambda: again.handled() == 1)
        again.drop()
        third = back(s, again)
        assert third.sm.acked == 1
        third.message(bob.jid, "m1")
        third.message(bob.jid, "m2")
        messages(bob, "m2")
        bob.ack()
        wait_until(lambda: third.handled() == 3)


def test_resent_in_part(server):
    """A client may leave some out, and what it says that is not the same is new."""
    with slow_to_store() as s:
        alice, bob = unsafe(s, "m0", "m1", "m2", "m3")
        again = back(s, alice)
        for body in ("m1", "new", "m3"):
            again.message(bob.jid, body)
        messages(bob, "new", "m3")
        bob.ack()
        wait_until(lambda: again.handled() == 3)


def test_nobody_notices(server):
    """To contacts the session was never gone: no presence, and its own is as it was."""
    alice, bob = interested(server, "alice"), interested(server, "bob")
    befriend(alice, bob)
    bob.enable(auto=True)
    bob.presence("<status>on the train</status>", priority=5)
    alice.take("presence", from_=bob.jid, has="status")
    for _ in range(3):
        bob.drop()
        bob = back(server, bob)
    bob.queue.clear()
    alice.quiet(bob)
    alice.message(bob.bare, "still there?")
    bob.take("message", body="still there?", to=bob.bare)
    alice.presence(to=bob.bare, type="probe")
    alice.expect("presence", from_=bob.jid, has="status")


def test_while_away(server):
    """Messages, presence and iqs wait for the session."""
    alice, bob = server.client("alice"), managed(server, auto=True)
    bob.drop()
    alice.message(bob.jid, "hello")
    alice.presence("<status>hi</status>", to=bob.jid)
    id = alice.ask("get", "<odd xmlns='urn:example:odd'/>", bob.jid)
    alice.expect_nothing()
    again = back(server, bob)
    again.expect("message", body="hello", lacks="delay:delay")
    again.expect("presence", from_=alice.jid, has="status")
    again.expect("iq", id=id, type="get")
    again.send(f"<iq type='result' id='{id}' to='{alice.jid}'/>")
    alice.expect("iq", type="result", id=id)


def test_resume_of_a_live_stream(server):
    alice, bob = server.client("alice"), managed(server, auto=True)
    again = back(server, bob)
    bob.expect_error("conflict")
    alice.message(again.jid, "which one?")
    again.take("message", body="which one?")


def test_carbons_survive(server):
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one)
    other.result("set", ENABLE)
    other.enable(auto=True)
    other.drop()
    alice.message(one.jid, "hi")
    one.expect("message", body="hi")
    again = back(server, other)
    carbon(again, "received", body="hi")


def test_resume_in_one_packet(server):
    """A client may send stanzas right behind <resume/>."""
    alice, bob = server.client("alice"), managed(server, auto=True)
    bob.drop()
    again = server.authed(bob)
    again.sm = bob.sm
    again.send(f"<resume xmlns='{NS['sm']}' previd='{bob.sm.id}' h='{bob.sm.received}'/>"
               f"<message to='{alice.jid}' type='chat'><body>I am back</body></message>")
    again.expect("sm:resumed")
    alice.expect("message", body="I am back", from_=bob.jid)


def test_unknown_id(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.starttls()
    c.authenticate()
    for previd in ("nonsense", "", "x" * 1000):
        c.send(f"<resume xmlns='{NS['sm']}' previd='{previd}' h='0'/>")
        c.expect("sm:failed", has="stanzas:item-not-found")
    c.bind().expect_nothing()


def test_somebody_elses_id(server):
    bob = managed(server)
    bob.drop()
    eve = server.authed(server.client("eve"))
    eve.send(f"<resume xmlns='{NS['sm']}' previd='{bob.sm.id}' h='0'/>")
    eve.expect("sm:failed", has="stanzas:item-not-found")
    back(server, bob)


def test_after_a_clean_end(server):
    bob = managed(server)
    bob.end()
    again = server.authed(bob)
    again.resume(bob.sm)
    again.expect("sm:failed", has="stanzas:item-not-found")
    again.sm = None
    again.bind().expect_nothing()


def test_resume_after_bind(server):
    bob = managed(server)
    bob.drop()
    other = server.client(user=bob.user)
    other.send(f"<resume xmlns='{NS['sm']}' previd='{bob.sm.id}' h='0'/>")
    other.take("sm:failed", has="stanzas:unexpected-request")


def test_resume_before_login(server):
    bob = managed(server)
    bob.drop()
    c = server.connect()
    c.open()
    c.starttls()
    c.send(f"<resume xmlns='{NS['sm']}' previd='{bob.sm.id}' h='0'/>")
    c.expect("sm:failed", has="stanzas:unexpected-request")


def test_resume_with_count_too_high(server):
    bob = managed(server)
    bob.drop()
    again = server.authed(bob)
    again.resume(bob.sm, h=100)
    error = again.expect_error("undefined-condition", "sm:handled-count-too-high")
    assert child(error, "sm:handled-count-too-high").get("h") == "100"


def test_resource_taken_meanwhile(server):
    """Binding the resource of a detached session ends that one."""
    bob = managed(server, resource="desk")
    bob.drop()
    other = server.client(user=bob.user, resource="desk")
    again = server.authed(bob)
    again.resume(bob.sm)
    again.expect("sm:failed", has="stanzas:item-not-found")
    other.expect_nothing()


# ---- sessions that nobody resumes

def test_timeout(server):
    """After its time the session is over: contacts see it, and what was not acknowledged waits for the account."""
    with Server({"plugins": {"stream_mgmt": {"resume_timeout": "1s"}}}) as s:
        alice = s.client("alice")
        bob = watched(s, alice)
        alice.message(bob.jid, "unseen", id="m")
        alice.message(bob.jid, "headline", type="headline")
        bob.take("message", body="unseen")
        bob.drop()
        alice.message(bob.bare, "while away")
        alice.expect("presence", from_=bob.jid, type="unavailable")
        again = s.authed(bob)
        again.resume(bob.sm)
        again.expect("sm:failed", has="stanzas:item-not-found")
        again.sm = None
        again.bind().available()
        again.expect("message", body="unseen", id="m", has="delay:delay", from_=alice.jid)
        again.expect("message", body="while away", has="delay:delay")
        again.quiet(alice)
        alice.quiet(again)


def test_not_resumable(server):
    """Without resumption a loss is the end at once; messages are not lost with it."""
    alice = server.client("alice")
    bob = watched(server, alice, resume=False)
    alice.message(bob.jid, "unseen")
    bob.take("message", body="unseen")
    bob.drop()
    alice.expect("presence", from_=bob.jid, type="unavailable")
    again = server.client(user=bob.user)
    again.expect("message", body="unseen", has="delay:delay", from_=alice.jid)
    again.quiet(alice)


def test_to_the_other_resource(server):
    alice = server.client("alice")
    bob = watched(server, alice, resume=False)
    other = server.more(bob)
    alice.message(bob.jid, "unseen")
    bob.take("message", body="unseen")
    bob.drop()
    other.take("message", body="unseen", has="delay:delay", from_=alice.jid)


def test_other_resource_has_it(server):
    """What another resource was sent too does not come twice."""
    alice = server.client("alice")
    bob = watched(server, alice, resume=False)
    other = server.more(bob)
    alice.message(bob.bare, "to both")
    for c in (bob, other):
        c.take("message", body="to both")
    bob.drop()
    alice.take("presence", from_=bob.jid, type="unavailable")
    other.take("presence", from_=bob.jid, type="unavailable")
    other.quiet(alice)


def test_clean_end_without_acks(server):
    """A client that closes its stream without acknowledging has not seen it."""
    alice = server.client("alice")
    bob = watched(server, alice)
    alice.message(bob.jid, "unseen")
    bob.take("message", body="unseen")
    bob.end()
    server.client(user=bob.user).take("message", body="unseen", has="delay:delay")


def test_acknowledged_is_done(server):
    alice = server.client("alice")
    bob = watched(server, alice, resume=False)
    alice.message(bob.jid, "seen")
    bob.take("message", body="seen")
    bob.ack()
    bob.queue.clear()
    bob.result("get", PING, DOMAIN)
    bob.drop()
    alice.expect("presence", from_=bob.jid, type="unavailable")
    server.client(user=bob.user).quiet(alice)


def test_iq_is_answered_in_the_end(server):
    alice = server.client("alice")
    bob = watched(server, alice, resume=False)
    id = alice.ask("get", "<odd xmlns='urn:example:odd'/>", bob.jid)
    bob.take("iq", id=id)
    bob.drop()
    bounce = alice.take("iq", id=id, type="error")
    if child(bounce, "error/stanzas:service-unavailable") is None:
        fail(alice, f"expected service-unavailable: {show(bounce)}")


def test_queue_limit(server):
    """A session that was lost does not collect for ever; its messages go to the account."""
    with Server({"plugins": {"stream_mgmt": {"max_queue": 10}}}) as s:
        alice = s.client("alice")
        bob = watched(s, alice)
        bob.queue.clear()
        bob.ack()
        bob.drop()
        other = s.client(user=bob.user, priority=-1)
        other.take("presence", from_=bob.jid)
        for i in range(15):
            alice.message(bob.jid, f"m{i}")
        alice.take("presence", from_=bob.jid, type="unavailable")
        again = s.client(user=bob.user)
        for i in range(15):
            again.take("message", body=f"m{i}")


def test_slow_reader(server):
    """A client that does not read is given up; its session can be resumed, and nothing is lost."""
    limits = {"limits": {"output": "64K"}, "plugins": {"stream_mgmt": {"max_queue": 10000, "max_bytes": "100M"}}}
    with Server(limits) as s:
        alice, bob = s.client("alice"), managed(s, auto=True)
        count, body = 300, "x" * 50000
        for i in range(count):
            alice.message(bob.jid, body, id=f"m{i}")
        alice.expect_nothing()
        bob.sm.received = got = attempts = 0  # bob has read nothing of it
        while got < count:
            attempts += 1
            again, before = s.authed(bob), got
            again.resume(bob.sm)
            again.expect("sm:resumed", previd=bob.sm.id)
            while got < count and not differences(e := again.next(), "message", id=f"m{got}"):
                got += 1
            assert got > before, f"no progress at m{got}: {show(e)[:200]}"
        assert attempts < count, "each connection brings something"


def test_big_resend(server):
    """More than limits.output at once is no slow reader, if the client does read."""
    with Server({"limits": {"output": "64K"}}) as s:
        alice, bob = s.client("alice"), managed(s, auto=True)
        bob.drop()
        for i in range(30):
            alice.message(bob.jid, "x" * 10000, id=f"m{i}")
        alice.expect_nothing()
        again = back(s, bob)
        for i in range(30):
            again.expect("message", id=f"m{i}")
        again.expect_nothing()


def test_shutdown_keeps_messages(server):
    """A clean stop does with unacknowledged messages what a loss does."""
    with Server(sqlite=True) as s:
        alice, bob = s.client("alice"), managed(s, resume=False)
        alice.message(bob.jid, "unseen")
        bob.take("message", body="unseen")
        s.restart()
        s.client(user=bob.user).take("message", body="unseen", has="delay:delay", from_=alice.jid)


def test_metrics(server):
    before = server.ctl("metrics")
    bob = managed(server)
    bob.drop()
    back(server, bob)
    assert metric(server.ctl("metrics"), "stream_mgmt_resumed") == metric(before, "stream_mgmt_resumed") + 1


def metric(text, part):
    return sum(float(line.split()[-1]) for line in text.splitlines() if part in line and not line.startswith("#"))
