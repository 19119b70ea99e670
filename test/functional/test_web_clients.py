# SPDX-License-Identifier: Apache-2.0
"""Clients that others wrote, over WebSocket and BOSH: xmpp.js and Strophe.js, with slixmpp over TCP on the other side."""
import web
from real import Cutter, slixmpp, strophe, xmppjs

CONFIG = web.config(["websocket", "bosh"])
COST = 8


def websocket(address=None):
    return "ws://%s:%d/xmpp-websocket" % (address or web.address())


def bosh(address=None):
    return "http://%s:%d/http-bind" % (address or web.address())


def python(server):
    return slixmpp(server.account("python"), server.address(), tls="TLSv1_2")


def chat(a, b, count=20):
    for i in range(count):
        a.send(b.jid, f"{i} there ✓ <&>")
        b.send(a.jid, f"{i} back ✓ <&>")
    for i in range(count):
        b.wait("message", body=f"{i} there ✓ <&>", from_=a.jid)
        a.wait("message", body=f"{i} back ✓ <&>", from_=b.jid)
    assert not a.bodies() and not b.bodies()


def test_xmppjs_over_websocket(server):
    js, py = xmppjs(server.account("javascript"), web.address(), service=websocket()), python(server)
    chat(js, py)
    js.wait("acked", body="19 there ✓ <&>")
    for c in (js, py):
        c.stop()


def test_xmppjs_resumes_over_websocket(server):
    cutter = Cutter(web.address())
    js, py = xmppjs(server.account("javascript"), web.address(), service=websocket(cutter.address)), python(server)
    for i in range(3):
        py.send(js.jid, f"before {i}")
        assert cutter.cut()
        py.send(js.jid, f"after {i}")
        js.wait("resumed")
        for body in (f"before {i}", f"after {i}"):
            js.wait("message", body=body, from_=py.jid)
    assert not js.bodies()
    for c in (js, py):
        c.stop()
    cutter.close()


def test_strophe(server):
    """Over both; the one with the other, and with TCP."""
    a, b, py = strophe(server.account("socket"), websocket()), strophe(server.account("bosh"), bosh()), python(server)
    chat(a, py)
    chat(b, py)
    chat(a, b)
    for c in (a, b, py):
        c.stop()


def test_strophe_survives_lost_connections(server):
    """BOSH is made for that: what was in an answer that did not arrive is asked for again."""
    cutter = Cutter(web.address())
    js, py = strophe(server.account("bosh"), bosh(cutter.address)), python(server)
    for i in range(3):
        py.send(js.jid, f"before {i}")
        cutter.cut()
        py.send(js.jid, f"after {i}")
        for body in (f"before {i}", f"after {i}"):
            js.wait("message", body=body, from_=py.jid)
    assert not js.bodies()
    chat(js, py, 5)
    for c in (js, py):
        c.stop()
    cutter.close()
