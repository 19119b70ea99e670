# SPDX-License-Identifier: Apache-2.0
"""Strangers, limits, and block lists of others: the plugin spam."""
import hashlib

from mam import wait_for
from server import DOMAIN, OTHER, Server
from test_roster import befriend, interested

SERVER = False
PUBSUB, EVENT = "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/pubsub#event"
RSM = "http://jabber.org/protocol/rsm"


def config(**options):
    return {"plugins": {"spam": {"trust_local": False, **options}}}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


# ---- strangers

def test_strangers_are_refused():
    with Server(config(strangers="refuse", trusted=[OTHER])) as s:
        bob, eve, friend = interested(s, "bob"), s.client("eve"), interested(s, "friend")
        befriend(bob, friend)
        eve.message(bob.bare, "buy")
        eve.expect_bounce("message", "policy-violation")
        friend.message(bob.bare, "hello")
        bob.expect("message", body="hello")
        other = s.client("other", domain=OTHER)
        other.message(bob.bare, "trusted")
        bob.expect("message", body="trusted")
        bob.message(eve.bare, "who are you?")
        eve.expect("message", body="who are you?")
        eve.message(bob.bare, "an answer")
        bob.expect("message", body="an answer")
        assert s.metrics()["meerkat_spam_strangers_messages_total"] == 1


def test_strangers_while_nobody_is_there():
    """What a stranger sends is not stored either, and who only asks for a subscription is one still."""
    with Server(config(strangers="refuse")) as s:
        bob, eve = interested(s, "bob"), s.client("eve")
        eve.presence(to=bob.bare, type="subscribe")
        bob.take("presence", type="subscribe", from_=eve.bare)
        bob.end()
        eve.message(bob.bare, "buy")
        eve.expect_bounce("message", "policy-violation")
        assert s.control("offline.count", account=bob.bare)[0]["messages"] == 0
        again = s.client(user=bob.user)
        again.presence(to=eve.bare, type="subscribed")
        eve.take("presence", type="subscribed")
        eve.message(bob.bare, "hello")
        again.take("message", body="hello")


def test_strangers_are_dropped():
    with Server(config(strangers="drop")) as s:
        bob, eve = interested(s, "bob"), s.client("eve")
        eve.message(bob.bare, "buy")
        wait_for(lambda: s.metrics()["meerkat_spam_strangers_messages_total"] == 1, "it is dropped")
        bob.message(eve.bare, "who is there?")
        eve.expect("message", body="who is there?")
        eve.message(bob.bare, "me")
        bob.expect("message", body="me")


def test_own_server_is_trusted():
    with Server({"plugins": {"spam": {"strangers": "drop"}}}) as s:
        bob, eve = interested(s, "bob"), s.client("eve")
        eve.message(bob.bare, "hello")
        bob.expect("message", body="hello")


# ---- limits

def test_limits():
    with Server(config(max_strangers=2, max_requests=2, max_incoming=2)) as s:
        eve = s.client("eve")
        people = [interested(s, f"user{i}") for i in range(3)]
        for number, to in enumerate(people):
            for _ in range(2):
                eve.message(to.bare, "buy")
                if number < 2:
                    to.expect("message", body="buy")
                else:
                    eve.expect_bounce("message", "policy-violation")
        for number, to in enumerate(people):
            eve.presence(to=to.bare, type="subscribe")
            if number < 2:
                to.take("presence", type="subscribe")
            else:
                eve.expect_bounce("presence", "policy-violation")
        bob = interested(s, "bob")
        for number in range(3):
            stranger = s.client("stranger")
            stranger.message(bob.bare, f"number {number}")
            if number < 2:
                bob.expect("message", body=f"number {number}")
            else:
                stranger.expect_bounce("message", "policy-violation")
        assert s.metrics()["meerkat_spam_limited_stanzas_total"] == 4


def test_limits_outlive_a_session():
    with Server(config(max_strangers=1)) as s:
        eve, a, b = s.client("eve"), s.client("a"), s.client("b")
        eve.message(a.bare, "buy")
        a.expect("message", body="buy")
        eve.end()
        eve = s.client(user=eve.user)
        eve.message(b.bare, "buy")
        eve.expect_bounce("message", "policy-violation")


# ---- block lists

class Service:
    """A client that plays a pubsub service with one node."""

    def __init__(self, server, *items):
        self.client, self.items = server.client("rtbl", resource="pubsub", available=False), list(items)

    @property
    def list(self):
        return f"{self.client.jid} bans"

    def answer(self, page=2):
        """One whole fetch: the subscription, then the items, PAGE at a time."""
        iq = self.client.take("iq", type="set", timeout=30)
        assert iq.get("from") in (DOMAIN, OTHER)
        assert iq.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}subscribe").attrib == {"node": "bans", "jid": iq.get("from")}
        self.reply(iq, f"<pubsub xmlns='{PUBSUB}'/>")
        for start in range(0, max(len(self.items), 1), page):
            iq = self.client.take("iq", type="get")
            after = iq.find(f"{{{PUBSUB}}}pubsub/{{{RSM}}}set/{{{RSM}}}after")
            assert (after.text if after is not None else None) == (self.items[start - 1] if start else None)
            part = self.items[start:start + page]
            inner = "".join(f"<item id='{i}'><report xmlns='urn:xmpp:reporting:1' reason='urn:x'/></item>" for i in part)
            more = start + page < len(self.items)
            rsm = f"<set xmlns='{RSM}'><last>{part[-1]}</last></set>" if more else ""
            self.reply(iq, f"<pubsub xmlns='{PUBSUB}'><items node='bans'>{inner}</items>{rsm}</pubsub>")

    def reply(self, iq, inner):
        self.client.send(f"<iq type='result' id='{iq.get('id')}' to='{iq.get('from')}'>{inner}</iq>")

    def tell(self, inner, node="bans"):
        self.client.message(DOMAIN, type="headline", payload=f"<event xmlns='{EVENT}'><items node='{node}'>{inner}</items></event>")


# One worker, so that one of the hosts fetches for both.
ONE = {"workers": 1}


def with_list(s, **options):
    """A server that has fetched a list which names eve and the other domain."""
    eve = s.client("eve")
    service = Service(s, sha("x@nowhere.example"), sha(eve.bare), sha(OTHER), "no hash", sha("y@nowhere.example"))
    s.configure(config(lists=[service.list], **options))
    s.reload()
    service.answer()
    wait_for(lambda: s.ctl_json("spam", "lists", DOMAIN) == [{"list": service.list, "items": 4}], "the list is stored")
    return service, eve


def test_listed():
    with Server(ONE) as s:
        service, eve = with_list(s)
        bob, mallory, good = s.client("bob"), s.client("mallory", domain=OTHER), s.client("good")
        for who in (eve, mallory):
            who.message(bob.bare, "buy")
            who.expect_bounce("message", "policy-violation")
            who.presence(to=bob.bare, type="subscribe")
        good.message(bob.bare, "hello")
        bob.expect("message", body="hello")
        assert s.ctl_json("spam", "check", eve.jid, DOMAIN) == [{"list": service.list, "reason": "urn:x"}]
        assert s.ctl_json("spam", "check", good.jid, DOMAIN) == []
        assert s.metrics()["meerkat_spam_listed_stanzas_total"] == 4


def test_list_changes():
    with Server(ONE) as s:
        service, eve = with_list(s)
        bob, bad = s.client("bob"), s.client("bad")
        service.tell(f"<retract id='{sha(eve.bare)}'/><item id='{sha(bad.bare)}'/>")
        eve.send(f"<message to='{DOMAIN}' type='headline'><event xmlns='{EVENT}'><items node='bans'>"
                 f"<item id='{sha(bob.bare)}'/></items></event></message>")  # who keeps no list has no say
        wait_for(lambda: s.ctl_json("spam", "check", bad.bare, DOMAIN) and not s.ctl_json("spam", "check", eve.bare, DOMAIN),
                   "the change is stored")
        assert s.ctl_json("spam", "check", bob.bare, DOMAIN) == []


def test_list_outlives_a_restart():
    """And what a later fetch does not have any more goes."""
    with Server(ONE, sqlite=True) as s:
        service, eve = with_list(s)
        user = service.client.user
        s.restart()
        bob, eve = s.client("bob"), s.client(user=eve.user)
        eve.message(bob.bare, "buy")
        eve.expect_bounce("message", "policy-violation")
        again = Service.__new__(Service)
        again.client, again.items = s.client(user=user, resource="pubsub", available=False), [sha("z@nowhere.example")]
        s.restart()
        again.client = s.client(user=user, resource="pubsub", available=False)
        again.answer()
        wait_for(lambda: s.ctl_json("spam", "lists", DOMAIN) == [{"list": service.list, "items": 1}], "the rest goes")


def test_lists_that_are_none():
    with Server(start=False) as s:
        for text in ("nospace", " node", "service "):
            s.configure({"plugins": {"spam": {"lists": [text]}}})
            s.refuses_to_start()
            assert "no service, a space and a node" in s.log()
