# SPDX-License-Identifier: Apache-2.0
"""Servers that speak with each other: their names, certificates, and a Meerkat with listeners for servers."""
import base64
import hashlib
import os
import socket
import subprocess
import threading

from server import Port, Server, certificates, serial
from zone import Zone

FAR = "far.example"  # of the other one


def authority():
    return os.path.join(certificates(), "ca.crt")


def certificate_for(folder, domain, name=None, extensions="", days=30, ca=None, names=None):
    """A pair signed by the authority of the tests, or by CA; DAYS below 0: it has expired."""
    folder_ca = certificates()
    ca = ca or (f"{folder_ca}/ca.crt", f"{folder_ca}/ca.key")
    name = name or domain
    cert, key = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    config = os.path.join(folder, name + ".ext")
    with open(config, "w") as f:
        f.write("subjectAltName=" + (names or f"DNS:{domain}") + "\n" + extensions + "\n")
    run = lambda *words: subprocess.run(words, check=True, capture_output=True)
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test",
        "-keyout", key, "-out", cert + ".csr")
    if days < 0:
        expired(cert, ca, config)
    else:
        run("openssl", "x509", "-req", "-in", cert + ".csr", "-CA", ca[0], "-CAkey", ca[1], "-set_serial", serial(),
            "-days", str(days), "-extfile", config, "-out", cert)
    return cert, key


def expired(cert, ca, config):
    """`openssl x509` can't sign for the past, `openssl ca` can."""
    folder = cert + ".ca"
    os.makedirs(folder)
    open(f"{folder}/index", "w").close()
    with open(f"{folder}/cnf", "w") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nserial={folder}/serial\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
    subprocess.run(["openssl", "ca", "-batch", "-config", f"{folder}/cnf", "-in", cert + ".csr", "-cert", ca[0],
                    "-keyfile", ca[1], "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-extfile",
                    config, "-create_serial", "-notext", "-out", cert], check=True, capture_output=True)


class Federated(Server):
    """A Meerkat that speaks with others: DNS asks ZONE, s2s listeners on two ports of its own.  DOMAINS: what it serves
    if not the usual two."""

    def __init__(self, zone=None, domains=None, config=None, start=True, **options):
        super().__init__(start=False)
        self.zone = zone or Zone()
        self.s2s, self.s2s_direct = Port(), Port()

        def federate(tree):
            tree["listeners"] += [
                {"kind": "s2s", "address": "127.0.0.1", "port": self.s2s.number},
                {"kind": "s2s", "address": "127.0.0.1", "port": self.s2s_direct.number, "tls": "direct"}]
            tree["s2s"] = {"resolvers": (self.zone.address,), "trust": authority(), "backoff": 0, "login_timeout": 20000,
                           "connect_timeout": 5000, "dns_timeout": 5000, **options}
            if domains:
                tree["hosts"] = [self.host(d) for d in domains]
        self.configure(federate)
        self.configure(config)
        for host in self.config["hosts"]:
            self.announce(host["name"])
        if start:
            self.start()

    def __exit__(self, *error):
        self.drop_clients()  # or their connections keep the server from ending
        super().__exit__(*error)

    def host(self, domain):
        cert, key = certificate_for(self.folder, domain)
        return {"name": domain, "certificate": cert, "key": key}

    def announce(self, domain, direct=False):
        self.zone.server(domain, self.s2s.number, self.s2s_direct.number if direct else None)

    def links(self):
        """What `s2s list` says."""
        return self.control("s2s.list")


class Wire:
    """A listener whose connections go on to PORT.  What comes back can be held, and let go; all can be cut."""

    def __init__(self, port):
        self.to, self.pairs, self.held, self.kept, self.dead = port, [], False, [], set()
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.socket.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            with self.lock:
                self.pairs.append((near, far))
            for one, other, back in ((near, far, False), (far, near, True)):
                threading.Thread(target=self.copy, args=(one, other, back), daemon=True).start()

    def copy(self, one, other, back):
        try:
            while data := one.recv(65536):
                with self.lock:
                    if one in self.dead:
                        return
                    if back and self.held:
                        self.kept.append((other, data))
                    else:
                        other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def release(self):
        """What was held goes on."""
        with self.lock:
            self.held = False
            for sock, data in self.kept:
                sock.sendall(data)
            self.kept.clear()

    def cut(self):
        """All connections are reset; what was held is lost.  Those that come meanwhile are others."""
        with self.lock:
            cut, self.pairs, self.held = self.pairs, [], False
            self.kept.clear()
            self.dead.update(sock for pair in cut for sock in pair)
        for sock in (sock for pair in cut for sock in pair):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def close(self):
        self.socket.close()
        self.cut()


# ---- two of them

def both(config=None, far=None, **options):
    """The Meerkat under test and another, of FAR, which have one zone; a stream for each direction unless BIDI is
    said."""
    zone = Zone()
    options.setdefault("bidi", False)
    return Federated(zone, config=config, **options), Federated(zone, domains=[FAR], config=far, **options)


def untrusting(tree):
    """A configuration in which no certificate of the tests' authority is good."""
    tree["s2s"].pop("trust")


def talk(a, b):
    """A message each way."""
    a.message(b.jid, "from here", id="m1")
    b.expect("message", from_=a.jid, to=b.jid, id="m1", body="from here")
    b.message(a.jid, "from there", id="m2")
    a.expect("message", from_=b.jid, to=a.jid, id="m2", body="from there")


def proofs(server, remote=None):
    """(direction, how it is proved) of the streams that are ready."""
    return {(row["direction"], row["proved"]) for row in server.links()
            if row["state"] == "ready" and remote in (None, row["remote"])}


def pin_of(cert):
    """SHA-256 of the public key of a certificate, in base64."""
    key = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, capture_output=True, input=key)
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()
