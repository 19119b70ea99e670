# SPDX-License-Identifier: Apache-2.0
"""Clients over HTTP for tests: requests, WebSocket, BOSH, on plain sockets, so that a test may break what it likes.

WsClient and BoshClient are xmpp.Client over another transport: what a test does with a client it does with these."""
import base64
import hashlib
import os
import re
import select
import socket
import struct
import time
import xml.etree.ElementTree as ET

import tls
import xmpp
from element import END, EOF, NS, Parser, attrs
from server import DOMAIN, Port, Server, merged

NS.update(framing="urn:ietf:params:xml:ns:xmpp-framing", body="http://jabber.org/protocol/httpbind", xbosh="urn:xmpp:xbosh")
PORTS = {"http": Port(), "https": Port()}  # of this process, whose servers run one at a time
TIMEOUT = xmpp.TIMEOUT


def config(plugins=(), http=None, more=None):
    """A server that listens for HTTP, in clear and with TLS; clients may log in on both."""
    def change(tree):
        tree["listeners"] = [*tree["listeners"],
                             {"kind": "http", "address": "127.0.0.1", "port": PORTS["http"].number, "tls": "plain"},
                             {"kind": "http", "address": "127.0.0.1", "port": PORTS["https"].number, "tls": "direct"}]
        tree["host_types"] = {"default": {"plain_without_tls": True}}
        tree["backends"] = {**tree["backends"], "http": http or {}}
        names = plugins if isinstance(plugins, dict) else {name: {} for name in plugins}
        tree["plugins"] = {**tree["plugins"], **names}
        for key, value in merged(tree, more or {}).items():
            tree[key] = value
    return change


def address(kind="http"):
    return "127.0.0.1", PORTS[kind].number


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        values = [v for k, v in self.fields if k == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode()


class Http:
    """A connection to the HTTP server: raw bytes, requests, answers."""

    def __init__(self, kind="http", host=DOMAIN):
        self.host, self.rest = host, b""
        self.sock = socket.create_connection(address(kind), TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kind == "https":
            self.sock = tls.context().wrap_socket(self.sock, server_hostname=host)

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def request(self, method="GET", path="/", body=b"", **fields):
        """Sends it; fields are named with _ for -."""
        body = body.encode() if isinstance(body, str) else body
        fields = {"Host": self.host, **{k.replace("_", "-"): v for k, v in fields.items()}}
        if body:
            fields.setdefault("Content-Length", len(body))
        head = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
        self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return self

    def more(self):
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)

    def until(self, end):
        while end not in self.rest:
            if not self.more():
                raise AssertionError(f"the connection closed before {end!r}, with {self.rest[:200]!r}")
        data, _, self.rest = self.rest.partition(end)
        return data

    def exactly(self, count):
        while len(self.rest) < count:
            if not self.more():
                raise AssertionError(f"the connection closed {count - len(self.rest)} bytes too early")
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def answer(self, head=False):
        """The next answer; of one to a HEAD request only the HEAD."""
        status, *lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        version, code, _ = status.split(" ", 2)
        assert version == "HTTP/1.1", status
        fields = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]
        found = Answer(int(code), fields, b"")
        if head or found.status < 200 or found.status in (204, 304):
            return found
        if found["transfer-encoding"] == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                found.body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
        elif found["content-length"] is not None:
            found.body = self.exactly(int(found["content-length"]))
        return found

    def get(self, path="/", method="GET", **more):
        return self.request(method, path, **more).answer(method == "HEAD")

    def is_closed(self):
        """Waits for the end of the connection; nothing may come before."""
        self.sock.settimeout(TIMEOUT)
        try:
            data = self.rest or self.sock.recv(1)
        except ConnectionResetError:
            data = b""
        assert not data, f"not closed, but got {data!r}"
        return True

    def close(self):
        self.sock.close()


# ---- WebSocket (RFC 6455, RFC 7395)

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload=b"", op=TEXT, fin=True, mask=b"\x12\x34\x56\x78", reserved=0, length=None):
    """A client's frame.  MASK None: there is none.  LENGTH: the bytes that say how long it is."""
    payload = payload.encode() if isinstance(payload, str) else payload
    n, bit = len(payload), 0x80 if mask else 0
    if length is None:
        length = (bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536
                  else bytes([bit | 127]) + struct.pack(">Q", n))
    if mask:
        key = (mask * (n // 4 + 1))[:n]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")
    return bytes([(0x80 if fin else 0) | reserved << 4 | op]) + length + (mask or b"") + payload


class WebSocket(Http):
    """A WebSocket of which a test writes and reads the frames."""

    def __init__(self, kind="http", path="/xmpp-websocket", host=DOMAIN, **fields):
        super().__init__(kind, host)
        key = base64.b64encode(os.urandom(16)).decode()
        self.request("GET", path, **{"Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": key,
                                     "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "xmpp", **fields})
        self.handshake = self.answer()
        if self.handshake.status == 101:
            wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert self.handshake["sec-websocket-accept"] == wanted and self.handshake["upgrade"] == "websocket"
            assert self.handshake["sec-websocket-protocol"] == "xmpp" and not self.handshake["sec-websocket-extensions"]

    def write(self, payload=b"", **how):
        self.send(frame(payload, **how))

    def read(self):
        """The next frame: its opcode and payload."""
        first, second = self.exactly(2)
        assert first & 0xf0 == 0x80 and not second & 0x80, f"{first:#x} {second:#x}"
        size = {126: lambda: struct.unpack(">H", self.exactly(2))[0],
                127: lambda: struct.unpack(">Q", self.exactly(8))[0]}.get(second, lambda: second)()
        return first & 15, self.exactly(size)

    def expect_close(self, code):
        """A close frame, perhaps behind other frames, and the end."""
        got = []
        while True:
            op, payload = self.read()
            if op == CLOSE:
                break
            got.append(payload)
        assert int.from_bytes(payload[:2], "big") == code, (code, payload, got)
        self.is_closed()
        return b"".join(got).decode()


class Carried(xmpp.Client):
    """An xmpp.Client whose stream is carried by something else.  It reads a stream that is put together again."""

    secure = False

    def begin(self, domain, user, password, label):
        self.domain, self.user, self.password = domain, user, password
        self.jid, self.is_available = None, False
        self.label = label or user or "client"
        self.log, self.queue = [], []
        self.header = self.features = self.sm = self.piece = None
        self.closed = False
        self.parser = Parser(self.arrived)

    def starttls(self, context=None):
        raise AssertionError("there is no STARTTLS here")

    def login(self, mechanism="SCRAM-SHA-256", resource=None, use_tls=False, context=None):
        return super().login(mechanism, resource, use_tls=False)

    def feed_header(self, said):
        """SAID has the attributes of the server's header."""
        self.parser = Parser(self.arrived)
        self.parser.feed(self.header_text(to=said.get("to"), from_=said.get("from"), version=said.get("version"),
                                          extra=attrs(id=said.get("id"))).encode())


TAGS = re.compile(r"<\?xml[^>]*\?>")


def header_of(data):
    """Attributes of a stream header that xmpp.Client writes, None if DATA is none."""
    text = TAGS.sub("", data)
    if not text.startswith("<stream:stream"):
        return None
    return dict(re.findall(r"\s(to|from|version)=[\"']([^\"']*)[\"']", text))


class WsClient(Carried):
    """A client over WebSocket."""

    def __init__(self, domain, user=None, password=None, kind="http", label=None, **how):
        self.begin(domain, user, password, label)
        self.ws = WebSocket(kind, **{"host": domain, **how})
        self.sock = self.ws.sock
        assert self.ws.handshake.status == 101, self.ws.handshake.text

    def send(self, data):
        head = header_of(data)
        if head is not None:
            data = f"<open xmlns='{NS['framing']}'{attrs(**{k.replace('from', 'from_'): v for k, v in head.items()})}/>"
        elif data == "</stream:stream>":
            data = f"<close xmlns='{NS['framing']}'/>"
        self.log.append((">", data.encode()))
        try:
            self.ws.write(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            self.log.append(("!", str(error).encode()))

    def read(self, deadline):
        left = deadline - time.monotonic()
        pending = self.ws.rest or (hasattr(self.sock, "pending") and self.sock.pending())
        if not pending and not select.select([self.sock], [], [], max(0, left))[0]:
            return False
        try:
            op, payload = self.ws.read()
        except (AssertionError, ConnectionResetError):
            self.queue.append(EOF)
            return True
        self.log.append(("<", payload if op == TEXT else b"(frame %d) " % op + payload))
        if op == PING:
            self.ws.write(payload, op=PONG)
        elif op == TEXT:
            self.take_text(payload)
        return True

    def take_text(self, payload):
        root = ET.fromstring(payload)  # alone it is a document
        if root.tag == f"{{{NS['framing']}}}open":
            self.feed_header(root.attrib)
        elif root.tag == f"{{{NS['framing']}}}close":
            self.parser.feed(b"</stream:stream>")
        else:
            assert root.tag.startswith("{"), payload
            self.parser.feed(payload)


# ---- BOSH (XEP-0124)

BODY = f"{{{NS['body']}}}body"


def body(inner="", **values):
    """A <body/>: names with _ for -, restart and version as XEP-0206 has them."""
    special = {"restart": "xmpp:restart", "version": "xmpp:version", "lang": "xml:lang"}
    extra = "".join(f" {special.get(k, k)}='{v}'" for k, v in values.items() if v is not None)
    return f"<body xmlns='{NS['body']}' xmlns:xmpp='{NS['xbosh']}'{extra}>{inner}</body>"


class Bosh:
    """Requests of one session, each on a connection of its own while it is held."""

    def __init__(self, kind="http", path="/http-bind", host=DOMAIN, rid=1000, **fields):
        self.kind, self.path, self.host, self.rid, self.fields = kind, path, host, rid, fields
        self.idle, self.sid = [], None

    def post(self, text, h=None):
        """Sends TEXT; the answer is h.answer()."""
        h = h or (self.idle.pop() if self.idle else Http(self.kind, self.host))
        return h.request("POST", self.path, text, Content_Type="text/xml; charset=utf-8", **self.fields)

    def begin(self, **values):
        """Creates a session; returns the answer's <body/>."""
        wanted = {"to": self.host, "wait": 60, "hold": 1, "ver": "1.6", "version": "1.0", "lang": "en", **values}
        found = self.ask(rid=self.rid, **wanted)
        self.sid = found.get("sid")
        return found

    def next(self, inner="", **values):
        """Sends the next request, which may be held."""
        self.rid += 1
        return self.post(body(inner, rid=self.rid, sid=self.sid, **values))

    def done(self, h):
        found = h.answer()
        assert found.status == 200 and found["content-type"].startswith("text/xml"), (found.status, found.body)
        self.idle.append(h)
        return ET.fromstring(found.body)

    def ask(self, inner="", **values):
        """A request and its answer's <body/>."""
        return self.done(self.post(body(inner, **values)))


FIRST_TAG = re.compile(r"<([\w:]+)([^>]*?)(/?)>", re.S)


class BoshClient(Carried):
    """A client over BOSH, with one request held."""

    def __init__(self, domain, user=None, password=None, kind="http", label=None, **wishes):
        self.begin(domain, user, password, label)
        self.bosh = Bosh(kind, host=domain)
        self.wishes, self.asked = wishes, []
        self.header_due = self.ended = False

    def post(self, inner="", **values):
        deadline = time.monotonic() + TIMEOUT
        while len(self.asked) >= 2:  # as many as there may be
            if not self.read(deadline):
                xmpp.fail(self, "no request is answered")
        self.log.append((">", (" ".join(f"{k}={v}" for k, v in values.items()) + inner).encode()))
        self.asked.append(self.bosh.next(inner, **values))

    def send(self, data):
        data = data if isinstance(data, str) else data.decode()
        head = header_of(data)
        if head is not None and self.bosh.sid is None:
            self.header_due = True
            self.take_body(self.bosh.begin(to=head.get("to"), version=head.get("version"), **self.wishes))
        elif head is not None:
            self.header_due = True
            self.post(restart="true", to=head.get("to"))
        elif data == "</stream:stream>":
            self.post(type="terminate")
        else:
            name, rest, end = FIRST_TAG.match(data).groups()
            if "xmlns=" not in rest:
                data = f"<{name} xmlns='jabber:client'{rest}{end}>" + data[FIRST_TAG.match(data).end():]
            self.post(data)

    def take_body(self, found):
        assert found.tag == BODY, found.tag
        self.log.append(("<", ET.tostring(found)))
        if self.header_due and (len(found) or found.get("type") == "terminate"):
            self.header_due = False
            self.feed_header({"from": found.get("from") or self.domain, "id": found.get("authid"), "version": "1.0"})
        for e in found:
            self.parser.feed(ET.tostring(e))
        if found.get("type") == "terminate" and not self.ended:
            self.parser.feed(b"</stream:stream>")
            self.queue.append(EOF)
            self.ended, self.condition = True, found.get("condition")

    def read(self, deadline):
        if self.ended:
            self.queue.append(EOF)
            return True
        if not self.asked:
            self.post()
        left = deadline - time.monotonic()
        if not select.select([self.asked[0].sock], [], [], max(0, left))[0]:  # answers have the order of requests
            return False
        self.take_body(self.bosh.done(self.asked.pop(0)))
        return True

    def drop(self):
        self.shut()

    def shut(self):
        self.closed = True
        for h in self.asked + self.bosh.idle:
            h.close()
