# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that is stopped, killed, paused, made read-only or full: what was acknowledged is there, once, and in order;
and what can't be used is refused in a line."""
import databases
from databases import SmallDisk, refusal

SERVER, COST, LIMIT = False, 8, 300


def database():
    return databases.shared(databases.Postgres)


# ---- faults

def test_stopped_and_started():
    databases.stopped(database())


def test_killed_and_started():
    databases.killed(database())


def test_killed_again_and_again():
    databases.killed_again_and_again(database())


def test_paused():
    databases.paused(database())


def test_read_only():
    """Sessions that exist can still write: the database ends them, as it does when it becomes a copy of another."""
    db = database()

    def begin():
        db.sql("ALTER DATABASE meerkat SET default_transaction_read_only=on;"
               "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'meerkat-%-w%'")

    databases.read_only(db, begin, lambda: db.sql("ALTER DATABASE meerkat RESET default_transaction_read_only", "postgres"))


def test_full_disk():
    db = database()
    with SmallDisk(db, f"{db.folder}/small") as disk:
        try:
            db.sql(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
            db.sql("GRANT CREATE ON TABLESPACE small TO meerkat; ALTER ROLE meerkat SET default_tablespace=small")
            databases.full_disk(db, disk, "small", "could not extend file")
        finally:
            db.sql("ALTER ROLE meerkat RESET default_tablespace; DROP SCHEMA IF EXISTS small CASCADE")
            db.sql("DROP TABLESPACE IF EXISTS small")


# ---- starts

def test_what_can_not_be_used_is_said():
    assert "password authentication failed" in refusal(database(), password="wrong")
    assert "certificate verify failed" in refusal(database(), sslrootcert=database().folder + "/tls/wrong.crt")
    assert "Connection refused" in refusal(database(), port=9)


def test_without_a_database():
    databases.without_a_database(database())


def test_without_the_right_to_create():
    db = database()
    plain = {"user": "plain", "password": "plain"}
    databases.without_the_right_to_create(
        db, "made", plain,
        lambda: db.sql("CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA made TO plain;"
                       "GRANT SELECT,INSERT,UPDATE,DELETE ON ALL TABLES IN SCHEMA made TO plain"))
    assert "permission denied" in refusal(db, "made", **plain)
    assert "meerkat_commits" in refusal(db, "nothing", create=False, **plain)


def test_tables_made_by_hand():
    db = database()

    def run(printed):
        db.sql("CREATE SCHEMA by_hand AUTHORIZATION meerkat")
        db.sql("SET ROLE meerkat; SET search_path=by_hand;" + printed)

    databases.tables_made_by_hand(db, "by_server", "by_hand", run)


def test_newer_tables():
    databases.newer_tables(database(), "newer")


def test_nodes_that_start_at_once():
    databases.nodes_that_start_at_once(database(), "together")


def test_two_backends_of_one_kind():
    databases.two_pools(database(), "one", "two", 8)
