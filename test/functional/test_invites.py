# SPDX-License-Identifier: Apache-2.0
"""Invitations (XEP-0401): to make an account (XEP-0445), to become a contact (XEP-0379)."""
import re
import time

from element import NS, child, children, show, text
from server import DOMAIN, OTHER, Server
from test_adhoc import LIST, admin, begin, command, note, values
from test_register import QUERY, can_login, query, register, stranger
from test_roster import interested
from xmpp import check_error

NS.update(pars="urn:xmpp:pars:0", ibrtoken="urn:xmpp:ibr-token:0")
INVITE, CREATE = "urn:xmpp:invite#invite", "urn:xmpp:invite#create-account"
CONFIG = {"plugins": {"accounts": {}, "register": {"reserved": ["admin", "boss"], "captcha": "image"},
                      "invites": {"landing_url": "https://one.example/invite/#{token}", "max_per_account": 3}}}


def preauth(token):
    return f"<preauth xmlns='{NS['pars']}' token='{token}'/>"


def created(server, **args):
    return server.control("invites.create", host=DOMAIN, **args)[0]


def holder(server, token):
    """A stranger who has shown TOKEN."""
    c = stranger(server)
    c.result("set", preauth(token), DOMAIN)
    return c


def used(server, token):
    return next(r["used"] for r in server.control("invites.list", host=DOMAIN) if r["token"] == token)


def subscriptions(client):
    """Contacts of the account, with their subscription."""
    items = child(client.result("get", f"<query xmlns='{NS['roster']}'/>"), "roster:query")
    return {i.get("jid"): i.get("subscription") for i in items}


def invited(client):
    """Runs the command; returns the fields of its answer."""
    answer = child(client.result("set", command(INVITE), DOMAIN), "cmd:command")
    assert answer.get("status") == "completed", show(answer)
    return values(answer)


# ---- making invitations

def test_invite(server):
    c = server.client(available=False)
    got = invited(c)
    token = re.fullmatch(rf"xmpp:{re.escape(c.bare)}\?roster;preauth=([a-z0-9]{{24}})", got["uri"]).group(1)
    assert got["FORM_TYPE"] == "urn:xmpp:invite#invitation" and got["expire"].endswith("Z"), got
    assert got["landing-url"] == f"https://one.example/invite/#{token}"
    rows = {r["token"]: r for r in server.control("invites.list", host=DOMAIN)}
    assert (rows[token]["inviter"], rows[token]["account"], rows[token]["uses"]) == (c.bare, False, 1), rows[token]


def test_listed(server):
    c = server.client(available=False)
    nodes = [i.get("node") for i in child(c.result("get", LIST, DOMAIN), "items:query")]
    assert nodes == [INVITE], nodes
    info = c.result("get", f"<query xmlns='{NS['info']}' node='{INVITE}'/>", DOMAIN)
    assert child(info, "info:query/info:identity").get("name") == "Invite user"
    a = admin(server)
    assert {INVITE, CREATE} <= {i.get("node") for i in child(a.result("get", LIST, DOMAIN), "items:query")}


def test_who_may(server):
    c = server.client(available=False)
    c.refused("set", command(CREATE), "forbidden", DOMAIN)
    c.refused("set", command(INVITE), "forbidden", OTHER)
    with Server({"plugins": {"invites": {"users_invite": False}}}) as s:
        c = s.client(available=False)
        c.refused("set", command(INVITE), "forbidden", DOMAIN)
        assert "uri" in invited(admin(s))


def test_too_many(server):
    c = server.client(available=False)
    tokens = [invited(c)["uri"].rpartition("=")[2] for _ in range(3)]
    answer = child(c.result("set", command(INVITE), DOMAIN), "cmd:command")
    assert note(answer)[0] == "error", show(answer)
    server.ctl("invites", "revoke", tokens[0], f"host={DOMAIN}")
    invited(c)


def test_create_account_form(server):
    a = admin(server)
    id, fields = begin(a, CREATE)
    assert fields["username"].get("type") == "text-single" and fields["roster-subscription"].get("type") == "boolean"
    fields = {"username": "Julia", "roster-subscription": "true"}
    answer = child(a.result("set", command(CREATE, "complete", id, **fields), DOMAIN), "cmd:command")
    assert re.fullmatch(rf"xmpp:julia@{DOMAIN}\?register;preauth=\w{{24}}", values(answer)["uri"])
    for name, condition in ((server.account(), "such"), ("a b@", "name")):
        id, _ = begin(a, CREATE)
        answer = child(a.result("set", command(CREATE, "complete", id, username=name), DOMAIN), "cmd:command")
        assert note(answer)[0] == "error" and condition in note(answer)[1], show(answer)
    id, _ = begin(a, CREATE)
    answer = child(a.result("set", command(CREATE, "complete", id, username=""), DOMAIN), "cmd:command")
    assert values(answer)["uri"].startswith(f"xmpp:{DOMAIN}?register;preauth=")


def test_commands(server):
    got = created(server, inviter=f"{server.account()}@{DOMAIN}", uses="2", expires="2090-01-01T00:00:00Z")
    assert got["uri"].endswith(f";preauth={got['token']};ibr=y") and got["expires"].startswith("2090-01-01")
    for args in (["uses=0"], ["expires=2001-01-01T00:00:00Z"], ["expires=soon"], [f"inviter=nobody@{DOMAIN}"],
                 [f"username={server.account()}"], ["username=a b"], ["account=false"]):
        code, _, err = server.ctl("invites", "create", f"host={DOMAIN}", *args, check=False)
        assert code and err, args
    code, _, err = server.ctl("invites", "revoke", "nonsense", f"host={DOMAIN}", check=False)
    assert code and "no such" in err


def test_landing_url_has_a_place(server):
    s = Server({"plugins": {"invites": {"landing_url": "https://one.example/"}}}, start=False)
    try:
        assert "{token}" in s.refuses_to_start()
    finally:
        s.remove()



# ---- making an account

def test_feature(server):
    c = server.connect()
    c.open()
    assert child(c.features, "ibrtoken:register") is None, "not in the clear"
    c.starttls()
    assert child(c.features, "ibrtoken:register") is not None and child(c.features, "regfeature:register") is not None


def test_register(server):
    inviter = interested(server, "inviter")
    token = created(server, inviter=inviter.bare)["token"]
    c = holder(server, token)
    name = "guest"
    c.result("get", QUERY, DOMAIN)
    assert used(server, token) == 0
    assert register(c, name).get("type") == "result"
    assert used(server, token) == 1
    push = inviter.take("iq", type="set", has="roster:query")
    item = child(push, "roster:query/roster:item")
    assert (item.get("jid"), item.get("subscription")) == (f"{name}@{DOMAIN}", "both"), show(push)
    c.user, c.password = name, "long enough"
    c.authenticate()
    c.bind().available()
    assert subscriptions(c) == {inviter.bare: "both"}
    c.take("presence", from_=inviter.jid)
    inviter.take("presence", from_=c.jid)


def test_closed_without_token(server):
    c = stranger(server)
    check_error(c, register(c, "uninvited"), "not-allowed")
    c.refused("get", QUERY, "not-allowed", DOMAIN)
    for token in ("nonsense", "", "x" * 100):
        c.refused("set", preauth(token), "item-not-found", DOMAIN)
    c.refused("set", f"<preauth xmlns='{NS['pars']}'/>", "bad-request", DOMAIN)
    check_error(c, register(c, "uninvited"), "not-allowed")
    assert not server.exists(f"uninvited@{DOMAIN}")


def test_used_up(server):
    token = created(server)["token"]
    first, second = holder(server, token), holder(server, token)
    assert register(first, "early").get("type") == "result"
    check_error(second, register(second, "late"), "not-allowed")
    stranger(server).refused("set", preauth(token), "item-not-found", DOMAIN)
    assert used(server, token) == 1 and not server.exists(f"late@{DOMAIN}")


def test_several_uses(server):
    token = created(server, uses="2")["token"]
    for name in ("one-of-two", "two-of-two"):
        assert register(holder(server, token), name).get("type") == "result"
    stranger(server).refused("set", preauth(token), "item-not-found", DOMAIN)


def test_failures_do_not_use_it(server):
    token, taken = created(server)["token"], server.account()
    c = holder(server, token)
    check_error(c, register(c, taken), "conflict")
    check_error(c, register(c, "fine", "short"), "not-acceptable")
    check_error(c, register(c, "boss"), "not-acceptable")
    assert used(server, token) == 0
    assert register(c, "fine").get("type") == "result"
    check_error(c, register(c, "finer"), "not-allowed")


def test_name_is_kept(server):
    token = created(server, username="boss")["token"]
    other = holder(server, created(server)["token"])
    check_error(other, register(other, "boss"), "conflict")
    c = holder(server, token)
    form = child(c.result("get", QUERY, DOMAIN), "register:query/x:x")
    names = [text(f, "x:value") for f in children(form, "x:field") if f.get("var") == "username"]
    assert names == ["boss"], show(form)
    check_error(c, register(c, "somebody"), "not-acceptable")
    assert register(c, "boss").get("type") == "result", "reserved, but for this one"
    assert can_login(server, "boss", "long enough")


def test_revoked(server):
    token = created(server)["token"]
    c = holder(server, token)
    server.ctl("invites", "revoke", token, f"host={DOMAIN}")
    check_error(c, register(c, "toolate"), "not-allowed")
    stranger(server).refused("set", preauth(token), "item-not-found", DOMAIN)


def test_expired(server):
    """What counts is when it is shown."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    token = created(server, expires=end)["token"]
    c = holder(server, token)
    server.wait_until("it has ended", lambda: token not in [r["token"] for r in server.control("invites.list", host=DOMAIN)])
    stranger(server).refused("set", preauth(token), "item-not-found", DOMAIN)
    assert register(c, "justintime").get("type") == "result"


def test_contacts_alone(server):
    """An invitation of a user makes no account."""
    c = server.client(available=False)
    token = invited(c)["uri"].rpartition("=")[2]
    stranger(server).refused("set", preauth(token), "item-not-found", DOMAIN)


def test_of_another_host(server):
    token = created(server)["token"]
    c = server.connect(domain=OTHER)
    c.open()
    c.starttls()
    c.refused("set", preauth(token), "item-not-found", OTHER)


# ---- becoming a contact

def subscribe(client, to, token):
    client.presence(preauth(token), to=to, type="subscribe")


def test_subscribe(server):
    inviter, guest = server.client("inviter"), server.client("guest")
    token = invited(inviter)["uri"].rpartition("=")[2]
    guest.presence(to=inviter.bare, type="subscribed")  # as XEP-0379, 3.3 recommends
    subscribe(guest, inviter.bare, token)
    guest.take("presence", from_=inviter.jid, type=None)
    inviter.take("presence", from_=guest.jid, type=None)
    assert subscriptions(guest)[inviter.bare] == subscriptions(inviter)[guest.bare] == "both"
    assert used(server, token) == 1


def test_subscribe_while_away(server):
    inviter, guest = server.client("inviter"), server.client("guest")
    token = invited(inviter)["uri"].rpartition("=")[2]
    inviter.end()
    subscribe(guest, inviter.bare, token)
    guest.take("presence", from_=inviter.bare, type="subscribe")
    guest.take("presence", from_=inviter.bare, type="subscribed")
    guest.presence(to=inviter.bare, type="subscribed")
    again = server.client(user=inviter.user)
    assert subscriptions(again)[guest.bare] == "both"


def test_bad_tokens_are_none(server):
    """The request waits for the user, as every other."""
    inviter, other = server.client("inviter"), server.client("other")
    foreign = invited(other)["uri"].rpartition("=")[2]
    for token in ("nonsense", foreign, ""):
        guest = server.client("guest")
        subscribe(guest, inviter.bare, token)
        inviter.take("presence", from_=guest.bare, type="subscribe")
        guest.quiet(inviter)
    assert used(server, foreign) == 0


def test_a_contact_is_made_once(server):
    inviter, guest, second = server.client("inviter"), server.client("guest"), server.client("second")
    token = invited(inviter)["uri"].rpartition("=")[2]
    subscribe(guest, inviter.bare, token)
    guest.take("presence", from_=inviter.bare, type="subscribed")
    subscribe(second, inviter.bare, token)
    inviter.take("presence", from_=second.bare, type="subscribe")
    second.quiet(inviter)


def test_gone_with_the_inviter(server):
    c = server.client()
    token = invited(c)["uri"].rpartition("=")[2]
    server.control("users.del", account=c.bare)
    assert token not in [r["token"] for r in server.control("invites.list", host=DOMAIN)]
