# SPDX-License-Identifier: Apache-2.0
"""host-meta (XEP-0156, XEP-0487): what is told of whom, in both forms."""
import json
import xml.etree.ElementTree as ET

import web
from server import DOMAIN, OTHER, Server
from web import Http, WebSocket

SERVER = False
XRD = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}"
REL = "urn:xmpp:alt-connections:"
PATH = "/.well-known/host-meta"


def links(kind="http", host=DOMAIN, **fields):
    """The same links in both documents: relation to addresses."""
    h = Http(kind, host)
    xml, text = h.get(PATH, **fields), h.get(PATH + ".json", **fields)
    assert (xml.status, xml["content-type"]) == (200, "application/xrd+xml")
    assert (text.status, text["content-type"]) == (200, "application/json")
    root = ET.fromstring(xml.body)
    assert root.tag == XRD + "XRD"
    a = [(e.get("rel"), e.get("href")) for e in root.findall(XRD + "Link")]
    b = [(e["rel"], e["href"]) for e in json.loads(text.body)["links"] if "href" in e]
    assert a == b
    return sorted((rel.removeprefix(REL), href) for rel, href in a)


def test_what_is_enabled():
    def change(tree):
        web.config(["websocket", "bosh", "host_meta"], http={"trusted_proxies": ["127.0.0.1"]})(tree)
        tree["hosts"][1]["type"] = "guests"
        tree["host_types"]["guests"] = {"plugins": {"bosh": {"enabled": False}}}
    with Server(change):
        assert links(Host=f"{DOMAIN}:5280") == [("websocket", f"ws://{DOMAIN}:5280/xmpp-websocket"),
                                                ("xbosh", f"http://{DOMAIN}:5280/http-bind")]
        assert links("https") == [("websocket", f"wss://{DOMAIN}/xmpp-websocket"), ("xbosh", f"https://{DOMAIN}/http-bind")]
        assert links("https", OTHER) == [("websocket", f"wss://{OTHER}/xmpp-websocket")]
        assert links(X_Forwarded_Proto="https")[0][1].startswith("wss://")
        address = links("https")[0][1]
        assert WebSocket("https", path="/" + address.split("/", 3)[3]).handshake.status == 101


def test_http():
    with Server(web.config(["host_meta"])):
        h = Http()
        assert links() == []
        page = h.get(PATH, Origin="https://chat.example")
        assert page["access-control-allow-origin"] == "*"
        preflight = h.get(PATH, method="OPTIONS", Origin="https://chat.example")
        assert preflight.status == 200 and preflight["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert h.get(PATH, method="POST", body="x").status == 405
        assert h.get(PATH, method="HEAD").status == 200
        assert h.get(PATH, Accept="application/json")["content-type"] == "application/json"
        assert h.get(PATH + "/more").status == 404


def test_what_the_operator_says():
    said = ["websocket href=wss://a.example/ws?x=1&y=2 priority=15", "tls port=443 priority=5 weight=1 sni=x.example",
            "s2s-tls port=5270", "xbosh href=https://a.example/b"]
    options = {"links": said, "ips": ["203.0.113.7", "2001:db8::7"], "pins": ["cGlu"], "ttl": "50m"}
    with Server(web.config({"host_meta": options, "websocket": {}, "bosh": {}})):
        assert links() == [("websocket", "wss://a.example/ws?x=1&y=2"), ("xbosh", "https://a.example/b")]
        found = json.loads(Http().get(PATH + ".json").body)
        assert found["xmpp"] == {"ttl": 3000, "public-key-pins-sha-256": ["cGlu"]}
        tls = [e for e in found["links"] if e["rel"] == REL + "tls"]
        assert tls == [{"rel": REL + "tls", "port": 443, "priority": 5, "weight": 1, "sni": "x.example",
                        "ips": ["203.0.113.7", "2001:db8::7"]}]
        other = [e for e in found["links"] if e["rel"] == REL + "websocket"][0]
        assert (other["priority"], other["weight"], other["sni"]) == (15, 50, DOMAIN)
    for wrong in ("websocket", "", "tls port=x", "tls port=1 href=x", "tls port=1 colour=blue", "tls port", "tls  port=1"):
        with Server(web.config({"host_meta": {"links": [wrong]}}), start=False) as s:
            assert "is not a relation and then name=value" in s.refuses_to_start(), wrong


def test_needs_http():
    def change(tree):
        tree["plugins"]["host_meta"] = {}
    with Server(change, start=False) as s:
        assert "http" in s.refuses_to_start()
