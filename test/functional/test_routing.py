# SPDX-License-Identifier: Apache-2.0
"""RFC 6121, section 8: who gets a stanza, by the kind of address, the kind of stanza, and who is there."""
import itertools

from element import NS, attrs, child, escape, show
from server import DOMAIN, OTHER, Server
from xmpp import fail

marks = itertools.count(1)
PING = f"<ping xmlns='{NS['ping']}'/>"
ODD = "<odd xmlns='urn:example:odd'/>"


def settled(sender, *targets):
    """Everything SENDER sent to these bare addresses was dealt with, and nothing came back of it: a groupchat message
    to a bare address is always refused, in its order."""
    for target in targets:
        id = f"settled{next(marks)}"
        sender.message(target, type="groupchat", id=id)
        sender.expect_bounce("message", "service-unavailable", id=id, from_=target)


def two(server, **how):
    return server.client("alice"), server.client("bob", **how)


# ---- messages to a bare address

def test_bare_to_the_only_resource(server):
    alice, bob = two(server)
    for type in ("chat", "normal", "headline", None, "nonsense"):
        alice.message(bob.bare, f"hello {type}", type=type, id="m")
        got = bob.expect("message", from_=alice.jid, to=bob.bare, id="m", body=f"hello {type}")
        assert got.get("type") == type, show(got)
    settled(alice, bob.bare)


def test_bare_groupchat(server):
    alice, bob = two(server)
    alice.message(bob.bare, "hi", type="groupchat", id="m")
    alice.expect_bounce("message", "service-unavailable", kind="cancel", id="m", from_=bob.bare, to=alice.jid)
    bob.quiet(alice)


def test_bare_error(server):
    alice, bob = two(server)
    alice.message(bob.bare, type="error", payload="<error type='cancel'/>")
    settled(alice, bob.bare)
    bob.quiet(alice)


def test_bare_highest_priority(server):
    alice, low = two(server, priority=1)
    high = server.more(low, priority=5)
    alice.message(low.bare, "hi")
    high.expect("message", body="hi")
    low.quiet(alice)
    high.presence(priority=0)
    for c in (low, high):
        c.expect("presence", from_=high.jid)
    alice.message(low.bare, "now you")
    low.expect("message", body="now you")
    high.quiet(alice)


def test_bare_equal_priorities(server):
    alice, one = two(server)
    other = server.more(one)
    alice.message(one.bare, "both of you")
    one.expect("message", body="both of you")
    other.expect("message", body="both of you")


def test_bare_headline_to_all_that_want(server):
    alice, low = two(server, priority=1)
    high = server.more(low, priority=5)
    never = server.more(low, high, priority=-1)
    alice.message(low.bare, "news", type="headline")
    low.expect("message", body="news")
    high.expect("message", body="news")
    never.quiet(alice)


def test_negative_priority(server):
    alice, bob = two(server, priority=-1)
    alice.message(bob.bare, "kept")
    alice.message(bob.bare, "lost", type="headline")
    settled(alice, bob.bare)
    bob.quiet(alice)
    alice.message(bob.jid, "direct")
    bob.expect("message", body="direct")
    bob.presence(priority=0)
    bob.take("message", body="kept", has="delay:delay")


def test_bare_without_resources(server):
    alice = server.client("alice")
    bob = server.account("bob")
    for type in ("chat", "normal", None):
        alice.message(f"{bob}@{DOMAIN}", f"kept {type}", type=type)
    for type in ("headline", "error"):
        alice.message(f"{bob}@{DOMAIN}", f"lost {type}", type=type)
    settled(alice, f"{bob}@{DOMAIN}")
    bob = server.client(user=bob)
    for type in ("chat", "normal", None):
        bob.expect("message", body=f"kept {type}", has="delay:delay")
    bob.quiet(alice)


def test_bound_but_not_available(server):
    """A resource without presence gets what is sent to its full address only."""
    alice, bob = two(server, available=False)
    alice.message(bob.bare, "later", type="headline")
    settled(alice, bob.bare)
    alice.message(bob.jid, "now")
    bob.expect("message", body="now", to=bob.jid)


# ---- messages to a full address

def test_full(server):
    alice, bob = two(server)
    other = server.more(bob, priority=10)
    for type in ("chat", "normal", "headline", "groupchat", "error", None):
        alice.message(bob.jid, f"for {type}", type=type)
        bob.expect("message", body=f"for {type}", to=bob.jid, from_=alice.jid)
    other.quiet(alice)


def test_full_gone(server):
    """The resource is gone: chat and normal go to the account, the rest does not."""
    alice, bob = two(server)
    gone = bob.bare + "/gone"
    for type in ("chat", "normal", None):
        alice.message(gone, f"to whom it may concern {type}", type=type)
        bob.expect("message", body=f"to whom it may concern {type}")
    for type in ("headline", "error"):
        alice.message(gone, "lost", type=type)
    alice.message(gone, "refused", type="groupchat", id="g")
    alice.expect_bounce("message", "service-unavailable", id="g", from_=gone)
    bob.quiet(alice)


def test_full_gone_nobody_there(server):
    alice = server.client("alice")
    bob = server.account("bob")
    alice.message(f"{bob}@{DOMAIN}/gone", "kept")
    settled(alice, f"{bob}@{DOMAIN}")
    server.client(user=bob).expect("message", body="kept", has="delay:delay")


# ---- presence

def test_directed_presence(server):
    alice, bob = two(server)
    other = server.more(bob, priority=-1)
    alice.presence("<status>here</status>", to=bob.bare)
    for c in (bob, other):
        c.expect("presence", from_=alice.jid, has="status")
    alice.presence(to=bob.jid, type="unavailable")
    bob.expect("presence", from_=alice.jid, to=bob.jid, type="unavailable")
    other.quiet(alice)


def test_presence_to_nobody(server):
    alice, bob = two(server)
    for to in (bob.bare + "/gone", f"nobody@{DOMAIN}"):
        for type in (None, "unavailable", "probe"):
            alice.presence(to=to, type=type)
    settled(alice, bob.bare, f"nobody@{DOMAIN}")
    bob.quiet(alice)


def test_unknown_presence_type(server):
    alice, bob = two(server)
    alice.presence(to=bob.bare, type="nonsense", id="p")
    alice.expect_bounce("presence", "bad-request", id="p")
    bob.quiet(alice)


# ---- iq

def test_iq_between_clients(server):
    alice, bob = two(server)
    id = alice.ask("get", ODD, bob.jid)
    got = bob.expect("iq", type="get", from_=alice.jid, to=bob.jid, id=id)
    assert got[0].tag == "{urn:example:odd}odd"
    bob.send(f"<iq type='result' id='{id}' to='{alice.jid}'/>")
    alice.expect("iq", type="result", id=id, from_=bob.jid, to=alice.jid)
    id = alice.ask("set", ODD, bob.jid)
    bob.expect("iq", type="set", id=id)
    bob.send(f"<iq type='error' id='{id}' to='{alice.jid}'><error type='cancel'/></iq>")
    alice.expect("iq", type="error", id=id, from_=bob.jid)


def test_iq_to_negative_priority(server):
    alice, bob = two(server, priority=-5)
    id = alice.ask("get", ODD, bob.jid)
    bob.expect("iq", id=id)


def test_iq_full_gone(server):
    alice, bob = two(server)
    gone = bob.bare + "/gone"
    for type in ("get", "set"):
        alice.refused(type, ODD, "service-unavailable", gone, kind="cancel")
    for type in ("result", "error"):
        alice.send(f"<iq type='{type}' id='x' to='{gone}'/>")
    settled(alice, bob.bare)
    bob.quiet(alice)


def test_iq_bare_is_the_servers(server):
    """The account answers, its clients do not even hear of it."""
    alice, bob = two(server)
    for type in ("get", "set"):
        alice.refused(type, ODD, "service-unavailable", bob.bare)
    bob.quiet(alice)


def test_iq_unknown(server):
    c = server.client()
    for to in (DOMAIN, None, c.bare, OTHER):
        for type in ("get", "set"):
            c.refused(type, ODD, "service-unavailable", to)


def test_stray_answers(server):
    c = server.client()
    for to in (DOMAIN, None, c.bare, OTHER):
        c.send(f"<iq{attrs(type='result', id='x', to=to)}/>")
    c.expect_nothing()


def test_bad_iq(server):
    c = server.client()
    for stanza in (f"<iq type='get'>{PING}</iq>", f"<iq id='x'>{PING}</iq>", f"<iq type='nonsense' id='x'>{PING}</iq>",
                   "<iq type='get' id='x'/>", "<iq type='set' id='x'/>", f"<iq type='get' id='x'>{PING}{PING}</iq>"):
        c.send(stanza)
        c.expect_bounce("iq", "bad-request")


def test_session_of_old_clients(server):
    c = server.client(available=False)
    c.result("set", f"<session xmlns='{NS['session']}'/>")
    c.result("set", f"<session xmlns='{NS['session']}'/>", DOMAIN)


def test_bind_twice(server):
    c = server.client()
    c.refused("set", f"<bind xmlns='{NS['bind']}'/>", "not-allowed")


def test_answer_keeps_id(server):
    c = server.client()
    for id in ("a", "ü&<>\"'", "x" * 200, " "):
        c.result("get", PING, DOMAIN, id=id)


# ---- users who do not exist

def test_nobody(server):
    c = server.client()
    nobody = f"nobody@{DOMAIN}"
    for to in (nobody, nobody + "/desk"):
        for type in ("chat", "normal", None):
            c.message(to, "anybody?", type=type, id="m")
            c.expect_bounce("message", "service-unavailable", kind="cancel", id="m", from_=to, to=c.jid)
        c.refused("get", ODD, "service-unavailable", to)
        c.message(to, "x", type="headline")
        c.message(to, "x", type="error")
    settled(c, nobody)


def test_nobody_is_not_made(server):
    """Being written to makes no account."""
    c = server.client()
    c.message(f"ghost@{DOMAIN}", "boo", id="m")
    c.expect_bounce("message", "service-unavailable")
    assert not server.exists(f"ghost@{DOMAIN}")


# ---- addresses

def test_jid_malformed(server):
    c = server.client()
    for to in ("@" + DOMAIN, "a@", "a@b@c d", "/x", "a@" + DOMAIN + "/", "a b@" + DOMAIN, "<a>@" + DOMAIN,
               "x" * 1024 + "@" + DOMAIN, "a@" + DOMAIN + "/" + "y" * 1024, "a@..", "a\u00a0b@" + DOMAIN):
        to = escape(to, {"'": "&apos;"})
        c.send(f"<message to='{to}' id='m'><body>x</body></message>")
        c.expect_bounce("message", "jid-malformed", kind="modify", id="m")
        c.send(f"<iq type='get' to='{to}' id='i'>{PING}</iq>")
        c.expect_bounce("iq", "jid-malformed", id="i")


def test_jid_is_prepared(server):
    alice = server.client("alice")
    bob = server.client("bob", resource="Desk")
    alice.message(bob.user.upper() + "@ONE.Example/Desk", "hi")
    bob.expect("message", body="hi", to=bob.jid)
    alice.message(bob.bare + "/desk", "resources have case", type="headline")
    bob.quiet(alice)


def test_elsewhere(server):
    c = server.client()
    for to in ("juliet@capulet.example", "capulet.example", "juliet@capulet.example/balcony"):
        c.message(to, "hi", id="m")
        c.expect_bounce("message", "remote-server-not-found", kind="cancel", id="m", from_=to)
        c.refused("get", PING, "remote-server-not-found", to)
    c.presence(to="juliet@capulet.example")
    c.message("juliet@capulet.example", type="error")
    c.send("<iq type='result' id='x' to='juliet@capulet.example'/>")
    c.expect_nothing()


def test_other_host_of_ours(server):
    alice = server.client("alice")
    bob = server.client("bob", domain=OTHER)
    alice.message(bob.bare, "across")
    bob.expect("message", from_=alice.jid, body="across")
    bob.message(alice.jid, "back")
    alice.expect("message", from_=bob.jid, body="back")
    alice.result("get", PING, OTHER)


def test_message_to_the_host(server):
    c = server.client()
    c.message(DOMAIN, "hello server", id="m")
    c.expect_bounce("message", "service-unavailable", id="m", from_=DOMAIN)
    c.message(DOMAIN, "x", type="error")
    c.presence(to=DOMAIN)
    c.expect_nothing()


# ---- oneself

def test_message_to_self(server):
    one = server.client()
    other = server.more(one)
    one.message(other.jid, "note")
    other.expect("message", body="note", from_=one.jid)
    one.message(one.bare, "both")
    for c in (one, other):
        c.expect("message", body="both", from_=one.jid)
    one.message(None, "no address")
    for c in (one, other):
        c.expect("message", body="no address", from_=one.jid)


def test_order_is_kept(server):
    alice, bob = two(server)
    for i in range(300):
        alice.send(f"<message to='{bob.bare}' id='{i}'/><iq to='{bob.jid}' id='{i}' type='result'/>")
    for i in range(300):
        bob.expect("message", id=str(i))
        bob.expect("iq", id=str(i))


def test_error_carries_what_was_sent(server):
    c = server.client()
    c.message(f"nobody@{DOMAIN}", "anybody?", id="m")
    bounce = c.expect_bounce("message", "service-unavailable")
    error = child(bounce, "error")
    if error.get("type") != "cancel" or bounce.get("id") != "m":
        fail(c, f"a bounce has id and type: {show(bounce)}")


def test_full_mailbox(server):
    """What waits for an account is bounded: the rest is refused, and nothing is lost without a word."""
    # One worker and deferred stores: all of one read waits behind the first message's turn.
    with Server({"workers": 1, "yield_chaos": True, "limits": {"mailbox": 10}}) as s:
        alice, bob, count = s.client("alice"), s.account("bob"), 120
        to = f"{bob}@{DOMAIN}"
        alice.send("".join(f"<message to='{to}' type='chat' id='m{i}'><body>{i}</body></message>" for i in range(count)))
        alice.send(f"<iq type='get' id='end' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
        refused = set()
        for i in range(count):
            got = alice.next()
            if got.get("id") == "end":
                break
            assert child(got, "error/stanzas:resource-constraint") is not None, show(got)
            refused.add(got.get("id"))
        assert refused, "nothing was refused"
        taken = [i for i in range(count) if f"m{i}" not in refused]
        there = s.client(user=bob)
        for i in taken:
            there.expect("message", body=str(i))
        there.expect_nothing()
