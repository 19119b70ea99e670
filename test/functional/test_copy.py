# SPDX-License-Identifier: Apache-2.0
"""All collections to another kind of backend and back: nothing is lost on the way, and the server goes on from either."""
import os
import sqlite3

from server import Server, service_backend
from test_roster import interested, roster, set_item
from test_storage import copied, fill

SERVER = False
ROWS = 5000


def rows_of(path):
    with sqlite3.connect(path) as db:
        names = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [name for name in names if not name.startswith(("sqlite_", "meerkat_")) and "__" not in name]
        cols = {t: [c[1] for c in db.execute(f"PRAGMA table_info({t})") if c[1] != "_id"] for t in tables}
        return {t: sorted(map(repr, db.execute(f"SELECT {','.join(cols[t])} FROM {t}"))) for t in tables}


def test_there_and_back():
    kind = os.environ.get("MEERKAT_TEST_BACKEND")

    def configure(tree):
        tree["backends"] = {name: {"backend": "sqlite", "path": f"{s.folder}/{name}.db"} for name in ("one", "two")}
        tree["backends"]["there"] = {"backend": kind, **service_backend(kind)} if kind else {
            "backend": "sqlite", "path": f"{s.folder}/there.db"}
        tree["storage"] = {"default": "one"}

    with Server(start=False) as s:
        s.configure(configure)
        s.start()
        alice = interested(s, "alice", available=False)
        set_item(alice, "bob@one.example", name="Bob's \N{OCTOPUS}", groups=["a'b", "c"])
        known = roster(alice)
        s.stop()
        fill(f"{s.folder}/one.db", ROWS)
        copied(s, "--from", "one", "--to", "there")
        s.configure({"storage": {"default": "there"}})
        s.start()
        counted = {row["collection"]: int(row["rows"]) for row in s.ctl_json("storage", "count")}
        assert counted["offline"] == ROWS and counted["accounts"] == 1 and counted["roster"] == 1, counted
        assert roster(s.client(user=alice.user, available=False)) == known
        s.stop()
        copied(s, "--from", "there", "--to", "two")
        before, after = rows_of(f"{s.folder}/one.db"), rows_of(f"{s.folder}/two.db")
        assert before["offline"] == after["offline"] and before["roster"] == after["roster"]
        assert [t for t in before if before[t] and not after.get(t)] == []
