# SPDX-License-Identifier: Apache-2.0
"""The race: see race.sh, which calls this.   race.py [--quick] BUILD"""
import argparse
import datetime
import glob
import json
import os
import platform
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "functional"))
from server import certificate, libconfig  # noqa: E402

RESULTS = os.path.join(HERE, "..", "RESULTS.md")
START_SECONDS = 60


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


class Contestant:
    """A server in a folder of its own, started anew for each measure."""

    def __init__(self, name, build):
        self.name, self.build, self.process = name, build, None

    def version(self):
        if self.name == "meerkat":
            return output(os.path.join(self.build, "core", "meerkatd"), "--version").splitlines()[0]
        return self.name + " " + output("dpkg-query", "-W", "-f", "${Version}", self.name)

    def fill(self, template, to):
        """Lines that begin with @ARCHIVE@ or @ROOMS@ are there only for what measures these."""
        with open(os.path.join(HERE, template)) as f:
            lines = [re.match(r"(?:@(ARCHIVE|ROOMS)@)?(.*)", line, re.S).groups() for line in f]
        text = "".join(line for part, line in lines if not part or part in self.parts)
        values = {"CORES": os.cpu_count(), "BUILD": self.build, "DIR": self.folder, "PORT": self.port, "TLS": self.tls,
                  "CERT": f"{self.folder}/race.crt", "KEY": f"{self.folder}/race.key", "PEM": f"{self.folder}/race.pem"}
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        path = os.path.join(self.folder, to)
        with open(path, "w") as f:
            f.write(text)
        return path

    def certificate(self):
        certificate(self.folder, "race", ["race", "anon.race"])
        with open(f"{self.folder}/race.pem", "w") as out:
            for part in ("key", "crt"):
                with open(f"{self.folder}/race.{part}") as f:
                    out.write(f.read())

    def command(self):
        if self.name == "meerkat":
            return [os.path.join(self.build, "core", "meerkatd"), "-c", self.fill("meerkat.cfg", "meerkat.cfg")], {}
        if self.name == "prosody":
            return ["prosody", "-F", "--config", self.fill("prosody.cfg.lua", "prosody.cfg.lua")], {}
        libraries = os.path.dirname(glob.glob("/usr/lib/*/ejabberd-*")[0])
        env = {"EJABBERD_CONFIG_PATH": self.fill("ejabberd.yml", "ejabberd.yml"), "ERL_LIBS": libraries,
               "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log", "ERL_MAX_PORTS": "60000", "HOME": self.folder,
               "ERL_CRASH_DUMP": f"{self.folder}/dump"}
        # Without distribution: no second daemon, no cookie.  +K and +P are those of Debian's ejabberdctl.
        return ["erl", "-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir", f'"{self.folder}/spool"', "-s",
                "ejabberd"], env

    def start(self, *parts):
        """With PARTS of its configuration.  Returns the seconds until it answers a stream."""
        self.parts = parts
        self.folder = tempfile.mkdtemp(prefix=f"race-{self.name}-", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
        self.port = random.randrange(20000, 31000)
        self.tls = self.port + 1
        self.certificate()
        command, env = self.command()
        began = time.monotonic()
        with open(f"{self.folder}/out", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ, **env),
                                            cwd=self.folder, stdin=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                with open(f"{self.folder}/out") as f:
                    said = f.read()[-2000:]
                self.stop()
                sys.exit(f"{self.name} does not start: {said}")
            time.sleep(0.005)
        return time.monotonic() - began

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                          b"to='race' version='1.0'>")
                return self.has_features(s)
        except OSError:
            return False

    @staticmethod
    def has_features(s):
        got = b""
        while part := s.recv(65536):
            got += part
            if b"features" in got:
                return True
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Race:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.load_program = os.path.join(options.build, "test", "load", "meerkat-load")
        quick = options.quick
        self.sessions, self.seconds, self.rounds = (500, 2.0, 1) if quick else (10000, 15.0, 5)
        self.talkers = 100 if quick else 400

    def load(self, server, groups, tls="none", guests=False, **over):
        """The report of meerkat-load."""
        # ejabberd has accounts and guests in one domain, the others one for each.
        domain = "anon.race" if guests and server.name != "ejabberd" else "race"
        tree = {"server": {"port": server.tls if tls == "direct" else server.port, "domain": domain, "tls": tls,
                           "connections_per_address": 5000},
                "accounts": {"mechanism": "ANONYMOUS" if guests else "SCRAM-SHA-1", "register": not guests},
                "arrival": {"rate": 5000.0, "at_once": 100}, "hold": self.seconds, "drain": 5.0, "groups": groups}
        for key, value in over.items():
            tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
        path, report = os.path.join(server.folder, "load.cfg"), os.path.join(server.folder, "load.json")
        with open(path, "w") as f:
            for key, value in tree.items():
                f.write(f"{key} = {libconfig(value) if not isinstance(value, float) else value};\n")
        done = subprocess.run([self.load_program, "-q", "-j", report, "-p", str(server.process.pid), path],
                              capture_output=True, text=True)
        if done.returncode == 2:
            sys.exit(f"meerkat-load: {done.stderr}")
        with open(report) as f:
            found = json.load(f)
        counts = found["counts"]
        wrong = {k: counts[k] for k in ("login_failures", "lost_connections", "lost", "duplicated", "disordered",
                                        "refused", "query_errors") if counts[k]}
        if wrong:
            print(f"  {server.name}: {wrong} {found['reasons']}", flush=True)
        return found

    def note(self, what, server, value, unit):
        self.rows.append((what, server.name, value, unit))
        print(f"  {what}: {server.name} {value:.4g} {unit}", flush=True)

    # ---- measures; each on a server that was just started

    def idle(self, server, what, tls):
        group = {"roster": False, "stream_management": False}
        self.load(server, [{"count": 200, **group}], tls, guests=True, hold=0.5)  # pools and tables that all share
        memory = self.load(server, [{"count": self.sessions, **group}], tls, guests=True, hold=2.0)["server_memory"]
        self.note(what, server, (memory["dirty_after"] - memory["dirty_idle"]) / self.sessions / 1024, "KiB a session")

    def logins(self, server):
        """Clients that leave as soon as they are in: what SCRAM costs the load is paid once an account, before."""
        group = [{"count": 50, "presence": False, "roster": False, "stream_management": False,
                  "reconnect": {"every": 0.01, "abrupt": False}}]
        hold = self.load(server, group)["hold"]
        self.note("logins", server, hold["logins"] / hold["seconds"], "/s")
        self.note("CPU of a login", server, hold["server_cpu_seconds"] * 1e3 / hold["logins"], "ms")

    def messages(self, server, peer_rate):
        """Saturation, then what users would see at half of it.  Returns the rate."""
        chat = {"count": self.talkers, "roster": False, "stream_management": False, "chat": {"window": 4, "size": 200}}
        found = self.load(server, [chat], guests=True)
        rate = found["hold"]["messages_per_second"]
        self.note("messages at saturation", server, rate, "/s")
        self.note("p50 at saturation", server, found["times_us"]["delivery"]["p50"] / 1e3, "ms")
        self.note("CPU of a message", server, found["hold"]["server_cpu_us_per_message"], "us")
        for what, target in (("half load", rate / 2), ("load that saturates the best peer", peer_rate)):
            if target:
                chat["chat"] = {"think": self.talkers / target, "size": 200}
                times = self.load(server, [chat], guests=True)["times_us"]["delivery"]
                self.note(f"p50 at {what}", server, times["p50"] / 1e3, "ms")
                self.note(f"p99 at {what}", server, times["p99"] / 1e3, "ms")
        return rate

    def archive(self, server):
        chat = {"count": 50, "roster": False, "stream_management": False, "chat": {"window": 4, "size": 200}}
        found = self.load(server, [chat])
        self.note("archived messages at saturation", server, found["hold"]["messages_per_second"], "/s")
        reader = {"count": 50, "roster": False, "archive": {"every": 0.5, "page": 50}}
        found = self.load(server, [reader], accounts={"register": False})
        self.note("p50 of a page of 50 from the archive", server, found["times_us"]["archive"]["p50"] / 1e3, "ms")

    def churn(self, server):
        group = [{"count": self.talkers, "reconnect": {"every": 1.0}}]
        memory = self.load(server, group, guests=True, hold=self.seconds * 2)["server_memory"]
        self.note("memory of the server after churn", server, memory["rss_after"] / 1048576, "MiB")

    def run(self, contestants):
        for number in range(1, self.rounds + 1):
            print(f"round {number} of {self.rounds}", flush=True)
            self.round(contestants)

    def round(self, contestants):
        """The peers first, so that their best rate is known."""
        steps = (lambda s: self.idle(s, "idle session, plain", "none"),
                 lambda s: self.idle(s, "idle session, TLS", "direct"), self.logins, self.archive, self.churn)
        for step in steps:
            for server in contestants:
                self.note("start", server, server.start(*["ARCHIVE"] * (step == self.archive)) * 1e3, "ms")
                try:
                    step(server)
                finally:
                    server.stop()
        best = 0
        for server in sorted(contestants, key=lambda s: s.name == "meerkat"):
            server.start()
            try:
                rate = self.messages(server, best if server.name == "meerkat" else 0)
                best = max(best, rate if server.name != "meerkat" else 0)
            finally:
                server.stop()

    # ---- what came of it

    def values(self, what, name):
        return [v for w, n, v, _ in self.rows if w == what and n == name]

    def median(self, what, name):
        found = self.values(what, name)
        return statistics.median(found) if found else None

    def targets(self):
        def ratio(what, limit):
            ours = self.median(what, "meerkat")
            peer = min(v for v in (self.median(what, n) for n in ("ejabberd", "prosody")) if v)
            verdict = "met" if ours / peer <= limit else "missed"
            return f"| {what} / best peer | {ours / peer:.2f} | at most {limit:.2f} | {verdict} |"

        yield ratio("idle session, plain", 1 / 10)
        yield ratio("idle session, TLS", 1 / 3)
        yield ratio("CPU of a message", 1 / 5)
        best = max(("ejabberd", "prosody"), key=lambda n: self.median("messages at saturation", n))
        ours = self.median("p99 at load that saturates the best peer", "meerkat")
        theirs = self.median("p50 at saturation", best)
        verdict = "met" if ours < theirs else "missed"
        yield f"| p99 at the rate that saturates {best}, ms | {ours:.2f} | below its median there, {theirs:.2f} " \
              f"| {verdict} |"

    def write(self, contestants):
        names = [s.name for s in contestants]
        with open(RESULTS if not self.options.quick else self.options.output, "w") as f:
            f.write("# Meerkat beside ejabberd and Prosody\n\n")
            quick = " --quick" if self.options.quick else ""
            f.write(f"{datetime.date.today()}, `test/bench/race.sh{quick}`, {self.rounds} rounds, {self.sessions} idle "
                    f"sessions, {self.talkers} talkers, {self.seconds:g} s each. {os.cpu_count()} processors, "
                    f"{platform.system()} {platform.release()}; load and servers share them; load average "
                    f"{os.getloadavg()[0]:.1f} at the end.\n\n")
            f.write("".join(f"- {s.version()}\n" for s in contestants))
            f.write("\nConfigurations, with the reason of each setting, are in `test/bench/race/`.\n\n## Targets\n\n"
                    "| what | measured | target | |\n|---|---|---|---|\n" + "\n".join(self.targets()))
            f.write("\n\n## Medians (least to most)\n\n| what | " + " | ".join(names) + " |\n|---|"
                    + "---|" * len(names) + "\n")
            for what, unit in dict((w, u) for w, _, _, u in self.rows).items():
                cells = []
                for name in names:
                    found = self.values(what, name)
                    spread = f" ({min(found):.4g} to {max(found):.4g})" if found else "-"
                    cells.append((f"{statistics.median(found):.4g}" if found else "") + spread)
                f.write(f"| {what}, {unit} | " + " | ".join(cells) + " |\n")
            f.write("\n## All rows\n\n| what | server | value | unit |\n|---|---|---|---|\n")
            f.write("".join(f"| {w} | {n} | {v:.5g} | {u} |\n" for w, n, v, u in self.rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", default="/dev/stdout")
    parser.add_argument("--only", default="", help="one measure, with no table")
    parser.add_argument("build")
    options = parser.parse_args()
    contestants = [Contestant(n, os.path.abspath(options.build)) for n in ("meerkat", "ejabberd", "prosody")]
    race = Race(options)
    if options.only:
        for server in contestants:
            server.start(*["ARCHIVE"] * (options.only == "archive"))
            try:
                getattr(race, options.only)(server)
            finally:
                server.stop()
        return
    race.run(contestants)
    race.write(contestants)


if __name__ == "__main__":
    main()
