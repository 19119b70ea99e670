# SPDX-License-Identifier: Apache-2.0
"""Message archives: how much they hold, restarts, the operator."""
import json
import sqlite3

from element import name, show
from mam import MAM, bodies, everything, fetch, prefs, query, rsm, sent, told, two, wait_for
from server import OPENED, Server
from xmpp import fail

SQLITE = True
COST = 3


# ---- how much

def test_most_messages(server):
    with Server({"plugins": {"mam": {"max_messages": 5, "trim_every": "1s"}}}) as s:
        _, bob, ids = sent(s, 12)
        wait_for(lambda: len(everything(bob)) <= 5, "the oldest go")
        assert [f.id for f in everything(bob)] == ids[7:]
        bob.refused("set", query(rsm(after=ids[0])), "item-not-found")


def test_age_that_was_lowered(server):
    with Server({"plugins": {"mam": {"trim_every": "1s"}}}, sqlite=OPENED) as s:
        alice, bob, _ = sent(s, 3)
        s.stop()
        with sqlite3.connect(f"{s.folder}/data.db") as db:
            hour = 3600 * 10**6
            db.execute("UPDATE mam_messages SET time = time - ?", (hour,))
        s.configure({"plugins": {"mam": {"max_age": "30m"}}})
        s.start()
        alice, bob = s.client(user=alice.user), s.client(user=bob.user)
        alice.message(bob.bare, "new")
        bob.expect("message", body="new")
        wait_for(lambda: bodies(bob) == ["new"], "what is too old goes")


def test_age(server):
    with Server({"plugins": {"mam": {"max_age": "1m"}}}, sqlite=OPENED) as s:
        _, bob, _ = sent(s, 2)
        assert len(fetch(bob)) == 2
        s.stop()
        with sqlite3.connect(f"{s.folder}/data.db") as db:
            left = db.execute("SELECT max(expires - time) FROM mam_messages").fetchone()[0]
            assert left == 60 * 10**6
            db.execute("UPDATE mam_messages SET expires = time")
        s.start()
        assert bodies(s.client(user=bob.user)) == []


def test_ids_grow_though_the_clock_steps_back(server):
    """After a restart too: an archive knows its newest message."""
    with Server(sqlite=OPENED) as s:
        alice, bob, _ = sent(s, 2)
        s.stop()
        with sqlite3.connect(f"{s.folder}/data.db") as db:
            db.execute("UPDATE mam_messages SET time = time + ?", (3600 * 10**6,))
        s.start()
        alice, bob = s.client(user=alice.user), s.client(user=bob.user)
        old = fetch(bob).ids
        for i in range(3):
            alice.message(bob.bare, f"after {i}")
            bob.expect("message", body=f"after {i}")
        page = fetch(bob)
        assert page.bodies == ["m0", "m1", "after 0", "after 1", "after 2"]
        assert page.ids == sorted(page.ids) and page.ids[:2] == old
        assert fetch(bob, rsm_text=rsm(after=old[-1], max=10)).bodies == ["after 0", "after 1", "after 2"]


# ---- operators

def test_stats_and_export(server):
    alice, bob, ids = sent(server, 4)
    stats = server.control("mam.stats", account=bob.bare)[0]
    assert stats["messages"] == 4 and stats["oldest"] < stats["newest"]
    rows = server.control("mam.export", account=bob.bare)
    assert [r["id"] for r in rows] == ids and rows[0]["with"] == alice.bare and not rows[0]["sent"]
    assert "<body>m0</body>" in rows[0]["stanza"]
    rest = server.control("mam.export", account=bob.bare, after=ids[1])
    assert [r["id"] for r in rest] == ids[2:]
    assert server.control("mam.export", account=bob.bare, after=ids[3]) == []
    assert [r["sent"] for r in server.control("mam.export", account=alice.bare, **{"with": bob.bare})] == [True] * 4
    assert server.ctl("mam", "export", bob.bare, "--after", "x", check=False)[0] != 0


def test_export_in_parts(server):
    """meerkatctl goes on until it has all."""
    alice, bob = two(server)
    alice.enable()
    for i in range(2100):
        alice.message(bob.bare, f"m{i}")
    alice.wait_acked()
    parts = server.ctl("--json", "mam", "export", bob.bare)
    decoder, stanzas, at, count = json.JSONDecoder(), [], 0, 0
    while parts[at:].strip():
        rows, end = decoder.raw_decode(parts[at:].lstrip())
        at += len(parts[at:]) - len(parts[at:].lstrip()) + end
        stanzas += [r["stanza"] for r in rows]
        count += 1
    assert count == 3 and len(stanzas) == 2100
    assert all(f"<body>m{i}</body>" in s for i, s in enumerate(stanzas))


def test_remove(server):
    alice, bob, ids = sent(server, 4)
    eve = server.client("eve")
    for i in range(3):
        eve.message(bob.bare, f"e{i}")
        bob.expect("message", body=f"e{i}")
    stamps = [f.stamp for f in fetch(bob)]
    assert "2" in server.ctl("mam", "remove", bob.bare, "--before", stamps[2])
    assert bodies(bob) == ["m2", "m3", "e0", "e1", "e2"]
    assert server.control("mam.remove", account=bob.bare, **{"with": eve.bare})[0]["removed"] == 3
    assert bodies(bob) == ["m2", "m3"]
    assert server.control("mam.remove", account=bob.bare)[0]["removed"] == 2
    assert bodies(bob) == [] and len(bodies(alice)) == 4
    assert server.ctl("mam", "remove", bob.bare, "--before", "yesterday", check=False)[0] != 0


def test_removed_account(server):
    alice, bob, _ = sent(server, 2)
    bob.result("set", prefs("always", ["x@y"]))
    bob.end()
    server.ctl("users", "del", bob.bare)
    server.ctl("users", "add", bob.bare, "--password", "secret")
    again = server.client(user=bob.user)
    assert bodies(again) == [] and told(again.result("get", f"<prefs xmlns='{MAM}'/>"))[1] == []
    assert len(bodies(alice)) == 2


def test_kill_after_ack(server):
    """Once the sender has the ack, no crash loses the message from either archive."""
    with Server(sqlite=True) as s:
        alice, bob = two(s)
        alice.enable()
        for i in range(20):
            alice.message(bob.bare, f"m{i}")
        alice.wait_acked()
        s.kill()
        s.start()
        for c in (alice, bob):
            assert bodies(s.client(user=c.user)) == [f"m{i}" for i in range(20)]


def test_nothing_for_a_name_that_is_not_there(server):
    bob = server.client("bob")
    got = bob.iq("set", f"<query xmlns='{MAM}'/>", to=f"{bob.bare}/nobody")
    if got.get("type") != "error":
        fail(bob, f"an archive has a bare JID: {show(got)}")
    assert name("error") in [e.tag for e in got]
