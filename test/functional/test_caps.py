# SPDX-License-Identifier: Apache-2.0
"""Entity capabilities (XEP-0115, XEP-0390): the server's own, and what it learns of clients."""
import base64
import hashlib

from element import NS, child, escape, name, show
from server import DOMAIN, Server

CAPS, CAPS2 = NS["caps"], NS["caps2"]
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# The examples of the XEPs: what is answered, and the hash it must have.
EXODUS = ("<identity category='client' type='pc' name='Exodus 0.9.1'/>" + "".join(
    f"<feature var='http://jabber.org/protocol/{f}'/>" for f in ("disco#info", "muc", "caps", "disco#items")))
EXODUS_VER = "QgayPKawpkPSDYmwT/WM94uAlu0="
PSI = ("<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
       "<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>" + "".join(
           f"<feature var='http://jabber.org/protocol/{f}'/>" for f in ("caps", "disco#info", "disco#items", "muc"))
       + "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
       "<value>urn:xmpp:dataforms:softwareinfo</value></field><field var='ip_version'><value>ipv6</value>"
       "<value>ipv4</value></field><field var='os'><value>Mac</value></field><field var='os_version'>"
       "<value>10.5.1</value></field><field var='software'><value>Psi</value></field><field var='software_version'>"
       "<value>0.11</value></field></x>")
PSI_VER = "q07IKJEyjvHSyhy//CH0CxmKi8w="
BOMBUS = "<identity category='client' type='mobile' name='BombusMod'/>" + "".join(f"<feature var='{f}'/>" for f in (
    "http://jabber.org/protocol/si", "http://jabber.org/protocol/bytestreams", "http://jabber.org/protocol/chatstates",
    "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "urn:xmpp:ping", "jabber:iq:time",
    "jabber:iq:privacy", "jabber:iq:version", "http://jabber.org/protocol/rosterx", "urn:xmpp:time", "jabber:x:oob",
    "http://jabber.org/protocol/ibb", "http://jabber.org/protocol/si/profile/file-transfer", "urn:xmpp:receipts",
    "jabber:iq:roster", "jabber:iq:last"))
BOMBUS_HASH = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="


def c1(ver, node="http://example.org/client", algo="sha-1"):
    hashed = f" hash='{algo}'" if algo else ""
    return f"<c xmlns='{CAPS}'{hashed} node='{node}' ver='{ver}'/>"


def c2(value, algo="sha-256"):
    return f"<c xmlns='{CAPS2}'><hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{value}</hash></c>"


def features(*given):
    """A client of our own kind, and its hash."""
    text = "client/pc//test<" + "".join(f + "<" for f in sorted(given))
    query = "<identity category='client' type='pc' name='test'/>" + "".join(f"<feature var='{f}'/>" for f in given)
    return query, base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def metrics(server):
    out = server.ctl("metrics")
    return {what: int(next(line.rsplit(" ", 1)[1] for line in out.splitlines()
                           if line.startswith(f"meerkat_caps_{what}")).split(".")[0])
            for what in ("queries", "learned", "wrong")}


def check(client, node):
    """The server asks for NODE; returns the query."""
    iq = client.take("iq", type="get", from_=DOMAIN, has="info:query")
    assert child(iq, "info:query").get("node") == node, show(iq)
    return iq


def answer(client, iq, inner):
    node = child(iq, "info:query").get("node")
    client.stanza(f"<iq type='result' to='{DOMAIN}' id='{iq.get('id')}'><query xmlns='{NS['info']}' node='{escape(node)}'>"
                  f"{inner}</query></iq>")


def announce(client, caps):
    client.presence(caps)
    client.take("presence", from_=client.jid)


def learned(server, caps, node, inner):
    """A client announces CAPS, is asked and answers.  What the server counted meanwhile."""
    before, c = metrics(server), server.client()
    announce(c, caps)
    answer(c, check(c, node), inner)
    c.expect_nothing()
    after = metrics(server)
    return {k: after[k] - before[k] for k in after}


NEW, WRONG = {"queries": 1, "learned": 1, "wrong": 0}, {"queries": 1, "learned": 0, "wrong": 1}


# ---- the server's own

def query_text(query):
    """XEP-0115, 5.1, of an answer."""
    ids = sorted((i.get("category"), i.get("type"), i.get(LANG) or "", i.get("name") or "")
                 for i in query.findall(name("info:identity")))
    out = "".join("/".join(i) + "<" for i in ids)
    out += "".join(v + "<" for v in sorted(f.get("var") for f in query.findall(name("info:feature"))))
    forms = []
    for x in query.findall(name("x:x")):
        fields = {f.get("var"): sorted(v.text for v in f.findall(name("x:value"))) for f in x.findall(name("x:field"))}
        kind = fields.pop("FORM_TYPE")[0]
        forms.append(kind + "<" + "".join(k + "<" + "".join(v + "<" for v in fields[k]) for k in sorted(fields)))
    return out + "".join(sorted(forms))


def own_caps(server):
    """A second session is on the worker where the first one was."""
    c = server.client()
    return server.client(user=c.user)


def test_stream_feature(server):
    c = own_caps(server)
    offered = child(c.features, "caps:c")
    node, ver = offered.get("node"), offered.get("ver")
    assert offered.get("hash") == "sha-1"
    plain = child(c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN), "info:query")
    assert ver == base64.b64encode(hashlib.sha1(query_text(plain).encode()).digest()).decode()
    hashed = child(c.result("get", f"<query xmlns='{NS['info']}' node='{node}#{ver}'/>", DOMAIN), "info:query")
    assert query_text(hashed) == query_text(plain)
    assert {CAPS, CAPS2} <= {f.get("var") for f in plain.findall(name("info:feature"))}


def test_hash_of_0390(server):
    c = own_caps(server)
    offered = child(c.features, "caps2:c/hashes:hash")
    assert offered.get("algo") == "sha-256"
    node = f"{CAPS2}#sha-256.{offered.text}"
    got = child(c.result("get", f"<query xmlns='{NS['info']}' node='{node}'/>", DOMAIN), "info:query")
    assert got.get("node") == node
    assert learned(server, c2(offered.text), node, "".join(show(e) for e in got)) == NEW


def test_unknown_node(server):
    c = server.client()
    for node in ("urn:meerkat:server#AAAA", "urn:meerkat:server#", f"{CAPS2}#sha-256.AAAA"):
        c.refused("get", f"<query xmlns='{NS['info']}' node='{node}'/>", "item-not-found", DOMAIN)


def test_forms_are_in_the_hash(server):
    with Server({"plugins": {"disco": {"abuse_addresses": ["mailto:a@x", "xmpp:b@x"], "forms": ["urn:x a 1", "urn:x a 2"]}}}) as s:
        test_stream_feature(s)
        test_hash_of_0390(s)


def test_presence_of_the_host(server):
    c = server.client()
    c.presence(to=DOMAIN, type="probe")
    c.expect("presence", from_=DOMAIN, type=None, has=["caps:c", "caps2:c/hashes:hash"])


# ---- of clients

def test_examples(server):
    node = "http://example.org/client#"
    assert learned(server, c1(EXODUS_VER), node + EXODUS_VER, EXODUS) == NEW
    assert learned(server, c1(PSI_VER), node + PSI_VER, PSI) == NEW
    assert learned(server, c2(BOMBUS_HASH), f"{CAPS2}#sha-256.{BOMBUS_HASH}", BOMBUS) == NEW


def test_asked_once(server):
    query, ver = features("urn:x:once")
    learned(server, c1(ver), "http://example.org/client#" + ver, query)
    before = metrics(server)
    for _ in range(4):
        c = server.client()
        announce(c, c1(ver))
        c.expect_nothing()
    assert metrics(server) == before


def test_stored(server):
    query, ver = features("urn:x:stored")
    with Server(sqlite=True) as s:
        learned(s, c1(ver), "http://example.org/client#" + ver, query)
        s.restart()
        c = s.client()
        announce(c, c1(ver))
        c.expect_nothing()


def test_poison(server):
    """A wrong answer is nobody else's."""
    query, ver = features("urn:x:good")
    bad, _ = features("urn:x:evil")
    node = "http://example.org/client#" + ver
    assert learned(server, c1(ver), node, bad) == WRONG
    assert learned(server, c1(ver), node, query) == NEW


def test_contradictions(server):
    """What says something twice has no hash (XEP-0115, 5.4), nor what can be read in two ways."""
    def sha(text):
        return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()

    form = ("<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>f</value></field></x>")
    who = "<identity category='client' type='pc'/>"
    for inner, text in ((who + "<feature var='a'/><feature var='a'/>", "client/pc//<a<a<"),
                        (who + who, "client/pc//<client/pc//<"),
                        (who + form + form, "client/pc//<f<f<"),
                        (who + "<feature var='a&lt;b'/>", "client/pc//<a<b<")):
        assert learned(server, c1(sha(text)), "http://example.org/client#" + sha(text), inner) == WRONG, inner
    unhidden = form.replace(" type='hidden'", "")
    assert learned(server, c1(sha("client/pc//<u<")), "http://example.org/client#" + sha("client/pc//<u<"),
                   who + "<feature var='u'/>" + unhidden) == NEW, "a form that is none is not looked at"


def test_not_asked(server):
    """Nothing that a hash could prove."""
    c = server.client()
    for caps in (c1("1.0", algo=None), c1("abc", algo="md5"), c1("", algo="sha-1"), c2("abc", algo="crc"), ""):
        announce(c, caps)
    c.presence(c1("unheard+of="), to=c.bare)
    c.take("presence", from_=c.jid)
    c.expect_nothing()


def test_error_for_an_answer(server):
    _, ver = features("urn:x:shy")
    c = server.client()
    announce(c, c1(ver))
    iq = check(c, "http://example.org/client#" + ver)
    c.stanza(f"<iq type='error' to='{DOMAIN}' id='{iq.get('id')}'><error type='cancel'/></iq>")
    c.expect_nothing()
    announce(c, c1(ver))
    check(c, "http://example.org/client#" + ver)


def test_change_before_the_answer(server):
    """The answer to the first question is none to the second."""
    (one, ver), (two, other) = features("urn:x:one"), features("urn:x:two")
    c = server.client()
    announce(c, c1(ver))
    first = check(c, "http://example.org/client#" + ver)
    announce(c, c1(other))
    second = check(c, "http://example.org/client#" + other)
    before = metrics(server)
    answer(c, first, one)
    answer(c, second, two)
    c.expect_nothing()
    assert metrics(server)["learned"] == before["learned"] + 1


def test_bounded(server):
    with Server({"workers": 1, "plugins": {"caps": {"cache_size": 1, "max_bytes": "1K"}}}) as s:
        known = [features(f"urn:x:{i}") for i in range(3)]
        for query, ver in known:
            assert learned(s, c1(ver), "http://example.org/client#" + ver, query) == NEW
        for _, ver in known:
            c = s.client()
            announce(c, c1(ver))
            c.expect_nothing()
        query, ver = features(*(f"urn:x:{'y' * 20}{i}" for i in range(100)))
        got = learned(s, c1(ver), "http://example.org/client#" + ver, query)
        assert got == {"queries": 1, "learned": 0, "wrong": 0}
