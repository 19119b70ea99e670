# SPDX-License-Identifier: Apache-2.0
"""Many clients without TLS, whose sockets are read and written in batches by io_uring, or one by one."""
from server import DOMAIN, Server
from test_load import load, scenario

SERVER = False
GROUPS = [{"name": "crowd", "count": 80, "chat": {"think": 0.02}},
          {"name": "back", "count": 20, "chat": {"think": 0.05}, "reconnect": {"every": 0.4, "resume": True}}]
BATCHES = "sockets are read and written in batches"


def run_with(use):
    """What the log says once all messages have come, each once and in order."""
    register = {"open": True, "allow_plain": True, "registration_timeout": "0ms", "min_password": 6}
    with Server({"io_uring": use, "plugins": {"register": register},
                 "host_types": {"default": {"plain_without_tls": True}}}) as server:
        tree = scenario(server.ports["starttls"].number, DOMAIN, GROUPS, workers=2, hold=2.0,
                        accounts={"mechanism": "SCRAM-SHA-1", "register": True})
        code, report, said = load(server.folder, tree)
        counts = report["counts"]
        assert code == 0 and report["clean"], said
        assert counts["delivered"] == counts["sent"] == counts["acked"] > 1000 and counts["resumed"] > 5, said
        return server.log()


def test_in_batches():
    log = run_with("on")
    assert (BATCHES in log) != ("io_uring is not to be had" in log), log


def test_one_by_one():
    assert BATCHES not in run_with("off")
