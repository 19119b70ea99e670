# SPDX-License-Identifier: Apache-2.0
"""A MariaDB that is stopped, killed, paused, made read-only or full: what was acknowledged is there, once, and in order;
and what can't be used is refused in a line."""
import databases
from databases import SmallDisk, refusal

SERVER, COST, LIMIT = False, 8, 300


def database():
    return databases.shared(databases.MariaDB)


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
    db = database()
    databases.read_only(db, lambda: db.sql("SET GLOBAL read_only=ON"), lambda: db.sql("SET GLOBAL read_only=OFF"))


def test_full_disk():
    """Of the tables.  MariaDB says so, hangs, or ends, as it happens: it is started again when there is room."""
    db, name = database(), "meerkat_small"

    def mend():
        disk.empty()
        db.kill()
        db.start()

    db.sql(f"CREATE DATABASE {name}")
    with SmallDisk(db, f"{db.folder}/data/{name}") as disk:
        try:
            databases.full_disk(db, disk, name, "", mend)
        finally:
            for (table,) in db.sql(f"SELECT table_name FROM information_schema.tables WHERE table_schema='{name}'"):
                db.sql(f"DROP TABLE {name}.{table}")
    db.sql(f"DROP DATABASE {name}")


# ---- starts

def test_what_can_not_be_used_is_said():
    assert "Access denied for user 'meerkat'" in refusal(database(), password="wrong")
    assert "self-signed certificate" in refusal(database(), sslrootcert=database().folder + "/tls/wrong.crt")
    assert "Can't connect to server" in refusal(database(), port=9)


def test_without_a_database():
    databases.without_a_database(database())


def test_without_the_right_to_create():
    db = database()
    plain = {"user": "plain", "password": "plain"}
    databases.without_the_right_to_create(
        db, "meerkat_made", plain,
        lambda: db.sql("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'plain'; CREATE DATABASE meerkat_empty;"
                       "GRANT SELECT,INSERT,UPDATE,DELETE ON meerkat_made.* TO plain@'127.0.0.1';"
                       "GRANT SELECT,INSERT,UPDATE,DELETE ON meerkat_empty.* TO plain@'127.0.0.1'"))
    assert "denied" in refusal(db, "meerkat_made", **plain)
    assert "meerkat_commits" in refusal(db, "meerkat_empty", create=False, **plain)
    assert "denied" in refusal(db, "meerkat_nothing", **plain)


def test_encrypted_logins():
    """A user who must use TLS is refused without, and comes in with it, by a certificate of an authority or of nobody."""
    db = database()
    db.sql("CREATE USER sealed@'127.0.0.1' IDENTIFIED BY 'sealed' REQUIRE X509;"
           "GRANT ALL ON `meerkat_sealed`.* TO sealed@'127.0.0.1'")
    sealed = {"user": "sealed", "password": "sealed"}
    keys = {"sslcert": f"{db.folder}/tls/client.crt", "sslkey": f"{db.folder}/tls/client.key"}
    assert "Access denied" in refusal(db, "meerkat_sealed", sslmode="disable", **sealed)
    assert "Access denied" in refusal(db, "meerkat_sealed", **sealed)
    for mode in ("verify-full", "require"):
        with databases.Server(db.backend("meerkat_sealed", sslmode=mode, **sealed, **keys)) as server:
            databases.Traffic(server).check()


def test_tables_made_by_hand():
    db = database()

    def run(printed):
        db.sql("CREATE DATABASE meerkat_by_hand")
        db.sql(printed, "meerkat_by_hand")

    databases.tables_made_by_hand(db, "meerkat_by_server", "meerkat_by_hand", run)


def test_newer_tables():
    databases.newer_tables(database(), "meerkat_newer")


def test_nodes_that_start_at_once():
    databases.nodes_that_start_at_once(database(), "meerkat_together")


def test_two_backends_of_one_kind():
    databases.two_pools(database(), "meerkat_one", "meerkat_two", 8)
