# SPDX-License-Identifier: Apache-2.0
"""vCards of version 4, and how they are made of old ones and back (XEP-0292)."""
import base64

from element import NS, child, children, show
from server import DOMAIN
from test_roster import befriend
from test_vcard import GET, PNG, digest, hash_in, photo, vcard
from test_vcard import get as get_old

NS["v4"] = "urn:ietf:params:xml:ns:vcard-4.0"
CONFIG = {"plugins": {"vcard": {"max_size": 8000, "max_photo": 1000}, "vcard4": {}}}
GET4 = f"<vcard xmlns='{NS['v4']}'/>"
PICTURE = "data:image/png;base64," + base64.b64encode(PNG).decode()
OLD = ("<FN>Peter Saint-Andre</FN><N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN><MIDDLE/></N><NICKNAME>psa</NICKNAME>"
       "<BDAY>1966-08-06</BDAY><ADR><WORK/><PREF/><EXTADD>Suite 600</EXTADD><STREET>1899 Wynkoop</STREET>"
       "<LOCALITY>Denver</LOCALITY><REGION>CO</REGION><PCODE>80202</PCODE><CTRY>USA</CTRY></ADR>"
       "<TEL><WORK/><VOICE/><NUMBER>+1-303</NUMBER></TEL><TEL><CELL/><NUMBER>+1-720</NUMBER></TEL>"
       "<EMAIL><HOME/><USERID>stpeter@x.example</USERID></EMAIL><JABBERID>stpeter@x.example</JABBERID>"
       "<GEO><LAT>39.59</LAT><LON>-105.01</LON></GEO><TITLE>Director</TITLE><ROLE>Saint</ROLE>"
       "<ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>Board</ORGUNIT></ORG><CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD>"
       "</CATEGORIES><URL>https://x.example/</URL><UID>urn:uuid:1</UID><REV>20260101T000000Z</REV><TZ>-07:00</TZ>"
       "<DESC>about &lt;me&gt;</DESC>")
NEW = ("<fn><text>Peter Saint-Andre</text></fn><n><surname>Saint-Andre</surname><given>Peter</given><additional/></n>"
       "<nickname><text>psa</text></nickname><bday><date>1966-08-06</date></bday>"
       "<adr><parameters><type><text>work</text></type><pref><integer>1</integer></pref></parameters><ext>Suite 600</ext>"
       "<street>1899 Wynkoop</street><locality>Denver</locality><region>CO</region><code>80202</code>"
       "<country>USA</country></adr><tel><parameters><type><text>work</text><text>voice</text></type></parameters>"
       "<uri>tel:+1-303</uri></tel><tel><parameters><type><text>cell</text></type></parameters><uri>tel:+1-720</uri></tel>"
       "<email><parameters><type><text>home</text></type></parameters><text>stpeter@x.example</text></email>"
       "<impp><uri>xmpp:stpeter@x.example</uri></impp><geo><uri>geo:39.59,-105.01</uri></geo>"
       "<title><text>Director</text></title><role><text>Saint</text></role><org><text>XSF</text><text>Board</text></org>"
       "<categories><text>a</text><text>b</text></categories><url><uri>https://x.example/</uri></url>"
       "<uid><uri>urn:uuid:1</uri></uid><rev><timestamp>20260101T000000Z</timestamp></rev><tz><text>-07:00</text></tz>"
       "<note><text>about &lt;me&gt;</text></note>")


def vcard4(inner):
    return f"<vcard xmlns='{NS['v4']}'>{inner}</vcard>"


def get(client, to=None):
    return show(child(client.result("get", GET4, to), "v4:vcard"))


def same(got, want):
    assert got == want, f"\n{got}\nis not\n{want}"


def test_features(server):
    info = server.client().result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert NS["v4"] in [f.get("var") for f in children(info, "info:query/info:feature")]


def test_old_to_new(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.refused("get", GET4, "item-not-found")
    alice.result("set", vcard(OLD))
    same(get(alice), vcard4(NEW))
    same(get(bob, alice.bare), vcard4(NEW))


def test_new_to_old(server):
    c = server.client()
    c.result("set", vcard4(NEW))
    same(show(get_old(c)), vcard(OLD))


def test_new_is_kept_as_it_is(server):
    c = server.client()
    inner = NEW + "<gender><sex>M</sex></gender><x-own xmlns=\"urn:example:x\">1</x-own><note><text>more</text></note>"
    c.result("set", vcard4(inner))
    assert "<gender><sex>M</sex></gender>" in get(c) and "urn:example:x" in get(c)
    assert "gender" not in show(get_old(c)) and "urn:example:x" not in show(get_old(c))
    c.result("set", vcard("<FN>New name</FN>"))
    same(get(c), vcard4("<fn><text>New name</text></fn>"))


def test_photo(server):
    a, b = server.client("alice"), server.client("bob")
    befriend(a, b)
    a.result("set", vcard4(f"<photo><uri>{PICTURE}</uri></photo><logo><uri>https://x.example/l.png</uri></logo>"))
    same(show(get_old(a)), vcard(photo(PNG) + "<LOGO><EXTVAL>https://x.example/l.png</EXTVAL></LOGO>"))
    a.presence("<status>s</status>")
    assert hash_in(b.take("presence", from_=a.jid, has="status")) == digest(PNG)
    a.result("set", vcard(photo(PNG, wrap=20)))
    same(get(a), vcard4(f"<photo><uri>{PICTURE}</uri></photo>"))


def test_refused(server):
    alice, bob = server.client("alice"), server.client("bob")
    alice.refused("set", vcard4(NEW), "forbidden", bob.bare, "auth")
    alice.refused("set", vcard4("<photo><uri>data:image/png;base64,AAAA</uri></photo>"), "not-acceptable")
    alice.refused("set", vcard4(f"<note><text>{'x' * 8000}</text></note>"), "policy-violation")
    alice.refused("get", GET4, "item-not-found")
    alice.refused("get", GET, "item-not-found")


def test_odd_properties(server):
    """What is not as it should be does no harm."""
    c = server.client()
    c.result("set", vcard4("<fn/><n/><geo><uri>nowhere</uri></geo><impp><uri>sip:x</uri></impp><photo/><tel><text>12</text>"
                           "</tel><adr><parameters/></adr><org/>"))
    same(show(get_old(c)), vcard("<FN/><N/><PHOTO><EXTVAL/></PHOTO><TEL><NUMBER>12</NUMBER></TEL><ADR/><ORG/>"))
    c.result("set", vcard("<PHOTO/><TEL/><GEO/><ORG/><EMAIL/><N>text</N><UNKNOWN/>"))
    assert get(c).startswith("<vcard")
