# SPDX-License-Identifier: Apache-2.0
"""meerkat-move as an operator has it: meerkatctl export and import, and dumps to feed it with."""
import json
import os
import subprocess
import xml.etree.ElementTree as ET

from server import BUILD, CTL, DOMAIN

PIE = "urn:xmpp:pie:0"
PLUGINS = ("blocking", "last", "move", "privacy", "private", "vcard", "vcard4")
CONFIG = {"plugins": {name: {} for name in PLUGINS}}
ENV = dict(os.environ, MEERKAT_MOVE=os.path.join(BUILD, "core", "meerkat-move"),
           MEERKAT_CONVERT=os.path.join(BUILD, "core", "meerkat-convert"),
           ASAN_OPTIONS="detect_leaks=1:abort_on_error=0")


def command(s, *words):
    return [CTL, "--socket", s.config["control"]["socket"], *words]


def move(s, *words, stdin=None):
    """(code, output, errors) of meerkatctl WORDS."""
    done = subprocess.run(command(s, *words), capture_output=True, text=True, timeout=120, env=ENV, input=stdin)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def moved(s, *words, stdin=None):
    """The summary of one that must go well, and what was said."""
    code, out, err = move(s, "--json", *words, stdin=stdin)
    assert code == 0, (code, out, err)
    return json.loads(out), err


def refused(s, *words, code=1, stdin=None):
    """What it says on stderr."""
    got, out, err = move(s, *words, stdin=stdin)
    assert got == code, (got, out, err)
    return err


def user(name, inner="", **attrs):
    more = "".join(f" {k}='{v}'" for k, v in attrs.items())
    return f"<user name='{name}'{more}>{inner}</user>"


def dump(*users, host=DOMAIN):
    return f"<?xml version='1.0'?>\n<server-data xmlns='{PIE}'><host jid='{host}'>{''.join(users)}</host></server-data>"


def write(s, text, name="dump.xml"):
    path = os.path.join(s.folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def accounts(path):
    """{(host, user): its elements as canonical XML} of a dump."""
    found = {}
    for host in ET.parse(path).getroot():
        for u in host:
            found[(host.get("jid"), u.get("name"))] = [
                ET.canonicalize(ET.tostring(e, encoding="unicode"), strip_text=True) for e in u]
    return found
