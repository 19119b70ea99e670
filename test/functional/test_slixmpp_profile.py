# SPDX-License-Identifier: Apache-2.0
"""slixmpp blocks, publishes a vCard, searches, keeps private data, and asks when somebody was here."""
from real import slixmpp
from server import DOMAIN
from test_roster import befriend
from test_vcard import PNG, digest, hash_in

CONFIG = {"plugins": {name: {} for name in ("privacy", "blocking", "last", "private", "vcard")}}
COST = 3


def start(server, name="alice"):
    return slixmpp(server.account(name), server.address(), tls="TLSv1_2")


def test_blocking(server):
    c, bob = start(server), server.client("bob")
    assert c.flow("block", jids=[bob.bare, "x.example"]) == (None, None)
    assert c.flow("blocked") == (sorted([bob.bare, "x.example"]), None)
    bob.message(c.jid, "hello", id="m")
    bob.expect_bounce("message", "service-unavailable", id="m")
    assert c.flow("unblock", jids=[bob.bare]) == (None, None)
    assert c.flow("blocked") == (["x.example"], None)
    bob.message(c.jid, "hello")
    c.wait("message", body="hello")
    c.stop()


def test_vcard_and_search(server):
    c, bob = start(server), server.client("bob")
    assert c.flow("get_vcard", jid=bob.bare) == (None, "item-not-found")
    assert c.flow("publish_vcard", name="Alice Liddell", nickname="Lid", photo=PNG.hex()) == (None, None)
    want = {"name": "Alice Liddell", "nicknames": ["Lid"], "photo": PNG.hex()}
    got = c.flow("get_vcard", jid=c.jid.partition("/")[0])
    assert got == (want, None), got
    found, error = c.flow("search", directory="vjud." + DOMAIN, words={"fn": "alice lid*"})
    assert error is None and [(i["jid"], i["nick"]) for i in found] == [(c.jid.partition("/")[0], "Lid")]
    assert c.flow("search", directory="vjud." + DOMAIN, words={"fn": "nobody"}) == ([], None)
    c.stop()
    server.control("roster.add", account=c.jid.partition("/")[0], contact=bob.bare, subscription="both")
    c = slixmpp(c.jid.partition("@")[0], server.address(), tls="TLSv1_2")
    assert hash_in(bob.take("presence", from_=c.jid)) == digest(PNG)
    c.stop()


def test_private(server):
    c = start(server)
    assert c.flow("bookmarks") == ([], None)
    assert c.flow("set_bookmark", room=f"tea@rooms.{DOMAIN}", name="Tea party") == (None, None)
    assert c.flow("bookmarks") == ([[f"tea@rooms.{DOMAIN}", "Tea party"]], None)
    c.stop()


def test_last(server):
    c, bob, carol = start(server), server.client("bob"), server.client("carol")
    got, error = c.flow("last", jid=DOMAIN)
    assert error is None and 0 <= got["seconds"] < 600
    assert c.flow("last", jid=bob.bare) == (None, "forbidden")
    befriend(bob, carol)
    server.control("roster.add", account=bob.bare, contact=c.jid.partition("/")[0], subscription="both")
    assert c.flow("last", jid=bob.bare) == ({"seconds": 0, "status": ""}, None)
    bob.presence("<status>Down the rabbit hole</status>", type="unavailable")
    carol.take("presence", type="unavailable", from_=bob.jid)
    bob.end()
    got, error = c.flow("last", jid=bob.bare)
    assert error is None and got["seconds"] < 60 and got["status"] == "Down the rabbit hole"
    c.stop()
