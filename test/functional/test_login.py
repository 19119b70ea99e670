# SPDX-License-Identifier: Apache-2.0
"""What plugins may add to a login: mechanisms and inline features.  The plugin is test/abi/t_login.c."""
import time

import sasl
from element import NS, child, children, show, text
from server import BUILD, Server
from test_sasl import fresh
from test_sasl2 import ID, refused
from xmpp import fail

NS["t"] = "urn:test:login"
CONFIG = {"plugin_dir": f"{BUILD}/plugins:{BUILD}/backends:{BUILD}/test/abi", "plugins": {"t_login": {}}}
ASK = f"<ask xmlns='{NS['t']}'>{{}}</ask>"


def back(client, data):
    return client.user[::-1].encode() if data == b"backwards?" else b""


def test_mechanism(server):
    c = fresh(server)
    assert "X-BACK" in c.mechanisms() and "X-TELL" not in c.mechanisms() and "X-NOBODY" not in c.mechanisms()
    c.auth("X-BACK", c.user.encode())
    c.respond(back(c, sasl.unb64(c.expect("sasl:challenge").text)))
    assert sasl.unb64(c.expect("sasl:success").text) == b"welcome"
    c.open()
    c.bind().expect_nothing()
    d = fresh(server, c.user)
    d.auth("X-BACK")
    assert d.expect("sasl:challenge").text is None
    d.respond(d.user.encode())
    d.expect("sasl:challenge")
    d.respond(b"wrong")
    d.expect("sasl:failure", has="sasl:not-authorized")
    d.auth("X-TELL", b"")
    d.expect("sasl:failure", has="sasl:invalid-mechanism")


def test_mechanism_by_sasl2(server):
    c = fresh(server)
    offered = [e.text for e in children(c.features, "sasl2:authentication/sasl2:mechanism")]
    assert "X-BACK" in offered and "X-NOBODY" in offered and "X-TELL" not in offered, offered
    exchange = c.scram2(password="wrong")
    assert sasl.fields(exchange.server_first)["h"] == sasl.offer_hash("SCRAM-SHA-256", offered, c.bindings())
    refused(c, "not-authorized")
    c.auth2("X-NOBODY", b"")
    refused(c, "not-authorized")
    c.auth2("X-TELL", b"", software="Tortoise")
    refused(c, "account-disabled")
    c.auth2("X-TELL", b"", agent=ID, software="Hare")
    failure = refused(c, "credentials-expired")
    assert text(failure, "sasl2:text") == "authenticate"
    c.auth2("X-BACK", c.user.encode(), f"<bind xmlns='{NS['bind2']}'/>")
    c.respond2(back(c, sasl.unb64(c.expect("sasl2:challenge").text)))
    success = c.welcomed()
    assert sasl.unb64(text(success, "sasl2:additional-data")) == b"welcome"
    c.expect_nothing()


def test_mechanism_named_in_the_option(server):
    for names in (["SCRAM-SHA-256"], ["SCRAM-SHA-256", "X-BACK"]):
        with Server({**CONFIG, "host_types": {"default": {"sasl": names}}}) as s:
            assert fresh(s).mechanisms() == names


def test_inline_features(server):
    """Offered, called with what was asked, answered in their place; what they send follows."""
    c = fresh(server)
    inline = child(c.features, "sasl2:authentication/sasl2:inline")
    assert child(inline, "t:offer").get("binds") == "true" and child(inline, "t:ask") is None, show(inline)
    assert NS["t"] in [e.get("var") for e in children(inline, "bind2:bind/bind2:inline/bind2:feature")]
    success = c.login2(bind=ASK.format("two"), inline=ASK.format("one"))
    login, bound = child(success, "t:login"), child(success, "bind2:bound")
    assert (login.get("bound"), login.get("asked"), login.get("in")) == ("false", "one", "authenticate")
    answers = children(bound, "t:*")
    assert [e.tag.partition("}")[2] for e in answers] == ["bind", "always"], "in their order"
    assert (answers[0].get("bound"), answers[0].get("asked"), answers[0].get("in")) == ("true", "two", "bind")
    assert answers[1].get("asked") is None
    c.expect("message", body="SCRAM-SHA-256", type="headline")
    c.expect_nothing()
    d = fresh(server)
    success = d.login2()
    answers = children(success, "bind2:bound/t:*")
    assert child(success, "t:login") is None and [e.tag.partition("}")[2] for e in answers] == ["always"], show(success)
    d.expect_nothing()


def test_failure_runs_none(server):
    c = fresh(server)
    c.scram2(password="wrong", inline=ASK.format("one"))
    failure = refused(c, "not-authorized")
    if child(failure, "t:login") is not None:
        fail(c, "an inline feature ran")


def wait_stored(server, account, count):
    deadline = time.monotonic() + 20
    while (now := server.control("offline.count", account=account)[0]["messages"]) != count:
        assert time.monotonic() < deadline, f"{now} messages are stored, not {count}"
        time.sleep(0.02)


def test_stored_messages_are_in_the_archive(server):
    """A client that reads the archive gets no stored messages (XEP-0386, 4); others do, and what comes later is kept."""
    alice, bob = server.client("alice"), server.client("bob")
    bob.end()
    alice.message(bob.bare, "archived")
    wait_stored(server, bob.bare, 1)
    c = fresh(server, bob.user)
    c.login2(bind=f"<archive xmlns='{NS['t']}'/>")
    alice.message(bob.bare, "later")
    wait_stored(server, bob.bare, 2)
    c.presence()
    c.take("message", body="later", has="delay:delay")
    wait_stored(server, bob.bare, 0)
    assert not any(e.tag.endswith("message") for e in c.queue), "the archived one came too"
    c.end()
    alice.message(bob.bare, "not by Bind 2")
    wait_stored(server, bob.bare, 1)
    server.client(user=bob.user).take("message", body="not by Bind 2")
