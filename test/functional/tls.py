# SPDX-License-Identifier: Apache-2.0
"""TLS of the test client: contexts, and what binds a channel."""
import ctypes
import hashlib
import ssl

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
            "1.3": ssl.TLSVersion.TLSv1_3}


def context(alpn=None, version=None, ca=None):
    """Verifies the server's name and certificate if CA is given.  VERSION: this one and no other."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        c.load_verify_locations(ca)
    else:
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
    if version:
        if version < "1.2":
            c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = c.maximum_version = VERSIONS[version]
    if alpn:
        c.set_alpn_protocols([alpn])
    return c


def end_point(sock):
    """tls-server-end-point for a certificate signed with SHA-256, as ours are."""
    return hashlib.sha256(sock.getpeercert(binary_form=True)).digest()


def exporter(sock):
    """tls-exporter (RFC 9266).  The ssl module cannot say it, so this reaches for the SSL * behind the object's head."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    handle = ctypes.c_void_p.from_address(id(sock._sslobj) + 3 * pointer)
    label = b"EXPORTER-Channel-Binding"
    out = ctypes.create_string_buffer(32)
    library = ctypes.CDLL("libssl.so.3")
    rc = library.SSL_export_keying_material(handle, out, ctypes.c_size_t(32), label, ctypes.c_size_t(len(label)), b"",
                                            ctypes.c_size_t(0), 1)
    assert rc == 1, "SSL_export_keying_material failed"
    return out.raw


def binding(sock, kind):
    if kind == "tls-server-end-point":
        return end_point(sock)
    if kind == "tls-exporter":
        return exporter(sock)
    return sock.get_channel_binding("tls-unique")
