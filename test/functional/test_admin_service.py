# SPDX-License-Identifier: Apache-2.0
"""Service administration (XEP-0133)."""
from element import NS, attrs, child, children, escape, show, text
from real import slixmpp
from server import DOMAIN, OTHER, Server
from test_accounts import info, promoted
from test_adhoc import LIST, admin, note
from test_register import can_login

NS["admin"] = ADMIN = "http://jabber.org/protocol/admin"
CONFIG = {"plugins": {"accounts": {}, "admin": {"max_list": 6}, "last": {}, "register": {}}}
LISTS = {"get-registered-users-list": "registereduserjids", "get-disabled-users-list": "disableduserjids",
         "get-online-users-list": "onlineuserjids", "get-active-users": "activeuserjids", "get-idle-users": "idleuserjids"}
NUMBERS = {"get-registered-users-num": "registeredusersnum", "get-disabled-users-num": "disabledusersnum",
           "get-online-users-num": "onlineusersnum", "get-active-users-num": "activeusersnum",
           "get-idle-users-num": "idleusersnum"}


def command(name, sessionid=None, action=None, **fields):
    form = "".join(f"<field var='{k.replace('_', '-') if k == 'password_verify' else k}'>"
                   + "".join(f"<value>{escape(v)}</value>" for v in ([vs] if isinstance(vs, str) else vs)) + "</field>"
                   for k, vs in fields.items())
    form = f"<x xmlns='{NS['x']}' type='submit'>{form}</x>" if sessionid else ""
    node = f"{ADMIN}#{name}"
    return f"<command xmlns='{NS['cmd']}'{attrs(node=node, action=action, sessionid=sessionid)}>{form}</command>"


def asked(client, name):
    """(id of the session, fields of the form)"""
    answer = child(client.result("set", command(name), DOMAIN), "cmd:command")
    assert answer.get("status") == "executing", show(answer)
    fields = {f.get("var"): f for f in children(answer, "x:x/x:field")}
    assert text(fields["FORM_TYPE"], "x:value") == ADMIN, show(answer)
    return answer.get("sessionid"), fields


def run(client, name, **fields):
    """<command/>, completed."""
    if fields:
        id, _ = asked(client, name)
        answer = client.result("set", command(name, id, "complete", **fields), DOMAIN)
    else:
        answer = client.result("set", command(name), DOMAIN)
    answer = child(answer, "cmd:command")
    assert answer.get("status") == "completed", show(answer)
    return answer


def done(client, name, **fields):
    answer = run(client, name, **fields)
    assert note(answer)[0] != "error", show(answer)
    return {f.get("var"): [v.text for v in children(f, "x:value")] for f in children(answer, "x:x/x:field")}


def failed(client, name, words, **fields):
    answer = run(client, name, **fields)
    assert note(answer)[0] == "error" and words in note(answer)[1], show(answer)


# ---- who may

def test_who_may(server):
    nodes = {i.get("node") for i in child(admin(server).result("get", LIST, DOMAIN), "items:query")}
    for name in (*LISTS, *NUMBERS, "add-user", "delete-user", "disable-user", "reenable-user", "end-user-session",
                 "change-user-password", "get-user-roster", "get-user-lastlogin", "user-stats", "announce", "set-motd",
                 "edit-motd", "delete-motd", "set-welcome", "delete-welcome", "edit-admin", "restart", "shutdown"):
        assert f"{ADMIN}#{name}" in nodes, name
    c = server.client(available=False)
    for name in ("add-user", "get-online-users-num", "shutdown"):
        c.refused("set", command(name), "forbidden", DOMAIN)
    operator = promoted(server, "operator")
    for name in ("add-user", "delete-user", "edit-admin", "shutdown", "change-user-password"):
        operator.refused("set", command(name), "forbidden", DOMAIN)
    assert done(operator, "get-online-users-num")["onlineusersnum"]
    admin(server).refused("set", command("add-user"), "forbidden", OTHER)


def test_operators_and_their_like(server):
    operator, boss, user = promoted(server, "operator"), promoted(server, "admin"), f"{server.account()}@{DOMAIN}"
    failed(operator, "disable-user", boss.bare, accountjids=[boss.bare, user])
    assert (info(server, boss.bare)["state"], info(server, user)["state"]) == ("enabled", "disabled")


def test_without_the_plugin_behind_it(server):
    with Server({"plugins": {"admin": {}, "announce": None}}) as s:
        a = admin(s)
        nodes = {i.get("node") for i in child(a.result("get", LIST, DOMAIN), "items:query")}
        assert f"{ADMIN}#add-user" in nodes and f"{ADMIN}#set-motd" not in nodes and f"{ADMIN}#disable-user" not in nodes
        a.refused("set", command("set-motd"), "forbidden", DOMAIN)


# ---- accounts

def test_add_and_delete(server):
    a = admin(server)
    _, fields = asked(a, "add-user")
    assert fields["accountjid"].get("type") == "jid-single" and fields["password"].get("type") == "text-private"
    account = f"added@{DOMAIN}"
    done(a, "add-user", accountjid=account, password="secret", password_verify="secret")
    assert can_login(server, "added", "secret")
    failed(a, "add-user", "exists", accountjid=account, password="x")
    failed(a, "add-user", "differ", accountjid=f"other@{DOMAIN}", password="x", password_verify="y")
    failed(a, "add-user", OTHER, accountjid=f"other@{OTHER}", password="x")
    assert not server.exists(f"other@{DOMAIN}") and not server.exists(f"other@{OTHER}")
    second = f"{server.account()}@{DOMAIN}"
    failed(a, "delete-user", "nobody", accountjids=[account, f"nobody@{DOMAIN}", second])
    assert not server.exists(account) and not server.exists(second)


def test_incomplete_forms(server):
    a = admin(server)
    for name, fields in (("add-user", {"accountjid": f"x@{DOMAIN}"}), ("add-user", {"password": "x"}),
                         ("delete-user", {"accountjids": []}), ("announce", {"announcement": ""}), ("shutdown", {"delay": ""}),
                         ("edit-admin", {"other": "x"}), ("get-online-users-list", {"max_items": "many"})):
        id, _ = asked(a, name)
        answer = a.refused("set", command(name, id, "complete", **fields), "bad-request", DOMAIN)
        assert child(answer, "error/cmd:bad-payload") is not None, show(answer)
    id, _ = asked(a, "delete-user")
    a.refused("set", command("delete-user", id, "complete"), "bad-request", DOMAIN)
    account = f"{server.account()}@{DOMAIN}"
    a.result("set", command("delete-user", id, "complete", accountjids=account), DOMAIN)
    assert not server.exists(account), "the form may be sent again"


def test_disable(server):
    a, c = admin(server), server.client()
    done(a, "disable-user", accountjids=[c.bare])
    c.take("stream:error")
    assert c.bare in done(a, "get-disabled-users-list", max_items="none")["disableduserjids"]
    done(a, "reenable-user", accountjids=[c.bare])
    assert can_login(server, c.user, "secret")


def test_end_session(server):
    a, c = admin(server), server.client()
    other = server.more(c)
    done(a, "end-user-session", accountjids=[c.jid])
    c.take("stream:error")
    other.take("presence", type="unavailable", from_=c.jid)
    done(a, "end-user-session", accountjids=[c.bare])
    other.take("stream:error")


def test_passwords(server):
    a, user = admin(server), server.account()
    done(a, "change-user-password", accountjid=f"{user}@{DOMAIN}", password="another")
    assert can_login(server, user, "another")
    failed(a, "get-user-password", "not kept", accountjid=f"{user}@{DOMAIN}")


def test_roster(server):
    a, c = admin(server), server.client()
    c.result("set", f"<query xmlns='{NS['roster']}'><item jid='romeo@elsewhere.example' name='Romeo'><group>A</group>"
             "<group>B</group></item></query>")
    answer = run(a, "get-user-roster", accountjids=[c.bare])
    item = child(answer, "x:x/roster:query/roster:item")
    assert (item.get("jid"), item.get("name"), item.get("subscription")) == ("romeo@elsewhere.example", "Romeo", "none")
    assert [g.text for g in item] == ["A", "B"]


def test_last_login(server):
    a, c = admin(server), server.client()
    assert done(a, "get-user-lastlogin", accountjids=[c.bare])["lastlogin"][0].endswith("Z")
    assert done(a, "get-user-lastlogin", accountjids=[f"{server.account()}@{DOMAIN}"])["lastlogin"] == []


def test_stats(server):
    a, c = admin(server), server.client(resource="here")
    server.client(user=c.user, resource="there")
    got = done(a, "user-stats", accountjid=c.bare)
    assert sorted(got["onlineresources"]) == ["here", "there"] and got["ipaddresses"] == ["127.0.0.1"] * 2, got
    assert got["rostersize"] == ["0"]
    failed(a, "user-stats", "no account", accountjid=f"nobody@{DOMAIN}")


# ---- counts and lists

def test_counts_and_lists(server):
    config = {"plugins": {"accounts": {}, "admin": {"max_list": 6, "idle_after": "1s"}}}
    with Server(config) as s:
        a = admin(s)
        users = sorted(f"user{i}@{DOMAIN}" for i in range(8))
        for user in users:
            s.control("users.add", account=user, password="secret")
        for user in users[:2]:
            s.ctl("users", "disable", user)
        idle = s.client(user="user5")
        s.wait_until("nothing comes from it", lambda: s.control("sessions.list", account=idle.bare)[0]["idle"] >= 1)
        busy = s.client(user="user6")
        def number(name):
            busy.expect_nothing()
            return done(a, name)[NUMBERS[name]][0]
        assert [number(n) for n in NUMBERS] == ["9", "2", "3", "2", "1"]
        registered = run(a, "get-registered-users-list", max_items="none")
        assert len(children(registered, "x:x/x:field/x:value")) == 1 + 6 and users[4] in note(registered)[1], show(registered)
        rest = done(a, "get-registered-users-list", max_items="25", after=users[4])
        assert rest["registereduserjids"] == users[5:]
        first = run(a, "get-online-users-list", max_items="1")
        assert f"admin@{DOMAIN}" in note(first)[1]
        second = done(a, "get-online-users-list", max_items="1", after=f"admin@{DOMAIN}")
        assert second["onlineuserjids"] == [idle.bare]
        busy.expect_nothing()
        assert done(a, "get-active-users", max_items="25")["activeuserjids"] == [f"admin@{DOMAIN}", busy.bare]
        assert done(a, "get-idle-users", max_items="25")["idleuserjids"] == [idle.bare]
        assert done(a, "get-disabled-users-list", max_items="25")["disableduserjids"] == users[:2]



# ---- texts

def test_announce(server):
    a, c = admin(server), server.client()
    done(a, "announce", announcement=["Line one", "Line two"], subject="Hear")
    got = c.take("message", from_=DOMAIN)
    assert text(got, "body") == "Line one\nLine two" and text(got, "subject") == "Hear"


def test_motd(server):
    a = admin(server)
    failed(a, "edit-motd", "no message", motd="x")
    failed(a, "delete-motd", "no message")
    done(a, "set-motd", motd="Mind the gap")
    server.client().take("message", body="Mind the gap")
    _, fields = asked(a, "edit-motd")
    assert text(fields["motd"], "x:value") == "Mind the gap"
    done(a, "edit-motd", motd="Mind the step")
    server.client().take("message", body="Mind the step")
    done(a, "delete-motd")
    server.client().expect_nothing()


def test_welcome(server):
    a = admin(server)
    done(a, "set-welcome", welcome=["Welcome", "here"])
    server.client().take("message", body="Welcome\nhere")
    assert [v.text for v in children(asked(a, "set-welcome")[1]["welcome"], "x:value")] == ["Welcome", "here"]
    done(a, "delete-welcome")
    server.client().expect_nothing()
    failed(a, "delete-welcome", "no welcome")


# ---- administrators

def test_edit_admins(server):
    a, boss, user = admin(server), promoted(server, "admin"), f"{server.account()}@{DOMAIN}"
    _, fields = asked(a, "edit-admin")
    listed = [v.text for v in children(fields["adminjids"], "x:value")]
    assert {a.bare, boss.bare} <= set(listed)
    done(a, "edit-admin", adminjids=[j for j in listed if j != boss.bare] + [user])
    assert (info(server, boss.bare)["role"], info(server, user)["role"]) == ("user", "admin")
    failed(a, "edit-admin", "no account", adminjids=[*listed, f"nobody@{DOMAIN}"])
    done(a, "edit-admin", adminjids=[])
    assert (info(server, a.bare)["role"], info(server, user)["role"]) == ("admin", "user"), "the configured ones stay"


# ---- stopping

def test_shutdown(server):
    with Server({"plugins": {"accounts": {}, "admin": {}}}) as s:
        a, c = admin(s), s.client()
        assert "stops in 1 seconds" in note(run(a, "shutdown", delay="1", announcement="Good night"))[1]
        c.take("message", body="Good night")
        assert s.wait() == 0


def test_restart(server):
    with Server({"plugins": {"accounts": {}, "admin": {}}}, sqlite=True) as s:
        a = admin(s)
        before = s.process.pid
        assert "restarts" in note(run(a, "restart", delay="0"))[1]
        s.wait_log("serves with", 2)
        s.wait_listening()
        assert s.process.pid == before and can_login(s, "admin", "secret")
        code, _, err = s.ctl("stop", "delay=-1", check=False)
        assert code and "delay" in err


def test_a_delayed_stop_is_overtaken(server):
    with Server() as s:
        s.ctl("stop", "delay=1000")
        s.client().expect_nothing()


# ---- with a client of somebody else

def test_slixmpp(server):
    a = admin(server)
    a.end()
    c = slixmpp("admin", server.address(), tls="TLSv1_2")
    account = f"by-slixmpp@{DOMAIN}"
    got, error = c.flow("run_command", jid=DOMAIN, node=f"{ADMIN}#add-user",
                        fields={"accountjid": account, "password": "secret", "password-verify": "secret"})
    assert error is None and got["status"] == "completed" and server.exists(account), (got, error)
    got, error = c.flow("run_command", jid=DOMAIN, node=f"{ADMIN}#get-online-users-list", fields={"max_items": "25"})
    assert error is None and f"admin@{DOMAIN}" in got["values"]["onlineuserjids"], (got, error)
    got, error = c.flow("run_command", jid=DOMAIN, node=f"{ADMIN}#get-registered-users-num", fields={})
    assert error is None and int(got["values"]["registeredusersnum"]) > 1, (got, error)
    got, error = c.flow("run_command", jid=DOMAIN, node=f"{ADMIN}#delete-user", fields={"accountjids": [account]})
    assert error is None and not server.exists(account)
    c.stop()
    c = slixmpp(server.account(), server.address(), tls="TLSv1_2")
    assert c.flow("run_command", jid=DOMAIN, node=f"{ADMIN}#shutdown", fields={})[1] == "forbidden"
    assert c.flow("change_password", password="by slixmpp") == (None, None)
    user = c.jid.partition("@")[0]
    assert can_login(server, user, "by slixmpp")
    c.flow("cancel_registration")
    server.wait_until("it is gone", lambda: not server.exists(f"{user}@{DOMAIN}"))
