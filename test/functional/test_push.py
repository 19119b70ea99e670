# SPDX-License-Identifier: Apache-2.0
"""Push notifications: XEP-0357."""
from element import NS, children
from mam import wait_for
from server import DOMAIN
from xmpp import fail

CONFIG = {"plugins": {"push": {"delay": "50ms", "max_devices": 2, "max_failures": 2}}}
PUSH, PUBSUB = "urn:xmpp:push:0", "http://jabber.org/protocol/pubsub"
OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"


def form(secret, form_type=OPTIONS):
    return (f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{form_type}</value></field>"
            f"<field var='secret'><value>{secret}</value></field></x>")


def enable(service, node="phone", inner=""):
    return f"<enable xmlns='{PUSH}' jid='{service}' node='{node}'>{inner}</enable>"


class Service:
    """A client that plays the push service of an app."""

    def __init__(self, server):
        self.client = server.client("app", resource="push", available=False)
        self.jid = self.client.jid

    def told(self, node="phone", secret=None, error=None):
        """The next notification; returns its summary."""
        iq = self.client.expect("iq", type="set", from_=DOMAIN)
        pubsub = iq.find(f"{{{PUBSUB}}}pubsub")
        publish = pubsub.find(f"{{{PUBSUB}}}publish")
        if publish.get("node") != node:
            fail(self.client, f"it is for node {node}")
        options = pubsub.find(f"{{{PUBSUB}}}publish-options")
        given = [f.find("{jabber:x:data}value").text for f in options.iter("{jabber:x:data}field")] if options is not None else []
        assert given == ([OPTIONS, secret] if secret else []), given
        inner = f"<error type='cancel'><{error} xmlns='{NS['stanzas']}'/></error>" if error else ""
        self.client.send(f"<iq type='{'error' if error else 'result'}' id='{iq.get('id')}' to='{iq.get('from')}'>{inner}</iq>")
        fields = publish.find(f"{{{PUBSUB}}}item/{{{PUSH}}}notification/{{jabber:x:data}}x")
        summary = {f.get("var"): f.find("{jabber:x:data}value").text for f in fields}
        assert summary.pop("FORM_TYPE") == "urn:xmpp:push:summary"
        return summary


def devices(server, account):
    return [(row["service"], row["node"]) for row in server.ctl_json("push", "list", account)]


def test_away(server):
    service, alice, bob = Service(server), server.client("alice"), server.client("bob", resource="phone")
    bob.result("set", enable(service.jid, inner=form("s3cret")))
    bob.end()
    alice.message(bob.bare, "hello")
    assert service.told(secret="s3cret") == {"message-count": "1"}
    alice.message(bob.bare, payload="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    alice.message(bob.bare, payload="<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>")
    assert service.told(secret="s3cret") == {"message-count": "2"}
    again = server.client(user=bob.user)
    again.take("message", body="hello")
    again.end()
    alice.message(bob.bare, "once more")
    assert service.told(secret="s3cret") == {"message-count": "1"}, "who was there has seen the others"


def test_several_at_once(server):
    """What comes together is one notification."""
    service, alice, bob = Service(server), server.client("alice"), server.client("bob")
    bob.result("set", enable(service.jid))
    bob.end()
    alice.send("".join(f"<message to='{bob.bare}' type='chat'><body>{i}</body></message>" for i in range(5)))
    assert service.told() == {"message-count": "5"}


def test_connected(server):
    """Who is connected is not woken; nor are others of the account while somebody takes the message."""
    service, alice, bob = Service(server), server.client("alice"), server.client("bob", resource="phone")
    bob.result("set", enable(service.jid))
    alice.message(bob.bare, "hello")
    bob.expect("message", body="hello")
    bob.end()
    alice.message(bob.bare, "now")
    assert service.told() == {"message-count": "1"}, "the first that it hears of"


def test_waiting_session(server):
    """A session that may be resumed is told of what it misses; the other device is not."""
    service, alice = Service(server), server.client("alice")
    phone = server.client("bob", resource="phone")
    desk = server.more(phone, resource="desk")
    phone.result("set", enable(service.jid, "phone"))
    desk.result("set", enable(service.jid, "desk"))
    phone.result("set", f"<enable xmlns='{NS['carbons']}'/>")
    phone.enable()
    phone.drop()
    wait_for(lambda: [r["connected"] for r in server.ctl_json("sessions", "list", "--account", phone.bare)
                      if r["jid"] == phone.jid] == [False], "the connection is lost")
    alice.message(phone.jid, "for the phone")
    assert service.told("phone") == {"message-count": "1"}
    desk.message(phone.bare, "to myself")
    alice.message(desk.jid, "for the desk")
    desk.take("message", body="for the desk")
    alice.message(phone.jid, "again for the phone")
    assert service.told("phone") == {"message-count": "2"}, "copies do not count, nor what one wrote"


def test_asked_again_and_ended(server):
    service, alice, bob = Service(server), server.client("alice"), server.client("bob")
    bob.result("set", enable(service.jid, "a", form("old")))
    bob.result("set", enable(service.jid, "a", form("new")))
    bob.result("set", enable(service.jid, "b"))
    bob.refused("set", enable(service.jid, "c"), "policy-violation")
    bob.refused("set", enable(service.jid, "a", form("x" * 5000)), "policy-violation")
    assert devices(server, bob.bare) == [(service.jid, "a"), (service.jid, "b")]
    bob.result("set", f"<disable xmlns='{PUSH}' jid='{service.jid}' node='b'/>")
    bob.end()
    alice.message(bob.bare, "hello")
    service.told("a", secret="new")
    again = server.client(user=bob.user)
    again.result("set", enable(service.jid, "b"))
    again.result("set", f"<disable xmlns='{PUSH}' jid='{service.jid}'/>")
    again.result("set", f"<disable xmlns='{PUSH}' jid='{service.jid}'/>")
    assert devices(server, bob.bare) == []


def test_refused(server):
    """A service that does not know a device is not asked for ever; one that can't answer now is."""
    service, alice, bob = Service(server), server.client("alice"), server.client("bob")
    bob.result("set", enable(service.jid))
    bob.end()
    for error in ("item-not-found", "service-unavailable", "item-not-found"):
        assert devices(server, bob.bare) == [(service.jid, "phone")]
        alice.message(bob.bare, error)
        service.told(error=error)
    wait_for(lambda: devices(server, bob.bare) == [], "the device is forgotten")


def test_wrong_requests(server):
    bob, eve = server.client("bob"), server.client("eve")
    for wrong in (f"<enable xmlns='{PUSH}'/>", f"<enable xmlns='{PUSH}' node='n'/>", f"<enable xmlns='{PUSH}' jid='a.example'/>",
                  enable("@"), enable("a.example", "n" * 1024), enable("a.example", inner=form("s", "other")),
                  f"<disable xmlns='{PUSH}'/>"):
        bob.refused("set", wrong, "bad-request")
    eve.refused("set", enable("a.example"), "service-unavailable", bob.bare)
    info = bob.result("get", f"<query xmlns='{NS['info']}'/>", bob.bare)
    assert PUSH in {f.get("var") for f in children(info, "info:query/info:feature")}


def test_by_command(server):
    service, bob = Service(server), server.client("bob")
    bob.result("set", enable(service.jid))
    server.ctl("push", "disable", bob.bare, service.jid, "phone")
    assert devices(server, bob.bare) == []
    code, _, err = server.ctl("push", "disable", bob.bare, service.jid, "phone", check=False)
    assert code == 1 and "no such device" in err
