# SPDX-License-Identifier: Apache-2.0
"""The race: see race.sh, which calls this.   race.py [--quick] [--rounds N] [--only MEASURES] BUILD FOLDER

Server and load have each half of the processors, so that neither takes time from the other.  The servers take turns in
each measure, and who begins changes from round to round."""
import argparse
import contextlib
import json
import math
import os
import resource
import sqlite3
import subprocess
import sys
import time

import results
from contestant import NAMES, Contestant
from server import libconfig

# What a run of the load may not have.  They are told beside the results; none is left out.
ARCHIVES = ("mam_messages", "archive", "prosodyarchive")  # tables, as each server names its own
WRONG = ("login_failures", "lost_connections", "lost", "duplicated", "disordered", "refused", "query_errors")


def halves():
    """The processors of the server, and those of the load."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return (set(cores[:half]), set(cores[half:])) if half else (set(cores), set(cores))


def busy():
    """Seconds that all processors have worked, for whomever."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, *others = (int(n) for n in f.readline().split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def own():
    """Those of them that went to the race, with all servers and loads that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Size:
    """How much of all is done."""

    def __init__(self, quick, rounds):
        self.rounds, self.seconds, self.starts = (1, 2.0, 1) if quick else (rounds, 5.0, 3)
        self.plain, self.tls = (1000, 500) if quick else (10000, 4000)
        self.talkers, self.drain = (200, 3.0) if quick else (400, 8.0)


class Race:
    def __init__(self, options):
        self.options, self.size = options, Size(options.quick, options.rounds)
        self.rows, self.remarks, self.round = [], [], 0
        self.load_program = os.path.join(options.build, "test", "load", "meerkat-load")
        self.server_cores, self.load_cores = halves()
        self.contestants = [Contestant(n, os.path.abspath(options.build)) for n in NAMES]

    # ---- the load

    def scenario(self, server, groups, tls, guests, over):
        # ejabberd has accounts and guests in one domain, the others one for each.
        domain = "anon.race" if guests and server.name != "ejabberd" else "race"
        tree = {"server": {"port": server.tls if tls == "direct" else server.port, "domain": domain, "tls": tls,
                           "connections_per_address": 5000},
                "accounts": {"mechanism": "ANONYMOUS" if guests else "SCRAM-SHA-1", "register": not guests},
                "arrival": {"rate": 5000.0, "at_once": 100}, "hold": self.size.seconds, "drain": self.size.drain,
                "workers": len(self.load_cores), "groups": groups}
        for key, value in over.items():
            tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
        return tree

    def load(self, server, what, groups, tls="none", guests=False, interval=1, **over):
        """The report of meerkat-load."""
        path, report = os.path.join(server.folder, "load.cfg"), os.path.join(server.folder, "load.json")
        with open(path, "w") as f:
            for key, value in self.scenario(server, groups, tls, guests, over).items():
                f.write(f"{key} = {libconfig(value) if not isinstance(value, float) else value};\n")
        done = subprocess.run([self.load_program, "-q", "-i", str(interval), "-j", report, "-p",
                               str(server.process.pid), path], capture_output=True, text=True,
                              preexec_fn=lambda: os.sched_setaffinity(0, self.load_cores))
        if done.returncode not in (0, 1):
            sys.exit(f"meerkat-load: {done.stderr}")
        with open(report) as f:
            found = json.load(f)
        wrong = {k: found["counts"][k] for k in WRONG if found["counts"][k]}
        if wrong:
            self.remark(what, server, ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in wrong.items())
                        + "".join(f"; {n} x {k}" for k, n in found["reasons"].items()))
        return found

    def remark(self, what, server, words):
        self.remarks.append((self.round, what, server.name, words))
        print(f"  ! {what}: {server.name}: {words}", flush=True)

    def note(self, what, server, value, unit):
        self.rows.append((self.round, what, server.name, value, unit))
        print(f"  {what}: {server.name} {value:.4g} {unit}", flush=True)

    def note_cores(self, what, server, hold):
        """Who was at its limit: the server, or the load."""
        self.note(f"{what}: share of its processors that the server used", server,
                  100 * hold["server_cpu_seconds"] / hold["seconds"] / len(self.server_cores), "%")
        self.note(f"{what}: share of its processors that the load used", server,
                  100 * hold["load_cpu_seconds"] / hold["seconds"] / len(self.load_cores), "%")

    # ---- measures; each on a server that was just started

    def start(self, server):
        """On all processors, since no load is there yet."""
        for i in range(self.size.starts):
            if i:
                server.stop()
                self.note("start", server, server.start() * 1e3, "ms")
            else:
                self.note("start", server, self.first_start * 1e3, "ms")

    def idle(self, server, what, tls, count):
        group = {"roster": False, "carbons": True}  # guests have no roster; with stream management
        self.load(server, what, [{"count": 200, **group}], tls, guests=True, hold=0.5)  # what all share
        memory = self.load(server, what, [{"count": count, **group}], tls, guests=True, hold=2.0,
                           arrival={"rate": 1000.0})["server_memory"]
        self.note(what, server, (memory["dirty_after"] - memory["dirty_idle"]) / count / 1024, "KiB a session")

    def idle_plain(self, server):
        self.idle(server, "idle session, plain", "none", self.size.plain)

    def idle_tls(self, server):
        self.idle(server, "idle session, TLS", "direct", self.size.tls)

    def logins(self, server, mechanism):
        """Clients that leave as soon as they are in.  What SCRAM costs the load once an account is paid before."""
        what = f"logins, {mechanism}"
        group = [{"count": 100, "presence": False, "roster": False, "stream_management": False,
                  "reconnect": {"every": 0.001, "abrupt": False}}]
        hold = self.load(server, what, group, hold=max(self.size.seconds, 3.0),
                         accounts={"mechanism": mechanism})["hold"]
        self.note(what, server, hold["logins"] / hold["seconds"], "/s")
        if hold["logins"]:
            self.note(f"CPU of a login, {mechanism}", server, hold["server_cpu_seconds"] * 1e3 / hold["logins"], "ms")
        self.note_cores(what, server, hold)

    def logins_scram(self, server):
        self.logins(server, "SCRAM-SHA-1")

    def logins_plain(self, server):
        self.logins(server, "PLAIN")

    def archive(self, server):
        """A message counts when both its rows can be read from the database; the time ends with the last write."""
        what, chatter = "archived messages", {"count": 50, "roster": False, "stream_management": False}
        # The accounts, and what a server begins with its first message: one of the peers loses some of those.
        self.load(server, "warming up the archive", [{**chatter, "chat": {"window": 1}}], hold=0.5)
        before = self.settled(server, math.inf)
        began, interval = time.time(), 0.05
        found = self.load(server, what, [{**chatter, "chat": {"window": 4, "size": 200}}], interval=interval,
                          accounts={"register": False})
        spoke = next(x["at"] for x in found["series"] if x["sent"]) - interval  # the first message
        wanted = 2 * (found["counts"]["sent"] - found["counts"]["refused"])
        rows = self.settled(server, before + wanted) - before
        self.note(what, server, rows / 2 / (archive_written(server) - began - spoke), "/s")
        if rows != wanted:
            self.remark(what, server, f"{rows} rows of {wanted}")

    def pages(self, server):
        """Of archives that are equally large, at a rate that no server finds hard."""
        what, client = "a page of 50 from the archive", {"count": 10, "roster": False}
        self.load(server, "filling the archive", [{**client, "chat": {"think": 0.08, "size": 200}}], hold=5.0)
        self.settled(server, math.inf)
        times = self.load(server, what, [{**client, "archive": {"every": 0.5, "page": 50, "pages": 1}}],
                          accounts={"register": False})["times_us"]["archive"]
        self.note(f"{what}, p50", server, times["p50"] / 1e3, "ms")
        self.note(f"{what}, p99", server, times["p99"] / 1e3, "ms")

    @staticmethod
    def settled(server, wanted):
        """The rows when all WANTED are there, or none came for 2 seconds."""
        rows, grew = archive_rows(server), time.monotonic()
        while rows < wanted and time.monotonic() - grew < 2:
            time.sleep(0.5)
            now = archive_rows(server)
            if now > rows:
                rows, grew = now, time.monotonic()
        return rows

    def churn(self, server):
        what = "memory after churn"
        memory = self.load(server, what, [{"count": self.size.talkers, "reconnect": {"every": 1.0}}], guests=True,
                           hold=self.size.seconds)["server_memory"]
        self.note(what, server, memory["rss_after"] / 1048576, "MiB")
        self.note("memory before it", server, memory["rss_idle"] / 1048576, "MiB")

    # ---- messages

    def chat(self, **how):
        return [{"count": self.size.talkers, "roster": False, "stream_management": False, "chat": {"size": 200, **how}}]

    def warm(self, server):
        self.load(server, "warming up", self.chat(window=4), guests=True, hold=1.0)

    def saturate(self, server):
        """Each client has four messages under way, and sends the next when one has arrived.  The rate is kept."""
        self.warm(server)
        what = "messages at saturation"
        hold = self.load(server, what, self.chat(window=4), guests=True)["hold"]
        server.rate = hold["messages_per_second"]
        self.note(what, server, server.rate, "/s")
        self.note("CPU of a message at saturation", server, hold["server_cpu_us_per_message"], "us")
        self.note_cores(what, server, hold)

    def offer(self, server):
        """The same rates to all, whether or not they can: a message is late from when it was due, not from when it went."""
        best = max(s.rate for s in self.contestants if s.name != "meerkat")
        rates = {"1,000/s": 1000.0, "half of the best peer's saturation": best / 2,
                 "half of its own saturation": server.rate / 2, "the best peer's saturation": best}
        self.warm(server)
        for rate in sorted(set(rates.values())):  # what overloads comes last
            found = self.load(server, f"{rate:.0f} messages/s", self.chat(think=self.size.talkers / rate), guests=True)
            for name in (n for n, r in rates.items() if r == rate):
                self.note_latency(server, f"at {name}", rate, found)

    def note_latency(self, server, what, rate, found):
        delivery, lag = found["times_us"]["delivery"], found["times_us"]["lag"]
        self.note(f"offered {what}", server, rate, "/s")
        self.note(f"delivered {what}", server, found["hold"]["messages_per_second"], "/s")
        self.note(f"p50 {what}", server, delivery["p50"] / 1e3, "ms")
        self.note(f"p99 {what}", server, delivery["p99"] / 1e3, "ms")
        self.note(f"lateness of the load itself {what}, p99", server, lag["p99"] / 1e3, "ms")
        self.note(f"CPU of a message {what}", server, found["hold"]["server_cpu_us_per_message"], "us")

    # ---- the whole

    STEPS = ("start", "idle_plain", "idle_tls", "logins_scram", "logins_plain", "archive", "pages", "churn", "saturate",
             "offer")

    def step(self, name):
        first = (self.round - 1) % len(self.contestants)
        for server in self.contestants[first:] + self.contestants[:first]:
            self.first_start = server.start(*["ARCHIVE"] * (name in ("archive", "pages")),
                                            cores=None if name == "start" else self.server_cores)
            try:
                getattr(self, name)(server)
            finally:
                server.stop()

    def run(self):
        began, others = time.monotonic(), busy() - own()
        steps = self.options.only.split(",") if self.options.only else self.STEPS
        for self.round in range(1, self.size.rounds + 1):
            print(f"round {self.round} of {self.size.rounds}", flush=True)
            for name in steps:
                began_step = time.monotonic()
                self.step(name)
                print(f"  ({name} took {time.monotonic() - began_step:.0f} s)", flush=True)
        took = time.monotonic() - began
        self.minutes = took / 60
        self.others = (busy() - own() - others) / took / os.cpu_count()


# ---- archives: all three keep them in SQLite

def archive_path(server):
    return os.path.join(server.folder, "db" if server.name == "meerkat" else "archive.sqlite")


def archive_rows(server):
    """Those that are committed: another process sees no others.  No file is there before the first."""
    path = archive_path(server)
    if not os.path.exists(path):
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ARCHIVES if t in tables)


def archive_written(server):
    """When a row was last written, to the database or to the log before it."""
    path = archive_path(server)
    return max(os.stat(f).st_mtime for f in (path, path + "-wal") if os.path.exists(f))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="some measures, with commas, and no table: " + ", ".join(Race.STEPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("build")
    parser.add_argument("folder", help="where RESULTS.md goes, with its drawings in results/")
    race = Race(parser.parse_args())
    race.run()
    if not race.options.only:
        results.write(race)


if __name__ == "__main__":
    main()
