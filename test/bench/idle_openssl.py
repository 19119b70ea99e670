#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an idle session with TLS costs the server when its client is one of OpenSSL, as most are:  idle_openssl.py PORT PID COUNT

Prints bytes of private memory, as `bench idle` does, whose client is GnuTLS.  That one asks for new keys at once, and
GnuTLS keeps the old ones on the server's side, about 2 KB.
"""
import socket
import ssl
import sys
import time

WARM = 300
HEADER = ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' "
          "version='1.0'>")
LOGIN = ((HEADER, "</stream:features>"),
         ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success"),
         (HEADER, "</stream:features>"),
         ("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>"),
         ("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<enabled"),
         ("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>", "carbons"),
         ("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' "
          "ver='QgayPKawpkPSDYmwT/WM94uAlu0='/><priority>1</priority></presence>", "<presence"),
         ("<a xmlns='urn:xmpp:sm:3' h='2'/><r xmlns='urn:xmpp:sm:3'/>", "<a "))


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Private_Dirty"))


def log_in(context, port):
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    for said, wanted in LOGIN:
        s.sendall(said.encode())
        got = b""
        while wanted.encode() not in got:
            part = s.recv(65536)
            if not part:
                sys.exit(f"closed after {said}: {got.decode()}")
            got += part
    return s


def main():
    port, pid, count = (int(word) for word in sys.argv[1:])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sessions = [log_in(context, port) for _ in range(WARM)]
    time.sleep(1)
    before = private_bytes(pid)
    sessions += [log_in(context, port) for _ in range(count)]
    time.sleep(3)
    print((private_bytes(pid) - before) // count)


if __name__ == "__main__":
    main()
