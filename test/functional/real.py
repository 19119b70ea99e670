# SPDX-License-Identifier: Apache-2.0
"""Clients and components that others wrote, as processes that speak JSON: a command a line in, an event a line out.

    {"do": "send", "to": "...", "body": "..."}    {"event": "message", "from": "...", "body": "..."}

Drivers are slix_client.py, xmppjs/client.mjs and strophe/client.mjs, and for components xmppjs_component/component.mjs;
they know the same commands and events.
"""
import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from server import DOMAIN, certificates

TIMEOUT = 60
HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "meerkat-test")


class PeerFailure(AssertionError):
    pass


class Process:
    """One such process, which was told nothing yet."""

    def __init__(self, command, name, env=None):
        self.name, self.lines, self.errors, self.events = f"{name} ({os.path.basename(command[-1])})", [], [], queue.Queue()
        self.seen = []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=env)
        for source, sink in ((self.process.stdout, self.on_line), (self.process.stderr, self.errors.append)):
            threading.Thread(target=lambda s=source, f=sink: [f(line) for line in s], daemon=True).start()

    def on_line(self, line):
        self.lines.append(line)
        if line.startswith("{"):
            self.events.put(json.loads(line))

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def send(self, to, body):
        self.do("send", to=to, body=body)

    def wait(self, event, **wanted):
        """The first event like this, of those that came and were not waited for."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            for i, e in enumerate(self.seen):
                if e["event"] == event and all(e.get(k.rstrip("_")) == v for k, v in wanted.items()):
                    return self.seen.pop(i)
            try:
                self.seen.append(self.events.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                raise PeerFailure(f"{self.name}: no {event} {wanted} came, but:\n{''.join(self.lines[-40:])}"
                                  f"{''.join(self.errors[-40:])}") from None

    def bodies(self):
        """Of all messages that came and were not waited for."""
        while not self.events.empty():
            self.seen.append(self.events.get())
        return [e["body"] for e in self.seen if e["event"] == "message"]

    def stop(self):
        self.do("stop")
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise PeerFailure(f"{self.name} does not end:\n{''.join(self.lines[-40:])}{''.join(self.errors[-40:])}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()


class Peer(Process):
    """A client that logs in.  ADDRESS is where it connects to, DOMAIN whom it takes that for."""

    def __init__(self, command, user, address, domain=DOMAIN, password="secret", mechanism="", tls="", service=""):
        ca = os.path.join(certificates(), "ca.crt")
        super().__init__(command, user, dict(os.environ, NODE_EXTRA_CA_CERTS=ca))
        self.do("connect", user=user, password=password, host=address[0], port=address[1], domain=domain,
                mechanism=mechanism, tls=tls, ca=ca, service=service)
        self.jid = self.wait("online")["jid"]

    def flow(self, name, /, **args):
        """What a function of slix_flows.py answers, or the condition of the error that it got: (result, error)."""
        self.do("flow", name=name, args=args)
        done = self.wait("flow", name=name)
        return done["result"], done["error"]


def slixmpp(user, address, **more):
    return Peer([sys.executable, os.path.join(HERE, "slix_client.py")], user, address, **more)


def xmppjs(user, address, **more):
    return Peer(["node", os.path.join(installed("xmppjs"), "client.mjs")], user, address, **more)


def strophe(user, service, **more):
    return Peer(["node", os.path.join(installed("strophe"), "client.mjs")], user, ("", 0), service=service, **more)


def xmppjs_component(port, domain, password):
    """It connects; whether it gets in is the test's to see."""
    found = Process(["node", os.path.join(installed("xmppjs_component"), "component.mjs")], domain)
    found.do("connect", host="127.0.0.1", port=port, domain=domain, password=password)
    return found


def installed(name):
    """The packages that package.json of the folder NAME pins, in a cache outside of the tree.  Returns the folder there."""
    source, folder = os.path.join(HERE, name), os.path.join(CACHE, name)
    wanted = open(os.path.join(source, "package.json")).read()
    mark = os.path.join(folder, "installed.json")
    os.makedirs(folder, exist_ok=True)
    for file in os.listdir(source):
        shutil.copy(os.path.join(source, file), folder)
    if not os.path.exists(mark) or open(mark).read() != wanted:
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder,
                              capture_output=True, text=True)
        if done.returncode:
            raise PeerFailure(f"npm install failed:\n{done.stdout}{done.stderr}")
        with open(mark, "w") as f:
            f.write(wanted)
    return folder


class Cutter:
    """A TCP proxy that can lose all its connections at once, and goes on accepting."""

    def __init__(self, target):
        self.target, self.pairs, self.lock = target, [], threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            with self.lock:
                self.pairs.append((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(a, b), daemon=True).start()

    @staticmethod
    def forward(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Resets every connection, on both sides."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RD)  # wakes the thread that reads, so that close() is the last hold
                except OSError:
                    pass
                s.close()
        return len(pairs)

    def close(self):
        self.socket.close()
        self.cut()
