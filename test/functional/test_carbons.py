# SPDX-License-Identifier: Apache-2.0
"""Message carbons (XEP-0280)."""
from element import NS, child, name, show
from server import DOMAIN
from xmpp import fail

ENABLE, DISABLE = f"<enable xmlns='{NS['carbons']}'/>", f"<disable xmlns='{NS['carbons']}'/>"
PRIVATE = f"<private xmlns='{NS['carbons']}'/>"


def three(server):
    """Alice, and two sessions of Bob with carbons."""
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one)
    for c in (one, other):
        c.result("set", ENABLE)
    return alice, one, other


def carbon(client, kind, **wanted):
    """The next element is a carbon of KIND ("sent", "received") of a message like this."""
    got = client.expect("message", from_=client.bare, to=client.jid, has=f"carbons:{kind}/forward:forwarded/message")
    inner = child(got, f"carbons:{kind}/forward:forwarded/message")
    for key, value in wanted.items():
        have = inner.findtext(name("body")) if key == "body" else inner.get(key.rstrip("_"))
        if have != value:
            fail(client, f"the forwarded {key} is {have!r}, not {value!r}: {show(got)}")
    return got


def test_received(server):
    alice, one, other = three(server)
    alice.message(one.jid, "hi", id="m")
    one.expect("message", body="hi", from_=alice.jid, to=one.jid, lacks="carbons:received")
    got = carbon(other, "received", body="hi", from_=alice.jid, to=one.jid, id="m")
    assert got.get("type") == "chat", "as the message it carries"
    one.quiet(alice)
    alice.quiet(one)


def test_sent(server):
    alice, one, other = three(server)
    one.message(alice.jid, "hello", id="m")
    alice.expect("message", body="hello", from_=one.jid)
    carbon(other, "sent", body="hello", from_=one.jid, to=alice.jid, id="m")
    one.quiet(other)


def test_bare_address(server):
    """With equal priorities both have the message already: no copies of it."""
    alice, one, other = three(server)
    alice.message(one.bare, "hi")
    for c in (one, other):
        c.expect("message", body="hi", from_=alice.jid)
        c.quiet(alice)


def test_bare_address_to_the_highest(server):
    alice, one, other = three(server)
    one.presence(priority=5)
    for c in (one, other):
        c.expect("presence", from_=one.jid)
    alice.message(one.bare, "hi")
    one.expect("message", body="hi")
    carbon(other, "received", body="hi")
    one.quiet(alice)


def test_sent_without_enabling(server):
    """The sender need not have carbons for the others to get copies."""
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one)
    other.result("set", ENABLE)
    one.message(alice.jid, "hello")
    carbon(other, "sent", body="hello")
    alice.message(one.jid, "hi")
    carbon(other, "received", body="hi")


def test_not_enabled(server):
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one)
    one.result("set", ENABLE)
    alice.message(one.jid, "hi")
    one.expect("message", body="hi")
    other.quiet(alice)


def test_disable(server):
    alice, one, other = three(server)
    other.result("set", DISABLE)
    alice.message(one.jid, "hi")
    one.message(alice.jid, "hello")
    one.expect("message", body="hi")
    other.quiet(alice, one)


def test_enable_twice(server):
    alice, one, other = three(server)
    other.result("set", ENABLE)
    alice.message(one.jid, "hi")
    carbon(other, "received", body="hi")
    other.quiet(alice)


def test_private(server):
    alice, one, other = three(server)
    alice.message(one.jid, "psst", payload=PRIVATE)
    one.expect("message", body="psst")
    one.message(alice.jid, "psst", payload=PRIVATE)
    other.quiet(alice, one)


def test_no_copy(server):
    alice, one, other = three(server)
    alice.message(one.jid, "psst", payload="<no-copy xmlns='urn:xmpp:hints'/>")
    one.expect("message", body="psst")
    other.quiet(alice)


def test_kinds(server):
    """What is copied and what is not."""
    alice, one, other = three(server)
    alice.message(one.jid, "normal", type=None)
    carbon(other, "received", body="normal")
    alice.message(one.jid, payload="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    carbon(other, "received")
    alice.message(one.jid, payload="<received xmlns='urn:xmpp:receipts' id='1'/>", type=None)
    carbon(other, "received")
    for given in ({"type": "headline", "body": "news"}, {"type": "groupchat", "body": "room"},
                  {"type": None, "payload": "<event xmlns='http://jabber.org/protocol/pubsub#event'/>"},
                  {"body": "pm", "payload": "<x xmlns='http://jabber.org/protocol/muc#user'/>"}):
        alice.message(one.jid, **given)
    other.quiet(alice)


def test_bounce_is_copied_to_others_only(server):
    """The error of a sent message goes to the sender, and a copy to who had a copy of the message."""
    _, one, other = three(server)
    one.message(f"nobody@{DOMAIN}", "anybody?", id="m")
    one.expect_bounce("message", "service-unavailable", id="m")
    carbon(other, "sent", body="anybody?")
    carbon(other, "received", type="error")
    one.quiet(other)


def test_between_own_sessions(server):
    _, one, other = three(server)
    one.message(other.jid, "note")
    other.expect("message", body="note", from_=one.jid)
    other.quiet(one)
    one.quiet(other)


def test_forged_carbon_is_only_a_message(server):
    """A message that looks like a carbon keeps the address of who sent it: clients tell by that."""
    alice, one, _ = three(server)
    forged = (f"<received xmlns='{NS['carbons']}'><forwarded xmlns='{NS['forward']}'><message xmlns='jabber:client' "
              f"from='boss@{DOMAIN}/x' to='{one.jid}'><body>obey</body></message></forwarded></received>")
    alice.message(one.jid, payload=forged)
    one.expect("message", from_=alice.jid)


def test_unavailable_session(server):
    """Carbons need no presence."""
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one, available=False)
    other.result("set", ENABLE)
    alice.message(one.jid, "hi")
    carbon(other, "received", body="hi")


def test_not_for_others(server):
    alice, bob = server.client("alice"), server.client("bob")
    assert alice.iq("set", ENABLE, bob.bare).get("type") == "error"


def test_message_to_self_bare(server):
    alice, one, other = three(server)
    one.message(one.bare, "to me")
    for c in (one, other):
        c.expect("message", body="to me", from_=one.jid)
    other.quiet(one)
    one.quiet(other)
    del alice
