# SPDX-License-Identifier: Apache-2.0
"""Whom the accounts of a host may not talk to, or may talk to alone."""
from element import NS, children
from server import DOMAIN, OTHER, Server
from test_adhoc import admin
from test_admin_service import asked, done
from test_roster import befriend

CONFIG = {"plugins": {"accounts": {}, "access_lists": {}, "admin": {}}}
SQLITE = True
PING = f"<ping xmlns='{NS['ping']}'/>"


def entries(server, which):
    return [r["jid"] for r in server.ctl_json("access", "show", which, f"host={DOMAIN}")]


def change(server, *words):
    server.ctl("access", *words, f"host={DOMAIN}")


def people(server):
    """One of the host that has lists, and one of another host."""
    return server.client("alice"), server.client("bob", domain=OTHER)


def stopped(server, a, b):
    """Nothing passes between A, whose host has the list, and B."""
    server.wait_until("it is known", lambda: bounced(a, b))
    a.message(b.jid, "hello", id="out")
    a.expect_bounce("message", "not-acceptable", id="out")
    b.message(a.jid, "hello", id="in")
    b.expect_bounce("message", "service-unavailable", id="in")
    b.refused("get", PING, "service-unavailable", a.jid)
    b.presence(to=a.jid)
    a.presence(to=b.jid)
    a.presence(to=b.bare, type="subscribe")
    b.presence(to=a.bare, type="subscribe")
    a.expect_nothing()
    b.expect_nothing()


def bounced(a, b):
    """Whether a request of A to B is refused at once; else B gets it, and nobody answers."""
    id = a.ask("get", PING, b.jid)
    mark = a.ask("get", PING, DOMAIN)
    a.take("iq", id=mark, from_=DOMAIN)
    refused = [e for e in a.queue if getattr(e, "get", None) and e.get("id") == id]
    if refused:
        a.take("iq", id=id, type="error")
    else:
        b.take("iq", id=id)
    return bool(refused)


def passes(a, b):
    a.message(b.jid, "hello")
    b.take("message", body="hello")
    b.message(a.jid, "hello")
    a.take("message", body="hello")


def test_black(server):
    for form in ("{0.jid}", "{0.bare}", "{0.domain}"):
        a, b = people(server)
        passes(a, b)
        entry = form.format(b)
        change(server, "add", "black", entry)
        assert entries(server, "black") == [entry]
        stopped(server, a, b) if form != "{0.jid}" else full_jid(server, a, b)
        change(server, "remove", "black", entry)
        server.wait_until("it is known", lambda: not bounced(a, b))
        passes(a, b)


def full_jid(server, a, b):
    """The other resources are not on the list."""
    other = server.client(user=b.user, domain=b.domain, resource="other")
    server.wait_until("it is known", lambda: bounced(a, b))
    passes(a, other)


def test_own_host_and_self(server):
    a, b = server.client("alice"), server.client("bob")
    change(server, "add", "black", DOMAIN)
    server.wait_until("it is known", lambda: bounced(a, b))
    a.result("get", PING, DOMAIN)
    a.result("get", f"<query xmlns='{NS['roster']}'/>")
    a.message(a.bare, "to myself")
    a.take("message", body="to myself")
    change(server, "remove", "black", DOMAIN)
    server.wait_until("it is known", lambda: not bounced(a, b))


def test_presence_of_contacts(server):
    a, b = people(server)
    befriend(a, b)
    change(server, "add", "black", b.bare)
    server.wait_until("it is known", lambda: bounced(a, b))
    b.skip(b)
    a.presence("<status>secret</status>")
    b.quiet(b)
    c = server.client(user=a.user)
    b.quiet(b)
    c.end()
    change(server, "remove", "black", b.bare)


def test_white(server):
    a, b = people(server)
    change(server, "add", "white", "friend.example")
    stopped(server, a, b)
    change(server, "add", "white", b.domain)
    server.wait_until("it is known", lambda: not bounced(a, b))
    passes(a, b)
    change(server, "add", "black", b.bare)
    server.wait_until("black comes first", lambda: bounced(a, b))
    change(server, "set", "white")
    change(server, "set", "black")
    assert entries(server, "white") == entries(server, "black") == []
    server.wait_until("the lists are empty", lambda: not bounced(a, b))


def test_kept(server):
    with Server(CONFIG, sqlite=True) as s:
        s.ctl("access", "add", "black", OTHER, f"host={DOMAIN}")
        s.restart()
        stopped(s, *people(s))


def test_refused(server):
    for words in (("add", "grey", "x.example"), ("add", "black", "a b@"), ("remove", "black", "nobody.example"),
                  ("show", "grey"), ("set", "black", "jids=a b@")):
        code, _, err = server.ctl("access", *words, f"host={DOMAIN}", check=False)
        assert code and err, words


def test_by_clients(server):
    """XEP-0133, 4.11 and 4.12."""
    a = admin(server)
    for name, var, which in (("edit-blacklist", "blacklistjids", "black"), ("edit-whitelist", "whitelistjids", "white")):
        change(server, "add", which, "old.example")
        _, fields = asked(a, name)
        assert [v.text for v in children(fields[var], "x:value")] == ["old.example"]
        done(a, name, **{var: ["new.example", f"someone@{OTHER}"]})
        assert entries(server, which) == ["new.example", f"someone@{OTHER}"]
        done(a, name, **{var: []})
        assert entries(server, which) == []
