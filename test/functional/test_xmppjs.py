# SPDX-License-Identifier: Apache-2.0
"""xmpp.js (@xmpp/client): alone, with slixmpp, and over a connection that breaks."""
from real import Cutter, slixmpp, xmppjs
from test_stream_mgmt import metric

COST = 5


def python(server):
    return slixmpp(server.account("python"), server.address(), tls="TLSv1_2")


def test_chat_with_slixmpp(server):
    js, py = xmppjs(server.account("javascript"), server.address()), python(server)
    js.do("subscribe", to=py.jid.partition("/")[0])
    js.wait("presence", from_=py.jid, type="available")
    js.do("approve", to=py.jid.partition("/")[0])
    py.wait("presence", from_=js.jid, type="available")
    for i in range(20):
        js.send(py.jid, f"to python {i}")
        py.send(js.jid, f"to javascript {i} ✓")
    for i in range(20):
        py.wait("message", body=f"to python {i}", from_=js.jid)
        js.wait("message", body=f"to javascript {i} ✓", from_=py.jid)
        js.wait("acked", body=f"to python {i}")
    js.stop()
    py.wait("presence", from_=js.jid, type="unavailable")
    py.stop()


def test_resume(server):
    cutter = Cutter(server.address())
    js, py = xmppjs(server.account("javascript"), cutter.address), python(server)
    bodies = []
    for round in range(3):
        for i in range(5):
            bodies.append(f"before {round}.{i}")
            py.send(js.jid, bodies[-1])
        assert cutter.cut()
        for i in range(5):
            bodies.append(f"after {round}.{i}")
            py.send(js.jid, bodies[-1])
        js.wait("resumed")
    for body in bodies:
        js.wait("message", body=body, from_=py.jid)
    js.send(py.jid, "all there")
    py.wait("message", body="all there", from_=js.jid)
    assert not js.bodies(), f"more than was sent: {js.bodies()}"
    for c in (js, py):
        c.stop()
    cutter.close()


def test_login_with_token(server):
    """It logs in by SASL2, binds by Bind 2 with stream management on, and comes back with a token (XEP-0484), whose
    answer it checks; its session is resumed in the same step."""
    cutter = Cutter(server.address())
    before = [metric(server.ctl("metrics"), part) for part in ("clients_token_logins", "stream_mgmt_resumed")]
    js, py = xmppjs(server.account("javascript"), cutter.address), python(server)
    rows = server.control("clients.list", account=js.jid.partition("/")[0])
    assert [r["methods"] for r in rows] == ["password, token"], rows
    cutter.cut()
    js.wait("resumed")
    py.send(js.jid, "hello again")
    js.wait("message", body="hello again")
    after = [metric(server.ctl("metrics"), part) for part in ("clients_token_logins", "stream_mgmt_resumed")]
    assert after == [b + 1 for b in before], f"{before} {after}"
    for c in (js, py):
        c.stop()
    cutter.close()


def test_own_messages_survive(server):
    """What the client took arrives, whether it was written before the connection broke or not."""
    cutter = Cutter(server.address())
    js, py = xmppjs(server.account("javascript"), cutter.address), python(server)
    for i in range(20):
        js.send(py.jid, f"m{i}")
        if i == 10:
            cutter.cut()
    js.wait("resumed")
    js.send(py.jid, "the end")
    py.wait("message", body="the end")
    unsent = {e["body"] for e in js.seen if e["event"] == "unsent"}
    missing = {f"m{i}" for i in range(20)} - unsent - set(py.bodies())
    assert not missing, f"taken by the client, and lost: {sorted(missing)}"
    assert not any(e["event"] == "failed" for e in js.seen)
    for c in (js, py):
        c.stop()
    cutter.close()
