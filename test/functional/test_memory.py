# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow with what has passed.

MEERKAT_MEMORY_STANZAS and MEERKAT_MEMORY_RECONNECTS say how much passes.  A million is for the release build.
"""
import os

from server import Server

SERVER, COST, LIMIT = False, 8, 7200
STANZAS = int(os.environ.get("MEERKAT_MEMORY_STANZAS", "20000"))
RECONNECTS = int(os.environ.get("MEERKAT_MEMORY_RECONNECTS", "300"))
MOST_GROWTH = 4 << 20  # bytes; caches
BATCH = 100


def chat(a, b, count):
    for start in range(0, count, BATCH):
        ids = range(start, min(start + BATCH, count))
        a.send("".join(f"<message to='{b.jid}' type='chat' id='{i}'><body>{'x' * (i % 500)}</body></message>" for i in ids))
        for i in ids:
            b.expect("message", id=str(i))
        for c in (a, b):
            c.log.clear()


def compare(server, what, work, count):
    work(max(count // 4, 1))  # caches fill
    before = server.allocated()
    work(count)
    after = server.allocated()
    print(f"# {count} {what}: {before / 1048576:.1f} MB before, {after / 1048576:.1f} MB after")
    assert after - before < MOST_GROWTH, f"memory grew by {after - before} bytes over {count} {what}"


def test_stanzas():
    with Server({"plugins": {"mam": None}}) as s:  # the archive is in memory here, and grows
        a, b = s.client("a"), s.client("b")
        b.enable()
        compare(s, "messages", lambda n: chat(a, b, n), STANZAS)


def test_stored_messages():
    with Server({"plugins": {"mam": None, "offline": {"max_messages": 1000000}}}) as s:
        a, b = s.client("a"), s.account("b")

        def store_and_fetch(count):
            for start in range(0, count, 500):
                for i in range(500):
                    a.message(f"{b}@{a.domain}", f"m{i}")
                a.expect_nothing()
                c = s.client(user=b)
                for i in range(500):
                    c.expect("message", body=f"m{i}")
                c.end()
                s.clients.remove(c)
                a.log.clear()
        compare(s, "stored messages", store_and_fetch, max(STANZAS // 10, 500))


def test_reconnects():
    with Server() as s:
        user = s.account()

        def come_and_go(count):
            for i in range(count):
                c = s.client(user=user)
                if i % 3 == 0:
                    c.enable(resume=False)
                if i % 2:
                    c.drop()
                else:
                    c.end()
                s.clients.remove(c)
        compare(s, "logins", come_and_go, RECONNECTS)
