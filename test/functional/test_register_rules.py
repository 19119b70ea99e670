# SPDX-License-Identifier: Apache-2.0
"""Who may register: challenges, approval, networks, rules for passwords; and who is told."""
import base64
import hashlib
import struct
import zlib

from element import NS, child, children, escape, show, text
from server import DOMAIN, Server
from test_register import QUERY, can_login, query, register, stranger
from xmpp import check_error

SERVER = False
COST = 3
NS.update(media="urn:xmpp:media-element", bob="urn:xmpp:bob", oob="jabber:x:oob")
QUESTIONS = ["What colour is snow? | White", "What colour is snow, tell me? | White"]


def served(**options):
    options.setdefault("registration_timeout", 0)
    options.setdefault("open", True)
    return Server({"plugins": {"register": options, "accounts": {}}})


def form(**fields):
    inner = "".join(f"<field var='{k}'><value>{escape(v)}</value></field>" for k, v in fields.items())
    return f"<query xmlns='{NS['register']}'><x xmlns='{NS['x']}' type='submit'>{inner}</x></query>"


def asked(client):
    """(query, fields of the form by name)"""
    answer = child(client.result("get", QUERY, DOMAIN), "register:query")
    return answer, {f.get("var"): f for f in children(answer, "x:x/x:field")}


def sent(client, name, **more):
    return client.iq("set", form(username=name, password="long enough", **more), DOMAIN)


# ---- the form

def test_form():
    with served() as s:
        c = stranger(s)
        answer, fields = asked(c)
        assert text(fields["FORM_TYPE"], "x:value") == NS["register"] and "challenge" not in fields
        assert fields["password"].get("type") == "text-private" and child(fields["username"], "x:required") is not None
        assert text(child(answer, "x:x"), "x:instructions")
        assert sent(c, "byform").get("type") == "result"
        assert can_login(s, "byform", "long enough")


def test_url():
    with served(url="https://one.example/join") as s:
        assert text(asked(stranger(s))[0], "oob:x/oob:url") == "https://one.example/join"
    with served(url="https://one.example/join", open=False) as s:
        c = stranger(s)
        assert child(c.features, "regfeature:register") is not None
        answer, fields = asked(c)
        assert text(answer, "oob:x/oob:url") == "https://one.example/join" and not fields
        assert text(answer, "register:instructions")
        check_error(c, register(c, "notso"), "not-allowed")


# ---- challenges

def test_question():
    with served(captcha="question", questions=QUESTIONS) as s:
        c = stranger(s)
        _, fields = asked(c)
        assert fields["qa"].get("label").startswith("What colour is snow") and "|" not in fields["qa"].get("label")
        challenge = text(fields["challenge"], "x:value")
        assert sent(c, "human", challenge=challenge, qa=" white ").get("type") == "result"
        assert can_login(s, "human", "long enough")


def test_wrong_answers():
    with served(captcha="question", questions=QUESTIONS) as s:
        c = stranger(s)
        check_error(c, register(c, "robot"), "not-acceptable")
        check_error(c, sent(c, "robot", qa="white"), "not-acceptable")
        challenge = text(asked(c)[1]["challenge"], "x:value")
        check_error(c, sent(c, "robot", challenge=challenge, qa="black"), "not-acceptable")
        check_error(c, sent(c, "robot", challenge=challenge, qa="white"), "not-acceptable")  # one try
        challenge = text(asked(c)[1]["challenge"], "x:value")
        check_error(c, sent(c, "robot", challenge=challenge, qa=""), "not-acceptable")
        challenge = text(asked(c)[1]["challenge"], "x:value")
        other = stranger(s)  # the challenge is the connection's
        check_error(other, sent(other, "robot", challenge=challenge, qa="white"), "not-acceptable")
        old, challenge = challenge, text(asked(c)[1]["challenge"], "x:value")
        check_error(c, sent(c, "robot", challenge=old, qa="white"), "not-acceptable")
        assert not s.exists(f"robot@{DOMAIN}")


def pixels(png):
    """(width, height, rows of grey) of a PNG without interlacing whose rows are filtered."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, size = 8, b"", None
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", png[at + 8 + length:at + 12 + length])[0]
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
            assert body[8:10] == b"\x08\x00", "eight bits of grey"
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    raw = zlib.decompress(data)
    assert len(raw) == (size[0] + 1) * size[1]
    return (*size, raw)


def test_image():
    with served(captcha="both", questions=QUESTIONS) as s:
        c, images = stranger(s), set()
        for _ in range(2):
            answer, fields = asked(c)
            uri = child(fields["ocr"], "media:media/media:uri")
            data = child(answer, "bob:data")
            assert uri.get("type") == data.get("type") == "image/png" and uri.text == "cid:" + data.get("cid")
            png = base64.b64decode(data.text)
            assert data.get("cid") == f"sha1+{hashlib.sha1(png).hexdigest()}@bob.xmpp.org"
            width, height, _ = pixels(png)
            media = child(fields["ocr"], "media:media")
            assert (int(media.get("width")), int(media.get("height"))) == (width, height)
            images.add(png)
        assert len(images) == 2, "every challenge has its own image"
        challenge = text(fields["challenge"], "x:value")
        check_error(c, sent(c, "robot", challenge=challenge, ocr="zzzzz"), "not-acceptable")
        challenge = text(asked(c)[1]["challenge"], "x:value")
        assert sent(c, "human", challenge=challenge, qa="white").get("type") == "result", "who can't see answers"


def test_configuration():
    for options, word in (({"captcha": "question"}, "questions"), ({"questions": ["no answer"]}, "questions"),
                          ({"networks": ["permit all"]}, "networks"), ({"captcha": "hard"}, "captcha")):
        s = Server({"plugins": {"register": options}}, start=False)
        try:
            assert word in s.refuses_to_start()
        finally:
            s.remove()


# ---- who may

def test_networks():
    for rules, allowed in ((["deny 127.0.0.0/8"], False), (["allow 127.0.0.1", "deny 0.0.0.0/0"], True),
                           (["deny 192.0.2.0/24", "deny ::/0"], True)):
        with served(networks=rules) as s:
            c = stranger(s)
            if allowed:
                assert register(c, "near").get("type") == "result"
            else:
                check_error(c, register(c, "near"), "forbidden")
                c.refused("get", QUERY, "forbidden", DOMAIN)


def test_rate():
    with served(registration_timeout="1h", registrations=2) as s:
        for name in ("first", "second"):
            assert register(stranger(s), name).get("type") == "result"
        c = stranger(s)
        check_error(c, register(c, "third"), "resource-constraint")
        assert not s.exists(f"third@{DOMAIN}")


def test_failures_do_not_count():
    with served(registration_timeout="1h", registrations=2) as s:
        taken, c = s.account(), stranger(s)
        for _ in range(3):
            check_error(c, register(c, taken), "conflict")
        for name in ("first", "second"):
            assert register(c, name).get("type") == "result"


def test_entropy():
    with served(min_entropy=40, min_password=1) as s:
        c = stranger(s)
        check_error(c, register(c, "weak", "aaaaaaaa"), "not-acceptable")  # 38 bits
        check_error(c, register(c, "weak", "123456789012"), "not-acceptable")  # 38 bits
        assert register(c, "strong", "aB3$xY7").get("type") == "result"  # 46 bits
        user = s.client(user="strong", password="aB3$xY7")
        user.refused("set", query(name="strong", password="aaaaaaaa"), "not-acceptable")
        user.result("set", query(name="strong", password="aB3$xY8"))


# ---- approval

def test_approval():
    with served(approval=True) as s:
        s.control("users.add", account=f"admin@{DOMAIN}", password="secret")
        admin, boss = s.client(user="admin"), s.client("boss")
        s.ctl("users", "role", boss.bare, "admin")
        c = stranger(s)
        assert register(c, "newcomer").get("type") == "result"
        for x in (admin, boss):
            assert "newcomer@" in text(x.take("message", from_=DOMAIN), "body")
        c.user, c.password = "newcomer", "long enough"
        c.scram("SCRAM-SHA-256")
        failure = c.expect("sasl:failure", has="sasl:account-disabled")
        assert "approval" in text(failure, "sasl:text"), show(failure)
        rows = s.ctl_json("register", "waiting", f"host={DOMAIN}")
        assert [(r["account"], r["address"]) for r in rows] == [(f"newcomer@{DOMAIN}", "127.0.0.1")], rows
        states = {r["account"]: r["state"] for r in s.ctl_json("users", "list", f"host={DOMAIN}")}
        assert states[f"newcomer@{DOMAIN}"] == "waiting" and states[boss.bare] == "enabled"
        s.ctl("register", "approve", f"newcomer@{DOMAIN}")
        assert s.ctl_json("register", "waiting", f"host={DOMAIN}") == []
        assert can_login(s, "newcomer", "long enough")


def test_rejection():
    with served(approval=True) as s:
        c = stranger(s)
        assert register(c, "newcomer").get("type") == "result"
        check_error(c, register(c, "newcomer"), "conflict")
        s.ctl("register", "reject", f"newcomer@{DOMAIN}")
        assert not s.exists(f"newcomer@{DOMAIN}") and not s.ctl_json("register", "waiting", f"host={DOMAIN}")
        old = s.account()
        for words in (("approve", f"{old}@{DOMAIN}"), ("reject", f"{old}@{DOMAIN}"), ("approve", f"nobody@{DOMAIN}")):
            code, _, err = s.ctl("register", *words, check=False)
            assert code and "does not wait" in err, err
        assert can_login(s, old, "secret"), "who does not wait is not rejected"


def test_taken_names_do_not_wait():
    """Whoever registers a name that is taken must not lock its owner out."""
    with served(approval=True) as s:
        user, c = s.account(), stranger(s)
        check_error(c, register(c, user), "conflict")
        assert can_login(s, user, "secret")


def test_watchers():
    with served(registration_watchers=[f"watcher@{DOMAIN}"]) as s:
        s.control("users.add", account=f"watcher@{DOMAIN}", password="secret")
        w = s.client(user="watcher")
        register(stranger(s), "newcomer")
        got = text(w.take("message", from_=DOMAIN), "body")
        assert f"newcomer@{DOMAIN}" in got and "127.0.0.1" in got
        w.expect_nothing()
