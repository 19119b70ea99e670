# SPDX-License-Identifier: Apache-2.0
"""RFC 6121 across domains: subscriptions, probes, directed presence, queries."""
from element import name
from federation import FAR, both
from server import wait_until

SERVER = False


def test_subscription_and_presence():
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        for client in (alice, bob):
            client.result("get", "<query xmlns='jabber:iq:roster'/>")
        alice.presence(to=bob.bare, type="subscribe")
        alice.take("iq", type="set")
        bob.take("presence", type="subscribe", from_=alice.bare)
        bob.presence(to=alice.bare, type="subscribed")
        bob.take("iq", type="set")
        alice.take("presence", type="subscribed", from_=bob.bare)
        alice.take("presence", from_=bob.jid, type=None)
        # Presence follows, and a new session is told by its probe.
        bob.presence("<show>away</show>")
        alice.take("presence", from_=bob.jid, has="show")
        second = near.more(alice)
        second.take("presence", from_=bob.jid, has="show")
        # The end of a session, and the loss of a connection.
        bob.presence(type="unavailable")
        alice.take("presence", from_=bob.jid, type="unavailable")
        bob.available()
        alice.take("presence", from_=bob.jid, type=None)
        bob.drop()
        alice.take("presence", from_=bob.jid, type="unavailable")
        # And its end.
        alice.presence(to=bob.bare, type="unsubscribe")
        alice.take("iq", type="set")


def befriend(a, b):
    for client in (a, b):
        client.result("get", "<query xmlns='jabber:iq:roster'/>")
    for one, other in ((a, b), (b, a)):
        one.presence(to=other.bare, type="subscribe")
        other.take("presence", type="subscribe", from_=one.bare)
        other.presence(to=one.bare, type="subscribed")
        one.take("presence", type="subscribed", from_=other.bare)
        one.take("presence", from_=other.jid, type=None)
    for client, contact in ((a, b.bare), (b, a.bare)):
        while subscription(client, contact) != "both":
            pass


def subscription(client, contact):
    """As the roster has it, or None."""
    answer = client.ask("get", "<query xmlns='jabber:iq:roster'/>")
    roster = client.take("iq", type="result", id=answer)
    client.queue[:] = [e for e in client.queue if not (e.tag.endswith("}iq") and e.get("type") == "set")]
    items = [i for i in roster.iter(name("roster:item")) if i.get("jid") == contact]
    return items[0].get("subscription") if items else None


def test_subscription_is_cancelled():
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        befriend(alice, bob)
        bob.presence(to=alice.bare, type="unsubscribed")
        alice.take("presence", type="unsubscribed", from_=bob.bare)
        alice.take("presence", type="unavailable", from_=bob.jid)
        wait_until(lambda: subscription(alice, bob.bare) == "from" and subscription(bob, alice.bare) == "to")
        bob.presence("<show>dnd</show>")
        bob.message(alice.jid, "after it", id="m")
        alice.expect("message", id="m")


def test_contact_is_removed():
    """Both subscriptions end, and each stops seeing the other."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        befriend(alice, bob)
        alice.result("set", f"<query xmlns='jabber:iq:roster'><item jid='{bob.bare}' subscription='remove'/></query>")
        bob.take("presence", type="unsubscribe", from_=alice.bare)
        bob.take("presence", type="unsubscribed", from_=alice.bare)
        bob.take("presence", type="unavailable", from_=alice.jid)
        alice.take("presence", type="unavailable", from_=bob.jid)
        wait_until(lambda: subscription(bob, alice.bare) == "none")
        assert subscription(alice, bob.bare) is None


def test_contact_comes_back():
    """A probe finds who is there; who was away is told by the other's presence."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        befriend(alice, bob)
        alice.end()
        bob.take("presence", type="unavailable", from_=alice.jid)
        again = near.client(user=alice.user)
        again.take("presence", from_=bob.jid, type=None)
        bob.take("presence", from_=again.jid, type=None)


def test_broadcast_to_the_unreachable():
    """A client that says it is available does not hear of each contact whose server is gone."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        befriend(alice, bob)
        far.drop_clients()
        far.stop()
        alice.take("presence", type="unavailable", from_=bob.jid)
        alice.presence("<show>away</show>")
        alice.take("presence", from_=alice.jid, has="show")
        near.wait_log(f"there is no stream to {FAR}")
        alice.expect_nothing()


def test_directed_presence():
    """Who got it without a subscription hears of the end."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        alice.presence(to=bob.jid)
        bob.take("presence", from_=alice.jid, type=None)
        alice.drop()
        bob.take("presence", from_=alice.jid, type="unavailable")


def test_unavailable_when_the_server_stops():
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        alice.presence(to=bob.jid)
        bob.take("presence", from_=alice.jid, type=None)
        near.stop()
        bob.take("presence", from_=alice.jid, type="unavailable")


def test_iq():
    near, far = both()
    with near, far:
        alice = near.client("alice")
        alice.result("get", "<ping xmlns='urn:xmpp:ping'/>", to=FAR)
        alice.result("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", to=FAR)
        alice.refused("get", "<odd xmlns='urn:example:odd'/>", "service-unavailable", to=FAR)
        alice.refused("get", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", to=f"nobody@{FAR}/x")
