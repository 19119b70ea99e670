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
from server import DOMAIN, Port, ServerFailure, Skip, certificates, end_with_parent


class Foreign:
    """A server in a folder of its own.  As a context manager it is stopped and removed."""

    program = None

    def __init__(self, **options):
        if not shutil.which(self.program):
            raise Skip(f"{self.program} is not installed")
        self.folder = tempfile.mkdtemp(prefix=f"meerkat-{self.program}-")
        self.port, self.process = Port(), None
        self.configure(**options)

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

    def configure(self, storage="internal", **more):
        certs = certificates()
        options = "".join(f"{k} = {v}\n" for k, v in more.items())
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
storage = "{storage}"
sql = {{ driver = "SQLite3", database = "{self.folder}/prosody.sqlite" }}
log = {{ debug = "{self.folder}/prosody.log" }}
{options}
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


class Ejabberd(Foreign):
    program = "erl"

    """DATABASE is "mnesia", "sqlite", or "pgsql" with POSTGRES being one that runs."""

    def configure(self, database="mnesia", new_schema=False, postgres=None):
        if not glob.glob("/usr/lib/*/ejabberd-*"):
            raise Skip("ejabberd is not installed")
        os.makedirs(self.path("spool"))
        if database == "sqlite":
            with open(f"/usr/share/ejabberd/sql/lite{'.new' if new_schema else ''}.sql") as f, \
                    sqlite3.connect(self.path("ejabberd.sqlite")) as db:
                db.executescript(f.read())
            db.close()
        if database == "pgsql":
            with open(f"/usr/share/ejabberd/sql/pg{'.new' if new_schema else ''}.sql") as f:
                postgres.sql("SET ROLE meerkat;\n" + f.read())
        where = f"""sql_type: sqlite
sql_database: "{self.folder}/ejabberd.sqlite"
""" if database == "sqlite" else f"""sql_type: pgsql
sql_server: "127.0.0.1"
sql_port: {postgres.env["MEERKAT_PGSQL_PORT"] if postgres else 0}
sql_database: meerkat
sql_username: meerkat
sql_password: "{postgres.env["MEERKAT_PGSQL_PASSWORD"] if postgres else ""}"
sql_pool_size: 2
"""
        sql = f"""
{where}new_sql_schema: {str(new_schema).lower()}
default_db: sql
auth_method: sql
""" if database != "mnesia" else "auth_method: internal\n"
        self.config = self.write("ejabberd.yml", f"""
hosts: ["{DOMAIN}"]
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

    def erl(self, code):
        """It without a node name, so that it needs no other daemon; CODE runs once it is up."""
        return ["erl", "-noshell", "-noinput", "-mnesia", "dir", f'"{self.path("spool")}"', "-eval",
                "{ok, _} = application:ensure_all_started(ejabberd), " + code]

    def env(self):
        return {"EJABBERD_CONFIG_PATH": self.config, "EJABBERD_LOG_PATH": self.path("ejabberd.log"),
                "ERL_LIBS": glob.glob("/usr/lib/*/ejabberd-*")[0].rsplit("/", 1)[0], "HOME": self.folder}

    def start(self, *accounts):
        code = "".join(f"ok = ejabberd_auth:try_register(<<{json.dumps(u)}>>, <<\"{DOMAIN}\">>, <<{json.dumps(p)}>>), "
                       for u, p in accounts)
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


class MariaDB(Foreign):
    """For what reads MySQL.  Anybody may do anything in it."""

    program = "mariadbd"

    def configure(self):
        done = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--user=root",
                               "--auth-root-authentication-method=normal", "--skip-test-db"], capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(done.stdout + done.stderr)

    def start(self):
        self.launch([shutil.which("mariadbd"), "--no-defaults", f"--datadir={self.folder}/data", "--user=root",
                     f"--port={self.port.number}", "--bind-address=127.0.0.1", f"--socket={self.folder}/socket",
                     f"--pid-file={self.folder}/pid", "--innodb-flush-method=nosync", "--character-set-server=utf8mb4"])
        self.sql("CREATE DATABASE moved; CREATE USER 'm'@'127.0.0.1' IDENTIFIED BY 'p:w'; GRANT ALL ON moved.* TO 'm'@'127.0.0.1'",
                 "mysql")
        return self

    def sql(self, text, database="moved"):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.folder}/socket", "-u", "root",
                               "--default-character-set=utf8mb4", database], input=text, capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(f"{text}: {done.stderr}")

    @property
    def url(self):
        return f"mysql://m:p:w@127.0.0.1:{self.port.number}/moved"
