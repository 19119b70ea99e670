# SPDX-License-Identifier: Apache-2.0
"""Clients over HTTP that mean ill, by the thousand: each is got rid of, memory stays bounded, others notice nothing."""
import resource
import select
import socket

import web
from element import text
from server import DOMAIN
from test_stream_mgmt import metric
from web import Bosh, BoshClient, Http, WebSocket, WsClient, body, frame

LIMITS = {"max_head": 16 << 10, "max_body": 1 << 20, "max_pending": 64 << 20}  # of http: each as documented
OUTPUT = 256 << 10  # what waits for a client that does not read; as much waits of an answer in pieces
CONFIG = web.config({"websocket": {}, "bosh": {"inactivity": "10s"}}, http={"request_timeout": "20s", **LIMITS},
                    more={"limits": {"login_timeout": "20s", "failed_login_delay": 0, "failed_logins": 1000000,
                                     "output": OUTPUT}})
COST, LIMIT = 20, 300
MANY = 10000  # as many as the limit of descriptors lets this process have
SLACK = 2 << 20  # pools of buffers, and what others do meanwhile

# What each costs at most, as http.md, websocket.md and bosh.md say.
SILENT, IN_HEAD, WEBSOCKET, BOSH = 1 << 10, 3 << 10, 4 << 10, 8 << 10


def many(most=MANY):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(most, hard - 1000)


class Held:
    """What the server holds of its memory, above what it held before."""

    def __init__(self, server):
        self.server, self.before = server, server.allocated()

    def __call__(self):
        return self.server.allocated() - self.before

    def below(self, limit, what):
        held = self()
        print(f"# {what}: {held} bytes held, {limit} allowed")
        assert held <= limit + SLACK, f"{held} bytes for {what}, where {limit} are allowed"

    def nothing_left(self):
        self.server.wait_until("all is freed", lambda: self() < SLACK)


def connections(server):
    return server.metrics()["meerkat_connections"]


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
    """A third of them silent, a third in the middle of a head, a third behind the handshake of a WebSocket.  Each is
    closed by its time limit."""
    a, b = others(server)
    each, held = many() // 3, Held(server)
    first = connections(server)
    crowd = [Http() for _ in range(each)]
    server.wait_until("all are there", lambda: connections(server) >= first + each)
    held.below(each * SILENT, f"{each} silent connections")
    in_head = Held(server)
    for _ in range(each):
        h = Http()
        h.send("GET / HTTP/1.1\r\nHost: " + "x" * 100)
        crowd.append(h)
    chat(a, b, "in the middle of it")
    in_head.below(each * IN_HEAD, f"{each} heads that are not whole")
    sockets = Held(server)
    crowd += [WebSocket() for _ in range(each)]
    sockets.below(each * WEBSOCKET, f"{each} WebSockets that say nothing")
    chat(a, b, "before their time is over")
    server.wait_until("they are closed", lambda: connections(server) <= first)
    chat(a, b, "all gone")
    held.nothing_left()
    for h in crowd:
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
    h, ws, held = Http(), WebSocket(), Held(server)
    asked = stuff(h, f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode())
    pings = stuff(ws, frame(b"x" * 125, op=web.PING))
    chat(a, b, "meanwhile")
    held.below(2 * 4 * OUTPUT, "two connections whose answers nobody takes")  # and what one read asks for more
    assert asked > 1000 and all(h.answer().status == 404 for _ in range(asked))
    assert pings > 1000 and all(ws.read() == (web.PONG, b"x" * 125) for _ in range(pings))
    for c in (h, ws, a, b):
        (c.end if hasattr(c, "end") else c.close)()


def fill(h, size, head=""):
    """SIZE bytes of a request after HEAD, as far as they are taken."""
    try:
        h.send(head + "x" * size)
    except OSError:
        pass
    return h


def test_heads_that_do_not_end(server):
    """Each may have max_head bytes, and twice that is the most that they take."""
    a, b = others(server)
    count, held = 500, Held(server)
    begin, first = "GET / HTTP/1.1\r\nX: ", connections(server)
    full = [fill(Http(), LIMITS["max_head"] - 500, begin) for _ in range(count)]
    chat(a, b, "in the middle of it")
    held.below(count * 2 * (LIMITS["max_head"] + IN_HEAD), f"{count} heads of nearly max_head")
    over = [fill(Http(), 1000000, begin) for _ in range(100)]
    server.wait_until("these are closed", lambda: connections(server) <= first + count)
    held.below(count * 2 * (LIMITS["max_head"] + IN_HEAD), "the same, and some that were larger")
    for h in full + over:
        h.close()
    held.nothing_left()
    for c in (a, b):
        c.end()


def test_bodies_that_do_not_end(server):
    """All together have max_pending, however many they are; who asks for more is refused.  Small requests of others are
    taken all the while."""
    a, b = others(server)
    held, size, count = Held(server), LIMITS["max_body"] - 1000, 300
    refused = metric(server.ctl("metrics"), "http_refused")
    crowd = [fill(Http(), size, f"POST /http-bind HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {LIMITS['max_body']}\r\n\r\n")
             for _ in range(count)]
    server.wait_until("most are refused", lambda: metric(server.ctl("metrics"), "http_refused") > refused + count // 2)
    held.below(LIMITS["max_pending"] + 2 * 2 * LIMITS["max_body"] + count * IN_HEAD, f"{count} bodies of nearly max_body")
    assert held() > LIMITS["max_pending"] // 4, "they were read at all"
    told = select.select([h.sock for h in crowd], [], [], 0)[0]
    assert {h.answer().status for h in crowd if h.sock in told} == {503}
    c = BoshClient(DOMAIN, server.account("carol"), "secret").login()
    c.message(b.jid, "small")
    assert text(b.take("message", from_=c.jid), "body") == "small"
    for h in crowd:
        h.close()
    c.end()
    held.nothing_left()
    for c in (a, b):
        c.end()


def test_frames_that_do_not_end(server):
    """A message of a WebSocket may have max_message bytes, also in pieces."""
    a, b = others(server)
    held, count, most = Held(server), 100, 300 << 10
    wide = []
    for _ in range(count):
        ws = WebSocket()
        try:
            ws.send(frame(b"<a>", fin=False) + frame(b"x" * 10000, op=0, fin=False) * 29)
        except OSError:
            pass
        wide.append(ws)
    chat(a, b, "in the middle of it")
    held.below(count * (2 * most + WEBSOCKET), f"{count} messages of nearly max_message")
    for ws in wide:
        try:
            ws.send(frame(b"x" * 10000, op=0, fin=False) * 100)
        except OSError:
            pass
    server.wait_until("they are gone", lambda: metric(server.ctl("metrics"), "websocket_open ") == 1)
    held.nothing_left()
    for c in wide:
        c.close()
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


def test_stanzas_that_nobody_takes(server):
    """Clients that are sent more than limits.output and do not read, by WebSocket and by BOSH, lose their session."""
    a, b = others(server)
    held, first = Held(server), server.metrics()["meerkat_sessions"]
    crowd = [kind(DOMAIN, server.account(f"deaf{i}"), "secret").login().available()
             for i, kind in enumerate([WsClient, BoshClient] * 10)]
    for c in crowd:
        if isinstance(c, WsClient):
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        for _ in range(60 if isinstance(c, BoshClient) else 600):  # the kernel takes megabytes by itself
            a.send(f"<message to='{c.jid}' type='headline'><body>{'x' * 10000}</body></message>")
    chat(a, b, "meanwhile")
    held.below(len(crowd) * 2 * (OUTPUT + 20000), f"{len(crowd)} clients that do not read")
    server.wait_until("none of them is left", lambda: server.metrics()["meerkat_sessions"] <= first)
    for c in crowd:
        c.drop()
    held.nothing_left()
    for c in (a, b):
        c.end()


def test_bosh_sessions_of_one_address(server):
    """Begun by the thousand, each with a request that is held; max_sessions is for all of them."""
    a, b = others(server)
    most, held = 1000, Held(server)
    server.configure({"plugins": {"bosh": {"max_sessions": most}}})
    server.reload()
    crowd, refused = [], 0
    for _ in range(2 * most):
        bosh = Bosh()
        if bosh.begin().get("type") is None:
            bosh.next()
            crowd.append(bosh)
        else:
            refused += 1
    assert refused and len(crowd) <= most + 1, (refused, len(crowd))
    chat(a, b, "meanwhile")
    held.below(most * (BOSH + IN_HEAD), f"{len(crowd)} BOSH sessions that do not log in")
    server.configure({"plugins": {"bosh": {"max_sessions": 100000}}})
    server.reload()
    server.wait_until("their time to log in is over", lambda: metric(server.ctl("metrics"), "bosh_sessions") == 0)
    held.nothing_left()
    for c in (a, b):
        c.end()
