# SPDX-License-Identifier: Apache-2.0
"""vCards (XEP-0054), their photos in presence (XEP-0153), and search in them (XEP-0055)."""
import base64
import hashlib

from element import NS, child, children, escape, show
from server import DOMAIN, OTHER, Server, ServerFailure
from test_roster import befriend
from xmpp import fail, settle

NS["vcard"] = "vcard-temp"
NS["update"] = "vcard-temp:x:update"
NS["search"] = "jabber:iq:search"
NS["rsm"] = "http://jabber.org/protocol/rsm"
SQLITE = True
CONFIG = {"plugins": {"vcard": {"max_size": 4000, "max_photo": 1000, "max_results": 3, "server_url": "https://m.example/",
                                "server_desc": "a <server>", "server_email": "root@m.example"}}}
GET = "<vCard xmlns='vcard-temp'/>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
VJUD = "vjud." + DOMAIN


def vcard(*inner):
    return f"<vCard xmlns='vcard-temp'>{''.join(inner)}</vCard>"


def photo(data, type="image/png", wrap=0):
    text = base64.b64encode(data).decode()
    if wrap:
        text = "\n".join(text[i:i + wrap] for i in range(0, len(text), wrap))
    return f"<PHOTO><TYPE>{type}</TYPE><BINVAL>{text}</BINVAL></PHOTO>"


def digest(data):
    return hashlib.sha1(data).hexdigest()


def put(client, *inner):
    client.result("set", vcard(*inner))


def get(client, to=None):
    return child(client.result("get", GET, to), "vcard:vCard")


# ---- vCards

def test_features(server):
    c = server.client()
    for to in (DOMAIN, c.bare):
        info = c.result("get", f"<query xmlns='{NS['info']}'/>", to)
        assert NS["vcard"] in [f.get("var") for f in children(info, "info:query/info:feature")]


def test_put_get(server):
    alice, bob = server.client("alice"), server.client("bob")
    bob.refused("get", GET, "item-not-found")
    put(bob, "<FN>Bob &amp; Co</FN>", "<N><FAMILY>B</FAMILY><GIVEN/></N>", "<X-OWN a='b'/>")
    want = "<vCard xmlns='vcard-temp'><FN>Bob &amp; Co</FN><N><FAMILY>B</FAMILY><GIVEN/></N><X-OWN a=\"b\"/></vCard>"
    for got in (get(bob), get(bob, bob.bare), get(alice, bob.bare)):
        if show(got) != want:
            fail(bob, f"{show(got)} is not {want}")
    bob.end()
    assert show(get(alice, bob.bare)) == want
    alice.refused("get", GET, "service-unavailable", f"nobody@{DOMAIN}")


def test_replaced_as_a_whole(server):
    c = server.client()
    put(c, "<FN>A</FN>", photo(PNG))
    put(c, "<FN>B</FN>")
    assert show(get(c)) == "<vCard xmlns='vcard-temp'><FN>B</FN></vCard>"


def test_only_ones_own(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.refused("set", vcard("<FN>evil</FN>"), "forbidden", bob.bare, "auth")
    bob.refused("get", GET, "item-not-found")


def test_limits(server):
    c = server.client()
    c.refused("set", vcard(f"<DESC>{'x' * 4000}</DESC>"), "policy-violation")
    c.refused("set", vcard(photo(PNG + bytes(1000))), "policy-violation")
    for bad in (photo(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), photo(b"MZ" + bytes(30)),
                "<PHOTO><BINVAL>%%%%</BINVAL></PHOTO>", "<PHOTO><BINVAL>iVBORw0KGgo</BINVAL></PHOTO>",
                "<PHOTO><BINVAL>iVBORw0KGgo==</BINVAL></PHOTO>", photo(PNG) + photo(b"nothing")):
        c.refused("set", vcard(bad), "not-acceptable")
    c.refused("get", GET, "item-not-found")
    for good in (photo(PNG), photo(b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"), photo(b"GIF89a"), photo(b"RIFF\0\0\0\0WEBP"),
                 photo(PNG, wrap=20), "<PHOTO><EXTVAL>https://x.example/me.png</EXTVAL></PHOTO>",
                 "<PHOTO><TYPE/><BINVAL/></PHOTO>", "<PHOTO/>"):
        put(c, good)
    with Server({"plugins": {"vcard": {"photo_types": ["image/gif"]}}}) as s:
        c = s.client()
        c.refused("set", vcard(photo(PNG)), "not-acceptable")
        put(c, photo(b"GIF89a"))


def test_server(server):
    got = get(server.client(), DOMAIN)
    assert show(got) == ("<vCard xmlns='vcard-temp'><FN>Meerkat</FN><URL>https://m.example/</URL>"
                         "<DESC>a &lt;server&gt;</DESC><EMAIL><USERID>root@m.example</USERID></EMAIL></vCard>")
    server.client().refused("set", vcard("<FN>mine now</FN>"), "service-unavailable", DOMAIN)


def test_survives_a_crash(server):
    with Server(sqlite=True, config={"plugins": {"vcard": {}}}) as s:
        c = s.client()
        put(c, "<FN>Survivor</FN>", "<NICKNAME>Sur</NICKNAME>", photo(PNG))
        s.kill()
        s.start()
        c = s.client(user=c.user, available=False)
        assert "Survivor" in show(get(c))
        c.presence()
        c.expect("presence", has="update:x/update:photo")
        assert [r["jid"] for r in plain(c, nick="sur")] == [c.bare]


# ---- presence

def hash_in(presence):
    """None: no x; '': an empty <photo/>; 'x': x without photo."""
    x = child(presence, "update:x")
    if x is None:
        return None
    p = child(presence, "update:x/update:photo")
    return "x" if p is None else p.text or ""


def friends(server):
    a, b = server.client("alice"), server.client("bob")
    befriend(a, b)
    return a, b


def said(a, b, payload="", **to):
    a.presence(payload + "<status>s</status>", **to)
    got = b.take("presence", from_=a.jid, has="status")
    xs = children(got, "update:x")
    assert len(xs) <= 1
    return hash_in(got)


def x(inner=None):
    return "<x xmlns='vcard-temp:x:update'/>" if inner is None else f"<x xmlns='vcard-temp:x:update'>{inner}</x>"


def test_hash_in_presence(server):
    a, b = friends(server)
    assert said(a, b) is None, "no photo, nothing is added"
    assert said(a, b, x()) == "x"
    put(a, photo(PNG, wrap=76))
    for to in ({}, {"to": b.jid}, {"to": b.bare}):
        assert said(a, b, **to) == digest(PNG)
        assert said(a, b, x(), **to) == digest(PNG), "an empty x is overwritten"
        assert said(a, b, x("<photo/>"), **to) == "", "an empty photo is left alone"
        assert said(a, b, x("<photo>0000</photo>"), **to) == digest(PNG)
        assert said(a, b, x(f"<photo>{digest(PNG)}</photo>"), **to) == digest(PNG)
    a.presence("<status>s</status>", type="unavailable")
    assert hash_in(b.take("presence", from_=a.jid, type="unavailable")) is None
    other = b"GIF89a other"
    put(a, photo(other))
    assert said(a, b) == digest(other)
    put(a, "<FN>no photo</FN>")
    assert said(a, b) is None


def test_hash_at_login(server):
    a, b = friends(server)
    put(a, photo(PNG))
    settle(a, b)
    a.end()
    b.take("presence", type="unavailable", from_=a.jid)
    a = server.client(user=a.user)
    assert hash_in(b.take("presence", from_=a.jid)) == digest(PNG)
    b.presence(to=a.bare, type="probe")
    assert hash_in(b.take("presence", from_=a.jid, has="delay:delay")) == digest(PNG)


def test_other_sessions_know_a_new_photo(server):
    a, b = friends(server)
    other = server.more(a)
    put(other, photo(PNG))
    settle(a, b, other)
    assert said(a, b) == digest(PNG)


# ---- search

def person(server, first, last, nick="", domain=DOMAIN, **more):
    c = server.client(first.lower(), domain=domain)
    inner = f"<FN>{first} {last}</FN><N><FAMILY>{last}</FAMILY><GIVEN>{first}</GIVEN></N>"
    if nick:
        inner += f"<NICKNAME>{nick}</NICKNAME>"
    if "email" in more:
        inner += f"<EMAIL><USERID>{more['email']}</USERID></EMAIL>"
    if "org" in more:
        inner += f"<ORG><ORGNAME>{more['org']}</ORGNAME></ORG>"
    if "city" in more:
        inner += f"<ADR><LOCALITY>{more['city']}</LOCALITY></ADR>"
    put(c, inner)
    return c


def plain(client, to=VJUD, **words):
    inner = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in words.items())
    answer = client.result("set", f"<query xmlns='{NS['search']}'>{inner}</query>", to)
    return [{"jid": i.get("jid"), **{e.tag.split("}")[1]: e.text or "" for e in i}}
            for i in children(answer, "search:query/search:item")]


def form(client, words, rsm="", to=VJUD):
    fields = "".join(f"<field var='{k}'><value>{escape(v)}</value></field>" for k, v in
                     {"FORM_TYPE": NS["search"], **words}.items())
    answer = client.result("set", f"<query xmlns='{NS['search']}'><x xmlns='jabber:x:data' type='submit'>{fields}</x>"
                           f"{rsm}</query>", to)
    assert child(answer, "search:query/x:x").get("type") == "result"
    return [{f.get("var"): child(f, "x:value").text or "" for f in i}
            for i in children(answer, "search:query/x:x/x:item")], child(answer, "search:query/rsm:set")


def found(client, **words):
    return sorted(r["jid"] for r in form(client, words)[0])


def test_search_is_announced(server):
    c = server.client()
    items = c.result("get", f"<query xmlns='{NS['items']}'/>", DOMAIN)
    assert VJUD in [i.get("jid") for i in children(items, "items:query/items:item")]
    info = c.result("get", f"<query xmlns='{NS['info']}'/>", VJUD)
    assert (child(info, "info:query/info:identity").get("category"), child(info, "info:query/info:identity").get("type")) \
        == ("directory", "user")
    assert NS["search"] in [f.get("var") for f in children(info, "info:query/info:feature")]
    c.result("get", f"<query xmlns='{NS['items']}'/>", VJUD)


def test_search_form(server):
    got = server.client().result("get", f"<query xmlns='{NS['search']}'/>", VJUD)
    assert [child(got, f"search:query/search:{f}") is not None for f in ("instructions", "first", "last", "nick", "email")] \
        == [True] * 5
    fields = {f.get("var"): f for f in children(got, "search:query/x:x/x:field")}
    assert fields.pop("FORM_TYPE").find("{jabber:x:data}value").text == NS["search"]
    assert list(fields) == ["user", "fn", "first", "middle", "last", "nick", "bday", "ctry", "locality", "email", "orgname",
                            "orgunit"]


def test_search(server):
    romeo = person(server, "Romeo", "Montague", "Ro", email="romeo@verona.example")
    benvolio = person(server, "Benvolio", "Montague", city="Verona")
    juliet = person(server, "Juliet", "Capulet", org="Ärzte &amp; Co")
    assert plain(juliet, last="montague", first="ROMEO") == [
        {"jid": romeo.bare, "first": "Romeo", "last": "Montague", "nick": "Ro", "email": "romeo@verona.example"}]
    assert found(juliet, last="Montague") == sorted([romeo.bare, benvolio.bare])
    assert found(juliet, last="mont*", locality="verona") == [benvolio.bare]
    assert found(juliet, fn="juliet c*") == [juliet.bare]
    assert found(romeo, orgname="ÄRZTE & co") == [juliet.bare]
    assert found(romeo, orgname="ärz*") == [juliet.bare]
    assert found(romeo, user=juliet.user) == [juliet.bare]
    assert found(romeo, email="*@verona.example") == [], "a * is for the end of a word only"
    assert found(romeo, last="Capul") == [] and found(romeo, last="Montague", nick="Juliet") == []
    rows, _ = form(romeo, {"user": juliet.user})
    assert rows == [{"jid": juliet.bare, "user": juliet.user, "fn": "Juliet Capulet", "first": "Juliet", "middle": "",
                     "last": "Capulet", "nick": "", "bday": "", "ctry": "", "locality": "", "email": "",
                     "orgname": "Ärzte & Co", "orgunit": ""}]
    put(juliet, "<FN>Somebody Else</FN>")
    assert found(romeo, last="Capulet") == []
    assert found(romeo, fn="Somebody *") == [juliet.bare]


def test_hosts_have_directories_of_their_own(server):
    one, two = person(server, "Twin", "Both"), person(server, "Twin", "Both", domain=OTHER)
    assert found(one, first="twin", last="both") == [one.bare]
    assert [r["jid"] for r in form(one, {"first": "twin", "last": "both"}, to="vjud." + OTHER)[0]] == [two.bare]


def test_pages(server):
    people = sorted(person(server, f"Page{i}", "Turner").bare for i in range(5))
    c = server.client()
    assert found(c, last="turner") == people[:3]

    def page(inner):
        rows, set = form(c, {"last": "turner"}, f"<set xmlns='{NS['rsm']}'>{inner}</set>")
        return [r["jid"] for r in rows], {e.tag.split("}")[1]: e.text for e in set}
    assert page("<max>2</max>") == (people[:2], {"first": people[0], "last": people[1], "count": "5"})
    assert page(f"<max>2</max><after>{people[1]}</after>")[0] == people[2:4]
    assert page(f"<max>2</max><after>{people[3]}</after>")[0] == people[4:]
    assert page("<max>2</max><before/>")[0] == people[3:]
    assert page(f"<max>2</max><before>{people[3]}</before>")[0] == people[1:3]
    assert page("<max>0</max>") == ([], {"count": "5"})
    assert page("<max>100</max>")[0] == people[:3]
    c.refused("set", f"<query xmlns='{NS['search']}'><last>turner</last><set xmlns='{NS['rsm']}'><max>x</max></set></query>",
              "bad-request", VJUD)


def test_search_refused(server):
    c = server.client()
    for empty in ("", "<first/>", "<first> </first>", "<first>*</first>", "<other>x</other>"):
        c.refused("set", f"<query xmlns='{NS['search']}'>{empty}</query>", "not-acceptable", VJUD)
    for bad in ("<x xmlns='jabber:x:data' type='form'/>", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                "<value>other</value></field></x>"):
        c.refused("set", f"<query xmlns='{NS['search']}'>{bad}</query>", "bad-request", VJUD)
    c.refused("get", GET, "service-unavailable", VJUD)
    c.refused("get", f"<query xmlns='{NS['search']}'/>", "service-unavailable", VJUD + "/resource")
    c.refused("get", f"<query xmlns='{NS['search']}'/>", "service-unavailable", "somebody@" + VJUD)
    c.message(VJUD, "hello?", id="m")
    c.expect_bounce("message", "service-unavailable", id="m")
    c.presence(to=VJUD)
    c.expect_nothing()


def test_search_options(server):
    with Server({"plugins": {"vcard": {"search_fields": ["fn", "nick"], "search_all": True,
                                       "search_domain": "users.@HOST@"}}}) as s:
        c = person(s, "Ann", "Other", "A")
        answer = c.result("get", f"<query xmlns='{NS['search']}'/>", "users." + DOMAIN)
        assert [f.get("var") for f in children(answer, "search:query/x:x/x:field")] == ["FORM_TYPE", "fn", "nick"]
        rows, _ = form(c, {"last": "Nobody"}, to="users." + DOMAIN)
        assert rows == [{"jid": c.bare, "fn": "Ann Other", "nick": "A"}], "what can't be searched is passed over"
    with Server({"plugins": {"vcard": {"search": False}}}) as s:
        c = s.client()
        c.refused("get", f"<query xmlns='{NS['search']}'/>", "service-unavailable", VJUD)
        items = c.result("get", f"<query xmlns='{NS['items']}'/>", DOMAIN)
        assert VJUD not in [i.get("jid") for i in children(items, "items:query/items:item")]


def test_wrong_field_in_the_configuration(server):
    s = Server({"plugins": {"vcard": {"search_fields": ["shoe"]}}}, start=False)
    log = "it starts"
    try:
        s.start()
    except ServerFailure:
        log = s.log()
    s.remove()
    assert 'search_fields: "shoe" is none of' in log, log


# ---- the operator

def test_commands(server):
    c = server.client()
    assert server.ctl("vcard", "show", "--account", c.bare, check=False)[0] != 0
    server.control("vcard.set", account=c.bare, xml="<vCard xmlns='vcard-temp'><FN>By hand</FN></vCard>")
    assert "By hand" in server.control("vcard.show", account=c.bare)[0]["xml"]
    assert found(c, fn="by hand") == [c.bare]
    for bad in ("<FN>x</FN>", "nonsense", "<vCard xmlns='vcard-temp'>"):
        assert server.ctl("vcard", "set", "--account", c.bare, "--xml", bad, check=False)[0] != 0
    assert server.ctl("vcard", "set", "--account", f"nobody@{DOMAIN}", "--xml", GET, check=False)[0] != 0
    server.control("vcard.delete", account=c.bare)
    c.refused("get", GET, "item-not-found")
    assert found(c, fn="by hand") == []
    assert server.ctl("vcard", "delete", "--account", c.bare, check=False)[0] != 0
