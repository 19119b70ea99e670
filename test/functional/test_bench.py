# SPDX-License-Identifier: Apache-2.0
"""Benchmarks run, and show a figure for all that they compare.  What the figures are is for a release build."""
import os
import re
import subprocess
import sys

from server import ROOT

SERVER, COST, LIMIT = False, 8, 600
WAYS = ("TCP", "WebSocket", "BOSH", "to another server", "TCP with TLS", "WebSocket with TLS", "BOSH with TLS")


def test_streams():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "test", "bench", "streams.py"), "--quick"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for way in WAYS:
        found = re.search(rf"^{way} +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", done.stdout, re.M)
        assert found and all(float(n) > 0 for n in found.groups()), done.stdout
