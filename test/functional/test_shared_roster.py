# SPDX-License-Identifier: Apache-2.0
"""Shared roster groups: contacts that accounts are given."""
from element import NS, child, children, show
from real import slixmpp
from server import DOMAIN, OTHER, Server
from test_roster import QUERY, befriend, interested, push

CONFIG = {"plugins": {"shared_roster": {}, "last": {}}}
SQLITE = True


def group(server, id, *members, **more):
    """A group made by command, of these clients or accounts."""
    server.control("groups.set", id=id, host=DOMAIN, **more)
    for m in members:
        server.control("groups.add", id=id, account=m if isinstance(m, str) else m.bare, host=DOMAIN)


def listed(client):
    """Contacts: {JID: (subscription, groups)}"""
    items = child(client.result("get", QUERY), "roster:query")
    return {i.get("jid"): (i.get("subscription"), sorted(g.text for g in i)) for i in items}


def shows(server, client, want):
    """Waits until the roster is like this: who is in memory learns of a group's change by mail."""
    server.wait_until(f"{client.bare} sees {want}", lambda: listed(client) == want)


def version(client, ver=None):
    """(version, whether the roster came)"""
    query = QUERY if ver is None else f"<query xmlns='{NS['roster']}' ver='{ver}'/>"
    got = child(client.result("get", query), "roster:query")
    return (got.get("ver"), True) if got is not None else (ver, False)


def people(server, count=2):
    return [server.client(f"user{i}") for i in range(count)]


# ---- what is shown

def test_members_see_each_other(server):
    a, b = (f"{server.account(n)}@{DOMAIN}" for n in ("alice", "bob"))
    group(server, "two", a, b, label="The two")
    x = server.client(user=a.partition("@")[0])
    assert listed(x) == {b: ("both", ["The two"])}
    y = server.client(user=b.partition("@")[0])
    x.take("presence", from_=y.jid)
    y.take("presence", from_=x.jid)
    assert listed(y) == {a: ("both", ["The two"])}
    x.end()
    y.take("presence", type="unavailable", from_=x.jid)


def test_name_is_the_accounts(server):
    a, b = people(server)
    group(server, "named", a, b)
    shows(server, a, {b.bare: ("both", ["named"])})
    item = child(a.result("get", QUERY), "roster:query")[0]
    assert item.get("name") == b.user and item.get("ask") is None, show(item)


def test_shown_to_others(server):
    """The desk is shown to the staff, and not the other way round."""
    desk, staff, colleague = people(server, 3)
    group(server, "employees", staff, colleague, shown_to=["nobody"])
    group(server, "desk", desk, label="Help", shown_to=["employees"])
    shows(server, staff, {desk.bare: ("to", ["Help"])})
    shows(server, desk, {})
    staff.take("presence", from_=desk.jid)
    staff.presence("<status>lunch</status>")
    desk.skip(staff)
    desk.presence("<status>busy</status>")
    staff.take("presence", from_=desk.jid, has="status")
    staff.refused("get", "<query xmlns='jabber:iq:last'/>", "service-unavailable", f"nobody@{DOMAIN}")
    assert desk.iq("get", "<query xmlns='jabber:iq:last'/>", staff.bare).get("type") == "error"
    staff.result("get", "<query xmlns='jabber:iq:last'/>", desk.bare)


def test_several_groups(server):
    a, b = people(server)
    for id in ("g1", "g2"):
        group(server, id, a, b, label=id.upper())
    shows(server, a, {b.bare: ("both", ["G1", "G2"])})


def test_own_contacts_too(server):
    a, b, c = people(server, 3)
    befriend(a, c)
    a.result("set", f"<query xmlns='{NS['roster']}'><item jid='{b.bare}' name='Bobby'><group>Mine</group></item></query>")
    group(server, "mixed", a, b, label="Work")
    shows(server, a, {b.bare: ("both", ["Mine", "Work"]), c.bare: ("both", [])})
    a.result("set", f"<query xmlns='{NS['roster']}'><item jid='{b.bare}' name='Rob'/></query>")
    assert listed(a)[b.bare] == ("both", ["Work"])
    a.result("set", f"<query xmlns='{NS['roster']}'><item jid='{b.bare}' subscription='remove'/></query>")
    assert listed(a)[b.bare] == ("both", ["Work"]), "the group's part stays"


# ---- what can't be done

def test_read_only(server):
    a, b = people(server)
    group(server, "fixed", a, b)
    for x, y in ((a, b), (b, a)):
        shows(server, x, {y.bare: ("both", ["fixed"])})
    for item in (f"<item jid='{b.bare}' name='x'/>", f"<item jid='{b.bare}' subscription='remove'/>"):
        a.refused("set", f"<query xmlns='{NS['roster']}'>{item}</query>", "not-allowed")
    for type in ("unsubscribe", "unsubscribed", "subscribe", "subscribed"):
        a.presence(to=b.bare, type=type)
    b.skip(a)
    b.quiet(a)
    assert listed(a)[b.bare][0] == listed(b)[a.bare][0] == "both"


# ---- changes

def test_pushes(server):
    a, b, c = interested(server, "alice"), interested(server, "bob"), interested(server, "carol")
    group(server, "live", a, b, label="Live")
    push(a, b.bare, "both", name=b.user, groups=["Live"])
    a.take("presence", from_=b.jid)
    b.take("iq", type="set", has="roster:query")
    b.take("presence", from_=a.jid)
    server.control("groups.add", id="live", account=c.bare, host=DOMAIN)
    for x in (a, b):
        push(x, c.bare, "both", name=c.user, groups=["Live"])
        x.take("presence", from_=c.jid)
    for x in (a, b):
        c.take("presence", from_=x.jid)
    server.control("groups.set", id="live", label="Alive", host=DOMAIN)
    got = {}
    for _ in range(2):
        item = child(a.take("iq", type="set", has="roster:query"), "roster:query/roster:item")
        got[item.get("jid")] = [g.text for g in item]
    assert got == {b.bare: ["Alive"], c.bare: ["Alive"]}, got
    server.control("groups.remove", id="live", account=c.bare, host=DOMAIN)
    push(a, c.bare, "remove")
    a.take("presence", type="unavailable", from_=c.jid)
    server.control("groups.delete", id="live", host=DOMAIN)
    push(a, b.bare, "remove")
    a.take("presence", type="unavailable", from_=b.jid)
    assert listed(a) == {}


def test_own_subscription_survives(server):
    a, b = interested(server, "alice"), interested(server, "bob")
    befriend(a, b)
    a.skip(b)
    group(server, "twice", a, b, label="Twice")
    item = child(a.take("iq", type="set", has="roster:query"), "roster:query/roster:item")
    assert (item.get("subscription"), [g.text for g in item]) == ("both", ["Twice"])
    server.control("groups.delete", id="twice", host=DOMAIN)
    item = child(a.take("iq", type="set", has="roster:query"), "roster:query/roster:item")
    assert (item.get("subscription"), len(item)) == ("both", 0)
    a.quiet(b)  # no unavailable presence


# ---- versions

def pushed(client, jid):
    """The version that the next push says, which is about JID."""
    got = child(client.take("iq", type="set", has="roster:query"), "roster:query")
    assert got[0].get("jid") == jid, show(got)
    return got.get("ver")


def test_versions(server):
    a, b, c = people(server, 3)
    near, far = "near@elsewhere.example", "far@elsewhere.example"
    a.result("set", f"<query xmlns='{NS['roster']}'><item jid='{near}'/></query>")
    own, came = version(a)
    assert came and "-" not in own
    group(server, "versions", a, b)
    first = pushed(a, b.bare)
    assert first.startswith(own + "-") and version(a, first) == (first, False)
    assert version(a, own) == (first, True), "who has the old one gets all"
    a.result("set", f"<query xmlns='{NS['roster']}'><item jid='{far}'/></query>")
    second = pushed(a, far)
    id = a.ask("get", f"<query xmlns='{NS['roster']}' ver='{first}'/>")
    assert child(a.take("iq", id=id), "roster:query") is None and pushed(a, far) == second, "one change, one push"
    assert version(a, second) == (second, False)
    server.control("groups.add", id="versions", account=c.bare, host=DOMAIN)
    third = pushed(a, c.bare)
    assert version(a, third) == (third, False) and version(a, second) == (third, True)
    server.control("groups.delete", id="versions", host=DOMAIN)
    fourth = {pushed(a, jid) for jid in sorted((b.bare, c.bare))}
    assert len(fourth) == 1 and version(a, third) == (fourth.pop(), True)


def test_restart(server):
    with Server({"plugins": {"shared_roster": {"groups": ["staff | Staff | anna, bert", "all | Everybody | * | staff"]}}},
                sqlite=True) as s:
        for name in ("anna", "bert", "carl"):
            s.control("users.add", account=f"{name}@{DOMAIN}", password="secret")
        anna, carl = s.client(user="anna"), s.client(user="carl")
        assert listed(anna) == {f"bert@{DOMAIN}": ("both", ["Everybody", "Staff"]), f"carl@{DOMAIN}": ("to", ["Everybody"])}
        assert listed(carl) == {}
        ver = version(anna)[0]
        s.restart()
        assert version(s.client(user="anna"), ver) == (ver, False)


# ---- everybody

def test_everybody(server):
    with Server({"plugins": {"shared_roster": {"groups": ["all | Everybody | *"]}}}, sqlite=True) as s:
        a = interested(s, "alice")
        b = s.account("bob")
        push(a, f"{b}@{DOMAIN}", "both", name=b, groups=["Everybody"])
        s.control("users.del", account=f"{b}@{DOMAIN}")
        push(a, f"{b}@{DOMAIN}", "remove")
        far = s.client("far", domain=OTHER)
        assert listed(far) == {} and listed(a) == {}, "hosts have groups of their own"


# ---- commands

def test_commands(server):
    a = server.client(available=False)
    server.ctl("groups", "set", "cmd", "A label", DOMAIN)
    rows = {r["id"]: r for r in server.ctl_json("groups", "list", f"host={DOMAIN}")}
    assert rows["cmd"] == {"id": "cmd", "label": "A label", "everybody": False, "shown_to": "cmd", "configured": False}
    server.ctl("groups", "add", "cmd", a.bare, DOMAIN)
    assert server.ctl_json("groups", "members", "cmd", f"host={DOMAIN}") == [{"account": a.bare}]
    server.ctl("users", "del", a.bare)
    assert server.ctl_json("groups", "members", "cmd", f"host={DOMAIN}") == []
    user = f"{server.account()}@{DOMAIN}"
    for words in (("add", "none", user), ("add", "cmd", f"nobody@{DOMAIN}"), ("add", "cmd", f"x@{OTHER}"),
                  ("remove", "cmd", user), ("delete", "none"), ("members", "none"), ("set", "two words"), ("set", "a|b"),
                  ("set", "cmd", "label=")):
        code, _, err = server.ctl("groups", *words, f"host={DOMAIN}", check=False)
        assert code and err, words


def test_configured(server):
    with Server({"plugins": {"shared_roster": {"groups": ["staff | Staff | anna"]}}}) as s:
        for words in (("set", "staff", "label=x"), ("delete", "staff"), ("add", "staff", f"{s.account()}@{DOMAIN}")):
            code, _, err = s.ctl("groups", *words, f"host={DOMAIN}", check=False)
            assert code and "configuration" in err, err
    for entry in ("staff", "staff | Staff", " | Staff | anna", "staff | | anna", "a | b | c | d | e"):
        s = Server({"plugins": {"shared_roster": {"groups": [entry]}}}, start=False)
        try:
            assert "groups" in s.refuses_to_start(), entry
        finally:
            s.remove()


# ---- with a client of somebody else

def test_slixmpp(server):
    a, b = server.account("alice"), server.client("bob")
    group(server, "clients", f"{a}@{DOMAIN}", b, label="Clients")
    c = slixmpp(a, server.address(), tls="TLSv1_2")
    c.wait("presence", from_=b.jid, type="available")
    b.take("presence", from_=c.jid)
    c.stop()
