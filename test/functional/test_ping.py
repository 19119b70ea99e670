# SPDX-License-Identifier: Apache-2.0
"""The server pings idle clients (XEP-0199)."""
from server import DOMAIN, Server
from test_stream_mgmt import back

CONFIG = {"plugins": {"ping": {"send_pings": True, "interval": "1s", "timeout": "1s", "timeout_action": "close"}}}


def ping(client):
    return client.expect("iq", type="get", from_=DOMAIN, to=client.jid, has="ping:ping")


def timeouts(server):
    line = next(x for x in server.ctl("metrics").splitlines() if x.startswith("meerkat_ping_timeouts"))
    return int(float(line.rsplit(" ", 1)[1]))


def test_answered(server):
    """By a result, an error, and what is no answer at all: it stays connected, and is asked again."""
    c = server.client()
    for reply in ("<iq type='result' to='{}' id='{}'/>", "<iq type='error' to='{}' id='{}'/>", " "):
        c.send(reply.format(DOMAIN, ping(c).get("id")))
    ping(c)
    c.send(" ")
    c.expect_nothing()


def test_not_answered(server):
    before, c = timeouts(server), server.client()
    ping(c)
    c.expect_error("connection-timeout")
    assert timeouts(server) > before


def test_resumable(server):
    """A session with stream management survives, and its new stream is asked too."""
    c = server.client()
    c.enable(auto=True)
    c.take("stream:error", has="streams:connection-timeout")
    new = back(server, c)
    new.take("iq", type="get", has="ping:ping")


def test_only_counted(server):
    with Server({"plugins": {"ping": dict(CONFIG["plugins"]["ping"], timeout_action="none")}}) as s:
        c = s.client()
        for _ in range(2):
            ping(c)
        assert timeouts(s) >= 1
        c.expect_nothing()
