# SPDX-License-Identifier: Apache-2.0
"""Streams: headers, framing, limits and every stream error of RFC 6120, 4.9.3, that a client can cause."""
import socket

import sasl
from element import NS, child, text
from server import DOMAIN, Server
from xmpp import fail


def refused_header(server, condition, **header):
    c = server.connect()
    header.setdefault("to", DOMAIN)
    c.send(c.header_text(**header))
    c.expect("stream:stream")
    c.expect_error(condition)
    return c


def refused_bytes(server, data, condition, app=None, bound=True):
    """DATA on a good stream is the end of it."""
    if bound:
        c = server.client()
    else:
        c = server.connect()
        c.open()
        c.starttls()
    c.send(data)
    return c.expect_error(condition, app)


# ---- headers

def test_header(server):
    c = server.connect()
    c.open(from_=f"juliet@{DOMAIN}")
    header = c.header
    assert header.get("to") == f"juliet@{DOMAIN}", "the server says whom it answers"
    assert header.get("version") == "1.0"
    first = header.get("id")
    assert first and len(first) >= 16
    c.starttls()
    assert c.header.get("id") != first, "each stream has an id of its own"
    c.end()


def test_header_xml_lang(server):
    c = server.connect()
    c.open(extra=" xml:lang='de'")
    assert c.header.get("{http://www.w3.org/XML/1998/namespace}lang"), "the server's header has a language"


def test_header_without_declaration(server):
    c = server.connect()
    c.send(c.header_text(to=DOMAIN).removeprefix("<?xml version='1.0'?>"))
    c.expect("stream:stream", from_=DOMAIN)
    c.expect("stream:features")


def test_header_with_other_prefix(server):
    c = server.connect()
    c.send(f"<s:stream xmlns:s='{NS['stream']}' xmlns='jabber:client' to='{DOMAIN}' version='1.0'>")
    c.expect("stream:stream")
    c.expect("stream:features")
    c.send("</s:stream>")
    c.expect_closed()


def test_bad_format(server):
    c = server.connect()
    c.send(f"<stream:sream xmlns='jabber:client' xmlns:stream='{NS['stream']}' to='{DOMAIN}' version='1.0'>")
    c.expect("stream:stream")
    c.expect_error("bad-format")


def test_invalid_stream_namespace(server):
    refused_header(server, "invalid-namespace", stream_ns="http://example.org/streams")


def test_invalid_content_namespace(server):
    refused_header(server, "invalid-namespace", ns="jabber:unknown")


def test_server_namespace_on_client_port(server):
    refused_header(server, "invalid-namespace", ns="jabber:server")


def test_unbound_prefix_in_header(server):
    c = server.connect()
    c.send(f"<stream:stream xmlns='jabber:client' to='{DOMAIN}' version='1.0'>")
    c.expect("stream:stream")
    error = c.next()
    if not any(child(error, "streams:" + e) is not None for e in ("bad-namespace-prefix", "not-well-formed")):
        fail(c, "expected bad-namespace-prefix or not-well-formed")
    c.expect_closed()


def test_host_unknown(server):
    refused_header(server, "host-unknown", to="nowhere.example")


def test_host_missing(server):
    refused_header(server, "host-unknown", to=None)


def test_host_malformed(server):
    refused_header(server, "host-unknown", to="@@/")


def test_unsupported_version(server):
    refused_header(server, "unsupported-version", version="0.9")


def test_missing_version(server):
    refused_header(server, "unsupported-version", version=None)


def test_newer_version(server):
    c = server.connect()
    c.send(c.header_text(to=DOMAIN, version="1.7"))
    c.expect("stream:stream", version="1.0")
    c.expect("stream:features")


def test_unsupported_encoding(server):
    c = server.connect()
    c.send(c.header_text(to=DOMAIN).replace("?>", " encoding='ISO-8859-1'?>", 1))
    c.expect("stream:stream")
    c.expect_error("unsupported-encoding")


def test_declared_utf_8(server):
    c = server.connect()
    c.send(c.header_text(to=DOMAIN).replace("?>", " encoding='UTF-8'?>", 1))
    c.expect("stream:stream")
    c.expect("stream:features")


def test_not_xmpp(server):
    c = server.connect()
    c.send("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
    c.expect("stream:stream")
    c.expect_error("not-well-formed")


def test_invalid_from_in_header(server):
    """After authentication the header can't be somebody else's."""
    mallory = server.connect(user=server.account("mallory"), password="secret")
    mallory.open()
    mallory.starttls()
    mallory.scram("SCRAM-SHA-256")
    mallory.expect("sasl:success")
    mallory.send(mallory.header_text(to=DOMAIN, from_=f"alice@{DOMAIN}"))
    mallory.expect("stream:stream")
    mallory.expect_error("invalid-from")


def test_other_host_after_login(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.starttls()
    c.scram("SCRAM-SHA-256")
    c.expect("sasl:success")
    c.send(c.header_text(to="two.example"))
    c.expect("stream:stream")
    c.expect_error("host-unknown")


# ---- stanzas that end the stream

def test_not_authorized_iq(server):
    refused_bytes(server, "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "not-authorized", bound=False)


def test_not_authorized_message(server):
    refused_bytes(server, f"<message to='a@{DOMAIN}'><body>hi</body></message>", "not-authorized", bound=False)


def test_not_authorized_before_bind(server):
    user = server.account()
    c = server.connect(user=user, password="secret")
    c.open()
    c.starttls()
    c.authenticate()
    c.send(f"<message to='{user}@{DOMAIN}'><body>hi</body></message>")
    c.expect_error("not-authorized")


def test_not_well_formed(server):
    for data in ("<message><body></message></body>", "<message to='a' to='b'/>", "<message>&nothing;</message>",
                 "<message><body>&#0;</body></message>", "<message a='<'/>", "<message><body>]]></body></message>",
                 "<message b=c/>", "stray text", "<1/>", "<message><x:y/></message>", "</other>"):
        refused_bytes(server, data, "not-well-formed")


def test_bad_utf8(server):
    for data in (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"):
        refused_bytes(server, b"<message><body>" + data + b"</body></message>", "not-well-formed")


def test_forbidden_character(server):
    refused_bytes(server, b"<message><body>a\x01b</body></message>", "not-well-formed")


def test_restricted_xml(server):
    for data in ("<message><!-- hello --></message>", "<!-- hello -->", "<message><?php echo 1 ?></message>",
                 "<?xml-stylesheet href='a'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "<message><!DOCTYPE a></message>"):
        refused_bytes(server, data, "restricted-xml")


def test_restricted_xml_before_header(server):
    c = server.connect()
    c.send("<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>" + c.header_text(to=DOMAIN))
    c.expect("stream:stream")
    c.expect_error("restricted-xml")


def test_unsupported_stanza_type(server):
    refused_bytes(server, "<pubsub xmlns='jabber:client'/>", "unsupported-stanza-type")
    refused_bytes(server, "<thing xmlns='urn:example:thing'/>", "unsupported-stanza-type")


def test_invalid_from(server):
    for sender in (f"somebody@{DOMAIN}", f"somebody@{DOMAIN}/phone", "nowhere.example", "@"):
        c = server.client()
        c.send(f"<message from='{sender}' to='{c.bare}'><body>hi</body></message>")
        c.expect_error("invalid-from")


def test_own_from_is_fine(server):
    c = server.client()
    for sender in (c.bare, c.jid):
        c.iq("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN, from_=sender)


def test_conflict(server):
    old = server.client(resource="desk")
    new = server.client(user=old.user, resource="desk")
    old.expect_error("conflict")
    assert new.jid == old.jid
    new.expect_nothing()


def test_connection_timeout(server):
    with Server({"limits": {"login_timeout": "2s"}}) as s:
        silent = s.connect()
        header_only = s.connect()
        header_only.open()
        half = s.connect(user=s.account(), password="secret")
        half.open()
        half.starttls()
        half.authenticate()
        whole = s.client()
        silent.expect("stream:stream")
        silent.expect_error("connection-timeout")
        header_only.expect_error("connection-timeout")
        half.expect_error("connection-timeout")
        whole.expect_nothing()


def test_system_shutdown(server):
    with Server() as s:
        online, bare = s.client(), s.connect()
        bare.open()
        s.process.terminate()
        online.expect_error("system-shutdown")
        bare.expect_error("system-shutdown")


# ---- limits (XEP-0478)

def limits(features):
    return int(text(features, "limits:limits/limits:max-bytes"))


def padded(c, size):
    head, tail = f"<message to='{c.jid}' id='big'><body>", "</body></message>"
    return head + "x" * (size - len(head) - len(tail)) + tail


def test_limits_before_login(server):
    c = server.connect()
    most = limits(c.open())
    head, tail = f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>", "</auth>"
    c.starttls()
    assert limits(c.features) == most
    c.send(head + "A" * (most - len(head) - len(tail)) + tail)
    c.expect("sasl:failure")
    c.send(head + "A" * (most + 1 - len(head) - len(tail)) + tail)
    c.expect_error("policy-violation", "errors:stanza-too-big")


def test_limits_after_login(server):
    c = server.client()
    most = limits(c.features)
    assert most >= 10000, "RFC 6120, 13.12: at least 10000 bytes"
    c.send(padded(c, most))
    c.expect("message", id="big", from_=c.jid)
    c.send(padded(c, most + 1))
    c.expect_error("policy-violation", "errors:stanza-too-big")


def test_header_too_big(server):
    c = server.connect()
    c.send(c.header_text(to=DOMAIN, extra=" a='" + "x" * 20000 + "'"))
    c.expect("stream:stream")
    c.expect_error("policy-violation", "errors:stanza-too-big")


def test_endless_tag(server):
    """A stanza that never ends is refused as soon as it is too long, not when memory is."""
    c = server.client()
    c.send("<message to='" + "x" * (limits(c.features) + 100))
    c.expect_error("policy-violation", "errors:stanza-too-big")


def test_too_deep(server):
    depth = 100
    c = server.client()
    c.send("<message>" + "<a>" * 10 + "</a>" * 10 + "</message>")
    c.expect("message")
    refused_bytes(server, "<message>" + "<a>" * depth + "</a>" * depth + "</message>", "policy-violation")


def test_too_deep_before_login(server):
    refused_bytes(server, f"<auth xmlns='{NS['sasl']}'>" + "<a>" * 100, "policy-violation", bound=False)


def test_too_many_attributes(server):
    many = " ".join(f"a{i}='1'" for i in range(300))
    refused_bytes(server, f"<message {many}/>", "policy-violation")


def test_too_many_elements(server):
    refused_bytes(server, "<message>" + "<a/>" * 20000 + "</message>", "policy-violation")


# ---- framing

def test_byte_at_a_time(server):
    c = server.connect(user=server.account(), password="secret")
    c.piece = 1
    c.login("SCRAM-SHA-256", "desk").available()
    c.message(c.jid, "Grüße, 世界 & <you>", id="m1")
    c.expect("message", id="m1", from_=c.jid, body="Grüße, 世界 & <you>")
    c.end()


def test_byte_at_a_time_in_the_clear(server):
    c = server.connect()
    c.piece = 1
    c.open()
    c.starttls()
    c.end()


def test_odd_pieces(server):
    c = server.client()
    for size in (2, 3, 5, 7, 16, 17, 1000):
        c.piece = size
        c.message(c.jid, "<![CDATA[" + "ä" * size, id=f"m{size}")
        c.expect("message", id=f"m{size}", body="<![CDATA[" + "ä" * size)


def test_login_in_one_packet(server):
    """Everything up to presence without waiting for a single answer."""
    c = server.connect(user=server.account(), password="secret", listener="direct")
    header = c.header_text(to=DOMAIN)
    auth = f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{sasl.b64(sasl.plain(c.user, 'secret'))}</auth>"
    bind = f"<iq type='set' id='b'><bind xmlns='{NS['bind']}'><resource>desk</resource></bind></iq>"
    c.jid = f"{c.bare}/desk"
    c.send(header + auth + header + bind + f"<presence/><message to='{c.bare}' id='m'/></stream:stream>")
    c.expect("stream:stream")
    c.expect("stream:features")
    c.expect("sasl:success")
    c.expect("stream:stream")
    c.expect("stream:features", has="bind:bind")
    c.expect("iq", id="b", type="result")
    c.expect("presence", from_=c.jid)
    c.expect("message", id="m")
    c.expect_closed()


def test_many_stanzas_in_one_packet(server):
    c = server.client()
    c.send("".join(f"<message to='{c.jid}' id='{i}'/>" for i in range(500)))
    for i in range(500):
        c.expect("message", id=str(i))


def test_whitespace_keepalive(server):
    c = server.client()
    c.send(" ")
    c.send("\r\n\t ")
    c.expect_nothing()
    c.send("  <message to='" + c.jid + "' id='m'/> \n ")
    c.expect("message", id="m")


def test_cdata_and_references(server):
    c = server.client()
    c.send(f"<message to='{c.jid}'><body>a<![CDATA[<b>&amp;]]>&lt;c&gt;&#x41;&#66;&quot;&apos;</body></message>")
    c.expect("message", body="a<b>&amp;<c>AB\"'")


def test_namespaces_survive(server):
    c = server.client()
    c.send(f"<message to='{c.jid}' xmlns:p='urn:example:p'><p:a p:b='1'><c xmlns='urn:example:c'><p:d/></c></p:a></message>")
    got = c.expect("message")
    a = got[0]
    assert a.tag == "{urn:example:p}a" and a.get("{urn:example:p}b") == "1", a.tag
    assert a[0].tag == "{urn:example:c}c" and a[0][0].tag == "{urn:example:p}d"


def test_prefix_of_the_header(server):
    """A prefix declared on the root of one stream means the same to who receives it on another."""
    user = server.account()
    a = server.connect(user=user, password="secret")
    a.open()
    a.starttls()
    a.scram("SCRAM-SHA-256")
    a.expect("sasl:success")
    a.open(extra=" xmlns:p='urn:example:p'")
    a.bind()
    b = server.client()
    a.send(f"<message to='{b.jid}' id='m'><p:a p:b='1'/></message>")
    got = b.expect("message", id="m", from_=a.jid)
    assert got[0].tag == "{urn:example:p}a" and got[0].get("{urn:example:p}b") == "1"


def test_client_namespace_by_prefix(server):
    c = server.client()
    c.send(f"<x:message xmlns:x='jabber:client' to='{c.jid}' id='m'><x:body>hi</x:body></x:message>")
    c.expect("message", id="m", body="hi")


def test_close_is_answered(server):
    c = server.client()
    c.message(c.bare, "last words")  # handled in this very turn; to a full address it would be mail
    c.send("</stream:stream>")
    c.expect("message", body="last words")
    c.expect_closed()


def test_close_without_header(server):
    c = server.connect()
    c.shut()
    server.client().end()


def test_half_close(server):
    """A client that shuts its sending side is gone."""
    a = server.client()
    b = server.more(a)
    a.sock.shutdown(socket.SHUT_WR)
    b.expect("presence", from_=a.jid, type="unavailable")
