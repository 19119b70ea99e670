# SPDX-License-Identifier: Apache-2.0
"""Tokens (XEP-0484) and the list of clients with access (XEP-0494)."""
import sasl
import tls
from element import NS, attrs, child, children, show, text
from server import DOMAIN, Server
from test_sasl import fresh
from test_sasl2 import ID, ID2, refused
from xmpp import fail

KINDS = {"EXPR": "tls-exporter", "ENDP": "tls-server-end-point", "UNIQ": "tls-unique"}
LIST = f"<list xmlns='{NS['cam']}'/>"


def request(mechanism):
    return f"<request-token xmlns='{NS['fast']}' mechanism='{mechanism}'/>"


def token_of(success):
    e = child(success, "fast:token")
    if e is None:
        raise AssertionError(f"no token in {show(success)}")
    return e.get("token")


def first_login(server, mechanism="HT-SHA-256-NONE", user=None, agent=ID, **how):
    """(client, token)"""
    c = fresh(server, user)
    return c, token_of(c.login2(inline=request(mechanism), agent=agent, **how))


def fast(client, token, mechanism="HT-SHA-256-NONE", agent=ID, inline="", channel=None, user=None, element=True, **more):
    """Authenticates with a token, up to the verdict."""
    kind = KINDS.get(mechanism.rpartition("-")[2])
    if channel is None:
        channel = tls.binding(client.sock, kind) if kind else b""
    inline += f"<bind xmlns='{NS['bind2']}'/>"
    if element:
        inline += f"<fast xmlns='{NS['fast']}'{attrs(**more)}/>"
    data = (user or client.user).encode() + b"\0" + sasl.ht(token, "Initiator", channel)
    client.auth2(mechanism, data, inline, agent)
    return channel


def token_login(server, user, token, mechanism="HT-SHA-256-NONE", version=None, **more):
    """(client, success) of a login that must succeed."""
    c = fresh(server, user, version=version)
    channel = fast(c, token, mechanism, **more)
    success = c.welcomed()
    if sasl.unb64(text(success, "sasl2:additional-data")) != sasl.ht(token, "Responder", channel):
        fail(c, "the server does not prove that it knows the token")
    return c, success


def not_authorized(server, user, token, condition="not-authorized", version=None, **more):
    c = fresh(server, user, version=version)
    fast(c, token, **more)
    refused(c, condition)
    return c


# ---- tokens

def test_offer(server):
    for version, kinds in (("1.3", {"EXPR", "ENDP", "NONE"}), ("1.2", {"UNIQ", "ENDP", "NONE"})):
        c = fresh(server, version=version)
        offer = child(c.features, "sasl2:authentication/sasl2:inline/fast:fast")
        assert {e.text for e in children(offer, "fast:mechanism")} == {"HT-SHA-256-" + k for k in kinds}, show(offer)
        assert offer.get("tls-0rtt") is None, "the server takes no early data"
        assert not any(m.startswith("HT-") for m in c.mechanisms())


def test_login_with_token(server):
    for version, mechanism in (("1.3", "EXPR"), ("1.3", "ENDP"), ("1.2", "UNIQ"), ("1.2", "ENDP"), ("1.3", "NONE")):
        mechanism = "HT-SHA-256-" + mechanism
        c = fresh(server, version=version)
        token = token_of(c.login2(inline=request(mechanism), agent=ID))
        assert len(token) >= 40
        for _ in range(2):
            d, success = token_login(server, c.user, token, mechanism, version)
            assert child(success, "fast:token") is None, "it is good for long"
            d.expect_nothing()


def test_no_token_unasked_or_for_what_is_not_there(server):
    for inline, agent in (("", ID), (request("HT-SHA-256-NONE"), None), (request("HT-SHA-256-UNIQ"), ID),
                          (request("PLAIN"), ID), (f"<request-token xmlns='{NS['fast']}'/>", ID)):
        c = fresh(server)
        success = c.login2(inline=inline, agent=agent)
        assert child(success, "fast:token") is None, show(success)


def test_failed_login_gives_no_token(server):
    c = fresh(server)
    c.scram2(password="wrong", inline=request("HT-SHA-256-NONE"), agent=ID)
    failure = refused(c, "not-authorized")
    assert child(failure, "fast:token") is None


def test_refusals(server):
    c, token = first_login(server)
    user = c.user
    not_authorized(server, user, token[:-1] + ("A" if token[-1] != "A" else "B"))
    not_authorized(server, user, token, agent=ID2)
    not_authorized(server, user, token, mechanism="HT-SHA-256-ENDP")
    not_authorized(server, server.account(), token)
    not_authorized(server, "nobody", token)
    for switches in ({"agent": None}, {"element": False}):
        not_authorized(server, user, token, "malformed-request", **switches)
    token_login(server, user, token)


def test_malformed(server):
    c, token = first_login(server)
    for data in (b"", b"\0", c.user.encode(), c.user.encode() + b"\0short", b"\0" + sasl.ht(token, "Initiator"),
                 c.user.encode() + b"\0" + sasl.ht(token, "Initiator") + b"x"):
        d = fresh(server, c.user)
        d.auth2("HT-SHA-256-NONE", data, f"<fast xmlns='{NS['fast']}'/>", ID)
        refused(d, "malformed-request")
        d.login2()
    for count in ("0", "-1", "x", "99999999999999999999", ""):
        not_authorized(server, c.user, token, "malformed-request", count=count)


def test_not_by_rfc_6120(server):
    c, token = first_login(server)
    d = fresh(server, c.user)
    d.auth("HT-SHA-256-NONE", c.user.encode() + b"\0" + sasl.ht(token, "Initiator"))
    d.expect("sasl:failure", has="sasl:invalid-mechanism")


def test_channel_of_another(server):
    c, token = first_login(server, "HT-SHA-256-EXPR")
    not_authorized(server, c.user, token, mechanism="HT-SHA-256-EXPR", channel=b"x" * 32)
    not_authorized(server, c.user, token, mechanism="HT-SHA-256-NONE")


def test_binding_that_is_not_there(server):
    c, token = first_login(server)
    d = fresh(server, c.user, version="1.3")
    fast(d, token, "HT-SHA-256-UNIQ", channel=b"x" * 12)
    refused(d, "invalid-mechanism")


def test_count_grows(server):
    c, token = first_login(server)
    for count in (1, 2, 7):
        token_login(server, c.user, token, count=count)
    for count in (7, 3, 1):
        not_authorized(server, c.user, token, count=count)
    token_login(server, c.user, token, count=8)


def test_count_survives_a_crash(server):
    with Server(sqlite=True) as s:
        c, token = first_login(s)
        token_login(s, c.user, token, count=5)
        s.kill()
        s.start()
        not_authorized(s, c.user, token, count=5)
        token_login(s, c.user, token, count=6)


def test_rotation(server):
    """The old token is good until the new one is used, then it is not."""
    with Server({"plugins": {"clients": {"token_lifetime": "1h", "rotate_before": "2h"}}}) as s:
        c, first = first_login(s)
        _, success = token_login(s, c.user, first, count=3)
        lost = token_of(success)
        _, success = token_login(s, c.user, first)
        second = token_of(success)
        assert len({first, lost, second}) == 3
        not_authorized(s, c.user, lost)
        token_login(s, c.user, second, count=1)
        not_authorized(s, c.user, first)
        token_login(s, c.user, second, count=2)


def test_request_another(server):
    c, first = first_login(server)
    _, success = token_login(server, c.user, first, inline=request("HT-SHA-256-EXPR"))
    second = token_of(success)
    token_login(server, c.user, second, "HT-SHA-256-EXPR")
    not_authorized(server, c.user, first)


def test_invalidate(server):
    c, token = first_login(server)
    not_authorized(server, c.user, token + "x", invalidate="true")
    d, success = token_login(server, c.user, token, invalidate="true")
    assert child(success, "fast:token") is None
    d.expect_nothing()
    not_authorized(server, c.user, token)


def test_expired(server):
    """The client learns it, as often as it likes."""
    with Server({"plugins": {"clients": {"token_lifetime": "60s", "rotate_before": 0}}, "limits": {"failed_logins": 3}},
                sqlite=True) as s:
        c, token = first_login(s)
        s.stop()
        shift_times(s, 61)
        s.start()
        for _ in range(5):
            not_authorized(s, c.user, token, "credentials-expired")
        fresh(s, c.user).login2()


def shift_times(server, seconds):
    """As if SECONDS had passed for the tokens that are stored."""
    import sqlite3
    with sqlite3.connect(f"{server.folder}/data.db") as db:
        changed = db.execute("UPDATE clients SET new_expires = new_expires - ?, token_expires = token_expires - ?",
                             (seconds * 1000000,) * 2).rowcount
    db.close()
    assert changed == 1


def test_switched_off(server):
    with Server({"plugins": {"clients": {"tokens": False}}}) as s:
        c = fresh(s)
        assert child(c.features, "sasl2:authentication/sasl2:inline/fast:fast") is None
        success = c.login2(inline=request("HT-SHA-256-NONE"), agent=ID)
        assert child(success, "fast:token") is None
        not_authorized(s, c.user, "token", "invalid-mechanism")


def test_wrong_tokens_lock_out(server):
    with Server({"limits": {"failed_logins": 3}}) as s:
        c, token = first_login(s)
        for _ in range(3):
            not_authorized(s, c.user, "wrong")
        not_authorized(s, c.user, token, "temporary-auth-failure")


def test_account_removed(server):
    c, token = first_login(server)
    server.control("users.del", account=c.bare)
    server.control("users.add", account=c.bare, password="secret")
    not_authorized(server, c.user, token)


def test_resume_and_token(server):
    """All of it in one round trip."""
    c = fresh(server)
    success = c.login2(bind=f"<enable xmlns='{NS['sm']}' resume='true'/>", inline=request("HT-SHA-256-NONE"), agent=ID)
    previd, token = child(success, "bind2:bound/sm:enabled").get("id"), token_of(success)
    c.drop()
    d = fresh(server, c.user)
    fast(d, token, inline=f"<resume xmlns='{NS['sm']}' previd='{previd}' h='0'/>")
    success = d.welcomed(resumed=True)
    assert child(success, "sm:resumed") is not None and d.jid == c.jid, show(success)
    d.expect_nothing()


# ---- clients

def clients(client):
    """By software."""
    found = children(client.result("get", LIST), "cam:clients/cam:client")
    return {text(e, "cam:user-agent/cam:software"): e for e in found}


def revoke(client_id):
    return f"<revoke xmlns='{NS['cam']}' id='{client_id}'/>"


def auth_of(e):
    return {a.tag.rpartition("}")[2] for a in child(e, "cam:auth")}


def test_list(server):
    phone, token = first_login(server, software="Hare", device="Phone")
    desk = fresh(server, phone.user)
    desk.login2("PLAIN", agent=ID2, software="Tortoise")
    fresh(server, phone.user).login2()
    found = clients(desk)
    assert set(found) == {"Hare", "Tortoise"}, found
    hare = found["Hare"]
    assert text(hare, "cam:user-agent/cam:device") == "Phone" and hare.get("connected") == "true"
    assert hare.get("type") == "session" and child(hare, "cam:permission").get("status") == "unrestricted"
    assert text(hare, "cam:first-seen") and text(hare, "cam:last-seen")
    assert auth_of(hare) == {"password", "fast"} and auth_of(found["Tortoise"]) == {"password"}
    assert ID not in show(hare)
    phone.end()
    assert clients(desk)["Hare"].get("connected") == "false"


def test_list_is_private(server):
    c, stranger = first_login(server)[0], server.client("stranger")
    stranger.refused("get", LIST, "service-unavailable", to=c.bare)
    stranger.refused("set", revoke("x"), "service-unavailable", to=c.bare)


def test_revoke(server):
    """Tokens and sessions go; one that knows the password stays in the list."""
    phone, token = first_login(server, software="Hare")
    desk = fresh(server, phone.user)
    desk.login2(agent=ID2, software="Tortoise")
    answer = desk.refused("set", revoke(clients(desk)["Hare"].get("id")), "service-unavailable")
    assert child(answer, "error/cam:password-reset-required") is not None, show(answer)
    phone.expect_error("not-authorized")
    not_authorized(server, phone.user, token)
    assert auth_of(clients(desk)["Hare"]) == {"password"}
    desk.refused("set", revoke("nothing"), "item-not-found")
    desk.refused("set", f"<revoke xmlns='{NS['cam']}'/>", "bad-request")
    desk.expect_nothing()


def test_commands(server):
    phone, token = first_login(server, software="Hare", device="Phone")
    desk = fresh(server, phone.user)
    desk.login2(agent=ID2, software="Tortoise")
    rows = server.control("clients.list", account=phone.bare)
    assert sorted((r["software"], r["connected"], r["methods"]) for r in rows) == [
        ("Hare", True, "password, token"), ("Tortoise", True, "password")], rows
    hare = next(r["id"] for r in rows if r["software"] == "Hare")
    assert server.control("clients.revoke", account=phone.bare, id=hare) == [{"revoked": 1, "password": True}]
    phone.expect_error("not-authorized")
    not_authorized(server, phone.user, token)
    desk.expect_nothing()
    assert server.control("clients.revoke", account=phone.bare)[0]["revoked"] == 2
    desk.expect_error("not-authorized")
    code, _, errors = server.ctl("clients", "revoke", phone.bare, "nothing", check=False)
    assert code and "not" in errors.lower(), errors


def test_names_not_kept(server):
    with Server({"plugins": {"clients": {"names": False}}}) as s:
        first_login(s, software="Hare", device="Phone")
        c = s.clients[-1]
        row = s.control("clients.list", account=c.bare)[0]
        assert row["software"] == row["device"] == "", row


def test_most_clients(server):
    with Server({"plugins": {"clients": {"max_clients": 2}}}) as s:
        user = s.account()
        for i in range(4):
            fresh(s, user).login2(agent=f"00000000-0000-4000-8000-00000000000{i}", software=str(i))
        rows = s.control("clients.list", account=f"{user}@{DOMAIN}")
        assert sorted(r["software"] for r in rows) == ["2", "3"], rows
