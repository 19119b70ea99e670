# SPDX-License-Identifier: Apache-2.0
"""What the server has acknowledged survives kill -9.

A hundred clients with XEP-0198 write to users of three kinds: online and acknowledging, online and silent, away.  The
server is killed in the middle.  Afterwards every message that its sender has an ack for must have been received before
the kill, or be delivered after the restart; and it must be in the archives of both, where no message is twice.
"""
import random
import select
import ssl
import time

from element import text
from mam import everything
from server import Server
from xmpp import EOF, Failure

SERVER, COST, LIMIT = False, 10, 600
SENDERS, KIND, MESSAGES = 100, 10, 4000  # targets of each kind; about how many are sent before the kill


def body_of(element):
    return None if element is EOF or not hasattr(element, "tag") else text(element, "body")


def pump(clients, seconds):
    """Reads what has come for any of these, for SECONDS at most if nothing does."""
    live = [c for c in clients if EOF not in c.queue]
    ready = [c for c in live if isinstance(c.sock, ssl.SSLSocket) and c.sock.pending()]
    if not ready and live:
        ready = [c for c in live if c.sock in select.select([c.sock for c in live], [], [], seconds)[0]]
    for c in ready:
        c.read(time.monotonic())
    return bool(ready)


class Run:
    def __init__(self, server, seed):
        self.server, self.random = server, random.Random(seed)
        self.senders = [server.client(f"sender{i}", available=False) for i in range(SENDERS)]
        self.prompt = [server.client(f"prompt{i}") for i in range(KIND)]
        self.silent = [server.client(f"silent{i}") for i in range(KIND)]
        for c in self.senders + self.prompt:
            c.enable(auto=True)
        for c in self.silent:
            c.enable(auto=False)
        self.targets = [c.bare for c in self.prompt + self.silent]
        self.targets += [f"{server.account(f'away{i}')}@{self.senders[0].domain}" for i in range(KIND)]
        self.sent = {c: [] for c in self.senders}  # (target, body) in the order of c's stanzas

    @property
    def everybody(self):
        return self.senders + self.prompt + self.silent

    def send_some(self):
        """One message of each sender, all asking for an ack."""
        for number, c in enumerate(self.senders):
            target, body = self.random.choice(self.targets), f"{number}/{len(self.sent[c])}"
            self.sent[c].append((target, body))
            c.message(target, body)
            c.send("<r xmlns='urn:xmpp:sm:3'/>")

    def until_the_kill(self):
        stop = self.random.randrange(MESSAGES // 2, MESSAGES)
        while sum(map(len, self.sent.values())) < stop:
            self.send_some()
            pump(self.everybody, 0)
        while sum(c.sm.acked for c in self.senders) < stop // 4:
            pump(self.everybody, 1)
        for _ in range(5):
            self.send_some()  # these are under way, in all stages
        self.server.kill()
        while pump(self.everybody, 0):  # what it had written to the sockets
            pass

    def acked(self):
        """{target: set of bodies} that the server has taken over."""
        out = {t: set() for t in self.targets}
        for c, messages in self.sent.items():
            for target, body in messages[:c.sm.acked]:
                out[target].add(body)
        return out

    def received(self):
        out = {t: set() for t in self.targets}
        for c in self.prompt + self.silent:
            out[c.bare].update(b for b in map(body_of, c.queue) if b)
        return out


def collect(server, wanted):
    """Logs in each target of WANTED and takes what comes, until all is there or nothing comes any more."""
    clients = {t: server.client(user=t.partition("@")[0]) for t in wanted}
    missing = {t: set(bodies) for t, bodies in wanted.items()}
    deadline = time.monotonic() + 60
    while any(missing.values()) and time.monotonic() < deadline:
        pump(list(clients.values()), 1)
        for target, c in clients.items():
            missing[target] -= {b for b in map(body_of, c.queue) if b}
            c.queue.clear()
    return {t: bodies for t, bodies in missing.items() if bodies}


def check_archive(client, wanted):
    """It has all that is WANTED, and nothing twice."""
    bodies = [f.body for f in everything(client)]
    if lost := set(wanted) - set(bodies):
        raise Failure(f"acknowledged, and not in the archive of {client.bare}: {sorted(lost)[:20]}")
    if len(set(bodies)) != len(bodies):
        raise Failure(f"in the archive of {client.bare} twice: {sorted(b for b in bodies if bodies.count(b) > 1)[:20]}")


def check_archives(server, run, acked):
    server.drop_clients()
    for c, messages in run.sent.items():
        reader = server.client(user=c.user, available=False)
        check_archive(reader, [body for _, body in messages[:c.sm.acked]])
        reader.drop()
    for target, wanted in acked.items():
        reader = server.client(user=target.partition("@")[0], available=False)
        check_archive(reader, wanted)
        reader.drop()


def check(seed):
    with Server({"plugins": {"stream_mgmt": {"spool_after": 100}}}, sqlite=True) as server:
        run = Run(server, seed)
        run.until_the_kill()
        acked, received = run.acked(), run.received()
        wanted = {t: acked[t] - received[t] for t in acked}
        count = sum(map(len, acked.values()))
        print(f"# seed {seed}: {sum(map(len, run.sent.values()))} sent, {count} acknowledged, "
              f"{sum(map(len, wanted.values()))} of them not received yet at the kill")
        assert count > MESSAGES // 10, "too little was acknowledged for this to mean anything"
        for c in run.everybody:
            c.drop()
        server.clients.clear()
        server.start()
        missing = collect(server, wanted)
        if missing:
            raise Failure("acknowledged, and lost: " + ", ".join(f"{t}: {sorted(b)[:20]}" for t, b in missing.items()))
        check_archives(server, run, acked)


def test_kill():
    check(random.SystemRandom().randrange(1 << 32))


def test_kill_again():
    check(random.SystemRandom().randrange(1 << 32))
