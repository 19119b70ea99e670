# SPDX-License-Identifier: Apache-2.0
"""Rules of senders for the delivery of messages (XEP-0079)."""
from element import NS, attrs, child, children
from mam import bodies
from server import DOMAIN, OTHER, Server
from test_login import wait_stored
from test_roster import befriend, interested
from xmpp import fail

CONFIG = {"plugins": {"amp": {"max_rules": 5}}}
AMP, ERRORS = "http://jabber.org/protocol/amp", "http://jabber.org/protocol/amp#errors"


def rule(action, condition, value):
    return f"<rule{attrs(action=action, condition=condition, value=value)}/>"


def amp(*rules):
    return f"<amp xmlns='{AMP}'>{''.join(rules)}</amp>"


def friends(server, resource=None):
    a, b = interested(server, "alice"), interested(server, "bob", resource=resource)
    befriend(a, b)
    return a, b


def told(client, to, action, rules, id="m"):
    """The next stanza is what the server says of these rules."""
    got = client.expect("message", id=id, type="error" if action == "error" else None)
    about = got.find(f"{{{AMP}}}amp")
    if about is None:
        fail(client, "nothing is said of the rule")
    assert (about.get("status"), about.get("from"), about.get("to")) == (action, client.jid, to), about.attrib
    assert [dict(r.attrib) for r in about] == [dict(zip(("action", "condition", "value"), r)) for r in rules]
    assert child(got, "body") is None, "the message itself is not sent back"
    if action == "error":
        error = child(got, "error")
        assert child(error, "stanzas:undefined-condition") is not None
        assert [r.get("value") for r in error.find(f"{{{ERRORS}}}failed-rules")] == [r[2] for r in rules]
    else:
        domain = to.partition("@")[2].partition("/")[0]
        assert got.get("from") == (domain if domain in (DOMAIN, OTHER) else client.domain)
    return got


def test_directly(server):
    a, b = friends(server)
    for action, arrives in (("notify", True), ("error", False), ("alert", False), ("drop", False)):
        a.message(b.bare, action, id="m", payload=amp(rule("error", "deliver", "stored"), rule(action, "deliver", "direct")))
        if action != "drop":
            told(a, b.bare, action, [(action, "deliver", "direct")])
        if arrives:
            b.expect("message", body=action)
    a.message(b.bare, "end")
    b.expect("message", body="end")
    b.quiet(a)


def test_away(server):
    """A dropped message is neither stored nor archived; a notice changes nothing."""
    a, b = friends(server)
    b.end()
    a.expect("presence", type="unavailable")
    for action in ("error", "alert", "drop"):
        a.message(b.bare, action, id="m", payload=amp(rule(action, "deliver", "stored")))
        if action != "drop":
            told(a, b.bare, action, [(action, "deliver", "stored")])
    a.message(b.bare, "kept", id="m", payload=amp(rule("notify", "deliver", "stored"), rule("drop", "deliver", "direct")))
    told(a, b.bare, "notify", [("notify", "deliver", "stored")])
    wait_stored(server, b.bare, 1)
    again = server.client(user=b.user)
    assert again.take("message").find("{jabber:client}body").text == "kept"
    again.take("presence", from_=a.jid)
    assert bodies(again) == ["kept"]


def test_nowhere(server):
    """What is not worth keeping, and who does not exist."""
    a, b = friends(server)
    b.end()
    a.expect("presence", type="unavailable")
    typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    a.message(b.bare, id="m", payload=typing + amp(rule("notify", "deliver", "none")))
    told(a, b.bare, "notify", [("notify", "deliver", "none")])
    for to in (f"nobody@{DOMAIN}", f"nobody@{OTHER}", "nobody@nowhere.example"):
        a.message(to, "x", id="m", payload=amp(rule("notify", "deliver", "none")))
        told(a, to, "notify", [("notify", "deliver", "none")])
        a.expect("message", type="error", id="m", from_=to)
        a.message(to, "x", id="m", payload=amp(rule("alert", "deliver", "none")))
        told(a, to, "alert", [("alert", "deliver", "none")])
        a.message(to, "x", id="m", payload=amp(rule("drop", "deliver", "none")))
    a.quiet()


def test_resources(server):
    a, b = friends(server, resource="here")
    for to, value, fits in ((b.jid, "exact", True), (b.jid, "other", False), (f"{b.bare}/gone", "other", True),
                            (f"{b.bare}/gone", "exact", False), (b.bare, "any", True), (b.bare, "other", True)):
        a.message(to, f"{to} {value}", id="m", payload=amp(rule("notify", "match-resource", value)))
        if fits:
            told(a, to, "notify", [("notify", "match-resource", value)])
        b.expect("message", body=f"{to} {value}")
        b.quiet(a)


def test_rules_in_order(server):
    a, b = friends(server)
    a.message(b.bare, "x", id="m", payload=amp(rule("notify", "deliver", "direct"), rule("notify", "match-resource", "any"),
                                               rule("alert", "deliver", "direct"), rule("error", "deliver", "direct")))
    told(a, b.bare, "notify", [("notify", "deliver", "direct")])
    told(a, b.bare, "notify", [("notify", "match-resource", "any")])
    told(a, b.bare, "alert", [("alert", "deliver", "direct")])
    b.quiet(a)


def refused(client, condition, detail, rules, **message):
    client.message(payload=amp(*rules), **message)
    got = client.expect_bounce("message", condition, id=message.get("id"))
    listed = child(got, "error").find(f"{{{AMP}}}{detail}")
    if listed is None:
        fail(client, f"no {detail}")
    return len(listed)


def test_rules_that_are_not_known(server):
    a, b = friends(server)
    good = rule("drop", "deliver", "stored")
    assert refused(a, "bad-request", "unsupported-actions", [good, rule("explode", "deliver", "none")], to=b.bare, id="m") == 1
    assert refused(a, "bad-request", "unsupported-conditions", [good, rule("drop", "weather", "fine")], to=b.bare, id="m") == 1
    assert refused(a, "not-acceptable", "invalid-rules", [good, rule("drop", "deliver", "perhaps")], to=b.bare, id="m") == 1
    assert refused(a, "not-acceptable", "invalid-rules", [], to=b.bare, id="m") == 0
    assert refused(a, "not-acceptable", "invalid-rules", [good] * 6, to=b.bare, id="m") == 6
    a.send(f"<message to='{b.bare}'><body>x</body>{amp(good)}</message>")
    assert len(child(a.expect_bounce("message", "not-acceptable"), "error").find(f"{{{AMP}}}invalid-rules")) == 1
    b.quiet(a)


def test_strangers_learn_nothing(_):
    """Whether the account is there or not, the answer is the same."""
    with Server({"plugins": {"amp": {}}}) as s:
        eve, bob = s.client("eve"), s.client("bob")
        rules = [rule("notify", "deliver", "stored"), rule("notify", "deliver", "direct")]
        assert refused(eve, "not-acceptable", "invalid-rules", rules, to=bob.bare, id="m") == 2
        bob.end()
        assert refused(eve, "not-acceptable", "invalid-rules", rules, to=bob.bare, id="m") == 2
        s.configure({"plugins": {"amp": {"strangers": True}}})
        s.reload()
        eve.message(bob.bare, "x", id="m", payload=amp(*rules))
        told(eve, bob.bare, "notify", [("notify", "deliver", "stored")])


def test_announced(server):
    c = server.client()
    info = c.result("get", f"<query xmlns='{NS['info']}' node='{AMP}'/>", DOMAIN)
    offered = {f.get("var") for f in children(info, "info:query/info:feature")}
    assert {f"{AMP}?action={a}" for a in ("notify", "error", "drop", "alert")} < offered
    assert {f"{AMP}?condition={a}" for a in ("deliver", "match-resource")} < offered
    info = c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert AMP in {f.get("var") for f in children(info, "info:query/info:feature")}
    assert "http://jabber.org/features/amp" in "".join(c.said(64))
