#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""XEPs of the manuals on stdin, as the README's table or for the DOAP file (XEP-0453):  xeps.py table|doap

A line "# NAME" says whose the following are: `core`, or a plugin.  Those of one XEP become one entry, complete if any of
them is.
"""
import re
import sys
from xml.sax.saxutils import escape

ROW = re.compile(r"\| \[(\d{4})\]\(\S+\) \| (.*?) \| (.*?) \| (.*?) \|$")
STATUSES = ("complete", "partial", "planned", "deprecated", "removed", "wontfix")
VERSION = re.compile(r"\d+(\.\d+){0,2}(rc\d+)?$")


class Xep:
    def __init__(self, version):
        self.version, self.statuses, self.owners, self.notes = version, [], [], []

    def status(self):
        return min(self.statuses, key=STATUSES.index)


def read(lines):
    xeps, owner = {}, None
    for line in lines:
        if line.startswith("# "):
            owner = line[2:].strip()
        elif found := ROW.match(line.rstrip("\n")):
            number, version, status, note = (part.strip().replace("\\|", "|") for part in found.groups())
            if status not in STATUSES or not VERSION.match(version):
                sys.exit(f"{owner}: XEP-{number} has version {version!r} and status {status!r}")
            xep = xeps.setdefault(number, Xep(version))
            if version != xep.version:
                sys.exit(f"{owner} says XEP-{number} {version}, but {xep.owners[0]} {xep.version}")
            xep.statuses.append(status)
            xep.owners.append(owner)
            if note:
                xep.notes.append(f"{owner}: {note}")
    return xeps


def table(xeps):
    print("| XEP | version | status | by |\n|---|---|---|---|")
    for number, xep in sorted(xeps.items()):
        owners = ", ".join("core" if o == "core" else f"`{o}`" for o in xep.owners)
        print(f"| [{number}](https://xmpp.org/extensions/xep-{number}.html) | {xep.version} | {xep.status()} | {owners} |")


def doap(xeps):
    for number, xep in sorted(xeps.items()):
        print(f"""    <implements>
      <xmpp:SupportedXep>
        <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-{number}.html'/>
        <xmpp:status>{xep.status()}</xmpp:status>
        <xmpp:version>{xep.version}</xmpp:version>""")
        for note in xep.notes:
            print(f"        <xmpp:note xml:lang='en'>{escape(note)}</xmpp:note>")
        print("      </xmpp:SupportedXep>\n    </implements>")


if __name__ == "__main__":
    {"table": table, "doap": doap}[sys.argv[1]](read(sys.stdin))
