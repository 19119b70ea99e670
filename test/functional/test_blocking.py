# SPDX-License-Identifier: Apache-2.0
"""Blocking (XEP-0191), and reports that come with it (XEP-0377)."""
from element import NS, child, children, show
from server import DOMAIN, OTHER, Server
from test_privacy import names, use
from test_roster import befriend
from xmpp import fail, settle

NS["block"] = "urn:xmpp:blocking"
NS["blocked"] = "urn:xmpp:blocking:errors"
NS["report"] = "urn:xmpp:reporting:1"
SPAM = "urn:xmpp:reporting:spam"
CONFIG = {"plugins": {"privacy": {}, "blocking": {},
                      "reports": {"max_daily": 3, "max_text": 20, "max_ids": 2, "max_reports": 5,
                                  "forward_to": [f"abuse@{DOMAIN}"], "forward_to_origin": True}}}
COST = 3


def command(name, *jids, inner=""):
    return f"<{name} xmlns='{NS['block']}'>" + "".join(f"<item jid='{j}'>{inner}</item>" for j in jids) + f"</{name}>"


def jids(stanza, name):
    return [i.get("jid") for i in children(stanza, f"block:{name}/block:item")]


def listed(client):
    return jids(client.result("get", command("blocklist")), "blocklist")


def change(client, name, *jids_, inner=""):
    client.result("set", command(name, *jids_, inner=inner))


def pushed(client, name, *wanted):
    got = client.take("iq", type="set", has=f"block:{name}")
    if jids(got, name) != list(wanted) or got.get("from") not in (None, client.bare):
        fail(client, f"expected a push of {wanted}, but got {show(got)}")
    client.send(f"<iq type='result' id='{got.get('id')}'/>")


def test_features(server):
    c = server.client()
    info = c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    features = [f.get("var") for f in children(info, "info:query/info:feature")]
    assert NS["block"] in features and NS["report"] in features


def test_list(server):
    c = server.client()
    assert listed(c) == []
    change(c, "block", "Romeo@Montague.example", "iago@x.example/pda", "z.example")
    pushed(c, "block", "romeo@montague.example", "iago@x.example/pda", "z.example")
    assert listed(c) == ["romeo@montague.example", "iago@x.example/pda", "z.example"]
    change(c, "block", "z.example", "new@x.example")
    pushed(c, "block", "z.example", "new@x.example")
    assert listed(c) == ["z.example", "new@x.example", "romeo@montague.example", "iago@x.example/pda"]
    change(c, "unblock", "z.example")
    pushed(c, "unblock", "z.example")
    change(c, "unblock")
    pushed(c, "unblock")
    assert listed(c) == []
    c.expect_nothing()


def test_pushed_to_who_asked(server):
    one = server.client()
    other, deaf = server.more(one), server.client(user=one.user, available=False)
    for c in (one, other):
        assert listed(c) == []
    change(one, "block", "a@x.example")
    for c in (one, other):
        pushed(c, "block", "a@x.example")
        c.expect_nothing()
    deaf.expect_nothing()


def test_refused(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.refused("set", command("block"), "bad-request")
    alice.refused("set", f"<block xmlns='{NS['block']}'><item/></block>", "bad-request")
    alice.refused("set", command("block", "@@"), "jid-malformed")
    alice.refused("set", command("block", "a@x.example", ""), "jid-malformed")
    alice.refused("set", command("block", "a@x.example"), "service-unavailable", bob.bare)
    alice.refused("get", command("blocklist"), "service-unavailable", bob.bare)
    assert listed(alice) == []
    with Server({"plugins": {"privacy": {"max_items": 3}, "blocking": {}}}) as s:
        c = s.client()
        change(c, "block", *(f"{i}@x.example" for i in range(3)))
        c.refused("set", command("block", "more@x.example"), "policy-violation")
        change(c, "block", "1@x.example")


def test_both_ways(server):
    alice, bob = server.client("alice"), server.client("bob")
    change(alice, "block", bob.bare)
    bob.message(alice.bare, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", "cancel", id="m", lacks="error/blocked:blocked")
    bob.refused("get", f"<ping xmlns='{NS['ping']}'/>", "service-unavailable", alice.jid)
    bob.presence(to=alice.jid)
    bob.presence(to=alice.bare, type="subscribe")
    bob.expect_nothing()
    alice.message(bob.bare, "hello", id="m")
    got = alice.expect_bounce("message", "not-acceptable", id="m", from_=bob.bare)
    assert child(got, "error/blocked:blocked") is not None
    alice.presence(to=bob.jid, id="p")
    got = alice.expect_bounce("presence", "not-acceptable", id="p")
    assert child(got, "error/blocked:blocked") is not None
    got = alice.refused("get", f"<ping xmlns='{NS['ping']}'/>", "not-acceptable", bob.jid)
    assert child(got, "error/blocked:blocked") is not None
    alice.expect_nothing()
    bob.quiet()
    change(alice, "unblock", bob.bare)
    bob.message(alice.bare, "hello")
    alice.expect("message", body="hello")


def test_presence_of_friends(server):
    alice, bob = server.client("alice"), server.client("bob")
    other = server.more(alice)
    befriend(alice, bob)
    settle(alice, bob, other)
    alice.presence("<status>here</status>")
    settle(alice, bob, other)
    change(alice, "block", bob.bare)
    bob.take("presence", type="unavailable", from_=alice.jid)
    bob.take("presence", type="unavailable", from_=other.jid)
    for c in (alice, other):
        c.take("presence", type="unavailable", from_=bob.bare)
    alice.presence("<show>dnd</show>")
    alice.take("presence", from_=alice.jid, has="show")
    bob.presence("<show>away</show>")
    bob.take("presence", from_=bob.jid)
    bob.expect_nothing()
    change(alice, "unblock", bob.bare)
    bob.take("presence", type=None, from_=alice.jid, has="show")
    bob.take("presence", type=None, from_=other.jid)
    alice.take("presence", type=None, from_=bob.jid, has="show")


def test_presence_of_strangers(server):
    """Who may not see the account is not told anything."""
    alice, bob = server.client("alice"), server.client("bob")
    change(alice, "block", bob.bare)
    change(alice, "unblock", bob.bare)
    bob.quiet(alice)


def test_domain_and_resource(server):
    alice, bob = server.client("alice"), server.client("bob", domain=OTHER)
    change(alice, "block", OTHER)
    bob.message(alice.bare, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    change(alice, "unblock", OTHER)
    change(alice, "block", bob.jid)
    bob.message(alice.bare, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    again = server.more(bob)
    again.message(alice.bare, "hello")
    alice.expect("message", body="hello")


def test_away(server):
    alice, bob = server.client("alice"), server.client("bob")
    change(alice, "block", bob.bare)
    alice.end()
    bob.message(alice.bare, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    server.client(user=alice.user).expect_nothing()


def test_one_store_with_privacy(server):
    """The block list is the part of the default list that it can show; other rules stay."""
    c = server.client()
    use(c, "mine", "<item type='jid' value='a@x.example' action='deny' order='5'/>"
        "<item type='jid' value='b@x.example' action='deny' order='6'><message/></item>"
        "<item type='jid' value='c@x.example' action='allow' order='7'/>")
    assert listed(c) == ["a@x.example"]
    change(c, "block", "c@x.example")
    pushed(c, "block", "c@x.example")
    c.take("iq", type="set", has="privacy:query")
    assert listed(c) == ["c@x.example", "a@x.example"]
    assert names(c) == ({"active": None, "default": "mine"}, ["mine"])
    change(c, "unblock")
    got = c.result("get", "<query xmlns='jabber:iq:privacy'><list name='mine'/></query>")
    assert [i.get("value") for i in children(got, "privacy:query/privacy:list/privacy:item")] == ["b@x.example", "c@x.example"]


def test_a_list_is_made_and_goes(server):
    c = server.client()
    change(c, "block", "a@x.example")
    assert names(c) == ({"active": None, "default": "blocking"}, ["blocking"])
    change(c, "unblock", "a@x.example")
    assert names(c) == ({"active": None, "default": None}, [])


def test_restart(server):
    with Server(CONFIG, sqlite=True) as s:
        alice, bob = s.client("alice"), s.client("bob")
        change(alice, "block", bob.bare)
        s.kill()
        s.start()
        bob = s.client(user=bob.user)
        bob.message(alice.bare, "hello", id="m")
        bob.expect_bounce("message", "service-unavailable", id="m")
        assert listed(s.client(user=alice.user)) == [bob.bare]


def test_commands(server):
    alice, bob = server.client("alice"), server.client("bob")
    listed(alice)
    server.control("blocking.add", account=alice.bare, jid=bob.bare)
    pushed(alice, "block", bob.bare)
    assert server.control("blocking.show", account=alice.bare) == [{"jid": bob.bare}]
    bob.message(alice.bare, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    server.control("blocking.remove", account=alice.bare, jid=bob.bare)
    pushed(alice, "unblock", bob.bare)
    assert server.control("blocking.show", account=alice.bare) == []
    assert server.ctl("blocking", "add", "--account", f"nobody@{DOMAIN}", "--jid", bob.bare, check=False)[0] != 0


# ---- reports

def report(reason=SPAM, inner=""):
    return f"<report xmlns='{NS['report']}' reason='{reason}'>{inner}</report>"


def reports(server, **about):
    return server.control("reports.list", host=DOMAIN, **about)


def test_report(server):
    c = server.client()
    ids = "".join(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{c.bare}' id='{i}'/>" for i in (1, 2))
    change(c, "block", "bad@x.example",
           inner=report(inner=ids + "<text xml:lang='en'>" + "ä" * 15 + "</text>"))
    assert listed(c) == ["bad@x.example"]
    got = reports(server, reported="bad@x.example")
    assert len(got) == 1
    got = got[0]
    assert (got["reporter"], got["reported"], got["reason"], got["text"], got["messages"]) == \
        (c.bare, "bad@x.example", SPAM, "ä" * 10, f"{c.bare} 1\n{c.bare} 2\n")
    assert server.control("reports.show", host=DOMAIN, id=got["id"]) == [got]
    server.control("reports.delete", host=DOMAIN, id=got["id"])
    assert reports(server, reported="bad@x.example") == []
    assert server.ctl("reports", "show", "--host", DOMAIN, "--id", got["id"], check=False)[0] != 0
    assert server.ctl("reports", "delete", "--host", DOMAIN, "--id", got["id"], check=False)[0] != 0


def test_bad_reports_block_all_the_same(server):
    c = server.client()
    many = "".join(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{c.bare}' id='{i}'/>" for i in range(3))
    for i, bad in enumerate((f"<report xmlns='{NS['report']}'/>", report(""), report(inner=many), report("x" * 300))):
        change(c, "block", f"bad{i}@x.example", inner=bad)
        assert reports(server, reported=f"bad{i}@x.example") == []
    assert len(listed(c)) == 4


def test_limits_of_reports(server):
    c = server.client()
    for i in range(5):
        change(c, "block", f"limit{i}@x.example", inner=report())
    assert len(listed(c)) == 5
    assert sum(len(reports(server, reported=f"limit{i}@x.example")) for i in range(5)) == 3
    for _ in range(2):
        c = server.client()
        for i in range(3):
            change(c, "block", f"{c.user}.{i}@x.example", inner=report())
    kept = reports(server)
    assert len(kept) == 5 and kept[0]["reported"] == f"{c.user}.2@x.example", "the oldest have given way"
    assert [r["id"] for r in reports(server, limit=2)] == [r["id"] for r in kept[:2]]
    assert [r["id"] for r in reports(server, limit=2, before=kept[1]["id"])] == [r["id"] for r in kept[2:4]]


def test_forwarded_if_allowed(server):
    server.control("users.add", account=f"abuse@{DOMAIN}", password="secret")
    desk, c = server.client(user="abuse"), server.client()
    change(c, "block", "quiet@x.example", inner=report(inner="<text>keep it</text>"))
    change(c, "block", "loud@x.example", inner=report(inner="<third-party/><text>tell it</text>"))
    got = desk.expect("message", from_=DOMAIN)
    found = child(got, "report:report")
    assert found is not None and found.get("reason") == SPAM
    assert found.find("{urn:xmpp:jid:0}jid").text == "loud@x.example"
    assert c.user not in show(got), "the reporter is nobody's business"
    c.expect_nothing()
    desk.expect_nothing()
