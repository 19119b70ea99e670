#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a message costs by every way that it can come and go:  test/bench/run.sh streams [--quick] [--rounds N] [--pairs N]

Microseconds of CPU, and how many times what it costs over TCP.  Each figure is the median of rounds in which all ways
take their turns, so that a busy neighbour hurts all.  The servers have one worker; pairs of clients answer each other,
with one message a write or with ten.  "To another server" counts the CPU of both, whose stream has TLS 1.3 whatever
the clients have.  By BOSH a client answers in the request that it would have asked with anyhow: one request a write.
"""
import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))

import web  # noqa: E402
from federation import FAR, Federated  # noqa: E402
from server import BUILD, DOMAIN  # noqa: E402
from zone import Zone  # noqa: E402

PLUGINS = ("roster", "presence", "offline", "disco", "ping", "carbons", "stream_mgmt", "websocket", "bosh")
BURSTS = (1, 10)


def config(tree):
    web.config()(tree)
    tree["workers"] = 1
    tree["log"] = {"level": "error"}
    tree["limits"]["login_timeout"] = "10m"
    tree["host_types"] = {"default": {"plain_without_tls": True, "anonymous": True}}
    tree["plugins"] = {"auth_internal": {}, **{name: {} for name in PLUGINS}}


def far_config(tree):
    """It needs no listener for HTTP, and may not have that of the other."""
    config(tree)
    tree["listeners"] = [each for each in tree["listeners"] if each["kind"] != "http"]


def ways(here, there):
    """(name, the one it is compared with, arguments of bench) of each."""
    tls, plain = here.ports["direct"].number, here.ports["starttls"].number
    http, https = (web.PORTS[k].number for k in ("http", "https"))
    other = ["--far-port", there.ports["starttls"].number, "--far-pid", there.process.pid, "--far-domain", FAR]
    return (("TCP", "TCP", ["--port", plain]),
            ("WebSocket", "TCP", ["--port", http, "--by", "websocket"]),
            ("BOSH", "TCP", ["--port", http, "--by", "bosh"]),
            ("to another server", "TCP", ["--port", plain, *other]),
            ("TCP with TLS", "TCP with TLS", ["--port", tls, "--tls"]),
            ("WebSocket with TLS", "TCP with TLS", ["--port", https, "--by", "websocket", "--tls"]),
            ("BOSH with TLS", "TCP with TLS", ["--port", https, "--by", "bosh", "--tls"]))


def measure(server, arguments, burst, options):
    """Microseconds of a message."""
    command = [os.path.join(BUILD, "test", "bench", "bench"), "route", "--domain", DOMAIN, "--pid", server.process.pid,
               "--count", options.pairs, "--seconds", options.seconds, "--burst", burst, *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}\n{server.tail()}")
    return float(done.stdout.split()[0])


def run(options):
    zone = Zone()
    there, here = Federated(zone, domains=[FAR], config=far_config), Federated(zone, config=config)
    with there, here:
        rows = ways(here, there)
        found = {(name, burst): [] for name, _, _ in rows for burst in BURSTS}
        for _ in range(options.rounds):
            for name, _, arguments in rows:
                for burst in BURSTS:
                    found[name, burst].append(measure(here, arguments, burst, options))
    costs = {key: statistics.median(values) for key, values in found.items()}
    print(f"machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, {datetime.date.today()}; one worker "
          f"each, {options.pairs} pairs, medians of {options.rounds} rounds")
    print("us of CPU a message     one a write   times    ten a write   times")
    for name, beside, _ in rows:
        columns = "".join(f"{costs[name, burst]:15.2f}{costs[name, burst] / costs[beside, burst]:8.2f}" for burst in BURSTS)
        print(f"{name:20}{columns}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="only shows that it works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.pairs, options.seconds = 1, 5, 0.5
    run(options)


if __name__ == "__main__":
    main()
