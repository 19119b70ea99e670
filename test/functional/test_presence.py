# SPDX-License-Identifier: Apache-2.0
"""Presence: RFC 6121, section 4."""
from element import NS, child, text
from server import DOMAIN, OTHER, Server
from test_roster import befriend, interested
from xmpp import settle


def friends(server, domain=DOMAIN):
    a, b = interested(server, "alice"), interested(server, "bob", domain=domain)
    befriend(a, b)
    return a, b


def one_sided(server):
    """A sees B, B does not see A."""
    a, b = interested(server, "alice"), interested(server, "bob")
    a.presence(to=b.bare, type="subscribe")
    b.take("presence", type="subscribe")
    b.presence(to=a.bare, type="subscribed")
    settle(a, b)
    return a, b


def test_initial_presence_comes_back(server):
    c = server.client(available=False)
    c.presence("<show>away</show><status>lunch</status>", priority=7, id="p")
    got = c.expect("presence", from_=c.jid, to=c.jid, id="p", has=["show", "status"])
    assert text(got, "priority") == "7"
    c.expect_nothing()


def test_friends_see_each_other(server):
    a, b = friends(server)
    a.presence("<show>dnd</show>", priority=3)
    got = b.expect("presence", from_=a.jid, to=b.bare, has="show")
    assert text(got, "priority") == "3" and got.get("type") is None
    a.presence(type="unavailable", payload="<status>bye</status>")
    got = b.expect("presence", from_=a.jid, type="unavailable", has="status")
    assert text(got, "status") == "bye"
    b.quiet(a)


def test_friend_comes_and_is_shown_who_is_there(server):
    a, b = friends(server)
    a.presence("<status>reading</status>", priority=2)
    b.take("presence", has="status")
    b.end()
    a.take("presence", type="unavailable", from_=b.jid)
    again = server.client(user=b.user)
    got = again.take("presence", from_=a.jid, has=["status", "delay:delay"])
    assert text(got, "priority") == "2"
    a.take("presence", from_=again.jid, type=None)


def test_across_hosts(server):
    a, b = friends(server, OTHER)
    a.presence("<status>far</status>")
    b.expect("presence", from_=a.jid, has="status")


def test_one_sided(server):
    a, b = one_sided(server)
    a.presence("<status>you can't see me</status>")
    a.expect("presence", from_=a.jid)
    b.quiet(a)
    b.presence("<status>I am seen</status>")
    b.expect("presence", from_=b.jid)
    a.expect("presence", from_=b.jid, has="status")


def test_strangers_see_nothing(server):
    a, b = server.client("alice"), server.client("bob")
    a.presence("<status>hello</status>")
    a.expect("presence", from_=a.jid)
    b.quiet(a)


def test_lost_connection(server):
    a, b = friends(server)
    a.drop()
    b.expect("presence", from_=a.jid, type="unavailable")


def test_closed_stream(server):
    a, b = friends(server)
    a.end()
    b.expect("presence", from_=a.jid, type="unavailable")
    b.expect_nothing()


def test_unavailable_twice(server):
    a, b = friends(server)
    a.presence(type="unavailable")
    a.presence(type="unavailable")
    a.end()
    b.expect("presence", from_=a.jid, type="unavailable")
    b.expect_nothing()


def test_never_available(server):
    """Who was never available takes no leave."""
    a, b = friends(server)
    quiet = server.more(a, available=False)
    quiet.end()
    b.quiet(a)


def test_own_resources(server):
    one = server.client()
    other = server.client(user=one.user)
    one.expect("presence", from_=other.jid, to=one.jid)
    other.expect("presence", from_=one.jid, to=other.jid)
    other.presence("<show>xa</show>")
    for c in (one, other):
        c.expect("presence", from_=other.jid, has="show")
    other.end()
    one.expect("presence", from_=other.jid, type="unavailable")


def test_friend_with_many_resources(server):
    a, b = friends(server)
    b2 = server.more(b, priority=-1)
    a.take("presence", from_=b2.jid)
    settle(b, b2, a)
    a.presence("<status>all</status>")
    for c in (b, b2):
        c.expect("presence", from_=a.jid, has="status")
    again = server.client(user=a.user)
    seen = {again.take("presence", from_=jid, type=None).get("from") for jid in (b.jid, b2.jid)}
    assert seen == {b.jid, b2.jid}


def test_bad_priority(server):
    c = server.client(available=False)
    for bad in ("128", "-129", "high", "", "1.5", "99999999999999999999"):
        c.send(f"<presence id='p'><priority>{bad}</priority></presence>")
        c.expect_bounce("presence", "bad-request", id="p")
    c.expect_nothing()
    for good in ("-128", "127", "0"):
        c.send(f"<presence id='p'><priority>{good}</priority></presence>")
        c.expect("presence", from_=c.jid, id="p", type=None)


def test_probe(server):
    a, b = one_sided(server)
    b.presence("<status>probe me</status>")
    a.expect("presence", from_=b.jid, has="status")
    a.presence(to=b.bare, type="probe")
    got = a.expect("presence", from_=b.jid, has=["status", "delay:delay"])
    assert child(got, "delay:delay").get("from") == b.jid
    b.expect("presence", from_=b.jid)
    b.quiet(a)


def test_probe_without_right(server):
    """Who has no subscription learns nothing: the answer is "unsubscribed", which changes nothing (A.3.4) and is not
    shown."""
    a, b = one_sided(server)
    b.presence(to=a.bare, type="probe")
    b.presence(to=a.jid, type="probe")
    b.presence(to=f"nobody@{DOMAIN}", type="probe")
    a.quiet(b)
    b.quiet(a)


def test_probe_of_who_is_away(server):
    a, b = one_sided(server)
    b.end()
    a.expect("presence", type="unavailable", from_=b.jid)
    a.presence(to=b.bare, type="probe")
    a.expect("presence", type="unavailable", from_=b.bare)


def test_login_reads_nothing_for_contacts(_):
    """However many contacts are away, a login reads the database as often as that of an account without any."""
    with Server(sqlite=True) as server:
        popular = interested(server, "popular")
        friends = [interested(server, f"friend{i}") for i in range(20)]
        for friend in friends:
            befriend(popular, friend)
        loner = interested(server, "loner")
        for c in [*friends, popular, loner]:
            c.end()
        server.restart()

        def cost(user):
            before, c = server.metrics()["meerkat_store_reads_total"], server.client(user=user)
            settle(c)
            return server.metrics()["meerkat_store_reads_total"] - before

        dear, cheap = cost(popular.user), cost(loner.user)
        assert dear == cheap, (dear, cheap)


def test_directed(server):
    """A stranger who was sent presence hears of its end, and can probe meanwhile."""
    a, b = server.client("alice"), server.client("bob")
    a.presence("<status>just for you</status>", to=b.jid)
    b.expect("presence", from_=a.jid, to=b.jid, has="status")
    a.presence("<status>for the others</status>")
    a.expect("presence", from_=a.jid)
    b.quiet(a)
    a.drop()
    b.expect("presence", from_=a.jid, type="unavailable")


def test_directed_and_taken_back(server):
    a, b = server.client("alice"), server.client("bob")
    a.presence(to=b.jid)
    b.expect("presence", from_=a.jid)
    a.presence(to=b.jid, type="unavailable")
    b.expect("presence", from_=a.jid, type="unavailable")
    a.presence(type="unavailable")
    a.expect("presence", type="unavailable")
    b.quiet(a)


def test_directed_from_who_is_invisible(server):
    """Without initial presence, directed presence is all there is, and its end is told too."""
    a, b = server.client("alice", available=False), server.client("bob")
    a.presence(to=b.bare)
    b.expect("presence", from_=a.jid)
    a.end()
    b.expect("presence", from_=a.jid, type="unavailable")


def test_directed_to_a_friend_is_told_once(server):
    a, b = friends(server)
    a.presence(to=b.jid)
    b.expect("presence", from_=a.jid)
    a.drop()
    b.expect("presence", from_=a.jid, type="unavailable")
    b.expect_nothing()


def test_presence_keeps_its_payload(server):
    a, b = friends(server)
    a.presence("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v='/><x xmlns='vcard-temp:x:update'/>")
    got = b.expect("presence", from_=a.jid)
    assert [e.tag for e in got] == ["{http://jabber.org/protocol/caps}c", "{vcard-temp:x:update}x"]


def test_invisible_to_the_removed(server):
    """Presence follows a subscription that ends while both are there."""
    a, b = friends(server)
    a.presence(to=b.bare, type="unsubscribed")
    b.take("presence", type="unsubscribed", from_=a.bare)
    b.take("presence", type="unavailable", from_=a.jid)
    settle(a, b)
    a.presence("<status>gone for you</status>")
    b.quiet(a)


def test_presence_error(server):
    a, b = friends(server)
    a.presence(to=b.bare, type="error", payload=f"<error type='cancel'><gone xmlns='{NS['stanzas']}'/></error>")
    b.expect("presence", type="error", from_=a.jid)
