# SPDX-License-Identifier: Apache-2.0
"""Namespaces that a component answers for (XEP-0355)."""
from element import NS, attrs, child, children
from server import DOMAIN, OTHER, Server, wait_until
from test_components import GATE, serving
from test_roster import interested

SERVER = False
D = "urn:xmpp:delegation:2"
PUBSUB, MAM = "http://jabber.org/protocol/pubsub", "urn:test:archive"
ASK = f"<pubsub xmlns='{PUBSUB}'><items node='x'/></pubsub>"


def delegating(*namespaces, component=GATE, **plugins):
    delegation = {"namespaces": [f"{component} {ns}" for ns in namespaces]}
    return serving(server=lambda start: Server({"plugins": {"delegation": delegation, **plugins}}, start=start))


def told(gate, host=DOMAIN):
    """What the server says is delegated: namespaces and their attributes."""
    got = gate.take("comp:message", from_=host, to=gate.domain)
    return {e.get("namespace"): [a.get("name") for a in e] for e in got.find(f"{{{D}}}delegation")}


def joined(s, *hosts):
    gate = s.component().join()
    for host in hosts or (DOMAIN, OTHER):
        told(gate, host)
    return gate


def forwarded(gate, host=DOMAIN, **wanted):
    """A request that came to the component, and the iq that is in it."""
    got = gate.take("comp:iq", type="set", from_=host, to=gate.domain)
    inner = got.find(f"{{{D}}}delegation/{{{NS['forward']}}}forwarded/{{jabber:client}}iq")
    assert inner is not None, "no iq is forwarded"
    for key, value in wanted.items():
        assert inner.get(key.rstrip("_")) == value, (key, inner.attrib)
    return got, inner


def answer(gate, got, inner, payload="", **changed):
    given = {"to": inner.get("from"), "from_": inner.get("to"), "id": inner.get("id"), "type": "result", **changed}
    body = f"<iq xmlns='jabber:client'{attrs(**given)}>{payload}</iq>"
    wrapped = f"<delegation xmlns='{D}'><forwarded xmlns='{NS['forward']}'>{body}</forwarded></delegation>"
    gate.send(f"<iq{attrs(type='result', id=got.get('id'), from_=gate.domain, to=got.get('from'))}>{wrapped}</iq>")


def features(gate, ns, bare, *vars, host=DOMAIN):
    """The server asks what to say of a namespace, and is answered."""
    node = f"{D}{':bare:' if bare else '::'}{ns}"
    got = gate.take("comp:iq", type="get", from_=host)
    assert child(got, "info:query").get("node") == node, node
    payload = "".join(f"<feature var='{v}'/>" for v in vars)
    gate.send(f"<iq type='result' id='{got.get('id')}' from='{gate.domain}' to='{host}'>"
              f"<query xmlns='{NS['info']}' node='{node}'><identity category='pubsub' type='pep'/>{payload}</query></iq>")


def said(answer):
    return [f.get("var") for f in children(answer, "info:query/info:feature")]


def test_told():
    with delegating(PUBSUB, f"{MAM} node with") as s:
        gate = s.component().join()
        for host in (DOMAIN, OTHER):
            assert told(gate, host) == {PUBSUB: [], MAM: ["node", "with"]}
        again = s.component()
        again.open()
        again.shake("wrong")
        again.expect_error("not-authorized")
    with delegating(PUBSUB, component="else.example") as s:
        gate = s.component().join()
        gate.send(f"<iq type='get' id='p' from='{GATE}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
        gate.expect("comp:iq", id="p", type="result")


def test_enabled_later():
    with serving() as s:
        gate, alice = s.component().join(), s.client("alice")
        alice.refused("get", ASK, "service-unavailable")
        s.configure({"plugins": {"delegation": {"namespaces": [f"{GATE} {PUBSUB}"]}}})
        s.reload()
        for host in (DOMAIN, OTHER):
            assert told(gate, host) == {PUBSUB: []}
        id = alice.ask("get", ASK)
        answer(gate, *forwarded(gate))
        alice.take("iq", id=id, type="result")


def test_stop():
    """The server ends while a component has questions."""
    with delegating(PUBSUB) as s:
        gate, alice = joined(s), s.client("alice")
        alice.ask("get", ASK)
        alice.ask("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
        forwarded(gate)
        gate.take("comp:iq", type="get", has="info:query")
        s.stop()


def test_requests():
    """Without `to`, to the own account, to another's, and to the host."""
    with delegating(PUBSUB) as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        for to in (None, alice.bare, bob.bare, DOMAIN):
            for type in ("get", "set"):
                id = alice.ask(type, ASK, to)
                got, inner = forwarded(gate, type=type, id=id, from_=alice.jid, to=to)
                assert inner[0].tag == f"{{{PUBSUB}}}pubsub" and inner[0][0].get("node") == "x"
                answer(gate, got, inner, f"<pubsub xmlns='{PUBSUB}'><done/></pubsub>")
                result = alice.expect("iq", type="result", id=id)
                assert result.get("from") in ((to,) if to else (None, alice.bare)), result.attrib
                assert result[0].tag == f"{{{PUBSUB}}}pubsub" and result[0][0].tag == f"{{{PUBSUB}}}done"
        id = alice.ask("set", ASK)
        got, inner = forwarded(gate)
        alice.result("get", f"<ping xmlns='{NS['ping']}'/>", DOMAIN)  # nobody waits for the component
        answer(gate, got, inner)
        assert len(alice.expect("iq", type="result", id=id)) == 0
        assert s.metrics()["meerkat_delegation_forwarded_requests_total"] == 9
        assert s.metrics()["meerkat_delegation_failed_requests_total"] == 0


def test_not_delegated():
    with delegating(f"{PUBSUB} node") as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        alice.refused("get", ASK, "service-unavailable")  # the attribute is not there
        alice.refused("get", "<pubsub xmlns='urn:other' node='x'/>", "service-unavailable")
        alice.refused("get", f"<pubsub xmlns='{PUBSUB}' node='x'/>", "service-unavailable", f"nobody@{DOMAIN}")
        id = alice.ask("get", f"<pubsub xmlns='{PUBSUB}' node='x'/>", bob.jid)
        bob.expect("iq", id=id)  # a full address is the client's business
        gate.send(f"<iq type='get' id='own' from='{GATE}' to='{DOMAIN}'><pubsub xmlns='{PUBSUB}' node='x'/></iq>")
        gate.expect("comp:iq", type="error", id="own")  # and nothing else came


def test_in_place_of_the_server():
    """The component gets what a plugin would answer, and its own requests reach the plugin."""
    with delegating(NS["version"]) as s:
        gate, alice = joined(s), s.client("alice")
        query = f"<query xmlns='{NS['version']}'/>"
        id = alice.ask("get", query, DOMAIN)
        answer(gate, *forwarded(gate), f"<query xmlns='{NS['version']}'><name>Gate</name></query>")
        assert alice.expect("iq", id=id, type="result")[0][0].text == "Gate"
        gate.send(f"<iq type='get' id='v' from='{GATE}' to='{DOMAIN}'>{query}</iq>")
        assert gate.expect("comp:iq", id="v", type="result")[0][0].text == "Meerkat"


def test_wrong_answers():
    with delegating(PUBSUB) as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        wrong = [{"to": bob.jid}, {"to": None}, {"from_": bob.bare}, {"id": "other"}, {"id": None}, {"type": "error"}, {"type": "set"}]
        for changed in wrong:
            id = alice.ask("get", ASK, alice.bare)
            answer(gate, *forwarded(gate), **changed)
            alice.expect_bounce("iq", "service-unavailable", id=id)
        for rest in ("type='result'/>", "type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"):
            id = alice.ask("get", ASK)
            got, _ = forwarded(gate)
            gate.send(f"<iq id='{got.get('id')}' from='{GATE}' to='{DOMAIN}' {rest}")
            alice.expect_bounce("iq", "service-unavailable", id=id)
        bob.quiet(alice)
        assert s.metrics()["meerkat_delegation_failed_requests_total"] == len(wrong) + 2


def test_not_there():
    with delegating(PUBSUB) as s:
        alice = s.client("alice")
        alice.refused("get", ASK, "service-unavailable")
        gate = joined(s)
        id = alice.ask("get", ASK)
        forwarded(gate)
        alice.take("iq", timeout=40, type="error", id=id)  # it never answers
        gate.drop()
        wait_until(lambda: s.metrics()["meerkat_components"] == 0, "the component is gone")
        alice.refused("get", ASK, "service-unavailable", DOMAIN)


def test_features():
    """The component's features stand for those of the server, and are asked for once."""
    with delegating(NS["version"]) as s:
        gate, alice = joined(s), s.client("alice")
        query = f"<query xmlns='{NS['info']}'/>"
        id = alice.ask("get", query, DOMAIN)
        features(gate, NS["version"], False, "urn:gate:host")
        vars = said(alice.take("iq", id=id, type="result"))
        assert "urn:gate:host" in vars and D in vars and NS["version"] not in vars, vars
        id = alice.ask("get", query)
        features(gate, NS["version"], True, "urn:gate:account")
        vars = said(alice.take("iq", id=id, type="result"))
        assert "urn:gate:account" in vars and "urn:gate:host" not in vars, vars
        assert "urn:gate:host" in said(alice.result("get", query, DOMAIN))
        assert "urn:gate:account" in said(alice.result("get", query, alice.bare))
        gate.drop()
        wait_until(lambda: s.metrics()["meerkat_components"] == 0, "the component is gone")
        gate = joined(s)
        id = alice.ask("get", query, DOMAIN)
        features(gate, NS["version"], False, "urn:gate:new")
        vars = said(alice.take("iq", id=id, type="result"))
        assert "urn:gate:new" in vars and "urn:gate:host" not in vars, "it is asked anew"


def test_features_of_one_who_is_silent():
    with delegating(NS["version"]) as s:
        alice = s.client("alice")
        vars = said(alice.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN))
        assert D in vars and NS["version"] not in vars


def test_nodes():
    """disco of accounts: nodes that nobody here knows, and all items."""
    with delegating(f"{D}:bare:disco#info:*", f"{D}:bare:disco#items:*") as s:
        gate, alice = joined(s), s.client("alice")
        for ns, node in ((NS["info"], "urn:xmpp:microblog:0"), (NS["items"], "urn:xmpp:microblog:0"), (NS["items"], None)):
            query = f"<query xmlns='{ns}'{attrs(node=node)}/>"
            id = alice.ask("get", query, alice.bare)
            got, inner = forwarded(gate, id=id, to=alice.bare)
            assert inner[0].get("node") == node
            answer(gate, got, inner, f"<query xmlns='{ns}'{attrs(node=node)}><item jid='x@y'/></query>")
            assert len(alice.expect("iq", id=id, type="result")[0]) == 1
        assert said(alice.result("get", f"<query xmlns='{NS['info']}'/>", alice.bare)), "without a node the server answers"
        alice.refused("get", f"<query xmlns='{NS['info']}' node='x'/>", "item-not-found", DOMAIN)


def test_blocked():
    """Whom an account blocks does not reach the component in its name."""
    with delegating(PUBSUB, privacy={}, blocking={}) as s:
        gate, alice, bob = joined(s), interested(s, "alice"), interested(s, "bob")
        bob.result("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{alice.bare}'/></block>")
        alice.refused("get", ASK, "service-unavailable", bob.bare)
        id = bob.ask("get", ASK)
        answer(gate, *forwarded(gate, id=id))
        bob.take("iq", id=id, type="result")


def test_wrong_configuration():
    for entry, says in ((GATE, "is not of the form"), (f"{GATE} {D}", "can't be delegated"),
                        (f"{GATE} {MAM} a b c d e f g h i", "more than 8 attributes")):
        with Server({"plugins": {"delegation": {"namespaces": [entry]}}}, start=False) as s:
            said = s.refuses_to_start()
            assert says in said, said
