# SPDX-License-Identifier: Apache-2.0
"""External services (XEP-0215), with a real TURN server."""
import base64
import datetime
import hashlib
import hmac
import os
import signal
import subprocess
import time

from element import NS, children
from server import DOMAIN, OTHER, ROOT, Port, Server, end_with_parent

SECRET = "a shared secret"
SERVICES = ["stun:turn.example:3478?transport=udp", "turn:turn.example:3478?transport=udp",
            "turn:[2001:db8::1]:3479?transport=tcp", "turns:turn.example",
            "ftp:files.example:21 username=guest password=pa=ss name=Files for all"]
CONFIG = {"plugins": {"extdisco": {"services": SERVICES, "secret": SECRET, "ttl": "1h"}}}
COST = 3


def services(client, ns="extdisco", type=None, to=DOMAIN):
    wanted = f" type='{type}'" if type else ""
    answer = client.result("get", f"<services xmlns='{NS[ns]}'{wanted}/>", to)
    return [s.attrib for s in children(answer, f"{ns}:services/{ns}:service")]


def credentials(host, type, port=None, ns="extdisco"):
    extra = f" port='{port}'" if port else ""
    return f"<credentials xmlns='{NS[ns]}'><service host='{host}' type='{type}'{extra}/></credentials>"


def is_timed(client, given):
    """Credentials as draft-uberti-behave-turn-rest has them, good for the hour that was configured."""
    end, _, user = given["username"].partition(":")
    mac = hmac.new(SECRET.encode(), given["username"].encode(), hashlib.sha1).digest()
    assert given["password"] == base64.b64encode(mac).decode() and user == client.user
    told = datetime.datetime.fromisoformat(given["expires"].replace("Z", "+00:00")).timestamp()
    assert told == int(end) and abs(told - time.time() - 3600) < 600, given


def test_all(server):
    c = server.client()
    for ns in ("extdisco", "extdisco1"):
        stun, udp, tcp, tls, ftp = services(c, ns)
        assert stun == {"type": "stun", "host": "turn.example", "port": "3478", "transport": "udp"}
        assert (tcp["host"], tcp["port"], tcp["transport"]) == ("2001:db8::1", "3479", "tcp")
        assert tls["type"] == "turns" and "port" not in tls and "transport" not in tls
        for s in (udp, tcp, tls):
            assert s["restricted"] == "true"
            is_timed(c, s)
        assert ftp == {"type": "ftp", "host": "files.example", "port": "21", "name": "Files for all",
                       "restricted": "true", "username": "guest", "password": "pa=ss"}


def test_by_type(server):
    c = server.client()
    assert [s["port"] for s in services(c, type="turn")] == ["3478", "3479"]
    assert services(c, type="none") == []


def test_credentials(server):
    c = server.client()
    answer = c.result("get", credentials("turn.example", "turn"), DOMAIN)
    given, = children(answer, "extdisco:credentials/extdisco:service")
    is_timed(c, given.attrib)
    c.result("get", credentials("turn.example", "turn", 3478), DOMAIN)
    c.result("get", credentials("files.example", "ftp", ns="extdisco1"), DOMAIN)
    for wrong in (credentials("turn.example", "turn", 99), credentials("turn.example", "stun"), credentials("x", "turn")):
        c.refused("get", wrong, "item-not-found", DOMAIN)
    c.refused("get", f"<credentials xmlns='{NS['extdisco']}'/>", "bad-request", DOMAIN)
    c.refused("get", f"<credentials xmlns='{NS['extdisco']}'><service host='x'/></credentials>", "bad-request", DOMAIN)


def test_strangers_get_no_credentials(server):
    c = server.client(domain=OTHER)
    assert len(services(c)) == len(SERVICES)
    assert not any("username" in s or "password" in s for s in services(c))
    c.refused("get", credentials("turn.example", "turn"), "forbidden", DOMAIN)


def test_announced(server):
    answer = server.client().result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
    assert {NS["extdisco"], NS["extdisco1"]} <= {f.get("var") for f in children(answer, "info:query/info:feature")}


def test_wrong_services(server):
    for wrong in ("turn", "turn:", ":host", "turn:host:0", "turn:host:x", "turn:host?transport=", "turn:[::1",
                  "turn:h user=x", "turn:h username=x", "turn:h what"):
        with Server({"plugins": {"extdisco": {"services": [wrong]}}}, start=False) as s:
            assert f"`{wrong}` in services" in s.refuses_to_start()


class Turn:
    """A coturn."""

    def __init__(self, folder):
        self.port = Port()
        relay = Port().number
        self.process = subprocess.Popen([os.path.join(ROOT, "test/services/coturn.sh"), folder, str(self.port.number),
                                         str(min(relay, 31900)), SECRET], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.STDOUT, preexec_fn=end_with_parent)
        self.said = []
        for line in self.process.stdout:  # until it listens
            self.said.append(line)
            if "UDP listener opened on" in line or "Total General servers" in line:
                break
        assert self.process.poll() is None, "".join(self.said)

    def allocate(self, user, password):
        """Has a relay address allocated and sends through it: exit code and output."""
        done = subprocess.run(["turnutils_uclient", "-y", "-c", "-n", "1", "-m", "1", "-u", user, "-w", password, "-p",
                               str(self.port.number), "127.0.0.1"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.close()
        self.process.wait(30)


def test_real_turn_server(server):
    turn = Turn(server.folder)
    try:
        uri = f"turn:127.0.0.1:{turn.port.number}?transport=udp"
        with Server({"plugins": {"extdisco": {"services": [uri], "secret": SECRET}}}) as s:
            given, = services(s.client())
        code, said = turn.allocate(given["username"], given["password"])
        assert code == 0 and "Total lost packets 0" in said, said
        code, said = turn.allocate(given["username"], given["password"] + "x")
        assert code != 0 or "error" in said.lower(), said
    finally:
        turn.stop()
