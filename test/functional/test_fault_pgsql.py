# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that is stopped, killed, paused, made read-only or full: what was acknowledged is there, once, and in order;
and what can't be used is refused in a line."""
import atexit
import errno
import os
import re
import signal
import subprocess

from element import text
from postgres import Postgres
from server import DOMAIN, Server, Skip

SERVER, COST, LIMIT = False, 8, 300
MANY = 40
shared = None


def database():
    """One for all tests of this file, which leave it as they found it."""
    global shared
    if shared is None:
        shared = Postgres()
        atexit.register(shared.__exit__)
    return shared


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


def away(server, how="is lost"):
    server.wait_log(f"the database {how}")


def through(break_it, mend_it):
    """Messages before, during, and after."""
    with Server(database().backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        traffic.send()
        break_it()
        traffic.send()
        away(server)
        code, _, errors = server.ctl("users", "exists", f"nobody@{DOMAIN}", check=False)
        assert code != 0, "nobody knows, while the database is away"
        traffic.send()
        mend_it()
        server.wait_log("the database is back")
        traffic.send()
        traffic.check()
        assert not server.exists(f"nobody@{DOMAIN}")
        assert server.log().count("the database is lost") == 1, "it is said once"


# ---- faults

def test_stopped_and_started():
    through(database().stop, database().start)


def test_killed_and_started():
    through(database().kill, database().start)


def test_killed_again_and_again():
    with Server(database().backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        for i in range(4):
            traffic.send(100)
            database().kill()
            database().start()
            traffic.send(10)
            server.wait_log("the database is back", i + 1)
        traffic.check(some_refused=True)


def test_paused():
    through(lambda: database().signal(signal.SIGSTOP), lambda: database().signal(signal.SIGCONT))


def test_read_only():
    """Sessions that exist can still write: the database ends them, as it does when it becomes a copy of another."""
    db = database()
    with Server(db.backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        db.sql("ALTER DATABASE meerkat SET default_transaction_read_only=on;"
               "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'meerkat-%-w%'")
        try:
            away(server)
            traffic.send()
            assert server.exists(f"{traffic.target}@{DOMAIN}"), "it can be read"
        finally:
            db.sql("ALTER DATABASE meerkat RESET default_transaction_read_only", "postgres")
        server.wait_log("the database is back")
        traffic.check()


def small_disk(db):
    folder = os.path.join(db.folder, "small")
    os.makedirs(folder, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", folder], capture_output=True).returncode:
        raise Skip("no file system can be mounted here")
    os.makedirs(f"{folder}/data")
    subprocess.run(["chown", "postgres:", f"{folder}/data"], check=True)
    return folder


def fill(path):
    """With as much as the disk takes."""
    with open(path, "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_full_disk():
    db = database()
    folder = small_disk(db)
    try:
        db.sql(f"CREATE TABLESPACE small LOCATION '{folder}/data'")
        db.sql("GRANT CREATE ON TABLESPACE small TO meerkat; ALTER ROLE meerkat SET default_tablespace=small")
        with Server(db.backend(schema="small")) as server:
            traffic = Traffic(server)
            traffic.send()
            traffic.sender.wait_acked()
            fill(f"{folder}/ballast")
            traffic.send(600)
            server.wait_log("can't commit: could not extend file")
            os.unlink(f"{folder}/ballast")
            server.wait_log("commits again")
            traffic.check()
    finally:
        try:
            db.sql("ALTER ROLE meerkat RESET default_tablespace; DROP SCHEMA IF EXISTS small CASCADE")
            db.sql("DROP TABLESPACE IF EXISTS small")
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


# ---- starts

def refusal(**options):
    with Server(database().backend(**options), start=False) as server:
        lines = [line for line in server.refuses_to_start().splitlines() if re.search("database|create", line)]
        assert len(lines) == 1, f"one line, not {lines}"
        return lines[0]


def test_what_can_not_be_used_is_said():
    assert "password authentication failed" in refusal(password="wrong")
    assert "certificate verify failed" in refusal(sslrootcert=database().folder + "/tls/wrong.crt")
    assert "Connection refused" in refusal(port=9)


def test_without_a_database():
    """A start is refused at once, or waits."""
    db = database()
    db.stop()
    try:
        assert "can't be used" in refusal()
        with Server(db.backend(wait="1m"), start=False) as server:
            server.launch()
            server.wait_log("waiting for the database")
            db.start()
            server.wait_listening()
            Traffic(server).check()
    finally:
        db.start() if not os.path.exists(f"/proc/{db.pid}") else None


def test_without_the_right_to_create():
    """One role makes the tables, another uses them."""
    db = database()
    with Server(db.backend(schema="made")) as server:
        user = server.account("before")
    db.sql("CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA made TO plain;"
           "GRANT SELECT,INSERT,UPDATE,DELETE ON ALL TABLES IN SCHEMA made TO plain")
    plain = {"schema": "made", "user": "plain", "password": "plain"}
    with Server(db.backend(create=False, **plain)) as server:
        assert server.exists(f"{user}@{DOMAIN}")
        traffic = Traffic(server)
        traffic.send()
        traffic.check()
    assert "permission denied" in refusal(**plain)
    assert "meerkat_commits" in refusal(create=False, **{**plain, "schema": "nothing"})


def test_newer_tables():
    db = database()
    with Server(db.backend(schema="newer")):
        pass
    db.sql("UPDATE newer.meerkat_schema SET version=99 WHERE name='roster'")
    with Server(db.backend(schema="newer"), start=False) as server:
        assert "the database has its version 99, this server knows version" in server.refuses_to_start()


def test_nodes_that_start_at_once():
    """They make the tables together, and see each other's accounts."""
    config = database().backend(schema="together")
    nodes = [Server(config, start=False) for _ in range(3)]
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

def test_two_backends_of_one_kind():
    db = database()
    one, two = (db.backend(schema=name)["backends"]["pgsql"] for name in ("one", "two"))
    config = {"backends": {"memory": None, "first": {"backend": "pgsql", **one}, "second": {"backend": "pgsql", **two}},
              "storage": {"default": "first", "offline": "second"}}
    with Server(config) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        assert db.sql("SELECT count(*) FROM two.offline") == [[str(MANY)]]
        assert db.sql("SELECT count(*) FROM one.accounts") == [["2"]]
        assert db.sql("SELECT to_regclass('one.offline') IS NULL, to_regclass('two.accounts') IS NULL") == [["t", "t"]]
        metrics = dict(line.rsplit(" ", 1) for line in server.ctl("metrics").splitlines() if line and line[0] != "#")
        assert metrics["meerkat_pgsql_connections"] == "8", "two pools of two readers and two writers"
        assert int(metrics["meerkat_pgsql_transactions_total"]) > 0
        traffic.check()
