# SPDX-License-Identifier: Apache-2.0
"""Clients over HTTP that mean ill, by the thousand: each is got rid of, memory stays bounded, others notice nothing."""
import resource
import select

import web
from element import text
from server import DOMAIN
from test_stream_mgmt import metric
from web import Bosh, BoshClient, Http, WebSocket, WsClient, body, frame

CONFIG = web.config({"websocket": {}, "bosh": {}}, http={"request_timeout": "8s"},
                    more={"limits": {"login_timeout": "20s", "failed_login_delay": 0, "failed_logins": 1000000}})
COST = 15
FULL = 10000  # as many as the limit of descriptors lets this process have

SANITIZER = 300 * 1024 * 1024  # what it keeps of freed memory


def many():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(FULL, hard // 2 - 200)


def memory(server):
    return server.control("status")[0]["memory"]


def others(server):
    """A pair whose chat goes on."""
    a = WsClient(DOMAIN, server.account("alice"), "secret").login().available()
    return a, server.client("bob")


def chat(a, b, what):
    a.message(b.jid, what)
    assert text(b.take("message", from_=a.jid), "body") == what
    b.message(a.jid, what)
    assert text(a.take("message", from_=b.jid), "body") == what


def test_connections_that_say_nothing(server):
    """Half of them silent, half in the middle of a head."""
    a, b = others(server)
    count, before = many(), memory(server)
    silent = []
    for i in range(count):
        h = Http()
        if i % 2:
            h.send("GET / HTTP/1.1\r\nHost: " + "x" * 100)
        silent.append(h)
        if i % 1000 == 0:
            chat(a, b, f"at {i}")
    server.wait_until("they are closed", lambda: metric(server.ctl("metrics"), "meerkat_connections ") < 100)
    chat(a, b, "all gone")
    grown = memory(server) - before
    assert grown < count * 16384 + SANITIZER, f"{grown} bytes for {count} connections"
    for h in silent:
        h.close()
    for c in (a, b):
        c.end()


def stuff(conn, piece):
    """Sends PIECE again and again until nobody takes more; returns how many were sent, whole."""
    sent, most = 0, 64 << 20
    conn.sock.setblocking(False)
    block = piece * (65536 // len(piece) + 1)
    while select.select([], [conn.sock], [], 2)[1]:
        sent += conn.sock.send(block[sent % len(piece):])
        assert sent < most, "what asks is read although its answers are not taken"
    conn.sock.settimeout(web.TIMEOUT)
    return sent // len(piece)


def test_answers_that_nobody_takes(server):
    """Requests in a row, or pings, of a client that does not read: it is not listened to until it does."""
    a, b = others(server)
    h, ws = Http(), WebSocket()
    asked = stuff(h, f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode())
    pings = stuff(ws, frame(b"x" * 125, op=web.PING))
    chat(a, b, "meanwhile")
    assert asked > 1000 and all(h.answer().status == 404 for _ in range(asked))
    assert pings > 1000 and all(ws.read() == (web.PONG, b"x" * 125) for _ in range(pings))
    for c in (h, ws, a, b):
        (c.end if hasattr(c, "end") else c.close)()


def test_floods(server):
    """Large heads, bodies and frames, on many connections at once, none of them ever whole."""
    a, b = others(server)
    before = memory(server)
    all = [Http() for _ in range(200)]
    for h in all:
        try:
            for _ in range(100):
                h.send(b"X" * 10000)
        except OSError:
            pass
    wide = [WebSocket() for _ in range(100)]
    for ws in wide:
        try:
            ws.send(frame(b"<a>", fin=False))
            for _ in range(100):
                ws.send(frame(b"x" * 10000, op=0, fin=False))
        except OSError:
            pass
    chat(a, b, "in the middle of it")
    for h in all + wide:
        h.close()
    server.wait_until("they are gone", lambda: metric(server.ctl("metrics"), "websocket_open ") == 1)
    assert memory(server) - before < 100 * 1024 * 1024 + SANITIZER
    for c in (a, b):
        c.end()


def test_bosh_sessions_by_the_hundred(server):
    """Sessions that nobody goes on with, replays, guesses at others' sids."""
    a, b = others(server)
    victim = BoshClient(DOMAIN, server.account("victim"), "secret").login()
    for i in range(300):
        bosh = Bosh()
        bosh.begin()
        for rid in (1, bosh.rid, bosh.rid + 50):
            bosh.done(bosh.post(body(rid=rid, sid=bosh.sid)))
        for sid in (victim.bosh.sid[:-1], victim.bosh.sid + "x", "1." + "y" * 22, "4294967297.x", "-1.x", ".", "0."):
            found = bosh.done(bosh.post(body(rid=victim.bosh.rid + 1, sid=sid)))
            assert found.get("condition") == "item-not-found"
        for h in bosh.idle:
            h.close()
    chat(a, b, "meanwhile")
    victim.message(b.jid, "still here")
    assert text(b.take("message", from_=victim.jid), "body") == "still here"
    server.wait_until("no session is left but that one", lambda: metric(server.ctl("metrics"), "bosh_sessions") == 1)
    for c in (a, b, victim):
        c.end()
