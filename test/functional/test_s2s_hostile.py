# SPDX-License-Identifier: Apache-2.0
"""Servers that lie, break off, or say nothing: each gets the error that is its, and nobody else notices."""
import base64
import re
import socket

import tls

from element import NS, child, show
from federation import Federated
from outsider import DB, Link, Outsider
from server import DOMAIN, OTHER, wait_until
from xmpp import END, EOF


SERVER = False
EVIL = "evil.example"


class Scene:
    """A Meerkat with a user, who must be able to talk to herself at the end; and EVIL, whose key everybody believes."""

    def __init__(self, verdict="valid", mute=False, **options):
        self.server = Federated(**options)
        self.evil = Outsider(self.server.zone, EVIL, verdict, mute)

    def __enter__(self):
        self.server.__enter__()
        self.alice = self.server.client("alice")
        return self

    def __exit__(self, kind, error, trace):
        try:
            if not error:
                self.alice.message(self.alice.jid, "still here", id="self")
                self.alice.expect("message", id="self", body="still here")
        finally:
            self.evil.__exit__()
            self.server.__exit__(kind, error, trace)

    def link(self, **how):
        return Link(self.server, EVIL, **how)

    def proven(self, **how):
        link = self.link(**how).begin()
        link.give_key()
        link.expect("db:result", from_=DOMAIN, to=EVIL, type="valid")
        return link


# ---- who they are

def test_honest_one():
    with Scene() as s:
        link = s.proven()
        link.message(s.alice.jid, body="good day")
        s.alice.expect("message", from_=f"eve@{EVIL}", body="good day")
        s.alice.message(f"eve@{EVIL}", "the same to you")
        assert "the same to you" in s.evil.wait("<message")


def test_wrong_key():
    with Scene(verdict="invalid") as s:
        link = s.link().begin()
        link.give_key()
        link.expect("db:result", type="invalid")
        link.expect_closed()


def test_own_server_can_not_be_asked():
    with Scene() as s:
        s.server.zone.forget(EVIL)
        link = s.link().begin()
        link.give_key()
        answer = link.expect("db:result", type="error")
        assert child(answer, "server:error/stanzas:remote-server-not-found") is not None, show(answer)
        link.message(s.alice.jid)
        link.expect_error("not-authorized")


def test_own_server_says_nothing():
    with Scene(mute=True, login_timeout=1500) as s:
        link = s.link().begin()
        link.give_key()
        link.expect_error("connection-timeout")
        s.alice.message(f"eve@{EVIL}", "hello?", id="m")
        s.alice.expect_bounce("message", "remote-server-timeout", id="m")


def test_before_authentication():
    with Scene() as s:
        link = s.link().begin()
        link.message(s.alice.jid)
        link.expect_error("not-authorized")


def test_before_tls():
    with Scene() as s:
        link = s.link()
        features = link.open()
        assert child(features, "tls:starttls/tls:required") is not None
        assert child(features, "dialback:dialback") is None
        link.give_key()
        answer = link.expect("db:result", type="error")
        assert child(answer, "server:error/stanzas:policy-violation") is not None, show(answer)
        link.send(f"<auth xmlns='{NS['sasl']}' mechanism='EXTERNAL'>=</auth>")
        link.expect("sasl:failure", has="sasl:encryption-required")


def test_spoofed_from():
    for liar in ("eve@other.example", "other.example", f"eve@{DOMAIN}", f"eve@sub.{EVIL}"):
        with Scene() as s:
            link = s.proven()
            link.message(s.alice.jid, from_=liar)
            link.expect_error("invalid-from")
            s.alice.quiet()


def test_our_own_name():
    with Scene() as s:
        link = Link(s.server, OTHER)
        link.send(link.header_text(to=DOMAIN, from_=OTHER, ns="jabber:server", extra=" " + DB))
        link.expect("stream:stream")
        link.expect_error("invalid-from")
        link = s.link().begin()
        link.give_key(from_=OTHER)
        answer = link.expect("db:result", type="error")
        assert child(answer, "server:error/stanzas:not-acceptable") is not None, show(answer)


def test_unknown_hosts():
    with Scene() as s:
        link = s.link()
        link.send(link.header_text(to="nobody.example", from_=EVIL, ns="jabber:server"))
        link.expect("stream:stream")
        link.expect_error("host-unknown")
        link = s.proven()
        link.give_key(to="nobody.example")
        answer = link.expect("db:result", type="error", from_="nobody.example")
        assert child(answer, "server:error/stanzas:item-not-found") is not None, show(answer)
        link.ask("1", "00", to="nobody.example")
        link.expect("db:verify", type="error", id="1", has="server:error")
        link.message("alice@nobody.example")
        link.expect_error("host-unknown")


def test_addresses():
    for attributes in (f"from='eve@{EVIL}'", f"to='a@{DOMAIN}'", f"from='@{EVIL}' to='a@{DOMAIN}'",
                       f"from='eve@{EVIL}' to='@{DOMAIN}'", ""):
        with Scene() as s:
            link = s.proven()
            link.send(f"<message {attributes}><body>hi</body></message>")
            link.expect_error("improper-addressing")


# ---- several pairs on one stream

def test_pairs_are_proved_one_by_one():
    with Scene() as s, Outsider(s.server.zone, "also.example") as also:
        carol = s.server.client("carol", OTHER)
        link = s.proven()
        link.give_key(to=OTHER)
        link.expect("db:result", from_=OTHER, to=EVIL, type="valid")
        link.give_key(from_="also.example")
        link.expect("db:result", from_=DOMAIN, to="also.example", type="valid")
        link.message(s.alice.jid)
        link.message(s.alice.jid, from_="eve@also.example", body="also")
        link.message(carol.jid, body="you too")
        s.alice.expect("message", from_=f"eve@{EVIL}")
        s.alice.expect("message", from_="eve@also.example", body="also")
        carol.expect("message", body="you too")
        link.message(carol.jid, from_="eve@also.example", body="not this way")
        link.expect_error("invalid-from")
        carol.quiet()


def test_one_wrong_key_among_others():
    """The stream goes on for the pairs that were proved."""
    with Scene() as s, Outsider(s.server.zone, "also.example", verdict="invalid"):
        link = s.proven()
        link.give_key(from_="also.example")
        link.expect("db:result", to="also.example", type="invalid")
        link.message(s.alice.jid)
        s.alice.expect("message", from_=f"eve@{EVIL}")


def test_too_many_questions():
    with Scene(mute=True) as s:
        link = s.link().begin()
        for _ in range(17):
            link.give_key()
        answer = link.expect("db:result", type="error")
        assert child(answer, "server:error/stanzas:resource-constraint") is not None, show(answer)


# ---- our own keys

def test_replayed_key():
    """A key that we gave is good for its stream and pair, and for nothing else."""
    with Scene() as s:
        s.alice.message(f"eve@{EVIL}", "hello")
        key = re.search(">([0-9a-f]{64})<", s.evil.wait("<db:result")).group(1)
        link = s.link().begin()
        for id, asker, to, verdict in (("S-1", EVIL, DOMAIN, "valid"), ("S-2", EVIL, DOMAIN, "invalid"),
                                       ("S-1", "also.example", DOMAIN, "invalid"), ("S-1", EVIL, OTHER, "invalid")):
            link.ask(id, key, from_=asker, to=to)
            link.expect("db:verify", id=id, from_=to, to=asker, type=verdict)
        for other in ("", "00", key[:-1], key + "0", key.upper()):
            link.ask("S-1", other)
            link.expect("db:verify", type="invalid")


# ---- certificates

def external(link, authzid=None):
    data = "=" if authzid is None else base64.b64encode(authzid.encode()).decode()
    link.send(f"<auth xmlns='{NS['sasl']}' mechanism='EXTERNAL'>{data}</auth>")


def test_external():
    with Scene() as s:
        link = s.link(cert=s.evil.cert).begin()
        assert link.mechanisms() == ["EXTERNAL"]
        external(link, DOMAIN)
        link.expect("sasl:failure", has="sasl:not-authorized")
        external(link, "other.example")
        link.expect("sasl:failure", has="sasl:not-authorized")
        external(link, "@")
        link.expect("sasl:failure", has="sasl:invalid-authzid")
        link.send(f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>=</auth>")
        link.expect("sasl:failure", has="sasl:invalid-mechanism")
        external(link, EVIL)
        link.expect("sasl:success")
        features = link.open()
        assert not link.mechanisms() and child(features, "dialback:dialback") is None
        link.message(s.alice.jid)
        s.alice.expect("message", from_=f"eve@{EVIL}")
        link.message(s.alice.jid, from_="eve@other.example")
        link.expect_error("invalid-from")


def test_external_without_certificate():
    with Scene() as s:
        link = s.link().begin()
        assert not link.mechanisms()
        for _ in range(4):
            external(link, EVIL)
            link.expect("sasl:failure", has="sasl:not-authorized")
        external(link)
        link.expect("sasl:failure")
        link.expect_error("policy-violation")


def test_certificate_refused_and_closed():
    """Some offer EXTERNAL, refuse it and close: dialback follows on another stream."""
    class Moody(Outsider):
        def features(self, secure):
            offer = f"<mechanisms xmlns='{NS['sasl']}'><mechanism>EXTERNAL</mechanism></mechanisms>"
            return (offer if secure else "") + super().features(secure)

        def answer(self, piece, secure):
            if piece.startswith("<auth"):
                return f"<failure xmlns='{NS['sasl']}'><not-authorized/></failure></stream:stream>"
            return super().answer(piece, secure)
    with Federated() as server, Moody(server.zone, EVIL) as evil:
        alice = server.client("alice")
        for word in ("once", "again"):
            alice.message(f"eve@{EVIL}", word)
            evil.wait(word)
        assert sum(p.startswith("<auth") for p in evil.got) == 1, evil.got


def test_certificate_spares_the_question():
    """XEP-0344: who shows a certificate for its domain is not called back."""
    with Scene() as s:
        s.server.zone.forget(EVIL)
        link = s.link(cert=s.evil.cert).begin()
        link.give_key()
        link.expect("db:result", type="valid")


def test_direct_tls():
    with Scene() as s:
        link = s.link(port=s.server.s2s_direct.number)
        link.start_tls(tls.context(alpn="xmpp-server"))
        assert link.sock.selected_alpn_protocol() == "xmpp-server"
        link.open()
        link.give_key()
        link.expect("db:result", type="valid")


# ---- acknowledgements (XEP-0198)

def test_unacknowledged_is_sent_again():
    """Once, on the next stream; if that breaks too its sender hears of it.  The client's own ack waits as long."""
    with Federated() as server, Outsider(server.zone, EVIL, acks=1) as evil:
        alice = server.client("alice")
        alice.enable(auto=False)
        alice.message(f"eve@{EVIL}", "acknowledged", id="m1")
        evil.wait("<r ")
        alice.message(f"eve@{EVIL}", "not acknowledged", id="m2")
        alice.expect_bounce("message", "remote-server-timeout", id="m2")
        assert sum("id='m2'" in p or 'id="m2"' in p for p in evil.got) == 2, evil.got
        assert sum("id='m1'" in p or 'id="m1"' in p for p in evil.got) == 1, evil.got
        evil.acks = 9
        alice.message(f"eve@{EVIL}", "again", id="m3")
        alice.send(f"<r xmlns='{NS['sm']}'/>")
        evil.wait("again")


def test_too_high_acknowledgement():
    class Boaster(Outsider):
        def acknowledge(self):
            return f"<a xmlns='{NS['sm']}' h='5'/>"
    with Federated() as server, Boaster(server.zone, EVIL, acks=1) as evil:
        alice = server.client("alice")
        alice.message(f"eve@{EVIL}", "hello", id="m1")
        server.wait_log(f"stream to {EVIL} ends: undefined-condition")
        alice.expect_bounce("message", "remote-server-timeout", id="m1")


def test_never_acknowledges():
    class Sluggard(Outsider):
        def acknowledge(self):
            return ""
    with Federated(login_timeout=1500) as server, Sluggard(server.zone, EVIL, acks=1) as evil:
        alice = server.client("alice")
        alice.message(f"eve@{EVIL}", "hello", id="m1")
        alice.expect_bounce("message", "remote-server-timeout", id="m1")
        server.wait_log("ends: connection-timeout", 2)


def test_acknowledges_what_it_got():
    with Scene() as s:
        link = s.link(cert=s.evil.cert).begin()
        link.send(f"<enable xmlns='{NS['sm']}'/>")
        link.expect("sm:failed")
        external(link, EVIL)
        link.expect("sasl:success")
        assert child(link.open(), "sm:sm") is not None
        link.send(f"<enable xmlns='{NS['sm']}'/>")
        link.expect("sm:enabled")
        link.send(f"<r xmlns='{NS['sm']}'/>")
        link.expect("sm:a", h="0")
        link.message(s.alice.jid)
        link.message("nobody-at-all@" + DOMAIN)
        link.send(f"<r xmlns='{NS['sm']}'/>")
        link.take("sm:a", h="2")  # when both are where they stay
        s.alice.expect("message", from_=f"eve@{EVIL}")
        link.send(f"<enable xmlns='{NS['sm']}'/>")
        link.take("sm:failed")
        link.queue.clear()
        link.send(f"<a xmlns='{NS['sm']}' h='1'/>")
        link.expect("sm:a", h="2")  # before it ends
        link.expect_error("undefined-condition")


def test_stanzas_behind_our_end():
    """Who has not seen yet that we end its stream goes on to send.  If nothing is acknowledged it would be lost."""
    with Scene() as s:
        link = s.proven()
        assert s.server.control("s2s.close", domain=EVIL)[0]["closed"] >= 1
        link.message(s.alice.jid, body="crossed it")
        s.alice.expect("message", from_=f"eve@{EVIL}", body="crossed it")
        link.send("</stream:stream>")
        link.expect_closed()


def test_stanzas_behind_our_end_that_come_again():
    """With acknowledgements the other knows that they did not arrive, and they count on its next stream."""
    with Scene() as s:
        link = s.link(cert=s.evil.cert).begin()
        external(link, EVIL)
        link.expect("sasl:success")
        link.open()
        link.send(f"<enable xmlns='{NS['sm']}'/>")
        link.expect("sm:enabled")
        link.message(s.alice.jid, body="one")
        s.alice.expect("message", body="one")
        s.server.control("s2s.close", domain=EVIL)
        link.expect("sm:a", h="1")
        link.message(s.alice.jid, body="two")
        link.send("</stream:stream>")
        link.expect_closed()
        again = s.proven()
        again.message(s.alice.jid, body="three")
        s.alice.expect("message", body="three")


def test_second_close_does_not_wait():
    with Scene() as s:
        link = s.proven()
        s.server.control("s2s.close", domain=EVIL)
        assert link.next() is END  # and it waits for ours
        assert [row["state"] for row in s.server.links()] == ["closing"], s.server.links()
        s.server.control("s2s.close", domain=EVIL)
        assert link.next() is EOF


# ---- streams that are none

def test_headers():
    def header(**how):
        return Link.header_text(**{"to": DOMAIN, "from_": EVIL, "ns": "jabber:server", **how})
    cases = (("invalid-namespace", header(ns="jabber:client")), ("invalid-namespace", header(stream_ns="urn:none")),
             ("unsupported-version", header(version=None)), ("unsupported-version", header(version="0.9")),
             ("invalid-from", header(from_="@")), ("host-unknown", header(to="@")), ("host-unknown", header(to=None)),
             ("not-well-formed", "<stream:stream>"), ("not-well-formed", "GET / HTTP/1.1\r\n\r\n"),
             ("restricted-xml", "<!DOCTYPE a><stream:stream>"))
    with Scene() as s:
        for condition, text in cases:
            link = s.link()
            link.send(text)
            link.expect("stream:stream")
            link.expect_error(condition)


def test_elements():
    with Scene() as s:
        for condition, text in (("unsupported-stanza-type", "<odd xmlns='urn:example:odd'/>"),
                                ("not-well-formed", "<message></iq>"), ("restricted-xml", "<!-- x -->"),
                                ("policy-violation", "<message a='" + "x" * 300000 + "'/>"),
                                ("improper-addressing", "<db:result from='@' to='one.example'>00</db:result>"),
                                ("unsupported-stanza-type", "<db:odd/>")):
            link = s.proven()
            link.send(text)
            link.expect_error(condition)


def test_probes():
    """RFC 6121, 4.3.2: who may not see a presence is told that it is not subscribed."""
    with Scene() as s:
        link = s.proven()
        for target in (s.alice.bare, f"nobody@{DOMAIN}"):
            link.send(f"<presence type='probe' from='eve@{EVIL}' to='{target}'/>")
            answer = s.evil.wait(f"<presence[^>]*from=.{target}")
            assert "unsubscribed" in answer, answer
        s.alice.quiet()


def test_namespaces_that_are_said():
    """What is content of the stream is that on every stream, however an element says its namespace."""
    with Scene() as s:
        link = s.proven()
        link.send(f"<message xmlns='jabber:server' from='eve@{EVIL}' to='{s.alice.jid}' id='n'>"
                  "<body xmlns='jabber:server'>said</body></message>")
        s.alice.expect("message", id="n", body="said")
        s.alice.send(f"<message xmlns='jabber:client' to='eve@{EVIL}' id='o'><body xmlns='jabber:client'>said too</body>"
                     "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>in</body></message>"
                     "</forwarded></message>")
        got = s.evil.wait("said too")
        assert "<body>said too</body>" in got and got.startswith("<message") and "<body>in</body>" in got, got
        assert got.count("jabber:client") == 1, got


def test_bad_stanzas():
    """What is wrong with a stanza alone is its sender's business."""
    with Scene() as s:
        link = s.proven()
        link.send(f"<iq from='eve@{EVIL}' to='{DOMAIN}' type='get' id='1'/>")
        link.send(f"<presence from='eve@{EVIL}' to='{s.alice.jid}' type='odd' id='2'/>")
        for id in "12":
            assert "bad-request" in s.evil.wait(f"id='{id}'")


def test_stanzas_on_our_stream():
    """Who did not open the stream has no say on it."""
    class Rude(Outsider):
        def answer(self, piece, secure):
            more = f"<message from='eve@{EVIL}' to='{self.victim}'><body>hi</body></message>" \
                if piece.startswith("<message") else ""
            return super().answer(piece, secure) + more
    with Scene() as s:
        s.server.zone.forget(EVIL)
        with Rude(s.server.zone, "rude.example") as rude:
            rude.victim = s.alice.jid
            s.alice.message("eve@rude.example", "hello")
            rude.wait("<message")
            s.server.wait_log("stream to rude.example ends: not-authorized")
            s.alice.quiet()


# ---- little, late, and many

def test_byte_by_byte():
    with Scene() as s:
        link = s.link()
        link.piece = 1
        link.begin()
        link.give_key()
        link.expect("db:result", type="valid")
        link.message(s.alice.jid)
        s.alice.expect("message", from_=f"eve@{EVIL}")


def test_half_open():
    """They are closed after s2s.login_timeout, at whatever step they stopped."""
    with Scene(login_timeout=2000) as s:
        silent = s.link()
        header = s.link()
        header.open()
        handshake = s.link()
        handshake.open()
        handshake.send(f"<starttls xmlns='{NS['tls']}'/>")
        handshake.expect("tls:proceed")
        unproven = s.link().begin()
        silent.expect("stream:stream")
        silent.expect_error("connection-timeout")
        header.expect_error("connection-timeout")
        handshake.expect_closed()
        unproven.expect_error("connection-timeout")


def test_many_that_say_nothing():
    with Scene(login_timeout=3000) as s:
        many = [socket.create_connection(("127.0.0.1", s.server.s2s.number)) for _ in range(500)]
        s.alice.message(s.alice.jid, "meanwhile", id="w")
        s.alice.expect("message", id="w")
        link = s.proven()
        wait_until(lambda: len(s.server.links()) <= 3)
        link.message(s.alice.jid)
        s.alice.expect("message", from_=f"eve@{EVIL}")
        for sock in many:
            sock.close()


def test_many_of_one_domain():
    with Scene(streams=5) as s:
        links = [s.proven() for _ in range(5)]
        link = s.link()
        link.send(link.header_text(to=DOMAIN, from_=EVIL, ns="jabber:server"))
        link.expect("stream:stream")
        link.expect_error("resource-constraint")
        links[0].message(s.alice.jid)
        s.alice.expect("message", from_=f"eve@{EVIL}")


def test_proxy_header():
    def proxied(tree):
        tree["listeners"].append({"kind": "s2s", "address": "127.0.0.1", "port": server.ports["extra"].number,
                                  "proxy": True})
    server = Federated(start=False)
    server.configure(proxied)
    server.start()
    with server, Outsider(server.zone, EVIL):
        link = Link(server, EVIL, port=server.ports["extra"].number)
        link.send("PROXY TCP4 203.0.113.8 127.0.0.1 50123 5269\r\n")
        link.begin()
        link.give_key()
        link.expect("db:result", type="valid")
        assert "203.0.113.8:50123" in [row["address"] for row in server.links()]
