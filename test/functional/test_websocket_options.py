# SPDX-License-Identifier: Apache-2.0
"""What a configuration makes of WebSocket: each test has a server of its own."""
import xml.etree.ElementTree as ET

import web
from element import NS
from server import DOMAIN, OTHER, Server
from test_stream_mgmt import metric
from test_websocket import OPEN, client, fails, opened
from web import CLOSE, PING, PONG, WebSocket, WsClient

SERVER = False
COST = 4


def test_origins():
    with Server(web.config({"websocket": {"origins": ["https://good.example"]}})):
        assert WebSocket(Origin="https://evil.example").handshake.status == 403
        assert WebSocket(Origin="https://good.example").handshake.status == 101
        assert WebSocket().handshake.status == 101


def test_see_other_uri():
    uri = "wss://other.example/xmpp?a=b&c=d"
    with Server(web.config({"websocket": {"see_other_uri": uri}})):
        ws = WebSocket()
        ws.write(OPEN)
        assert ws.read()[1].startswith(b"<open ")
        close = ET.fromstring(ws.read()[1])
        assert close.tag == f"{{{NS['framing']}}}close" and close.get("see-other-uri") == uri
        assert ws.read()[0] == CLOSE


def test_hosts_without_it():
    def change(tree):
        web.config({"websocket": {}})(tree)
        tree["hosts"][1]["type"] = "guests"
        tree["host_types"]["guests"] = {"plain_without_tls": True, "plugins": {"websocket": {"enabled": False}}}
    with Server(change):
        assert WebSocket(host=OTHER).handshake.status == 404
        fails(OPEN.replace(DOMAIN, OTHER), "host-unknown", first=False)


def test_needs_tls():
    with Server(web.config({"websocket": {}}, more={"host_types": {"default": {"plain_without_tls": False}}}, http={
            "trusted_proxies": ["127.0.0.1"]})):
        c = WsClient(DOMAIN)
        assert not (c.open(), c.mechanisms())[1]
        c = WsClient(DOMAIN, X_Forwarded_Proto="https")
        assert (c.open(), c.mechanisms())[1]
        c = WsClient(DOMAIN, kind="https")
        assert (c.open(), c.mechanisms())[1]


def test_pings():
    """Who answers stays; who does not is lost, and may resume."""
    with Server(web.config({"websocket": {"ping_interval": 300, "ping_timeout": "1s"}})) as server:
        before = metric(server.ctl("metrics"), "websocket_silent")
        silent, lively = opened(), opened()
        while (got := lively.read()) == (PING, b""):
            lively.write(b"", op=PONG)
            if metric(server.ctl("metrics"), "websocket_silent") > before:
                break
        assert got[0] == PING
        assert silent.read() == (PING, b"")
        silent.expect_close(1001)
        lively.write("still here", op=PING)
        while (got := lively.read())[0] == PING:
            pass
        assert got == (PONG, b"still here")


def test_server_stops():
    with Server(web.config({"websocket": {}})) as server:
        a = client(server).available()
        server.process.send_signal(15)
        a.expect_error("system-shutdown")
        server.wait()
