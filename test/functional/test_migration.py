# SPDX-License-Identifier: Apache-2.0
"""Accounts of other servers, the real ones, as they are found here afterwards."""
import base64
import hashlib
import hmac
import json
import os
import subprocess

from databases import MariaDB, Postgres, Catalog, shared
from dumps import CONFIG, moved, refused, write
from element import attrs, children, escape, show
from mam import Found, fetch, wait_for
from origins import Ejabberd, Prosody
from server import DOMAIN, OTHER, Server, Skip
from test_dump import roster
from test_vcard import vcard

SERVER = False
COST = 3
ALICE, BOB, CAROL = ("alice", "wonder <&>"), ("bob", "builder"), ("carol", "sings")
NAMESAKE = ("carol", "sings elsewhere", OTHER)
TIME = 1600000000000000
MANY = 1100  # messages are read some hundred at a time
# What SQL, Lua, JSON, Erlang and XML each have a way of their own to write.
ODD = "it's \"%d\" \\n \u2603 \U0001f600\n\t; --"
NICK, GROUPS = "B&'b \"\\\" \U0001f600", ["a", "b's \"b\" \U0001f600"]
NOTE = "<x xmlns='one' a='1&amp;&apos;&quot;\\'>t&lt;\u2603'\"\\\n\U0001f600<b/></x>"
BODIES = [f"hello {ODD % i}" for i in range(3)]


def server():
    return Server(CONFIG, sqlite=True)


def fill(p):
    """Alice has something of everything; Bob is away, and is asked and written to."""
    a = p.client(*ALICE)
    groups = "".join(f"<group>{escape(g)}</group>" for g in GROUPS)
    for payload in (
            f"<query xmlns='jabber:iq:roster'><item{attrs(jid=f'bob@{DOMAIN}', name=NICK)}>{groups}</item></query>",
            f"<query xmlns='jabber:iq:private'>{NOTE}</query>",
            vcard(f"<FN>{escape(ODD % 1)}</FN>"),
            "<block xmlns='urn:xmpp:blocking'><item jid='evil@x.example'/></block>"):
        a.result("set", payload)
    a.presence(to=f"bob@{DOMAIN}", type="subscribe")
    for i, body in enumerate(BODIES):
        a.message(f"bob@{DOMAIN}", body, id=f"m{i}", payload="<x xmlns='urn:example:x' y='&lt;'/>")
    archived(a)
    a.end()
    b = p.client(*BOB, available=False)
    archived(b)
    b.end()
    p.stop()


def literal(kind, value):
    """In SQL of KIND, which is that of a Catalog."""
    if isinstance(value, int):
        return str(value)
    value = value.replace("'", "''")
    return "'%s'" % (value.replace("\\", "\\\\") if kind == "mysql" else value)


def fill_archive(catalog, table, **columns):
    """Carol has MANY messages; where a column's value is a function it gets their number."""
    quote = "`" if catalog.kind == "mysql" else '"'
    names = ",".join(f"{quote}{name}{quote}" for name in columns)
    rows = ((value(i) if callable(value) else value for value in columns.values()) for i in range(MANY))
    catalog.sql(f"INSERT INTO {table}({names}) VALUES " + ",".join(
        "(" + ",".join(literal(catalog.kind, value) for value in row) + ")" for row in rows))


def to_carol(i):
    return f"<message xmlns='jabber:client' from='peer@x.example/r' to='carol@{DOMAIN}' type='chat'><body>m{i}</body></message>"


def check_carol(s):
    assert s.control("mam.stats", account=f"carol@{DOMAIN}")[0]["messages"] == MANY
    c = s.connect(user=CAROL[0], password=CAROL[1]).login("SCRAM-SHA-1")
    for which, first in (("<before/>", MANY - 100), ("", 0)):
        found = fetch(c, rsm_text=f"<set xmlns='http://jabber.org/protocol/rsm'><max>100</max>{which}</set>")
        assert found.bodies == [f"m{i}" for i in range(first, first + 100)], found.bodies


def archived(client):
    wait_for(lambda: [f.body for f in all_of(client)] == BODIES, "all messages are archived")


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
    assert roster(a) == {f"bob@{DOMAIN}": (NICK, "none", "subscribe", None, GROUPS)}, roster(a)
    x = a.result("get", "<query xmlns='jabber:iq:private'><x xmlns='one'/></query>")[0][0]
    assert (x.get("a"), x.text, x[0].tag) == ("1&'\"\\", "t<\u2603'\"\\\n\U0001f600", "{one}b"), show(x)
    assert a.result("get", "<vCard xmlns='vcard-temp'/>")[0].findtext("{vcard-temp}FN") == ODD % 1
    assert [i.get("jid") for i in a.result("get", "<blocklist xmlns='urn:xmpp:blocking'/>")[0]] == ["evil@x.example"]
    b = s.connect(user=BOB[0], password=BOB[1]).login("SCRAM-SHA-1")
    for client in (a, b) if archive else ():
        found = fetch(client)
        assert found.bodies == BODIES, found
        assert [f.message.get("id") for f in found] == ["m0", "m1", "m2"]
        assert found[0].message.find("{urn:example:x}x").get("y") == "<", found
        assert found[0].message.get("from").startswith(f"alice@{DOMAIN}/") and found[0].stamp.startswith("20")
    b.available()
    for body in BODIES:
        m = b.take("message", body=body)
        assert len(children(m, "delay:delay")) == 1, show(m)
    b.take("presence", type="subscribe", from_=f"alice@{DOMAIN}")


def check_import(s, *source, count=3):
    """`meerkatctl import --from SOURCE`, which finds what fill() left there, and once more, which doubles nothing."""
    summary, err = moved(s, "import", "--from", *source)
    assert (summary["imported"], summary["warnings"], summary["unknown"]) == (count, 0, []), (summary, err)
    check(s)
    assert moved(s, "import", "--existing", "merge", "--from", *source)[0]["merged"] == count
    for user in (ALICE[0], BOB[0]):
        assert s.control("mam.stats", account=f"{user}@{DOMAIN}")[0]["messages"] == len(BODIES)


# ---- Prosody

def from_prosody(database, source):
    """SOURCE says, of the one that wrote to DATABASE, what is read then."""
    with Prosody(database=database) as p, server() as s:
        p.start()
        for who in (ALICE, BOB, CAROL):
            p.add(*who)
        fill(p)
        if isinstance(database, Catalog):
            fill_archive(database, "prosodyarchive", host=DOMAIN, user="carol", store="archive", key=lambda i: f"key-{i}",
                         when=lambda i: TIME // 1000000 + i // 2, type="xml", value=to_carol, **{"with": "peer@x.example"})
        check_import(s, "prosody", source(p))
        if isinstance(database, Catalog):
            check_carol(s)


def test_prosody_files():
    from_prosody(None, lambda p: p.path("data"))


def test_prosody_sqlite():
    from_prosody("sqlite", lambda p: f"sqlite:{p.path('prosody.sqlite')}")


def test_prosody_postgresql():
    database = Catalog(shared(Postgres))
    from_prosody(database, lambda p: database.url)


def test_prosody_mariadb():
    database = Catalog(shared(MariaDB))
    from_prosody(database, lambda p: database.url)


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


def from_ejabberd(make, url):
    """MAKE makes an empty database for it; URL says where that is then.  With its tables of one host, and of several."""
    for new in (False, True):
        database = make()
        with Ejabberd(database=database, new_schema=new) as e, server() as s:
            fill(e.start(ALICE, BOB, CAROL, *([NAMESAKE] if new else [])))
            if isinstance(database, Catalog):
                host = {"server_host": DOMAIN} if new else {}
                fill_archive(database, "archive", username="carol", **host, timestamp=lambda i: TIME + i, kind="chat",
                             peer="peer@x.example/r", bare_peer="peer@x.example", xml=to_carol, txt="", nick="")
            source = ["ejabberd", url(e, database)] + ([] if new else [DOMAIN])
            check_import(s, *source, count=4 if new else 3)
            if isinstance(database, Catalog):
                check_carol(s)
            if new:
                namesake = s.connect(OTHER, user=NAMESAKE[0], password=NAMESAKE[1]).login("SCRAM-SHA-1")
                assert fetch(namesake).bodies == []
            assert s.control("last.show", account=f"alice@{DOMAIN}")[0]["login"].startswith("20")
            wrong = [*source, DOMAIN] if new else source[:-1]
            assert "meerkat-convert: " in refused(s, "import", "--from", *wrong)
            wrong = [source[0], source[1] + "none", *source[2:]]
            assert "nothing was imported" in refused(s, "import", "--from", *wrong)


def test_ejabberd_sqlite():
    from_ejabberd(lambda: "sqlite", lambda e, database: f"sqlite:{e.path('ejabberd.sqlite')}")


def test_ejabberd_postgresql():
    from_ejabberd(lambda: Catalog(shared(Postgres)), lambda e, database: database.url)


def test_ejabberd_mariadb():
    from_ejabberd(lambda: Catalog(shared(MariaDB)), lambda e, database: database.url)


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
        body = json.dumps(body, ensure_ascii=False)
        data = "{xmlcdata, <<%s/utf8>>}" % body if i % 2 else "{xmlcdata, <<%s/utf8>>, escaped}" % body
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
def rows(kind, hexed):
    """In SQL of KIND, which is that of a Catalog."""
    def text(value):
        return literal(kind, value)

    d = DOMAIN
    multi = "==MULTI_SCRAM==,5000" + "".join(f",{tag}{'|'.join(keys(hash, ALICE[1], salt))}" for tag, hash, salt in (
        ("===SHA1===", "sha1", b"one"), ("==SHA224==", "sha224", b"no"), ("==SHA256==", "sha256", b"two"),
        ("==SHA512==", "sha512", b"three")))
    salt, stored, server_key = keys("sha1", BOB[1], b"four")
    sql = [f"INSERT INTO users VALUES ('alice', '{d}', '', '{multi}')",
           f"INSERT INTO users VALUES ('bob', '{d}', '', '==SCRAM==,{stored},{server_key},{salt},5000')",
           f"INSERT INTO users VALUES ('plain', '{d}', 'secret', NULL)",
           f"INSERT INTO users VALUES ('carol', '{d}', '{CAROL[1]}', NULL)",
           f"INSERT INTO mam_server_user VALUES (5, '{d}', 'carol')",
           f"INSERT INTO last VALUES ('{d}', 'alice', 1600000000, 'gone')",
           f"INSERT INTO rosterusers VALUES ('{d}', 'alice', 'bob@{d}', {text(NICK)}, 'N', 'O', '')",
           f"INSERT INTO rosterusers VALUES ('{d}', 'bob', 'alice@{d}', '', 'N', 'I', 'please')",
           *(f"INSERT INTO rostergroups VALUES ('{d}', 'alice', 'bob@{d}', {text(g)})" for g in GROUPS),
           f"INSERT INTO vcard VALUES ('alice', '{d}', {text(vcard(f'<FN>{ODD % 1}</FN>'))})",
           f"INSERT INTO vcard VALUES ('bob', '{d}', '<vCard xmlns=\"vcard-temp\"><FN>')",
           f"INSERT INTO privacy_default_list VALUES ('{d}', 'alice', 'l')",
           f"INSERT INTO privacy_list VALUES ('{d}', 'alice', 'l', 7)",
           "INSERT INTO privacy_list_data VALUES (7, 'j', 'evil@x.example', 'd', 1, true, false, false, false, false)",
           f"INSERT INTO private_storage VALUES ('{d}', 'alice', 'one', {text(NOTE)})",
           f"INSERT INTO mam_server_user VALUES (3, '{d}', 'alice')", f"INSERT INTO mam_server_user VALUES (4, '{d}', 'bob')"]
    for i, data in enumerate(hexed):
        for owner, way in ((3, "O"), (4, "I")):
            sql.append(f"INSERT INTO mam_message VALUES ({(TIME + i * 7) * 256 + 1}, {owner}, '', '', '', '{way}', {data}, '')")
        waits = f"<message{attrs(from_=f'alice@{d}/r', to=f'bob@{d}', type='chat')}><body>{BODIES[i]}</body></message>"
        sql.append(f"INSERT INTO offline_message VALUES ({i}, {TIME + i * 7}, NULL, '{d}', 'bob', '', {text(waits)}, NULL)")
    return ";\n".join(sql) + ";"


def from_mongooseim(catalog):
    fill_archive(catalog, "mam_message", id=lambda i: (TIME + i) * 256 + 1, user_id=5, from_jid="", remote_bare_jid="",
                 remote_resource="", direction="I", message=to_carol, search_body="")
    with server() as s:
        url = catalog.url
        summary, err = moved(s, "import", "--from", "mongooseim", url)
        assert (summary["imported"], summary["warnings"], summary["unknown"]) == (4, 0, []), (summary, err)
        assert s.control("last.show", account=f"alice@{DOMAIN}")[0]["logout"].startswith("2020-09-13T12:26:40")
        assert f"bob@{DOMAIN}: the vCard is no XML, and is left out" in err, err
        check(s)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            s.connect(user=ALICE[0], password=ALICE[1]).login(mechanism).end()
        s.client(user="plain", password="secret").end()
        assert moved(s, "import", "--existing", "merge", "--from", "mongooseim", url)[0]["merged"] == 4
        assert s.control("mam.stats", account=f"bob@{DOMAIN}")[0]["messages"] == 3
        check_carol(s)


def messages():
    return [({"from": f"alice@{DOMAIN}/r", "to": f"bob@{DOMAIN}", "type": "chat", "id": f"m{i}"}, body)
            for i, body in enumerate(BODIES)]


def test_mongooseim_postgresql():
    p = Catalog(shared(Postgres))
    p.sql("CREATE TYPE way AS ENUM('I', 'O');" + TABLES.format(password='"password"', bytes="bytea", direction="way")
          + rows(p.kind, [f"'\\x{t}'" for t in terms(messages())]))
    from_mongooseim(p)


def test_mongooseim_mysql():
    m = Catalog(shared(MariaDB))
    m.sql(TABLES.format(password="password", bytes="mediumblob", direction="ENUM('I', 'O')")
          + rows(m.kind, [f"x'{t}'" for t in terms(messages())]))
    from_mongooseim(m)
