# SPDX-License-Identifier: Apache-2.0
"""Accounts of other servers, the real ones, as they are found here afterwards."""
import base64
import hashlib
import hmac
import os
import subprocess
import urllib.parse

from databases import Postgres
from dumps import CONFIG, moved, refused, write
from element import children, show
from mam import Found, fetch, wait_for
from origins import Ejabberd, MariaDB, Prosody
from server import DOMAIN, Server, Skip
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


def url_of(postgres):
    e = postgres.env
    password = urllib.parse.quote(e["MEERKAT_PGSQL_PASSWORD"])
    return f"postgresql://meerkat:{password}@127.0.0.1:{e['MEERKAT_PGSQL_PORT']}/meerkat"


def test_ejabberd_postgresql():
    with Postgres() as p, Ejabberd(database="pgsql", new_schema=True, postgres=p) as e, server() as s:
        fill(e.start(ALICE, BOB))
        summary, err = moved(s, "import", "--from", "ejabberd", url_of(p))
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (2, 0, []), (summary, err)
        check(s)
        wrong = url_of(p).replace("/meerkat", "/none")
        assert "nothing was imported" in refused(s, "import", "--from", "ejabberd", wrong)


# ---- MongooseIM: its tables as it documents them, and rows in its forms

def keys(hash, password, salt):
    salted = hashlib.pbkdf2_hmac(hash, password.encode(), salt, 5000)
    stored = hashlib.new(hash, hmac.digest(salted, b"Client Key", hash)).digest()
    return [base64.b64encode(b).decode() for b in (salt, stored, hmac.digest(salted, b"Server Key", hash))]


def terms(messages):
    """As Erlang writes them: compressed, plain, with a map of attributes."""
    if not os.path.exists("/usr/bin/erl"):
        raise Skip("erlang is not installed")
    code = "P = fun(B) -> io:format(\"~s~n\", [[io_lib:format(\"~2.16.0b\", [X]) || <<X>> <= B]]) end, "
    for i, (attrs, body) in enumerate(messages):
        pairs = [f"<<\"{k}\">>, <<\"{v}\">>" for k, v in attrs.items()]
        held = "#{" + ", ".join(p.replace(",", " =>", 1) for p in pairs) + "}" if i % 3 == 2 \
            else "[" + ", ".join("{" + p + "}" for p in pairs) + "]"
        data = "{xmlcdata, <<\"%s\"/utf8>>}" % body if i % 2 else "{xmlcdata, <<\"%s\"/utf8>>, escaped}" % body
        code += ("P(term_to_binary({xmlel, <<\"message\">>, %s, [{xmlel, <<\"body\">>, [], [%s]}, {xmlel, <<\"x\">>, "
                 "[{<<\"xmlns\">>, <<\"urn:example:x\">>}, {<<\"y\">>, <<\"<\">>}], []}]}%s)), "
                 % (held, data, ", [compressed]" if i % 2 == 0 else ""))
    done = subprocess.run(["erl", "-noshell", "+pc", "unicode", "-eval", code + "halt()."], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


TABLES = """
CREATE TABLE users (username varchar(250), server varchar(250), {password} text NOT NULL, pass_details text);
CREATE TABLE last (server varchar(250), username varchar(250), seconds integer NOT NULL, state text NOT NULL);
CREATE TABLE rosterusers (server varchar(250), username varchar(250), jid text, nick text, subscription character(1),
  ask character(1), askmessage text);
CREATE TABLE rostergroups (server varchar(250), username varchar(250), jid text, grp text);
CREATE TABLE vcard (username varchar(150), server varchar(100), vcard text);
CREATE TABLE privacy_default_list (server varchar(250), username varchar(250), name text);
CREATE TABLE privacy_list (server varchar(250), username varchar(250), name text, id integer);
CREATE TABLE privacy_list_data (id bigint, t character(1), value text, action character(1), ord int, match_all boolean,
  match_iq boolean, match_message boolean, match_presence_in boolean, match_presence_out boolean);
CREATE TABLE private_storage (server varchar(250), username varchar(250), namespace varchar(250), data text);
CREATE TABLE mam_message (id BIGINT, user_id INT, from_jid varchar(250), remote_bare_jid varchar(250),
  remote_resource varchar(250), direction {direction}, message {bytes}, search_body text);
CREATE TABLE mam_server_user (id integer, server varchar(250), user_name varchar(250));
CREATE TABLE offline_message (id integer, timestamp BIGINT, expire BIGINT, server varchar(250), username varchar(250),
  from_jid varchar(250), packet text, permanent_fields {bytes});
"""
TIME = 1600000000000000


def rows(hexed):
    d = DOMAIN
    multi = "==MULTI_SCRAM==,5000" + "".join(f",{tag}{'|'.join(keys(hash, ALICE[1], salt))}" for tag, hash, salt in (
        ("===SHA1===", "sha1", b"one"), ("==SHA224==", "sha224", b"no"), ("==SHA256==", "sha256", b"two"),
        ("==SHA512==", "sha512", b"three")))
    salt, stored, server_key = keys("sha1", BOB[1], b"four")
    sql = [f"INSERT INTO users VALUES ('alice', '{d}', '', '{multi}')",
           f"INSERT INTO users VALUES ('bob', '{d}', '', '==SCRAM==,{stored},{server_key},{salt},5000')",
           f"INSERT INTO users VALUES ('plain', '{d}', 'secret', NULL)",
           f"INSERT INTO last VALUES ('{d}', 'alice', 1600000000, 'gone')",
           f"INSERT INTO rosterusers VALUES ('{d}', 'alice', 'bob@{d}', 'B&''b', 'N', 'O', '')",
           f"INSERT INTO rosterusers VALUES ('{d}', 'bob', 'alice@{d}', '', 'N', 'I', 'please')",
           f"INSERT INTO rostergroups VALUES ('{d}', 'alice', 'bob@{d}', 'a')",
           f"INSERT INTO rostergroups VALUES ('{d}', 'alice', 'bob@{d}', 'b b')",
           f"INSERT INTO vcard VALUES ('alice', '{d}', '<vCard xmlns=\"vcard-temp\"><FN>Alice \u2603</FN></vCard>')",
           f"INSERT INTO vcard VALUES ('bob', '{d}', '<vCard xmlns=\"vcard-temp\"><FN>')",
           f"INSERT INTO privacy_default_list VALUES ('{d}', 'alice', 'l')",
           f"INSERT INTO privacy_list VALUES ('{d}', 'alice', 'l', 7)",
           "INSERT INTO privacy_list_data VALUES (7, 'j', 'evil@x.example', 'd', 1, true, false, false, false, false)",
           f"INSERT INTO private_storage VALUES ('{d}', 'alice', 'one', '<x xmlns=\"one\" a=\"1&amp;\">t&lt;\u2603<b/></x>')",
           f"INSERT INTO mam_server_user VALUES (3, '{d}', 'alice')", f"INSERT INTO mam_server_user VALUES (4, '{d}', 'bob')"]
    for i, data in enumerate(hexed):
        for owner, way in ((3, "O"), (4, "I")):
            sql.append(f"INSERT INTO mam_message VALUES ({(TIME + i * 7) * 256 + 1}, {owner}, '', '', '', '{way}', {data}, '')")
        sql.append(f"INSERT INTO offline_message VALUES ({i}, {TIME + i * 7}, NULL, '{d}', 'bob', '', '<message from=\"alice@{d}/r\" "
                   f"to=\"bob@{d}\" type=\"chat\"><body>hello {i} \u2603</body></message>', NULL)")
    return ";\n".join(sql) + ";"


def imported_from_mongooseim(url):
    with server() as s:
        summary, err = moved(s, "import", "--from", "mongooseim", url)
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (3, 0, []), (summary, err)
        assert s.control("last.show", account=f"alice@{DOMAIN}")[0]["logout"].startswith("2020-09-13T12:26:40")
        assert f"bob@{DOMAIN}: the vCard is no XML, and is left out" in err, err
        check(s)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            s.connect(user=ALICE[0], password=ALICE[1]).login(mechanism).end()
        s.client(user="plain", password="secret").end()
        assert moved(s, "import", "--existing", "merge", "--from", "mongooseim", url)[0]["merged"] == 3
        assert s.control("mam.stats", account=f"bob@{DOMAIN}")[0]["messages"] == 3


def messages():
    return [({"from": f"alice@{DOMAIN}/r", "to": f"bob@{DOMAIN}", "type": "chat", "id": f"m{i}"}, f"hello {i} \u2603")
            for i in range(3)]


def test_mongooseim_postgresql():
    with Postgres() as p:
        p.sql("SET ROLE meerkat;\nCREATE TYPE way AS ENUM('I', 'O');"
              + TABLES.format(password='"password"', bytes="bytea", direction="way")
              + rows([f"'\\x{t}'" for t in terms(messages())]))
        imported_from_mongooseim(url_of(p))


def test_mongooseim_mysql():
    with MariaDB() as m:
        m.start()
        m.sql(TABLES.format(password="password", bytes="mediumblob", direction="ENUM('I', 'O')")
              + rows([f"x'{t}'" for t in terms(messages())]))
        imported_from_mongooseim(m.url)


def test_prosody_sqlite():
    with Prosody(storage="sql") as p, server() as s:
        if not os.path.exists("/usr/share/lua/5.4/DBI.lua"):
            raise Skip("lua-dbi-sqlite3 is not installed")
        p.start()
        for who in (ALICE, BOB):
            p.add(*who)
        fill(p)
        source = f"sqlite:{p.path('prosody.sqlite')}"
        summary, err = moved(s, "import", "--from", "prosody", source)
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (2, 0, []), (summary, err)
        check(s)
        assert moved(s, "import", "--existing", "merge", "--from", "prosody", source)[0]["merged"] == 2
        assert s.control("mam.stats", account=f"{BOB[0]}@{DOMAIN}")[0]["messages"] == 3
