# SPDX-License-Identifier: Apache-2.0
"""Databases of a test's own, to be ill-treated, and what a server must do meanwhile."""
import atexit
import errno
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

from element import text
from server import DOMAIN, ROOT, Server, ServerFailure, Skip, service_backend

MANY = 40


class Database:
    """Runs while the context lasts.  Its processes are found through the first one's."""
    kind = service = place = user = None  # backend, service, option that names where the tables are, system user
    scheme = made = first = None  # of what meerkat-convert reads: in its URL, behind CREATE DATABASE, before statements

    def __init__(self):
        self.script = os.path.join(ROOT, "test", "services", f"{self.service}.sh")
        self.folder = tempfile.mkdtemp(prefix=f"meerkat-{self.service}-")
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        with open(os.path.join(self.folder, "env")) as f:
            self.env = dict(line.split("=", 1) for line in shlex.split(f.read()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, word):
        done = subprocess.run([self.script, word, self.folder], capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(f"{self.script} {word}: {done.stdout}{done.stderr}")

    def start(self):
        self.run("up")

    def stop(self):
        self.run("down")

    @property
    def pid(self):
        with open(os.path.join(self.folder, "server.pid")) as f:
            return int(f.read())

    def processes(self):
        """The first, then all that it has started."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
            return [self.pid, *map(int, f.read().split())]

    def signal(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """If it has not ended by itself."""
        try:
            pids = self.processes()
        except FileNotFoundError:
            return
        self.signal(signal.SIGKILL)
        for pid in pids:
            while os.path.exists(f"/proc/{pid}") and "State:\tZ" not in open(f"/proc/{pid}/status").read():
                pass

    def query(self, command, statement):
        done = subprocess.run(command, input=statement, capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(f"{statement}: {done.stderr}")
        return done.stdout.splitlines()

    def backend(self, place=None, **options):
        """Configuration of a server that keeps all in it, by default in a place of its own."""
        where = {self.place: place} if place else {}
        merged = {**service_backend(self.kind, self.env), "query_timeout": "2s", "connect_timeout": "2s", **where, **options}
        return {"backends": {"memory": None, self.kind: merged}, "storage": {"default": self.kind}}


class Postgres(Database):
    kind, service, place, user = "pgsql", "postgresql", "schema", "postgres"
    scheme, made, first = "postgresql", "OWNER meerkat", "SET ROLE meerkat;"

    def sql(self, statement, database="meerkat"):
        """Rows, as lists of texts; as the superuser."""
        command = [os.path.join(self.env["MEERKAT_PGSQL_BIN"], "psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-h",
                   os.path.join(self.folder, "run"), "-p", self.env["MEERKAT_PGSQL_PORT"], "-U", "postgres", "-d", database]
        return [line.split("|") for line in self.query(command, statement)]


class MariaDB(Database):
    kind, service, place, user = "mysql", "mariadb", "dbname", "mysql"
    scheme, made, first = "mysql", "CHARACTER SET utf8mb4", ""

    def sql(self, statement, database=""):
        """Rows, as lists of texts; as the superuser."""
        command = ["mariadb", "--no-defaults", "-uroot", "-S", os.path.join(self.folder, "run", "sock"), "-N", "-B",
                   "--default-character-set=utf8mb4"]
        return [line.split("\t") for line in self.query(command + ([database] if database else []), statement)]


class Catalog:
    """An empty database in DB, for a server of another project, which logs in as `meerkat`."""

    numbers = itertools.count(1)

    def __init__(self, db):
        self.db, self.kind, self.name = db, db.kind, f"meerkat_{next(self.numbers)}"
        self.port, self.password = (db.env[f"MEERKAT_{db.kind.upper()}_{what}"] for what in ("PORT", "PASSWORD"))
        db.sql(f"CREATE DATABASE {self.name} {db.made}")

    def sql(self, statements):
        return self.db.sql(f"{self.db.first}\n{statements}", self.name)

    @property
    def url(self):
        password = urllib.parse.quote(self.password) if self.kind == "pgsql" else self.password
        return f"{self.db.scheme}://meerkat:{password}@127.0.0.1:{self.port}/{self.name}"


databases = {}


def shared(kind):
    """One for all tests of a file, which leave it as they found it."""
    if kind not in databases:
        databases[kind] = kind()
        atexit.register(databases[kind].__exit__)
    return databases[kind]


class Traffic:
    """Messages to somebody who is away; the sender's acknowledgements are the server's promise that they are stored."""

    def __init__(self, server):
        self.server, self.sent = server, 0
        self.sender = server.client("sender")
        self.sender.enable()
        self.target = server.account("away")

    def send(self, count=MANY):
        for _ in range(count):
            self.sender.message(f"{self.target}@{DOMAIN}", f"m{self.sent}", id=f"m{self.sent}")
            self.sent += 1

    def refused(self):
        """What came back, because it was not known whether the account has room."""
        self.sender.result("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)
        return {e.get("id") for e in self.sender.queue if hasattr(e, "get") and e.get("type") == "error"}

    def check(self, some_refused=False):
        """All is acknowledged now, and there."""
        self.sender.wait_acked()
        refused = self.refused()
        assert some_refused or not refused, f"refused: {sorted(refused)}"
        wanted = [m for m in (f"m{i}" for i in range(self.sent)) if m not in refused]
        assert len(wanted) >= self.sent / 4, f"{len(refused)} of {self.sent} were refused"
        reader = self.server.client(user=self.target)
        for body in wanted:
            got = text(reader.take("message"), "body")
            assert got == body, f"expected {body}, but got {got}"
        reader.expect_nothing()
        reader.end()
        again = self.server.client(user=self.target)
        again.expect_nothing()


# ---- what happens to any of them

def through(db, break_it, mend_it):
    """Messages before, during, and after."""
    with Server(db.backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        traffic.send()
        break_it()
        traffic.send()
        server.wait_log("the database is lost")
        code, _, errors = server.ctl("users", "exists", f"nobody@{DOMAIN}", check=False)
        assert code != 0, "nobody knows, while the database is away"
        traffic.send()
        mend_it()
        server.wait_log("the database is back")
        traffic.send()
        traffic.check()
        assert not server.exists(f"nobody@{DOMAIN}")
        assert server.log().count("the database is lost") == 1, "it is said once"


def stopped(db):
    through(db, db.stop, db.start)


def killed(db):
    through(db, db.kill, db.start)


def paused(db):
    through(db, lambda: db.signal(signal.SIGSTOP), lambda: db.signal(signal.SIGCONT))


def killed_again_and_again(db):
    with Server(db.backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        for i in range(4):
            traffic.send(100)
            db.kill()
            db.start()
            traffic.send(10)
            server.wait_log("the database is back", i + 1)
        traffic.check(some_refused=True)


def read_only(db, begin, end):
    """BEGIN makes it so."""
    with Server(db.backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        begin()
        try:
            traffic.send()
            server.wait_log("the database is lost")
            assert server.exists(f"{traffic.target}@{DOMAIN}"), "it can be read"
        finally:
            end()
        server.wait_log("the database is back")
        traffic.check()


class SmallDisk:
    """A file system of 32 MiB on FOLDER, while the context lasts."""

    def __init__(self, db, folder):
        self.db, self.folder = db, folder

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", self.folder], capture_output=True).returncode:
            raise Skip("no file system can be mounted here")
        subprocess.run(["chown", f"{self.db.user}:", self.folder], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=True)

    def fill(self):
        """With as much as the disk takes."""
        with open(f"{self.folder}/ballast", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def empty(self):
        os.unlink(f"{self.folder}/ballast")


def full_disk(db, disk, place, says, mend=None):
    with Server(db.backend(place)) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        disk.fill()
        traffic.send(600)
        server.wait_log(f"can't commit: {says}")
        (mend or disk.empty)()
        server.wait_log("commits again")
        traffic.check()


# ---- starts

def refusal(db, place=None, **options):
    with Server(db.backend(place, **options), start=False) as server:
        lines = [line for line in server.refuses_to_start().splitlines() if re.search("database|create", line)]
        assert len(lines) == 1, f"one line, not {lines}"
        return lines[0]


def without_a_database(db):
    """A start is refused at once, or waits."""
    db.stop()
    try:
        assert "can't be used" in refusal(db)
        with Server(db.backend(wait="1m"), start=False) as server:
            server.launch()
            server.wait_log("waiting for the database")
            db.start()
            server.wait_listening()
            Traffic(server).check()
    finally:
        db.start() if not os.path.exists(f"/proc/{db.pid}") else None


def without_the_right_to_create(db, place, other, login):
    """One user makes the tables; LOGIN makes another, who uses them."""
    with Server(db.backend(place)) as server:
        user = server.account("before")
    login()
    with Server(db.backend(place, create=False, **other)) as server:
        assert server.exists(f"{user}@{DOMAIN}")
        traffic = Traffic(server)
        traffic.send()
        traffic.check()


def tables_made_by_hand(db, place, other, run):
    """What the server prints, run by an administrator in the empty place OTHER, is all that another server needs."""
    with Server(db.backend(place)) as server:
        printed = server.ctl("schema", "--backend", db.kind)
    run(printed)
    with Server(db.backend(other, create=False)) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.check()
    with Server(db.backend(other)) as server:
        assert server.exists(f"{traffic.target}@{DOMAIN}")
        assert server.ctl("schema", "--backend", db.kind) == printed


def newer_tables(db, place):
    with Server(db.backend(place)):
        pass
    db.sql(f"UPDATE {place}.meerkat_schema SET version=99 WHERE name='roster'")
    with Server(db.backend(place), start=False) as server:
        assert "the database has its version 99, this server knows version" in server.refuses_to_start()


def nodes_that_start_at_once(db, place):
    """They make the tables together, and see each other's accounts."""
    nodes = [Server(db.backend(place), start=False) for _ in range(3)]
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_listening()
        user = nodes[0].account("shared")
        for node in nodes:
            assert node.alive(), node.tail()
            node.client(user=user).end()
        for node in nodes:
            node.stop()
    finally:
        for node in nodes:
            node.remove()


# ---- pools

def two_pools(db, one, two, connections):
    """Of one backend, in two places."""
    first, second = (db.backend(place)["backends"][db.kind] for place in (one, two))
    config = {"backends": {"memory": None, "first": {"backend": db.kind, **first}, "second": {"backend": db.kind, **second}},
              "storage": {"default": "first", "offline": "second"}}
    with Server(config) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        assert db.sql(f"SELECT count(*) FROM {two}.offline") == [[str(MANY)]]
        assert db.sql(f"SELECT count(*) FROM {one}.accounts") == [["2"]]
        assert db.sql("SELECT table_name FROM information_schema.tables WHERE (table_schema,table_name) IN"
                      f"(('{one}','offline'),('{two}','accounts'))") == []
        metrics = dict(line.rsplit(" ", 1) for line in server.ctl("metrics").splitlines() if line and line[0] != "#")
        assert metrics[f"meerkat_{db.kind}_connections"] == str(connections)
        assert int(metrics[f"meerkat_{db.kind}_transactions_total"]) > 0
        traffic.check()
