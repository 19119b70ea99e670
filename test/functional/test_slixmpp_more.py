# SPDX-License-Identifier: Apache-2.0
"""slixmpp asks the server what it is, says what it wants archived, sets rules for a message, retracts one."""
from element import child
from mam import everything, wait_for
from real import slixmpp
from server import DOMAIN
from test_roster import interested

CONFIG = {"plugins": {"amp": {"strangers": True}}}
COST = 3


def start(server, name="alice"):
    return slixmpp(server.account(name), server.address(), tls="TLSv1_2")


def test_about_the_server(server):
    c = start(server)
    told, error = c.flow("ask_server", domain=DOMAIN)
    assert error is None and told["name"] == "Meerkat" and told["version"], told
    c.stop()


def test_archive_wishes(server):
    c = start(server)
    got = c.flow("archive_wishes", default="never", always=["bob@one.example"], never=["eve@one.example"])
    assert got == (["never", ["bob@one.example"], ["eve@one.example"]], None), got
    c.stop()


def test_rules(server):
    c, bob = start(server), server.client("bob")
    assert c.flow("rule", to=bob.bare, body="one", action="notify", condition="deliver", value="direct") == (
        ["amp_notify", "ruled"], None)
    bob.take("message", body="one")
    assert c.flow("rule", to=bob.bare, body="two", action="error", condition="match-resource", value="any") == (
        ["amp_error", "ruled"], None)
    c.send(bob.bare, "three")
    assert child(bob.take("message", body="three"), "body").text == "three"
    c.stop()


def test_retraction(server):
    c, bob = start(server), interested(server, "bob")
    bob.message(c.jid, "hello")
    c.wait("message", body="hello")
    c.send(bob.bare, "I should not say this")
    sent = bob.take("message", body="I should not say this")
    assert c.flow("retract", to=bob.bare, id=sent.get("id")) == (None, None)
    bob.take("message", body="It was retracted.")
    wait_for(lambda: "I should not say this" not in [f.body for f in everything(bob)], "the archive has a tombstone")
    c.stop()
