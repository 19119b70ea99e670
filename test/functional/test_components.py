# SPDX-License-Identifier: Apache-2.0
"""External components: XEP-0114."""
import contextlib
import hashlib
import os
import ssl
import subprocess
import sys
import time

from element import NS, attrs, child, children
from federation import Federated
from server import DOMAIN, OTHER, Port, Server, certificates, wait_until
from xmpp import Stream
from zone import Zone

SERVER = False
GATE, SECRET = "gate.example", "s3cret & 'more'"
HERE = os.path.dirname(os.path.abspath(__file__))


class Component(Stream):
    """A connection that says it is a component."""

    def __init__(self, port, domain=GATE, secret=SECRET, tls=False):
        super().__init__(("127.0.0.1", port), f"component {domain}")
        self.domain, self.secret = domain, secret
        if tls:
            context = ssl.create_default_context(cafile=os.path.join(certificates(), "ca.crt"))
            self.sock = context.wrap_socket(self.sock, server_hostname=DOMAIN)

    def open(self, ns="jabber:component:accept"):
        self.send(f"<?xml version='1.0'?><stream:stream xmlns='{ns}' xmlns:stream='{NS['stream']}' to='{self.domain}'>")
        return self.expect("stream:stream")

    def shake(self, secret=None):
        digest = hashlib.sha1((self.header.get("id") + (secret or self.secret)).encode()).hexdigest()
        self.send(f"<handshake>{digest}</handshake>")

    def join(self):
        header = self.open()
        assert header.get("from") == self.domain
        self.shake()
        self.expect("comp:handshake")
        return self

    def message(self, to, body, from_=None, **more):
        self.send(f"<message{attrs(from_=from_ or f'echo@{self.domain}', to=to, type='chat', **more)}><body>{body}</body></message>")


@contextlib.contextmanager
def serving(*extra, server=Server, **options):
    """A server with the component GATE and a port for components."""
    plain, direct = Port(), Port()

    def configure(tree):
        tree["components"] = [{"domain": GATE, "secret": SECRET, **options}, *extra]
        tree["listeners"] += [{"kind": "component", "address": "127.0.0.1", "port": plain.number, "tls": "plain"},
                              {"kind": "component", "address": "127.0.0.1", "port": direct.number, "tls": "direct"}]

    with server(start=False) as s:
        s.configure(configure)
        s.start()
        made = []

        def connect(port, **more):
            made.append(Component(port.number, **more))
            return made[-1]

        s.component = lambda **more: connect(plain, **more)
        s.secure = lambda **more: connect(direct, tls=True, **more)
        s.component_port = plain.number
        yield s
        for component in made:
            component.drop()


def listed(client):
    answer = client.result("get", f"<query xmlns='{NS['items']}'/>", DOMAIN)
    return [i.get("jid") for i in children(answer, "items:query/items:item")]


def test_talk():
    with serving() as s:
        gate, alice = s.component().join(), s.client("alice")
        alice.message(f"bob@{GATE}", "hello", id="m1")
        got = gate.expect("comp:message", from_=alice.jid, to=f"bob@{GATE}", id="m1", has="comp:body")
        assert child(got, "comp:body").text == "hello"
        gate.message(alice.jid, "hi")
        alice.expect("message", from_=f"echo@{GATE}", body="hi")
        alice.presence(to=f"bob@{GATE}/x")
        gate.expect("comp:presence", from_=alice.jid, to=f"bob@{GATE}/x")
        id = alice.ask("get", "<ping xmlns='urn:xmpp:ping'/>", GATE)
        got = gate.expect("comp:iq", type="get", id=id, to=GATE)
        gate.send(f"<iq type='result' id='{id}' from='{GATE}' to='{alice.jid}'/>")
        alice.expect("iq", type="result", id=id, from_=GATE)
        gate.send(f"<iq type='get' id='v' from='{GATE}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
        gate.expect("comp:iq", type="result", id="v", from_=DOMAIN, to=GATE)
        gate.message(f"nobody@{DOMAIN}", "x", id="n")
        gate.expect("comp:message", type="error", id="n", has="comp:error")
        assert s.metrics()["meerkat_components"] == 1


def test_subscription():
    """A contact in a component is one like others."""
    with serving() as s:
        gate, alice = s.component().join(), s.client("alice")
        alice.result("get", f"<query xmlns='{NS['roster']}'/>")
        alice.presence(to=f"bob@{GATE}", type="subscribe")
        gate.expect("comp:presence", type="subscribe", from_=alice.bare, to=f"bob@{GATE}")
        gate.send(f"<presence type='subscribed' from='bob@{GATE}' to='{alice.bare}'/>")
        alice.take("presence", type="subscribed", from_=f"bob@{GATE}")
        gate.send(f"<presence from='bob@{GATE}/here' to='{alice.bare}'/>")
        alice.take("presence", from_=f"bob@{GATE}/here", type=None)


def test_listed():
    hidden = {"domain": "hidden.example", "secret": "x", "hidden": True}
    with serving(hidden) as s:
        alice = s.client("alice")
        assert listed(alice) == []
        gate = s.component().join()
        s.component(domain="hidden.example", secret="x").join()
        assert listed(alice) == [GATE]
        gate.drop()
        wait_until(lambda: listed(alice) == [], "who is gone is not listed")


def test_wrong():
    with serving() as s:
        gate = s.component()
        gate.open()
        gate.shake("wrong")
        gate.expect_error("not-authorized")
        gate = s.component()
        gate.open()
        gate.message(f"alice@{DOMAIN}", "before the handshake")
        gate.expect_error("not-authorized")
        for domain in ("other.example", f"below.{GATE}", "@", DOMAIN):
            gate = s.component(domain=domain)
            gate.open()
            gate.expect_error("host-unknown")
        gate = s.component()
        gate.open(ns="jabber:client")
        gate.expect_error("invalid-namespace")
        gate = s.component()
        gate.send("<a>")
        gate.expect("stream:stream")
        gate.expect_error("not-well-formed")
        assert s.metrics()["meerkat_component_login_failures_total"] == 2
        s.component().join()


def test_addresses():
    """It speaks for its own domain alone."""
    with serving() as s:
        for sender in (f"mallory@{DOMAIN}", "a@nowhere.example", f"a@below.{GATE}", f"a@not{GATE}"):
            gate = s.component().join()
            gate.message(f"alice@{DOMAIN}", "x", from_=sender)
            gate.expect_error("invalid-from")
        for bad in (f"<message to='alice@{DOMAIN}'/>", f"<message from='a@{GATE}'/>"):
            gate = s.component().join()
            gate.send(bad)
            gate.expect_error("improper-addressing")
        gate = s.component().join()
        gate.send("<unknown/>")
        gate.expect_error("unsupported-stanza-type")


def test_subdomains():
    with serving(subdomains=True) as s:
        gate, alice = s.component().join(), s.client("alice")
        alice.message(f"a@deep.below.{GATE}", "x")
        gate.expect("comp:message", to=f"a@deep.below.{GATE}")
        gate.message(alice.jid, "y", from_=f"a@below.{GATE}")
        alice.expect("message", from_=f"a@below.{GATE}", body="y")
        alice.message(f"a@not{GATE}", "z")
        alice.expect_bounce("message", "remote-server-not-found")


def test_not_connected():
    with serving() as s:
        alice = s.client("alice")
        alice.message(f"bob@{GATE}", "x", id="m")
        alice.expect_bounce("message", "service-unavailable", id="m")
        alice.refused("get", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", GATE)
        alice.presence(to=f"bob@{GATE}")
        alice.quiet()


def test_one_too_many():
    with serving() as s:
        first = s.component().join()
        second = s.component()
        second.open()
        second.shake()
        second.expect_error("conflict")
        first.message(GATE, "still here", from_=GATE)
        first.expect("comp:message", has="comp:body")
    with serving(conflict="replace") as s:
        first, second = s.component().join(), s.component().join()
        first.expect_error("conflict")
        second.message(GATE, "here", from_=GATE)
        second.expect("comp:message", has="comp:body")


def test_in_turn():
    with serving(streams=3) as s:
        gates, alice = [s.component().join() for _ in range(3)], s.client("alice")
        for i in range(6):
            alice.message(f"bob@{GATE}", str(i))
        got = [[child(g.expect("comp:message"), "comp:body").text for _ in range(2)] for g in gates]
        assert sorted(got) == [["0", "3"], ["1", "4"], ["2", "5"]], got


def test_by_sender():
    with serving(streams=2, balance="sender") as s:
        gates, people = [s.component().join() for _ in range(2)], [s.client(f"user{i}") for i in range(20)]
        for _ in range(2):
            for c in people:
                c.message(f"bob@{GATE}", "x")
        seen = [[], []]
        while sum(map(len, seen)) < 2 * len(people):
            for gate, of in zip(gates, seen):
                gate.read(time.monotonic() + 0.05)
                of += [gate.next().get("from") for _ in list(gate.queue)]
        assert all(len(of) == 2 * len(set(of)) for of in seen), "both of a sender's messages go to one"
        assert all(seen), "and both have some"


def test_tls():
    with serving(tls=True) as s:
        gate = s.component()
        gate.open()
        gate.expect_error("policy-violation")
        alice, gate = s.client("alice"), s.secure().join()
        gate.message(alice.jid, "hi")
        alice.expect("message", body="hi")
        assert [(r["domain"], r["tls"]) for r in s.ctl_json("components", "list")] == [(GATE, "yes")]


def test_commands_and_reload():
    with serving({"domain": "other.example", "secret": "x"}) as s:
        gate, other = s.component().join(), s.component(domain="other.example", secret="x").join()
        assert {r["domain"] for r in s.ctl_json("components", "list")} == {GATE, "other.example"}
        s.ctl("components", "close", GATE)
        gate.expect_closed()
        gate = s.component().join()
        s.configure({"components": [{"domain": "other.example", "secret": "new"}]})
        s.reload()
        gate.expect_error("host-gone")
        other.message("other.example", "still", from_="other.example")
        other.expect("comp:message", has="comp:body")
        again = s.component(domain="other.example", secret="new")
        again.open()
        again.shake()
        again.expect_error("conflict")
        s.stop()
        other.take("stream:error", has="streams:system-shutdown")


def test_wrong_configuration():
    with Server(start=False) as s:
        for components, says in (([{"domain": GATE}], "secret"), ([{"domain": "@", "secret": "x"}], "is no domain"),
                                 ([{"domain": GATE, "secret": "x"}] * 2, "is there twice")):
            s.configure({"components": components})
            code, said = s.check()
            assert code != 0 and says in "".join(said), (code, said)


def test_to_another_server():
    """A component's people and those of another server, by the streams of the server."""
    zone = Zone()
    with serving(server=lambda start: Federated(zone, start=start)) as near, Federated(zone, domains=["far.example"]) as far:
        near.zone.server(GATE, near.s2s.number)
        gate, bob = near.component().join(), far.client("bob", "far.example")
        gate.message(bob.bare, "from afar")
        bob.expect("message", from_=f"echo@{GATE}", body="from afar")


def test_slixmpp():
    with serving() as s:
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "slix_component.py"), GATE, SECRET, str(s.component_port)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "online\n"
            alice = s.client("alice")
            alice.message(f"bob@{GATE}", "hello")
            alice.expect("message", from_=f"bob@{GATE}", body="echo hello")
            alice.result("get", "<ping xmlns='urn:xmpp:ping'/>", GATE)
        finally:
            process.stdin.close()
            process.wait(20)
