# SPDX-License-Identifier: Apache-2.0
"""Accounts out of a server and into another (XEP-0227)."""
import os
import pty
import signal
import stat
import subprocess

from element import NS, child, children, show
from mam import fetch, prefs, wait_for
from dumps import CONFIG, ENV, PIE, accounts, command, dump, move, moved, refused, user, write
from server import DOMAIN, OTHER, Server
from test_vcard import PNG, photo, vcard

SERVER = False
COST = 3
FAR = "far@elsewhere.example"
ROSTER = NS["roster"]


def server():
    return Server(CONFIG, sqlite=True)


def roster(client):
    return {i.get("jid"): (i.get("name"), i.get("subscription"), i.get("ask"), i.get("approved"),
                           sorted(g.text for g in i)) for i in client.result("get", f"<query xmlns='{ROSTER}'/>")[0]}


def fill(s):
    """Alice has something of everything; Bob is away, and is written to."""
    bob, alice = s.account("bob", password="bob's pencil"), s.client("alice", password="wonder <&'\u00e4>")
    for payload in (
            f"<query xmlns='{ROSTER}'><item jid='{bob}@{DOMAIN}' name=\"B&amp;b\"><group>a</group><group>b b</group></item></query>",
            f"<query xmlns='{ROSTER}'><item jid='{FAR}'/></query>",
            "<query xmlns='jabber:iq:privacy'><list name='l'><item order='1' action='deny' type='group' value='a'><iq/></item>"
            "<item order='2' action='allow'/></list></query>",
            "<block xmlns='urn:xmpp:blocking'><item jid='evil@elsewhere.example'/></block>",
            "<query xmlns='jabber:iq:private'><a xmlns='one' x='1&#10;2'>t&lt;<b xmlns='' xml:lang='de'/></a></query>",
            "<query xmlns='jabber:iq:private'><a xmlns='two'/></query>",
            vcard("<FN>Alice</FN>", photo(PNG)),
            prefs("always", always=[FAR])):
        alice.result("set", payload)
    alice.presence(to=f"{bob}@{DOMAIN}", type="subscribe", payload="<status>let me</status>")
    alice.presence(to=f"friend@{DOMAIN}", type="subscribed")
    for i in range(3):
        alice.message(f"{bob}@{DOMAIN}", f"hello {i}", id=f"m{i}", payload="<x xmlns='urn:example:x'>\u2603</x>")
    alice.quiet()
    wait_for(lambda: s.control("offline.count", account=f"{bob}@{DOMAIN}")[0]["messages"] == 3, "three messages wait")
    return alice.user, bob


# ---- round trip

def test_round_trip():
    with server() as one, server() as two:
        alice, bob = fill(one)
        for s in (one, two):
            s.drop_clients()
        wait_for(lambda: not one.control("last.show", account=f"{alice}@{DOMAIN}")[0]["online"], "she is away")
        first, second = os.path.join(one.folder, "first.xml"), os.path.join(two.folder, "second.xml")
        summary, err = moved(one, "export", first)
        assert summary == {"accounts": 2, "left_out": 0}, (summary, err)
        assert stat.S_IMODE(os.stat(first).st_mode) == 0o600 and not os.path.exists(first + ".part")
        summary, err = moved(two, "import", first)
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (2, 0, []), (summary, err)
        assert not os.path.exists(first + ".state")
        moved(two, "export", second)
        before, after = accounts(first), accounts(second)
        assert before == after, "\n".join(f"{k}\n- {b}\n+ {a}" for k in before
                                          for b, a in zip(before[k], after[k]) if a != b)
        assert len(before[DOMAIN, alice]) >= 9, before[DOMAIN, alice]
        check_alice(one, two, alice, bob)
        check_bob(two, alice, bob)


def check_alice(one, two, alice, bob):
    """Over the wire, with each SCRAM and PLAIN."""
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-512"):
        two.connect(user=alice, password="wonder <&'\u00e4>").login(mechanism).end()
    two.connect(user=alice, password="wonder <&'\u00e4>").login("PLAIN").end()
    c = two.client(user=alice, password="wonder <&'\u00e4>", available=False)
    assert roster(c) == {f"{bob}@{DOMAIN}": ("B&b", "none", "subscribe", None, ["a", "b b"]),
                         FAR: (None, "none", None, None, []),
                         f"friend@{DOMAIN}": (None, "none", None, "true", [])}, roster(c)
    assert [i.get("jid") for i in c.result("get", "<blocklist xmlns='urn:xmpp:blocking'/>")[0]] == ["evil@elsewhere.example"]
    got = c.result("get", "<vCard xmlns='vcard-temp'/>")[0]
    assert got.findtext("{vcard-temp}FN") == "Alice", show(got)
    lists = c.result("get", "<query xmlns='jabber:iq:privacy'/>")[0]
    assert {e.get("name") for e in lists if e.tag.endswith("list")} == {"l", "blocking"}, show(lists)
    a = c.result("get", "<query xmlns='jabber:iq:private'><a xmlns='one'/></query>")[0][0]
    assert a.get("x") == "1\n2" and a.text == "t<" and a[0].tag == "b", show(a)
    there = one.client(user=alice, password="wonder <&'\u00e4>", available=False)
    assert [(f.id, f.stamp, f.body) for f in fetch(c)] == [(f.id, f.stamp, f.body) for f in fetch(there)]


def check_bob(s, alice, bob):
    c = s.client(user=bob, password="bob's pencil", available=False)
    assert fetch(c).bodies == ["hello 0", "hello 1", "hello 2"]
    c.available()
    for i in range(3):
        m = c.take("message", body=f"hello {i}")
        assert m.get("from").startswith(f"{alice}@{DOMAIN}/") and len(children(m, "delay:delay")) == 1, show(m)
    ask = c.take("presence", type="subscribe", from_=f"{alice}@{DOMAIN}")
    assert ask.findtext("{jabber:client}status") == "let me", show(ask)


def test_some():
    with server() as s:
        names = [s.account(n) for n in ("a", "b")]
        s.account("c", OTHER)
        path = os.path.join(s.folder, "out.xml")
        moved(s, "export", path)
        assert len(accounts(path)) == 3
        assert f"{path} is there already" in refused(s, "export", path)
        assert moved(s, "export", "--force", "--host", OTHER, path)[0]["accounts"] == 1
        code, out, _ = move(s, "export", "--user", f"{names[1]}@{DOMAIN}", "-")
        assert code == 0 and f"name='{names[1]}'" in out and names[0] not in out, out
        err = refused(s, "export", "--user", f"nobody@{DOMAIN}", path + "2")
        assert "no account nobody" in err and not os.path.exists(path + "2") and not os.path.exists(path + "2.part"), err
        assert "not served here" in refused(s, "export", "--host", "three.example", path + "2")
        for name in names:
            s.control("users.del", account=f"{name}@{DOMAIN}")
        moved(s, "export", "--force", path)
        everything = dump(user("x", password="secret"), user("y", password="secret"))
        assert moved(s, "import", "--user", f"y@{DOMAIN}", write(s, everything))[0]["imported"] == 1
        assert s.exists(f"y@{DOMAIN}") and not s.exists(f"x@{DOMAIN}")
        assert moved(s, "import", "-", stdin=everything)[0]["imported"] == 1
        s.client(user="x").end()


# ---- accounts that are there

def contact(jid, **attrs):
    more = "".join(f" {k}='{v}'" for k, v in attrs.items())
    return f"<query xmlns='{ROSTER}'><item jid='{jid}'{more}/></query>"


def test_existing():
    with server() as s:
        c = s.client("u", password="old")
        u = c.user
        c.result("set", contact("old@elsewhere.example"))
        c.result("set", vcard("<FN>Old</FN>"))
        path = write(s, dump(user(u, contact("new@elsewhere.example", subscription="both"), password="new")))
        assert moved(s, "import", path)[0]["skipped"] == 1
        assert set(roster(c)) == {"old@elsewhere.example"}
        assert moved(s, "import", "--existing", "merge", path)[0]["merged"] == 1
        push = c.take("iq", type="set")
        assert child(push, "roster:query/roster:item").get("jid") == "new@elsewhere.example", show(push)
        assert set(roster(c)) == {"old@elsewhere.example", "new@elsewhere.example"}
        s.client(user=u, password="old", available=False).end()
        assert moved(s, "import", "--existing", "replace", path)[0]["replaced"] == 1
        c.expect_error("reset")
        new = s.client(user=u, password="new", available=False)
        assert roster(new) == {"new@elsewhere.example": (None, "both", None, None, [])}
        new.refused("get", "<vCard xmlns='vcard-temp'/>", "item-not-found")
        assert "--existing is skip" in refused(s, "import", "--existing", "what", path, code=2)


def test_without_a_password():
    with server() as s:
        summary, err = moved(s, "import", write(s, dump(user("locked"))))
        assert summary["imported"] == 1 and f"locked@{DOMAIN}: there is no password" in err, err
        for password in ("", "secret"):
            c = s.connect(user="locked", password=password or "x")
            c.open()
            c.starttls()
            c.auth("PLAIN", f"\0locked\0{password or 'x'}".encode())
            c.expect("sasl:failure", has="sasl:not-authorized")
        s.control("users.password", account=f"locked@{DOMAIN}", password="secret")
        s.client(user="locked").end()


# ---- dumps of others

SCRAM = ("<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{}'><iter-count>{}</iter-count><salt>{}</salt>"
         "<server-key>{}</server-key><stored-key>{}</stored-key></scram-credentials>")


def scram(hash, password, salt, iterations):
    """As other servers compute it."""
    import base64
    import hashlib
    import hmac
    name = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256", "sha512": "SCRAM-SHA-512"}[hash]
    salted = hashlib.pbkdf2_hmac(hash, password.encode(), salt, iterations)
    keys = [hmac.digest(salted, label, hash) for label in (b"Server Key", b"Client Key")]
    stored = hashlib.new(hash, keys[1]).digest()
    return SCRAM.format(name, iterations, *(base64.b64encode(b).decode() for b in (salt, keys[0], stored)))


def test_scram_keys():
    """Each hash with a salt of its own; one alone; what makes no sense."""
    with server() as s:
        both = scram("sha1", "pencil", b"salt one", 4096) + scram("sha256", "pencil", b"x" * 45, 5000)
        wrong = both.replace("<salt>", "<salt>!") + SCRAM.format("SCRAM-MD5", 1, "", "", "")
        path = write(s, dump(user("both", both), user("one", scram("sha1", "pencil", b"salt", 4096)), user("bad", wrong)))
        summary, err = moved(s, "import", path)
        assert summary["imported"] == 3, summary
        assert "keys for SCRAM-SHA-1 make no sense" in err and "SCRAM-MD5 are not known" in err, err
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"):
            s.connect(user="both", password="pencil").login(mechanism).end()
        for mechanism in ("SCRAM-SHA-1", "PLAIN"):
            s.connect(user="one", password="pencil").login(mechanism).end()
        s.restart()
        s.connect(user="both", password="pencil").login("SCRAM-SHA-1").end()
        out = os.path.join(s.folder, "out.xml")
        moved(s, "export", out)
        keys = " ".join(accounts(out)[DOMAIN, "both"])
        assert "<iter-count>5000<" in keys.replace("ns0:", "") and "<iter-count>4096<" in keys.replace("ns0:", ""), keys


def result(id, stamp, body, from_, to):
    return (f"<result xmlns='urn:xmpp:mam:2' id='{id}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
            f"stamp='{stamp}'/><message xmlns='jabber:client' from='{from_}' to='{to}' type='chat'><body>{body}</body>"
            "</message></forwarded></result>")


def archive(count):
    """Three in a second, so that their order is not that of their times."""
    u, peer = f"u@{DOMAIN}", "peer@elsewhere.example"
    return "<archive xmlns='urn:xmpp:pie:0#mam'>" + "".join(
        result(f"id-{i}", f"2020-01-01T00:{i // 180:02}:{i // 3 % 60:02}Z", f"m{i} {'x' * 700}",
               *((u, peer) if i % 2 else (peer, u + "/r"))) for i in range(count)) + "</archive>"


def test_archive_is_not_doubled():
    """Ids are not ours, parts are many, and it comes three times."""
    with server() as s:
        path = write(s, dump(user("u", archive(600), password="secret")))
        assert moved(s, "import", path)[0]["imported"] == 1
        c = s.client(user="u", available=False)
        before = fetch(c, rsm_text="<set xmlns='http://jabber.org/protocol/rsm'><max>100</max><before/></set>")
        assert [b.split()[0] for b in before.bodies] == [f"m{i}" for i in range(500, 600)]
        for how in ("merge", "replace"):
            assert not moved(s, "import", "--existing", how, path)[0]["warnings"]
            assert s.control("mam.stats", account=f"u@{DOMAIN}")[0]["messages"] == 600
        after = fetch(s.client(user="u", available=False),
                      rsm_text="<set xmlns='http://jabber.org/protocol/rsm'><max>100</max><before/></set>")
        assert after.ids == before.ids and after.bodies == before.bodies


def test_offline_is_not_doubled():
    with server() as s:
        message = ("<message xmlns='jabber:client' from='peer@elsewhere.example/r' to='u@one.example' type='chat'>"
                   "<body>{}</body>{}</message>")
        delay = "<delay xmlns='urn:xmpp:delay' from='one.example' stamp='2020-01-01T00:00:00Z'/>"
        inner = "".join(message.format(f"m{i}", delay if i < 3 else "") for i in range(5))
        path = write(s, dump(user("u", f"<offline-messages>{inner}<other/></offline-messages>", password="secret")))
        for how in ("skip", "merge", "merge"):
            summary, err = moved(s, "import", "--existing", how, path)
            assert summary["warnings"] == 1 and "a message that waits was left out" in err, err
        assert s.control("offline.count", account=f"u@{DOMAIN}")[0]["messages"] == 5
        c = s.client(user="u")
        assert [c.take("message").findtext("{jabber:client}body") for _ in range(5)] == [f"m{i}" for i in range(5)]


def test_left_out():
    """What is invalid, too much or unknown is left out and told of; the rest is taken."""
    config = {"plugins": {"roster": {"max_items": 3}, "private": {"max_size": 1000}}}
    with Server({**CONFIG, "plugins": {**CONFIG["plugins"], **config["plugins"]}}, sqlite=True) as s:
        inner = (f"<query xmlns='{ROSTER}'><item jid='@'/>" + "".join(f"<item jid='c{i}@x.example'/>" for i in range(5)) +
                 "</query><p:pubsub xmlns:p='http://jabber.org/protocol/pubsub'><p:items node='n'/></p:pubsub>"
                 f"<query xmlns='jabber:iq:private'><a xmlns='n'>{'x' * 2000}</a><b xmlns='n'/></query>"
                 "<query xmlns='jabber:iq:privacy'><default name='ok'/><list name='bad'><item order='x' action='deny'/></list>"
                 "<list name='ok'><item order='1' action='deny' type='group' value='nobody'/></list></query>"
                 "<blocklist xmlns='urn:xmpp:blocking'><item jid='b@x.example'/><item jid='@'/></blocklist>"
                 f"<big xmlns='n'>{'x' * 5000000}</big><vCard xmlns='vcard-temp'><FN>{'x' * 5000000}</FN></vCard>")
        path = write(s, dump(user("u", inner, password="secret"), "<group/>"))
        summary, err = moved(s, "import", path)
        assert summary["imported"] == 1 and summary["warnings"] == 6, (summary, err)
        assert {u["name"] for u in summary["unknown"]} == {"pubsub", "big", "group"}, summary
        for words in ("no valid address: \"@\"", "2 contacts were left out", "private data was left out", "privacy list bad",
                      "dump.xml:2: <vCard xmlns='vcard-temp'> is longer than"):
            assert words in err, (words, err)
        c = s.client(user="u", available=False)
        assert len(roster(c)) == 3
        assert [i.get("jid") for i in c.result("get", "<blocklist xmlns='urn:xmpp:blocking'/>")[0]] == ["b@x.example"]


# ---- broken dumps

BAD = {
    "bad XML": ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='one.example'>\n<user name='u'>\n</host></server-data>", ":4: "),
    "cut": ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='one.example'>", ":2: it ends too early"),
    "another root": ("\n<roster xmlns='x'/>", ":2: this is no dump"),
    "no XML": ("hello", ":1: "),
    "unbound prefix": ("<server-data xmlns='urn:xmpp:pie:0'>\n<p:x/></server-data>", ":2: "),
    "unknown host": ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='three.example'/></server-data>", ":2: host three.example is not"),
    "no host": ("<server-data xmlns='urn:xmpp:pie:0'>\n<host/></server-data>", ":2: a <host/> has no"),
    "invalid host": ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='@@'/></server-data>", ":2: \"@@\" is no domain"),
    "no name": (dump("\n<user/>"), ":3: a <user/> has no"),
    "invalid name": (dump("\n", user("a b")), ":3: \"a b\" is no name"),
    "too deep": (dump(user("u", "\n<vCard xmlns='vcard-temp'>" + "<a>" * 95 + "</a>" * 95 + "</vCard>")), ":3: elements are nested"),
    "entities": ("<!DOCTYPE x [<!ENTITY a 'aa'>\n<!ENTITY b '&a;&a;'>]>\n" + dump(user("u", "&b;"))[22:], ":1: a dump must not have a DTD"),
    "undeclared": (dump(user("u", "\n&a;")), ":3: "),
    "external": (dump(user("u"))[:22] + "<!DOCTYPE x SYSTEM '/etc/passwd'>" + dump(user("u"))[22:], ":2: a dump must not have a DTD"),
}


def test_broken():
    with server() as s:
        for what, (text, words) in BAD.items():
            path = write(s, text)
            err = refused(s, "import", path)
            assert path + words in err and "nothing was imported" in err, (what, err)
        assert not s.ctl("users", "list", f"host={DOMAIN}").strip()
        many = write(s, dump(*("\n" + user(f"a {i}") for i in range(30))))
        assert refused(s, "import", many).count("is no name of an account") == 20
        good = write(s, dump(user("good", password="secret")))
        assert "1 accounts" in move(s, "import", "--check", good)[1] and not s.exists(f"good@{DOMAIN}")
        assert "can't be read" in refused(s, "import", good + ".none")
        s.stop()
        assert "no server answers" in refused(s, "import", good, code=3)
        s.start()


# ---- XInclude

XI = "xmlns:xi='http://www.w3.org/2001/XInclude'"


def test_include():
    with server() as s:
        write(s, f"<user xmlns='{PIE}' name='juliet' password='secret'>{contact('romeo@x.example')}</user>", "dump/one.example/juliet.xml")
        write(s, f"<user xmlns='{PIE}' name='a&apos;b' password='secret'/>".replace("a&apos;b", "per cent".replace(" ", "-")),
              "dump/one.example/per%cent.xml")
        write(s, f"<host xmlns='{PIE}' {XI} jid='{DOMAIN}'>\n<xi:include href='one.example/juliet.xml'/>"
              "<xi:include href='one.example/per%25cent.xml'/></host>", "dump/one.example.xml")
        main = write(s, f"<server-data xmlns='{PIE}' {XI}><xi:include href='one.example.xml'/></server-data>", "dump/main.xml")
        assert moved(s, "import", main)[0]["imported"] == 2
        assert set(roster(s.client(user="juliet", available=False))) == {"romeo@x.example"}


def test_include_refused():
    with server() as s:
        write(s, f"<host xmlns='{PIE}' jid='{DOMAIN}'/>", "outside.xml")
        os.makedirs(os.path.join(s.folder, "dump", "one.example"))
        write(s, f"\n<xi:include {XI} href='more.xml'/>", "dump/more.xml")
        os.symlink("../outside.xml", os.path.join(s.folder, "dump", "link.xml"))
        for include, words in (
                ("href='../outside.xml'", "lies outside"), ("href='link.xml'", "lies outside"),
                ("href='%2e%2e/outside.xml'", "lies outside"), ("href='/etc/passwd'", "no relative path"),
                ("href='file:///etc/passwd'", "no relative path"), ("href='none.xml'", "can't be included"),
                ("href='.'", "lies outside"), ("href='one.example'", "it is no file"), ("href='main.xml' parse='text'", "neither `parse`"), ("", "must have `href`"),
                ("href='more.xml'", "include each other")):
            text = f"<server-data xmlns='{PIE}' {XI}>\n<xi:include {include}/></server-data>"
            path = write(s, text, "dump/main.xml")
            err = refused(s, "import", path)
            assert ":2: " in err and words in err and "nothing was imported" in err, (include, err)
        # Inside of user data it is user data.
        inner = f"<query xmlns='jabber:iq:private'><a xmlns='n'><xi:include {XI} href='../outside.xml'/></a></query>"
        assert moved(s, "import", write(s, dump(user("u", inner, password="secret")), "dump/main.xml"))[0]["imported"] == 1
        got = s.client(user="u").result("get", "<query xmlns='jabber:iq:private'><a xmlns='n'/></query>")[0][0][0]
        assert got.tag == "{http://www.w3.org/2001/XInclude}include" and got.get("href") == "../outside.xml", show(got)


# ---- cut and run again

def test_cut():
    """An account in the middle of which the import was killed is made whole; the ones before are not looked at."""
    with server() as s:
        users = [user(f"u{i:03}", contact("peer@x.example") + archive(60), password="secret") for i in range(40)]
        path = write(s, dump(*users))
        process = subprocess.Popen(command(s, "import", path), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: s.exists(f"u010@{DOMAIN}"), "the eleventh account is there")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert os.path.exists(path + ".state") and not s.exists(f"u039@{DOMAIN}")
        summary, err = moved(s, "import", path)
        assert summary["done_before"] >= 10 and summary["done_before"] + summary["imported"] == 40, (summary, err)
        assert not summary["skipped"] and not os.path.exists(path + ".state")
        for i in range(40):
            assert s.control("mam.stats", account=f"u{i:03}@{DOMAIN}")[0]["messages"] == 60, i
        for i in (0, 10, 11, 39):
            s.client(user=f"u{i:03}").end()
        assert moved(s, "import", path)[0]["skipped"] == 40


def test_server_ends_meanwhile():
    with server() as s:
        path = write(s, dump(*(user(f"u{i:03}", archive(60), password="secret") for i in range(40))))
        process = subprocess.Popen(command(s, "import", path), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: s.exists(f"u005@{DOMAIN}"), "the sixth account is there")
        s.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 3 and "run the same again to go on" in err, err
        s.start()
        assert moved(s, "import", path)[0]["done_before"] >= 5
        for i in range(40):
            assert s.control("mam.stats", account=f"u{i:03}@{DOMAIN}")[0]["messages"] == 60, i


def test_progress():
    """On a terminal there is a bar, with how many and how fast."""
    with server() as s:
        path = write(s, dump(*(user(f"u{i:03}", archive(60), password="secret") for i in range(40))))
        terminal, end = pty.openpty()
        process = subprocess.Popen(command(s, "import", path), env=ENV, stdout=subprocess.DEVNULL, stderr=end)
        os.close(end)
        shown = b""
        try:
            while data := os.read(terminal, 4096):
                shown += data
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        assert process.wait() == 0 and b"%" in shown and b"accounts/s" in shown, shown
