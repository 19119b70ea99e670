# SPDX-License-Identifier: Apache-2.0
"""meerkat-load by WebSocket and BOSH: with this server, with others, and with servers that do as they should not."""
import os

import web
from server import DOMAIN, OTHER, Port, Server, certificate, certificates, merged
from test_load import CHAT, in_folder, lied, load, scenario

SERVER = False
COST = 6
WAYS = ("websocket", "bosh")
LIES = ["--drop", "11", "--duplicate", "6", "--swap", "7", "--refuse", "13", "--delay", "30"]


# ---- a server that lies

def told(counts, truth):
    """Whether the report has just the lies."""
    lies = {"lost": truth["dropped"] + truth["held"], "duplicated": truth["duplicated"], "disordered": truth["swapped"],
            "refused": truth["refused"]}
    assert min(lies.values()) > 0 and {k: counts[k] for k in lies} == lies, (counts, truth)
    assert counts["acked"] == truth["acked"] == counts["sent"], (counts, truth)


@in_folder
def test_lies_by_websocket(tmp):
    code, counts, _, truth = lied(tmp, LIES, {**CHAT, "way": "websocket"}, drain=2.0)
    told(counts, truth)
    code, counts, _, truth = lied(tmp, [*LIES, "--pieces"], {**CHAT, "way": "websocket"}, drain=2.0)
    told(counts, truth)
    assert truth["pings"] == truth["pongs"] > 100, truth


@in_folder
def test_lies_by_bosh(tmp):
    code, counts, _, truth = lied(tmp, LIES, {**CHAT, "way": "bosh"}, drain=2.0)
    told(counts, truth)
    code, counts, _, truth = lied(tmp, [*LIES, "--pieces", "--hang-up", "9"], {**CHAT, "way": "bosh"}, drain=2.0)
    told(counts, truth)
    assert truth["hung_up"] > 20 and not counts["lost_connections"] and counts["connections"] > truth["hung_up"], counts
PLUGINS = ["websocket", "bosh"]


def urls(secure, host="127.0.0.1"):
    s, port = ("s", web.PORTS["https"].number) if secure else ("", web.PORTS["http"].number)
    return {"websocket": f"ws{s}://{host}:{port}/xmpp-websocket", "bosh": f"http{s}://{host}:{port}/http-bind"}


GROUPS = [{"name": "tcp", "count": 8, "chat": {"think": 0.1}},
          {"name": "sockets", "way": "websocket", "count": 8, "chat": {"think": 0.1}, "carbons": True},
          {"name": "requests", "way": "bosh", "count": 8, "chat": {"think": 0.1}},
          {"name": "back", "way": "websocket", "count": 6, "chat": {"think": 0.2}, "reconnect": {"every": 0.4, "resume": True}},
          {"name": "rest", "way": "bosh", "count": 4, "archive": {"every": 0.3, "page": 5}, "roster_churn": {"every": 0.2}},
          {"name": "idle", "way": "bosh", "count": 4}]


def mixed(secure):
    with Server(web.config(PLUGINS), sqlite=True) as server:
        for i in range(38):
            server.ctl("users", "add", f"user{i}@{DOMAIN}", "password=secret")
        tree = scenario(server.ports["starttls"].number, DOMAIN, GROUPS, workers=2, hold=2.0,
                        server={"tls": "starttls", **urls(secure)}, accounts={"mechanism": "SCRAM-SHA-256"})
        code, report, said = load(server.folder, tree, pid=server.process.pid)
        counts = report["counts"]
        assert not any(counts[k] for k in ("login_failures", "lost_connections", "lost", "duplicated", "query_errors")), said
        assert report["clean"] and code == 0, said
        assert counts["delivered"] == counts["sent"] == counts["acked"] > 200, counts
        assert counts["resumed"] > 5 and counts["archive_pages"] > 5 and counts["roster_changes"] > 5, counts


def test_mix():
    mixed(False)


def test_mix_with_tls():
    mixed(True)
