# SPDX-License-Identifier: Apache-2.0
"""Message archives: ids, what is archived, queries (XEP-0313, XEP-0359)."""
import datetime

from element import NS, child, children, show
from mam import MAM, RSM, bodies, fetch, field, form, given, query, rsm, sent, two
from server import DOMAIN, OTHER, Server

SQLITE = True
COST = 2
SID = "urn:xmpp:sid:0"
HINTS = "urn:xmpp:hints"
RETRACT = "urn:xmpp:message-retract:1"
ENABLE = f"<enable xmlns='{NS['carbons']}'/>"


# ---- ids

def test_both_archives(server):
    alice, bob = two(server)
    alice.message(bob.bare, "hello", id="m1", payload="<x xmlns='urn:example:x'/>")
    got = bob.expect("message", body="hello", from_=alice.jid)
    mine = given(got, bob.bare)
    assert len(mine) == 1 and not given(got, alice.bare), show(got)
    (his,) = fetch(bob)
    assert his.id == mine[0] and his.queryid == "q"
    (hers,) = fetch(alice)
    assert hers.id != his.id
    for found in (his, hers):
        m = found.message
        assert (m.get("from"), m.get("to"), m.get("id"), m.get("type")) == (alice.jid, bob.bare, "m1", "chat")
        assert found.body == "hello" and m.find("{urn:example:x}x") is not None


def test_stamp(server):
    alice, bob, _ = sent(server, 1)
    (found,) = fetch(bob)
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(found.stamp.replace("Z", "+00:00"))
    assert -5 < age.total_seconds() < 300


def test_peer_gets_no_id_of_ours(server):
    """Nor if copies with the id are made."""
    alice, bob = two(server)
    other = server.more(alice)
    other.result("set", ENABLE)
    alice.message(bob.bare, "hello")
    got = bob.expect("message", body="hello")
    assert not given(got, alice.bare) and len(given(got, bob.bare)) == 1, show(got)
    copy = child(other.expect("message", has="carbons:sent"), "carbons:sent/forward:forwarded/message")
    (hers,) = fetch(alice)
    assert given(copy, alice.bare) == [hers.id]


def test_received_copies_have_the_id(server):
    alice, bob = two(server)
    other = server.more(bob)
    other.result("set", ENABLE)
    alice.message(bob.jid, "hello")
    ids = given(bob.expect("message", body="hello"), bob.bare)
    copy = child(other.expect("message", has="carbons:received"), "carbons:received/forward:forwarded/message")
    assert given(copy, bob.bare) == ids
    assert [f.id for f in fetch(bob)] == ids


def test_forged_ids(server):
    """Those that claim to be ours go, however they are spelt; those of others, and origin-ids, stay."""
    alice, bob = two(server)
    forged = "".join(f"<stanza-id xmlns='{SID}' by='{by}' id='forged'/>"
                     for by in (bob.bare, bob.bare.upper(), alice.bare, "room@rooms.example"))
    alice.message(bob.bare, "hello", payload=forged + f"<origin-id xmlns='{SID}' id='o1'/>")
    got = bob.expect("message", body="hello")
    (found,) = fetch(bob)
    ids = [(e.get("by"), e.get("id")) for e in got.findall(f"{{{SID}}}stanza-id")]
    assert sorted(ids) == sorted([("room@rooms.example", "forged"), (bob.bare, found.id)]), show(got)
    assert got.find(f"{{{SID}}}origin-id").get("id") == "o1"
    assert not given(found.message, bob.bare), "what is stored is without"


def test_forged_id_on_what_is_not_archived(server):
    alice, bob = two(server)
    forged = f"<stanza-id xmlns='{SID}' by='{bob.bare}' id='forged'/><no-store xmlns='{HINTS}'/>"
    alice.message(bob.bare, "hello", payload=forged)
    assert not given(bob.expect("message", body="hello"), bob.bare)


def test_ids_tell_nothing(server):
    _, bob, ids = sent(server, 20)
    assert ids == sorted(ids), "they sort as the messages came"
    assert len({i[11:] for i in ids}) == 20 and len({i[11:14] for i in ids}) > 10, ids


# ---- what is archived

def test_what_is_archived(server):
    alice, bob = two(server)
    keep = [("chat", {"body": "chat"}), ("normal", {"body": "normal", "type": None}),
            ("hint", {"payload": f"<store xmlns='{HINTS}'/>"}),
            ("reaction", {"payload": "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions>"}),
            ("encrypted", {"payload": "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>"}),
            ("retraction", {"payload": f"<retract xmlns='{RETRACT}' id='unknown'/>"}),
            ("invitation", {"payload": "<x xmlns='jabber:x:conference' jid='r@c'/>"}),
            ("marker", {"payload": f"<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/><store xmlns='{HINTS}'/>"})]
    drop = [{"payload": "<composing xmlns='http://jabber.org/protocol/chatstates'/>"},
            {"payload": "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"},
            {"payload": "<received xmlns='urn:xmpp:receipts' id='1'/>"},
            {"body": "x", "payload": f"<no-store xmlns='{HINTS}'/>"},
            {"body": "x", "payload": f"<no-permanent-store xmlns='{HINTS}'/>"},
            {"body": "x", "type": "headline"}, {"body": "x", "type": "groupchat"},
            {"body": "x", "type": "error", "payload": f"<store xmlns='{HINTS}'/>"}]
    for given_ in drop:
        alice.message(bob.jid, id="dropped", **given_)
    for id, given_ in keep:
        alice.message(bob.jid, id=id, **given_)
    for _ in drop:
        got = bob.expect("message", id="dropped")
        assert not given(got, bob.bare), show(got)
    for id, _ in keep:
        got = bob.expect("message", id=id)
        assert len(given(got, bob.bare)) == 1, show(got)
    for c in (alice, bob):
        assert [f.message.get("id") for f in fetch(c)] == [id for id, _ in keep]


def test_markers_and_headlines_by_option(server):
    with Server({"plugins": {"mam": {"markers": True, "headlines": True}}}) as s:
        alice, bob = two(s)
        alice.message(bob.jid, id="1", payload="<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>")
        alice.message(bob.jid, id="2", payload="<received xmlns='urn:xmpp:receipts' id='1'/>")
        alice.message(bob.jid, id="3", body="news", type="headline")
        for i in "123":
            bob.expect("message", id=i)
        assert [f.message.get("id") for f in fetch(bob)] == ["1", "2", "3"]


def test_once_whoever_receives(server):
    """Forked to all resources, copied to others: one message in the archive."""
    alice, one = two(server)
    more = [server.more(one)]
    more.append(server.more(one, more[0]))
    more[1].presence(priority=-1)
    for c in (one, *more):
        c.take("presence", from_=more[1].jid)
    for c in (one, *more):
        c.result("set", ENABLE)
    alice.message(one.bare, "fork")
    ids = [given(c.expect("message", body="fork"), one.bare) for c in (one, more[0])]
    more[1].expect("message", has="carbons:received")
    assert ids[0] == ids[1] == fetch(one).ids


def test_to_oneself(server):
    _, one = two(server)
    other = server.more(one)
    one.message(other.jid, "note 1")
    other.expect("message", body="note 1")
    one.message(one.bare, "note 2")
    for c in (one, other):
        c.expect("message", body="note 2")
    one.message(f"{one.bare}/nobody", "note 3")
    for c in (one, other):
        c.expect("message", body="note 3")
    assert bodies(one) == ["note 1", "note 2", "note 3"]


def test_unavailable_and_away(server):
    """Archived though nobody is there to take it, with the id that the offline message has later."""
    alice = server.client("alice")
    bob = server.account("bob")
    to = f"{bob}@{DOMAIN}"
    for i in range(3):
        alice.message(to, f"m{i}")
    alice.expect_nothing()
    c = server.client(user=bob)
    ids = []
    for i in range(3):
        ids += given(c.expect("message", body=f"m{i}", has="delay:delay"), to)
    c.expect_nothing()
    page = fetch(c)
    assert page.ids == ids and page.bodies == ["m0", "m1", "m2"]


def test_nobody_there_without_offline_storage(server):
    """What is archived is not refused."""
    with Server({"plugins": {"offline": None}}) as s:
        alice = s.client("alice")
        bob = s.account("bob")
        alice.message(f"{bob}@{DOMAIN}", "kept")
        alice.message(f"{bob}@{DOMAIN}", "gone", payload=f"<no-store xmlns='{HINTS}'/>", id="m")
        alice.expect_bounce("message", "service-unavailable", id="m")
        alice.expect_nothing()
        assert bodies(s.client(user=bob)) == ["kept"]


def test_full_offline_storage(server):
    with Server({"plugins": {"offline": {"max_messages": 1}}}) as s:
        alice = s.client("alice")
        bob = s.account("bob")
        for i in range(3):
            alice.message(f"{bob}@{DOMAIN}", f"m{i}")
        alice.expect_nothing()
        c = s.client(user=bob)
        c.expect("message", body="m0")
        c.expect_nothing()
        assert bodies(c) == ["m0", "m1", "m2"]


def test_no_account_no_archive(server):
    alice = server.client("alice")
    alice.message(f"nobody@{DOMAIN}", "anybody?", id="m")
    alice.expect_bounce("message", "service-unavailable", id="m")
    assert bodies(alice) == ["anybody?"]


def test_resumed_session_archives_once(server):
    alice, bob = two(server)
    bob.enable(auto=False)
    alice.message(bob.bare, "first")
    first = given(bob.expect("message", body="first"), bob.bare)
    bob.drop()
    alice.message(bob.bare, "second")
    alice.expect_nothing()
    again = server.authed(bob)
    again.resumed(bob)
    second = given(again.expect("message", body="second"), bob.bare)
    again.expect("sm:r")
    again.sm.auto = True
    page = fetch(again)
    assert page.bodies == ["first", "second"] and page.ids == first + second


def test_unacknowledged_goes_on_and_keeps_its_id(server):
    """The session that had it ends: another gets it with the id that it has in the archive, once."""
    alice, bob = two(server)
    bob.enable(auto=False)
    alice.message(bob.jid, "precious")
    ids = given(bob.expect("message", body="precious"), bob.bare)
    bob.send("</stream:stream>")
    bob.shut()
    other = server.client(user=bob.user)
    got = other.take("message", body="precious")
    assert given(got, bob.bare) == ids == fetch(other).ids


def test_other_host(server):
    alice = server.client("alice")
    bob = server.client("bob", domain=OTHER)
    alice.message(bob.bare, "hello")
    assert given(bob.expect("message", body="hello"), bob.bare) == fetch(bob).ids


# ---- queries

def test_empty(server):
    c = server.client()
    page = fetch(c)
    assert page == [] and page.complete and page.first is None and page.count == 0


def test_pages_forwards(server):
    _, bob, ids = sent(server, 10)
    first = fetch(bob, rsm_text=rsm(max=4))
    assert first.ids == ids[:4] and not first.complete and (first.index, first.count) == (0, 10)
    second = fetch(bob, rsm_text=rsm(max=4, after=first.last))
    assert second.ids == ids[4:8] and not second.complete and (second.index, second.count) == (4, 10)
    third = fetch(bob, rsm_text=rsm(max=4, after=second.last))
    assert third.ids == ids[8:] and third.complete and (third.index, third.count) == (8, 10)
    end = fetch(bob, rsm_text=rsm(max=4, after=third.last))
    assert end == [] and end.complete and end.count == 10


def test_pages_backwards(server):
    _, bob, ids = sent(server, 10)
    last = fetch(bob, rsm_text=rsm(max=4, before=""))
    assert last.ids == ids[6:] and not last.complete and (last.index, last.count) == (None, 10)
    middle = fetch(bob, rsm_text=rsm(max=4, before=last.first))
    assert middle.ids == ids[2:6] and not middle.complete and (middle.index, middle.count) == (None, 10)
    first = fetch(bob, rsm_text=rsm(max=4, before=middle.first))
    assert first.ids == ids[:2] and first.complete and (first.index, first.count) == (None, 10)


def test_page_that_just_fits(server):
    _, bob, ids = sent(server, 4)
    for how in ({}, {"before": ""}):
        page = fetch(bob, rsm_text=rsm(max=4, **how))
        assert page.ids == ids and page.complete


def test_flip(server):
    _, bob, ids = sent(server, 5)
    flip = f"<flip-page xmlns='{MAM}'/>"
    page = fetch(bob, rsm_text=rsm(max=3), extra=flip)
    assert page.ids == ids[2::-1] and (page.first, page.last) == (ids[0], ids[2]) and not page.complete
    assert fetch(bob, rsm_text=rsm(max=3, before=""), extra=flip).ids == ids[:1:-1]


def test_count_alone(server):
    _, bob, ids = sent(server, 5)
    page = fetch(bob, rsm_text=rsm(max=0))
    assert page == [] and page.count == 5 and not page.complete
    assert fetch(bob, form(after_id=ids[1]), rsm(max=0)).count == 3


def test_index(server):
    _, bob, ids = sent(server, 6)
    page = fetch(bob, rsm_text=rsm(max=2, index=3))
    assert page.ids == ids[3:5] and page.index == 3 and not page.complete
    page = fetch(bob, rsm_text=rsm(max=2, index=4))
    assert page.ids == ids[4:] and page.complete and page.count == 6
    assert fetch(bob, rsm_text=rsm(max=2, index=9)) == []
    bob.refused("set", query(rsm(index=100000)), "feature-not-implemented")
    bob.refused("set", query(rsm(index=1, after=ids[0])), "bad-request")


def test_limits_of_pages(server):
    with Server({"plugins": {"mam": {"default_page": 3, "max_page": 5, "count_up_to": 7, "page_bytes": 1024}}}) as s:
        alice, bob, ids = sent(s, 8)
        assert fetch(bob).ids == ids[:3]
        page = fetch(bob, rsm_text=rsm(max=1000))
        assert page.ids == ids[:5] and page.count is None and page.index == 0
        assert fetch(bob, rsm_text=rsm(max=2, before=ids[4])).index is None
        assert fetch(bob, rsm_text=rsm(max=0)).count == 8, "asked for alone it is always said"
        bob.refused("set", query(form(ids=ids[:6])), "policy-violation")
        for i in range(4):
            alice.message(bob.bare, f"{i}" + "x" * 600)
            bob.expect("message")
        page = fetch(bob, form(after_id=ids[-1]))
        assert len(page) == 2 and not page.complete, "so many bytes end a page"
        assert [b[0] for b in bodies(bob, form_text=form(after_id=ids[-1]))] == ["0", "1", "2", "3"]


def test_with(server):
    alice, bob = two(server)
    eve, wide = server.client("eve"), server.client("alice")
    alice2 = server.more(alice)
    for c in (alice, eve, alice2, wide):
        c.message(bob.bare, f"from {c.jid}")
        bob.expect("message", from_=c.jid)
    bob.message(alice.jid, "back")
    assert fetch(bob, form(with_=alice.bare)).bodies == [f"from {alice.jid}", f"from {alice2.jid}", "back"]
    assert fetch(bob, form(with_=alice.jid)).bodies == [f"from {alice.jid}", "back"]
    assert fetch(bob, form(with_=f"{alice.bare}/x")).bodies == []
    assert fetch(bob, form(with_=alice.bare.upper())).count == 3, "JIDs are compared as JIDs"
    assert fetch(bob, form(with_="nobody@nowhere.example")) == []
    bob.refused("set", query(form(with_="@")), "jid-malformed")


def test_with_oneself(server):
    alice, bob, _ = sent(server, 2)
    bob.message(bob.bare, "note")
    bob.expect("message", body="note")
    assert fetch(bob, form(with_=bob.bare)).bodies == ["note"]
    assert fetch(bob, form(with_=bob.jid)).bodies == ["note"]
    del alice


def test_with_pages(server):
    alice, bob = two(server)
    eve = server.client("eve")
    for i in range(5):
        for c in (alice, eve):
            c.message(bob.bare, f"{i}")
            bob.expect("message", from_=c.jid)
    page = fetch(bob, form(with_=alice.bare), rsm(max=2, before=""))
    assert page.bodies == ["3", "4"] and page.count == 5 and not page.complete
    page = fetch(bob, form(with_=alice.bare), rsm(max=3, before=page.first))
    assert page.bodies == ["0", "1", "2"] and page.complete


def test_times(server):
    _, bob, ids = sent(server, 5)
    stamps = [f.stamp for f in fetch(bob)]
    assert fetch(bob, form(start=stamps[1], end=stamps[3])).ids == ids[1:4], "both ends are in"
    assert fetch(bob, form(start=stamps[4])).ids == ids[4:]
    assert fetch(bob, form(end=stamps[0])).ids == ids[:1]
    assert fetch(bob, form(start="2020-01-01T00:00:00Z", end="2020-01-02T00:00:00+02:00")) == []
    assert fetch(bob, form(start="2100-01-01T00:00:00Z")).complete
    page = fetch(bob, form(start=stamps[1]), rsm(max=2, before=""))
    assert page.ids == ids[3:] and page.count == 4
    for bad in ("yesterday", ""):
        bob.refused("set", query(form(start=bad)), "bad-request")


def test_between_ids(server):
    _, bob, ids = sent(server, 6)
    assert fetch(bob, form(after_id=ids[1])).ids == ids[2:]
    assert fetch(bob, form(before_id=ids[1])).ids == ids[:1]
    page = fetch(bob, form(after_id=ids[0], before_id=ids[5]), rsm(max=2))
    assert page.ids == ids[1:3] and (page.index, page.count) == (0, 4)
    page = fetch(bob, form(after_id=ids[0], before_id=ids[5]), rsm(max=2, after=page.last))
    assert page.ids == ids[3:5] and page.complete
    assert fetch(bob, form(after_id=ids[4], before_id=ids[1])) == []


def test_named_ids(server):
    alice, bob, ids = sent(server, 6)
    assert fetch(bob, form(ids=[ids[4], ids[1], ids[1]])).ids == [ids[1], ids[4]]
    assert fetch(bob, form(ids=ids[3])).ids == [ids[3]]
    page = fetch(bob, form(ids=ids[1:]), rsm(max=2, after=ids[2]))
    assert page.ids == ids[3:5] and (page.index, page.count) == (2, 5) and not page.complete
    page = fetch(bob, form(ids=ids[1:]), rsm(max=2, before=""))
    assert page.ids == ids[4:] and page.count == 5
    assert fetch(bob, form(ids=ids, with_=bob.bare)) == []
    assert fetch(bob, form(ids=ids, after_id=ids[3])).ids == ids[4:]
    twice = form(ids=ids).replace("</x>", field("ids", ids[0]) + "</x>")
    bob.refused("set", query(twice), "bad-request")
    bob.refused("set", query(twice.replace(ids[0], ids[5])), "bad-request")
    del alice


def test_unknown_ids(server):
    """Even where nothing would be found anyway."""
    alice, bob, ids = sent(server, 2)
    hers = fetch(alice).ids
    for unknown in ("nonsense", ids[0][:-1] + ("A" if ids[0][-1] != "A" else "B"), hers[0]):
        for inner in (form(before_id=unknown), form(after_id=unknown), form(ids=[ids[0], unknown]), rsm(after=unknown),
                      rsm(before=unknown), form(with_="nobody@nowhere.example", after_id=unknown)):
            bob.refused("set", query(inner), "item-not-found", kind="cancel")


def test_bad_queries(server):
    bob = server.client("bob")
    data = "jabber:x:data"
    for inner in (form("urn:xmpp:mam:9"), f"<x xmlns='{data}' type='submit'/>",
                  f"<x xmlns='{data}' type='result'><field var='FORM_TYPE'><value>{MAM}</value></field></x>",
                  f"<x xmlns='{data}' type='submit'><field><value>x</value></field></x>",
                  form(include_groupchat="perhaps"), rsm(max="many"), rsm(max="-1"), rsm(index="x")):
        bob.refused("set", query(inner), "bad-request")
    bob.refused("set", query(form(colour="red")), "feature-not-implemented")
    bob.refused("set", query(form(**{"{urn:example}x": "y"})), "feature-not-implemented")
    bob.refused("set", f"<query xmlns='{MAM}' node='x'/>", "item-not-found")
    assert fetch(bob, form(include_groupchat="true")).complete and fetch(bob, form(include_groupchat="0")).complete


def test_form(server):
    bob = server.client("bob")
    fields = {f.get("var"): f for f in bob.result("get", query())[0].find("{jabber:x:data}x")}
    types = {var: f.get("type") for var, f in fields.items()}
    assert types == {"FORM_TYPE": "hidden", "with": "jid-single", "start": "text-single", "end": "text-single",
                     "before-id": "text-single", "after-id": "text-single", "ids": "list-multi",
                     "include-groupchat": "boolean"}
    assert fields["FORM_TYPE"].findtext("{jabber:x:data}value") == MAM
    validate = fields["ids"].find("{http://jabber.org/protocol/xdata-validate}validate")
    assert validate.get("datatype") == "xs:string" and len(validate) == 1


def metadata(client):
    return {e.tag.partition("}")[2]: (e.get("id"), e.get("timestamp"))
            for e in client.result("get", f"<metadata xmlns='{MAM}'/>")[0]}


def test_metadata(server):
    assert metadata(server.client()) == {}
    _, bob, ids = sent(server, 3)
    found = fetch(bob)
    assert metadata(bob) == {"start": (ids[0], found[0].stamp), "end": (ids[2], found[2].stamp)}


def test_not_for_others(server):
    alice, bob, _ = sent(server, 1)
    for type, inner in (("set", query()), ("get", query()), ("get", f"<metadata xmlns='{MAM}'/>"),
                        ("get", f"<prefs xmlns='{MAM}'/>"), ("set", f"<prefs xmlns='{MAM}' default='never'/>")):
        alice.refused(type, inner, "service-unavailable", to=bob.bare)
    alice.refused("set", query(), "service-unavailable", to=f"nobody@{DOMAIN}")


def test_own_bare_jid(server):
    _, bob, ids = sent(server, 2)
    assert fetch(bob, to=bob.bare).ids == ids


def test_disco(server):
    bob = server.client("bob")

    def features(to):
        return {f.get("var") for f in children(bob.result("get", f"<query xmlns='{NS['info']}'/>", to),
                                               "info:query/info:feature")}
    wanted = {MAM, MAM + "#extended", MAM + "#groupchat-field", "urn:xmpp:mam:1", "urn:xmpp:mam:0", SID, RETRACT,
              RETRACT + "#tombstone"}
    assert wanted <= features(bob.bare) and "urn:xmpp:fulltext:0" not in features(bob.bare)
    assert MAM not in features(DOMAIN) and RETRACT in features(DOMAIN)


def test_results_stay_out_of_the_archive(server):
    _, bob, ids = sent(server, 3)
    other = server.more(bob)
    other.result("set", ENABLE)
    for _ in range(2):
        assert fetch(bob).ids == ids
    other.quiet(bob)


def test_results_are_for_who_asked(server):
    """A session that ends without having acknowledged them leaves them to nobody."""
    _, bob, ids = sent(server, 3)
    other = server.more(bob)
    bob.enable(resume=False, auto=False)
    assert fetch(bob).ids == ids
    bob.drop()
    other.take("presence", from_=bob.jid, type="unavailable")
    other.expect_nothing()


def test_messages_come_while_a_query_runs(server):
    alice, bob, ids = sent(server, 30)
    asked = bob.ask("set", query(rsm(max=30)))
    alice.message(bob.bare, "meanwhile")
    bob.take("message", body="meanwhile")
    bob.take("iq", id=asked)
    assert bob.queue and len([e for e in bob.queue if e.find(f"{{{MAM}}}result") is not None]) == 30
    bob.queue.clear()
    assert fetch(bob, rsm_text=rsm(max=100, after=ids[-1])).bodies == ["meanwhile"]


# ---- old clients

def test_version_1(server):
    _, bob, ids = sent(server, 3)
    ns = "urn:xmpp:mam:1"
    page = fetch(bob, form(ns), rsm(max=2), ns=ns)
    assert page.ids == ids[:2] and not page.complete and page.count == 3
    bob.refused("set", query(form(MAM), ns=ns), "bad-request")


def test_version_0(server):
    """The answer first, then the messages, then one with the end."""
    _, bob, ids = sent(server, 3)
    ns = "urn:xmpp:mam:0"
    asked = bob.ask("set", query(form(ns) + rsm(max=2), "q", ns))
    answer = bob.expect("iq", id=asked, type="result")
    assert len(answer) == 0
    for id in ids[:2]:
        assert bob.expect("message").find(f"{{{ns}}}result").get("id") == id
    fin = bob.expect("message", from_=bob.bare).find(f"{{{ns}}}fin")
    assert fin.get("queryid") == "q" and fin.get("complete") is None
    assert fin.findtext(f"{{{RSM}}}set/{{{RSM}}}last") == ids[1]
    bob.expect_nothing()
