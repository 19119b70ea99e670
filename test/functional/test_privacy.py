# SPDX-License-Identifier: Apache-2.0
"""Privacy lists (XEP-0016)."""
from element import NS, child, children, show
from mam import bodies
from server import DOMAIN, OTHER, Server
from test_roster import befriend, item, query
from xmpp import fail, settle

CONFIG = {"plugins": {"privacy": {"max_lists": 5, "max_items": 50}}}
PRIVACY = "jabber:iq:privacy"
NS["privacy"] = PRIVACY
BLOCKING = NS["blocking"] = "urn:xmpp:blocking"


def rule(order, action="deny", type=None, value=None, *kinds):
    inner = "".join(f"<{k}/>" for k in kinds)
    about = (f" type='{type}'" if type else "") + (f" value='{value}'" if value else "")
    return f"<item action='{action}' order='{order}'{about}>{inner}</item>"


def block(jid, *kinds):
    return rule(1, "deny", "jid", jid, *kinds)


def lists(*inner):
    return f"<query xmlns='{PRIVACY}'>{''.join(inner)}</query>"


def named(element, name=None):
    return lists(f"<{element} name='{name}'/>" if name is not None else f"<{element}/>")


def a_list(name, *rules):
    return lists(f"<list name='{name}'>{''.join(rules)}</list>")


def put(client, name, *rules):
    """Sets a list, and takes the push."""
    id = client.ask("set", a_list(name, *rules))
    client.take("iq", type="result", id=id)
    pushed(client, name)


def pushed(client, name):
    got = client.take("iq", type="set", has="privacy:query/privacy:list")
    entries = children(got, "privacy:query/privacy:list")
    if [e.get("name") for e in entries] != [name] or len(entries[0]):
        fail(client, f"a push names the list and no more: {show(got)}")
    client.send(f"<iq type='result' id='{got.get('id')}'/>")


def use(client, name, *rules, element="default"):
    put(client, name, *rules)
    client.result("set", named(element, name))


def names(client):
    answer = client.result("get", lists())
    one = {e: child(answer, f"privacy:query/privacy:{e}") for e in ("active", "default")}
    return ({e: None if x is None else x.get("name") for e, x in one.items()},
            sorted(e.get("name") for e in children(answer, "privacy:query/privacy:list")))


def contents(client, name):
    answer = client.result("get", named("list", name))
    return [(int(i.get("order")), i.get("action"), i.get("type"), i.get("value"), sorted(k.tag.split("}")[1] for k in i))
            for i in children(answer, "privacy:query/privacy:list/privacy:item")]


def denied(client, other, what="message"):
    """What OTHER sends does not come."""
    other.message(client.bare, "can you hear me?", id="m")
    other.expect_bounce("message", "service-unavailable", id="m")


# ---- managing

def test_feature(server):
    c = server.client()
    info = c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert PRIVACY in [f.get("var") for f in children(info, "info:query/info:feature")]


def test_nothing_at_first(server):
    c = server.client()
    assert names(c) == ({"active": None, "default": None}, [])
    c.refused("get", named("list", "x"), "item-not-found")


def test_set_get_remove(server):
    c = server.client()
    put(c, "one", rule(10, "allow", "jid", "TYBALT@example.com/A", "iq", "message"), rule(3, "deny", "subscription", "none"),
        rule(4294967295, "deny"))
    assert contents(c, "one") == [(3, "deny", "subscription", "none", []),
                                  (10, "allow", "jid", "tybalt@example.com/A", ["iq", "message"]),
                                  (4294967295, "deny", None, None, [])]
    put(c, "one", rule(1, "allow"))
    assert contents(c, "one") == [(1, "allow", None, None, [])], "an update is not a delta"
    put(c, "two", rule(1, "allow"))
    assert names(c)[1] == ["one", "two"]
    put(c, "one")
    assert names(c)[1] == ["two"]
    c.refused("set", a_list("one"), "item-not-found")
    c.expect_nothing()


def test_pushed_to_all_sessions(server):
    one = server.client()
    other = server.more(one)
    put(one, "l", rule(1))
    pushed(other, "l")
    other.expect_nothing()


def test_refused_lists(server):
    c = server.client()
    for bad in (rule(1) + rule(1, "allow"), "<item order='1'/>", "<item action='deny'/>", rule(-1), rule("x"), rule(""),
                rule(4294967296), rule(1, "perhaps"), rule(1, "deny", "jid"), rule(1, "deny", "jid", "@@"),
                rule(1, "deny", "subscription", "some"), rule(1, "deny", "shoe", "x"), rule(1, "deny", "group"),
                rule(1, "deny", None, None, "presence"), "<thing action='deny' order='1'/>"):
        c.refused("set", a_list("l", bad), "bad-request")
    c.refused("set", a_list("l", rule(1, "deny", "group", "Nobody")), "item-not-found")
    c.refused("set", a_list("l", *(rule(i) for i in range(51))), "policy-violation")
    c.refused("set", a_list("", rule(1)), "bad-request")
    c.refused("set", a_list("x" * 300, rule(1)), "bad-request")
    c.refused("set", lists(), "bad-request")
    c.refused("set", lists("<list/>"), "bad-request")
    c.refused("set", lists("<active/>", "<default/>"), "bad-request")
    c.refused("set", lists("<shoe name='x'/>"), "bad-request")
    c.refused("get", lists("<list name='a'/>", "<list name='b'/>"), "bad-request")
    c.refused("get", lists("<active/>"), "bad-request")
    for i in range(5):
        put(c, f"l{i}", rule(1, "allow"))
    c.refused("set", a_list("one more", rule(1)), "policy-violation")
    assert len(names(c)[1]) == 5


def test_others_keep_out(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.refused("get", lists(), "service-unavailable", bob.bare)
    alice.refused("set", a_list("l", rule(1)), "service-unavailable", bob.bare)
    assert names(bob)[1] == []


def test_active_and_default(server):
    one = server.client()
    other = server.more(one)
    put(one, "a", rule(1, "allow"))
    put(one, "b", rule(1, "allow"))
    for element in ("active", "default"):
        one.refused("set", named(element, "c"), "item-not-found")
    one.result("set", named("active", "a"))
    one.result("set", named("default", "b"))
    assert names(one) == ({"active": "a", "default": "b"}, ["a", "b"])
    assert names(other) == ({"active": None, "default": "b"}, ["a", "b"])
    one.result("set", named("active"))
    assert names(one)[0]["active"] is None


def test_conflicts(server):
    """A list that holds for another session is neither removed nor replaced as the default."""
    one = server.client()
    other = server.more(one)
    put(one, "a", rule(1, "allow"))
    put(one, "b", rule(1, "allow"))
    other.result("set", named("active", "a"))
    one.refused("set", a_list("a"), "conflict")
    one.result("set", named("default", "b"))
    one.result("set", named("default", "a"))  # the other session goes by its active list
    other.result("set", named("active", None))
    one.refused("set", named("default", "b"), "conflict")
    one.refused("set", named("default"), "conflict")
    one.refused("set", a_list("a"), "conflict")
    other.end()
    one.take("presence", type="unavailable")
    one.result("set", named("default"))
    put(one, "a")
    assert names(one) == ({"active": None, "default": None}, ["b"])


def test_active_ends_with_the_session(server):
    one = server.client(resource="r")
    use(one, "a", block(f"x@{DOMAIN}"), element="active")
    one.end()
    assert names(server.client(user=one.user, resource="r")) == ({"active": None, "default": None}, ["a"])


# ---- what is let through

def test_message(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", block(bob.bare, "message"))
    for to in (alice.bare, alice.jid):
        bob.message(to, "hello", id="m")
        bob.expect_bounce("message", "service-unavailable", "cancel", id="m", from_=to)
    bob.message(alice.jid, "an error", type="error")
    bob.message(alice.bare, "news", type="headline")
    bob.expect_bounce("message", "service-unavailable")
    alice.expect_nothing()
    alice.message(bob.jid, "outbound is not what it is about")
    bob.expect("message", body="outbound is not what it is about")
    assert alice.ask("get", f"<ping xmlns='{NS['ping']}'/>", bob.jid)
    bob.expect("iq", type="get")


def test_iq(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", block(bob.bare, "iq"))
    ping = f"<ping xmlns='{NS['ping']}'/>"
    bob.refused("get", ping, "service-unavailable", alice.jid, "cancel")
    bob.refused("get", ping, "service-unavailable", alice.bare)
    bob.refused("get", f"<query xmlns='{NS['info']}'/>", "service-unavailable", alice.bare)
    bob.send(f"<iq type='result' id='r' to='{alice.jid}'/>")
    bob.message(alice.jid, "still here")
    alice.expect("message", body="still here")
    alice.expect_nothing()


def test_jid_forms(server):
    alice, bob = server.client("alice"), server.client("bob", resource="pda")
    for value, fits in ((bob.jid, True), (bob.bare + "/other", False), (bob.bare, True), (DOMAIN + "/pda", True),
                        (DOMAIN + "/other", False), (DOMAIN, True), (OTHER, False)):
        put(alice, "l", block(value))
        alice.result("set", named("active", "l"))
        bob.message(alice.jid, value, id="m")
        if fits:
            bob.expect_bounce("message", "service-unavailable", id="m")
        else:
            alice.expect("message", body=value)
    alice.expect_nothing()


def test_order_and_fall_through(server):
    alice, bob, carol = server.client("alice"), server.client("bob"), server.client("carol")
    use(alice, "l", rule(20, "deny"), rule(10, "allow", "jid", bob.bare))
    bob.message(alice.jid, "hello")
    alice.expect("message", body="hello")
    carol.message(alice.jid, "hello", id="m")
    carol.expect_bounce("message", "service-unavailable")
    put(alice, "l", rule(20, "allow", "jid", bob.bare), rule(10, "deny"))
    denied(alice, bob)


def test_server_and_self_are_exempt(server):
    one = server.client()
    other = server.more(one)
    use(one, "l", rule(1, "deny"))
    pushed(other, "l")
    other.message(one.jid, "me")
    one.expect("message", body="me")
    one.message(other.bare, "me too")
    one.take("message", body="me too")
    one.result("get", f"<ping xmlns='{NS['ping']}'/>", DOMAIN)
    other.presence("<status>here</status>")
    one.take("presence", from_=other.jid, has="status")


def test_group_and_subscription(server):
    alice, bob, carol = server.client("alice"), server.client("bob"), server.client("carol")
    alice.result("set", query(item(bob.bare, groups=["Enemies"])))
    settle(alice, bob, carol)
    use(alice, "l", rule(1, "deny", "group", "Enemies"))
    denied(alice, bob)
    carol.message(alice.jid, "hello")
    alice.expect("message", body="hello")
    alice.result("set", query(item(bob.bare, groups=["Friends"])))
    bob.message(alice.jid, "and now?")
    alice.take("message", body="and now?")
    put(alice, "l", rule(1, "deny", "subscription", "none", "message"))
    denied(alice, bob)
    denied(alice, carol)
    befriend(alice, bob)
    bob.message(alice.jid, "friends")
    alice.take("message", body="friends")
    denied(alice, carol)


def test_outbound(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", rule(1, "deny", "subscription", "none"))
    alice.message(bob.bare, "hello", id="m")
    alice.expect_bounce("message", "not-acceptable", id="m")
    alice.refused("get", f"<ping xmlns='{NS['ping']}'/>", "not-acceptable", bob.jid)
    for type in (None, "subscribe", "probe"):
        alice.presence(to=bob.bare, type=type, id="p")
        alice.expect_bounce("presence", "not-acceptable", id="p")
    alice.send(f"<iq type='result' id='r' to='{bob.jid}'/>")
    alice.send(f"<message type='error' to='{bob.jid}'/>")
    alice.expect_nothing()
    bob.expect_nothing()


def test_inbound_subscription(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", block(bob.bare))
    for type in ("subscribe", "probe", None, "unavailable"):
        bob.presence(to=alice.bare, type=type)
    bob.expect_nothing()
    alice.expect_nothing()
    put(alice, "l", block(bob.bare, "presence-in"))
    bob.presence(to=alice.jid)
    bob.presence(to=alice.bare, type="subscribe")
    alice.expect("presence", type="subscribe")


# ---- presence

def friends(server):
    alice, bob = server.client("alice"), server.client("bob")
    befriend(alice, bob)
    return alice, bob


def test_presence_out(server):
    alice, bob = friends(server)
    put(alice, "l", block(bob.bare, "presence-out"))
    alice.result("set", named("default", "l"))
    bob.expect("presence", type="unavailable", from_=alice.jid)
    alice.presence("<show>away</show>")
    alice.take("presence", from_=alice.jid, has="show")
    bob.presence("<status>I do not see you</status>", to=alice.bare)
    alice.take("presence", from_=bob.jid)
    bob.presence(to=alice.bare, type="probe")
    bob.expect("presence", type="unavailable")
    alice.message(bob.jid, "but I can write")
    bob.expect("message", body="but I can write")
    bob.message(alice.jid, "so can I")
    alice.take("message", body="so can I")
    alice.presence(to=bob.jid, id="d")
    alice.expect_bounce("presence", "not-acceptable", id="d")
    alice.result("set", named("default"))
    bob.expect("presence", type=None, from_=alice.jid, has="show")
    put(alice, "l", block(bob.bare, "presence-out"))
    alice.result("set", named("active", "l"))
    bob.expect("presence", type="unavailable", from_=alice.jid)
    alice.end()
    bob.expect_nothing()


def test_presence_in(server):
    alice, bob = friends(server)
    use(alice, "l", block(bob.bare, "presence-in"))
    alice.expect("presence", type="unavailable", from_=bob.bare)
    bob.presence("<show>away</show>")
    bob.take("presence", from_=bob.jid)
    bob.message(alice.jid, "mark")
    alice.expect("message", body="mark")
    put(alice, "l", rule(1, "allow"))
    alice.expect("presence", type=None, from_=bob.jid, has="show")


def test_presence_is_sent_to_the_others(server):
    alice, bob = friends(server)
    carol = server.client("carol")
    befriend(alice, carol)
    settle(alice, bob, carol)
    use(alice, "l", block(bob.bare))
    alice.presence("<show>away</show>")
    carol.take("presence", from_=alice.jid, has="show")
    bob.expect("presence", type="unavailable", from_=alice.jid)
    bob.expect_nothing()


def test_directed_presence_ends(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.presence(to=bob.jid)
    bob.expect("presence", from_=alice.jid, type=None)
    use(alice, "l", block(bob.bare))
    bob.expect("presence", from_=alice.jid, type="unavailable")
    alice.end()
    bob.expect_nothing()


# ---- sessions with lists of their own

def test_lists_of_two_sessions(server):
    """What goes to the account reaches those of its sessions whose lists allow it."""
    one, bob = server.client("alice", priority=1), server.client("bob")
    other = server.more(one, priority=1)
    put(one, "l", block(bob.bare))
    pushed(other, "l")
    one.result("set", named("active", "l"))
    bob.message(one.bare, "for the other")
    other.expect("message", body="for the other")
    bob.message(one.jid, "for the one", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    bob.message(other.jid, "again")
    other.expect("message", body="again")
    bob.presence(to=one.bare)
    other.expect("presence", from_=bob.jid)
    one.expect_nothing()
    other.result("set", named("active", "l"))
    denied(one, bob)


def test_edit_of_an_active_list(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", rule(1, "allow"), element="active")
    bob.message(alice.jid, "1")
    alice.expect("message", body="1")
    put(alice, "l", block(bob.bare))
    denied(alice, bob)
    put(alice, "l")
    bob.message(alice.jid, "2")
    alice.expect("message", body="2")


def test_active_overrides_default(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "deny", block(bob.bare))
    use(alice, "allow", rule(1, "allow"), element="active")
    bob.message(alice.jid, "hello")
    alice.expect("message", body="hello")


# ---- nobody there

def test_away(server):
    """The default list holds without a session; what it denies is not stored."""
    alice, bob, carol = server.client("alice"), server.client("bob"), server.client("carol")
    use(alice, "l", block(bob.bare))
    alice.end()
    denied(alice, bob)
    bob.refused("get", f"<query xmlns='{NS['info']}'/>", "service-unavailable", alice.bare)
    bob.presence(to=alice.bare, type="subscribe")
    bob.expect_nothing()
    carol.message(alice.bare, "kept")
    carol.expect_nothing()
    alice = server.client(user=alice.user)
    alice.expect("message", body="kept")
    alice.expect_nothing()


def test_carbons(server):
    one, bob = server.client("alice", priority=1), server.client("bob")
    other = server.more(one)
    other.result("set", f"<enable xmlns='{NS['carbons']}'/>")
    put(one, "l", block(bob.bare))
    pushed(other, "l")
    one.result("set", named("default", "l"))
    denied(one, bob)
    one.message(bob.bare, "no", id="m")
    one.expect_bounce("message", "not-acceptable", id="m")
    other.expect_nothing()
    one.expect_nothing()




def test_restart(server):
    with Server(CONFIG, sqlite=True) as s:
        alice, bob = s.client("alice"), s.client("bob")
        use(alice, "l", rule(7, "deny", "jid", bob.bare, "message", "iq"))
        put(alice, "m", rule(1, "deny", "subscription", "none"))
        alice.end()
        s.restart()
        bob = s.client(user=bob.user)
        bob.message(alice.bare, "hello", id="m")
        bob.expect_bounce("message", "service-unavailable", id="m")
        alice = s.client(user=alice.user)
        assert names(alice) == ({"active": None, "default": "l"}, ["l", "m"])
        assert contents(alice, "l") == [(7, "deny", "jid", bob.bare, ["iq", "message"])]


def test_resumed_session_keeps_its_list(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.enable()
    use(alice, "l", block(bob.bare), element="active")
    alice.drop()
    again = server.authed(alice)
    again.resumed(alice)
    bob.message(alice.jid, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")


def test_lists_outlast_a_restart(server):
    """What a session that is resumed after a restart has active, and that it asked for the block list."""
    with Server({"plugins": {"privacy": {}, "blocking": {}}}, sqlite=True) as s:
        alice, bob = s.client("alice"), s.client("bob")
        alice.enable()
        use(alice, "l", block(bob.bare), element="active")
        alice.result("get", f"<blocklist xmlns='{BLOCKING}'/>")
        alice.wait_acked()
        alice.drop()
        s.restart()
        again, bob = s.authed(alice), s.client(user=bob.user)
        again.resumed(alice)
        bob.message(alice.jid, "hello", id="m")
        bob.expect_bounce("message", "service-unavailable", id="m")
        assert names(again)[0]["active"] == "l"
        again.result("set", f"<block xmlns='{BLOCKING}'><item jid='a@x.example'/></block>")
        again.take("iq", type="set", has="privacy:query")
        again.take("iq", type="set", has="blocking:block")


def test_not_archived(server):
    alice, bob = server.client("alice"), server.client("bob")
    use(alice, "l", block(bob.bare))
    denied(alice, bob)
    alice.message(bob.bare, "no", id="m")
    alice.expect_bounce("message", "not-acceptable", id="m")
    alice.end()
    denied(alice, bob)
    alice = server.client(user=alice.user)
    bob.message(bob.bare, "mine")
    bob.expect("message", body="mine")
    assert bodies(alice) == []
    assert "no" not in bodies(bob)


# ---- the operator

def test_commands(server):
    alice, bob = server.client("alice"), server.client("bob")
    assert server.control("privacy.show", account=alice.bare) == []
    use(alice, "l", block(bob.bare), rule(2, "allow", None, None, "message"))
    assert server.control("privacy.show", account=alice.bare) == [
        {"name": "l", "default": True, "rules": f"1 deny all jid {bob.bare}\n2 allow message any \n"}]
    assert server.ctl("privacy", "delete", "--account", alice.bare, "--name", "x", check=False)[0] != 0
    server.control("privacy.delete", account=alice.bare, name="l")
    pushed(alice, "l")
    bob.message(alice.jid, "hello")
    alice.expect("message", body="hello")
