# SPDX-License-Identifier: Apache-2.0
"""Message archives: Bind 2 (XEP-0386), wishes (XEP-0441), words (XEP-0431), retraction (XEP-0424)."""
from element import NS, child, children, show
from mam import FULLTEXT, MAM, bodies, fetch, form, given, prefs, query, rsm, sent, told, two, wait_for
from server import DOMAIN, Server
from xmpp import fail
from test_login import wait_stored

SQLITE = True
COST = 3
RETRACT = "urn:xmpp:message-retract:1"


# ---- Bind 2

def bind2(server, user):
    """Logs in by SASL2 and Bind 2.  Returns the client and what its archive holds."""
    c = server.connect(DOMAIN, user, "secret")
    c.open()
    c.starttls()
    told = child(c.login2(), "bind2:bound").findall(f"{{{MAM}}}metadata")
    if len(told) != 1:
        fail(c, "it is told what the archive holds")
    return c, {e.tag.partition("}")[2]: e.get("id") for e in told[0]}


def test_bind2_says_what_the_archive_holds(server):
    user = server.account()
    assert bind2(server, user)[1] == {}
    _, bob, ids = sent(server, 3)
    assert bind2(server, bob.user)[1] == {"start": ids[0], "end": ids[2]}


def test_bind2_fetches_instead_of_offline_messages(server):
    """What is archived is dropped; what is not would be lost, and is sent."""
    alice, bob = two(server)
    bob.result("set", prefs("always", [], [server.client("eve").bare]))
    eve = [c for c in server.clients if c.user.startswith("eve")][-1]
    bob.end()
    for i in range(3):
        alice.message(bob.bare, f"m{i}")
        eve.message(bob.bare, f"e{i}")
        for c in (alice, eve):
            c.expect_nothing()
    c, told = bind2(server, bob.user)
    c.available()
    for i in range(3):
        assert not given(c.expect("message", body=f"e{i}", has="delay:delay"), bob.bare)
    c.expect_nothing()
    page = fetch(c)
    assert page.bodies == ["m0", "m1", "m2"] and told == {"start": page.first, "end": page.last}
    c.end()
    server.client(user=bob.user).expect_nothing()


def test_bind2_gets_what_comes_after_it(server):
    """A client that has fetched, and is not available yet, would miss it otherwise."""
    alice, bob = two(server)
    bob.end()
    alice.message(bob.bare, "before")
    wait_stored(server, bob.bare, 1)
    c, told = bind2(server, bob.user)
    alice.message(bob.bare, "after")
    wait_stored(server, bob.bare, 2)
    c.available()
    got = c.expect("message", body="after", has="delay:delay")
    c.expect_nothing()
    page = fetch(c)
    assert page.bodies == ["before", "after"] and told["end"] == page.ids[0] and given(got, bob.bare) == page.ids[1:]


# ---- wishes

def test_prefs_default(server):
    assert told(server.client().result("get", f"<prefs xmlns='{MAM}'/>")) == ("always", [], [])


def test_prefs_are_kept(server):
    with Server(sqlite=True) as s:
        bob = s.client("bob")
        want = ("roster", ["a@x.example", "b@x.example/r"], ["c@x.example"])
        assert told(bob.result("set", prefs("roster", ["b@x.example/r", "A@x.example", "a@x.example"], want[2]))) == want
        s.restart()
        again = s.client(user=bob.user)
        assert told(again.result("get", f"<prefs xmlns='{MAM}'/>")) == want
        ns = "urn:xmpp:mam:1"
        assert told(again.result("get", f"<prefs xmlns='{ns}'/>"), ns) == want


def test_never(server):
    alice, bob = two(server)
    bob.result("set", prefs("never"))
    alice.message(bob.bare, "in")
    assert not given(bob.expect("message", body="in"), bob.bare)
    bob.message(alice.bare, "out")
    alice.expect("message", body="out")
    assert bodies(bob) == [] and bodies(alice) == ["in", "out"]
    bob.result("set", prefs("always"))
    alice.message(bob.bare, "again")
    bob.expect("message", body="again")
    assert bodies(bob) == ["again"]


def test_lists(server):
    """A bare JID stands for all resources, a full one for itself; never wins."""
    alice, bob = two(server)
    eve = server.client("eve")
    alice2 = server.more(alice)
    bob.result("set", prefs("never", [alice.bare], [alice2.jid]))
    for c in (alice, alice2, eve):
        c.message(bob.bare, f"from {c.jid}")
        bob.expect("message", from_=c.jid)
        bob.message(c.jid, f"to {c.jid}")
    assert bodies(bob) == [f"from {alice.jid}", f"to {alice.jid}"]


def test_contacts_only(server):
    alice, bob = two(server)
    eve = server.client("eve")
    bob.result("get", "<query xmlns='jabber:iq:roster'/>")
    bob.result("set", f"<query xmlns='jabber:iq:roster'><item jid='{alice.bare}'/></query>")
    bob.take("iq", type="set")
    bob.result("set", prefs("roster"))
    for c in (alice, eve):
        c.message(bob.bare, f"from {c.user}")
        bob.expect("message", from_=c.jid)
    assert bodies(bob) == [f"from {alice.user}"]
    bob.result("set", f"<query xmlns='jabber:iq:roster'><item jid='{eve.bare}'/></query>")
    bob.take("iq", type="set")
    bob.result("set", f"<query xmlns='jabber:iq:roster'><item jid='{alice.bare}' subscription='remove'/></query>")
    bob.take("iq", type="set")
    for c in (alice, eve):
        c.message(bob.bare, f"again from {c.user}")
        bob.expect("message", from_=c.jid)
    assert bodies(bob) == [f"from {alice.user}", f"again from {eve.user}"]


def test_prefs_hold_while_away(server):
    alice, bob = two(server)
    bob.result("set", prefs("never"))
    bob.end()
    alice.message(bob.bare, "away")
    alice.expect_nothing()
    again = server.client(user=bob.user)
    assert not given(again.expect("message", body="away"), bob.bare)
    assert bodies(again) == []


def test_bad_prefs(server):
    with Server({"plugins": {"mam": {"max_prefs": 2, "prefs_default": "never"}}}) as s:
        bob = s.client("bob")
        bob.refused("set", prefs("sometimes"), "bad-request")
        bob.refused("set", f"<prefs xmlns='{MAM}'/>", "bad-request")
        bob.refused("set", prefs("always", ["@"]), "jid-malformed")
        bob.refused("set", prefs("always", ["a@x", "b@x", "c@x"]), "policy-violation")
        assert told(bob.result("get", f"<prefs xmlns='{MAM}'/>")) == ("never", [], [])
        assert told(bob.result("set", f"<prefs xmlns='{MAM}' default='always'/>")) == ("always", [], [])


# ---- words

def test_words(server):
    with Server({"plugins": {"mam": {"fulltext": True}}}, sqlite=True) as s:
        alice, bob, ids = sent(s, 3, "message number {} of Alice's")
        if s.config["storage"]["default"] == "redis":
            bob.refused("set", query(form(**{FULLTEXT: "message"})), "feature-not-implemented")
            return
        eve = s.client("eve")
        eve.message(bob.bare, "A MESSAGE of eve")
        ids += given(bob.expect("message", from_=eve.jid), bob.bare)
        assert fetch(bob, form(**{FULLTEXT: "message"})).ids == ids
        assert fetch(bob, form(**{FULLTEXT: "1 alice message"})).ids == [ids[1]]
        assert fetch(bob, form(with_=eve.bare, **{FULLTEXT: "message"})).ids == ids[3:]
        assert fetch(bob, form(**{FULLTEXT: "bicycle"})) == []
        page = fetch(bob, form(**{FULLTEXT: "message"}), rsm(max=3, before=""))
        assert page.ids == ids[1:] and page.count == 4 and not page.complete
        assert fetch(alice, form(**{FULLTEXT: "eve"})) == [], "each archive for itself"
        assert FULLTEXT in [f.get("var") for f in bob.result("get", query())[0].find("{jabber:x:data}x")]
        info = bob.result("get", f"<query xmlns='{NS['info']}'/>", bob.bare)
        assert "urn:xmpp:fulltext:0" in [f.get("var") for f in children(info, "info:query/info:feature")]
        alice.message(bob.bare, "oops", id="r", payload=f"<retract xmlns='{RETRACT}' id='id1'/>")
        bob.expect("message", body="oops")
        wait_for(lambda: len(fetch(bob, form(**{FULLTEXT: "message"}))) == 3, "what is retracted is not found")


def test_no_words_without_the_option(server):
    bob = server.client("bob")
    bob.refused("set", query(form(**{FULLTEXT: "x"})), "feature-not-implemented")


# ---- retraction

def tombstones(client):
    return {f.message.get("id"): f.message.find(f"{{{RETRACT}}}retracted") for f in fetch(client)
            if f.message.find(f"{{{RETRACT}}}retracted") is not None}


def test_retraction(server):
    alice, bob, ids = sent(server, 3)
    alice.message(bob.bare, id="r1", payload=f"<retract xmlns='{RETRACT}' id='id1'/>")
    got = bob.expect("message", id="r1")
    assert len(given(got, bob.bare)) == 1
    for c in (alice, bob):
        wait_for(lambda: tombstones(c), "a tombstone")
        page = fetch(c)
        assert page.bodies == ["m0", None, "m2", None]
        stone = page[1].message
        assert len(stone) == 1 and stone[0].get("id") == "r1" and stone[0].get("stamp"), show(stone)
        assert (stone.get("from"), stone.get("to"), stone.get("id")) == (alice.jid, bob.bare, "id1")
        assert page[3].message.find(f"{{{RETRACT}}}retract") is not None
    assert fetch(bob).ids[:3] == ids, "it keeps its place"


def test_retraction_of_old_clients(server):
    alice, bob, _ = sent(server, 2)
    alice.message(bob.bare, id="r", payload="<apply-to xmlns='urn:xmpp:fasten:0' id='id0'>"
                  "<retract xmlns='urn:xmpp:message-retract:0'/></apply-to>")
    bob.expect("message", id="r")
    wait_for(lambda: "id0" in tombstones(bob), "a tombstone")


def test_only_ones_own_is_retracted(server):
    """Not what the other side wrote, nor what somebody else did."""
    alice, bob, _ = sent(server, 2)
    eve = server.client("eve")
    for c in (eve, bob):
        c.message(bob.bare if c is eve else alice.bare, id="x", payload=f"<retract xmlns='{RETRACT}' id='id0'/>")
    bob.expect("message", id="x", from_=eve.jid)
    alice.expect("message", id="x")
    alice.message(bob.bare, id="r", payload=f"<retract xmlns='{RETRACT}' id='id1'/>")
    bob.expect("message", id="r")
    for c in (alice, bob):
        wait_for(lambda: tombstones(c), "the tombstone of what was retracted last")
        assert list(tombstones(c)) == ["id1"]


def test_retraction_by_another_device(server):
    alice, bob, _ = sent(server, 1)
    other = server.more(alice)
    other.message(bob.bare, id="r", payload=f"<retract xmlns='{RETRACT}' id='id0'/>")
    bob.expect("message", id="r")
    wait_for(lambda: tombstones(bob) and tombstones(alice), "tombstones")


def test_retraction_off(server):
    with Server({"plugins": {"mam": {"retraction": False}}}) as s:
        alice, bob, _ = sent(s, 1)
        alice.message(bob.bare, id="r", payload=f"<retract xmlns='{RETRACT}' id='id0'/>")
        bob.expect("message", id="r")
        alice.message(bob.bare, "later")
        bob.expect("message", body="later")
        assert bodies(bob) == ["m0", None, "later"]
