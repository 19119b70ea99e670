# SPDX-License-Identifier: Apache-2.0
"""Client state indication (XEP-0352)."""
from element import NS, child, children, show
from server import DOMAIN, Server
from test_carbons import ENABLE
from test_stream_mgmt import back

ACTIVE, INACTIVE = f"<active xmlns='{NS['csi']}'/>", f"<inactive xmlns='{NS['csi']}'/>"
COMPOSING, PAUSED = (f"<{s} xmlns='{NS['states']}'/>" for s in ("composing", "paused"))


def event(node, item, retract=False):
    inner = f"<retract id='{item}'/>" if retract else f"<item id='{item}'/>"
    return f"<event xmlns='{NS['event']}'><items node='{node}'>{inner}</items></event>"


def sleeper(server, name="bob", **how):
    """A client that was told all there is, and is inactive."""
    c = server.client(name, **how)
    sleep(c)
    return c


def sleep(client):
    client.send(INACTIVE)
    client.expect_nothing()


def say(sender, client, *sent):
    """SENT goes out, and the account of CLIENT has got it: an iq comes for it, and lets go of what was held.  Returns what
    came before."""
    for stanza in sent:
        sender.stanza(stanza)
    sender.ask("get", "<query xmlns='urn:example:mark'/>", client.jid, id="mark")
    got = []
    while (e := client.next()).get("id") != "mark":
        got.append(e)
    return got


def state(client, what, **more):
    extra = "".join(f" {k}='{v}'" for k, v in more.items())
    return f"<message to='{client.jid}' type='chat'{extra}>{what}</message>"


def available(client, show):
    return f"<presence to='{client.jid}'><show>{show}</show></presence>"


def test_feature(server):
    assert child(server.client().features, "csi:csi") is not None


def test_presence_waits(server):
    alice, bob = server.client("alice"), sleeper(server)
    got = say(alice, bob, available(bob, "away"), available(bob, "dnd"))
    assert [child(e, "show").text for e in got] == ["dnd"], "the last of them, when something important comes"


def test_active_lets_go_before_anything_else(server):
    """What the client says after <active/> is handled after what was held is out."""
    alice, carol, bob = server.client("alice"), server.client("carol"), server.client("bob")
    observer = server.more(bob)
    sleep(bob)
    alice.stanza(available(bob, "away"))
    carol.stanza(available(bob, "away"))
    observer.quiet(carol)
    alice.stanza(available(bob, "xa"))
    observer.quiet(alice)
    bob.send(ACTIVE + f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='{NS['ping']}'/></iq>")
    bob.expect("presence", from_=carol.jid)
    bob.expect("presence", from_=alice.jid)
    bob.expect("iq", id="p")
    alice.stanza(available(bob, "chat"))
    bob.expect("presence", from_=alice.jid)


def test_states_give_way(server):
    alice, bob = server.client("alice"), sleeper(server)
    got = say(alice, bob, state(bob, COMPOSING, id="1"), state(bob, PAUSED, id="2"), state(bob, COMPOSING, id="3"))
    assert [e.get("id") for e in got] == ["3"]


def test_message_ends_the_typing(server):
    alice, carol, bob = server.client("alice"), server.client("carol"), server.client("bob")
    observer = server.more(bob)
    sleep(bob)
    carol.stanza(state(bob, COMPOSING, id="carol"))
    alice.stanza(state(bob, COMPOSING + "<thread>t</thread><no-store xmlns='urn:xmpp:hints'/>", id="alice"))
    observer.quiet(carol)
    alice.message(bob.jid, "hello", id="m")
    bob.expect("message", id="carol")
    bob.expect("message", id="m")


def test_important(server):
    """Each of these comes at once."""
    alice, bob = server.client("alice"), sleeper(server)
    for i, (kind, payload) in enumerate((
            ("chat", "<body>hello</body>"), ("normal", "<body>hello</body>"), ("groupchat", "<body>hello</body>"),
            ("headline", "<body>hello</body>"), ("chat", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>"),
            ("chat", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>"),
            ("normal", "<x xmlns='jabber:x:conference' jid='r@m'/>"),
            ("normal", "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>"),
            ("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>"),
            ("chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"),
            ("chat", COMPOSING + "<body>hello</body>"),
            ("error", COMPOSING),
            ("headline", "<event xmlns='http://jabber.org/protocol/pubsub#event'><purge node='n'/></event>"))):
        alice.message(bob.jid, type=kind, payload=payload, id=str(i))
        bob.expect("message", id=str(i))
    alice.presence(to=bob.bare, type="subscribe")
    bob.take("presence", type="subscribe")
    alice.presence("<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", bob.jid, "error")
    bob.expect("presence", type="error")
    alice.presence("<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>", bob.jid)
    bob.expect("presence", from_=alice.jid)


def test_events(server):
    """The last of each item of each node."""
    alice, bob = server.client("alice"), sleeper(server)

    def headline(id, payload):
        return f"<message to='{bob.jid}' type='headline' id='{id}'>{payload}</message>"

    got = say(alice, bob, headline("1", event("tune", "now")), headline("2", event("rooms", "a")),
              headline("3", event("tune", "now")), headline("4", event("rooms", "b")),
              headline("5", event("rooms", "a", retract=True)))
    assert [e.get("id") for e in got] == ["3", "4", "5"]


def test_carbons(server):
    """One of a message is important, one of a chat state is not."""
    alice, one = server.client("alice"), server.client("bob")
    other = server.more(one)
    other.result("set", ENABLE)
    sleep(other)
    one.stanza(f"<message to='{alice.jid}' type='chat'>{COMPOSING}</message>")
    alice.expect("message")
    alice.message(one.jid, type="chat", payload=PAUSED)
    one.expect("message")
    alice.message(one.jid, type="chat", payload=COMPOSING)
    one.expect("message")
    one.message(other.jid, "now")
    first, second = other.expect("message", has="carbons:sent"), other.expect("message", has="carbons:received")
    where = "carbons:received/forward:forwarded/message/states:composing"
    assert child(second, where) is not None, "the last of Alice's"
    assert child(first, "carbons:sent/forward:forwarded/message/states:composing") is not None
    other.expect("message", body="now")
    one.stanza(f"<message to='{alice.jid}' type='chat'>{COMPOSING}</message>")
    one.message(alice.jid, "hi")
    sent = other.expect("message", has="carbons:sent/forward:forwarded/message/body")
    assert child(sent, "carbons:sent/forward:forwarded/message/body").text == "hi", "it dropped the typing before it"


def test_second_inactive_keeps_what_is_held(server):
    alice, bob = server.client("alice"), server.client("bob")
    observer = server.more(bob)
    sleep(bob)
    alice.stanza(available(bob, "away"))
    observer.quiet(alice)
    bob.send(INACTIVE + ACTIVE)
    bob.expect("presence", from_=alice.jid)


def test_active_without_inactive(server):
    alice, bob = server.client("alice"), server.client("bob")
    bob.send(ACTIVE)
    alice.stanza(available(bob, "away"))
    bob.expect("presence", from_=alice.jid)
    bob.quiet(alice)


def test_bounded(server):
    with Server({"plugins": {"csi": {"max_held": 3, "max_bytes": "2K"}}}) as server:
        alice, bob = server.client("alice"), sleeper(server)
        for n in range(4):
            alice.message(bob.jid, type="headline", id=str(n), payload=event("n", n))
        for n in range(4):
            bob.expect("message", id=str(n))
        alice.stanza(f"<presence to='{bob.jid}'><status>{'x' * 3000}</status></presence>")
        bob.expect("presence", from_=alice.jid)


def test_before_bind(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.starttls()
    c.authenticate()
    c.send(INACTIVE)
    c.expect_error("unsupported-stanza-type")


def test_wrong_element(server):
    c = server.client()
    c.send(f"<dormant xmlns='{NS['csi']}'/>")
    c.expect_error("unsupported-stanza-type")


def test_acks_while_inactive(server):
    """What is held was not sent: no ack is asked for it, and the server still answers."""
    alice, bob = server.client("alice"), server.client("bob")
    observer = server.more(bob)
    bob.enable(auto=False)
    bob.send(INACTIVE)
    for show in ("away", "dnd", "xa", "chat"):
        alice.stanza(available(bob, show))
    observer.quiet(alice)
    bob.send(f"<r xmlns='{NS['sm']}'/>")
    bob.expect("sm:a", h="0")
    bob.send(ACTIVE + f"<r xmlns='{NS['sm']}'/>")
    bob.expect("presence", from_=alice.jid)
    bob.expect("sm:a", h="0")
    bob.ack()
    alice.message(bob.jid, "hi")
    bob.expect("message", body="hi")
    bob.ack()
    bob.expect_nothing()


def test_resumed_stream_is_active(server):
    alice, bob = server.client("alice"), server.client("bob")
    observer = server.more(bob)
    bob.enable(auto=True)
    bob.send(INACTIVE)
    alice.stanza(available(bob, "away"))
    observer.quiet(alice)
    bob.drop()
    alice.stanza(state(bob, COMPOSING))
    alice.stanza(available(bob, "dnd"))
    observer.quiet(alice)
    new = back(server, bob)
    new.expect("message", has="states:composing")
    new.expect("presence", from_=alice.jid, has="show")
    alice.stanza(available(new, "xa"))
    new.expect("presence", from_=alice.jid)


def test_held_goes_with_the_session(server):
    alice, bob = server.client("alice"), server.client("bob")
    observer = server.more(bob)
    sleep(bob)
    alice.stanza(available(bob, "away"))
    observer.quiet(alice)
    bob.end()
    observer.expect("presence", from_=bob.jid, type="unavailable")
    again = server.client(user=bob.user, resource=bob.resource)
    again.expect("presence", from_=observer.jid)
    again.quiet(alice)


def test_bind2(server):
    """Offered and obeyed while a resource is bound (XEP-0386)."""
    alice, bob = server.client("alice"), server.connect(user=server.account("bob"), password="secret")
    bob.open()
    bob.starttls()
    where = "sasl2:authentication/sasl2:inline/bind2:bind/bind2:inline/bind2:feature"
    assert NS["csi"] in [f.get("var") for f in children(bob.features, where)], show(bob.features)
    bob.login2(bind=INACTIVE)
    assert [e.get("id") for e in say(alice, bob, state(bob, COMPOSING, id="1"), state(bob, PAUSED, id="2"))] == ["2"]
