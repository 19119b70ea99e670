# SPDX-License-Identifier: Apache-2.0
"""Commands about storage: how backends are, collections and their rows, schemas, copies from one backend to another."""
import os
import pty
import signal
import sqlite3
import subprocess
import time

from server import CTL, DAEMON, DOMAIN, Server

SERVER = False


def two_backends(tree, folder):
    tree["backends"] = {name: {"backend": "sqlite", "path": f"{folder}/{name}.db"} for name in ("one", "two")}
    tree["backends"]["memory"] = {}
    tree["storage"] = {"default": "one", "motd": "memory"}


def server():
    def configure(tree):
        two_backends(tree, s.folder)
    s = Server(start=False)
    s.configure(configure)
    return s.start()


def copy_command(s, *words):
    return [CTL, "storage", "copy", "--config", s.config_path, *words]


ENV = dict(os.environ, MEERKATD=DAEMON)


def copy(s, *words):
    done = subprocess.run(copy_command(s, *words), capture_output=True, text=True, timeout=100, env=ENV)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def copied(s, *words):
    code, out, err = copy(s, *words)
    assert code == 0, (code, out, err)
    return out, err


def refused(s, words, reason):
    code, out, err = copy(s, *words)
    assert code == 1 and reason in err, (code, out, err)


def fill(path, rows):
    """Offline messages of many accounts, as a server would have left them."""
    with sqlite3.connect(path) as db:
        db.executemany("INSERT INTO offline(owner,id,stanza) VALUES(?,?,?)",
                       ((f"u{i % 977}@{DOMAIN}", i, f"<message from='it''s \N{OCTOPUS} {i}'/>") for i in range(rows)))
    db.close()


def test_status_and_lists():
    with server() as s:
        bob = s.account("bob")
        alice = s.client("alice")
        alice.message(f"{bob}@{DOMAIN}", "hello")
        alice.expect_nothing()
        rows = {r["backend"]: r for r in s.control("storage.status")}
        assert set(rows) == {"one", "memory"}, "a backend that stores nothing has no status"
        one = rows["one"]
        assert one["state"] == "ok" and one["writes"] >= 2 and one["reads"] > 0 and one["commit_us"] > 0, one
        assert one["journal_rows"] == 0 and one["error"] == "", one
        places = {r["collection"]: (r["backend"], r["version"]) for r in s.control("storage.list")}
        assert places["offline"] == ("one", 1) and places["motd"] == ("memory", 1), places
        deadline = time.monotonic() + 30
        while s.control("storage.count", collection="offline")[0]["rows"] != "1":
            assert time.monotonic() < deadline, "the message is not counted"
        counts = {r["collection"]: int(r["rows"]) for r in s.control("storage.count")}
        assert counts["accounts"] == 2 and counts["offline"] == 1 and counts["motd"] == 0, counts
        code, _, err = s.ctl("storage", "count", "nothing", check=False)
        assert code == 1 and "no collection nothing" in err, err
        metrics = s.ctl("metrics")
        assert "journal_rows" in metrics and "journal_bytes" in metrics


def test_schema():
    """What is printed makes the same database, before anything is stored there."""
    with server() as s:
        text = s.ctl("schema", "--backend", "two")
        offline = s.ctl("schema", "two", "offline")
        assert 'CREATE TABLE "offline"' in offline and "roster" not in offline
        assert s.ctl("schema", "memory").strip() == "-- memory needs no schema"
        code, _, err = s.ctl("schema", "three", check=False)
        assert code == 1 and "no backend three" in err, err
    schemas = []
    with server() as s:
        with sqlite3.connect(f"{s.folder}/made.db") as db:
            db.executescript(text)
        s.stop()
        for path in (f"{s.folder}/one.db", f"{s.folder}/made.db"):
            with sqlite3.connect(path) as db:
                schemas.append(set(db.execute("SELECT name,sql FROM sqlite_master WHERE name NOT LIKE 'motd%'")))
    assert schemas[0] == schemas[1], schemas[0] ^ schemas[1]


def test_copy():
    with server() as s:
        alice, bob = s.client("alice"), s.account("bob")
        alice.message(f"{bob}@{DOMAIN}", "hello")
        alice.result("set", "<query xmlns='jabber:iq:roster'><item jid='x@example.org' name='&lt;X&gt;'/></query>")
        refused(s, ["--from", "one", "--to", "two"], "the server runs: stop it first")
        s.stop()
        s.drop_clients()
        out, err = copied(s, "--from=one", "--to=two")
        assert "offline: 1 rows, sum " in out and "accounts: 2 rows" in out and "motd:" not in out, out
        assert not os.path.exists(f"{s.config['journal']['folder']}/copy.one.two")
        refused(s, ["--from", "one", "--to", "two", "--collection", "offline"], "two has 1 rows of offline already")
        s.configure({"storage": {"default": "two"}, "backends": {"one": {"path": f"{s.folder}/none.db"}}})
        s.start()
        client = s.client(user=bob)
        client.expect("message", body="hello")
        again = s.client(user=alice.user, available=False)
        roster = again.result("get", "<query xmlns='jabber:iq:roster'/>")
        assert roster.find(".//{jabber:iq:roster}item[@jid='x@example.org'][@name='<X>']") is not None


def test_copy_is_refused():
    with server() as s:
        s.stop()
        refused(s, ["--from", "one", "--to", "three"], "\"three\" is no backend")
        refused(s, ["--from", "one", "--to", "one"], "needs two backends")
        refused(s, ["--from", "one", "--to", "memory"], "memory keeps nothing when the process ends")
        refused(s, ["--from", "one", "--to", "two", "--collection", "nothing"], "has a collection named nothing")
        with open(f"{s.config['journal']['folder']}/one.000000000001.journal", "wb") as f:
            f.write(b"MKJRNL\0\0\1" + b"\0" * 5000)
        refused(s, ["--from", "one", "--to", "two"], "has rows that are not stored yet")
        code, _, err = copy(s, "--from", "one")
        assert code == 2 and "storage copy --from BACKEND" in err, err


def test_copy_goes_on():
    """Killed in the middle and run again it begins where it was."""
    rows = 300000  # seconds of work, so that the kill comes into the middle
    with server() as s:
        s.stop()
        fill(f"{s.folder}/one.db", rows)
        state = f"{s.config['journal']['folder']}/copy.one.two"
        process = subprocess.Popen(copy_command(s, "--from", "one", "--to", "two", "--collection", "offline"), env=ENV,
                                   stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        begun = 0
        while not begun:
            assert process.poll() is None and time.monotonic() < deadline, "the copy ended, or does not get on"
            if os.path.exists(state):
                with open(state) as f:
                    begun = int(f.read().split()[1])
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert 0 < begun < rows
        out, err = copied(s, "--from", "one", "--to", "two", "--collection", "offline")
        assert f"offline: {begun} of {rows} rows" in err, err
        assert f"offline: {rows} rows, sum " in out, out
        with sqlite3.connect(f"{s.folder}/one.db") as db:
            db.execute("ATTACH ? AS two", (f"{s.folder}/two.db",))
            columns = "owner,id,stanza,expires"
            assert not db.execute(f"SELECT {columns} FROM offline EXCEPT SELECT {columns} FROM two.offline").fetchall()


def test_a_difference_is_found():
    """Rows that another program changes while it is copied."""
    with server() as s:
        s.stop()
        fill(f"{s.folder}/one.db", 10)
        copied(s, "--from", "one", "--to", "two", "--collection", "roster")
        s.configure({"backends": {"two": {"backend": "flaky", "gate_file": f"{s.folder}/gate"}}})
        with open(f"{s.folder}/gate", "w") as f:
            f.write("writes")
        process = subprocess.Popen(copy_command(s, "--from", "one", "--to", "two", "--collection", "offline"), env=ENV,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:  # the rows were read once it tries to store them
            if "two can't commit: the gate is shut" in line:
                break
        with sqlite3.connect(f"{s.folder}/one.db") as db:
            db.execute("UPDATE offline SET stanza='changed' WHERE id=3")
        db.close()
        os.unlink(f"{s.folder}/gate")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1 and "offline differs: 10 rows with sum" in err, err


def test_a_bar_on_a_terminal():
    with server() as s:
        s.stop()
        fill(f"{s.folder}/one.db", 5000)
        master, slave = pty.openpty()
        process = subprocess.Popen(copy_command(s, "--from", "one", "--to", "two", "--collection", "offline"), env=ENV,
                                   stderr=slave, stdout=subprocess.PIPE)
        os.close(slave)
        shown = b""
        try:
            while more := os.read(master, 4096):
                shown += more
        except OSError:
            pass  # the other end is closed
        os.close(master)
        assert process.wait() == 0, shown
        assert b"\roffline              [" in shown and b" % " in shown and b"rows/s" in shown and b"left" in shown, shown
