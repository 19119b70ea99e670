# SPDX-License-Identifier: Apache-2.0
"""xmpp.js (@xmpp/component) as an external component (XEP-0114)."""
import contextlib

from real import xmppjs_component
from server import DOMAIN
from test_components import GATE, SECRET, serving

COST, SERVER = 3, False


@contextlib.contextmanager
def joined(s, secret=SECRET):
    gate = xmppjs_component(s.component_port, GATE, secret)
    try:
        yield gate
    except BaseException:
        gate.kill()
        raise
    gate.stop()


def both_ways(gate, alice, what):
    alice.message(f"bob@{GATE}", f"to {what}")
    assert gate.wait("message", body=f"to {what}")["to"] == f"bob@{GATE}"
    gate.send(alice.jid, f"from {what}")
    alice.expect("message", from_=GATE, body=f"from {what}")


def test_talk():
    with serving() as s, joined(s) as gate:
        alice = s.client("alice")
        assert gate.wait("online")["jid"] == GATE
        both_ways(gate, alice, "gate ✓")


def test_iq():
    """It is asked, and asks."""
    with serving() as s, joined(s) as gate:
        alice = s.client("alice")
        gate.wait("online")
        answer = alice.result("get", "<double xmlns='urn:example:double'>21</double>", GATE)
        assert answer[0].text == "42"
        alice.refused("get", "<other xmlns='urn:example:other'/>", "service-unavailable", GATE)
        gate.do("ping", to=DOMAIN)
        assert "condition" not in gate.wait("pong", from_=DOMAIN)
        gate.do("ping", to=f"nobody@{DOMAIN}")
        assert gate.wait("pong", from_=f"nobody@{DOMAIN}")["condition"] == "service-unavailable"


def test_wrong_secret():
    with serving() as s, joined(s, "wrong") as gate:
        assert gate.wait("error")["condition"] == "not-authorized"
        gate.wait("disconnected")
        assert gate.wait("error")["condition"] == "not-authorized", "it tries again"
        assert not any(e["event"] == "online" for e in gate.seen)
        alice = s.client("alice")
        alice.message(f"bob@{GATE}", "x", id="m")
        alice.expect_bounce("message", "service-unavailable", id="m")


def test_restart():
    """It comes back when the server does, by itself."""
    with serving() as s, joined(s) as gate:
        gate.wait("online")
        both_ways(gate, s.client("alice"), "one")
        s.drop_clients()
        s.restart()
        gate.wait("disconnected")
        gate.wait("online")
        both_ways(gate, s.client("alice"), "another")
