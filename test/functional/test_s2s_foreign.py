# SPDX-License-Identifier: Apache-2.0
"""Federation with Prosody and ejabberd: both directions, certificates and dialback, presence, rooms of theirs."""
from element import NS
from federation import Federated, proofs, talk, untrusting
from foreign import Ejabberd, Prosody
from zone import Zone

SERVER = False
LIMIT = 240
COST = 20


def subscribe(a, b):
    """A to the presence of B, and back; who goes away is seen."""
    for client in (a, b):
        client.result("get", f"<query xmlns='{NS['roster']}'/>")
    for one, other in ((a, b), (b, a)):
        one.presence(to=other.bare, type="subscribe")
        other.take("presence", type="subscribe", from_=one.bare)
        other.presence(to=one.bare, type="subscribed")
        one.take("presence", type="subscribed", from_=other.bare)
        one.take("presence", from_=other.jid, type=None)
    b.presence("<show>away</show>")
    a.take("presence", from_=b.jid, has="show")
    b.drop()
    a.take("presence", from_=b.jid, type="unavailable")


def chat(a, b, rooms):
    """Both in a room of the other server."""
    room = f"lounge@{rooms}"
    join = "<x xmlns='http://jabber.org/protocol/muc'/>"
    b.presence(join, to=f"{room}/b")
    b.take("presence", from_=f"{room}/b")
    b.iq("set", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>",
         to=room)
    a.presence(join, to=f"{room}/a")
    a.take("presence", from_=f"{room}/a")
    a.message(room, "hello all", type="groupchat", id="g1")
    for client in (a, b):
        client.take("message", from_=f"{room}/a", body="hello all")
    b.message(room, "welcome", type="groupchat", id="g2")
    for client in (a, b):
        client.take("message", from_=f"{room}/b", body="welcome")
    a.drop()
    b.take("presence", from_=f"{room}/a", type="unavailable")


def with_peer(kind, proof, config=None, **how):
    """All of it against one of them; PROOF is how each side comes to believe the other."""
    zone, domain = Zone(kind.target), f"{kind.name}.example"
    with Federated(zone, config=config) as server, kind(zone, domain, **how) as peer:
        alice, bob = server.client("alice"), peer.client("bob")
        talk(alice, bob)
        assert proofs(server, domain) == proof, server.links()
        alice.result("get", f"<ping xmlns='{NS['ping']}'/>", to=domain)
        bob.result("get", f"<ping xmlns='{NS['ping']}'/>", to="one.example")
        chat(server.client("carol"), bob, peer.rooms)
        subscribe(alice, peer.client("dave"))


CERTIFICATES = {("in", "certificate"), ("out", "certificate")}
DIALBACK = {("in", "dialback"), ("out", "dialback")}


def test_prosody_certificates():
    with_peer(Prosody, CERTIFICATES, strict=True)


def test_prosody_dialback():
    with_peer(Prosody, DIALBACK, config=untrusting, trust=False)


def test_prosody_bidi():
    """XEP-0288: one stream for both directions, whoever has opened it."""
    with_peer(Prosody, {("out", "certificate")}, strict=True, bidi=True)
    zone = Zone()
    with Federated(zone) as server, Prosody(zone, "prosody.example", strict=True, bidi=True) as peer:
        talk(peer.client("bob"), server.client("alice"))
        assert proofs(server, "prosody.example") == {("in", "certificate")}, server.links()


def test_ejabberd_certificates():
    with_peer(Ejabberd, CERTIFICATES, strict=True)


def test_ejabberd_dialback():
    with_peer(Ejabberd, DIALBACK, config=untrusting, trust=False)


# ---- certificates that are not good enough

BAD = (("it has expired", {"days": -1}), ("for other names", {"names": "DNS:other.example"}),
       ("it is not for servers", {"extensions": "extendedKeyUsage=clientAuth"}))


def refuses_bad(kind):
    """Where a certificate is required nothing goes to a server that has none, and the sender hears of it."""
    zone = Zone(kind.target)
    with Federated(zone, config=lambda t: t["s2s"].update(certificate="required")) as server:
        alice = server.client("alice")
        for i, (why, cert) in enumerate(BAD):
            domain = f"{kind.name}{i}.example"  # the resolver remembers where the last one was
            with kind(zone, domain, cert={"names": f"DNS:{domain}", **cert}):
                alice.message(f"bob@{domain}", "hello", id="m")
                alice.expect_bounce("message", "remote-server-timeout", id="m")
                server.wait_log(why)


def test_prosody_bad_certificates():
    refuses_bad(Prosody)


def test_ejabberd_bad_certificates():
    refuses_bad(Ejabberd)
