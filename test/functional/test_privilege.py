# SPDX-License-Identifier: Apache-2.0
"""Components that act for accounts (XEP-0356)."""
import contextlib
import os
import subprocess
import sys

from element import NS, attrs, child, children
from server import DOMAIN, OTHER, Server
from test_components import GATE, SECRET, serving
from test_roster import befriend, interested

SERVER = False
HERE = os.path.dirname(os.path.abspath(__file__))
P, OLD = "urn:xmpp:privilege:2", "urn:xmpp:privilege:1"
ROSTER = f"<query xmlns='{NS['roster']}'/>"
VERSION = f"<query xmlns='{NS['version']}'/>"


def config(*words):
    return {"plugins": {"privilege": {"grants": [" ".join((GATE, *words))]}}}


def granting(*words):
    return serving(server=lambda start: Server(config(*words), start=start))


def told(gate, host=DOMAIN, ns=P):
    got = gate.take("comp:message", from_=host, to=gate.domain)
    return {e.get("access"): dict(e.attrib) for e in got.find(f"{{{ns}}}privilege")}, got


def joined(s):
    gate = s.component().join()
    for host in (DOMAIN, OTHER):
        told(gate, host)
    return gate


def ask(gate, type, payload, to, id="g"):
    gate.send(f"<iq{attrs(type=type, id=id, from_=gate.domain, to=to)}>{payload}</iq>")


def result(gate, type, payload, to, id="g"):
    ask(gate, type, payload, to, id)
    return gate.take("comp:iq", type="result", id=id, from_=to)


def refused(gate, what, condition="forbidden", id="g"):
    got = gate.take(f"comp:{what}", type="error", id=id)
    assert child(got, "comp:error/stanzas:" + condition) is not None, condition


def item(jid, **more):
    return f"<query xmlns='{NS['roster']}'><item{attrs(jid=jid, **more)}/></query>"


def wrapped(message, ns=P):
    return f"<privilege xmlns='{ns}'><forwarded xmlns='{NS['forward']}'>{message}</forwarded></privilege>"


def say(gate, message, to=DOMAIN, id="g", ns=P):
    gate.send(f"<message{attrs(from_=gate.domain, to=to, id=id)}>{wrapped(message, ns)}</message>")


def message(from_, to, body, **more):
    return f"<message xmlns='jabber:client'{attrs(from_=from_, to=to, **more)}><body>{body}</body></message>"


def behind(gate):
    """What the component was to get before has come."""
    ask(gate, "get", f"<ping xmlns='{NS['ping']}'/>", DOMAIN, id="ping")
    return gate.take("comp:iq", id="ping")


def test_told():
    words = ("roster=both", "message=outgoing", "presence=roster", f"iq=both:{NS['version']}", "iq=get:urn:x")
    with granting(*words) as s:
        gate = s.component().join()
        for host in (DOMAIN, OTHER):
            perms, got = told(gate, host)
            assert perms["roster"] == {"access": "roster", "type": "both", "push": "true"}
            assert perms["message"]["type"] == "outgoing" and perms["presence"]["type"] == "roster"
            names = got.findall(f"{{{P}}}privilege/{{{P}}}perm/{{{P}}}namespace")
            assert [(n.get("ns"), n.get("type")) for n in names] == [(NS["version"], "both"), ("urn:x", "get")]
            old = {e.get("access"): e.get("type") for e in got.find(f"{{{OLD}}}privilege")}
            assert old == {"roster": "both", "message": "outgoing", "presence": "roster"}
        s.configure({"plugins": {"privilege": {"grants": [f"{GATE} roster=get push=false"]}}})
        s.reload()
        perms, _ = told(gate)
        assert perms["roster"] == {"access": "roster", "type": "get", "push": "false"}
        assert perms["message"]["type"] == perms["presence"]["type"] == "none" and "iq" not in perms
        alice = s.client("alice")
        say(gate, message(alice.bare, alice.bare, "x"))
        refused(gate, "message")


def test_rosters():
    with granting("roster=both") as s:
        gate, alice = joined(s), interested(s, "alice")
        result(gate, "set", item("romeo@far.example", name="Romeo"), alice.bare)
        got = alice.take("iq", type="set", has="roster:query")
        assert child(got, "roster:query/roster:item").get("name") == "Romeo"
        push = gate.take("comp:iq", type="set", from_=alice.bare, to=GATE)
        assert child(push, "roster:query/roster:item").get("jid") == "romeo@far.example"
        alice.result("set", item("juliet@far.example"))
        push = gate.take("comp:iq", type="set", from_=alice.bare)
        assert child(push, "roster:query/roster:item").get("jid") == "juliet@far.example"
        got = result(gate, "get", ROSTER, alice.bare)
        assert sorted(i.get("jid") for i in children(got, "roster:query/roster:item")) == ["juliet@far.example", "romeo@far.example"]
        ask(gate, "get", ROSTER, f"nobody@{DOMAIN}", id="n")
        refused(gate, "iq", "service-unavailable", id="n")
        assert s.metrics()["meerkat_privilege_granted_requests_total"] >= 2


def test_rosters_of_those_who_are_away():
    with granting("roster=both") as s:
        gate = joined(s)
        away = f"{s.account('away')}@{DOMAIN}"
        result(gate, "set", item("romeo@far.example"), away)
        gate.take("comp:iq", type="set", from_=away)
        assert len(children(result(gate, "get", ROSTER, away), "roster:query/roster:item")) == 1


def test_rosters_refused():
    for words, good, bad in ((["roster=get"], "get", "set"), (["roster=set"], "set", "get"), (["message=outgoing"], None, "get")):
        with granting(*words) as s:
            gate, alice = joined(s), interested(s, "alice")
            payload = {"get": ROSTER, "set": item("romeo@far.example")}
            ask(gate, bad, payload[bad], alice.bare)
            refused(gate, "iq")
            if good:
                result(gate, good, payload[good], alice.bare)
            if bad == "get":  # who may not read is not told
                alice.result("set", item("juliet@far.example"))
                behind(gate)
                assert not [e for e in gate.queue if e.get("type") == "set"], gate.queue
            assert s.metrics()["meerkat_privilege_refused_stanzas_total"] == 1


def test_without_a_grant():
    with serving(server=lambda start: Server({"plugins": {"privilege": {"grants": ["else.example roster=both message=outgoing"]}}}, start=start)) as s:
        gate, alice = s.component().join(), s.client("alice")
        ask(gate, "get", ROSTER, alice.bare)
        refused(gate, "iq", "service-unavailable")
        say(gate, message(alice.bare, alice.bare, "x"))
        refused(gate, "message")
        alice.refused("get", ROSTER, "service-unavailable", f"{s.account('bob')}@{DOMAIN}")
        alice.send(f"<message to='{DOMAIN}' id='a'>{wrapped(message(alice.bare, alice.bare, 'x'))}</message>")
        alice.expect_bounce("message", "forbidden", id="a")


def test_messages():
    with granting("message=outgoing") as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        for ns in (P, OLD):
            say(gate, message(alice.bare, bob.jid, "hi", id="inner"), ns=ns)
            bob.expect("message", from_=alice.bare, body="hi", id="inner")
        say(gate, message(DOMAIN, bob.jid, "of the host"))
        bob.expect("message", from_=DOMAIN, body="of the host")
        wrong = (message(alice.jid, bob.jid, "resource"), message(f"a@{OTHER}", bob.jid, "another host"),
                 message("a@far.example", bob.jid, "x"), message(None, bob.jid, "x"), message(alice.bare, None, "x"),
                 f"<presence xmlns='jabber:client' from='{alice.bare}' to='{bob.jid}'/>", "")
        for i, m in enumerate(wrong):
            say(gate, m, id=f"w{i}")
            refused(gate, "message", id=f"w{i}")
        bob.expect_nothing()
        assert s.metrics()["meerkat_privilege_sent_messages_total"] == 3
        assert s.metrics()["meerkat_privilege_refused_stanzas_total"] == len(wrong)


def privileged(payload, type="get", inner="jabber:client", **more):
    return f"<privileged_iq xmlns='{P}'><iq xmlns='{inner}'{attrs(type=type, id='inner', **more)}>{payload}</iq></privileged_iq>"


def test_requests():
    """To another, to the host, and to the account itself: the answer is wrapped, an error too."""
    with granting(f"iq=get:{NS['version']}", f"iq=set:{NS['roster']}") as s:
        gate, alice, bob = joined(s), interested(s, "alice"), s.client("bob")
        ask(gate, "get", privileged(VERSION, to=bob.jid), alice.bare)
        got = bob.expect("iq", type="get", from_=alice.bare, to=bob.jid)
        bob.send(f"<iq type='result' id='{got.get('id')}' to='{alice.bare}'><query xmlns='{NS['version']}'><name>B</name></query></iq>")
        path = f"{{{P}}}privilege/{{{NS['forward']}}}forwarded/{{jabber:client}}iq"
        inner = gate.take("comp:iq", type="result", id="g", from_=alice.bare).find(path)
        assert dict(inner.attrib) == {"type": "result", "id": "inner", "from": bob.jid, "to": alice.bare}, inner.attrib
        assert inner[0][0].text == "B"
        inner = result(gate, "get", privileged(VERSION, to=DOMAIN, from_=alice.bare), alice.bare).find(path)
        assert inner.get("type") == "result" and inner[0][0].text == "Meerkat"
        inner = result(gate, "get", privileged(VERSION, to=f"nobody@{DOMAIN}"), alice.bare).find(path)
        assert inner.get("type") == "error" and inner.get("id") == "inner"
        inner = result(gate, "set", privileged(item("romeo@far.example"), "set"), alice.bare).find(path)
        assert inner.get("type") == "result"
        alice.take("iq", type="set", has="roster:query")


def test_no_answer():
    """Of a client that is silent, also while the server ends."""
    with granting(f"iq=get:{NS['version']}") as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        ask(gate, "get", privileged(VERSION, to="@"), alice.bare, id="j")
        refused(gate, "iq", "jid-malformed", id="j")
        ask(gate, "get", privileged(VERSION, to=bob.jid), alice.bare)
        bob.take("iq", type="get")
        got = gate.take("comp:iq", timeout=40, type="error", id="g")
        assert child(got, "comp:error/stanzas:remote-server-timeout") is not None
        ask(gate, "get", privileged(VERSION, to=bob.jid), alice.bare)
        bob.take("iq", type="get")
        s.stop()


def test_requests_refused():
    with granting(f"iq=get:{NS['version']}", f"iq=set:{NS['time']}") as s:
        gate, alice, bob = joined(s), s.client("alice"), s.client("bob")
        time = f"<time xmlns='{NS['time']}'/>"
        wrong = (("get", privileged(time, to=bob.jid)), ("set", privileged(VERSION, "set", to=bob.jid)),
                 ("get", privileged("<a xmlns='urn:none'/>", to=bob.jid)), ("set", privileged(VERSION, to=bob.jid)),
                 ("get", privileged(VERSION, to=bob.jid, from_=bob.bare)), ("get", privileged(VERSION, to=bob.jid, from_=alice.jid)),
                 ("get", privileged(VERSION, to=bob.jid, inner="urn:other")),
                 ("get", privileged("", to=bob.jid)), ("get", f"<privileged_iq xmlns='{P}'/>"))
        for i, (type, payload) in enumerate(wrong):
            ask(gate, type, payload, alice.bare, id=f"w{i}")
            refused(gate, "iq", id=f"w{i}")
        ask(gate, "get", privileged(VERSION, to=bob.jid), DOMAIN)
        refused(gate, "iq")
        bob.expect_nothing()


def test_presence():
    with granting("presence=managed_entity") as s:
        gate, alice = joined(s), s.client("alice")
        gate.take("comp:presence", from_=alice.jid, to=GATE, type=None)  # a client of these tests becomes available
        alice.presence(payload="<show>away</show>")
        alice.presence(type="unavailable")
        gate.expect("comp:presence", from_=alice.jid, type="unavailable")  # what was between is not for it
        alice.presence()
        gate.expect("comp:presence", from_=alice.jid, type=None)
        alice.drop()
        gate.expect("comp:presence", from_=alice.jid, type="unavailable")
        bob = s.client("bob")
        gate.expect("comp:presence", from_=bob.jid)
        s.ctl("components", "close", GATE)
        gate.expect_closed()
        gate = joined(s)
        gate.take("comp:presence", from_=bob.jid, to=GATE, type=None)  # one that comes later learns it too


def test_no_presence():
    with granting("roster=both", "push=false") as s:
        gate, alice = joined(s), interested(s, "alice")
        alice.presence()
        alice.result("set", item("romeo@far.example"))
        behind(gate)
        assert not gate.queue, "neither presence nor pushes"


def test_presence_of_contacts():
    with granting("roster=get", "push=false", "presence=roster") as s:
        gate, alice, bob = joined(s), interested(s, "alice"), interested(s, "bob", domain=OTHER)
        befriend(alice, bob)
        bob.presence(payload="<status>here</status>")
        alice.take("presence", from_=bob.jid, has="status")
        got = gate.take("comp:presence", from_=bob.jid, to=GATE, has="comp:status")
        assert child(got, "comp:status").text == "here"


def test_wrong_configuration():
    for entry, says in (("", "names no component"), (f"{GATE} roster=all", "has a word"), (f"{GATE} iq=get:", "has a word"),
                        (f"{GATE} presence=roster", "which needs roster"), (f"{GATE} push=true", "which needs roster")):
        with Server({"plugins": {"privilege": {"grants": [entry]}}}, start=False) as s:
            said = s.refuses_to_start()
            assert says in said, said


@contextlib.contextmanager
def slixmpp(s, account):
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "slix_privilege.py"), GATE, SECRET, str(s.component_port), DOMAIN, account],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def test_slixmpp():
    with granting("roster=both", "message=outgoing") as s:
        alice = interested(s, "alice")
        alice.result("set", item("romeo@far.example"))
        with slixmpp(s, alice.bare) as process:
            assert process.stdout.readline() == "both outgoing\n"
            assert process.stdout.readline() == "romeo@far.example\n"
            alice.take("message", from_=alice.bare, body="in your name")
