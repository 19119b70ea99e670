# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of a test's own, to be ill-treated."""
import os
import shlex
import shutil
import signal
import subprocess
import tempfile

from server import ROOT, ServerFailure, service_backend

SCRIPT = os.path.join(ROOT, "test", "services", "postgresql.sh")


class Postgres:
    """Runs while the context lasts.  Its processes are found through the first one's."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="meerkat-postgres-")
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        with open(os.path.join(self.folder, "env")) as f:
            self.env = dict(line.split("=", 1) for line in shlex.split(f.read()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, word):
        done = subprocess.run([SCRIPT, word, self.folder], capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(f"{SCRIPT} {word}: {done.stdout}{done.stderr}")

    def start(self):
        self.run("up")

    def stop(self):
        self.run("down")

    @property
    def pid(self):
        with open(os.path.join(self.folder, "server.pid")) as f:
            return int(f.read())

    def processes(self):
        """The first, then all that it has started."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
            return [self.pid, *map(int, f.read().split())]

    def signal(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        pids = self.processes()
        self.signal(signal.SIGKILL)
        for pid in pids:
            while os.path.exists(f"/proc/{pid}") and "State:\tZ" not in open(f"/proc/{pid}/status").read():
                pass

    def sql(self, text, database="meerkat"):
        """Rows, as lists of texts; as the superuser."""
        command = [os.path.join(self.env["MEERKAT_PGSQL_BIN"], "psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-h",
                   os.path.join(self.folder, "run"), "-p", self.env["MEERKAT_PGSQL_PORT"], "-U", "postgres", "-d", database]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise ServerFailure(f"{text}: {done.stderr}")
        return [line.split("|") for line in done.stdout.splitlines()]

    def backend(self, **options):
        """Configuration of a server that keeps all in it, in a schema of its own."""
        merged = {**service_backend("pgsql", self.env), "query_timeout": "2s", "connect_timeout": "2s", **options}
        return {"backends": {"memory": None, "pgsql": merged}, "storage": {"default": "pgsql"}}
