#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs functional tests: functions test_*(server) of files test_*.py.  Output is TAP.

    run.py [-j N] [--list | --jobs] [WORD...]

A test runs if any WORD is in "functional.FILE.NAME".  Files run beside each other, each in a process with a server of
its own, which all its tests share; a module's CONFIG (a dict or a function) and SQLITE say how it is set up.  A module
with SERVER = False has tests without argument that make theirs.
"""
import argparse
import concurrent.futures
import glob
import importlib
import inspect
import os
import signal
import subprocess
import sys
import time
import traceback

from server import Server, Skip, certificates

HERE = os.path.dirname(os.path.abspath(__file__))
TEST_TIMEOUT = int(os.environ.get("MEERKAT_TEST_LIMIT", "120"))


class TooLong(AssertionError):
    pass


def on_alarm(*_):
    raise TooLong("the test took too long")


class Report:
    """TAP on stdout."""

    def __init__(self):
        self.count = self.failed = 0

    def say(self, name, started, problem=None, skip=None):
        self.count += 1
        self.failed += bool(problem)
        note = f"SKIP {skip}" if skip else f"{time.monotonic() - started:.2f} s"
        print(f"{'not ok' if problem else 'ok'} {self.count} - {name} # {note}")
        for line in (problem or "").splitlines():
            print("#   " + line)
        sys.stdout.flush()


def explain(error, server):
    """The message of a failure, the line of the test that it came from, and what the server had to say."""
    where = [f for f in traceback.extract_tb(error.__traceback__) if os.path.basename(f.filename).startswith("test_")]
    lines = [f"{os.path.basename(f.filename)}:{f.lineno}: {f.line}" for f in where]
    expected = isinstance(error, AssertionError) and str(error)
    lines.append(str(error) if expected else "".join(traceback.format_exception(error)))
    if Server.last_words:
        lines.append(Server.last_words)
        Server.last_words = None
    elif server and server.process is not None:
        if not server.alive():
            lines.append(f"the server ended with {server.process.returncode}")
        lines.append(server.report() or server.tail(12))
    return "\n".join(lines)


class File:
    """The tests of one file and the server they share."""

    def __init__(self, module, report):
        self.module, self.report, self.server = module, report, None
        self.shared = getattr(module, "SERVER", True)

    def get_server(self):
        if self.server and not self.server.alive():  # a test has brought it down: that one failed, not the next
            self.server.remove()
            self.server = None
        if not self.server:
            self.server = Server(getattr(self.module, "CONFIG", None), sqlite=getattr(self.module, "SQLITE", False))
        return self.server

    def run_one(self, name, function):
        started, problem, skip = time.monotonic(), None, None
        limit = getattr(self.module, "LIMIT", TEST_TIMEOUT)
        signal.alarm(limit)
        try:
            function(self.get_server()) if self.shared else function()
            if self.server and not self.server.alive():
                raise AssertionError("the server is gone after the test")
        except Skip as why:
            skip = str(why)
        except Exception as error:
            signal.alarm(0)
            problem = explain(error, self.server)
        signal.alarm(0)
        if self.server:
            self.server.drop_clients()
        self.report.say(f"{self.module.__name__}.{name}", started, problem, skip)

    def finish(self):
        """The end of the shared server is a test too."""
        if not self.server:
            return
        started, problem = time.monotonic(), None
        try:
            self.server.stop()
        except Exception as error:
            problem = explain(error, None)
        self.server.remove()
        self.report.say(f"{self.module.__name__}.ends_clean", started, problem)


def tests_of(module, words):
    """Functions in the order they were written."""
    found = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and inspect.isfunction(f)
             and f.__module__ == module.__name__]
    return [(n, f) for n, f in found if not words or any(w in f"functional.{module.__name__}.{n}" for w in words)]


def run_file(name, words):
    signal.signal(signal.SIGALRM, on_alarm)
    report = Report()
    file = File(importlib.import_module(name), report)
    for test, function in tests_of(file.module, words):
        file.run_one(test, function)
    file.finish()
    print(f"1..{report.count}")
    return report.failed


def run_files(names, words, jobs):
    """Prints each file's output in one piece.  Returns how many files had failures."""
    def start(name):
        return subprocess.run([sys.executable, os.path.abspath(__file__), "--file", name, *words], capture_output=True,
                              text=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(start, n) for n in names]):
            process = done.result()
            print(process.stdout + process.stderr, end="", flush=True)
            bad += process.returncode != 0
            if process.returncode not in (0, 1):
                print(f"not ok - {process.args[3]} # its runner ended with {process.returncode}", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description="Runs functional tests.")
    parser.add_argument("-j", type=int, default=os.cpu_count(), dest="processes")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", action="store_true", help="list the files to run, the longest first")
    parser.add_argument("--file", help="run this one here")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if options.file:
        sys.exit(1 if run_file(options.file, options.words) else 0)
    names = sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "test_*.py")))
    chosen = {n: tests_of(importlib.import_module(n), options.words) for n in names}
    if options.list:
        print("\n".join(f"{n}.{test}" for n, tests in chosen.items() for test, _ in tests))
        return
    # The longest first, so that no processor waits for it at the end.
    order = sorted((n for n in names if chosen[n]), key=lambda n: (-getattr(sys.modules[n], "COST", 1), -len(chosen[n])))
    if options.jobs:
        print("\n".join(order))
        return
    certificates()
    sys.exit(1 if run_files(order, options.words, options.processes) else 0)


if __name__ == "__main__":
    main()
