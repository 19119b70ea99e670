# SPDX-License-Identifier: Apache-2.0
"""Accounts of other servers, the real ones, as they are found here afterwards."""
import os

from dumps import CONFIG, moved, refused, write
from element import children, show
from foreign import Ejabberd, Prosody
from mam import Found, fetch, wait_for
from server import DOMAIN, Server
from test_dump import roster
from test_vcard import vcard

SERVER = False
COST = 3
ALICE, BOB = ("alice", "wonder <&>"), ("bob", "builder")


def server():
    return Server(CONFIG, sqlite=True)


def fill(p):
    """Alice has something of everything; Bob is away, and is asked and written to."""
    a = p.client(*ALICE)
    for payload in (
            "<query xmlns='jabber:iq:roster'><item jid='bob@one.example' name=\"B&amp;'b\"><group>a</group><group>b b</group></item></query>",
            "<query xmlns='jabber:iq:private'><x xmlns='one' a='1&amp;'>t&lt;\u2603<b/></x></query>",
            vcard("<FN>Alice \u2603</FN>"),
            "<block xmlns='urn:xmpp:blocking'><item jid='evil@x.example'/></block>"):
        a.result("set", payload)
    a.presence(to=f"bob@{DOMAIN}", type="subscribe")
    for i in range(3):
        a.message(f"bob@{DOMAIN}", f"hello {i} \u2603", id=f"m{i}", payload="<x xmlns='urn:example:x' y='&lt;'/>")
    archived(a, [f"hello {i} \u2603" for i in range(3)])
    a.end()
    b = p.client(*BOB, available=False)
    archived(b, [f"hello {i} \u2603" for i in range(3)])
    b.end()
    p.stop()


def archived(client, bodies):
    wait_for(lambda: [f.body for f in all_of(client)] == bodies, "all messages are archived")


def all_of(client):
    client.ask("set", "<query xmlns='urn:xmpp:mam:2' queryid='q'/>", id="archive")
    found = []
    while (got := client.next(wanted="the answer to a query")).get("id") != "archive":
        if got.find("{urn:xmpp:mam:2}result") is not None:
            found.append(got)
    return [Found(f) for f in found]


def check(s, archive=True):
    """Over the wire, with the old passwords."""
    s.connect(user=ALICE[0], password=ALICE[1]).login("SCRAM-SHA-1").end()
    a = s.connect(user=ALICE[0], password=ALICE[1]).login("PLAIN")
    assert roster(a) == {f"bob@{DOMAIN}": ("B&'b", "none", "subscribe", None, ["a", "b b"])}, roster(a)
    x = a.result("get", "<query xmlns='jabber:iq:private'><x xmlns='one'/></query>")[0][0]
    assert (x.get("a"), x.text, x[0].tag) == ("1&", "t<\u2603", "{one}b"), show(x)
    assert a.result("get", "<vCard xmlns='vcard-temp'/>")[0].findtext("{vcard-temp}FN") == "Alice \u2603"
    assert [i.get("jid") for i in a.result("get", "<blocklist xmlns='urn:xmpp:blocking'/>")[0]] == ["evil@x.example"]
    b = s.connect(user=BOB[0], password=BOB[1]).login("SCRAM-SHA-1")
    for client in (a, b) if archive else ():
        found = fetch(client)
        assert found.bodies == [f"hello {i} \u2603" for i in range(3)], found
        assert [f.message.get("id") for f in found] == ["m0", "m1", "m2"]
        assert found[0].message.find("{urn:example:x}x").get("y") == "<", found
        assert found[0].message.get("from").startswith(f"alice@{DOMAIN}/") and found[0].stamp.startswith("20")
    b.available()
    for i in range(3):
        m = b.take("message", body=f"hello {i} \u2603")
        assert len(children(m, "delay:delay")) == 1, show(m)
    b.take("presence", type="subscribe", from_=f"alice@{DOMAIN}")


# ---- Prosody

def test_prosody_files():
    with Prosody(storage="internal") as p, server() as s:
        for who in (ALICE, BOB):
            p.add(*who)
        p.start()
        fill(p)
        summary, err = moved(s, "import", "--from", "prosody", p.path("data"))
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (2, 0, []), (summary, err)
        check(s)
        assert moved(s, "import", "--existing", "merge", "--from", "prosody", p.path("data"))[0]["merged"] == 2
        for user in (ALICE[0], BOB[0]):
            assert s.control("mam.stats", account=f"{user}@{DOMAIN}")[0]["messages"] == 3


BAD_LUA = {
    "a call": ('return { ["password"] = os.execute("touch /tmp/run") };', ":1: there is neither"),
    "no end": ('return {\n["password"] = "x', ":2: a text has no end"),
    "no table": ("return 1;", ":1: there is no table"),
    "other code": ("x = 1", ":1: this is no data of Prosody"),
    "deep": ("return " + "{" * 1000, ":1: tables are nested too deep"),
    "cut": ('return { ["password"] = "x"', ":1: "),
}


def test_prosody_files_broken():
    with server() as s:
        for what, (text, words) in BAD_LUA.items():
            path = write(s, text, "data/one%2eexample/accounts/u.dat")
            err = refused(s, "import", "--from", "prosody", os.path.join(s.folder, "data"))
            assert path + words in err and "nothing was imported" in err, (what, err)
        assert "can't be read" in refused(s, "import", "--from", "prosody", "/none")
        assert not s.exists(f"u@{DOMAIN}")
        write(s, 'return {\n-- a comment\n["password"] = "se\\99ret"; }', "data/one%2eexample/accounts/u.dat")
        assert moved(s, "import", "--from", "prosody", os.path.join(s.folder, "data"))[0]["imported"] == 1
        s.client(user="u", password="secret").end()


# ---- ejabberd

def test_ejabberd_dump():
    """What ejabberd calls piefxis: several files, keys that are encoded twice, no archive."""
    with Ejabberd() as e, server() as s:
        fill(e.start(ALICE, BOB))
        summary, err = moved(s, "import", e.export())
        assert (summary["imported"], summary["warnings"]) == (2, 0), (summary, err)
        check(s, archive=False)


def test_ejabberd_sqlite():
    """Its tables, of one host and of several."""
    for new in (False, True):
        with Ejabberd(database="sqlite", new_schema=new) as e, server() as s:
            fill(e.start(ALICE, BOB))
            source = [f"sqlite:{e.path('ejabberd.sqlite')}"] + ([] if new else [DOMAIN])
            summary, err = moved(s, "import", "--from", "ejabberd", *source)
            assert (summary["imported"], summary["warnings"], summary["unknown"]) == (2, 0, []), (summary, err)
            check(s)
            assert s.control("last.show", account=f"alice@{DOMAIN}")[0]["login"].startswith("20")
            assert moved(s, "import", "--existing", "merge", "--from", "ejabberd", *source)[0]["merged"] == 2
            for user in (ALICE[0], BOB[0]):
                assert s.control("mam.stats", account=f"{user}@{DOMAIN}")[0]["messages"] == 3
            wrong = [source[0], DOMAIN] if new else source[:1]
            assert "meerkat-convert: " in refused(s, "import", "--from", "ejabberd", *wrong)
