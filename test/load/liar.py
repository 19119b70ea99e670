#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that lies by known amounts, to see whether meerkat-load notices exactly that.

    liar.py [--drop N] [--duplicate N] [--swap N] [--refuse N] [--delay MS] [--ack-most N] [--login-failures N]
            [--host ADDRESS] [--way tcp|websocket|bosh] [--pieces] [--hang-up N]

Every Nth message of each client is dropped, delivered twice, delivered behind the one that follows it, or sent back as
an error; all are delivered MS late; no more than N stanzas of a connection are acknowledged; the first N logins fail.
With --pieces it speaks as seldom as is allowed: messages of a WebSocket come in frames of a few bytes with pings between
them, answers of HTTP in chunks.  Of every Nth request of a BOSH session the connection breaks instead of an answer.
Prints its port, and at SIGTERM as JSON what it did.  It knows what meerkat-load says and nothing else of XMPP.
"""
import argparse
import asyncio
import base64
import collections
import hashlib
import json
import re
import signal
import struct

PARTS = re.compile(r"<message .*?</message>|<iq .*?</iq>|<presence[^>]*/>|<auth .*?</auth>|<enable [^>]*/>|<r [^>]*/>"
                   r"|<a [^>]*/>|<stream:stream [^>]*>|</stream:stream>|<open [^>]*/>|<close [^>]*/>", re.S)
STREAMS = "xmlns:stream='http://etherx.jabber.org/streams'"
HEADER = f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' {STREAMS} id='1' from='liar.example' version='1.0'>"
OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='1' from='liar.example' version='1.0'/>"
BEFORE = f"<stream:features {STREAMS}><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" \
    "<mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"
AFTER = f"<stream:features {STREAMS}><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"

clients = {}
done = collections.Counter()


class Stream:
    """What a client says and hears, whichever way it comes: that has say()."""

    def __init__(self, options):
        self.options, self.jid = options, None
        self.authenticated = self.counting = False
        self.messages = self.stanzas = 0
        self.acked = []
        self.held = None

    def gone(self):
        clients.pop(self.jid, None)

    def features(self):
        self.say(AFTER if self.authenticated else BEFORE)

    def part(self, text):
        if text[:3] in ("<me", "<iq", "<pr") and self.counting:
            self.stanzas += 1
            self.acked.append(text.startswith("<me"))
        if text.startswith(("<stream:stream", "<open")):
            self.say(OPEN if text.startswith("<open") else HEADER)
            self.features()
        elif text.startswith("<auth"):
            self.auth()
        elif text.startswith("<iq"):
            self.iq(text)
        elif text.startswith("<enable"):
            self.counting = True
            self.say("<enabled xmlns='urn:xmpp:sm:3'/>")
        elif text.startswith("<r "):
            h = min(self.stanzas, self.options.ack_most)
            self.say(f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
        elif text.startswith("<message"):
            self.message(text)

    def auth(self):
        if done["login_failures"] < self.options.login_failures:
            done["login_failures"] += 1
            self.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        else:
            self.authenticated = True
            self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")

    def iq(self, text):
        id = re.search(r"id='([^']*)'", text).group(1)
        inner = ""
        if id == "bind":
            self.jid = f"c{len(clients)}@liar.example/load"
            clients[self.jid] = self
            inner = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{self.jid}</jid></bind>"
        self.say(f"<iq type='result' id='{id}'>{inner}</iq>")

    # ---- messages

    def message(self, text):
        self.messages += 1
        done["received"] += 1

        def chosen(every):
            return every and self.messages % every == 0

        if chosen(self.options.drop):
            done["dropped"] += 1
        elif chosen(self.options.refuse):
            done["refused"] += 1
            id = re.search(r" id='([^']*)'", text).group(1)
            self.say(f"<message type='error' id='{id}'><error type='cancel'/></message>")
        elif chosen(self.options.swap) and not self.held:
            self.held = text
        else:
            self.deliver(text)
            if chosen(self.options.duplicate):
                done["duplicated"] += 1
                self.deliver(text)
            if self.held:
                done["swapped"] += 1
                self.deliver(self.held)
                self.held = None

    def deliver(self, text):
        if self.options.delay:
            asyncio.get_running_loop().call_later(self.options.delay / 1000, self.hand_over, text)
        else:
            self.hand_over(text)

    def hand_over(self, text):
        to = re.search(r" to='([^']*)'", text).group(1)
        if to in clients:
            clients[to].say(text)
            done["delivered"] += 1


# ---- the ways

class Tcp(Stream, asyncio.Protocol):
    rest = ""

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        self.gone()

    def data_received(self, data):
        self.rest += data.decode()
        end = 0
        for part in PARTS.finditer(self.rest):
            end = part.end()
            self.part(part.group())
        self.rest = self.rest[end:]

    def say(self, text):
        self.transport.write(text.encode())


def head_of(data):
    """(first line and fields, what is behind the head) or None."""
    head, end, rest = data.partition(b"\r\n\r\n")
    return (head.decode(), rest) if end else None


class WebSocket(Tcp):
    rest, is_open = b"", False

    def data_received(self, data):
        self.rest += data
        if not self.is_open:
            self.shake_hands()
        while self.is_open and self.take_frame():
            pass

    def shake_hands(self):
        if not (whole := head_of(self.rest)):
            return
        head, self.rest = whole
        key = re.search("Sec-WebSocket-Key: (.*)", head).group(1).strip()
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.transport.write(f"HTTP/1.1 101 Come\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: xmpp"
                             f"\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        self.is_open = True

    def take_frame(self):
        data = self.rest
        size = data[1] & 127 if len(data) > 1 else 0
        more = {126: 2, 127: 8}.get(size, 0)
        begin = 6 + more
        if len(data) < begin:
            return False
        assert data[1] & 128 and data[0] & 128, "a frame without a mask, or in pieces"
        size = int.from_bytes(data[2:2 + more], "big") if more else size
        if len(data) < begin + size:
            return False
        mask, self.rest = data[2 + more:begin], data[begin + size:]
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(data[begin:begin + size]))
        done["pongs"] += data[0] & 15 == 10 and body == b"still there?"
        if data[0] & 15 == 1:
            self.part(body.decode())
        return True

    def frame(self, first, data):
        size = bytes([len(data)]) if len(data) < 126 else struct.pack(">BH", 126, len(data))
        self.transport.write(bytes([first]) + size + data)

    def say(self, text):
        data = text.encode()
        if not self.options.pieces:
            self.frame(0x81, data)
            return
        pieces = [data[i:i + 50] for i in range(0, len(data), 50)] + [b""]
        for i, piece in enumerate(pieces):
            self.frame((1 if i == 0 else 0) | (0x80 if i == len(pieces) - 1 else 0), piece)
            if i == 0:
                done["pings"] += 1
                self.frame(0x89, b"still there?")


class Session(Stream):
    """Of BOSH.  Requests are taken in the order of their rid; all but one are answered at once."""

    def __init__(self, options, rid):
        super().__init__(options)
        self.next, self.early, self.waiting, self.given, self.out = rid, {}, [], {}, ""
        self.sid = f"s{id(self):x}"

    def request(self, http, rid, text):
        if rid in self.given:
            http.answer(self.given[rid])
            return
        self.early[rid] = http, text
        while self.next in self.early:
            http, text = self.early.pop(self.next)
            self.waiting.append((http, self.next))
            self.next += 1
            self.take(text)
        while len(self.waiting) > 1:
            self.answer()
        asyncio.get_running_loop().call_soon(self.answer, True)  # what was said while no request waited

    def take(self, text):
        if "sid=" not in text or "xmpp:restart" in text:
            self.features()
        if "type='terminate'" in text:
            self.say("")
            self.gone()
        for part in PARTS.finditer(text):
            self.part(part.group())

    def say(self, text):
        self.out += text
        asyncio.get_running_loop().call_soon(self.answer, True)

    def answer(self, only_to_say=False):
        if not self.waiting or (only_to_say and not self.out):
            return
        http, rid = self.waiting.pop(0)
        first = f" sid='{self.sid}' wait='60' hold='1' requests='2'" if not self.given else ""
        inner, self.out = self.out, ""
        body = f"<body xmlns='http://jabber.org/protocol/httpbind'{first}>{inner}</body>" if inner else \
            f"<body xmlns='http://jabber.org/protocol/httpbind'{first}/>"
        self.given[rid] = body
        if self.options.hang_up and len(self.given) > 1 and rid % self.options.hang_up == 0:
            done["hung_up"] += 1
            http.transport.close()
        else:
            http.answer(body)


class Bosh(asyncio.Protocol):
    """A connection with requests of any session."""
    sessions = {}

    def __init__(self, options, begin):
        self.options, self.begin, self.rest = options, begin, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.rest += data
        while whole := head_of(self.rest):
            head, rest = whole
            size = int(re.search("Content-Length: ([0-9]+)", head).group(1))
            if len(rest) < size:
                return
            self.rest = rest[size:]
            self.request(rest[:size].decode())

    def request(self, text):
        rid = int(re.search("rid='([0-9]+)'", text).group(1))
        sid = re.search(" sid='([^']*)'", text)
        if sid:
            session = self.sessions[sid.group(1)]
        else:
            session = self.begin(rid)
            self.sessions[session.sid] = session
        session.request(self, rid, text)

    def answer(self, body):
        data = body.encode()
        if not self.options.pieces:
            self.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            return
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(data), 50):
            piece = data[i:i + 50]
            self.transport.write(f"{len(piece):x}; odd=yes\r\n".encode() + piece + b"\r\n")
        self.transport.write(b"0\r\nTrailer: none\r\n\r\n")


async def main():
    parser = argparse.ArgumentParser()
    for name in ("drop", "duplicate", "swap", "refuse", "delay", "login-failures"):
        parser.add_argument("--" + name, type=int, default=0)
    parser.add_argument("--ack-most", type=int, default=10**9)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--way", default="tcp")
    parser.add_argument("--pieces", action="store_true")
    parser.add_argument("--hang-up", type=int, default=0)
    options = parser.parse_args()
    ended, streams = asyncio.Event(), []

    def begin(rid=None):
        kind = {"tcp": Tcp, "websocket": WebSocket, "bosh": Session}[options.way]
        streams.append(kind(options) if rid is None else kind(options, rid))
        return streams[-1]

    def connect():
        return Bosh(options, begin) if options.way == "bosh" else begin()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(connect, options.host, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    done["acked"] = sum(sum(c.acked[:options.ack_most]) for c in streams)
    done["held"] = sum(bool(c.held) for c in streams)
    print(json.dumps(done), flush=True)


asyncio.run(main())
