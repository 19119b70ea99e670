# SPDX-License-Identifier: Apache-2.0
"""Hosts that hear nothing of each other."""
from element import NS
from server import DOMAIN, OTHER, Server

SERVER = False
PING = f"<ping xmlns='{NS['ping']}'/>"


def isolated(**options):
    return Server({"plugins": {"domain_isolation": options}})


def one_sided(tree):
    """The host DOMAIN alone is isolated."""
    tree["host_types"]["shut"] = {"plugins": {"domain_isolation": {}}}
    tree["hosts"][0]["type"] = "shut"


def test_outside():
    with isolated() as s:
        a, b = s.client("a"), s.client("b", domain=OTHER)
        for to in (b.jid, b.bare, OTHER, "x@elsewhere.example"):
            a.message(to, "hi", id="m")
            a.expect_bounce("message", "service-unavailable", id="m")
            a.refused("get", PING, "service-unavailable", to)
        a.presence(to=b.bare, type="subscribe")
        a.expect_bounce("presence", "service-unavailable")
        a.presence(to=b.jid)
        a.expect_bounce("presence", "service-unavailable")
        b.expect_nothing()


def test_inside():
    with isolated() as s:
        a, b = s.client("a"), s.client("b")
        a.message(b.jid, "hi")
        b.expect("message", body="hi")
        a.result("get", PING, DOMAIN)
        a.result("get", PING)
        a.presence(to=b.jid)
        b.expect("presence", from_=a.jid)
        a.message(f"room@rooms.{DOMAIN}", "hi")
        a.expect_bounce("message", "remote-server-not-found")
        a.message(f"x@not{DOMAIN}", "hi")
        a.expect_bounce("message", "service-unavailable")


def test_allowed():
    with isolated(allow=[OTHER, DOMAIN]) as s:
        a, b = s.client("a"), s.client("b", domain=OTHER)
        a.message(b.jid, "hi")
        b.expect("message", body="hi", from_=a.jid)
        a.message("x@elsewhere.example", "hi")
        a.expect_bounce("message", "service-unavailable")


def test_from_outside():
    with Server(one_sided) as s:
        a, b = s.client("a"), s.client("b", domain=OTHER)
        b.message(a.jid, "hi", id="m")
        b.expect_bounce("message", "service-unavailable", id="m")
        b.refused("get", PING, "service-unavailable", a.jid)
        b.presence(to=a.jid)
        b.presence(to=a.bare, type="subscribe")
        b.message(a.jid, "hi", id="n")
        b.expect_bounce("message", "service-unavailable", id="n")
        a.expect_nothing()
