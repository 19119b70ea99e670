# SPDX-License-Identifier: Apache-2.0
"""The operator: meerkatctl, reload, signals."""
import json
import os
import re
import signal
import socket
import stat

from element import NS, child
from server import DOMAIN, OTHER, Server, default_config

TIME = f"<time xmlns='{NS['time']}'/>"


def refused(server, *words, code=1, say):
    """meerkatctl WORDS fails with this exit status and a sentence that has SAY in it."""
    got, out, err = server.ctl(*words, check=False)
    assert got == code and say in err, f"{words}: expected status {code} and {say!r}, but got {got}: {out}{err}"


# ---- accounts

def test_users(server):
    alice = f"alice@{DOMAIN}"
    assert not server.ctl_json("users", "exists", alice)["exists"]
    server.ctl("users", "add", alice, "--password", "one")
    assert server.ctl_json("users", "exists", alice)["exists"]
    server.client(user="alice", password="one")
    server.ctl("users", "password", alice, "--password", "two")
    server.client(user="alice", password="two")
    server.ctl("users", "del", alice)
    assert not server.ctl_json("users", "exists", alice)["exists"]


def test_users_add_from_stdin(server):
    """A password on the command line is seen by others: it can come from a file."""
    server.ctl("users", "add", f"stdin@{DOMAIN}", "--password-file", "-", stdin="from a pipe\n")
    server.client(user="stdin", password="from a pipe")


def test_users_refused(server):
    user = server.account()
    refused(server, "users", "add", f"{user}@{DOMAIN}", "--password", "x", say="exists already")
    refused(server, "users", "add", f"fresh@{DOMAIN}", "--password", "", say="password")
    refused(server, "users", "add", "a@nowhere.example", "--password", "x", code=2, say="not served here")
    refused(server, "users", "add", DOMAIN, "--password", "x", code=2, say="must be an account")
    refused(server, "users", "add", "@@", "--password", "x", code=2, say="@@")
    refused(server, "users", "del", f"nobody@{DOMAIN}", say="there is no account")
    refused(server, "users", "password", f"nobody@{DOMAIN}", "--password", "x", say="there is no account")


def test_misuse(server):
    refused(server, "users", "ad", code=2, say="did you mean users.add")
    refused(server, "nonsense", code=2, say="there is no command")
    refused(server, "users", "del", code=2, say="missing")
    refused(server, "users", "del", f"a@{DOMAIN}", "more", code=2, say="too many")
    refused(server, "users", "list", "limit=many", code=2, say="limit")
    code, _, err = server.ctl("--socket", "/nonexistent/socket", "status", check=False)
    assert code == 3 and "/nonexistent/socket" in err


def test_users_list(server):
    with Server() as s:
        names = [f"user{i:03}@{DOMAIN}" for i in range(25)]
        for name in reversed(names):
            s.control("users.add", account=name, password="x")
        s.control("users.add", account=f"other@{OTHER}", password="x")
        assert [r["account"] for r in s.ctl_json("users", "list", f"host={DOMAIN}")] == names
        assert [r["account"] for r in s.ctl_json("users", "list", f"host={DOMAIN}", "limit=3", "after=user009")] == names[10:13]
        assert s.ctl_json("users", "list", f"host={OTHER}") == [{"account": f"other@{OTHER}", "state": "enabled"}]
        refused(s, "users", "list", say="host=")


def test_deleted_account_is_thrown_out(server):
    c = server.client()
    server.ctl("users", "del", c.bare)
    c.expect("stream:error")
    c.expect_closed()


def test_new_password_keeps_sessions(server):
    c = server.client()
    server.ctl("users", "password", c.bare, "--password", "other")
    c.expect_nothing()


# ---- sessions

def test_sessions(server):
    one = server.client(resource="desk", priority=3)
    other = server.more(one, resource="phone", available=False)
    rows = {r["jid"]: r for r in server.ctl_json("sessions", "list", one.bare)}
    assert set(rows) == {one.jid, other.jid}
    assert rows[one.jid]["available"] and rows[one.jid]["priority"] == 3 and rows[one.jid]["connected"]
    assert not rows[other.jid]["available"]
    port = one.sock.getsockname()[1]
    assert rows[one.jid]["address"] == f"127.0.0.1:{port}"
    assert re.match(r"\d{4}-\d\d-\d\dT", rows[one.jid]["since"])
    counts = {r["host"]: r for r in server.ctl_json("sessions", "count")}
    assert counts[DOMAIN]["sessions"] >= 2 and counts[DOMAIN]["accounts"] >= 1 and counts[OTHER]["sessions"] == 0
    assert one.jid in server.ctl("sessions", "list", f"host={DOMAIN}")
    assert one.jid not in server.ctl("sessions", "list", f"host={OTHER}")


def test_kick(server):
    one = server.client(resource="desk")
    other = server.more(one, resource="phone")
    assert server.ctl_json("sessions", "kick", other.jid, "reason=Go <home>")["ended"] == 1
    error = other.expect_error("policy-violation")
    assert child(error, "streams:text").text == "Go <home>"
    one.expect("presence", from_=other.jid, type="unavailable")
    assert server.ctl_json("sessions", "kick", one.bare)["ended"] == 1
    one.expect_error("policy-violation")
    assert server.ctl_json("sessions", "kick", one.bare)["ended"] == 0


def test_detached_session_is_shown(server):
    c = server.client()
    c.enable()
    c.drop()
    watcher = server.client()
    while server.ctl_json("sessions", "list", c.bare)[0]["connected"]:
        watcher.expect_nothing()
    server.ctl("sessions", "kick", c.bare)
    assert server.ctl("--json", "sessions", "list", c.bare).strip() in ("[]", "{}", "")


# ---- looking at the server

def test_status(server):
    c = server.client()
    status = server.ctl_json("status")
    assert status["hosts"] == 2 and status["sessions"] >= 1 and status["connections"] >= 1
    assert status["workers"] == 2 and status["memory"] > 1 << 20 and 0 <= status["uptime"] < 10000
    assert re.match(r"\d+\.\d+", status["version"])
    c.expect_nothing()


def test_hosts_and_listeners(server):
    hosts = {h["host"]: h for h in server.ctl_json("hosts", "list")}
    assert set(hosts) == {DOMAIN, OTHER}
    assert hosts[DOMAIN]["type"] == "default" and hosts[DOMAIN]["admins"] == f"admin@{DOMAIN}"
    assert re.match(r"\d{4}-", hosts[DOMAIN]["certificate"])
    listeners = {l["port"]: l["tls"] for l in server.ctl_json("listeners")}
    assert listeners == {server.address()[1]: "starttls", server.address("direct")[1]: "direct"}


def test_plugins_and_services(server):
    plugins = {p["plugin"]: p for p in server.ctl_json("plugins")}
    assert {"roster", "offline", "auth_internal", "memory"} <= set(plugins)
    assert plugins["roster"]["enabled"] and plugins["roster"]["summary"]
    services = server.ctl("services")
    assert "mk_roster" in services and "mk_auth" in services


def test_hooks(server):
    a = server.client()
    a.message(a.jid, "counted")
    a.expect("message")
    rows = server.ctl_json("hooks", "user_send_message")
    assert [r["plugin"] for r in rows] == ["mam", "carbons", "mam"], rows
    assert all(r["calls"] >= 1 for r in rows)
    orders = [r["order"] for r in server.ctl_json("hooks", "user_send_presence")]
    assert len(orders) >= 3 and orders == sorted(orders)
    assert any(r["hook"] == "session_send" for r in server.ctl_json("hooks"))
    refused(server, "hooks", "user_send_mesage", say="user_send_message")


def test_fibers(server):
    server.ctl("fibers")


def total(values, name):
    return sum(v for k, v in values.items() if k == name or k.startswith(name + "{"))


def test_metrics(server):
    """The text format of Prometheus; numbers follow what happens."""
    text = server.ctl("metrics")
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .*|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[0-9.e+-]+(Inf|NaN)?|', line), line
    typed = re.findall(r"^# TYPE (\w+)", text, re.M)
    assert len(typed) == len(set(typed)), "a family is described once"
    before = server.metrics()
    c = server.client()
    for _ in range(10):
        c.message(c.jid, "x")
        c.expect("message")
    after = server.metrics()

    def grew(part):
        return sum(v for k, v in after.items() if part in k) - sum(v for k, v in before.items() if part in k)

    assert grew("meerkat_messages_in") == 10 and grew("meerkat_logins") >= 1
    assert grew("meerkat_sessions") >= 1 and grew("meerkat_bytes_in") > 500


def test_help(server):
    out = server.ctl("help")
    for command in ("users add", "sessions kick", "reload", "offline count", "roster"):
        assert command in out, command
    assert "ACCOUNT" in server.ctl("help", "users", "add")


def test_json(server):
    for words in (("status",), ("plugins",), ("hooks",), ("hosts", "list")):
        json.loads(server.ctl("--json", *words))


def test_log_level(server):
    levels = {r["plugin"]: r["level"] for r in server.ctl_json("log", "level")}
    assert levels["server"] == "debug"
    server.ctl("log", "level", "roster", "error")
    assert {r["plugin"]: r["level"] for r in server.ctl_json("log", "level")}["roster"] == "error"
    refused(server, "log", "level", "roster", "loud", say="loud")
    refused(server, "log", "level", "rooster", "error", say="roster")
    server.ctl("log", "level", "roster", "debug")


def test_socket_is_private(server):
    mode = stat.S_IMODE(os.stat(server.config["control"]["socket"]).st_mode)
    assert not mode & 0o007, oct(mode)


def test_garbage_on_the_socket(server):
    for data in (b"\n", b"nonsense\n", b"{}\n", b"[1]\n", b'{"command": 7}\n', b'{"command": "status", "args": [1]}\n',
                 b'{"command": "status", "args": {"a": {}}}\n', b"\xff\xfe\n", b"{" * 1000 + b"\n"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(server.config["control"]["socket"])
            s.sendall(data)
            answer = json.loads(s.makefile().readline())
            assert answer["ok"] is False and answer["error"], (data, answer)
    server.ctl("status")


# ---- roster commands

def test_roster_commands(server):
    a = server.client()
    a.result("get", f"<query xmlns='{NS['roster']}'/>")
    server.ctl("roster", "add", a.bare, "friend@elsewhere.example", "--name", "Friend")
    a.take("iq", type="set", has="roster:query/roster:item")
    assert server.ctl_json("roster", "show", a.bare)[0]["contact"] == "friend@elsewhere.example"


# ---- reload

def test_reload_live_option(server):
    with Server() as s:
        old = s.client()
        s.configure({"limits": {"stanza": 20000}})
        s.reload()
        new = s.client()
        assert child(new.features, "limits:limits/limits:max-bytes").text == "20000"
        new.message(new.jid, "x" * 30000)
        new.expect_error("policy-violation")
        old.expect_nothing()


def test_reload_plugin_option(server):
    with Server() as s:
        c = s.client()
        query = f"<query xmlns='{NS['version']}'/>"
        s.configure({"plugins": {"version": {"name": "Renamed"}}})
        s.reload()
        assert child(c.result("get", query, DOMAIN), "version:query/version:name").text == "Renamed"


def test_reload_switches_plugins(server):
    """A plugin comes and goes under connected clients."""
    with Server({"plugins": {"time": None}}) as s:
        c = s.client()
        c.refused("get", TIME, "service-unavailable", DOMAIN)
        for _ in range(3):
            s.configure({"plugins": {"time": {"enabled": True}}})
            s.reload()
            c.result("get", TIME, DOMAIN)
            s.configure({"plugins": {"time": {"enabled": False}}})
            s.reload()
            c.refused("get", TIME, "service-unavailable", DOMAIN)
        info = c.result("get", f"<query xmlns='{NS['info']}'/>", DOMAIN)
        assert NS["time"] not in [f.get("var") for f in info[0]]


def test_reload_switches_carbons(server):
    """One with memory at sessions: those that were there before get it too."""
    with Server({"plugins": {"carbons": None}}) as s:
        alice, one = s.client("alice"), s.client("bob")
        other = s.more(one)
        enable = f"<enable xmlns='{NS['carbons']}'/>"
        other.refused("set", enable, "service-unavailable")
        s.configure({"plugins": {"carbons": {}}})
        s.reload()
        other.result("set", enable)
        alice.message(one.jid, "hi")
        one.expect("message", body="hi")
        other.expect("message", has="carbons:received")
        s.configure({"plugins": {"carbons": None}})
        s.reload()
        alice.message(one.jid, "again")
        one.expect("message", body="again")
        other.quiet(alice)


def test_reload_refused(server):
    """A configuration with errors changes nothing, and says what is wrong."""
    with Server() as s:
        c = s.client()
        s.configure({"limits": {"stanza": 20000, "stanzza": 1}})
        code, out, err = s.ctl("reload", check=False)
        said = out + err
        assert code == 1 and re.search(r"meerkat\.cfg:\d+: .*stanzza.*stanza", said), said
        new = s.client()
        assert child(new.features, "limits:limits/limits:max-bytes").text != "20000"
        c.expect_nothing()


def test_reload_says_what_waits(server):
    with Server() as s:
        s.configure({"workers": 1, "backends": {"memory": {"max_bytes": "128M"}}})
        said = s.reload()
        assert "restart" in said and "max_bytes" in said or "memory" in said, said


def test_reload_hosts(server):
    """A host that is added is served; one that is gone says goodbye to its clients."""
    with Server(lambda t: t["hosts"].pop()) as s:
        stays = s.client()
        c = s.connect(OTHER)
        c.send(c.header_text(to=OTHER))
        c.expect("stream:stream")
        c.expect_error("host-unknown")
        other = default_config(s.folder, {k: p.number for k, p in s.ports.items()})["hosts"][1]
        s.configure(lambda t: t["hosts"].append(other))
        s.reload()
        guest = s.client(domain=OTHER)
        guest.message(stays.jid, "hello")
        stays.expect("message", body="hello", from_=guest.jid)
        s.configure(lambda t: t["hosts"].pop())
        s.reload()
        guest.take("stream:error", has="streams:host-gone")
        stays.expect_nothing()
        stays.message(guest.bare, "anybody?")
        stays.expect_bounce("message", "remote-server-not-found")


def test_sighup(server):
    with Server() as s:
        c = s.client()
        s.configure({"plugins": {"version": {"name": "Renamed"}}})
        s.process.send_signal(signal.SIGHUP)
        query = f"<query xmlns='{NS['version']}'/>"
        while child(c.result("get", query, DOMAIN), "version:query/version:name").text != "Renamed":
            pass


def test_many_reloads(server):
    with Server() as s:
        c = s.client()
        for i in range(30):
            s.configure({"plugins": {"version": {"name": f"V{i}"}}})
            s.reload()
        c.expect_nothing()


# ---- start and stop

def test_stop_command(server):
    with Server() as s:
        c = s.client()
        s.ctl("stop")
        c.expect_error("system-shutdown")
        assert s.wait() == 0


def test_pid_file(server):
    with Server(start=False) as s:
        s.configure({"pid_file": f"{s.folder}/pid"})
        s.start()
        assert int(open(f"{s.folder}/pid").read()) == s.process.pid
        s.stop()
        assert not os.path.exists(f"{s.folder}/pid")


def test_port_taken(server):
    """A second server on the same port says so and ends."""
    with Server(start=False) as s:
        s.configure(lambda t: t["listeners"][0].update(port=server.address()[1]))
        s.config["listeners"] = s.config["listeners"][1:]
        try:
            s.start()
        except AssertionError as error:
            assert str(server.address()[1]) in str(error) and "in use" in str(error), error
        else:
            raise AssertionError("it started")
        s.process = None


def test_log_file(server):
    with Server(start=False) as s:
        s.configure({"log": {"file": f"{s.folder}/server.log", "format": "json", "level": "info"}})
        s.start()
        s.client().end()
        s.stop()
        lines = open(f"{s.folder}/server.log").read().splitlines()
        assert lines and all(isinstance(json.loads(line), dict) for line in lines)


def test_no_password_in_the_log(server):
    secret = "V3ry-s3cret-indeed"
    c = server.client(password=secret)
    c.end()
    d = server.connect(user=c.user, password=secret)
    d.open()
    d.starttls()
    d.authenticate("PLAIN")
    assert secret not in server.log()
