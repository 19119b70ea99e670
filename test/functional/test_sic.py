# SPDX-License-Identifier: Apache-2.0
"""Own address (XEP-0279)."""
from element import NS, children, name
from server import DOMAIN, OTHER

CONFIG = {"plugins": {"sic": {}}}
ASK = f"<address xmlns='{NS['sic']}'/>"


def test_own_address(server):
    c = server.client()
    ip, port = c.sock.getsockname()[:2]
    for to in (None, DOMAIN, c.bare):
        answer = c.result("get", ASK, to)
        assert [(e.tag, e.text) for e in children(answer, "sic:address")[0]] == [
            (name("sic:ip"), ip), (name("sic:port"), str(port))]


def test_others(server):
    c, d = server.client(), server.client()
    for to in (d.bare, f"nobody@{DOMAIN}", f"nobody@{OTHER}"):
        c.refused("get", ASK, "forbidden", to)
    c.ask("get", ASK, d.jid)
    d.expect("iq", from_=c.jid, has="sic:address")


def test_no_set(server):
    assert server.client().iq("set", ASK, DOMAIN).get("type") == "error"


def test_announced(server):
    c = server.client()
    for to in (DOMAIN, c.bare):
        answer = c.result("get", f"<query xmlns='{NS['info']}'/>", to)
        assert NS["sic"] in {f.get("var") for f in children(answer, "info:query/info:feature")}
