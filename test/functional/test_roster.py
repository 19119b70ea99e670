# SPDX-License-Identifier: Apache-2.0
"""Rosters and subscriptions: RFC 6121, sections 2 and 3, and appendix A."""
from element import NS, attrs, child, children, escape, show
from server import DOMAIN, Server
from xmpp import check_error, fail, settle

QUERY = f"<query xmlns='{NS['roster']}'/>"


def item(jid, groups=(), **given):
    inner = "".join(f"<group>{escape(g)}</group>" for g in groups)
    return f"<item{attrs(jid=jid, **given)}>{inner}</item>"


def query(*items, **given):
    return f"<query xmlns='{NS['roster']}'{attrs(**given)}>{''.join(items)}</query>"


def contents(stanza):
    """{jid: (subscription, ask, name, sorted groups)} of a roster or a push."""
    return {i.get("jid"): (i.get("subscription"), i.get("ask"), i.get("name"),
                           sorted(g.text for g in children(i, "roster:group")))
            for i in children(stanza, "roster:query/roster:item")}


def roster(client):
    return contents(client.result("get", QUERY))


def interested(server, name="user", **how):
    """Logged in, has asked for its roster."""
    c = server.client(name, **how)
    c.result("get", QUERY)
    return c


def push(client, jid, subscription="none", ask=None, name=None, groups=()):
    """The next element is a push of exactly this."""
    got = client.expect("iq", type="set", has="roster:query")
    if got.get("from") not in (None, client.bare) or not got.get("id"):
        fail(client, f"a push comes from the account and has an id: {show(got)}")
    want = {jid: (subscription, ask, name, sorted(groups))}
    if contents(got) != want:
        fail(client, f"expected a push of {want}, but got {show(got)}")
    client.send(f"<iq type='result' id='{got.get('id')}'/>")
    return got


def set_item(client, jid, **given):
    """A roster set and its push."""
    id = client.ask("set", query(item(jid, **given)))
    got = push(client, jid, name=given.get("name"), groups=given.get("groups", ()))
    client.expect("iq", type="result", id=id)
    return got


# ---- get and set

def test_empty(server):
    assert roster(server.client()) == {}


def test_add_change_remove(server):
    c = interested(server)
    set_item(c, "juliet@elsewhere.example")
    set_item(c, "juliet@elsewhere.example", name="Juliet <3", groups=["Lovers", "Verona & more"])
    assert roster(c) == {"juliet@elsewhere.example": ("none", None, "Juliet <3", ["Lovers", "Verona & more"])}
    set_item(c, "juliet@elsewhere.example", groups=["Lovers"])
    id = c.ask("set", query(item("juliet@elsewhere.example", subscription="remove")))
    push(c, "juliet@elsewhere.example", subscription="remove")
    c.expect("iq", type="result", id=id)
    assert roster(c) == {}
    c.expect_nothing()


def test_push_to_interested_only(server):
    one = interested(server)
    other = server.more(one)
    other.result("get", QUERY)
    deaf = server.more(one, other)
    id = one.ask("set", query(item("juliet@elsewhere.example")))
    push(one, "juliet@elsewhere.example")
    push(other, "juliet@elsewhere.example")
    one.expect("iq", type="result", id=id)
    deaf.quiet(one)


def test_push_without_presence(server):
    """Interest does not need availability."""
    c = server.client(available=False)
    c.result("get", QUERY)
    set_item(c, "juliet@elsewhere.example")


def test_contact_is_bare_and_prepared(server):
    c = interested(server)
    id = c.ask("set", query(item("JULIET@Elsewhere.example/balcony")))
    push(c, "juliet@elsewhere.example")
    c.expect("iq", type="result", id=id)


def test_subscription_is_not_the_clients_to_set(server):
    c = interested(server)
    for given in ({"subscription": "both"}, {"subscription": "to"}, {"ask": "subscribe"}, {"approved": "true"}):
        id = c.ask("set", query(item("juliet@elsewhere.example", **given)))
        got = push(c, "juliet@elsewhere.example")
        assert child(got, "roster:query/roster:item").get("approved") is None
        c.expect("iq", type="result", id=id)


def test_refused_sets(server):
    c = interested(server)
    good = "juliet@elsewhere.example"
    for payload, condition in (
            (query(), "bad-request"), (query(item(good), item("romeo@elsewhere.example")), "bad-request"),
            (query("<item/>"), "bad-request"), (query(item("@@")), "jid-malformed"), (query(item("")), "jid-malformed"),
            (query(item(good, groups=["a", "a"])), "bad-request"), (query(item(good, groups=[""])), "not-acceptable"),
            (query(item(good, name="x" * 5000)), "not-acceptable"),
            (query(item(good, groups=["x" * 5000])), "not-acceptable"),
            (query(item(good, groups=[str(i) for i in range(200)])), "not-acceptable"),
            (query(item(good, subscription="remove")), "item-not-found"), (query(item(c.bare)), "not-allowed")):
        c.refused("set", payload, condition)
    assert roster(c) == {}
    c.expect_nothing()


def test_others_keep_out(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    set_item(bob, "juliet@elsewhere.example")
    for type, payload in (("get", QUERY), ("set", query(item("evil@elsewhere.example")))):
        answer = alice.iq(type, payload, bob.bare)
        if answer.get("type") != "error":
            fail(alice, f"bob's roster is nobody's business: {show(answer)}")
    assert roster(bob) == {"juliet@elsewhere.example": ("none", None, None, [])}
    bob.quiet(alice)


def test_own_bare_address(server):
    c = interested(server)
    assert contents(c.result("get", QUERY, c.bare)) == {}


def test_full_roster(server):
    with Server({"plugins": {"roster": {"max_items": 3}}}) as s:
        c = interested(s)
        for i in range(3):
            set_item(c, f"{i}@elsewhere.example")
        c.refused("set", query(item("4@elsewhere.example")), "policy-violation")
        set_item(c, "2@elsewhere.example", name="changed")


def test_many_contacts(server):
    c = interested(server)
    for i in range(200):
        c.ask("set", query(item(f"user{i:03}@elsewhere.example", name=f"User {i}", groups=["All"])))
    for i in range(200):
        push(c, f"user{i:03}@elsewhere.example", name=f"User {i}", groups=["All"])
        c.expect("iq", type="result")
    assert len(roster(c)) == 200


# ---- versions

def test_version_feature(server):
    c = server.client()
    assert child(c.features, "ver:ver") is not None
    assert child(c.features, "pre:sub") is not None


def versioned(client, ver):
    return client.result("get", query(ver=ver))


def test_versions(server):
    c = interested(server)
    ver = child(versioned(c, ""), "roster:query").get("ver")
    assert ver, "a server that knows versions says one"
    assert child(versioned(c, ver), "roster:query") is None, "nothing changed: an empty answer"
    got = set_item(c, "juliet@elsewhere.example", name="Juliet")
    newer = child(got, "roster:query").get("ver")
    assert newer and newer != ver
    set_item(c, "romeo@elsewhere.example")
    assert len(contents(versioned(c, "unheard of"))) == 2, "an unknown version is answered with all"


def test_what_was_missed(server):
    """A client that was away gets the changes since as pushes, or all."""
    c = interested(server)
    for name in ("a", "b", "c", "d"):
        set_item(c, name + "@elsewhere.example")
    ver = child(versioned(c, ""), "roster:query").get("ver")
    c.end()
    other = interested(server, user=c.user)
    set_item(other, "a@elsewhere.example", name="A")
    other.ask("set", query(item("b@elsewhere.example", subscription="remove")))
    push(other, "b@elsewhere.example", subscription="remove")
    other.end()
    again = server.client(user=c.user)
    answer = versioned(again, ver)
    if child(answer, "roster:query") is None:
        push(again, "a@elsewhere.example", name="A")
        push(again, "b@elsewhere.example", subscription="remove")
    else:
        assert set(contents(answer)) == {n + "@elsewhere.example" for n in "acd"}
    again.expect_nothing()


def test_kept_over_restart(server):
    with Server(sqlite=True) as s:
        alice, bob = interested(s, "alice"), interested(s, "bob")
        befriend(alice, bob)
        alice.ask("set", query(item(bob.bare, name="Bob", groups=["Friends"])))
        settle(alice, bob)
        ver = child(versioned(alice, ""), "roster:query").get("ver")
        carol = s.account("carol")
        alice.presence(to=f"{carol}@{DOMAIN}", type="subscribe")
        alice.take("iq", type="set")
        alice.end()
        bob.end()
        s.restart()
        alice = s.client(user=alice.user)
        assert roster(alice) == {bob.bare: ("both", None, "Bob", ["Friends"]),
                                 f"{carol}@{DOMAIN}": ("none", "subscribe", None, [])}
        assert child(versioned(alice, ver), "roster:query") is None or contents(versioned(alice, ver))
        carol = s.client(user=carol)
        carol.take("presence", type="subscribe", from_=alice.bare)


# ---- subscriptions, the flows of section 3

def befriend(a, b):
    """Each sees the other."""
    for x, y in ((a, b), (b, a)):
        x.presence(to=y.bare, type="subscribe")
        y.take("presence", type="subscribe", from_=x.bare)
        y.presence(to=x.bare, type="subscribed")
        x.take("presence", type="subscribed", from_=y.bare)
    settle(a, b)


def test_subscribe_and_approve(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    bob.presence("<status>at home</status>")
    bob.expect("presence", from_=bob.jid)
    alice.presence(to=bob.bare, type="subscribe", id="s", payload="<status>let me in</status>")
    push(alice, bob.bare, ask="subscribe")
    got = bob.expect("presence", type="subscribe", from_=alice.bare, to=bob.bare, has="status")
    assert got.get("id") == "s", "what is asked is passed on as it is"
    assert roster(bob) == {}, "who only asks is in no roster"
    bob.presence(to=alice.bare, type="subscribed")
    push(bob, alice.bare, subscription="from")
    alice.take("presence", type="subscribed", from_=bob.bare, to=alice.bare)
    alice.take("presence", from_=bob.jid, type=None, has="status")
    push(alice, bob.bare, subscription="to")
    alice.quiet(bob)
    bob.quiet(alice)
    assert roster(alice)[bob.bare][0] == "to" and roster(bob)[alice.bare][0] == "from"


def test_full_address_is_made_bare(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    alice.presence(to=bob.jid, type="subscribe")
    push(alice, bob.bare, ask="subscribe")
    bob.expect("presence", type="subscribe", from_=alice.bare, to=bob.bare)


def test_deny(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    alice.presence(to=bob.bare, type="subscribe")
    push(alice, bob.bare, ask="subscribe")
    bob.expect("presence", type="subscribe")
    bob.presence(to=alice.bare, type="unsubscribed")
    alice.take("presence", type="unsubscribed", from_=bob.bare)
    push(alice, bob.bare, subscription="none")
    alice.quiet(bob)
    bob.quiet(alice)


def test_request_waits(server):
    """A request for somebody who is away is delivered when they come, each time until it is answered."""
    alice, bob = interested(server, "alice"), server.account("bob")
    to = f"{bob}@{DOMAIN}"
    alice.presence(to=to, type="subscribe", payload="<status>hello</status>")
    push(alice, to, ask="subscribe")
    for _ in range(2):
        b = server.client(user=bob)
        b.expect("presence", type="subscribe", from_=alice.bare, has="status")
        b.expect_nothing()
        b.end()
    b = server.client(user=bob)
    b.expect("presence", type="subscribe", from_=alice.bare)
    b.presence(to=alice.bare, type="subscribed")
    alice.take("presence", type="subscribed")
    b.end()
    server.client(user=bob).expect_nothing()


def test_asked_twice(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    for _ in range(2):
        alice.presence(to=bob.bare, type="subscribe")
    push(alice, bob.bare, ask="subscribe")
    bob.expect("presence", type="subscribe")
    bob.quiet(alice)
    alice.quiet(bob)


def test_all_resources_are_asked(server):
    alice, one = interested(server, "alice"), interested(server, "bob")
    other = server.more(one)
    alice.presence(to=one.bare, type="subscribe")
    one.expect("presence", type="subscribe")
    other.expect("presence", type="subscribe")


def test_unsubscribe(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    befriend(alice, bob)
    alice.presence(to=bob.bare, type="unsubscribe")
    push(alice, bob.bare, subscription="from")
    bob.take("presence", type="unsubscribe", from_=alice.bare)
    push(bob, alice.bare, subscription="to")
    alice.take("presence", type="unavailable", from_=bob.jid)
    alice.quiet(bob)
    bob.presence("<status>news</status>")
    bob.expect("presence", from_=bob.jid)
    alice.quiet(bob)
    alice.presence("<status>news</status>")
    bob.expect("presence", from_=alice.jid, has="status")


def test_cancel_of_an_approval(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    befriend(alice, bob)
    bob.presence(to=alice.bare, type="unsubscribed")
    push(bob, alice.bare, subscription="to")
    alice.take("presence", type="unsubscribed", from_=bob.bare)
    alice.take("presence", type="unavailable", from_=bob.jid)
    push(alice, bob.bare, subscription="from")
    alice.quiet(bob)


def test_remove_ends_both_subscriptions(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    befriend(alice, bob)
    id = alice.ask("set", query(item(bob.bare, subscription="remove")))
    push(alice, bob.bare, subscription="remove")
    alice.expect("iq", type="result", id=id)
    bob.take("presence", type="unsubscribe", from_=alice.bare)
    bob.take("presence", type="unsubscribed", from_=alice.bare)
    bob.take("presence", type="unavailable", from_=alice.jid)
    alice.take("presence", type="unavailable", from_=bob.jid)
    settle(alice, bob)
    assert roster(alice) == {} and roster(bob) == {alice.bare: ("none", None, None, [])}
    bob.presence("<status>news</status>")
    bob.expect("presence", from_=bob.jid)
    alice.quiet(bob)


def test_pre_approval(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    alice.presence(to=bob.bare, type="subscribed")
    got = push(alice, bob.bare)
    assert child(got, "roster:query/roster:item").get("approved") == "true"
    bob.quiet(alice)
    bob.presence(to=alice.bare, type="subscribe")
    bob.take("presence", type="subscribed", from_=alice.bare)
    bob.take("presence", from_=alice.jid, type=None)
    push(alice, bob.bare, subscription="from")
    alice.quiet(bob)


def test_pre_approval_taken_back(server):
    alice, bob = interested(server, "alice"), interested(server, "bob")
    alice.presence(to=bob.bare, type="subscribed")
    push(alice, bob.bare)
    alice.presence(to=bob.bare, type="unsubscribed")
    got = push(alice, bob.bare)
    assert child(got, "roster:query/roster:item").get("approved") is None
    bob.presence(to=alice.bare, type="subscribe")
    alice.expect("presence", type="subscribe", from_=bob.bare)


def test_subscribe_to_nobody(server):
    alice = interested(server, "alice")
    alice.presence(to=f"nobody@{DOMAIN}", type="subscribe")
    push(alice, f"nobody@{DOMAIN}", ask="subscribe")
    alice.presence(to=f"nobody@{DOMAIN}", type="unsubscribe")
    alice.take("iq", type="set")
    alice.expect_nothing()


def test_subscribe_elsewhere(server):
    alice = interested(server, "alice")
    alice.presence(to="juliet@capulet.example", type="subscribe", id="s")
    push(alice, "juliet@capulet.example", ask="subscribe")
    bounce = alice.expect("presence", type="error", from_="juliet@capulet.example")
    check_error(alice, bounce, "remote-server-not-found")


def test_subscribe_to_oneself(server):
    alice = interested(server, "alice")
    for type in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
        alice.presence(to=alice.bare, type=type)
    alice.expect_nothing()
    assert roster(alice) == {}


def test_too_many_requests(server):
    with Server({"plugins": {"roster": {"max_pending": 2}}}) as s:
        victim = s.account("victim")
        for i in range(3):
            c = s.client(f"spam{i}")
            c.presence(to=f"{victim}@{DOMAIN}", type="subscribe")
            c.expect_nothing()
        v = s.client(user=victim)
        v.expect("presence", type="subscribe")
        v.expect("presence", type="subscribe")
        v.expect_nothing()


def test_forged_presence_changes_nothing(server):
    """Nobody can approve for somebody else."""
    alice, bob, eve = (interested(server, n) for n in ("alice", "bob", "eve"))
    alice.presence(to=bob.bare, type="subscribe")
    push(alice, bob.bare, ask="subscribe")
    eve.presence(to=alice.bare, type="subscribed")
    push(eve, alice.bare)
    alice.quiet(eve)
    eve.send(f"<presence from='{bob.bare}' to='{alice.bare}' type='subscribed'/>")
    eve.expect_error("invalid-from")
    alice.quiet(bob)
    assert roster(alice)[bob.bare][0] == "none"


# ---- appendix A: every state, every stanza

MIRROR = {"none": "none", "none+out": "none+in", "none+in": "none+out", "none+out+in": "none+out+in", "to": "from",
          "to+in": "from+out", "from": "to", "from+out": "to+in", "both": "both"}
# A.2: what a user's stanza does to the user's own state, and whether it is routed ("-": it is not).
SENT = {
    "subscribe": {"none": "none+out", "none+out": "none+out", "none+in": "none+out+in", "none+out+in": "none+out+in",
                  "to": "to", "to+in": "to+in", "from": "from+out", "from+out": "from+out", "both": "both"},
    "unsubscribe": {"none": "none", "none+out": "none", "none+in": "none+in", "none+out+in": "none+in", "to": "none",
                    "to+in": "none+in", "from": "from", "from+out": "from", "both": "from"},
    "subscribed": {"none": "- none", "none+out": "- none+out", "none+in": "from", "none+out+in": "from+out",
                   "to": "- to", "to+in": "both", "from": "- from", "from+out": "- from+out", "both": "- both"},
    "unsubscribed": {"none": "- none", "none+out": "- none+out", "none+in": "none", "none+out+in": "none+out",
                     "to": "- to", "to+in": "to", "from": "none", "from+out": "none+out", "both": "to"},
}
# A.3: what it does to who receives it, and whether their clients see it ("-": they do not).
RECEIVED = {
    "subscribe": {"none": "none+in", "none+out": "none+out+in", "none+in": "- none+in", "none+out+in": "- none+out+in",
                  "to": "to+in", "to+in": "- to+in", "from": "- from", "from+out": "- from+out", "both": "- both"},
    "unsubscribe": {"none": "- none", "none+out": "- none+out", "none+in": "none", "none+out+in": "none+out",
                    "to": "- to", "to+in": "to", "from": "none", "from+out": "none+out", "both": "to"},
    "subscribed": {"none": "- none", "none+out": "to", "none+in": "- none+in", "none+out+in": "to+in", "to": "- to",
                   "to+in": "- to+in", "from": "- from", "from+out": "both", "both": "- both"},
    "unsubscribed": {"none": "- none", "none+out": "none", "none+in": "- none+in", "none+out+in": "none+in",
                     "to": "none", "to+in": "none+in", "from": "- from", "from+out": "from", "both": "from"},
}
# Who says what to get there, from the view of the first of two.
STEPS = {"none": "", "none+out": "a?", "none+in": "b?", "none+out+in": "a? b?", "to": "a? b!", "to+in": "a? b! b?",
         "from": "b? a!", "from+out": "b? a! a?", "both": "a? b! b? a!"}


def reach(state, a, b):
    for step in STEPS[state].split():
        who, whom = (a, b) if step[0] == "a" else (b, a)
        who.presence(to=whom.bare, type="subscribe" if step[1] == "?" else "subscribed")
        settle(a, b)


def state_of(server, client, other):
    """What CLIENT's account is to OTHER, by its roster and by what a new session is asked."""
    subscription, ask = roster(client).get(other.bare, ("none", None))[:2]
    fresh = server.client(user=client.user, available=False)
    fresh.presence()
    asked, mark = False, fresh.ask("get", f"<ping xmlns='{NS['ping']}'/>", DOMAIN)
    while (got := fresh.next()).get("id") != mark:
        asked = asked or (got.get("type") == "subscribe" and got.get("from") == other.bare)
    fresh.end()
    return subscription + ("+out" if ask else "") + ("+in" if asked else "")


def check_transition(server, state, type):
    a, b = interested(server, "a"), interested(server, "b")
    reach(state, a, b)
    a.presence(to=b.bare, type=type)
    a.message(b.jid, type="headline", id="after")
    seen = False
    while (got := b.next()).get("id") != "after":
        seen = seen or (got.get("type") == type and got.get("from") == a.bare)
    settle(a, b)
    mine, theirs = SENT[type][state], RECEIVED[type][MIRROR[state]]
    routed = not mine.startswith("-")
    want = (mine.removeprefix("- "), theirs.removeprefix("- ") if routed else MIRROR[state],
            routed and not theirs.startswith("-"))
    got = state_of(server, a, b), state_of(server, b, a), seen
    for c in (a, b):
        c.end()
    return None if got == want else f"{type} in state {state}: (own state, other's, seen) is {got}, not {want}"


def check_state(server, state):
    wrong = [w for w in (check_transition(server, state, type) for type in SENT) if w]
    assert not wrong, "\n".join(wrong)


def test_state_none(server):
    check_state(server, "none")


def test_state_none_out(server):
    check_state(server, "none+out")


def test_state_none_in(server):
    check_state(server, "none+in")


def test_state_none_out_in(server):
    check_state(server, "none+out+in")


def test_state_to(server):
    check_state(server, "to")


def test_state_to_in(server):
    check_state(server, "to+in")


def test_state_from(server):
    check_state(server, "from")


def test_state_from_out(server):
    check_state(server, "from+out")


def test_state_both(server):
    check_state(server, "both")
