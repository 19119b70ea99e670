# SPDX-License-Identifier: Apache-2.0
"""Two Meerkats that speak with each other: how each proves itself, policies, and the life of their streams."""
import socket
import tempfile

from federation import FAR, Federated, Wire, authority, both, certificate_for, pin_of, proofs, talk, untrusting
from server import BUILD, DOMAIN, OTHER, Port, Server, certificate, wait_until
from zone import A, AAAA, SRV, Zone

SERVER = False
COST = 10


# ---- authentication

def test_certificates():
    near, far = both()
    with near, far:
        talk(near.client("alice"), far.client("bob", FAR))
        for server in (near, far):
            assert proofs(server) == {("in", "certificate"), ("out", "certificate")}, server.links()
            assert all("TLS1.3" in row["tls"] for row in server.links())


def test_dialback():
    """Nobody trusts the other's authority; both are asked back."""
    near, far = both(untrusting, untrusting)
    with near, far:
        talk(near.client("alice"), far.client("bob", FAR))
        for server in (near, far):
            assert proofs(server) == {("in", "dialback"), ("out", "dialback")}, server.links()


def test_certificate_one_way():
    """Where one trusts and the other does not, each direction is proved as its receiver wants."""
    near, far = both(far=untrusting)
    with near, far:
        talk(near.client("alice"), far.client("bob", FAR))
        assert proofs(near) == {("in", "certificate"), ("out", "dialback")}, near.links()
        assert proofs(far) == {("in", "dialback"), ("out", "certificate")}, far.links()


def test_reload_changes_whom_we_trust():
    near, far = both(untrusting)
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        assert ("in", "dialback") in proofs(near), near.links()
        near.configure(lambda t: t["s2s"].update(trust=authority()))
        near.reload()
        near.ctl("s2s", "close")
        talk(alice, bob)
        assert proofs(near) == {("in", "certificate"), ("out", "certificate")}, near.links()
        near.configure(lambda t: t["s2s"].update(access="deny"))
        near.reload()
        wait_until(lambda: not near.links())
        alice.message(bob.jid, "hello", id="out")
        alice.expect_bounce("message", "not-allowed", id="out")


def test_direct_tls():
    """SRV records of both kinds: the better priority is that with TLS from the first byte (XEP-0368)."""
    near, far = both()
    with near, far:
        far.zone.forget(FAR)
        far.announce(FAR, direct=True)
        talk(near.client("alice"), far.client("bob", FAR))
        port = [row["address"] for row in near.links() if row["direction"] == "out"]
        assert port == [f"127.0.0.1:{far.s2s_direct.number}"], near.links()


def test_falls_back_to_the_next_target():
    """Targets where nobody listens, whose name is not known, and that do not speak TLS, come before the right one."""
    near, far = both()
    with near, far, socket.create_server(("127.0.0.1", 0)) as mute:
        closed = Port()
        zone = far.zone
        zone.add(f"_xmpp-server._tcp.{FAR}", SRV, (1, 1, closed.number, f"xmpp.{FAR}"))
        zone.add(f"_xmpp-server._tcp.{FAR}", SRV, (2, 1, far.s2s.number, f"nowhere.{FAR}"))
        zone.add(f"_xmpps-server._tcp.{FAR}", SRV, (3, 1, far.s2s.number, f"xmpp.{FAR}"))  # no TLS from the first byte
        mute.listen()
        near.client("alice")
        talk(near.client("alice"), far.client("bob", FAR))


def test_addresses_are_tried_together():
    """A name with an IPv6 address where nobody listens, and the right one of IPv4."""
    near, far = both()
    with near, far:
        far.zone.add(f"xmpp.{FAR}", AAAA, "::1")
        far.zone.add(f"xmpp.{FAR}", A, "127.0.0.3")
        talk(near.client("alice"), far.client("bob", FAR))


def test_configured_host():
    """No DNS: the configuration says where the other is."""
    zone = Zone()
    far = Federated(zone, domains=[FAR])
    near = Federated(zone, domains=None, config=lambda t: t["s2s"].update(domains=(
        {"domain": FAR, "host": "127.0.0.1", "port": far.s2s_direct.number, "host_tls": "direct"},)))
    with near, far:
        zone.forget(FAR)
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        assert not [name for name, _ in zone.asked if name.endswith(FAR)], zone.asked


def test_domain_of_a_plugin():
    """Rooms speak with users elsewhere in the name of their own domain (test/abi/t_room.c)."""
    rooms = f"rooms.{DOMAIN}"
    near, far = both({"plugin_dir": f"{BUILD}/plugins:{BUILD}/backends:{BUILD}/test/abi", "plugins": {"t_room": {}}})
    with near, far:
        near.announce(rooms)
        bob = far.client("bob", FAR)
        for word in ("hello", "hello"):
            bob.message(f"lounge@{rooms}", word)
            bob.expect("message", type="headline", from_=f"lounge@{rooms}", body=f"1 {word}")
        assert {(row["local"], row["proved"]) for row in near.links()} == {(rooms, "certificate"), (rooms, "dialback")}


def test_international_domain():
    name = "münchen.example"
    ascii = name.encode("idna").decode()
    zone = Zone()

    def serve(tree):
        cert, key = certificate_for(far.folder, ascii)
        tree["hosts"] = [{"name": name, "certificate": cert, "key": key}]
    near, far = Federated(zone), Federated(zone, start=False, domains=[FAR])
    far.configure(serve)
    far.announce(ascii)
    far.start()
    with near, far:
        talk(near.client("alice"), far.client("bob", name))
        assert proofs(near) == {("out", "certificate")}, near.links()


def test_bidi():
    """One stream carries both directions, whoever opened it, by certificate and by dialback (XEP-0288)."""
    for config, proof in ((None, "certificate"), (untrusting, "dialback")):
        near, far = both(config, config, bidi=True)
        with near, far:
            alice, bob = near.client("alice"), far.client("bob", FAR)
            for _ in range(3):
                talk(alice, bob)
            wait_until(lambda: len(near.links()) == 1 and len(far.links()) == 1)
            assert [(row["direction"], row["proved"]) for row in near.links()] == [("out", proof)], near.links()
            assert [(row["direction"], row["proved"]) for row in far.links()] == [("in", proof)], far.links()
            # It ends, and whoever has something to say opens the next.
            near.ctl("s2s", "close")
            bob.message(alice.jid, "first", id="m")
            alice.expect("message", id="m", body="first")
            talk(alice, bob)
            assert ("out", proof) in [(row["direction"], row["proved"]) for row in far.links()], far.links()


def test_bidi_on_one_side_only():
    near, far = both(far=lambda t: t["s2s"].update(bidi=False), bidi=True)
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        assert len(near.links()) == 2


def test_two_hosts():
    """Each pair of domains has a stream of its own, and proves itself."""
    near, far = both()
    with near, far:
        bob = far.client("bob", FAR)
        talk(near.client("alice"), bob)
        talk(near.client("carol", OTHER), bob)
        assert {row["local"] for row in near.links()} == {DOMAIN, OTHER}


# ---- certificates that are not good enough

def strict(tree):
    tree["s2s"]["certificate"] = "required"


def bad(tree, server, **how):
    cert, key = certificate_for(server.folder, FAR, name="bad", **how)
    tree["hosts"][0].update(certificate=cert, key=key)


def is_refused(near, far, alice, bob, why):
    """Neither direction works, each sender hears of it."""
    alice.message(bob.jid, "hello", id="out")
    alice.expect_bounce("message", "remote-server-timeout", id="out", from_=bob.jid)
    near.wait_log(why)
    bob.message(alice.jid, "hello", id="in")
    bob.expect_bounce("message", "remote-server-timeout", id="in", from_=alice.jid)
    alice.quiet()


def check_refused(why, **how):
    near, far = Federated(config=strict), None
    far = Federated(near.zone, domains=[FAR], start=False)
    far.configure(lambda t: bad(t, far, **how))
    far.start()
    with near, far:
        is_refused(near, far, near.client("alice"), far.client("bob", FAR), why)


def test_expired_certificate():
    check_refused("it has expired", days=-1)


def test_certificate_of_another_name():
    check_refused("for other names", names="DNS:other.example")


def test_certificate_of_unknown_authority():
    with tempfile.TemporaryDirectory() as folder:
        check_refused("we do not trust who signed it", ca=certificate(folder, "stranger", []))


def test_certificate_for_clients_alone():
    """It is shown by a server: that must be allowed to be one."""
    near, far = Federated(config=strict), None
    far = Federated(near.zone, domains=[FAR], start=False)
    far.configure(lambda t: bad(t, far, extensions="extendedKeyUsage=clientAuth"))
    far.start()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        alice.message(bob.jid, "hello", id="out")
        alice.expect_bounce("message", "remote-server-timeout", id="out", from_=bob.jid)
        near.wait_log("it is not for servers")


def test_certificate_for_servers_alone():
    """Authorities sign no others any more: it is good for who connects too."""
    near, far = Federated(config=strict), None
    far = Federated(near.zone, domains=[FAR], start=False)
    far.configure(lambda t: bad(t, far, extensions="extendedKeyUsage=serverAuth"))
    far.start()
    with near, far:
        talk(near.client("alice"), far.client("bob", FAR))


def test_other_names_in_certificates():
    """SRV-ID (RFC 4985), XmppAddr (RFC 6120, 13.7.1.4), a wildcard."""
    for names in (f"otherName:1.3.6.1.5.5.7.8.7;IA5:_xmpp-server.{FAR}", f"otherName:1.3.6.1.5.5.7.8.5;UTF8:{FAR}",
                  "DNS:*.example"):
        near, far = Federated(config=strict), None
        far = Federated(near.zone, domains=[FAR], start=False)
        far.configure(lambda t: bad(t, far, names=names))
        far.start()
        with near, far:
            talk(near.client("alice"), far.client("bob", FAR))


def test_no_tls():
    """A server without a certificate can offer none."""
    near, far = Federated(), None
    far = Federated(near.zone, domains=[FAR], start=False)

    def without(tree):
        del tree["hosts"][0]["certificate"], tree["hosts"][0]["key"]
        tree["host_types"]["default"]["plain_without_tls"] = True
        tree["listeners"] = [l for l in tree["listeners"] if l.get("tls") != "direct"]
        tree["s2s"]["tls"] = "optional"
    far.configure(without)
    far.start()
    with near, far:
        alice, bob = near.client("alice"), far.connect(FAR, far.account("bob", FAR), "secret")
        bob.open()
        bob.authenticate("PLAIN")
        bob.bind().available()
        is_refused(near, far, alice, bob, "it offers no TLS")
        near.configure(lambda t: t["s2s"].update(domains=({"domain": FAR, "tls": "optional"},)))
        near.reload()
        talk(alice, bob)
        assert proofs(near) == {("out", "dialback")}, near.links()


def test_pinned_key():
    """The right key is enough, whoever signed; a wrong one is not, whoever did."""
    near, far = both(untrusting)
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        pin = pin_of(far.config["hosts"][0]["certificate"])
        near.configure(lambda t: t["s2s"].update(domains=({"domain": FAR, "pins": (pin,)},)))
        near.reload()
        talk(alice, bob)
        assert ("in", "certificate") in proofs(near), near.links()
        other = pin_of(near.config["hosts"][0]["certificate"])
        near.configure(lambda t: t["s2s"].update(domains=({"domain": FAR, "pins": (other,)},)))
        near.reload()
        near.ctl("s2s", "close", f"domain={FAR}")
        is_refused(near, far, alice, bob, "ends: policy-violation")


# ---- policies

def test_denied_domain():
    near, far = both(lambda t: t["s2s"].update(domains=({"domain": "*.example", "access": "deny"},)))
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        alice.message(bob.jid, "hello", id="out")
        alice.expect_bounce("message", "not-allowed", id="out")
        bob.message(alice.jid, "hello", id="in")
        bob.expect_bounce("message", "remote-server-timeout", id="in")
        far.wait_log("got the stream error policy-violation")


def test_without_dialback_a_certificate_is_needed():
    near, far = both(untrusting)
    near.configure(lambda t: t["s2s"].update(dialback=False))
    with near, far:
        near.restart()
        is_refused(near, far, near.client("alice"), far.client("bob", FAR), "we do not trust who signed it")


def test_no_federation_without_listener():
    with Server() as s:
        alice = s.client("alice")
        alice.message(f"bob@{FAR}", "hello", id="out")
        alice.expect_bounce("message", "remote-server-not-found", id="out")


def test_mistakes_in_the_configuration():
    with Federated(start=False) as s:
        for options, words in (({"tsl": "required"}, "tls"), ({"tls": "maybe"}, "required"),
                               ({"trust": "/nowhere.pem"}, "/nowhere.pem"),
                               ({"domains": {"a": 1}}, "is not a list of groups"),
                               ({"domains": ({"domain": "a@b"},)}, "is no domain"),
                               ({"domains": ({"port": 1},)}, "domain"),
                               ({"domains": ({"domain": "a.example", "pins": ("abc",)},)}, "is no SHA-256 in base64")):
            before = dict(s.config["s2s"])
            s.configure({"s2s": options})
            code, lines = s.check()
            assert code == 1 and words in "\n".join(lines), lines
            s.config["s2s"] = before
        s.configure(lambda t: t["listeners"][-1].update(kind="s3s"))
        code, lines = s.check()
        assert code == 1 and "no enabled plugin has the kind s3s of listeners" in lines[0], lines


# ---- life

def test_restart_of_the_other():
    """A stream that ended is opened anew for what comes next."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        user = bob.user
        far.drop_clients()
        far.restart()  # its accounts were in memory
        near.wait_log("ends: closed", 1)
        far.control("users.add", account=f"{user}@{FAR}", password="secret")
        talk(alice, far.client(user=user, domain=FAR))


def test_other_is_killed():
    """What it did not acknowledge comes back to its sender."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        far.kill()
        alice.message(bob.jid, "hello?", id="m")
        alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_idle_stream_is_closed():
    near, far = both(lambda t: t["s2s"].update(idle_timeout=1000))
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        wait_until(lambda: not [row for row in near.links() if row["direction"] == "out"])
        talk(alice, bob)


def test_close_by_the_operator():
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        assert near.control("s2s.close", domain=FAR)[0]["closed"] == 2
        wait_until(lambda: not near.links())
        talk(alice, bob)
        assert near.control("s2s.close", domain="nobody.example")[0]["closed"] == 0
        assert near.control("s2s.close", domain=FAR.upper())[0]["closed"] > 0
        assert near.ctl("s2s", "list", "domain=a@b", check=False)[0] != 0


def test_close_awaits_acknowledgements():
    """What came and was not acknowledged yet does not come again on another stream."""
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        alice.enable(auto=False)
        bob.message(alice.jid, "once", id="m3")
        alice.take("message", id="m3")  # what she does not acknowledge, her server does not either
        assert near.control("s2s.close", domain=FAR)[0]["closed"] == 2
        alice.take("sm:r")
        alice.ack()
        alice.sm.auto = True
        wait_until(lambda: not near.links())
        talk(alice, bob)


def lossy(bidi):
    """Both, with a wire between them that NEAR's streams take."""
    near, far = both(bidi=bidi)
    wire = Wire(far.s2s.number)
    far.zone.forget(FAR)
    far.zone.server(FAR, wire.port)
    return near, far, wire


def test_close_while_acknowledgements_are_under_way():
    """What is sent meanwhile goes behind, on the next stream; nothing comes twice or back as an error."""
    near, far, wire = lossy(False)
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        wire.held = True
        alice.message(bob.jid, "before")
        bob.expect("message", body="before")
        assert near.control("s2s.close", domain=FAR)[0]["closed"] == 2
        alice.message(bob.jid, "behind")
        wait_until(lambda: [row["queued"] for row in near.links() if row["direction"] == "out"] == [1])
        wire.release()
        bob.expect("message", body="behind")
        talk(alice, bob)
        wire.close()


def test_resumption():
    """A stream that is lost is resumed: what arrived does not come again, what did not does, in its order."""
    for bidi in (False, True):
        near, far, wire = lossy(bidi)
        with near, far:
            alice, bob = near.client("alice"), far.client("bob", FAR)
            talk(alice, bob)
            wire.held = True  # acknowledgements do not come back any more
            for i in range(3):
                alice.message(bob.jid, f"arrives {i}")
                bob.expect("message", body=f"arrives {i}")
            wire.cut()
            near.wait_log("is resumed")
            talk(alice, bob)
            wire.close()


def test_lost_without_resumption():
    """Without it all that was not acknowledged comes once more."""
    near, far, wire = lossy(False)
    far.configure(lambda t: t["s2s"].update(resume_timeout=0))
    with near, far:
        far.restart()
        alice, bob = near.client("alice"), far.client("bob", FAR)
        talk(alice, bob)
        wire.held = True
        alice.message(bob.jid, "arrives")
        bob.expect("message", body="arrives")
        wire.cut()
        alice.message(bob.jid, "next")
        for body in ("arrives", "next"):
            bob.expect("message", body=body)
        wire.close()


def test_large_stanzas():
    """What the other would not take (XEP-0478) is not sent to it; what it takes arrives whole."""
    near, far = both(far=lambda t: t["limits"].update(stanza=20000))
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        alice.message(bob.jid, "x" * 15000, id="m1")
        bob.expect("message", id="m1", body="x" * 15000)
        alice.message(bob.jid, "x" * 25000, id="m2")
        alice.expect_bounce("message", "policy-violation", id="m2")
        talk(alice, bob)


def test_many_messages_keep_their_order():
    near, far = both()
    with near, far:
        alice, bob = near.client("alice"), far.client("bob", FAR)
        for i in range(500):
            alice.message(bob.jid, f"number {i}")
        for i in range(500):
            bob.expect("message", body=f"number {i}")
