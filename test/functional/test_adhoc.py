# SPDX-License-Identifier: Apache-2.0
"""Commands of the operator from within a client (XEP-0050): for administrators only."""
from element import NS, attrs, child, children, escape, show, text
from server import DOMAIN, OTHER, Server
from xmpp import fail

LIST = f"<query xmlns='{NS['items']}' node='{NS['cmd']}'/>"


def CONFIG(tree):
    tree["hosts"][0]["admins"] = [f"admin@{DOMAIN}"]


def admin(server):
    if not server.exists(f"admin@{DOMAIN}"):
        server.control("users.add", account=f"admin@{DOMAIN}", password="secret")
    return server.client(user="admin", available=False)


def command(node, action=None, sessionid=None, **fields):
    form = "".join(f"<field var='{k}'>" + "".join(f"<value>{escape(v)}</value>" for v in ([vs] if isinstance(vs, str) else vs))
                   + "</field>" for k, vs in fields.items())
    form = f"<x xmlns='{NS['x']}' type='submit'>{form}</x>" if fields else ""
    return f"<command xmlns='{NS['cmd']}'{attrs(node=node, action=action, sessionid=sessionid)}>{form}</command>"


def begin(client, node):
    """Asks for the form of a command; returns the session's id and the form's fields by name."""
    answer = child(client.result("set", command(node), DOMAIN), "cmd:command")
    assert answer.get("status") == "executing" and answer.get("node") == node, show(answer)
    form = child(answer, "x:x")
    assert form.get("type") == "form"
    return answer.get("sessionid"), {f.get("var"): f for f in children(form, "x:field")}


def complete(client, node, action="complete", **fields):
    """Runs a command with these arguments; returns the completed <command/>."""
    id, _ = begin(client, node)
    answer = child(client.result("set", command(node, action, id, **fields), DOMAIN), "cmd:command")
    assert answer.get("status") == "completed" and answer.get("sessionid") == id, show(answer)
    return answer


def values(answer):
    return {f.get("var"): text(f, "x:value") for f in children(answer, "x:x/x:field")}


def note(answer):
    found = child(answer, "cmd:note")
    return (found.get("type"), found.text) if found is not None else (None, "")


# ---- who may

def test_strangers(server):
    c = server.client()
    for node in ("status", "users.add", "nonsense"):
        c.refused("set", command(node), "forbidden", DOMAIN)
    items = child(c.iq("get", LIST, DOMAIN), "items:query")
    assert items is None or not len(items), "others do not learn what there is"


def test_admin_of_another_host(server):
    a = admin(server)
    a.refused("set", command("status"), "forbidden", OTHER)
    id, _ = begin(a, "users.add")
    a.refused("set", command("users.add", "complete", id, account=f"intruder@{OTHER}", password="x"), "forbidden", DOMAIN)
    assert not server.exists(f"intruder@{OTHER}")


# ---- finding them

def test_list(server):
    a = admin(server)
    items = {i.get("node"): i for i in children(a.result("get", LIST, DOMAIN), "items:query/items:item")}
    assert {"status", "users.add", "sessions.kick", "offline.count"} <= set(items), set(items)
    assert all(i.get("jid") == DOMAIN and i.get("name") for i in items.values())


def test_info_of_a_command(server):
    a = admin(server)
    info = a.result("get", f"<query xmlns='{NS['info']}' node='users.add'/>", DOMAIN)
    identity = child(info, "info:query/info:identity")
    assert (identity.get("category"), identity.get("type")) == ("automation", "command-node")
    assert NS["cmd"] in [f.get("var") for f in children(info, "info:query/info:feature")]


def test_announced(server):
    info = server.client().result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert NS["cmd"] in [f.get("var") for f in children(info, "info:query/info:feature")]


# ---- running them

def test_without_arguments(server):
    a = admin(server)
    answer = child(a.result("set", command("status"), DOMAIN), "cmd:command")
    assert answer.get("status") == "completed"
    got = values(answer)
    assert int(got["sessions"]) >= 1 and got["version"], got


def test_form(server):
    a = admin(server)
    _, fields = begin(a, "users.add")
    assert fields["account"].get("type") == "jid-single" and child(fields["account"], "x:required") is not None
    assert fields["password"].get("type") == "text-private"
    assert fields["account"].get("label")


def test_add_and_delete_a_user(server):
    a = admin(server)
    complete(a, "users.add", account=f"viaform@{DOMAIN}", password="secret")
    c = server.client(user="viaform")
    assert values(complete(a, "sessions.kick", account=c.bare))["ended"] == "1"
    c.expect("stream:error")
    complete(a, "users.del", account=f"viaform@{DOMAIN}")
    assert not server.exists(f"viaform@{DOMAIN}")


def test_table(server):
    a = admin(server)
    others = [server.client("row") for _ in range(3)]
    answer = complete(a, "sessions.list", limit="100")
    assert child(answer, "x:x/x:reported") is not None
    jids = {text(f, "x:value") for i in children(answer, "x:x/x:item") for f in children(i, "x:field") if f.get("var") == "jid"}
    assert {c.jid for c in others} | {a.jid} <= jids


def test_failure_is_told(server):
    a = admin(server)
    kind, why = note(complete(a, "users.del", account=f"nobody@{DOMAIN}"))
    assert kind == "error" and "nobody" in why


def test_own_account(server):
    """A command about the account that asks runs in another turn than the one that asks."""
    a = admin(server)
    answer = complete(a, "users.exists", account=a.bare)
    assert values(answer)["exists"] == "true"


def test_missing_argument(server):
    a = admin(server)
    id, _ = begin(a, "users.add")
    answer = a.refused("set", command("users.add", "complete", id, account=f"x@{DOMAIN}"), "bad-request", DOMAIN)
    if child(answer, "error/cmd:bad-payload") is None:
        fail(a, f"expected bad-payload: {show(answer)}")
    a.result("set", command("users.add", "complete", id, account=f"second@{DOMAIN}", password="x"), DOMAIN)


def test_cancel(server):
    a = admin(server)
    id, _ = begin(a, "users.add")
    answer = child(a.result("set", command("users.add", "cancel", id), DOMAIN), "cmd:command")
    assert answer.get("status") == "canceled"
    a.refused("set", command("users.add", "complete", id, account=f"x@{DOMAIN}", password="x"), "not-allowed", DOMAIN)


def test_once(server):
    a = admin(server)
    id, _ = begin(a, "users.add")
    run = command("users.add", "complete", id, account=f"once@{DOMAIN}", password="x")
    a.result("set", run, DOMAIN)
    answer = a.refused("set", run, "not-allowed", DOMAIN)
    assert child(answer, "error/cmd:session-expired") is not None


def test_session_of_another(server):
    """A session is of the one client that began it."""
    a = admin(server)
    id, _ = begin(a, "users.add")
    other = server.client(user="admin", available=False)
    other.refused("set", command("users.add", "complete", id, account=f"x@{DOMAIN}", password="x"), "not-allowed", DOMAIN)


def test_bad_requests(server):
    a = admin(server)
    id, _ = begin(a, "users.add")
    for payload, condition, specific in (
            (command("users.del", "complete", id, account=f"x@{DOMAIN}"), "bad-request", "bad-sessionid"),
            (command("users.add", "next", id), "bad-request", "bad-action"),
            (command("users.add", "dance"), "bad-request", "malformed-action"),
            (command("users.add", "complete"), "bad-request", "bad-action"),
            (command("nonsense"), "item-not-found", None), (f"<command xmlns='{NS['cmd']}'/>", "bad-request", None)):
        answer = a.refused("set", payload, condition, DOMAIN)
        if specific and child(answer, "error/cmd:" + specific) is None:
            fail(a, f"expected {specific}: {show(answer)}")


def test_without_server_commands(server):
    with Server({"plugins": {"adhoc": {"server_commands": False}}}) as s:
        a = admin(s)
        a.refused("set", command("reload"), "item-not-found", DOMAIN)
        a.refused("set", command("stop"), "item-not-found", DOMAIN)
        complete(a, "users.exists", account=a.bare)
