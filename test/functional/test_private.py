# SPDX-License-Identifier: Apache-2.0
"""Private XML storage (XEP-0049)."""
from element import NS, child, show
from server import Server
from xmpp import fail

NS["private"] = "jabber:iq:private"
CONFIG = {"plugins": {"private": {"max_size": 1000, "max_elements": 4}}}
SQLITE = True


def query(*inner):
    return f"<query xmlns='jabber:iq:private'>{''.join(inner)}</query>"


def put(client, *inner):
    client.result("set", query(*inner))


def get(client, name, ns):
    got = child(client.result("get", query(f"<{name} xmlns='{ns}'/>")), "private:query")
    if len(got) != 1:
        fail(client, f"one element is answered: {show(got)}")
    return show(got[0])


def test_put_get(server):
    c = server.client()
    assert get(c, "exodus", "exodus:prefs") == "<exodus xmlns='exodus:prefs'/>"
    xml = "<exodus xmlns='exodus:prefs' a='1 &amp; 2'><nick xml:lang='de'>Hämlet &lt;3</nick><x xmlns='other'/>tail</exodus>"
    put(c, xml)
    assert get(c, "exodus", "exodus:prefs") == \
        "<exodus xmlns='exodus:prefs' a=\"1 &amp; 2\"><nick xml:lang=\"de\">Hämlet &lt;3</nick><x xmlns='other'/>tail</exodus>"
    put(c, "<exodus xmlns='exodus:prefs'/>")
    assert get(c, "exodus", "exodus:prefs") == "<exodus xmlns='exodus:prefs'/>"


def test_several(server):
    c = server.client()
    put(c, "<a xmlns='one'>1</a>", "<b xmlns='one'>2</b>", "<a xmlns='two'>3</a>")
    assert [get(c, n, ns)[-5:-4] for n, ns in (("a", "one"), ("b", "one"), ("a", "two"))] == ["1", "2", "3"]


def test_refused(server):
    c, other = server.client(), server.client("other")
    for payload in (query(), query("<a/>"), query("<a xmlns=''/>")):
        c.refused("get", payload, "bad-request")
        c.refused("set", payload, "bad-request")
    c.refused("get", query("<a xmlns='x'/>", "<b xmlns='x'/>"), "bad-request")
    c.refused("set", query("<a xmlns='x'/>", "<b/>"), "bad-request")
    assert get(c, "a", "x") == "<a xmlns='x'/>"
    for type in ("get", "set"):
        other.refused(type, query("<a xmlns='x'>evil</a>"), "forbidden", c.bare, "auth")
    assert get(c, "a", "x") == "<a xmlns='x'/>"


def test_limits(server):
    c = server.client()
    c.refused("set", query(f"<a xmlns='x'>{'x' * 1000}</a>"), "policy-violation")
    c.refused("set", query(*(f"<a{i} xmlns='x'/>" for i in range(5))), "policy-violation")
    put(c, *(f"<a{i} xmlns='x'/>" for i in range(4)))
    c.refused("set", query("<a5 xmlns='x'/>"), "policy-violation")
    put(c, "<a3 xmlns='x'>new</a3>")
    assert "new" in get(c, "a3", "x")
    rows = server.control("private.list", account=c.bare)
    assert [(r["ns"], r["name"]) for r in rows] == [("x", f"a{i}") for i in range(4)]


def test_own_bare_address(server):
    c = server.client()
    c.result("set", query("<a xmlns='x'>1</a>"), c.bare)
    assert "1" in get(c, "a", "x")


def test_survives_a_crash(server):
    with Server(sqlite=True, config={"plugins": {"private": {}}}) as s:
        c = s.client()
        put(c, "<storage xmlns='storage:bookmarks'><conference jid='a@b'/></storage>")
        s.kill()
        s.start()
        assert "a@b" in get(s.client(user=c.user), "storage", "storage:bookmarks")
