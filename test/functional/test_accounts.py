# SPDX-License-Identifier: Apache-2.0
"""Disabled and banned accounts, roles, and the last login."""
import datetime

from element import NS, child, show, text
from server import DOMAIN, OTHER, Server
from test_adhoc import LIST, command, complete, note
from test_clients import fast, first_login
from test_sasl import fresh
from test_stream_mgmt import managed
from xmpp import fail

CONFIG = {"plugins": {"accounts": {}}}


def login_refused(server, user, words, mechanism="SCRAM-SHA-256"):
    c = fresh(server, user)
    c.password = "secret"
    if mechanism == "SCRAM-SHA-256":
        c.scram(mechanism)
    else:
        c.auth("PLAIN", f"\0{user}\0secret".encode())
    failure = c.expect("sasl:failure", has="sasl:account-disabled")
    assert words in text(failure, "sasl:text"), show(failure)
    return c


def info(server, account):
    return server.ctl_json("users", "info", account)


def ended(client, condition, words=None):
    error = client.take("stream:error")
    if child(error, "streams:" + condition) is None or (words and words not in text(error, "streams:text")):
        fail(client, f"expected {condition}, but got {show(error)}")


def state_of(server, account):
    rows = server.ctl_json("users", "list", f"host={DOMAIN}")
    return next(r["state"] for r in rows if r["account"] == account)


# ---- disabled and banned

def test_disable(server):
    c = server.client()
    other = server.more(c)
    server.ctl("users", "disable", c.bare)
    for x in (c, other):
        ended(x, "not-authorized", "disabled")
    for mechanism in ("SCRAM-SHA-256", "PLAIN"):
        login_refused(server, c.user, "disabled", mechanism)
    assert state_of(server, c.bare) == "disabled" and info(server, c.bare)["state"] == "disabled"
    server.ctl("users", "enable", c.bare)
    assert state_of(server, c.bare) == "enabled"
    server.client(user=c.user)


def test_wrong_password_learns_nothing(server):
    user = server.account()
    server.ctl("users", "disable", f"{user}@{DOMAIN}")
    c = fresh(server, user)
    c.scram("SCRAM-SHA-256", password="wrong")
    c.expect("sasl:failure", has="sasl:not-authorized")


def test_refusals_are_not_guesses(server):
    """Who knows the password is not locked out for trying."""
    with Server({"plugins": {"accounts": {}}, "limits": {"failed_logins": 3}}) as s:
        user = s.account()
        s.ctl("users", "disable", f"{user}@{DOMAIN}")
        for _ in range(5):
            login_refused(s, user, "disabled")
        s.ctl("users", "enable", f"{user}@{DOMAIN}")
        s.client(user=user)


def test_ban(server):
    c = server.client()
    server.ctl("users", "ban", c.bare, "reason=Flooding the rooms")
    ended(c, "policy-violation", "Flooding the rooms")
    login_refused(server, c.user, "Flooding the rooms")
    got = info(server, c.bare)
    assert (got["state"], got["reason"], got["until"], got["sessions"]) == ("banned", "Flooding the rooms", "", 0), got
    assert got["since"]
    server.ctl("users", "unban", c.bare)
    assert info(server, c.bare)["state"] == "enabled"
    server.client(user=c.user)


def test_ban_by_sasl2(server):
    user = server.account()
    server.ctl("users", "ban", f"{user}@{DOMAIN}", "reason=Enough")
    c = fresh(server, user)
    c.scram2()
    failure = c.expect("sasl2:failure", has="sasl:account-disabled")
    assert text(failure, "sasl2:text") == "Enough", show(failure)


def test_ban_refuses_tokens(server):
    c, token = first_login(server)
    server.ctl("users", "ban", c.bare)
    ended(c, "policy-violation")
    d = fresh(server, c.user)
    fast(d, token)
    d.expect("sasl2:failure", has="sasl:account-disabled")


def test_ban_ends_detached_sessions(server):
    c, old = server.client(), managed(server)
    old.presence(to=c.jid)
    c.take("presence", from_=old.jid)
    old.drop()
    server.ctl("users", "ban", old.bare)
    c.take("presence", type="unavailable", from_=old.jid)
    server.ctl("users", "unban", old.bare)
    new = server.authed(old)
    new.resume(old.sm)
    new.expect("sm:failed", has="stanzas:item-not-found")


def test_ban_ends_by_itself(server):
    user = server.account()
    account = f"{user}@{DOMAIN}"
    server.ctl("users", "ban", account, "duration=2s")
    assert info(server, account)["until"]
    server.wait_until("the ban is over", lambda: info(server, account)["state"] == "enabled")
    assert state_of(server, account) == "enabled"
    server.client(user=user)


def test_ban_until(server):
    account = f"{server.account()}@{DOMAIN}"
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    server.ctl("users", "ban", account, end.strftime("until=%Y-%m-%dT%H:%M:%SZ"))
    assert info(server, account)["until"].startswith(end.strftime("%Y-%m-%dT%H:%M"))
    login_refused(server, account.partition("@")[0], end.strftime("until %Y-%m-%dT"))


def test_refused(server):
    account = f"{server.account()}@{DOMAIN}"
    for words in (("ban", f"nobody@{DOMAIN}"), ("disable", f"nobody@{DOMAIN}"), ("info", f"nobody@{DOMAIN}"),
                  ("role", f"nobody@{DOMAIN}", "admin"), ("unban", account), ("role", account, "king"),
                  ("ban", account, "duration=soon"), ("ban", account, "duration=0d"), ("ban", account, "duration=7"),
                  ("ban", account, "until=2001-01-01T00:00:00Z"), ("ban", account, "until=tomorrow"),
                  ("ban", account, "until=2091-01-01T00:00:00Z", "duration=1d")):
        code, _, err = server.ctl("users", *words, check=False)
        assert code and err, words
    assert info(server, account)["state"] == "enabled"


def test_both(server):
    account = f"{server.account()}@{DOMAIN}"
    server.ctl("users", "disable", account)
    server.ctl("users", "ban", account)
    rows = server.ctl_json("users", "restricted", f"host={DOMAIN}")
    assert {"account": account, "state": "banned", "reason": "", "until": ""} in rows, rows
    server.ctl("users", "unban", account)
    assert info(server, account)["state"] == "disabled"


def test_kept_over_a_restart(server):
    with Server(CONFIG, sqlite=True) as s:
        user = s.account()
        s.ctl("users", "ban", f"{user}@{DOMAIN}", "reason=For good")
        s.restart()
        login_refused(s, user, "For good")


# ---- messages

def test_messages_to_the_disabled_wait(server):
    c, sender = server.client(), server.client("sender")
    server.ctl("users", "disable", c.bare)
    ended(c, "not-authorized")
    sender.message(c.bare, "for later")
    sender.expect_nothing()
    server.ctl("users", "enable", c.bare)
    server.client(user=c.user).take("message", body="for later")


def test_messages_to_the_banned(server):
    for policy in ("refuse", "store"):
        with Server({"plugins": {"accounts": {"banned_messages": policy}}}) as s:
            user, sender = s.account(), s.client("sender")
            account = f"{user}@{DOMAIN}"
            s.ctl("users", "ban", account)
            sender.message(account, "hello", id="m1")
            if policy == "refuse":
                sender.expect_bounce("message", "service-unavailable", id="m1")
            sender.quiet(sender)
            s.ctl("users", "unban", account)
            c = s.client(user=user)
            if policy == "store":
                c.take("message", body="hello")
            sender.message(account, "welcome back")
            c.expect("message", body="welcome back")


# ---- the last login

def test_last_login(server):
    user = server.account()
    assert (info(server, f"{user}@{DOMAIN}")["login"], info(server, f"{user}@{DOMAIN}")["address"]) == ("", "")
    c = server.client(user=user)
    got = info(server, c.bare)
    assert got["address"] == "127.0.0.1" and got["login"] and got["sessions"] == 1, got


# ---- roles

def promoted(server, role, domain=DOMAIN):
    c = server.client(role, available=False, domain=domain)
    server.ctl("users", "role", c.bare, role)
    return c


def test_admin_by_role(server):
    c = promoted(server, "admin")
    assert info(server, c.bare)["role"] == "admin"
    user = server.account()
    complete(c, "users.del", account=f"{user}@{DOMAIN}")
    assert not server.exists(f"{user}@{DOMAIN}")
    c.refused("set", command("status"), "forbidden", OTHER)
    server.ctl("users", "role", c.bare, "user")
    c.refused("set", command("status"), "forbidden", DOMAIN)


def test_operator(server):
    c, user = promoted(server, "operator"), f"{server.account()}@{DOMAIN}"
    complete(c, "users.ban", account=user, reason="Spam")
    assert info(server, user)["state"] == "banned"
    for node in ("users.del", "users.role", "reload", "status"):
        c.refused("set", command(node), "forbidden", DOMAIN)
    listed = {i.get("node") for i in child(c.result("get", LIST, DOMAIN), "items:query")}
    assert "users.ban" in listed and "motd.set" in listed and "users.del" not in listed, listed


def test_operator_has_no_say_over_others_with_a_role(server):
    c, boss = promoted(server, "operator"), promoted(server, "admin")
    id = child(c.result("set", command("users.ban"), DOMAIN), "cmd:command").get("sessionid")
    c.refused("set", command("users.ban", "complete", id, account=boss.bare), "forbidden", DOMAIN)
    assert info(server, boss.bare)["state"] == "enabled"


def test_configured_admin(server):
    account = f"admin@{DOMAIN}"
    if not server.exists(account):
        server.control("users.add", account=account, password="secret")
    server.ctl("users", "role", account, "user")
    c = server.client(user="admin", available=False)
    assert note(complete(c, "users.exists", account=account))[0] != "error"
    assert info(server, account)["role"] == "admin"
    roles = {r["account"]: r for r in server.ctl_json("users", "roles", f"host={DOMAIN}")}
    assert roles[account] == {"account": account, "role": "admin", "configured": True}


def test_announcing(server):
    c = promoted(server, "operator").available()
    c.message(f"{DOMAIN}/announce/online", "to all", type="normal")
    c.take("message", body="to all")
    nobody = server.client()
    nobody.message(f"{DOMAIN}/announce/online", "to all", type="normal", id="x")
    nobody.expect_bounce("message", "forbidden", id="x")


def test_role_goes_with_the_account(server):
    c = promoted(server, "admin")
    server.ctl("users", "del", c.bare)
    server.ctl("users", "add", c.bare, "--password", "secret")
    assert info(server, c.bare)["role"] == "user"
