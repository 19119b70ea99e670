# SPDX-License-Identifier: Apache-2.0
"""Service discovery, ping, version, time."""
import datetime
import re

from element import NS, child, children, show, text
from server import DOMAIN, OTHER, Server
from xmpp import fail

INFO, ITEMS, PING = (f"<query xmlns='{NS['info']}'/>", f"<query xmlns='{NS['items']}'/>", f"<ping xmlns='{NS['ping']}'/>")


def features(answer):
    found = [f.get("var") for f in children(answer, "info:query/info:feature")]
    assert len(found) == len(set(found)), f"a feature twice: {found}"
    return set(found)


def identities(answer):
    return {(i.get("category"), i.get("type")) for i in children(answer, "info:query/info:identity")}


def test_server_info(server):
    answer = server.client().result("get", INFO, DOMAIN)
    assert answer.get("from") == DOMAIN
    assert ("server", "im") in identities(answer)
    missing = {NS["info"], NS["items"], NS["ping"], NS["version"], NS["time"], NS["cmd"], "msgoffline",
               "urn:xmpp:carbons:2"} - features(answer)
    assert not missing, f"not announced: {missing}"


def test_features_follow_the_plugins(server):
    off = {"plugins": {n: None for n in ("version", "time", "adhoc", "announce", "offline", "carbons")}}
    with Server(off) as s:
        answer = s.client().result("get", INFO, DOMAIN)
        extra = {NS["version"], NS["time"], NS["cmd"], "msgoffline", "urn:xmpp:carbons:2"} & features(answer)
        assert not extra, f"announced, but not there: {extra}"


def test_account_info(server):
    c = server.client()
    for to in (None, c.bare):
        answer = c.result("get", INFO, to)
        assert ("account", "registered") in identities(answer), show(answer)
        assert NS["info"] in features(answer)


def test_account_info_is_private(server):
    alice, bob = server.client("alice"), server.client("bob")
    answer = alice.iq("get", INFO, bob.bare)
    if answer.get("type") != "error":
        fail(alice, f"a stranger learns about an account: {show(answer)}")
    nobody = alice.iq("get", INFO, f"nobody@{DOMAIN}")
    assert [e.tag for e in child(answer, "error")] == [e.tag for e in child(nobody, "error")], "nor whether it exists"


def test_unknown_node(server):
    c = server.client()
    for to in (DOMAIN, c.bare):
        c.refused("get", f"<query xmlns='{NS['info']}' node='urn:example:none'/>", "item-not-found", to)


def test_items(server):
    c = server.client()
    answer = c.result("get", ITEMS, DOMAIN)
    assert child(answer, "items:query") is not None
    answer = c.result("get", ITEMS, c.bare)
    assert child(answer, "items:query") is not None


def forms(answer):
    """The forms by FORM_TYPE: fields to values."""
    out = {}
    for x in children(answer, "info:query/x:x"):
        fields = {f.get("var"): [v.text for v in children(f, "x:value")] for f in children(x, "x:field")}
        assert x.get("type") == "result" and children(x, "x:field")[0].get("type") == "hidden", show(x)
        out[fields.pop("FORM_TYPE")[0]] = fields
    return out


def test_no_forms_unless_asked(server):
    assert forms(server.client().result("get", INFO, DOMAIN)) == {}


def test_contact_addresses(server):
    """XEP-0157; and the operator's own forms and items."""
    kinds = ("abuse", "admin", "feedback", "sales", "security", "status", "support")
    config = {f"{k}_addresses": [f"mailto:{k}@x.example", f"xmpp:{k}@x.example"] for k in kinds}
    config |= {"show_admins": True, "forms": ["urn:x:b field two words", "urn:x:a f 1", "urn:x:b field 2", "urn:x:b g 3"],
               "items": ["irc.example The IRC gateway", "rooms.example"]}
    with Server({"plugins": {"disco": config}}) as s:
        c = s.client()
        got = forms(c.result("get", INFO, DOMAIN))
        wanted = {f"{k}-addresses": config[f"{k}_addresses"] for k in kinds}
        wanted["admin-addresses"] = wanted["admin-addresses"] + [f"xmpp:admin@{DOMAIN}"]
        assert got["http://jabber.org/network/serverinfo"] == wanted
        assert got["urn:x:a"] == {"f": ["1"]} and got["urn:x:b"] == {"field": ["two words", "2"], "g": ["3"]}
        items = [(i.get("jid"), i.get("name")) for i in children(c.result("get", ITEMS, DOMAIN), "items:query/items:item")]
        assert ("irc.example", "The IRC gateway") in items and ("rooms.example", None) in items
        assert forms(c.result("get", INFO, c.bare)) == {}, "an account is not the host"


def test_wrong_options(server):
    for option, value, wanted in (("abuse_addresses", ["abuse@x.example"], "URI"), ("forms", ["urn:x field"], "FORM_TYPE")):
        with Server({"plugins": {"disco": {option: value}}}, start=False) as s:
            assert wanted in s.refuses_to_start()


def test_info_is_no_set(server):
    c = server.client()
    answer = c.iq("set", INFO, DOMAIN)
    assert answer.get("type") == "error"


def test_ping(server):
    c = server.client()
    for to in (DOMAIN, None, c.bare, OTHER):
        answer = c.result("get", PING, to)
        assert len(answer) == 0, "an empty result"


def test_ping_is_no_set(server):
    assert server.client().iq("set", PING, DOMAIN).get("type") == "error"


def test_version(server):
    answer = server.client().result("get", f"<query xmlns='{NS['version']}'/>", DOMAIN)
    assert text(answer, "version:query/version:name") == "Meerkat"
    assert re.match(r"\d+\.\d+", text(answer, "version:query/version:version"))
    assert child(answer, "version:query/version:os") is None, "the system is told only if the operator wants so"


def test_version_with_os(server):
    with Server({"plugins": {"version": {"name": "Suricata", "show_os": True}}}) as s:
        answer = s.client().result("get", f"<query xmlns='{NS['version']}'/>", DOMAIN)
        assert text(answer, "version:query/version:name") == "Suricata"
        assert text(answer, "version:query/version:os")


def test_time(server):
    answer = server.client().result("get", f"<time xmlns='{NS['time']}'/>", DOMAIN)
    utc, tzo = text(answer, "time:time/time:utc"), text(answer, "time:time/time:tzo")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", utc), utc
    assert re.fullmatch(r"Z|[+-]\d\d:\d\d", tzo), tzo
    told = datetime.datetime.fromisoformat(utc.replace("Z", "+00:00"))
    assert abs((told - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 120
