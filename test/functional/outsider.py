# SPDX-License-Identifier: Apache-2.0
"""A server that says what a test tells it to: a stream of ours to the Meerkat, and a listener that DNS knows."""
import re
import socket
import ssl
import tempfile
import threading

import tls
import xmpp
from element import NS
from federation import certificate_for

DB = "xmlns:db='jabber:server:dialback'"
NS.setdefault("server", "jabber:server")
NS.setdefault("db", "jabber:server:dialback")
NS.setdefault("dialback", "urn:xmpp:features:dialback")


class Link(xmpp.Client):
    """A stream to a Meerkat in the name of DOMAIN."""

    def __init__(self, server, domain, to="one.example", cert=None, port=None):
        super().__init__(("127.0.0.1", port or server.s2s.number), to, label=domain)
        self.from_, self.cert = domain, cert
        server.clients.append(self)

    def open(self, **header):
        return super().open(**{"ns": "jabber:server", "from_": self.from_, "extra": " " + DB, **header})

    def start_tls(self, context=None, server_name=None):
        if not context:
            context = tls.context()
            if self.cert:
                context.load_cert_chain(*self.cert)
        super().start_tls(context, server_name)

    def begin(self):
        self.open()
        self.starttls()
        return self

    @property
    def id(self):
        return self.header.get("id")

    def give_key(self, key="00ff", from_=None, to=None):
        self.send(f"<db:result from='{from_ or self.from_}' to='{to or self.domain}'>{key}</db:result>")

    def ask(self, id, key, from_=None, to=None):
        self.send(f"<db:verify from='{from_ or self.from_}' to='{to or self.domain}' id='{id}'>{key}</db:verify>")

    def message(self, to, from_=None, body="hi"):
        """As it goes between servers."""
        self.send(f"<message from='{from_ or 'eve@' + self.from_}' to='{to}' type='chat' id='x'><body>{body}</body>"
                  "</message>")


class Outsider:
    """DOMAIN with a listener: to who asks about a key it says VERDICT, to who gives one "valid".  What came is in GOT.
    MUTE: it accepts and says nothing.  ACKS: it takes certificates and acknowledges stanzas (XEP-0198), as many as the
    number says, then closes the connection.  As a context manager it is closed."""

    def __init__(self, zone, domain, verdict="valid", mute=False, acks=None):
        self.domain, self.verdict, self.mute, self.acks = domain, verdict, mute, acks
        self.got, self.changed, self.stream_id = [], threading.Condition(), "S-1"
        self.folder = tempfile.TemporaryDirectory()
        self.cert = certificate_for(self.folder.name, domain)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.cert)
        self.socket = socket.create_server(("127.0.0.1", 0))
        zone.server(domain, self.socket.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()
        self.folder.cleanup()

    def accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            while self.mute:
                if not sock.recv(1000):
                    return
            self.talk(sock)
        except (OSError, ValueError):
            pass
        finally:
            sock.close()

    def header(self):
        return (f"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{NS['stream']}' {DB} "
                f"from='{self.domain}' id='{self.stream_id}' version='1.0'>")

    def talk(self, sock):
        text, secure = "", False
        while data := sock.recv(65536):
            text += data.decode("utf-8")
            while found := re.match(r"(<auth.*?</auth>|<(?:enable|r|bidi)\s[^>]*/>|<\?xml.*?<stream:stream[^>]*>|<db:verify.*?</db:verify>|<db:result.*?</db:result>|"
                                    r"<starttls[^>]*/>|</stream:stream>|<(message|iq|presence)(?:\s[^>]*?)?(?:/>|>.*?</\2>))",
                                    text, re.S):
                text = text[found.end():]
                piece = found.group(0)
                if piece.startswith("<starttls"):
                    sock.sendall(f"<proceed xmlns='{NS['tls']}'/>".encode())
                    sock, secure = self.context.wrap_socket(sock, server_side=True), True
                else:
                    answer = self.answer(piece, secure)
                    sock.sendall(answer.encode())
                with self.changed:
                    self.got.append(piece)
                    self.changed.notify_all()

    def features(self, secure):
        if not secure:
            return f"<starttls xmlns='{NS['tls']}'><required/></starttls>"
        if self.acks is None:
            return "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
        return f"<sm xmlns='{NS['sm']}'/><mechanisms xmlns='{NS['sasl']}'><mechanism>EXTERNAL</mechanism></mechanisms>"

    def acknowledge(self):
        if self.acks == 0:
            raise ValueError("no more")
        self.acks -= 1
        self.h += 1
        return f"<a xmlns='{NS['sm']}' h='{self.h}'/>"

    def answer(self, piece, secure):
        if piece.startswith("<auth"):
            return f"<success xmlns='{NS['sasl']}'/>"
        if piece.startswith("<enable"):
            self.h = 0
            return f"<enabled xmlns='{NS['sm']}'/>"
        if piece.startswith("<r "):
            return self.acknowledge()
        if piece.startswith("<?xml"):
            return self.header() + f"<stream:features>{self.features(secure)}</stream:features>"
        at = dict(re.findall(r"(\w+)='([^']*)'", piece.partition(">")[0]))
        if piece.startswith("<db:verify"):
            return f"<db:verify from='{at['to']}' to='{at['from']}' id='{at['id']}' type='{self.verdict}'/>"
        if piece.startswith("<db:result"):
            return f"<db:result from='{at['to']}' to='{at['from']}' type='valid'/>"
        return "</stream:stream>" if piece.startswith("</") else ""

    def wait(self, pattern, timeout=20):
        """The first thing that came and has PATTERN."""
        with self.changed:
            found = lambda: next((p for p in self.got if re.search(pattern, p)), None)
            assert self.changed.wait_for(found, timeout), f"{pattern} did not come, but {self.got}"
            return found()
