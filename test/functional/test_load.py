# SPDX-License-Identifier: Apache-2.0
"""meerkat-load: what it says of a server that lies is exactly the lie, and of this server that nothing went wrong."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

from mam import sent
from server import BUILD, DOMAIN, OTHER, REPORTS, ROOT, Server, Skip, certificates, libconfig, merged

SERVER = False
COST = 4
LOAD = os.path.join(BUILD, "test", "load", "meerkat-load")
LIAR = os.path.join(ROOT, "test", "load", "liar.py")


def scenario(port, domain, groups, **over):
    base = {"server": {"port": port, "domain": domain, "tls": "none"}, "accounts": {"mechanism": "ANONYMOUS"},
            "arrival": {"rate": 400.0}, "hold": 1.5, "drain": 20.0, "groups": groups}
    return merged(base, over)


def load(folder, tree, *options, pid=None, inside=None):
    """(exit code, report, what it said) of a run, by the words INSIDE if there are some."""
    path, report = os.path.join(folder, "load.cfg"), os.path.join(folder, "load.json")
    with open(path, "w") as f:
        for key, value in tree.items():
            f.write(f"{key} = {libconfig(value)};\n" if not isinstance(value, float) else f"{key} = {value};\n")
    words = ["--pid", str(pid)] if pid else []
    done = subprocess.run([*(inside or []), LOAD, "--json", report, *words, *options, path], capture_output=True, text=True, timeout=100)
    assert not REPORTS.search(done.stderr), done.stderr
    if done.returncode not in (0, 1) or not os.path.exists(report):
        return done.returncode, None, done.stdout + done.stderr
    with open(report) as f:
        return done.returncode, json.load(f), done.stdout + done.stderr


class Liar:
    def __init__(self, *lies):
        self.process = subprocess.Popen([sys.executable, LIAR, *lies], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def tell(self):
        """The truth, and its end."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        return json.loads(out)


CHAT = {"count": 20, "chat": {"think": 0.05, "poisson": True}}


def lied(tmp, lies, group=CHAT, **over):
    """(exit code, counts of the tool, times of the tool, truth) of a run against a liar, by the way that GROUP takes."""
    way = group.get("way", "tcp")
    liar = Liar(*lies, "--way", way)
    url = {"websocket": f"ws://127.0.0.1:{liar.port}/odd?way", "bosh": f"http://127.0.0.1:{liar.port}"}.get(way)
    try:
        tree = scenario(liar.port, "liar.example", [group], server={way: url} if url else {})
        code, report, said = load(tmp, merged(tree, over))
    finally:
        truth = liar.tell()
    assert report, said
    counts = report["counts"]
    assert counts["sent"] == truth["received"] > 100, (counts, truth)
    return code, counts, report["times_us"], truth


def in_folder(function):
    def test():
        with Server(start=False) as server:
            function(server.folder)
    test.__name__ = function.__name__
    test.__module__ = function.__module__
    return test


@in_folder
def test_honest_server_is_clean(tmp):
    code, counts, _, truth = lied(tmp, [])
    assert code == 0 and counts["delivered"] == truth["delivered"] == counts["sent"], (code, counts)
    assert counts["acked"] == truth["acked"] == counts["sent"], (counts, truth)
    assert counts["logins"] == 20 and not counts["lost"], counts


@in_folder
def test_drops_are_lost(tmp):
    code, counts, _, truth = lied(tmp, ["--drop", "7"], drain=2.0)
    assert code == 1 and counts["lost"] == truth["dropped"] > 0, (counts, truth)
    assert counts["duplicated"] == counts["disordered"] == 0, counts


@in_folder
def test_duplicates_are_counted(tmp):
    code, counts, _, truth = lied(tmp, ["--duplicate", "5"])
    assert code == 1 and counts["duplicated"] == truth["duplicated"] > 0, (counts, truth)
    assert counts["lost"] == counts["disordered"] == 0 and counts["delivered"] == counts["sent"], counts


@in_folder
def test_swaps_are_out_of_order(tmp):
    code, counts, _, truth = lied(tmp, ["--swap", "4"], drain=2.0)
    assert code == 1 and counts["disordered"] == truth["swapped"] > 0, (counts, truth)
    assert counts["lost"] == truth["held"] and counts["duplicated"] == 0, (counts, truth)


@in_folder
def test_all_lies_at_once(tmp):
    lies = ["--drop", "11", "--duplicate", "6", "--swap", "7", "--refuse", "13", "--delay", "30"]
    code, counts, _, truth = lied(tmp, lies, drain=2.0)
    told = {"lost": truth["dropped"] + truth["held"], "duplicated": truth["duplicated"], "disordered": truth["swapped"],
            "refused": truth["refused"]}
    assert code == 1 and {k: counts[k] for k in told} == told, (counts, truth)


@in_folder
def test_delay_is_measured(tmp):
    _, _, times, _ = lied(tmp, ["--delay", "250"])
    assert times["delivery"]["min"] >= 250000, times


@in_folder
def test_stall_is_not_omitted(tmp):
    """A client that thinks 20 ms goes on being due while its server stands still: what was due in a stall of a second
    has waited half a second in the mean, so the worst tenth of all messages has waited long."""
    liar = Liar()
    tree = scenario(liar.port, "liar.example", [{"count": 4, "chat": {"think": 0.02, "poisson": False}}], hold=3.0)
    try:
        os.kill(liar.process.pid, 0)
        stall = subprocess.Popen([sys.executable, "-c", f"import os, signal, time; time.sleep(1.5);"
                                  f"os.kill({liar.process.pid}, signal.SIGSTOP); time.sleep(1);"
                                  f"os.kill({liar.process.pid}, signal.SIGCONT)"])
        code, report, said = load(tmp, tree)
        stall.wait()
    finally:
        liar.tell()
    assert code == 0, said
    # 200 messages a second for 3 s are due, 200 of them in the stall.
    delivery = report["times_us"]["delivery"]
    assert delivery["count"] >= 500 and delivery["p90"] > 300000 and delivery["max"] > 900000, delivery


@in_folder
def test_acknowledgements_are_the_servers(tmp):
    _, counts, _, truth = lied(tmp, ["--ack-most", "9"], drain=2.0)
    assert 0 < counts["acked"] == truth["acked"] < counts["sent"], (counts, truth)


@in_folder
def test_failed_logins_are_counted(tmp):
    liar = Liar("--login-failures", "3")
    code, report, said = load(tmp, scenario(liar.port, "liar.example", [{"count": 10}], hold=0.2))
    assert liar.tell()["login_failures"] == report["counts"]["login_failures"] == 3 and code == 1, said
    assert report["counts"]["logins"] == 7 and report["reasons"] == {"SASL: not-authorized": 3}, report["reasons"]


def reached(tmp, liar_at, host, hosts=None):
    """Whether all clients came in at a liar that listens on LIAR_AT; HOSTS is what /etc/hosts says then."""
    liar = Liar("--host", liar_at)
    try:
        tree = scenario(liar.port, "liar.example", [{"count": 4}], server={"host": host}, hold=0.2)
        code, report, said = load(tmp, tree, inside=hosts and with_hosts(tmp, hosts))
    finally:
        liar.tell()
    assert code == 0 and report["counts"]["logins"] == 4, said
    return report["counts"]["connections"]


def with_hosts(tmp, lines):
    path = os.path.join(tmp, "hosts")
    with open(path, "w") as f:
        f.write(lines)
    inside = ["unshare", "--mount", "sh", "-c", f'mount --bind {path} /etc/hosts && exec "$0" "$@"']
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        raise Skip("no mount namespaces here")
    return inside


@in_folder
def test_ipv6(tmp):
    assert reached(tmp, "::1", "::1") == 4


@in_folder
def test_next_address_of_a_name(tmp):
    """What listens has one of the name's addresses: only the first client may have to try the other first."""
    both = "127.0.0.1 two-ways.example\n::1 two-ways.example\n"
    attempts = [reached(tmp, at, "two-ways.example", both) for at in ("127.0.0.1", "::1")]
    assert min(attempts) == 4 and 5 <= max(attempts) <= 8, attempts


@in_folder
def test_mistakes_are_named(tmp):
    def refused(tree, words, *options):
        code, _, said = load(tmp, tree, "--check", *options)
        assert code == 2 and words in said, said

    good = scenario(5222, "one.example", [{"count": 2}])
    code, _, said = load(tmp, good, "--check")
    assert code == 0, said
    refused(merged(good, {"hodl": 3}), "hodl: unknown")
    refused(merged(good, {"server": {"tls": "yes"}}), "tls: none of the words")
    refused(merged(good, {"accounts": {"mechanism": "MAGIC"}}), "mechanism: not one of")
    refused(scenario(5222, "one.example", [{"count": 3, "chat": {}}]), "count: not a multiple of 2")
    refused(scenario(5222, "one.example", [{"count": 30000}]), "workers: too few")
    refused(good, "no such setting", "--set", "server.prot=1")


# ---- a real server

MIX = [{"name": "chat", "count": 12, "chat": {"think": 0.2}, "carbons": True},
       {"name": "back", "count": 6, "chat": {"think": 0.2}, "reconnect": {"every": 0.4, "resume": True}},
       {"name": "rest", "count": 4, "archive": {"every": 0.3, "page": 5}, "roster_churn": {"every": 0.2}},
       {"name": "idle", "count": 4}]


def run_mix(server, tls, mechanism):
    port = server.ports["direct" if tls == "direct" else "starttls"].number
    tree = scenario(port, DOMAIN, MIX, server={"tls": tls}, accounts={"mechanism": mechanism}, workers=2, hold=2.0)
    page = os.path.join(server.folder, "load.html")
    code, report, said = load(server.folder, tree, "--html", page, pid=server.process.pid)
    counts = report["counts"]
    assert not any(counts[k] for k in ("login_failures", "lost_connections", "lost", "duplicated", "query_errors")), said
    assert report["clean"] and code == 0, said
    assert counts["delivered"] == counts["sent"] == counts["acked"] > 50, counts
    assert counts["resumed"] > 5 and counts["archive_pages"] > 5 and counts["roster_changes"] > 5, counts
    assert report["server_memory"]["rss_after"] > 1000000 and report["hold"]["server_cpu_seconds"] > 0, report
    times = [sample["at"] for sample in report["series"]]
    assert times == sorted(times) and 0 <= times[0] < 1 and times[-1] < 60, times
    html = open(page).read()
    assert html.count("<svg") >= 7 and "<script" not in html and "http" not in html, html[:500]


def run_real(tls, mechanism):
    with Server(sqlite=True) as server:
        for i in range(26):
            server.ctl("users", "add", f"user{i}@{DOMAIN}", "password=secret")
        run_mix(server, tls, mechanism)


def test_mix_starttls():
    run_real("starttls", "SCRAM-SHA-256")


def test_mix_direct_tls():
    run_real("direct", "PLAIN")


def trusting(server, kind, domain, *options):
    """(exit code, why it failed) of clients that ask for DOMAIN and look at the certificate."""
    tree = scenario(server.ports[kind].number, domain, [{"count": 2}], hold=0.2,
                    server={"tls": "direct" if kind == "direct" else "starttls"}, accounts={"mechanism": "PLAIN"})
    code, report, said = load(server.folder, tree, *options)
    assert report["counts"]["logins"] == (2 if code == 0 else 0), said
    return code, " ".join(report["reasons"])


def test_certificates_are_verified():
    with Server(sqlite=True) as server:
        for i in range(2):
            server.ctl("users", "add", f"user{i}@{DOMAIN}", "password=secret")
        ca, other = os.path.join(certificates(), "ca.crt"), os.path.join(certificates(), f"{OTHER}.crt")
        for kind in ("direct", "starttls"):
            assert trusting(server, kind, DOMAIN) == (0, "")
            assert trusting(server, kind, DOMAIN, "--ca", ca) == (0, "")
            for options in (["--verify"], ["--ca", other]):
                code, why = trusting(server, kind, DOMAIN, *options)
                assert code == 1 and "issuer is unknown" in why, why
        code, why = trusting(server, "direct", "no.example", "--ca", ca)
        assert code == 1 and "name in the certificate does not match" in why, why


@in_folder
def test_bad_authorities_are_named(tmp):
    tree = scenario(5222, "one.example", [{"count": 2}])
    for path, words in (("/nonexistent", "/nonexistent: "), ("/dev/null", "/dev/null: ")):
        code, _, said = load(tmp, tree, "--ca", path)
        assert code == 2 and words in said, said


@contextlib.contextmanager
def contestant(name, *parts):
    """A server of others that runs, with PARTS of its configuration."""
    sys.path.append(os.path.join(ROOT, "test", "bench", "race"))
    from contestant import Contestant
    if not shutil.which(name) and not os.path.exists(f"/usr/sbin/{name}"):
        raise Skip(f"{name} is not installed")
    server = Contestant(name.removesuffix("ctl"), BUILD)
    server.start("ROOMS", *parts)
    try:
        yield server
    finally:
        server.stop()


def other_server(name, *parts, groups, where=None):
    """The same tool with a server of others, with what Meerkat has and rooms of 5; WHERE tells more of a server."""
    with contestant(name, *parts) as server:
        tree = scenario(server.tls, "race", groups, server={"tls": "direct", **(where(server) if where else {})}, hold=2.0,
                        accounts={"mechanism": "SCRAM-SHA-1", "register": True})
        code, report, said = load(server.folder, tree, pid=server.process.pid)
    counts = report["counts"]
    assert code == 0 and report["clean"], said
    rooms = sum(group["count"] // 5 for group in groups if "room" in group)
    assert counts["rooms"] == rooms and counts["room_delivered"] == counts["room_expected"] == 5 * counts["room_sent"], said
    assert counts["acked"] == counts["sent"] + counts["room_sent"] > 50 and counts["resumed"] > 5, said


ROOMS = {"name": "rooms", "count": 10, "room": {"size": 5, "think": 0.3}}
# On a busy machine ejabberd loses and repeats what meets a resumption.
SILENT = {"name": "back", "count": 6, "reconnect": {"every": 0.4, "resume": True}}


def test_prosody():
    other_server("prosody", "ARCHIVE", groups=[MIX[1], MIX[2], ROOMS])


def test_ejabberd():
    """Its archive is its own: in SQLite it refuses queries while it opens that."""
    other_server("ejabberdctl", "OWN_ARCHIVE", groups=[MIX[0], SILENT, MIX[2], ROOMS])


def test_pages_of_the_archive():
    """Of 21 messages four pages of 5 are full; the fifth is read only by those who read on to the begin."""
    with Server(sqlite=True) as server:
        _, bob, _ = sent(server, 21)
        name, number = bob.user.rsplit("-", 1)
        for pages in (1, 2, 4, 0):
            group = {"count": 1, "archive": {"every": 0.2, "page": 5, "pages": pages}}
            tree = scenario(server.ports["direct"].number, DOMAIN, [group], server={"tls": "direct"}, hold=1.0,
                            accounts={"mechanism": "PLAIN", "user": name + "-%d", "first": int(number)})
            code, report, said = load(server.folder, tree)
            counts = report["counts"]
            assert code == 0 and counts["archive_pages"] >= (pages or 5), said
            assert (counts["archive_rows"] == 5 * counts["archive_pages"]) == (pages > 0), counts


def test_accounts_of_a_file_and_lost_ones():
    with Server(sqlite=True) as server:
        names = ["ann", "bob", "cyd", "dan"]
        for name in names[:3]:
            server.ctl("users", "add", f"{name}@{DOMAIN}", f"password=pw-{name}")
        listed = os.path.join(server.folder, "accounts")
        with open(listed, "w") as f:
            f.write("# who and with what\n" + "".join(f"{n}@{DOMAIN} pw-{n}\n" for n in names))
        tree = scenario(server.ports["direct"].number, DOMAIN, [{"count": 4}], server={"tls": "direct"},
                        accounts={"mechanism": "SCRAM-SHA-512", "file": listed}, hold=0.2)
        code, report, said = load(server.folder, tree)
        assert code == 1 and report["counts"]["logins"] == 3 and report["counts"]["login_failures"] == 1, said


def test_registers():
    register = {"open": True, "min_password": 6, "registration_timeout": "0ms"}
    with Server({"plugins": {"register": register}}, sqlite=True) as server:
        tree = scenario(server.ports["direct"].number, DOMAIN, [{"count": 5}], server={"tls": "direct"},
                        accounts={"mechanism": "SCRAM-SHA-1", "register": True}, hold=0.2)
        code, report, said = load(server.folder, tree)
        assert code == 0 and report["counts"]["logins"] == 5, said
        assert "user4" in server.ctl("users", "list", DOMAIN), said
