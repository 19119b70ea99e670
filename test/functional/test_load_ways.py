# SPDX-License-Identifier: Apache-2.0
"""meerkat-load by WebSocket and BOSH: with this server, with others, and with servers that do as they should not."""
import base64
import contextlib
import hashlib
import os
import re
import socket
import threading

import web
from server import DOMAIN, OTHER, Port, Server, certificate, certificates, merged
from test_load import CHAT, ROOMS, SILENT, in_folder, lied, load, other_server, scenario

SERVER = False
COST = 6
WAYS = ("websocket", "bosh")
LIES = ["--drop", "11", "--duplicate", "6", "--swap", "7", "--refuse", "13", "--delay", "30"]


# ---- a server that lies

def told(counts, truth):
    """Whether the report has just the lies."""
    lies = {"lost": truth["dropped"] + truth["held"], "duplicated": truth["duplicated"], "disordered": truth["swapped"],
            "refused": truth["refused"]}
    assert min(lies.values()) > 0 and {k: counts[k] for k in lies} == lies, (counts, truth)
    assert counts["acked"] == truth["acked"] == counts["sent"], (counts, truth)


@in_folder
def test_lies_by_websocket(tmp):
    code, counts, _, truth = lied(tmp, LIES, {**CHAT, "way": "websocket"}, drain=2.0)
    told(counts, truth)
    code, counts, _, truth = lied(tmp, [*LIES, "--pieces"], {**CHAT, "way": "websocket"}, drain=2.0)
    told(counts, truth)
    assert truth["pings"] == truth["pongs"] > 100, truth


@in_folder
def test_lies_by_bosh(tmp):
    code, counts, _, truth = lied(tmp, LIES, {**CHAT, "way": "bosh"}, drain=2.0)
    told(counts, truth)
    code, counts, _, truth = lied(tmp, [*LIES, "--pieces", "--hang-up", "9"], {**CHAT, "way": "bosh"}, drain=2.0)
    told(counts, truth)
    assert truth["hung_up"] > 20 and not counts["lost_connections"] and counts["connections"] > truth["hung_up"], counts


# ---- this server

REGISTER = {"register": {"open": True, "allow_plain": True, "min_password": 6, "registration_timeout": "0ms"}}


def config(http=None, **options):
    """Both ways, at the host of the URLs too, whose certificate is of its own."""
    cert, key = certificate(certificates(), f"localhost-{os.getpid()}", ["localhost"], [f"{certificates()}/ca.{x}" for x in ("crt", "key")])
    plugins = merged({"websocket": {}, "bosh": {}, **REGISTER}, options)

    def change(tree):
        web.config(plugins, http)(tree)
        tree["hosts"] = [*tree["hosts"], {"name": "localhost", "certificate": cert, "key": key}]
    return change


def urls(secure=False, host="127.0.0.1", port=None, path=None):
    s = "s" if secure else ""
    port = port or web.PORTS["http" + s].number
    return {"websocket": f"ws{s}://{host}:{port}{path or '/xmpp-websocket'}",
            "bosh": f"http{s}://{host}:{port}{path or '/http-bind'}"}


def plan(port, groups, where, **over):
    tree = scenario(port, DOMAIN, groups, server={"tls": "starttls", **where},
                    accounts={"mechanism": "SCRAM-SHA-256", "register": True})
    return merged(tree, over)


def clean(running, groups, where, *options, **over):
    """Counts and report of a run in which nothing must be missing."""
    tree = plan(running.ports["starttls"].number, groups, where, **over)
    page = os.path.join(running.folder, "load.html")
    code, report, said = load(running.folder, tree, "--html", page, *options, pid=running.process.pid)
    assert code == 0 and report["clean"] and not report["reasons"], said
    counts = report["counts"]
    assert not any(counts[k] for k in ("login_failures", "lost_connections", "lost", "duplicated", "query_errors")), said
    assert counts["delivered"] == counts["sent"] and counts["acked"] == counts["sent"] + counts["room_sent"], counts
    with open(page) as f:
        rows = [f"<td>{g['name']}</td><td>{g['count']}</td><td>{g.get('way', 'tcp')}</td>" for g in groups]
        html = f.read()
        assert all(row in html for row in rows), html
    named = [{k: g.get(k, "tcp") for k in ("count", "way", "name")} for g in groups]
    assert report["groups"] == named, report["groups"]
    return counts, report


CHAT_OF_8 = {"count": 8, "chat": {"think": 0.1}}
BACK = {"count": 6, "chat": {"think": 0.2}, "reconnect": {"every": 0.4, "resume": True}}
MIX = [{"name": "tcp", **CHAT_OF_8},
       {"name": "sockets", "way": "websocket", "carbons": True, **CHAT_OF_8},
       {"name": "requests", "way": "bosh", **CHAT_OF_8},
       {"name": "back", "way": "websocket", **BACK},
       {"name": "rest", "way": "bosh", "count": 4, "archive": {"every": 0.3, "page": 5}, "roster_churn": {"every": 0.2}},
       {"name": "large", "way": "websocket", "count": 4, "chat": {"think": 0.3, "size": 80000}},
       {"name": "idle", "way": "bosh", "count": 4}]


def test_mix():
    with Server(config(), sqlite=True) as server:
        for secure in (False, True):
            ca = ["--ca", f"{certificates()}/ca.crt"] if secure else []
            where = urls(secure, "localhost")
            if secure:
                where["tls"] = "direct"
            port = server.ports["direct" if secure else "starttls"].number
            counts, report = clean(server, MIX, where, *ca, workers=2, hold=2.0,
                                   server={"port": port, "connections_per_address": 7})
            assert counts["sent"] > 400 and counts["logins"] == 42, counts
            assert counts["resumed"] > 5 and counts["archive_pages"] > 5 and counts["roster_changes"] > 5, counts
            assert report["times_us"]["delivery"]["count"] > 300, report["times_us"]


def test_bosh_comes_back():
    """With its stream where the server resumes one that came by BOSH, and anew where it has gone in peace."""
    with Server(config(bosh={"max_wait": "1s"}, http={"keep_alive": "1s"}), sqlite=True) as server:
        back = {"name": "back", "way": "bosh", **BACK}
        anew = {"name": "anew", "way": "bosh", "count": 4, "reconnect": {"every": 0.4, "resume": False, "abrupt": False}}
        tired = {"name": "tired", "way": "bosh", "count": 4, "chat": {"think": 1.5}}
        counts, _ = clean(server, [back, anew, tired], urls(), hold=4.0)
        assert counts["resumed"] > 20 and counts["logins"] > 14 + 20, counts


def by(way, *groups):
    return [{**group, "way": way} for group in groups]


def where_others_are(server):
    return urls(port=server.http)


def test_prosody():
    other_server("prosody", "ARCHIVE", "WEB", where=where_others_are,
                 groups=by("websocket", MIX[1], BACK, ROOMS) + by("bosh", MIX[2], MIX[4], ROOMS))


def test_ejabberd():
    other_server("ejabberdctl", "OWN_ARCHIVE", "WEB", where=where_others_are,
                 groups=by("websocket", MIX[1], SILENT, ROOMS) + by("bosh", MIX[2], MIX[4], ROOMS))


# ---- certificates, and servers that are none

def reasons(folder, where, way, *options, **over):
    """Why no client came in."""
    tree = plan(5222, [{"count": 2, "way": way}], where, hold=0.0, arrival={"timeout": 20}, **over)
    code, report, said = load(folder, tree, *options)
    assert code == 1 and report["counts"]["login_failures"] == 2 and not report["counts"]["logins"], said
    assert sum(report["reasons"].values()) == 2, said
    return " | ".join(report["reasons"])


def test_certificates():
    with Server(config(), sqlite=True) as server:
        ca, other = (f"{certificates()}/{name}.crt" for name in ("ca", OTHER))
        for way in WAYS:
            for options in (["--verify"], ["--ca", other]):
                assert "issuer is unknown" in reasons(server.folder, urls(True, "localhost"), way, *options)
            assert "name in the certificate does not match" in reasons(server.folder, urls(True), way, "--ca", ca)
            clean(server, [{"name": "trusting", "way": way, "count": 2}], urls(True), hold=0.2)


def test_wrong_places():
    with Server(config(), sqlite=True) as server:
        c2s, closed = server.ports["starttls"].number, Port().number
        for way, name in zip(WAYS, ("WebSocket", "BOSH")):
            def refused(words, where, **over):
                why = reasons(server.folder, where, way, **over)
                assert why == words, (why, words)
            refused(f"{name}: 404 Not Found", urls(path="/nowhere"))
            refused(f"{name}: the answer is no HTTP" + (", or too large" if way == "bosh" else ""), urls(port=c2s))
            refused("stream error: host-unknown", urls(), server={"domain": "nobody.example"})
            refused("connect: Connection refused", urls(port=closed))
            assert "TLS" in reasons(server.folder, urls(True, port=web.PORTS["http"].number), way)
        crossed = {"websocket": urls(path="/http-bind")["websocket"], "bosh": urls(path="/xmpp-websocket")["bosh"]}
        assert reasons(server.folder, crossed, "websocket") == "WebSocket: 200 OK"
        assert reasons(server.folder, crossed, "bosh") == "BOSH: 405 Method Not Allowed"


class Answering:
    """A server that answers whatever is said with ANSWER, in which KEY stands for what the client awaits."""

    def __init__(self, answer):
        self.listener, self.answer = socket.create_server(("127.0.0.1", 0)), answer
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s, contextlib.suppress(OSError):
                said = s.recv(65536)
                key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", said)
                accept = base64.b64encode(hashlib.sha1(key.group(1) + web.GUID.encode()).digest()) if key else b""
                s.sendall(self.answer.replace(b"KEY", accept))
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()


HELLO = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n" \
    b"Sec-WebSocket-Protocol: xmpp\r\n\r\n"


def frame(first, data):
    return HELLO + bytes([first, len(data)]) + data


def http(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


ODD = {"websocket": [
    (b"", "connection closed before an answer"),
    (HELLO[:40], "connection closed before an answer"),
    (HELLO.replace(b"KEY", b"a2V5"), "Sec-WebSocket-Accept is wrong"),
    (HELLO.replace(b"Sec-WebSocket-Accept", b"X"), "Sec-WebSocket-Accept is wrong"),
    (HELLO.replace(b"Protocol: xmpp", b"Protocol: chat"), "the server has not agreed to the subprotocol xmpp"),
    (HELLO.replace(b"Upgrade: websocket", b"Upgrade: h2c"), "the server switches to another protocol"),
    (http("busy", "503 So"), "503 Service Unavailable"),
    (frame(0x82, b"<a/>"), "a binary message"),
    (frame(0x81, b"<a>"), "a message that is not one element"),
    (frame(0x81, b"<a/><b/>"), "a message that is not one element"),
    (HELLO + b"\x81\x7f" + b"\xff" * 8, "a message that is too large"),
    (frame(0x88, b"\x03\xe9bye"), "closed with 1001"),
    (frame(0x88, b""), "closed"),
], "bosh": [
    (b"", "connection closed before an answer"),
    (http("busy", "503 So"), "503 Service Unavailable"),
    (http(""), "the answer is no <body/>"),
    (http("<html></html>"), "the answer is no <body/>"),
    (http("<body sid='1'><a></body>"), "the answer is no <body/>"),
    (http("<body/>"), "the answer names no session"),
    (http(f"<body sid='{'x' * 200}'/>"), "the answer names no session"),
    (http("<body sid='1' hold='0'/>"), "the server keeps no request until it has something to say"),
    (http("<body type='terminate' condition='remote-connection-failed'/>"), "remote-connection-failed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "the answer is no HTTP, or too large"),
    (b"HTTP/1.0 200 OK\r\n\r\n<body type='terminate' condition='bad-request'/>", "bad-request"),
]}


@in_folder
def test_odd_answers_are_named(tmp):
    for way, name in zip(WAYS, ("WebSocket", "BOSH")):
        for answer, words in ODD[way]:
            with Answering(answer) as server:
                why = reasons(tmp, urls(port=server.port), way)
                assert why == f"{name}: {words}", (answer, why)
    with Answering(frame(0x81, b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")) as server:
        assert reasons(tmp, urls(port=server.port), "websocket") == "the server closed the stream"
    with Answering(http("<body type='terminate'/>")) as server:
        assert reasons(tmp, urls(port=server.port), "bosh") == "the server closed the stream"


@in_folder
def test_mistakes_are_named(tmp):
    def refused(words, group, where):
        code, _, said = load(tmp, plan(5222, [{"count": 2, **group}], where), "--check")
        assert code == 2 and re.search(r"load\.cfg:[0-9]+: " + words, said), said
    ok = urls(port=5280)
    assert load(tmp, plan(5222, [{"count": 2, "way": "bosh"}], ok), "--check")[0] == 0
    refused("groups.way: none of the words", {"way": "pigeon"}, ok)
    refused("groups.way: needs the URL server.bosh", {"way": "bosh"}, {"websocket": ok["websocket"]})
    refused("groups.way: needs the URL server.websocket", {"way": "websocket"}, {})
    refused("server.bosh: a URL of neither http:// nor https://", {}, {"bosh": ok["websocket"]})
    refused("server.websocket: not a URL", {}, {"websocket": "127.0.0.1"})
    refused("server.websocket: ", {}, {"websocket": "ws://no such host/"})
