# SPDX-License-Identifier: Apache-2.0
"""Databases behind ODBC that are stopped, killed or paused: what was acknowledged is there, once, and in order."""
import os
import signal

import databases
from databases import DOMAIN, MANY, Server, Traffic, refusal

SERVER, COST, LIMIT = False, 8, 300


class Source:
    """How a database of a test's own is reached by its driver."""

    def backend(self, place=None, **options):
        where = {"schema": place} if place else {}
        merged = {"connection": self.connection(), "user": "meerkat", "query_timeout": "2s", "connect_timeout": "2s",
                  **self.login(), **where, **options}
        return {"backends": {"memory": None, "odbc": merged}, "storage": {"default": "odbc"}}


class Postgres(Source, databases.Postgres):
    def connection(self):
        return (f"Driver=PostgreSQL Unicode;Servername=127.0.0.1;Port={self.env['MEERKAT_PGSQL_PORT']};Database=meerkat;"
                "SSLmode=require;ByteaAsLongVarBinary=1;MaxLongVarcharSize=16777216")

    def login(self):
        return {"password": self.env["MEERKAT_PGSQL_PASSWORD"], "schema": "faults"}


class MariaDB(Source, databases.MariaDB):
    def connection(self):
        return (f"Driver=MariaDB Unicode;SERVER=127.0.0.1;PORT={self.env['MEERKAT_MYSQL_PORT']};CHARSET=utf8mb4;"
                f"SSLCA={self.folder}/tls/ca.crt;SSLVERIFY=1;FORCETLS=1")

    def login(self):
        return {"password": self.env["MEERKAT_MYSQL_PASSWORD"], "schema": "meerkat_faults"}


def postgres():
    return databases.shared(Postgres)


def mariadb():
    return databases.shared(MariaDB)


# ---- faults

def test_postgresql_stopped_and_started():
    databases.stopped(postgres())


def test_postgresql_killed_again_and_again():
    databases.killed_again_and_again(postgres())


def test_mariadb_stopped_and_started():
    databases.stopped(mariadb())


def test_mariadb_killed_again_and_again():
    databases.killed_again_and_again(mariadb())


def paused(db):
    """How long a silent database is waited for is its driver's affair: nothing is acknowledged, and nothing lost."""
    with Server(db.backend()) as server:
        traffic = Traffic(server)
        traffic.send()
        traffic.sender.wait_acked()
        db.signal(signal.SIGSTOP)
        try:
            traffic.send()
            server.ctl("users", "exists", f"nobody@{DOMAIN}", check=False)
        finally:
            db.signal(signal.SIGCONT)
        traffic.send(MANY)
        traffic.check(some_refused=True)


def test_postgresql_paused():
    paused(postgres())


def test_mariadb_paused():
    paused(mariadb())


# ---- starts

def test_what_can_not_be_used_is_said():
    assert "password authentication failed" in refusal(postgres(), password="wrong")
    assert "Access denied" in refusal(mariadb(), password="wrong")
    wrong = mariadb().connection().replace("ca.crt", "wrong.crt")
    assert "certificate" in refusal(mariadb(), connection=wrong)


def test_nodes_that_start_at_once():
    databases.nodes_that_start_at_once(postgres(), "together")
    databases.nodes_that_start_at_once(mariadb(), "meerkat_together")


def test_newer_tables():
    databases.newer_tables(postgres(), "newer")
    databases.newer_tables(mariadb(), "meerkat_newer")


def test_a_file():
    """SQLite, without a data source."""
    with Server(start=False) as server:
        path = os.path.join(server.folder, "data.db")
        server.configure({"backends": {"memory": None, "odbc": {"connection": f"Driver=SQLite3;Database={path}"}},
                          "storage": {"default": "odbc"}})
        server.start()
        traffic = Traffic(server)
        traffic.send()
        traffic.check()
        user = server.account("kept")
        server.stop()
        server.start()
        assert server.exists(f"{user}@{DOMAIN}")
