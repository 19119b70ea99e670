# SPDX-License-Identifier: Apache-2.0
"""Other servers, the real ones of Debian's packages, with accounts to be moved away."""
import glob
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import xmpp
from databases import Catalog
from server import DOMAIN, OTHER, Port, ServerFailure, Skip, certificates, end_with_parent


def need(pattern):
    if not glob.glob(pattern):
        raise Skip(f"there is no {pattern}")


class Foreign:
    """A server in a folder of its own.  As a context manager it is stopped and removed."""

    program = None

    def __init__(self, **options):
        if not shutil.which(self.program):
            raise Skip(f"{self.program} is not installed")
        self.folder = tempfile.mkdtemp(prefix=f"meerkat-{self.program}-")
        self.port, self.process = Port(), None
        try:
            self.configure(**options)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def pem(self):
        certs, text = certificates(), ""
        for end in ("crt", "key"):
            with open(f"{certs}/{DOMAIN}.{end}") as f:
                text += f.read()
        return self.write("both.pem", text)

    def launch(self, command, **env):
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=dict(os.environ, **env),
                                            preexec_fn=end_with_parent)
        deadline = time.monotonic() + 120
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port.number), 1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailure(f"{self.program} does not start:\n{self.log()}") from None
                time.sleep(0.1)

    def log(self):
        with open(self.path("log"), errors="replace") as f:
            return f.read()[-4000:]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.process = None

    def client(self, user, password, available=True):
        c = xmpp.Client(("127.0.0.1", self.port.number), DOMAIN, user, password)
        c.login("SCRAM-SHA-1")
        return c.available() if available else c


class Prosody(Foreign):
    program = "prosody"

    def configure(self, database=None):
        """DATABASE is None for files, "sqlite", or a Catalog."""
        certs = certificates()
        sql = {"driver": "SQLite3", "database": self.path("prosody.sqlite")}
        if isinstance(database, Catalog):
            sql = {"driver": {"pgsql": "PostgreSQL", "mysql": "MySQL"}[database.kind], "host": "127.0.0.1",
                   "port": int(database.port), "username": "meerkat", "password": database.password,
                   "database": database.name}
        if database:
            need(f"/usr/lib/*/lua/5.4/dbd/{sql['driver'].lower()}.so")
        self.config = self.write("prosody.cfg.lua", f"""
run_as_root = true
daemonize = false
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port.number} }}
s2s_ports = {{ }}
c2s_direct_tls_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "private", "vcard", "offline", "mam", "blocklist" }}
modules_disabled = {{ "s2s", "posix" }}
storage = "{"sql" if database else "internal"}"
sql = {{ {", ".join(f'{key} = {json.dumps(value)}' for key, value in sql.items())} }}
log = {{ debug = "{self.folder}/prosody.log" }}
VirtualHost "{DOMAIN}"
ssl = {{ certificate = "{certs}/{DOMAIN}.crt", key = "{certs}/{DOMAIN}.key" }}
""")
        os.makedirs(self.path("data"))

    def start(self):
        self.launch(["prosody", "-F", "--config", self.config])
        return self

    def add(self, user, password):
        done = subprocess.run(["prosodyctl", "--root", "--config", self.config, "register", user, DOMAIN, password],
                              capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise ServerFailure(f"prosodyctl failed: {done.stdout}{done.stderr}")


SCHEMAS = {"sqlite": "lite", "pgsql": "pg", "mysql": "mysql"}
PACKAGES = {"sqlite": "p1_sqlite3", "pgsql": "p1_pgsql", "mysql": "p1_mysql"}


class Ejabberd(Foreign):
    program = "erl"

    def configure(self, database=None, new_schema=False):
        """DATABASE is None for Mnesia, "sqlite", or a Catalog.  With NEW_SCHEMA tables may be of several hosts."""
        need("/usr/lib/*/ejabberd-*")
        os.makedirs(self.path("spool"))
        sql = "auth_method: internal\n"
        if database:
            where = self.tables(database, "new.sql" if new_schema else "sql")
            sql = f"{where}new_sql_schema: {str(new_schema).lower()}\ndefault_db: sql\nauth_method: sql\n"
        self.config = self.write("ejabberd.yml", f"""
hosts: {json.dumps([DOMAIN, OTHER] if new_schema else [DOMAIN])}
certfiles: ["{self.pem()}"]
loglevel: info
auth_password_format: scram
{sql}
listen:
  - {{ port: {self.port.number}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true }}
modules:
  mod_roster: {{}}
  mod_offline: {{}}
  mod_private: {{}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_vcard: {{}}
  mod_mam: {{ default: always, assume_mam_usage: false }}
  mod_last: {{}}
""")

    def tables(self, database, ending):
        """Those that come with it, made in DATABASE; returns the options that lead there."""
        kind = "sqlite" if database == "sqlite" else database.kind
        need(f"/usr/lib/erlang/lib/{PACKAGES[kind]}-*")
        with open(f"/usr/share/ejabberd/sql/{SCHEMAS[kind]}.{ending}") as f:
            statements = f.read()
        if kind != "sqlite":
            database.sql(statements)
            return (f"sql_type: {kind}\nsql_server: \"127.0.0.1\"\nsql_port: {database.port}\nsql_database: {database.name}\n"
                    f"sql_username: meerkat\nsql_password: \"{database.password}\"\nsql_pool_size: 2\n")
        with sqlite3.connect(self.path("ejabberd.sqlite")) as db:
            db.executescript(statements)
        db.close()
        return f"sql_type: sqlite\nsql_database: \"{self.path('ejabberd.sqlite')}\"\n"

    def erl(self, code):
        """It without a node name, so that it needs no other daemon; CODE runs once it is up."""
        return ["erl", "-noshell", "-noinput", "-mnesia", "dir", f'"{self.path("spool")}"', "-eval",
                "{ok, _} = application:ensure_all_started(ejabberd), " + code]

    def env(self):
        return {"EJABBERD_CONFIG_PATH": self.config, "EJABBERD_LOG_PATH": self.path("ejabberd.log"),
                "ERL_LIBS": glob.glob("/usr/lib/*/ejabberd-*")[0].rsplit("/", 1)[0], "HOME": self.folder}

    def start(self, *accounts):
        """Of (USER, PASSWORD) in DOMAIN, or (USER, PASSWORD, HOST)."""
        code = "".join(f"ok = ejabberd_auth:try_register(<<{json.dumps(u)}>>, <<\"{''.join(host) or DOMAIN}\">>, <<{json.dumps(p)}>>), "
                       for u, p, *host in accounts)
        self.launch(self.erl(code + f'ok = file:write_file("{self.path("ready")}", <<>>).'), **self.env())
        deadline = time.monotonic() + 120
        while not os.path.exists(self.path("ready")):  # it listens before its accounts are there
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailure(f"accounts can't be made:\n{self.log()}")
            time.sleep(0.05)
        return self

    def export(self):
        """Its own dump of XEP-0227; returns the path of its main file."""
        os.makedirs(self.path("dump"))
        done = subprocess.run(self.erl(f'ok = ejabberd_piefxis:export_server(<<"{self.path("dump")}">>), halt().'),
                              capture_output=True, text=True, timeout=120, env=dict(os.environ, **self.env()))
        found = sorted(glob.glob(self.path("dump/*.xml")), key=len)  # the others have a host's name in theirs
        if done.returncode or not found:
            raise ServerFailure(f"there is no dump: {done.stdout}{done.stderr}{self.log()}")
        return found[0]
