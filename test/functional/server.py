# SPDX-License-Identifier: Apache-2.0
"""A meerkatd of our own: its folder, configuration, ports, accounts, and what it must look like when it ends.

MEERKAT_BUILD names the meson build folder that the programs and plugins come from, MEERKATD another daemon.  With
MEERKAT_TEST_CHAOS=1 servers run with yield_chaos: turns interleave as they would with a slow database.  With
MEERKAT_TEST_BACKEND=NAME servers store in that backend, whose options a service has put into MEERKAT_BACKEND_NAME.
"""
import atexit
import copy
import ctypes
import fcntl
import itertools
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import tls
import xmpp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("MEERKAT_BUILD", os.path.join(ROOT, "build-test")))
DAEMON = os.environ.get("MEERKATD", os.path.join(BUILD, "core", "meerkatd"))
CTL = os.path.join(BUILD, "core", "meerkatctl")
DOMAIN, OTHER = "one.example", "two.example"  # both served
START_TIMEOUT = 60
PORTS = (20000, 32000)  # below what the kernel hands out by itself
REPORTS = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|SUMMARY: \w+Sanitizer|runtime error:|Assertion .* failed")

numbers = itertools.count(1)


class ServerFailure(AssertionError):
    pass


class Skip(Exception):
    """This machine can't do what the test needs."""


def wait_until(met, what="what is awaited"):
    """Until MET() is true; returns what it returned."""
    deadline = time.monotonic() + START_TIMEOUT
    while not (got := met()):
        if time.monotonic() > deadline:
            raise ServerFailure(f"{what} did not come")
        time.sleep(0.02)
    return got


# ---- what a run needs once

def certificate(folder, name, domains, ca=None, days=30):
    """A key and a certificate signed by CA (another pair), or by itself.  Returns both paths."""
    cert, key = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    command = ["openssl", "req", "-x509" if not ca else "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-sha256", "-subj", "/CN=" + name, "-keyout", key]
    names = "subjectAltName=" + ",".join("DNS:" + d for d in domains) if domains else "basicConstraints=CA:TRUE"
    if not ca:
        run(command + ["-days", str(days), "-out", cert] + (["-addext", names] if domains else []))
        return cert, key
    request, extensions = cert + ".req", cert + ".ext"
    run(command + ["-out", request])
    with open(extensions, "w") as f:
        f.write(names + "\n")
    run(["openssl", "x509", "-req", "-sha256", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-set_serial", serial(),
         "-days", str(days), "-extfile", extensions, "-out", cert])
    return cert, key


def serial():
    """A certificate's number: in a file that counts, tests that run at once would meet."""
    return str(secrets.randbits(63))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServerFailure(f"{' '.join(command)} failed:\n{done.stderr}")


def certificates():
    """Folder of an authority and a certificate for each domain, made once a run (MEERKAT_TEST_CERTS)."""
    folder = os.environ.get("MEERKAT_TEST_CERTS")
    if not folder:
        folder = os.environ["MEERKAT_TEST_CERTS"] = tempfile.mkdtemp(prefix="meerkat-certs-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not os.path.exists(os.path.join(folder, OTHER + ".crt")):
        ca = certificate(folder, "ca", [])
        for domain in (DOMAIN, OTHER):
            certificate(folder, domain, [domain], ca)
    return folder


class Port:
    """A TCP port that no other test takes while this object lives."""

    def __init__(self):
        folder = os.path.join(tempfile.gettempdir(), f"meerkat-test-ports.{os.getuid()}")
        os.makedirs(folder, exist_ok=True)
        while True:
            self.number = random.randrange(*PORTS)
            self.lock = open(os.path.join(folder, str(self.number)), "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", self.number))
                return
            except OSError:
                self.lock.close()


# ---- configuration

def libconfig(value, indent=""):
    """Python to libconfig: dict a group, list a list, and the plain types."""
    if isinstance(value, dict):
        inner = "".join(f"{indent}  {k} = {libconfig(v, indent + '  ')};\n" for k, v in value.items())
        return "{\n" + inner + indent + "}"
    if isinstance(value, (list, tuple)):
        return "( " + ", ".join(libconfig(v, indent + "  ") for v in value) + " )"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) + ("" if -2**31 <= value < 2**31 else "L")
    return json.dumps(value, ensure_ascii=False)


def write_config(path, tree):
    with open(path, "w", encoding="utf-8") as f:
        for key, value in tree.items():
            f.write(f"{key} = {libconfig(value)};\n")


def merged(base, over):
    """BASE with what OVER has; a None takes away, a dict goes into a dict."""
    out = dict(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


def default_config(folder, ports):
    certs = certificates()

    def host(domain):
        return {"name": domain, "certificate": f"{certs}/{domain}.crt", "key": f"{certs}/{domain}.key",
                "admins": [f"admin@{domain}"]}

    names = ("roster", "presence", "offline", "disco", "ping", "version", "time", "carbons", "stream_mgmt", "adhoc",
             "announce", "caps", "clients", "csi", "mam")
    return {
        "workers": 2,
        "yield_chaos": os.environ.get("MEERKAT_TEST_CHAOS") == "1",
        "plugin_dir": f"{BUILD}/plugins:{BUILD}/backends:{BUILD}/test/stores",
        "hosts": [host(DOMAIN), host(OTHER)],
        "host_types": {"default": {"plain_without_tls": False}},
        "listeners": [{"kind": "c2s", "address": "127.0.0.1", "port": ports["starttls"], "tls": "starttls"},
                      {"kind": "c2s", "address": "127.0.0.1", "port": ports["direct"], "tls": "direct"}],
        "plugins": {"auth_internal": {"iterations": 4096}, **{name: {} for name in names}},
        "backends": {"memory": {}},
        "storage": {"default": "memory"},
        "limits": {"failed_login_delay": 0, "failed_logins": 1000000},
        "control": {"socket": f"{folder}/control"},
        "journal": {"folder": f"{folder}/journal"},
        "log": {"level": "debug"},
    }


def service_backend(name, env=os.environ):
    """Options of a backend whose service runs (test/services); names marked as unique are this call's own."""
    text = env.get(f"MEERKAT_BACKEND_{name.upper()}")
    if not text:
        raise ServerFailure(f"no service for backend {name} runs: MEERKAT_BACKEND_{name.upper()} is not set")
    return json.loads(text.replace("@UNIQUE@", f"{os.getpid():x}_{random.getrandbits(40):x}"))


# ---- the server

OPENED = "opened"


def end_with_parent():
    """So that no server outlives a runner that was killed (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """CONFIG is merged into the default; a function gets the default tree and changes it.  SQLITE keeps everything in a
    file that a restart finds again, or in the backend that all tests are to use; OPENED in a file whatever that is, for
    tests that open it themselves.  As a context manager it is stopped, which must go well, and removed."""

    last_words = None  # of one whose context ended with an error

    def __init__(self, config=None, sqlite=False, start=True):
        self.folder = tempfile.mkdtemp(prefix="meerkat-test-")
        self.ports = {"starttls": Port(), "direct": Port(), "extra": Port()}
        self.clients, self.process, self.runs = [], None, 0
        tree = default_config(self.folder, {k: p.number for k, p in self.ports.items()})
        if sqlite:
            tree = merged(tree, {"backends": {"memory": None, "sqlite": {"path": f"{self.folder}/data.db"}},
                                 "storage": {"default": "sqlite"}})
        backend = os.environ.get("MEERKAT_TEST_BACKEND")
        if backend and sqlite != OPENED:
            tree = merged(tree, {"storage": {"default": backend}})
            tree["backends"] = {backend: service_backend(backend)}
        self.config = copy.deepcopy(tree)
        self.configure(config)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                self.stop()
        except BaseException:
            error = True
            raise
        finally:
            if error:
                Server.last_words = self.report() or self.tail()
            self.remove()

    @property
    def config_path(self):
        return os.path.join(self.folder, "meerkat.cfg")

    @property
    def log_path(self):
        return os.path.join(self.folder, f"log.{self.runs}")

    def configure(self, config):
        """Changes the configuration's file; a running server learns by reload()."""
        if callable(config):
            config(self.config)
        elif config:
            self.config = merged(self.config, config)
        write_config(self.config_path, self.config)

    def launch(self):
        """In the thread that lives longest: with it the server ends."""
        self.runs += 1
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0:"
                   + os.environ.get("ASAN_OPTIONS", ""), UBSAN_OPTIONS="print_stacktrace=1")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([DAEMON, "-c", self.config_path], stdout=log, stderr=log, env=env,
                                            preexec_fn=end_with_parent)

    def start(self):
        self.launch()
        return self.wait_listening()

    def wait_listening(self):
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_listening():
            if self.process.poll() is not None:
                raise ServerFailure(f"the server ended with {self.process.returncode} at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ServerFailure(f"the server does not listen after {START_TIMEOUT} s:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def refuses_to_start(self):
        """It must not start; returns what it said.  What it has not freed by then does not matter."""
        try:
            self.start()
        except ServerFailure:
            self.process = None
            return self.log()
        raise ServerFailure("it started")

    def is_listening(self):
        for listener in self.config["listeners"]:
            try:
                socket.create_connection((listener["address"], listener["port"]), 1).close()
            except OSError:
                return False
        try:  # the socket is there before anybody listens to it
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.config["control"]["socket"])
        except OSError:
            return False
        return True

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout=30):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise ServerFailure(f"the server did not end within {timeout} s:\n{self.tail()}") from None

    def stop(self):
        """A clean stop: exit code 0 and nothing that a sanitizer had to say."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        self.process = None
        if report := self.report():
            raise ServerFailure(f"a sanitizer has found something:\n{report}")
        if code:
            raise ServerFailure(f"the server ended with {code}:\n{self.tail()}")

    def kill(self):
        """As a power cut would."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return "(no log)"

    def wait_log(self, words, count=1):
        """Until the log has WORDS, COUNT times."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.log().count(words) < count:
            if not self.alive() or time.monotonic() > deadline:
                raise ServerFailure(f"the log does not say \"{words}\" {count} times:\n{self.tail()}")
            time.sleep(0.02)

    def wait_until(self, what, met):
        """Until MET() is true; WHAT says in words what that means."""
        deadline = time.monotonic() + START_TIMEOUT
        while not met():
            if not self.alive() or time.monotonic() > deadline:
                raise ServerFailure(f"after {START_TIMEOUT} s still not: {what}\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines=40):
        return "\n".join("  | " + line for line in self.log().splitlines()[-lines:])

    def report(self):
        """What sanitizers wrote, or ''."""
        lines = self.log().splitlines()
        for i, line in enumerate(lines):
            if REPORTS.search(line):
                return "\n".join(lines[max(0, i - 2):i + 60])
        return ""

    # ---- its operator

    def ctl(self, *words, check=True, stdin=None):
        """meerkatctl WORDS.  Returns its output; with CHECK it must succeed, without it (code, output, errors)."""
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # it frees nothing at its end, and need not
        done = subprocess.run([CTL, "--socket", self.config["control"]["socket"], *words], capture_output=True,
                              text=True, timeout=60, input=stdin, env=env)
        if not check:
            return done.returncode, done.stdout, done.stderr
        if done.returncode:
            raise ServerFailure(f"meerkatctl {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def ctl_json(self, *words):
        return json.loads(self.ctl("--json", *words))

    def metrics(self):
        lines = (line for line in self.ctl("metrics").splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def allocated(self):
        """Bytes that it holds.  Sanitizers keep what was freed from use, but that is not counted."""
        return self.control("status")[0]["allocated"]

    def control(self, command, **args):
        """A command without the program: rows of the answer.  It must succeed."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.config["control"]["socket"])
            s.sendall(json.dumps({"command": command, "args": args}).encode() + b"\n")
            answer = json.loads(s.makefile().readline())
        if not answer["ok"]:
            raise ServerFailure(f"{command} {args} failed: {answer}")
        return answer["rows"]

    def reload(self):
        return self.ctl("reload")

    def check(self, text=None, *options):
        """meerkatd --check of TEXT, or of the server's own file: (code, lines of output)."""
        path = self.config_path
        if text is not None:
            path = os.path.join(self.folder, "checked.cfg")
            with open(path, "w") as f:
                f.write(text)
        done = subprocess.run([DAEMON, "-c", path, "--check", *options], capture_output=True, text=True, timeout=60)
        return done.returncode, (done.stdout + done.stderr).replace(path, "FILE").splitlines()

    # ---- its users

    def address(self, listener="starttls"):
        return "127.0.0.1", self.ports[listener].number

    def connect(self, domain=DOMAIN, user=None, password=None, listener="starttls", context=None, label=None,
                server_name=None, handshake=True):
        """A connection on which nothing was said; on a direct TLS listener the handshake is done."""
        client = xmpp.Client(self.address(listener), domain, user, password, label)
        self.clients.append(client)
        if listener == "direct" and handshake:
            client.start_tls(context or tls.context(alpn="xmpp-client"), server_name)
        return client

    def account(self, name="user", domain=DOMAIN, password="secret"):
        """A new account; returns its user name."""
        user = f"{name}-{next(numbers)}"
        self.control("users.add", account=f"{user}@{domain}", password=password)
        return user

    def exists(self, account):
        return self.control("users.exists", account=account)[0]["exists"]

    def client(self, name="user", domain=DOMAIN, user=None, resource=None, available=True, priority=None,
               password="secret", **how):
        """A user who is logged in: a new account, or USER."""
        user = user or self.account(name, domain, password)
        client = self.connect(domain, user, password).login(resource=resource, **how)
        return client.available(priority) if available else client

    def more(self, first, *others, available=True, **how):
        """Another session of the account of these; they and it see each other's presence."""
        new = self.client(domain=first.domain, user=first.user, password=first.password, available=available, **how)
        for other in (first, *others):
            if available and other.is_available:
                other.take("presence", from_=new.jid)
                new.take("presence", from_=other.jid)
        return new

    def authed(self, client, **how):
        """Another connection of the same account, logged in, nothing bound."""
        other = self.connect(client.domain, client.user, client.password, **how)
        other.open()
        if not hasattr(other.sock, "version"):
            other.starttls()
        other.authenticate()
        return other

    def drop_clients(self):
        for client in self.clients:
            client.drop()
        self.clients.clear()
