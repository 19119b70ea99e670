# SPDX-License-Identifier: Apache-2.0
"""Announcements and the message of the day."""
from element import text
from server import DOMAIN, OTHER, Server


def admin(server, **how):
    if not server.exists(f"admin@{DOMAIN}"):
        server.control("users.add", account=f"admin@{DOMAIN}", password="secret")
    return server.client(user="admin", **how)


def announced(client, body, subject=None):
    got = client.expect("message", body=body, from_=DOMAIN)
    assert text(got, "subject") == subject
    return got


def test_online(server):
    """To all who are there, on this host only."""
    with Server() as s:
        a, b, other = s.client("a"), s.client("b"), s.client("other", domain=OTHER)
        invisible = s.client("invisible", available=False)
        s.ctl("announce", "online", f"host={DOMAIN}", "subject=Maintenance", "body=Back at <noon> & later")
        for c in (a, b):
            announced(c, "Back at <noon> & later", "Maintenance")
        for c in (other, invisible):
            c.expect_nothing()


def test_by_message(server):
    with Server() as s:
        chief, a = admin(s), s.client("a")
        chief.message(f"{DOMAIN}/announce/online", "hello all", payload="<subject>Hi</subject>")
        announced(a, "hello all", "Hi")
        announced(chief, "hello all", "Hi")


def test_not_by_others(server):
    a, b = server.client("a"), server.client("b")
    for what in ("online", "motd", "motd/update", "motd/delete"):
        a.message(f"{DOMAIN}/announce/{what}", "buy now", id="m")
        a.expect_bounce("message", "forbidden", id="m")
    b.expect_nothing()


def test_empty(server):
    chief = admin(server)
    chief.message(f"{DOMAIN}/announce/online", id="m")
    chief.expect_bounce("message", "bad-request", id="m")


def test_motd(server):
    """Each account gets it once; those online at once; a new one again."""
    with Server(sqlite=True) as s:
        online, late = s.client("online"), s.account("late")
        s.ctl("motd", "set", f"host={DOMAIN}", "body=first")
        announced(online, "first")
        s.more(online).expect_nothing()
        c = s.client(user=late)
        announced(c, "first")
        c.end()
        s.restart()
        c = s.client(user=late)
        c.expect_nothing()
        s.ctl("motd", "update", f"host={DOMAIN}", "body=corrected")
        c.expect_nothing()
        announced(s.client("new"), "corrected")
        assert "corrected" in s.ctl("motd", "show", f"host={DOMAIN}")
        s.ctl("motd", "set", f"host={DOMAIN}", "body=second")
        announced(c, "second")
        s.ctl("motd", "delete", f"host={DOMAIN}")
        s.client("newer").expect_nothing()
        assert s.ctl("motd", "show", f"host={DOMAIN}", check=False)[0] == 1


def test_motd_by_message(server):
    with Server() as s:
        chief = admin(s)
        chief.message(f"{DOMAIN}/announce/motd", "of the day")
        announced(chief, "of the day")
        announced(s.client("a"), "of the day")
        chief.message(f"{DOMAIN}/announce/motd/delete")
        chief.expect_nothing()
        s.client("b").expect_nothing()
        chief.message(f"{DOMAIN}/announce/motd/delete", id="m")
        chief.expect_bounce("message", "item-not-found", id="m")


def test_welcome(server):
    server.control("welcome.set", host=DOMAIN, subject="Hello", body="Read the rules.")
    try:
        assert server.control("welcome.show", host=DOMAIN)[0] == {"subject": "Hello", "body": "Read the rules."}
        c = server.client(available=False)
        c.presence(priority=-1)
        c.take("presence", from_=c.jid)
        c.presence()
        got = c.take("message", body="Read the rules.", from_=DOMAIN)
        assert text(got, "subject") == "Hello"
        again = server.client(user=c.user, resource=c.resource)
        again.expect_nothing()
    finally:
        server.control("welcome.delete", host=DOMAIN)
    code, _, said = server.ctl("welcome", "show", f"host={DOMAIN}", check=False)
    assert code != 0 and "no welcome" in said
    server.client().expect_nothing()
