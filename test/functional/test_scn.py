# SPDX-License-Identifier: Apache-2.0
"""meerkat-test: its scenarios go well against this server, and what does not go as a scenario says is told."""
import glob
import os
import subprocess
import sys

from server import DOMAIN, ROOT

RUNNER = os.path.join(ROOT, "test", "scn", "scn.py")
SCENARIOS = sorted(glob.glob(os.path.join(ROOT, "test", "scn", "scenarios", "*.scn")))
CONFIG = {"plugins": {"register": {"open": True, "registration_timeout": "0ms", "min_password": 6}}}


def play(server, *files, tls="direct", register=True):
    """(exit code, output) of the runner."""
    port = server.ports["direct" if tls == "direct" else "starttls"].number
    command = [sys.executable, RUNNER, "--port", str(port), "--domain", DOMAIN, "--tls", tls, "--user", "scn-%s"]
    done = subprocess.run(command + ["--register"] * register + list(files), capture_output=True, text=True,
                          timeout=100, env=dict(os.environ, MEERKAT_TEST_TIMEOUT="10"))
    return done.returncode, done.stdout + done.stderr


def written(server, text):
    path = os.path.join(server.folder, "own.scn")
    with open(path, "w") as f:
        f.write(text)
    return path


def test_scenarios(server):
    code, said = play(server, *SCENARIOS)
    assert code == 0 and said.count("\nok ") == len(SCENARIOS) >= 4 and "SKIP" not in said, said
    code, said = play(server, SCENARIOS[0], tls="starttls")
    assert code == 0, said


def fails(server, text, *words):
    code, said = play(server, written(server, text))
    assert code == 1 and "not ok 1 - own.scn" in said and all(w in said for w in words), said


TWO = "user a\nconnect a\nsend a <iq to='{domain}' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>\n"


def test_what_differs_is_told(server):
    fails(server, TWO + "expect a <iq type='error'/>", "own.scn:4:", "type of <iq> is 'result', not 'error'")
    fails(server, TWO + "expect a <iq><x/></iq>", "<iq> has no <x>")
    fails(server, TWO + "expect a <iq id='{!}'/>", "id of <iq> is there: '1'")
    fails(server, TWO + "expect a <iq id='{/[a-z]+/}'/>", "is '1', not like [a-z]+")
    fails(server, TWO + "expect a <message/>", "own.scn:4:", "a said (>) and got (<)")
    fails(server, TWO + "nothing a", "expected nothing")


def test_mistakes_are_told(server):
    fails(server, "user a\nshout a", "own.scn:2:", "unknown command 'shout a'")
    fails(server, "connect b", "no user b")
    fails(server, "user a colour=red", "unknown setting 'colour=red'")
    fails(server, "user a\nconnect a\nsend a <message to='{b}'/>", "unknown variable 'b'")
    fails(server, TWO + "expect a <iq>", "not one element")


def test_features_that_lack_skip(server):
    code, said = play(server, written(server, "user a\nconnect a\nneed urn:example:none\nsend a <nonsense/>"))
    assert code == 0 and "# SKIP the server has no urn:example:none" in said, said


def test_captures_and_order(server):
    code, said = play(server, written(server, TWO + "set x z\ntake a <iq id='{=i}'/>\nsend a <iq to='{domain}' "
                                      "type='get' id='{i}{x}'><ping xmlns='urn:xmpp:ping'/></iq>\n"
                                      "expect a <iq id='1z' type='result'/>\nnothing a\nclose a\n"))
    assert code == 0, said
