# SPDX-License-Identifier: Apache-2.0
"""Clients over BOSH (XEP-0124, XEP-0206)."""
import hashlib

import web
from element import NS, child, text
from server import DOMAIN
from test_stream_mgmt import metric
from web import Bosh, BoshClient, Http, WsClient, body

CONFIG = web.config({"bosh": {"inactivity": "3s", "polling": "2s", "max_pause": "10s"}, "websocket": {}})
COST = 8
PING = f"<iq xmlns='jabber:client' type='get' id='ping' to='{DOMAIN}'><ping xmlns='{NS['ping']}'/></iq>"


def client(server, user="alice", kind="http", **wishes):
    return BoshClient(DOMAIN, server.account(user), "secret", kind=kind, **wishes).login()


def test_login_and_chat(server):
    for kind in ("http", "https"):
        a, b = client(server, kind=kind).available(), server.client("bob")
        for i in range(20):
            a.message(b.jid, f"to tcp {i} <&'\"> ✓")
            b.message(a.jid, f"to bosh {i} <&'\"> ✓")
        for i in range(20):
            assert text(b.expect("message", from_=a.jid), "body") == f"to tcp {i} <&'\"> ✓"
            assert text(a.expect("message", from_=b.jid), "body") == f"to bosh {i} <&'\"> ✓"
        big = "x" * 100000
        a.message(b.jid, big, payload="<x xmlns='urn:other'><y xmlns=''/><z xmlns='jabber:client'/></x>")
        got = b.expect("message")
        assert text(got, "body") == big and got.find("{urn:other}x/y") is not None
        assert got.find("{urn:other}x/{jabber:client}z") is not None
        b.message(a.jid, big)
        assert text(a.expect("message"), "body") == big
        c = client(server, "carol", kind=kind, hold=2, content="text/xml; charset=utf-8")
        a.message(c.jid, "both here")
        assert text(c.expect("message"), "body") == "both here"
        for x in (a, b, c):
            x.end()


def test_many_log_in(server):
    """Sessions that move to all workers while requests come on all of them."""
    all = [client(server, f"user{i}") for i in range(12)]
    for one, other in zip(all, all[1:] + all[:1]):
        one.message(other.jid, "round")
        assert text(other.expect("message", from_=one.jid), "body") == "round"
    for one in all:
        one.end()


def test_creation(server):
    b = Bosh(Origin="https://chat.example")
    found = b.begin(wait=10, hold=1, ack=1)
    said = {k: found.get(k) for k in ("wait", "hold", "requests", "inactivity", "maxpause", "from", "ver", "ack")}
    assert said == {"wait": "10", "hold": "1", "requests": "2", "inactivity": "3", "maxpause": "10", "from": DOMAIN,
                    "ver": "1.11", "ack": "1000"}, said
    assert found.get("authid") and found.get(f"{{{NS['xbosh']}}}restartlogic") == "true"
    assert child(found, "stream:features") is not None
    many = Bosh().begin(hold=100, wait=1000000)
    assert (many.get("hold"), many.get("requests"), many.get("wait")) == ("2", "3", "60")
    polls = Bosh().begin(hold=0)
    assert (polls.get("requests"), polls.get("polling")) == ("1", "2")


def test_creation_refused(server):
    def refused(condition, **values):
        b = Bosh()
        found = b.ask(**{"rid": 1, "to": DOMAIN, "ver": "1.6", "wait": 1, "hold": 1, "version": "1.0", **values})
        assert (found.get("type"), found.get("condition")) == ("terminate", condition), web.ET.tostring(found)
        return found
    refused("host-unknown", to="nobody.example")
    refused("improper-addressing", to=None)
    refused("bad-request", rid="x")
    refused("bad-request", rid=0)
    refused("bad-request", rid=2**60)
    refused("bad-request", newkey="short")
    refused("item-not-found", sid="0.nothing")
    refused("item-not-found", sid="99.nothing")
    refused("item-not-found", sid="junk")
    error = refused("remote-stream-error", version="0.9")
    assert child(error, "stream:error/streams:unsupported-version") is not None
    old = Bosh().post(body(rid=1, wait=1)).answer()  # of a client that names no version of BOSH
    assert old.status == 200
    assert Bosh().post(body(rid="x", to=DOMAIN)).answer().status == 400


def test_too_many_sessions(server):
    """Each worker has its share of them; one that ends makes room."""
    server.configure({"plugins": {"bosh": {"max_sessions": 6}}})
    server.reload()
    begun = [(b := Bosh(), b.begin()) for _ in range(40)]
    kept = [b for b, found in begun if found.get("type") is None]
    assert 3 <= len(kept) <= 7, len(kept)
    assert {found.get("condition") for _, found in begun if found.get("type")} == {"remote-connection-failed"}
    for b in kept:
        assert b.done(b.next(type="terminate")).get("type") == "terminate"
    assert any(Bosh().begin().get("type") is None for _ in range(20)), "there is room again"
    server.configure({"plugins": {"bosh": {"max_sessions": 0}}})
    server.reload()


def test_http(server):
    h = Http()
    assert h.get("/http-bind").status == 200 and b"BOSH" in h.get("/http-bind").body
    preflight = h.get("/http-bind", method="OPTIONS", Origin="https://a.example",
                      Access_Control_Request_Headers="content-type")
    assert preflight.status == 200 and preflight["access-control-allow-origin"] == "*"
    assert preflight["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert preflight["access-control-allow-headers"] == "content-type"
    assert h.get("/http-bind", method="PUT", body="x").status == 405
    for wrong in ("", "x", "<body>", "<body/>", f"<x xmlns='{NS['body']}'/>", f"<!DOCTYPE x>{body()}", body() + body(),
                  "<body " * 1000):
        assert h.get("/http-bind", method="POST", body=wrong).status == 400, wrong[:50]
    h.get("/http-bind", method="POST", body=body(rid=1, to=DOMAIN), Origin="x")["access-control-allow-origin"] == "*"


def session(server, **wishes):
    """A session that is logged in, bare."""
    c = client(server, **wishes)
    assert not c.asked
    return c.bosh


def test_hold_and_wait(server):
    b = session(server, wait=1)
    held = b.next()
    second = b.next()  # more than are held: the first one is let go
    assert len(b.done(held)) == 0
    found = b.done(second)  # after its wait
    assert len(found) == 0 and found.get("type") is None
    held = b.next()
    answer = b.done(b.next(PING)), b.done(held)
    assert sum(len(a) for a in answer) == 1


def test_several_stanzas_in_a_body(server):
    b = session(server)
    pings = [PING.replace("'ping'", f"'p{i}'", 1) for i in range(5)]
    got = list(b.done(b.next("".join(pings))))
    while len(got) < 5:
        got += list(b.done(b.next()))
    assert [e.get("id") for e in got] == [f"p{i}" for i in range(5)]


def test_out_of_order(server):
    b = session(server, hold=2)
    second = b.post(body(PING.replace("'ping'", "'second'"), rid=b.rid + 2, sid=b.sid))
    first = b.post(body(PING.replace("'ping'", "'first'"), rid=b.rid + 1, sid=b.sid))
    b.rid += 2
    got = list(b.done(first)) + list(b.done(second)) if False else list(b.done(first))
    if len(got) < 2:
        got += list(b.done(second))
    assert [e.get("id") for e in got] == ["first", "second"]


def test_repeated_requests(server):
    before = metric(server.ctl("metrics"), "bosh_resent")
    b = session(server)
    got = b.done(b.next(PING))
    assert got[0].get("id") == "ping"
    again = b.done(b.post(body(PING, rid=b.rid, sid=b.sid)))
    assert web.ET.tostring(again) == web.ET.tostring(got)
    assert metric(server.ctl("metrics"), "bosh_resent") == before + 1
    held = b.next()
    second = b.post(body(rid=b.rid, sid=b.sid))  # the same, while it is held
    assert len(b.done(held)) == 0
    third = b.next(PING)
    got = list(b.done(second))
    if not got:
        got = list(b.done(third))
    assert [e.get("id") for e in got] == ["ping"]


def ended(b, h, condition):
    found = b.done(h)
    assert (found.get("type"), found.get("condition")) == ("terminate", condition), web.ET.tostring(found)
    gone = b.done(b.next())
    assert (gone.get("type"), gone.get("condition")) == ("terminate", "item-not-found")


def test_rids_out_of_the_window(server):
    b = session(server)
    ended(b, b.post(body(rid=b.rid + 3, sid=b.sid)), "item-not-found")
    b = session(server)
    ended(b, b.post(body(rid=1, sid=b.sid)), "item-not-found")
    b = session(server)
    held = b.next()
    wrong = b.post(body(rid=b.rid + 100, sid=b.sid))
    assert b.done(held).get("type") == "terminate"
    ended(b, wrong, "item-not-found")


def test_polling(server):
    b = Bosh()
    b.begin(hold=0)
    assert b.done(b.next()).get("type") is None
    ended(b, b.next(), "policy-violation")


def test_pause(server):
    b = session(server)
    held = b.next()
    found = b.done(b.next(pause=5)), b.done(held)
    assert all(f.get("type") is None for f in found)
    assert b.done(b.next(PING)).get("type") is None
    b = session(server)
    ended(b, b.next(pause=11), "policy-violation")


def test_inactivity(server):
    """A client that stays away is lost, and not before its pause is over."""
    friend, gone, paused = server.client("bob"), client(server, "carol", wait=1), session(server)
    gone.presence(to=friend.jid)
    friend.take("presence", from_=gone.jid, type=None)
    paused.done(paused.next(pause=9))
    gone.drop()
    friend.take("presence", from_=gone.jid, type="unavailable")
    assert paused.done(paused.next(PING)).get("type") is None
    friend.end()


def test_keys(server):
    chain = ["seed"]
    while len(chain) < 9:
        chain.append(hashlib.sha1(chain[-1].encode()).hexdigest())
    b = Bosh()
    b.begin(newkey=chain.pop())
    for _ in range(3):
        assert b.done(b.next(PING, key=chain.pop())).get("type") in (None, "terminate")
        break
    b = Bosh()
    keys = chain[:]
    b.begin(newkey=keys.pop())
    first = b.next(key=keys.pop())
    second = b.next(key=keys.pop(), newkey=chain[-1])
    assert b.done(first).get("type") is None
    third = b.next(key=chain[-2])
    assert b.done(second).get("type") is None
    ended(b, b.next(key="wrong"), "item-not-found")
    assert b.done(third).get("type") == "terminate"
    b = Bosh()
    b.begin(newkey=chain[-1])
    ended(b, b.next(), "item-not-found")


def test_acks_and_reports(server):
    b = session(server, hold=2, ack=1)
    first, second = b.next(ack=b.rid), b.next(ack=b.rid)
    missed, third = b.rid - 1, b.next(ack=b.rid)
    found = b.done(first)
    assert found.get("ack") == str(b.rid) and found.get("report") is None
    fourth = b.next(ack=missed - 1)  # that answer did not arrive, it says
    found = b.done(second)
    assert found.get("report") == str(missed) and int(found.get("time")) >= 0, web.ET.tostring(found)
    for h in (third, fourth):
        h.close()


def test_terminate(server):
    a, friend = client(server).available(), server.client("bob")
    friend.presence(to=None)
    held = a.bosh.next()
    said = f"<message xmlns='jabber:client' to='{friend.jid}'><body>last words</body></message>"
    found = a.bosh.done(a.bosh.next(said, type="terminate")), a.bosh.done(held)
    assert any(f.get("type") == "terminate" and f.get("condition") is None for f in found)
    assert text(friend.take("message", from_=a.jid), "body") == "last words"
    friend.end()


def test_stream_errors(server):
    user = server.account("alice")
    a = BoshClient(DOMAIN, user, "secret").login(resource="here")
    other = server.connect(DOMAIN, user, "secret").login(resource="here")
    a.expect_error("conflict")
    assert a.condition == "remote-stream-error"
    other.end()
    b = Bosh()
    b.begin()
    found = b.done(b.next("<nothing xmlns='urn:nothing'/>"))
    assert found.get("condition") == "remote-stream-error" and child(found, "stream:error/streams:not-authorized") is not None


def test_sasl2_and_resumption(server):
    """A session goes from BOSH to WebSocket to TCP; client state is as elsewhere."""
    friend = server.client("bob")
    a = BoshClient(DOMAIN, server.account("alice"), "secret", kind="https")
    a.open()
    a.login2()
    a.enable()
    a.send(f"<inactive xmlns='{NS['csi']}'/>")
    a.send(f"<active xmlns='{NS['csi']}'/>")
    friend.message(a.jid, "one")
    assert text(a.take("message"), "body") == "one"
    a.drop()
    friend.message(a.jid, "two")
    ws = WsClient(DOMAIN, a.user, a.password)
    ws.open()
    ws.authenticate()
    ws.resumed(a)
    assert text(ws.take("message"), "body") == "two"
    ws.drop()
    b = BoshClient(DOMAIN, a.user, a.password)
    b.open()
    b.authenticate()
    b.resumed(ws)
    friend.message(b.jid, "three")
    assert text(b.take("message"), "body") == "three"
    b.end()
    friend.end()


def test_wrong_password(server):
    c = BoshClient(DOMAIN, server.account("alice"), "wrong")
    c.open()
    c.scram("SCRAM-SHA-256")
    c.expect("sasl:failure", has=["sasl:not-authorized"])
    c.password = "secret"
    c.authenticate()
    c.bind()
    c.end()
