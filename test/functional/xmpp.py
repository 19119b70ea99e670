# SPDX-License-Identifier: Apache-2.0
"""An XMPP client for tests: a plain socket, one thread, every read with a deadline.

Client.expect() takes the next element and says precisely what came instead; nothing is skipped unless a test asks for
it with take().  What was said on the wire is part of every failure.
"""
import itertools
import os
import select
import socket
import ssl
import struct
import time

import sasl
import tls
from element import END, EOF, NS, Parser, attrs, child, children, differences, escape, name, show, text

TIMEOUT = float(os.environ.get("MEERKAT_TEST_TIMEOUT", "20"))  # most seconds to wait for one element
STANZAS = (name("message"), name("presence"), name("iq"))
ids = itertools.count(1)


class Failure(AssertionError):
    pass


def fail(client, message):
    raise Failure(f"{message}\n{client.said()}")


class Sm:
    """The client's side of XEP-0198: counts in both directions."""

    def __init__(self, auto):
        self.auto = auto  # answers <r/> and swallows <a/>
        self.id = None
        self.received = self.sent = self.acked = 0
        self.unacked = []


class Stream:
    """A connection: bytes out, elements in."""

    def __init__(self, address, label="client"):
        self.label = label
        self.log = []
        self.queue = []
        self.header = None
        self.features = None
        self.sm = None
        self.closed = False
        self.piece = None  # most bytes to write at once
        self.parser = Parser(self.arrived)
        self.sock = socket.create_connection(address, TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # ---- output

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.log.append((">", data))
        try:
            self.sock.settimeout(TIMEOUT)
            for at in range(0, len(data), self.piece or len(data) or 1):
                self.sock.sendall(data[at:at + (self.piece or len(data))])
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            self.log.append(("!", str(error).encode()))  # the reader learns why

    def drop(self):
        """Loses the connection: no closing tag, no TLS goodbye, a reset."""
        if not self.closed and self.sock.fileno() >= 0:  # a handshake that failed has closed it already
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.shut()

    def shut(self):
        self.closed = True
        self.sock.close()

    # ---- input

    def arrived(self, element):
        if element is not END and element.tag == name("stream:stream"):
            self.header = element
        if self.sm and element is not END:
            if element.tag in STANZAS:
                self.sm.received += 1
            elif element.tag == name("sm:enabled"):
                self.sm.received = 0
            if self.sm.auto and element.tag == name("sm:r"):
                self.send(f"<a xmlns='{NS['sm']}' h='{self.sm.received}'/>")
                return
            if self.sm.auto and element.tag == name("sm:a"):
                self.sm.acked = int(element.get("h"))
                return
        self.queue.append(element)

    def read(self, deadline):
        """Waits for bytes.  False when DEADLINE (a time.monotonic()) passed."""
        pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        left = deadline - time.monotonic()
        if not pending and not select.select([self.sock], [], [], max(0, left))[0]:
            return False
        try:
            self.sock.settimeout(max(0.01, left))
            data = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except (ConnectionResetError, ssl.SSLError) as error:
            self.log.append(("!", str(error).encode()))
            data = b""
        if data:
            self.log.append(("<", data))
            self.parser.feed(data)
        else:
            self.queue.append(EOF)
        return True

    def next(self, timeout=TIMEOUT, wanted="something"):
        deadline = time.monotonic() + timeout
        while not self.queue:
            if not self.read(deadline):
                fail(self, f"waited {timeout:g} s for {wanted}")
        if self.queue[0] is EOF:
            return EOF
        return self.queue.pop(0)

    def expect(self, what, timeout=TIMEOUT, **wanted):
        """The next element, which must be WHAT: see element.differences()."""
        description = describe(what, wanted)
        got = self.next(timeout, description)
        why = differences(got, what, **wanted)
        if why:
            fail(self, f"expected {description}\n     but got {show(got)}\n     where {why}")
        return got

    def take(self, what, timeout=TIMEOUT, **wanted):
        """The first element that is WHAT; others stay, in their order."""
        deadline, seen = time.monotonic() + timeout, 0
        while True:
            for i in range(seen, len(self.queue)):
                if differences(self.queue[i], what, **wanted) is None:
                    return self.queue.pop(i)
            seen = len(self.queue)
            if EOF in self.queue or not self.read(deadline):
                arrived = "".join(f"\n  {show(e)}" for e in self.queue) or " nothing"
                fail(self, f"no {describe(what, wanted)} came, but:{arrived}")

    def expect_closed(self):
        """The end of the stream, or of a connection that had none, and nothing else."""
        got = self.next(wanted="the end of the stream")
        if got is END:
            got = self.next(wanted="the end of the connection")
        if got is not EOF:
            fail(self, f"expected the end, but got {show(got)}")

    def expect_error(self, condition, app=None):
        """A stream error, and the end."""
        error = self.expect("stream:error", has=["streams:" + condition] + ([app] if app else []))
        self.expect_closed()
        return error

    def said(self, most=16):
        lines = [f"  {way} {data[:1000].decode('utf-8', 'backslashreplace')}" for way, data in self.log[-most:]]
        return f"--- {self.label} said (>) and got (<):\n" + "\n".join(lines)


def describe(what, wanted):
    parts = [f"{k.rstrip('_')}={v!r}" for k, v in wanted.items()]
    return f"<{what}> with " + ", ".join(parts) if parts else f"<{what}>"


class Client(Stream):
    """A user's stream.  ADDRESS is (host, port); USER and PASSWORD are for domain DOMAIN."""

    def __init__(self, address, domain, user=None, password=None, label=None, direct=None):
        self.domain, self.user, self.password = domain, user, password
        self.jid = None
        self.is_available = False
        super().__init__(address, label or user or "client")
        if direct:
            self.start_tls(direct)

    @property
    def bare(self):
        return f"{self.user}@{self.domain}"

    @property
    def resource(self):
        return self.jid.partition("/")[2]

    # ---- negotiation

    def start_tls(self, context=None, server_name=None):
        """The handshake alone."""
        self.sock.settimeout(TIMEOUT)
        self.sock = (context or tls.context()).wrap_socket(self.sock, server_hostname=server_name or self.domain)
        self.parser = Parser(self.arrived)

    @staticmethod
    def header_text(to=None, from_=None, version="1.0", ns="jabber:client", stream_ns=NS["stream"], extra=""):
        return (f"<?xml version='1.0'?><stream:stream xmlns='{ns}' xmlns:stream='{stream_ns}'"
                f"{attrs(to=to, from_=from_, version=version)}{extra}>")

    def open(self, **header):
        """Sends a header, expects the server's and its features."""
        header.setdefault("to", self.domain)
        self.send(self.header_text(**header))
        self.expect("stream:stream", from_=header["to"], version="1.0")
        self.features = self.expect("stream:features")
        return self.features

    def starttls(self, context=None):
        self.send(f"<starttls xmlns='{NS['tls']}'/>")
        self.expect("tls:proceed")
        self.start_tls(context)
        return self.open()

    def mechanisms(self):
        return [e.text for e in children(self.features, "sasl:mechanisms/sasl:mechanism")]

    def bindings(self):
        return [e.get("type") for e in children(self.features, "cb:sasl-channel-binding/cb:channel-binding")]

    def auth(self, mechanism, data=None):
        payload = "" if data is None else sasl.b64(data) or "="
        self.send(f"<auth xmlns='{NS['sasl']}' mechanism='{mechanism}'>{payload}</auth>")

    def respond(self, data):
        self.send(f"<response xmlns='{NS['sasl']}'>{sasl.b64(data)}</response>")

    def scram(self, mechanism, user=None, password=None, **switches):
        """Up to the server's verdict, which is the next element.  Returns the exchange."""
        if mechanism.endswith("-PLUS") and "flag" not in switches:
            kind = self.bindings()[0]
            switches.update(flag="p=" + kind, channel=tls.binding(self.sock, kind))
        exchange = sasl.Scram(mechanism, user or self.user, self.password if password is None else password, **switches)
        self.auth(mechanism, exchange.first())
        challenge = self.expect("sasl:challenge")
        self.respond(exchange.final(sasl.unb64(challenge.text)))
        return exchange

    def authenticate(self, mechanism="SCRAM-SHA-256", **switches):
        """Logs in and opens the stream that follows."""
        if mechanism == "PLAIN":
            self.auth("PLAIN", sasl.plain(self.user, self.password))
            self.expect("sasl:success")
        elif mechanism == "ANONYMOUS":
            self.auth("ANONYMOUS")
            self.expect("sasl:success")
        else:
            exchange = self.scram(mechanism, **switches)
            success = self.expect("sasl:success")
            if not exchange.verify(sasl.unb64(success.text)):
                fail(self, "the server's signature is wrong")
        return self.open()

    # ---- SASL2 (XEP-0388) and Bind 2 (XEP-0386)

    def auth2(self, mechanism, data=None, inline="", agent=None, software=None, device=None):
        """<authenticate/> with INLINE behind it; AGENT is the id of the user agent."""
        first = "" if data is None else f"<initial-response>{sasl.b64(data)}</initial-response>"
        about = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in (("software", software), ("device", device)) if v)
        if agent or about:
            about = f"<user-agent{attrs(id=agent)}>{about}</user-agent>"
        self.send(f"<authenticate xmlns='{NS['sasl2']}'{attrs(mechanism=mechanism)}>{first}{about}{inline}</authenticate>")

    def respond2(self, data):
        self.send(f"<response xmlns='{NS['sasl2']}'>{sasl.b64(data)}</response>")

    def scram2(self, mechanism="SCRAM-SHA-256", password=None, inline="", agent=None, software=None, device=None,
               **switches):
        """Up to the server's verdict, which is the next element.  Returns the exchange."""
        if mechanism.endswith("-PLUS") and "flag" not in switches:
            kind = self.bindings()[0]
            switches.update(flag="p=" + kind, channel=tls.binding(self.sock, kind))
        exchange = sasl.Scram(mechanism, self.user, self.password if password is None else password, **switches)
        self.auth2(mechanism, exchange.first(), inline, agent, software, device)
        self.respond2(exchange.final(sasl.unb64(self.expect("sasl2:challenge").text)))
        return exchange

    def welcomed(self, resumed=False):
        """<success/>, and the features unless a session was RESUMED.  Returns <success/>."""
        success = self.expect("sasl2:success")
        jid = text(success, "sasl2:authorization-identifier")
        if child(success, "bind2:bound") is not None or resumed:
            self.jid, self.label = jid, jid
            self.user = jid.partition("@")[0]
        if not resumed:
            self.features = self.expect("stream:features")
        return success

    def login2(self, mechanism="SCRAM-SHA-256", bind="", resumed=False, inline="", **how):
        """From a stream with features to a session; BIND is what is inside of <bind/>, None for none."""
        if bind is not None:
            inline += f"<bind xmlns='{NS['bind2']}'>{bind}</bind>"
        if mechanism == "PLAIN":
            self.auth2("PLAIN", sasl.plain(self.user, self.password), inline, **how)
            return self.welcomed(resumed)
        exchange = self.scram2(mechanism, inline=inline, **how)
        success = self.welcomed(resumed)
        if not exchange.verify(sasl.unb64(text(success, "sasl2:additional-data"))):
            fail(self, "the server's signature is wrong")
        return success

    def bind(self, resource=None):
        inner = f"<resource>{escape(resource)}</resource>" if resource else ""
        result = self.iq("set", f"<bind xmlns='{NS['bind']}'>{inner}</bind>")
        if result.get("type") != "result":
            fail(self, f"could not bind: {show(result)}")
        self.jid = text(result, "bind:bind/bind:jid")
        self.user = self.jid.partition("@")[0]
        self.label = self.jid
        return self

    def login(self, mechanism="SCRAM-SHA-256", resource=None, use_tls=True, context=None):
        """From a fresh connection to a bound resource."""
        self.open()
        if use_tls and not isinstance(self.sock, ssl.SSLSocket):
            self.starttls(context)
        self.authenticate(mechanism)
        return self.bind(resource)

    # ---- stanzas

    def stanza(self, data):
        if self.sm:
            self.sm.sent += 1
            self.sm.unacked.append(data)
        self.send(data)

    def message(self, to, body=None, type="chat", payload="", id=None, **more):
        inner = (f"<body>{escape(body)}</body>" if body is not None else "") + payload
        self.stanza(f"<message{attrs(to=to, type=type, id=id, **more)}>{inner}</message>")

    def presence(self, payload="", to=None, type=None, id=None, priority=None, **more):
        if priority is not None:
            payload += f"<priority>{priority}</priority>"
        if to is None:
            self.is_available = type is None
        self.stanza(f"<presence{attrs(to=to, type=type, id=id, **more)}>{payload}</presence>")

    def available(self, priority=None):
        """Initial presence, and what the server sends of it to this very resource."""
        self.presence(priority=priority)
        self.expect("presence", from_=self.jid, type=None)
        return self

    def ask(self, type, payload, to=None, id=None, **more):
        """Sends an iq; returns its id."""
        id = id or f"q{next(ids)}"
        self.stanza(f"<iq{attrs(type=type, to=to, id=id, **more)}>{payload}</iq>")
        return id

    def iq(self, type, payload, to=None, **more):
        """An iq and its answer; what came before stays to be read."""
        return self.take("iq", id=self.ask(type, payload, to, **more))

    def result(self, type, payload, to=None, **more):
        """The same for one that must succeed."""
        answer = self.iq(type, payload, to, **more)
        if answer.get("type") != "result":
            fail(self, f"expected a result, but got {show(answer)}")
        return answer

    def refused(self, type, payload, condition, to=None, kind=None, **more):
        """The same for one that must be refused, with this condition and error type."""
        answer = self.iq(type, payload, to, **more)
        check_error(self, answer, condition, kind)
        return answer

    def expect_bounce(self, what, condition, kind=None, **wanted):
        """The next stanza is an error of ours come back."""
        answer = self.expect(what, type="error", **wanted)
        check_error(self, answer, condition, kind)
        return answer

    def expect_nothing(self):
        """What this account's own turn had to say has been said: no element is left, nor comes before the answer to a
        ping of the server."""
        id = self.ask("get", f"<ping xmlns='{NS['ping']}'/>", self.domain)
        got = self.next(wanted="the answer to a ping")
        if differences(got, "iq", id=id) is not None:
            fail(self, f"expected nothing, but got {show(got)}")

    def quiet(self, *others):
        """Nothing is left, nor comes before a message that each of OTHERS sends now: mail between two accounts keeps
        its order."""
        for other in others:
            id = f"mark{next(ids)}"
            other.message(self.jid, type="headline", id=id, payload="<mark xmlns='urn:meerkat:test'/>")
            got = self.next(wanted=f"the mark of {other.label}")
            if differences(got, "message", id=id, from_=other.jid) is not None:
                fail(self, f"expected nothing of {other.label}, but got {show(got)}")

    def skip(self, *others):
        """Drops everything that came or comes until what each of OTHERS says now."""
        for other in others:
            id = f"mark{next(ids)}"
            other.message(self.jid, type="headline", id=id)
            while differences(self.next(wanted=f"the mark of {other.label}"), "message", id=id) is not None:
                pass

    def end(self):
        """Closes the stream, and waits until the server has."""
        self.send("</stream:stream>")
        while (got := self.next(wanted="the end of the stream")) is not END:
            if got is EOF:
                fail(self, "the connection closed before the stream")
        self.shut()

    # ---- XEP-0198

    def enable(self, resume=True, auto=True, **more):
        self.send(f"<enable xmlns='{NS['sm']}'{attrs(resume='true' if resume else None, **more)}/>")
        self.sm = Sm(auto)
        enabled = self.expect("sm:enabled")
        self.sm.id = enabled.get("id")
        if resume and (not self.sm.id or enabled.get("resume") not in ("true", "1")):
            fail(self, f"not resumable: {show(enabled)}")
        return enabled

    def wait_acked(self, count=None):
        """Asks what the server has handled, until that is COUNT stanzas (all that were sent).  The server may say so
        later: it acknowledges what is safe."""
        count = self.sm.sent if count is None else count
        deadline = time.monotonic() + TIMEOUT
        self.send(f"<r xmlns='{NS['sm']}'/>")
        while self.sm.acked < count:
            if not self.read(deadline) or EOF in self.queue:
                fail(self, f"the server acknowledges {self.sm.acked} stanzas, not {count}")

    def handled(self):
        """What the server says it has handled, at once.  For a client that answers by itself."""
        self.send(f"<r xmlns='{NS['sm']}'/>")
        self.sm.acked = int(self.take("sm:a").get("h"))
        return self.sm.acked

    def ack(self, h=None):
        self.send(f"<a xmlns='{NS['sm']}' h='{self.sm.received if h is None else h}'/>")

    def resume(self, sm, h=None):
        """On a fresh authenticated stream, goes on with SM of a lost one.  The server's answer is next."""
        self.sm = sm
        self.send(f"<resume xmlns='{NS['sm']}' previd='{sm.id}' h='{sm.received if h is None else h}'/>")

    def resumed(self, old):
        """The same, and it must succeed."""
        self.resume(old.sm)
        answer = self.expect("sm:resumed", previd=old.sm.id)
        self.jid, self.user = old.jid, old.user
        self.sm.acked = int(answer.get("h"))
        return answer


def settle(*clients):
    """Lets everything that these said to each other, and what followed from it, come to an end, and drops it."""
    for _ in range(3):
        for client in clients:
            client.skip(*(c for c in clients if c is not client))


def check_error(client, stanza, condition, kind=None):
    error = child(stanza, "error")
    if error is None or child(error, "stanzas:" + condition) is None:
        fail(client, f"expected the error {condition}, but got {show(stanza)}")
    if kind and error.get("type") != kind:
        fail(client, f"expected an error of type {kind}, but got {show(stanza)}")
