#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a message between two servers costs, beside one within a server:  test/bench/run.sh s2s [--messages N]

Microseconds of CPU of a server with one worker for a message with an archive-less delivery to one client who is there;
clients without TLS, servers with TLS 1.3, each burst written at once.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))

from federation import Federated  # noqa: E402
from zone import Zone  # noqa: E402

FAR = "far.example"
RECEIVER = "to another: receiver's"
BODY = ("<body>Hello Bob, are we still meeting at 10:30 today?</body><active "
        "xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>")


def cpu(server):
    """Seconds of all its threads."""
    with open(f"/proc/{server.process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plain(tree):
    tree["workers"] = 1
    tree["log"] = {"level": "error"}
    tree["host_types"]["default"]["plain_without_tls"] = True
    tree["plugins"] = {"auth_internal": {}, **{n: {} for n in ("roster", "presence", "offline", "disco", "carbons",
                                                               "stream_mgmt")}}


def client(server, domain):
    user = server.account("user", domain)
    c = server.connect(domain, user, "secret")
    c.open()
    c.authenticate("PLAIN")
    return c.bind().available()


def send(a, b, count, burst):
    """COUNT messages, BURST of them in one write."""
    text = f"<message to='{b.jid}' id='5b1d2c3e-4f' type='chat' xml:lang='en'>{BODY}" * burst
    for at in range(0, count, burst):
        a.sock.sendall(text.encode())
        waiting = burst
        while waiting:
            waiting -= b.sock.recv(1 << 20).count(b"</message>")


def measure(a, b, servers, count, burst):
    send(a, b, count // 10, burst)
    before = [cpu(s) for s in servers]
    send(a, b, count, burst)
    return [(cpu(s) - at) * 1e6 / count for s, at in zip(servers, before)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100000)
    options = parser.parse_args()
    zone = Zone()
    near, far = Federated(zone, config=plain), Federated(zone, domains=[FAR], config=plain)
    with near, far:
        alice, carol, bob = client(near, "one.example"), client(near, "one.example"), client(far, FAR)
        alice.message(bob.jid, "first")
        bob.expect("message", body="first")
        print("us of CPU a message     one a write    ten a write")
        for label, other, servers in (("within a server", carol, [near]), ("to another: sender's", bob, [near, far])):
            one, ten = (measure(alice, other, servers, options.messages, burst) for burst in (1, 10))
            print(f"{label:24}{one[0]:10.1f}{ten[0]:15.1f}")
            if len(servers) == 2:
                print(f"{RECEIVER:24}{one[1]:10.1f}{ten[1]:15.1f}")


if __name__ == "__main__":
    main()
