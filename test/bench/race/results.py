# SPDX-License-Identifier: Apache-2.0
"""What the race says of itself: RESULTS.md and its drawings."""
import datetime
import math
import os
import platform
import statistics

import plot
from contestant import NAMES

PEERS = NAMES[1:]
LABELS = ("1,000/s", "half of the best peer's saturation", "the best peer's saturation", "half of its own saturation")
SHOWN = ("idle session, plain", "idle session, TLS", "logins, SCRAM-SHA-1", "logins, PLAIN", "messages at saturation",
         "CPU of a message at saturation", "archived messages", "a page of 50 from the archive, p50", "start",
         "memory after churn")


class Figures:
    def __init__(self, rows):
        self.rows = rows
        self.units = {what: unit for _, what, _, _, unit in rows}

    def values(self, what, name):
        return [v for _, w, n, v, _ in self.rows if w == what and n == name]

    def median(self, what, name):
        found = self.values(what, name)
        return statistics.median(found) if found else math.nan

    def cell(self, what, name):
        found = self.values(what, name)
        if not found:
            return "-"
        spread = f" ({number(min(found))} to {number(max(found))})" if len(found) > 1 else ""
        return number(statistics.median(found)) + spread

    def best(self, what, choose):
        return choose(PEERS, key=lambda n: self.median(what, n))


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine():
    with open("/proc/cpuinfo") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    with open("/proc/meminfo") as f:
        gib = int(f.readline().split()[1]) / 1048576
    return f"{os.cpu_count()} processors ({models[0] if models else platform.machine()}), {gib:.0f} GiB, " \
           f"{platform.system()} {platform.release()}"


# ---- tables

def table(head, rows):
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [head, ["---"] * len(head), *rows])


def targets(figures):
    for what, limit in (("idle session, plain", 1 / 10), ("idle session, TLS", 1 / 3),
                        ("CPU of a message at saturation", 1 / 5)):
        peer = figures.best(what, min)
        ours, theirs = figures.median(what, "meerkat"), figures.median(what, peer)
        yield [f"{what}, of that of the best peer, {peer}", f"{ours / theirs:.3f}", f"at most {limit:.3f}",
               "met" if ours / theirs <= limit else "missed"]
    peer = figures.best("messages at saturation", max)
    ours, theirs = figures.median("p99 at the best peer's saturation", "meerkat"), \
        figures.median("p50 at the best peer's saturation", peer)
    yield [f"p99 at the rate that saturates the best peer, {peer}", f"{number(ours)} ms",
           f"below its median at the same rate, {number(theirs)} ms", "met" if ours < theirs else "missed"]


def at_one_rate(figures):
    """CPU at a rate that leaves our server idle most of the time."""
    what = "CPU of a message at the best peer's saturation"
    peer = figures.best(what, min)
    ours, theirs = figures.median(what, "meerkat"), figures.median(what, peer)
    return f"Where all get the rate that saturates the best peer, Meerkat is idle in between and each message wakes it, and\n" \
           f"its receiver, anew: there the CPU of a message is {ours / theirs:.3f} of that of {peer}.\n"


def latencies(figures):
    for label in LABELS:
        for name in NAMES:
            yield [label, name] + [figures.cell(f"{what} at {label}{more}", name) for what, more in
                                   (("offered", ""), ("delivered", ""), ("p50", ""), ("p99", ""),
                                    ("lateness of the load itself", ", p99"), ("CPU of a message", ""))]


def medians(figures):
    late = tuple(f"at {label}" for label in LABELS)
    for what, unit in figures.units.items():
        if not any(part in what for part in late):
            yield [f"{what}, {unit}"] + [figures.cell(what, name) for name in NAMES]


# ---- drawings

def draw(figures, folder):
    os.makedirs(folder, exist_ok=True)
    plot.bars(os.path.join(folder, "overview.svg"),
              [(f"{what}, {figures.units[what]}", figures.units[what] == "/s", {n: figures.values(what, n) for n in NAMES})
               for what in SHOWN if what in figures.units])
    points = {name: [tuple(figures.median(f"{what} at {label}", name) for what in ("offered", "p50", "p99"))
                     for label in LABELS] for name in NAMES}
    plot.curves(os.path.join(folder, "latency.svg"), "Latency of a message in ms, from when it was due", points)


# ---- the page

HOW = """Server and load have each half of the processors, so that neither takes time from the other; a server's figures
are those of its half. Each measure starts a server anew with an empty folder; the servers take turns in it, and who
begins changes from round to round. Of each figure the table has the median of all rounds, and in brackets the least and
the most. All rows, and all that went wrong, are below. The configurations, with the reason of each setting, are in
`test/bench/race/`. The load is `meerkat-load`, whose manual says what its figures mean.

- *Idle session*: growth of private dirty memory over so many sessions of guests, with presence, carbons and
  stream management, that arrive at up to 1,000 a second.
- *Logins*: 100 clients that log in, bind a resource, leave and come again at once, without TLS. All three keep SCRAM-SHA-1
  keys of 4096 rounds and no others; with PLAIN the server does those rounds in each login.
- *Messages at saturation*: each client has four messages of 200 bytes under way and sends the next when one has arrived.
  Where the server used less than its processors, the load was the limit, and the server can do more.
- *Latency*: messages are due by a timetable (Poisson) that does not wait for anybody, and a time begins when a message
  was due. All servers get the same rates. How late the load itself sent is in the times, and beside them.
- *Archived messages*: 50 clients talk as at saturation. A message counts when both its rows, in the archives of sender
  and receiver, can be read from the database by another process; the time ends with the last write to its files.
  What a server refuses to keep is told below, and not counted.
- *A page of the archive*: 10 clients ask for the last 50 of some 120 messages twice a second each.
- *Start*: from the start of the program to the first stream features, with an empty folder.
- *Memory after churn*: resident, after clients came and went for some seconds, each once a second.
"""


def write(race):
    figures, size, folder = Figures(race.rows), race.size, race.options.folder
    draw(figures, os.path.join(folder, "results"))
    quick = " --quick" if race.options.quick else ""
    with open(os.path.join(folder, "RESULTS.md"), "w") as f:
        f.write(f"# Meerkat beside ejabberd and Prosody\n\n{datetime.date.today()}, `test/bench/race.sh{quick}`, "
                f"{race.minutes:.0f} minutes: {size.rounds} rounds, {size.plain} idle sessions ({size.tls} with TLS), "
                f"{size.talkers} talkers, {size.seconds:g} s each.\n{machine()}; all other programs used "
                f"{max(race.others, 0):.0%} of it.\n\n")
        f.write("".join(f"- {s.version()}\n" for s in race.contestants))
        if quick:
            f.write("\nOne short round: these figures say that the race runs, and little else.\n")
        f.write("\n## Targets\n\n" + table(["what", "measured", "target", ""], targets(figures)) +
                "\n" + at_one_rate(figures))
        f.write("\n## Figures\n\n" + table(["what", *NAMES], medians(figures)))
        f.write("\n![Figures](results/overview.svg)\n")
        f.write("\n## Latency at the same rate\n\n" + table(
            ["rate", "server", "offered, /s", "delivered, /s", "p50, ms", "p99, ms", "lateness of the load, p99, ms",
             "CPU of a message, us"], latencies(figures)))
        f.write("\nBelow saturation the CPU of ejabberd has the time in which its schedulers spin to wait for work.\n"
                "\n![Latency](results/latency.svg)\n")
        f.write("\n## How it was measured\n\n" + HOW)
        f.write("\n## What went wrong\n\n")
        f.write(table(["round", "what", "server", ""], [[str(r), w, n, words] for r, w, n, words in race.remarks])
                if race.remarks else "Nothing: no login failed, no message was lost, duplicated or out of order.\n")
        f.write("\n## All rows\n\n" + table(["round", "what", "server", "value", "unit"],
                                            [[str(r), w, n, f"{v:.5g}", u] for r, w, n, v, u in race.rows]))
