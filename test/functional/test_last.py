# SPDX-License-Identifier: Apache-2.0
"""Last activity (XEP-0012)."""
from element import NS, child, children
from server import DOMAIN, OTHER, Server
from test_roster import befriend

NS["last"] = "jabber:iq:last"
CONFIG = {"plugins": {"last": {"max_status": 20}}}
SQLITE = True
QUERY = "<query xmlns='jabber:iq:last'/>"


def asked(client, to):
    """(seconds, status)"""
    got = child(client.result("get", QUERY, to), "last:query")
    return int(got.get("seconds")), got.text


def friends(server):
    a, b = server.client("alice"), server.client("bob")
    befriend(a, b)
    return a, b


def leave(client, watcher, status=None):
    client.presence(f"<status>{status}</status>" if status else "", type="unavailable")
    watcher.take("presence", type="unavailable", from_=client.jid)
    client.end()


def test_features(server):
    c = server.client()
    for to in (DOMAIN, c.bare):
        info = c.result("get", f"<query xmlns='{NS['info']}'/>", to)
        assert NS["last"] in [f.get("var") for f in children(info, "info:query/info:feature")]


def test_server(server):
    seconds, text = asked(server.client(), DOMAIN)
    assert 0 <= seconds < 600 and text is None
    assert asked(server.client(), OTHER)[0] < 600


def test_friend(server):
    a, b = friends(server)
    assert asked(a, b.bare) == (0, None)
    other = server.more(b)
    a.take("presence", from_=other.jid)
    leave(b, a, "gone")
    assert asked(a, b.bare) == (0, None), "one session is left"
    leave(other, a, "Heading home")
    seconds, text = asked(a, b.bare)
    assert seconds < 60 and text == "Heading home"


def test_status_is_of_the_last_time(server):
    a, b = friends(server)
    b.presence("<status>for a moment</status>", type="unavailable")
    a.take("presence", type="unavailable", from_=b.jid)
    b.presence("<status>here</status>")
    a.take("presence", from_=b.jid)
    b.end()
    a.take("presence", type="unavailable", from_=b.jid)
    assert asked(a, b.bare)[1] is None
    b = server.client(user=b.user)
    a.take("presence", from_=b.jid)
    leave(b, a, "x" * 21)
    assert asked(a, b.bare)[1] is None, "too long to be kept"


def test_strangers(server):
    a, b = server.client("alice"), server.client("bob")
    for to in (b.bare, b.jid):
        a.refused("get", QUERY, "forbidden", to, "auth")
    b.expect_nothing()
    b.end()
    a.refused("get", QUERY, "forbidden", b.bare, "auth")
    a.refused("get", QUERY, "service-unavailable", f"nobody@{DOMAIN}")


def test_one_way(server):
    """Who sees the other's presence may ask, not the other way round."""
    a, b = server.client("alice"), server.client("bob")
    a.presence(to=b.bare, type="subscribe")
    b.take("presence", type="subscribe")
    b.presence(to=a.bare, type="subscribed")
    a.take("presence", type="subscribed")
    assert asked(a, b.bare)[0] == 0
    b.refused("get", QUERY, "forbidden", a.bare)
    b.refused("get", QUERY, "forbidden", a.jid)


def test_session_answers_itself(server):
    a, b = friends(server)
    id = a.ask("get", QUERY, b.jid)
    got = b.take("iq", type="get", has="last:query")
    b.send(f"<iq type='result' id='{id}' to='{got.get('from')}'><query xmlns='jabber:iq:last' seconds='77'/></iq>")
    assert child(a.take("iq", id=id), "last:query").get("seconds") == "77"
    hidden = server.client(user=b.user, available=False)
    a.refused("get", QUERY, "forbidden", hidden.jid)
    id = b.ask("get", QUERY, hidden.jid)
    hidden.expect("iq", type="get", id=id)


def test_self(server):
    c = server.client()
    assert asked(c, c.bare) == (0, None)


def test_never_here(server):
    a, user = server.client("alice"), server.account("bob")
    server.control("roster.add", account=f"{user}@{DOMAIN}", contact=a.bare, subscription="both")
    a.refused("get", QUERY, "item-not-found", f"{user}@{DOMAIN}")


def test_restart_and_crash(server):
    with Server(CONFIG, sqlite=True) as s:
        a, b = friends(s)
        leave(b, a, "good night")
        assert asked(a, b.bare)[1] == "good night"
        s.restart()
        a = s.client(user=a.user)
        assert asked(a, b.bare)[1] == "good night"
        b = s.client(user=b.user)
        a.take("presence", from_=b.jid)
        b.result("set", "<query xmlns='jabber:iq:roster'><item jid='x@x.example'/></query>")  # is durable: so is the login
        s.kill()
        s.start()
        a = s.client(user=a.user)
        seconds, text = asked(a, b.bare)
        assert seconds < 120 and text is None


def test_commands(server):
    c = server.client(domain=OTHER)
    got = server.control("last.show", account=c.bare)[0]
    assert got["online"] and got["login"] and not got["logout"]
    watcher = server.more(c)
    leave(c, watcher, "bye")
    c = watcher
    c.presence("<status>bye</status>", type="unavailable")
    c.end()
    got = server.control("last.show", account=c.bare)[0]
    assert not got["online"] and got["logout"] and got["status"] == "bye"
    assert server.ctl("last", "show", "--account", f"nobody@{OTHER}", check=False)[0] != 0
    assert server.control("last.active", host=OTHER, days=1) == [{"accounts": 1}]
    assert server.control("last.idle", host=OTHER, days=1) == []
    assert [r["account"] for r in server.control("last.idle", host=OTHER, days=0)] == [c.bare]
    assert server.ctl("last", "idle", "--host", OTHER, "--days", "-1", check=False)[0] != 0
