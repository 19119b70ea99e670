# SPDX-License-Identifier: Apache-2.0
"""TLS in all its ways: STARTTLS, direct (XEP-0368), SNI, ALPN, versions, certificates, PROXY protocol."""
import os
import shutil
import socket
import ssl
import struct

import tls
from element import NS, child
from server import DOMAIN, OTHER, Server, certificate, certificates
from xmpp import fail


def authority():
    return os.path.join(certificates(), "ca.crt")


def refuses_handshake(client, context, name=DOMAIN, reason=None):
    try:
        client.start_tls(context, name)
        client.sock.recv(1)  # with TLS 1.3 the refusal may come after our side is done
    except (ssl.SSLError, ConnectionResetError) as error:
        if reason and reason not in str(error).lower().replace("_", " "):
            fail(client, f"refused, but with {error}")
        return
    fail(client, f"the handshake was not refused: {client.sock.version()}")


def nothing_in_the_clear(client):
    """Until the server closes: an alert of TLS, perhaps, but no XML."""
    try:
        while data := client.sock.recv(1000):
            if b"<" in data:
                fail(client, f"{data} was said in the clear")
    except ConnectionResetError:
        pass


# ---- STARTTLS

def test_starttls_is_required(server):
    c = server.connect()
    c.open()
    assert child(c.features, "tls:starttls/tls:required") is not None
    assert not c.mechanisms(), "no mechanism is offered before TLS"
    c.starttls()
    assert child(c.features, "tls:starttls") is None
    assert c.mechanisms()


def test_starttls_twice(server):
    c = server.connect()
    c.open()
    c.starttls()
    c.send(f"<starttls xmlns='{NS['tls']}'/>")
    c.expect("tls:failure")
    c.expect_closed()


def test_injection(server):
    """What follows <starttls/> in the clear is not taken for what the client says under TLS (CVE-2011-0411)."""
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.send(f"<starttls xmlns='{NS['tls']}'/>" + c.header_text(to=DOMAIN)
           + f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>AGEAYg==</auth>")
    c.expect("tls:proceed")
    c.start_tls()
    c.login()
    c.expect_nothing()


def test_no_plain_auth_before_tls(server):
    c = server.connect(user=server.account(), password="secret")
    c.open()
    c.auth("PLAIN", b"\0a\0b")
    c.expect("sasl:failure", has="sasl:encryption-required")


def test_garbage_instead_of_handshake(server):
    c = server.connect()
    c.open()
    c.send(f"<starttls xmlns='{NS['tls']}'/>")
    c.expect("tls:proceed")
    c.send(b"\0" * 5000)
    nothing_in_the_clear(c)
    server.client().expect_nothing()


def test_goes_away_in_handshake(server):
    for cut in (0, 1, 50):
        c = server.connect()
        c.open()
        c.send(f"<starttls xmlns='{NS['tls']}'/>")
        c.expect("tls:proceed")
        c.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:cut])
        c.drop()
    server.client().expect_nothing()


# ---- versions

def test_versions(server):
    for version in ("1.2", "1.3"):
        c = server.connect(user=server.account(), password="secret")
        c.login(context=tls.context(version=version))
        assert c.sock.version() == "TLSv" + version
        c.expect_nothing()


def test_old_versions_refused(server):
    for version in ("1.0", "1.1"):
        c = server.connect()
        c.open()
        c.send(f"<starttls xmlns='{NS['tls']}'/>")
        c.expect("tls:proceed")
        refuses_handshake(c, tls.context(version=version), reason="version")


def test_certificate_is_verified(server):
    c = server.connect(user=server.account(), password="secret")
    c.login(context=tls.context(ca=authority()))


# ---- direct TLS

def test_direct(server):
    c = server.connect(listener="direct", user=server.account(), password="secret")
    assert c.sock.selected_alpn_protocol() == "xmpp-client"
    c.login()
    assert child(c.features, "tls:starttls") is None


def test_direct_without_alpn(server):
    c = server.connect(listener="direct", context=tls.context(), user=server.account(), password="secret")
    assert c.sock.selected_alpn_protocol() is None
    c.login()


def test_direct_wrong_alpn(server):
    for protocol in ("http/1.1", "xmpp-server"):
        refuses_handshake(server.connect(listener="direct", handshake=False), tls.context(alpn=protocol))


def test_sni(server):
    """Each host shows its own certificate, to clients that verify it."""
    for domain in (DOMAIN, OTHER):
        c = server.connect(domain, listener="direct", context=tls.context("xmpp-client", ca=authority()),
                           user=server.account(domain=domain), password="secret")
        c.login()


def test_sni_unknown(server):
    """A name that is not served: no certificate for it exists, but the handshake works with another."""
    c = server.connect(listener="direct", server_name="nowhere.example")
    c.open()


def test_starttls_host_by_header(server):
    """With STARTTLS the stream header names the host, before any SNI."""
    for domain in (DOMAIN, OTHER):
        c = server.connect(domain)
        c.open()
        c.starttls(tls.context(ca=authority()))


def test_plain_text_on_direct_port(server):
    c = server.connect(listener="direct", handshake=False)
    c.send(c.header_text(to=DOMAIN))
    nothing_in_the_clear(c)


def test_large_records(server):
    c = server.client()
    body = "0123456789" * 20000
    c.message(c.jid, body, id="m")
    c.expect("message", id="m", body=body)


def test_tls_goodbye(server):
    """A closed stream ends with a TLS goodbye, not with a reset."""
    c = server.client()
    c.send("</stream:stream>")
    c.expect_closed()
    if any(way == "!" for way, _ in c.log):
        fail(c, "the connection did not end cleanly")


# ---- without TLS

def without_certificates(tree):
    tree["host_types"]["default"]["plain_without_tls"] = True
    tree["listeners"].pop()
    for host in tree["hosts"]:
        del host["certificate"], host["key"]


def test_host_without_certificate(server):
    with Server(without_certificates) as s:
        c = s.connect(user=s.account(), password="secret")
        c.open()
        assert child(c.features, "tls:starttls") is None, "no certificate, no STARTTLS"
        assert "PLAIN" in c.mechanisms()
        assert not any(m.endswith("-PLUS") for m in c.mechanisms())
        c.authenticate("PLAIN")
        c.bind().expect_nothing()
        refused = s.connect()
        refused.open()
        refused.send(f"<starttls xmlns='{NS['tls']}'/>")
        refused.expect("tls:failure")
        refused.expect_closed()


# ---- reload

def test_certificate_reload(server):
    """A new certificate is shown after a reload; who is connected stays."""
    with Server() as s:
        folder = certificates()
        for suffix in ("crt", "key"):
            shutil.copy(f"{folder}/{DOMAIN}.{suffix}", f"{s.folder}/mine.{suffix}")
        s.configure(lambda t: t["hosts"][0].update(certificate=f"{s.folder}/mine.crt", key=f"{s.folder}/mine.key"))
        s.restart()
        old = s.client()
        before = old.sock.getpeercert(binary_form=True)
        cert, key = certificate(s.folder, "renewed", [DOMAIN], (f"{folder}/ca.crt", f"{folder}/ca.key"))
        shutil.copy(cert, f"{s.folder}/mine.crt")
        shutil.copy(key, f"{s.folder}/mine.key")
        s.reload()
        new = s.client(context=tls.context(ca=authority()))
        after = new.sock.getpeercert(binary_form=True)
        with open(cert) as f:
            assert after == ssl.PEM_cert_to_DER_cert(f.read()), "the new certificate is shown"
        assert before != after
        old.expect_nothing()


# ---- PROXY protocol

def v2(command, family, payload):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(payload)) + payload


def test_proxy(server):
    v4 = socket.inet_aton("203.0.113.9") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 1234, 5222)
    v6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 1234, 5222)
    with Server(start=False) as s:
        s.configure(lambda t: t["listeners"].append({"kind": "c2s", "address": "127.0.0.1", "tls": "starttls",
                                                     "port": s.ports["extra"].number, "proxy": True}))
        s.start()
        for header, address in ((b"PROXY TCP4 203.0.113.8 127.0.0.1 50123 5222\r\n", "203.0.113.8"),
                                (b"PROXY TCP6 2001:db8::6 2001:db8::1 50123 5222\r\n", "2001:db8::6"),
                                (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (v2(0x21, 0x11, v4), "203.0.113.9"),
                                (v2(0x21, 0x21, v6), "2001:db8::7"), (v2(0x20, 0, b""), "127.0.0.1"),
                                (v2(0x21, 0x11, v4 + b"\x03\x00\x04\1\2\3\4"), "203.0.113.9")):
            c = s.connect(listener="extra", user=s.account(), password="secret")
            c.send(header[:5])
            c.send(header[5:] + c.header_text(to=DOMAIN).encode())
            c.expect("stream:stream")
            c.expect("stream:features")
            c.starttls()
            c.authenticate()
            c.bind()
            told = s.control("sessions.list", account=c.bare)[0]["address"]
            if address not in told:
                fail(c, f"the session is from {told}, not {address}")
            c.end()
        for header in (b"PROXY TCP4 1.2.3 127.0.0.1 1 2\r\n", b"HELLO\r\n", b"<?xml version='1.0'?>" + b" " * 200,
                       v2(0x22, 0x11, v4), v2(0x21, 0x11, v4[:4])):
            c = s.connect(listener="extra")
            c.send(header)
            c.expect_closed()


def test_no_proxy_header_where_none_is_wanted(server):
    c = server.connect()
    c.send("PROXY TCP4 203.0.113.8 127.0.0.1 50123 5222\r\n")
    c.expect("stream:stream")
    c.expect_error("not-well-formed")
