# SPDX-License-Identifier: Apache-2.0
"""Real servers of other projects, from Debian's packages: Prosody and ejabberd, each in a folder of its own."""
import itertools
import os
import shutil
import subprocess
import tempfile

import xmpp
from element import NS
from federation import authority, certificate_for
from server import ROOT, Port, Skip, certificate

numbers = itertools.count(1)


class Foreign:
    """One of them, which serves DOMAIN and rooms.DOMAIN.  STRICT: it believes nothing but certificates; without TRUST in
    our authority none of them is good.  CERT says what certificate_for() makes; ADD is added to its configuration.  As a
    context manager it is stopped and removed."""

    name = target = None

    def __init__(self, zone, domain, strict=False, trust=True, cert=None, add="", bidi=False):
        self.zone, self.domain, self.rooms, self.strict, self.add = zone, domain, "rooms." + domain, strict, add
        self.bidi = bidi
        self.folder = tempfile.mkdtemp(prefix=f"meerkat-{self.name}-")
        os.chmod(self.folder, 0o755)
        self.c2s, self.s2s = Port(), Port()
        self.clients = []
        self.cert, self.key = certificate_for(self.folder, domain, **{
            "names": f"DNS:{domain},DNS:{self.rooms}", **(cert or {})})
        os.chmod(self.key, 0o644)
        other = certificate(self.folder, "stranger", [])[0]
        shutil.copy(authority() if trust else other, f"{self.folder}/ca.crt")
        os.chmod(f"{self.folder}/ca.crt", 0o644)
        with open(f"{self.folder}/ports", "w") as f:
            print(self.c2s.number, self.s2s.number, file=f)
        for name in (domain, self.rooms):
            zone.server(name, self.s2s.number)
        self.write()
        self.run("up")

    def run(self, word):
        done = subprocess.run([f"{ROOT}/test/services/{self.name}.sh", word, self.folder], capture_output=True, text=True)
        if done.returncode == 77:
            raise Skip(f"{self.name} can't be installed")
        if done.returncode:
            raise AssertionError(f"{self.name} {word} ended with {done.returncode}: {done.stdout}{done.stderr}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for client in self.clients:
            client.drop()
        self.run("down")
        if error:
            print("\n".join(f"# {self.name}: {line}" for line in self.log().splitlines()[-60:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        try:
            with open(self.log_path(), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def client(self, name="user", available=True):
        """A new account, made from within a client (XEP-0077), logged in."""
        user = f"{name}-{next(numbers)}"
        client = xmpp.Client(("127.0.0.1", self.c2s.number), self.domain, user, "secret")
        self.clients.append(client)
        client.open()
        client.starttls()
        client.result("set", f"<query xmlns='{NS['register']}'><username>{user}</username><password>secret</password>"
                      "</query>", to=self.domain)
        client.drop()
        client = xmpp.Client(("127.0.0.1", self.c2s.number), self.domain, user, "secret")
        self.clients.append(client)
        client.login("SCRAM-SHA-1")
        if available:
            client.presence()
            client.take("presence", from_=client.jid)
            client.is_available = True
        return client


class Prosody(Foreign):
    name = "prosody"

    def log_path(self):
        return f"{self.folder}/data/log"

    def write(self):
        with open(f"{self.folder}/prosody.cfg.lua", "w") as f:
            f.write(f"""
daemonize = false
data_path = "{self.folder}/data"
pidfile = "{self.folder}/data/number"
log = {{ debug = "{self.log_path()}" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.c2s.number} }}
s2s_ports = {{ {self.s2s.number} }}
c2s_direct_tls_ports = {{ }}
s2s_direct_tls_ports = {{ }}
unbound = {{ resolvconf = false, hoststxt = false, forward = {{ "{self.zone.address}" }},
             options = {{ ["do-not-query-localhost:"] = "no" }} }}
ssl = {{ certificate = "{self.cert}", key = "{self.key}", cafile = "{self.folder}/ca.crt" }}
s2s_require_encryption = true
s2s_secure_auth = {"true" if self.strict else "false"}
allow_registration = true
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "register_ibr", "presence", "message",
                     "iq", "c2s", "s2s", "s2s_auth_certs", "smacks" {', "s2s_bidi"' if self.bidi else ""} }}
{self.add}
VirtualHost "{self.domain}"
Component "{self.rooms}" "muc"
""")


class Ejabberd(Foreign):
    name, target = "ejabberd", "localhost"

    def log_path(self):
        return f"{self.folder}/data/log/ejabberd.log"

    def write(self):
        pem = f"{self.folder}/both.pem"
        with open(pem, "w") as f:
            for path in (self.cert, self.key):
                with open(path) as part:
                    f.write(part.read())
        with open(f"{self.folder}/resolver", "w") as f:
            print(self.zone.port, file=f)
        with open(f"{self.folder}/ejabberd.yml", "w") as f:
            f.write(f"""
loglevel: debug
hosts: ["{self.domain}"]
certfiles: ["{pem}"]
ca_file: "{self.folder}/ca.crt"
s2s_cafile: "{self.folder}/ca.crt"
s2s_use_starttls: {"required"}
registration_timeout: infinity
acme: {{auto: false}}
listen:
  - {{port: {self.c2s.number}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true}}
  - {{port: {self.s2s.number}, ip: "127.0.0.1", module: ejabberd_s2s_in}}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_register: {{ip_access: all, access: all}}
{"" if self.strict else "  mod_s2s_dialback: {}"}
  mod_muc: {{host: "{self.rooms}"}}
{self.add}
""")
