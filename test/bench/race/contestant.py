# SPDX-License-Identifier: Apache-2.0
"""A server in the race: its configuration, its start and its end."""
import glob
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "functional"))
from server import certificate  # noqa: E402

START_SECONDS = 60
NAMES = ("meerkat", "ejabberd", "prosody")


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
        """Lines that begin with @ARCHIVE@, @OWN_ARCHIVE@, @ROOMS@ or @WEB@ are there only for what measures these."""
        with open(os.path.join(HERE, template)) as f:
            lines = [re.match(r"(?:@(ARCHIVE|OWN_ARCHIVE|ROOMS|WEB)@)?(.*)", line, re.S).groups() for line in f]
        text = "".join(line for part, line in lines if not part or part in self.parts)
        values = {"CORES": len(self.cores), "BUILD": self.build, "DIR": self.folder, "PORT": self.port,
                  "TLS": self.tls, "HTTP": self.http, "CERT": f"{self.folder}/race.crt", "KEY": f"{self.folder}/race.key",
                  "PEM": f"{self.folder}/race.pem"}
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

    def start(self, *parts, cores=None):
        """With PARTS of its configuration, on CORES or all there are.  Returns the seconds until it answers a stream."""
        self.parts, self.cores = parts, cores or os.sched_getaffinity(0)
        self.folder = tempfile.mkdtemp(prefix=f"race-{self.name}-", dir=os.environ.get("BENCH_DIR", "/var/tmp"))
        self.port = random.randrange(20000, 31000)
        self.tls, self.http = self.port + 1, self.port + 2
        self.certificate()
        command, env = self.command()
        began = time.monotonic()
        with open(f"{self.folder}/out", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ, **env),
                                            cwd=self.folder, stdin=subprocess.DEVNULL,
                                            preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
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
