# SPDX-License-Identifier: Apache-2.0
"""A database that goes away: what goes on, what waits, what is refused, what comes back.

The backend `flaky` is SQLite behind a gate: a file that says whether commits, or reads too, fail or hang.
"""
import contextlib
import glob
import os
import random
import shutil

from element import text
from server import DOMAIN, Server
from test_crash import body_of, pump
from test_load import load, scenario
from xmpp import fail

SERVER = False


class Outage(Server):
    def __init__(self, more=None, **journal):
        def configure(tree):
            tree["backends"] = {"flaky": {"path": f"{self.folder}/data.db", "gate_file": f"{self.folder}/gate"}}
            tree["storage"] = {"default": "flaky"}
            tree["limits"].update({"store_retry": 20, "turn_deadline": "3s"}, **(more or {}))
            tree["journal"].update({"after": 50}, **journal)
        super().__init__(configure)

    @contextlib.contextmanager
    def shut(self, word="writes"):
        self.gate(word)
        yield
        self.gate(None)

    def gate(self, word):
        path = f"{self.folder}/gate"
        if word is None:
            return os.unlink(path)
        with open(path + ".new", "w") as f:
            f.write(word)
        os.rename(path + ".new", path)

    def away(self, name):
        """An account that is away, with one message: the first needs to read how many wait."""
        user = self.account(name)
        teller = self.client("teller")
        address = f"{user}@{DOMAIN}"
        teller.message(address, "before")
        # It must be there first: mail of two senders has no order between them.
        self.wait_until("it is stored", lambda: self.control("offline.count", account=address)[0]["messages"] == 1)
        teller.end()
        return user, address

    def journal(self):
        return glob.glob(f"{self.config['journal']['folder']}/*.journal")

    def status(self):
        return self.control("storage.status")[0]


def talker(server, name="alice"):
    c = server.client(name)
    c.enable()
    return c


def acked_now(c):
    """What the server has acknowledged of what C sent before this."""
    c.send("<r xmlns='urn:xmpp:sm:3'/>")
    c.expect_nothing()
    return c.sm.acked


def flood(sender, to, count, size=0):
    for i in range(count):
        sender.message(to, f"m{i}" + " " * size)


def collected(server, user, count):
    """All that waits for USER comes in its order, once."""
    c = server.client(user=user)
    c.expect("message", body="before")
    for i in range(count):
        got = c.expect("message", has="delay:delay")
        if text(got, "body").strip() != f"m{i}":
            fail(c, f"expected m{i}, but got {text(got, 'body').strip()}")
    c.expect_nothing()
    c.end()
    server.client(user=user).expect_nothing()


def test_live_chat_goes_on():
    with Outage(size=0) as server:
        alice, bob = talker(server), talker(server, "bob")
        carol, to = server.away("carol")
        with server.shut():
            alice.message(to, "m0")
            server.wait_until("the backend is away", lambda: server.status()["state"] == "away")
            for i in range(20):
                alice.message(bob.jid, f"live {i}")
                bob.expect("message", body=f"live {i}", from_=alice.jid)
                bob.message(alice.jid, f"back {i}")
                alice.expect("message", body=f"back {i}", from_=bob.jid)
            # Stanzas before the one that waits are acknowledged, this one and what follows are not.
            sent = alice.sm.sent
            if acked_now(alice) != sent - 21:
                fail(alice, f"{alice.sm.acked} of {sent} stanzas are acknowledged while one waits for its row")
        alice.wait_acked(sent)
        collected(server, carol, 1)


def test_the_journal_acknowledges():
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        with server.shut():
            flood(alice, to, 300)
            alice.wait_acked()
            status = server.status()
            assert status["state"] == "away" and status["error"] == "the gate is shut", status
            assert status["journal_rows"] >= 300 and status["journal_bytes"] > 300 * 100, status
            assert server.journal()
        server.wait_until("the journal is empty", lambda: not server.journal())
        assert server.status()["journal_rows"] == 0, server.status()
        collected(server, carol, 300)


def test_kill_in_an_outage():
    """What was acknowledged comes once, in order, after kill -9 while the database is away."""
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        server.gate("writes")
        flood(alice, to, 200)
        alice.wait_acked()
        server.kill()
        server.drop_clients()
        server.gate(None)
        server.start()
        collected(server, carol, 200)
        server.wait_until("the journal is empty", lambda: not server.journal())


def test_kill_twice_in_an_outage():
    """The database is still away at the next start: requests of clients wait for it, and nothing is stored twice."""
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        server.gate("writes")
        flood(alice, to, 100)
        alice.wait_acked()
        server.kill()
        server.drop_clients()
        server.start()
        server.wait_until("the backend is tried", lambda: server.status()["state"] == "away")
        server.kill()
        server.start()
        server.gate(None)
        collected(server, carol, 100)


def test_a_torn_record_is_dropped():
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        server.gate("writes")
        flood(alice, to, 50)
        alice.wait_acked()
        server.kill()
        server.drop_clients()
        server.gate(None)
        for path in server.journal():
            with open(path, "ab") as f:
                f.write(b"\x40\x01\x00\x00\x12\x34\x56\x78\x00begun")
        server.start()
        collected(server, carol, 50)
        assert "not written whole" in server.log()


def test_a_stop_in_an_outage():
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        server.gate("writes")
        flood(alice, to, 100)
        server.stop()
        server.drop_clients()
        assert "not stored before the stop" not in server.log()
        server.gate(None)
        server.start()
        collected(server, carol, 100)


def test_its_bound():
    """The journal is full, then memory: what comes is refused, what was taken comes."""
    with Outage({"store_queue": 100}, size=20000) as server:
        server.configure({"plugins": {"offline": {"max_messages": 1000}}})
        server.restart()
        alice = talker(server)
        carol, to = server.away("carol")
        with server.shut():
            flood(alice, to, 10)
            alice.wait_acked()
            flood(alice, to, 400, size=500)
            refused = alice.expect_bounce("message", "resource-constraint")
            count = 1
            while (got := alice.next()).get("type") == "error":
                count += 1
                if count == 200:
                    break
            assert server.log().count("is full: writes wait in memory") == 1
            assert os.path.getsize(server.journal()[0]) < 20000 + 4096
        assert refused is not None and got is not None
        alice.wait_acked()


def test_more_than_can_be_written():
    """A database that works but is slower than its clients: they wait, and nothing is refused."""
    def configure(tree):
        del tree["journal"]
        tree["host_types"] = {"default": {"anonymous": True, "plain_without_tls": True}}
        tree["limits"].update({"store_queue": 1000, "store_commit": 16})

    group = {"count": 20, "roster": False, "chat": {"window": 4}}
    with Server(configure, sqlite=True) as server:
        code, report, said = load(server.folder, scenario(server.ports["starttls"].number, DOMAIN, [group]))
        counts = report["counts"]
        assert code == 0 and report["clean"] and counts["delivered"] == counts["acked"] == counts["sent"] > 100, said
        assert server.metrics()["meerkat_store_holds_total"] > 0, said


def test_a_journal_that_can_not_be_written():
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        with server.shut():
            shutil.rmtree(server.config["journal"]["folder"])
            before = alice.sm.sent
            flood(alice, to, 20)
            server.wait_until("it is said", lambda: "the journal of flaky can't be written" in server.log())
            if acked_now(alice) > before:
                fail(alice, "a row is acknowledged that is in memory alone")
            assert server.log().count("can't be written") == 1
        alice.wait_acked()
        collected(server, carol, 20)


def test_requests_are_refused_clearly():
    with Outage() as server:
        alice = talker(server)
        carol = server.account("carol")
        with server.shut("all"):
            alice.message(f"{carol}@{DOMAIN}", "m0", id="m")
            alice.expect_bounce("message", "internal-server-error", id="m")
            contact = "<query xmlns='jabber:iq:roster'><item jid='x@example.org'/></query>"
            alice.refused("set", contact, "resource-constraint")  # it waited, and the deadline passed
            alice.refused("set", contact, "internal-server-error")  # nothing waits any more
        server.wait_until("the backend is back", lambda: server.status()["state"] == "ok")
        alice.result("set", contact)


def test_a_backend_that_hangs():
    with Outage() as server:
        alice, bob = talker(server), talker(server, "bob")
        carol, to = server.away("carol")
        with server.shut("hang"):
            flood(alice, to, 5)
            for i in range(20):
                alice.message(bob.jid, f"live {i}")
                bob.expect("message", body=f"live {i}", from_=alice.jid)
            server.wait_until("it is noticed", lambda: server.status()["state"] == "away")
            assert server.status()["error"] == "it does not answer", server.status()
            alice.wait_acked()
        collected(server, carol, 5)


def test_a_foreign_journal_is_not_lost_silently():
    with Outage() as server:
        alice = talker(server)
        carol, to = server.away("carol")
        server.gate("writes")
        flood(alice, to, 5)
        alice.wait_acked()
        server.kill()
        server.drop_clients()
        server.gate(None)
        server.configure({"plugins": {"offline": {"enabled": False}}})
        try:
            server.start()
        except AssertionError as e:
            assert "has rows of offline" in str(e), e
        else:
            raise AssertionError("the server starts without the collection that the journal has rows of")
        server.process = None
        server.configure({"plugins": {"offline": {"enabled": True}}})
        server.start()
        collected(server, carol, 5)


# ---- outages that come and go, and a kill in the midst of them

def storm(server, senders, targets, rng):
    """{sender: [(target, body)]} of what was sent until the kill."""
    sent, shut = {c: [] for c in senders}, False
    for turn in range(150):
        if rng.random() < 0.2:
            server.gate(None if shut else "writes")
            shut = not shut
        for number, c in enumerate(senders):
            to, body = rng.choice(targets)[1], f"{number}/{turn}"
            sent[c].append((to, body))
            c.message(to, body, id=body)
            c.send("<r xmlns='urn:xmpp:sm:3'/>")
        pump(senders, 0.02)
    while sum(c.sm.acked for c in senders) < 1000:
        pump(senders, 1)
    server.kill()
    while pump(senders, 0):
        pass
    if shut:
        server.gate(None)
    return sent


def arrived(server, user, wanted):
    """The bodies that waited for USER, in their order, until all of WANTED are there."""
    c = server.client(user=user)
    c.expect("message", body="before")
    bodies = []
    while set(wanted) - set(bodies):
        bodies.append(body_of(c.expect("message", has="delay:delay")))
    c.end()
    return bodies


def check_order(bodies):
    last = {}
    for body in bodies:
        sender, turn = map(int, body.split("/"))
        assert turn > last.get(sender, -1), f"{body} comes after {sender}/{last[sender]}: twice, or out of order"
        last[sender] = turn


def weather(seed):
    rng = random.Random(seed)
    with Outage() as server:
        targets = [server.away(f"target{i}") for i in range(10)]
        senders = [talker(server, f"sender{i}") for i in range(10)]
        sent = storm(server, senders, targets, rng)
        acked = {to: set() for _, to in targets}
        bounced = {e.get("id") for c in senders for e in c.queue if hasattr(e, "get") and e.get("type") == "error"}
        for c, messages in sent.items():
            for to, body in messages[:c.sm.acked]:
                acked[to].add(body)
        server.drop_clients()
        server.start()
        print(f"# seed {seed}: {sum(map(len, acked.values()))} acknowledged, {len(bounced)} refused")
        for user, to in targets:
            check_order(arrived(server, user, acked[to] - bounced))
        server.wait_until("the journal is empty", lambda: not server.journal())


def test_weather():
    weather(random.SystemRandom().randrange(1 << 32))


def test_weather_again():
    weather(random.SystemRandom().randrange(1 << 32))
