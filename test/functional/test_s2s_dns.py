# SPDX-License-Identifier: Apache-2.0
"""Servers that can't be reached, and what DNS says: refusals, back-off, bounds, DNSSEC and DANE."""
import base64
import hashlib
import socket
import ssl

from federation import FAR, Federated, authority, both, certificate_for, pin_of, proofs, talk, untrusting
from server import Port, Skip
from test_amp import amp, rule, told
from zone import A, SRV, TLSA, Zone

SERVER = False


# ---- what can't be reached

def test_unknown_domain():
    near = Federated()
    with near:
        alice = near.client("alice")
        for domain in ("nowhere.example", "a.b.c.example"):
            alice.message(f"bob@{domain}", "hello", id="m")
            alice.expect_bounce("message", "remote-server-not-found", id="m")
            alice.refused("get", "<ping xmlns='urn:xmpp:ping'/>", "remote-server-not-found", to=domain)
            alice.presence(to=f"room@{domain}/nick")
            alice.expect_bounce("presence", "remote-server-not-found", from_=f"room@{domain}/nick")


def test_rules_for_what_nobody_gets():
    """XEP-0079: only what goes nowhere is undelivered, not all that goes elsewhere."""
    near, far = both(lambda t: t["plugins"].update(amp={}))
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        for to in (bob.jid, "bob@nowhere.example"):
            alice.message(to, "hello", id="m", payload=amp(rule("alert", "deliver", "none")))
        told(alice, "bob@nowhere.example", "alert", [("alert", "deliver", "none")])
        bob.expect("message", body="hello")
        alice.quiet()


def test_service_refused_by_dns():
    """An SRV record with the root as its target: no such service, and no address is looked for (RFC 2782)."""
    near = Federated()
    with near:
        near.zone.add(f"_xmpp-server._tcp.{FAR}", SRV, (0, 0, 0, "."))
        near.zone.add(FAR, A, "127.0.0.1")
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.expect_bounce("message", "remote-server-not-found", id="m")
        assert (FAR, A) not in near.zone.asked


def test_dns_does_not_answer():
    near = Federated(dns_timeout=500)
    with near:
        near.zone.silent.add("example")
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_unsigned_answers():
    """Where DNSSEC says that a zone is signed, answers that are not are no answers."""
    near, far = both()
    with near, far:
        with open(f"{near.folder}/anchor", "w") as f:
            f.write("example. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
        near.configure(lambda t: t["s2s"].update(dnssec_anchor=f"{near.folder}/anchor"))
        near.restart()
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_backoff():
    """After a failure nothing is tried for a while, and all is refused at once."""
    near = Federated(backoff=3600000, backoff_max=3600000)
    with near:
        closed = Port()
        near.zone.server(FAR, closed.number)
        alice = near.client("alice")
        for i in range(3):
            alice.message(f"bob@{FAR}", "hello", id=f"m{i}")
            alice.expect_bounce("message", "remote-server-timeout", id=f"m{i}")
        assert near.log().count(f"there is no stream to {FAR}") == 1
        assert [row["state"] for row in near.links()] == ["failed"]
        near.ctl("s2s", "close", f"domain={FAR}")
        alice.message(f"bob@{FAR}", "hello", id="again")
        alice.expect_bounce("message", "remote-server-timeout", id="again")
        near.wait_log(f"there is no stream to {FAR}", 2)


def test_queue_is_bounded():
    """What waits for a server that takes its time is bounded; the rest comes back at once, what waited later."""
    near = Federated(queue=3)
    with near, socket.create_server(("127.0.0.1", 0)) as mute:
        near.zone.server(FAR, mute.getsockname()[1])
        alice = near.client("alice")
        for i in range(5):
            alice.message(f"bob@{FAR}", "hello", id=f"m{i}")
        for i in (3, 4):
            alice.expect_bounce("message", "resource-constraint", id=f"m{i}")
        near.ctl("s2s", "close")
        for i in range(3):
            alice.expect_bounce("message", "remote-server-timeout", id=f"m{i}")


def test_connecting_is_bounded():
    """No more servers at once than s2s.connecting are looked for; what is for more comes back."""
    near = Federated(connecting=3, dns_timeout=600000)
    with near:
        near.zone.silent.add("example")
        alice = near.client("alice")
        for i in range(40):
            alice.message(f"bob@host{i}.example", "hello")
        for _ in range(40 - 2 * 3):  # of two workers
            alice.expect_bounce("message", "resource-constraint")
        near.ctl("s2s", "close")
        for _ in range(2 * 3):
            alice.expect_bounce("message", "remote-server-timeout")


def test_stop_refuses_what_waits():
    near = Federated()
    with near, socket.create_server(("127.0.0.1", 0)) as mute:
        near.zone.server(FAR, mute.getsockname()[1])
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.iq("get", "<ping xmlns='urn:xmpp:ping'/>")
        near.stop()


# ---- certificates in DNS

def signed(**options):
    """Both, their zone signed; the one under test trusts no authority."""
    try:
        zone = Zone(signed=True)
    except ImportError:
        raise Skip("python3-cryptography is missing") from None

    far = Federated(zone, domains=[FAR])
    with open(f"{far.folder}/anchor", "w") as f:
        f.write(zone.signer.anchor)
    near = Federated(zone, config=untrusting, dnssec_anchor=f"{far.folder}/anchor", **options)
    return near, far


def tlsa(far, usage=3, selector=1, hash="sha256", cert=None):
    """A record for the certificate of FAR, or CERT."""
    cert = cert or far.config["hosts"][0]["certificate"]
    der = base64.b64decode(pin_of(cert)) if selector == 1 else None
    if der is None or hash != "sha256":
        with open(cert) as f:
            der = hashlib.new(hash, ssl.PEM_cert_to_DER_cert(f.read())).digest()
    far.zone.add(f"_{far.s2s.number}._tcp.xmpp.{FAR}", TLSA, (usage, selector, {"sha256": 1, "sha512": 2}[hash], der))


def test_dane():
    """A certificate that a signed zone names is as good as one that an authority signed (RFC 7673)."""
    for how in ({}, {"selector": 0}, {"selector": 0, "hash": "sha512"}):
        near, far = signed(certificate="required", bidi=True)
        with near, far:
            tlsa(far, **how)
            talk(near.client("alice"), far.client("bob", FAR))
            assert proofs(near) == {("out", "certificate")}, near.links()


def test_dane_names_an_authority():
    """That of a chain, which must name the domain (usage 2)."""
    for names, good in ((None, True), ("DNS:other.example", False)):
        near, far = signed(certificate="required", bidi=True)

        def chained(tree):
            cert, key = certificate_for(far.folder, FAR, name="chained", names=names)
            with open(cert, "a") as f, open(authority()) as ca:
                f.write(ca.read())
            tree["hosts"][0].update(certificate=cert, key=key)
        with near, far:
            far.configure(chained)
            far.restart()
            tlsa(far, usage=2, selector=0, cert=authority())
            alice, bob = near.client("alice"), far.client("bob", FAR)
            if good:
                talk(alice, bob)
            else:
                alice.message(bob.jid, "hello", id="m")
                alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_dane_says_another():
    """The wrong certificate is refused even where dialback would do."""
    near, far = signed()
    with near, far:
        tlsa(far, cert=near.config["hosts"][0]["certificate"])
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.expect_bounce("message", "remote-server-timeout", id="m")
        near.wait_log("it is not the one that DNS says")


def test_dane_is_forged():
    """Who may not know what the certificate must be does not connect."""
    near, far = signed()
    with near, far:
        tlsa(far)
        far.zone.forged.add(f"_{far.s2s.number}._tcp.xmpp.{FAR}")
        alice = near.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="m")
        alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_signed_zone_without_tlsa():
    near, far = signed()
    with near, far:
        talk(near.client("alice"), far.client("bob", FAR))
