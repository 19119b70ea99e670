# SPDX-License-Identifier: Apache-2.0
"""Clients over WebSocket (RFC 7395): framing, sessions, what is refused."""
import web
from element import NS, child, text
from server import DOMAIN
from test_stream_mgmt import metric
from web import BINARY, CLOSE, PING, PONG, TEXT, Http, WebSocket, WsClient, frame

CONFIG = web.config({"websocket": {"max_message": 300000}})
COST = 6
OPEN = f"<open xmlns='{NS['framing']}' to='{DOMAIN}' version='1.0'/>"


def client(server, user="alice", kind="http", **how):
    return WsClient(DOMAIN, server.account(user), "secret", kind=kind, **how).login()


def test_login_and_chat(server):
    for kind in ("http", "https"):
        a, b = client(server, kind=kind).available(), server.client("bob")
        for i in range(20):
            a.message(b.jid, f"to tcp {i} <&'\"> ✓")
            b.message(a.jid, f"to websocket {i} <&'\"> ✓")
        for i in range(20):
            assert text(b.expect("message", from_=a.jid), "body") == f"to tcp {i} <&'\"> ✓"
            assert text(a.expect("message", from_=b.jid), "body") == f"to websocket {i} <&'\"> ✓"
        a.message(a.jid, "to myself", payload="<x xmlns='urn:other'><y xmlns=''/></x>")
        assert a.expect("message", from_=a.jid).find("{urn:other}x/y") is not None
        c = client(server, "carol", kind=kind)
        a.message(c.jid, "both here")
        assert text(c.expect("message"), "body") == "both here"
        big = "x" * 100000
        a.message(b.jid, big)
        assert text(b.expect("message"), "body") == big
        b.message(a.jid, big)
        assert text(a.expect("message"), "body") == big
        for x in (a, b, c):
            x.end()


def test_stanzas_name_their_namespace(server):
    """What a client says with and without its namespace reaches others with it once, over each transport."""
    a, b, t = client(server), client(server, "bob"), server.client("carol")
    for to in (b, t):
        for ns in ("", " xmlns='jabber:client'"):
            a.send(f"<message{ns} to='{to.jid}' id='1'><body{ns}>hello</body></message>")
            assert text(to.expect("message", id="1", from_=a.jid), "body") == "hello"
            t.send(f"<message{ns} to='{b.jid}' id='2'/>")
            b.expect("message", id="2", from_=t.jid)
    for x in (a, b, t):
        x.end()


def test_features(server):
    c = WsClient(DOMAIN)
    assert child(c.open(), "tls:starttls") is None
    c.end()


def test_sasl2_and_resumption(server):
    """A session goes from a WebSocket that broke to TCP, and back."""
    user = server.account("alice")
    friend = server.client("bob")
    a = WsClient(DOMAIN, user, "secret")
    a.open()
    a.login2()
    a.enable()
    friend.message(a.jid, "one")
    assert text(a.expect("message"), "body") == "one"
    a.drop()
    friend.message(a.jid, "two")
    tcp = server.authed(a)
    tcp.resumed(a)
    assert text(tcp.take("message"), "body") == "two"
    tcp.drop()
    friend.message(a.jid, "three")
    back = WsClient(DOMAIN, a.user, a.password, kind="https")
    back.open()
    back.authenticate()
    back.resumed(tcp)
    assert text(back.take("message"), "body") == "three"
    back.message(friend.jid, "and back")
    assert text(friend.take("message"), "body") == "and back"
    back.end()
    friend.end()


def test_channel_binding(server):
    c = WsClient(DOMAIN, server.account("alice"), "secret", kind="https")
    c.open()
    assert "SCRAM-SHA-256-PLUS" in c.mechanisms()
    c.authenticate("SCRAM-SHA-256-PLUS")
    c.bind()
    c.end()
    c = WsClient(DOMAIN)
    c.open()
    assert not [m for m in c.mechanisms() if "PLUS" in m]
    c.end()


def test_wrong_password_and_resource_taken(server):
    user = server.account("alice")
    c = WsClient(DOMAIN, user, "wrong")
    c.open()
    c.scram("SCRAM-SHA-256")
    c.expect("sasl:failure", has=["sasl:not-authorized"])
    c.password = "secret"
    c.authenticate()
    c.bind("here")
    other = server.connect(DOMAIN, user, "secret").login(resource="here")
    c.expect_error("conflict")
    other.end()


def test_refused_handshakes(server):
    assert WebSocket(**{"Sec-WebSocket-Protocol": "chat"}).handshake.status == 400
    assert WebSocket(**{"Sec-WebSocket-Protocol": "chat, xmpp"}).handshake.status == 101
    old = WebSocket(**{"Sec-WebSocket-Version": "8"}).handshake
    assert old.status == 426 and old["sec-websocket-version"] == "13"
    assert WebSocket(**{"Sec-WebSocket-Key": "short"}).handshake.status == 400
    assert WebSocket(path="/xmpp-websocket/more").handshake.status == 404
    assert WebSocket(**{"Upgrade": "h2c"}).handshake.status == 426
    assert Http().get("/xmpp-websocket").status == 426
    post = Http().get("/xmpp-websocket", method="POST", body="x")
    assert post.status == 405 and post["allow"] == "GET"


def opened():
    ws = WebSocket()
    ws.write(OPEN)
    assert ws.read()[1].startswith(b"<open ") and b"<stream:features" in ws.read()[1]
    return ws


def test_illegal_frames(server):
    friends = client(server).available(), client(server, "bob").available()
    wrong = {
        "no mask": (frame("<a/>", mask=None), 1002),
        "reserved 1": (frame("<a/>", reserved=4), 1002),
        "reserved 3": (frame("<a/>", reserved=1), 1002),
        "opcode 3": (frame("<a/>", op=3), 1002),
        "opcode 11": (frame("", op=11), 1002),
        "control in pieces": (frame("", op=PING, fin=False), 1002),
        "large control": (frame(b"x" * 126, op=PING), 1002),
        "no beginning": (frame("<a/>", op=0), 1002),
        "two beginnings": (frame("<a", fin=False) + frame("/>"), 1002),
        "long length": (frame("<a/>", length=b"\xfe\x00\x04"), 1002),
        "binary": (frame("<a/>", op=BINARY), 1003),
        "not utf-8": (frame(b"<a>\xff</a>"), 1007),
        "a surrogate": (frame(b"<a>\xed\xa0\x80</a>"), 1007),
        "close of one byte": (frame(b"\x03", op=CLOSE), 1002),
        "close with no code": (frame(b"\x03\xed", op=CLOSE), 1002),
        "close with bad text": (frame(b"\x03\xe8\xff", op=CLOSE), 1007),
    }
    for what, (data, code) in wrong.items():
        ws = opened()
        ws.send(data)
        try:
            ws.expect_close(code)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error
    huge = opened()
    huge.send(frame("", length=b"\xff\x00\x00\x00\x7f\xff\xff\xff\xff"))
    assert "policy-violation" in huge.expect_close(1008)
    pieces = opened()
    pieces.send(frame(b"<a>" + b"x" * 200000, fin=False) + frame(b"x" * 200000, op=0, fin=False))
    assert "policy-violation" in pieces.expect_close(1008)
    friends[0].quiet(friends[1])
    for f in friends:
        f.end()


def test_legal_frames(server):
    """Pieces, control frames between them, pings, bytes one at a time, everything at once."""
    ws = opened()
    ws.write("hello", op=PING)
    assert ws.read() == (PONG, b"hello")
    ws.write("nobody asked", op=PONG)
    request = f"<iq type='get' id='1' to='{DOMAIN}' xmlns='jabber:client'><query xmlns='jabber:iq:register'/></iq>".encode()
    ws.send(frame(request[:10], fin=False) + frame(request[10:11], op=0, fin=False) + frame("in between", op=PING)
            + frame(b"", op=0, fin=False) + frame(request[11:], op=0))
    assert ws.read() == (PONG, b"in between")
    ws.close()
    ws = WebSocket()
    ws.send(frame(b"", fin=False) + frame(b"", op=0, fin=False) + frame(OPEN, op=0))
    assert ws.read()[1].startswith(b"<open ") and b"<stream:features" in ws.read()[1]
    ws.close()
    ws = WebSocket()
    for byte in frame(OPEN) + frame("bytes", op=PING):
        ws.send(bytes([byte]))
    assert ws.read()[1].startswith(b"<open ") and b"<stream:features" in ws.read()[1]
    assert ws.read() == (PONG, b"bytes")
    ws.write(b"\x03\xe8bye", op=CLOSE)
    ws.expect_close(1000)
    ws = opened()
    ws.write(b"", op=CLOSE)
    assert ws.read() == (CLOSE, b"") and ws.is_closed()


def fails(data, condition, first=True):
    ws = opened() if first else WebSocket()
    ws.write(data)
    said = ws.expect_close(1008 if condition == "policy-violation" else 1000)
    assert f"<{condition} " in said and f"<close xmlns='{NS['framing']}'/>" in said, said
    assert first or said.startswith("<open "), said


def test_illegal_elements(server):
    fails("<message xmlns='jabber:client'/>", "not-authorized", first=False)
    fails(OPEN.replace(DOMAIN, "nobody.example"), "host-unknown", first=False)
    fails(OPEN.replace(NS["framing"], "urn:other"), "invalid-namespace", first=False)
    fails(OPEN.replace("version='1.0'", ""), "unsupported-version", first=False)
    fails("<open", "not-authorized", first=False)
    fails(OPEN[:-2], "not-well-formed", first=False)
    fails(OPEN, "bad-format")
    fails("<message>", "not-well-formed")
    fails(" <message/>", "not-well-formed")
    fails("<a/><b/>", "not-well-formed")
    fails("text", "not-well-formed")
    fails("", "not-well-formed")
    fails("<!-- no --><a/>", "restricted-xml")
    fails("<!DOCTYPE a><a/>", "restricted-xml")
    fails("<?xml version='1.0'?><a/>", "restricted-xml")
    fails("<a>" * 100, "policy-violation")
    fails(f"<a>{'x' * 20000}</a>", "policy-violation")


def test_elements_of_who_is_logged_in(server):
    """A message is one element, and nothing behind it but space."""
    a, b = client(server), client(server, "bob")
    stanza = f"<message xmlns='jabber:client' to='{b.jid}' id='%s'><body>hello</body></message>"
    for id, behind in (("1", ""), ("2", " "), ("3", "\n\n")):
        a.send(stanza % id + behind)
        assert text(b.expect("message", id=id, from_=a.jid), "body") == "hello"
    for behind in (stanza % "5", "x", "<r xmlns='urn:xmpp:sm:3'/>", "</message>", ">"):
        a.send(stanza % "4" + behind)
        a.expect_error("not-well-formed")
        a = client(server)
    b.quiet(a)
    for c in (a, b):
        c.end()


def test_lost(server):
    a, b = client(server).available(), client(server, "bob")
    a.message(b.jid, "x")
    b.expect("message")
    before = metric(server.ctl("metrics"), "websocket_open")
    b.drop()
    server.wait_until("the WebSocket is gone", lambda: metric(server.ctl("metrics"), "websocket_open") == before - 1)
    a.end()
