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
