#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""meerkat-test: plays scenarios (.scn) of several users against any XMPP server.  The language: meerkat-test.md.

    meerkat-test --host HOST --domain DOMAIN [OPTION...] FILE...

Output is TAP; it ends with 0 if all scenarios went as they say.
"""
import argparse
import os
import re
import ssl
import sys
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "functional")]  # installed all lie in one folder

import tls  # noqa: E402
import xmpp  # noqa: E402
from element import END, EOF, child, children, escape, name, show  # noqa: E402

VARIABLE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
CAPTURE = re.compile(r"\{=([A-Za-z_]\w*)\}")
SERVER_NS = "jabber:client"


class Mistake(Exception):
    """The scenario itself is wrong."""


class Unmet(Exception):
    """The server lacks what the scenario is about."""


# ---- patterns

def stanza(source):
    """An element from its text, in jabber:client where nothing else is said."""
    try:
        return ET.fromstring(f"<wrap xmlns='{SERVER_NS}'>{source}</wrap>")[0]
    except (ET.ParseError, IndexError) as error:
        raise Mistake(f"not one element ({error}): {source}") from None


def value_differs(got, wanted, found):
    """Why a text or attribute is not as WANTED; captures go into FOUND."""
    if wanted == "{*}":
        return got is None and "is missing"
    if wanted == "{!}":
        return got is not None and f"is there: {got!r}"
    if capture := CAPTURE.fullmatch(wanted):
        if got is None:
            return "is missing"
        found[capture.group(1)] = got
        return None
    if wanted.startswith("{/") and wanted.endswith("/}"):
        return (got is None or not re.fullmatch(wanted[2:-2], got)) and f"is {got!r}, not like {wanted[2:-2]}"
    return got != wanted and f"is {got!r}, not {wanted!r}"


def pattern_differs(got, wanted, found):
    """Why element GOT does not have all that WANTED has; more it may have."""
    if got.tag != wanted.tag:
        return f"<{got.tag}> is not <{wanted.tag}>"
    for key, value in wanted.attrib.items():
        if why := value_differs(got.get(key), value, found):
            return f"{key} of <{local(got)}> {why}"
    words = (wanted.text or "").strip()
    if words and (why := value_differs((got.text or "").strip() or None, words, found)):
        return f"text of <{local(got)}> {why}"
    left = list(got)
    for one in wanted:
        if (one.text or "").strip() == "{!}":  # <delay xmlns='...'>{!}</delay>: no such child
            if any(e.tag == one.tag for e in left):
                return f"<{local(got)}> has a <{local(one)}>"
            continue
        reasons = []
        for candidate in left:
            inner = dict(found)
            why = pattern_differs(candidate, one, inner)
            if not why:
                found.update(inner)
                left.remove(candidate)
                break
            if candidate.tag == one.tag:
                reasons.append(why)
        else:
            return reasons[0] if reasons else f"<{local(got)}> has no <{local(one)}>"
    return None


def local(element):
    return element.tag.rpartition("}")[2]


# ---- a scenario

class Step:
    def __init__(self, line, words, payload):
        self.line, self.words, self.payload = line, words, payload


def steps_of(path):
    """Lines; those that begin with a blank go on with the one before."""
    found = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            if line[0].isspace():
                if not found:
                    raise Mistake(f"{path}:{number}: goes on with nothing")
                found[-1].payload += "\n" + line.strip()
                continue
            head, less, xml = line.partition("<")
            found.append(Step(number, head.split(), less + xml))
    return found


class Scenario:
    def __init__(self, path, options):
        self.path, self.options = path, options
        self.users, self.clients = {}, {}
        self.variables = {"domain": options.domain}

    def run(self):
        try:
            for step in steps_of(self.path):
                self.at = step.line
                command = getattr(self, "do_" + step.words[0], None) if step.words else None
                if not command:
                    raise Mistake(f"unknown command {' '.join(step.words)!r}")
                try:
                    command(step.words[1:], step.payload)
                except TypeError as error:
                    raise Mistake(f"{step.words[0]}: {error}") from None
        finally:
            for client in self.clients.values():
                client.drop()

    # ---- helpers

    def filled(self, source, plain=False):
        """SOURCE with variables, escaped for XML unless PLAIN."""
        def put(match):
            if match.group(1) not in self.variables:
                raise Mistake(f"unknown variable {match.group(1)!r}")
            value = self.variables[match.group(1)]
            return value if plain else escape(value, {"'": "&apos;", '"': "&quot;"})
        return VARIABLE.sub(put, source)

    def client(self, who):
        if who not in self.clients:
            raise Mistake(f"{who} is not connected")
        return self.clients[who]

    @staticmethod
    def settings(words, **defaults):
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or key not in defaults:
                raise Mistake(f"unknown setting {word!r}")
            defaults[key] = value
        return defaults

    # ---- commands

    def do_user(self, words, _):
        """user NAME [account=A] [resource=R] [mechanism=M]"""
        self.users[words[0]] = self.settings(words[1:], account=words[0], resource="", mechanism=self.options.mechanism)

    def do_set(self, words, payload):
        """set VARIABLE VALUE"""
        self.variables[words[0]] = self.filled(" ".join(words[1:]) + payload, plain=True)

    def account(self, who):
        """What the account of a name is called on this server."""
        return self.options.user.replace("%s", self.users[who]["account"])

    def do_connect(self, words, _):
        """connect NAME: until its resource is bound."""
        who, = words
        if who not in self.users:
            raise Mistake(f"no user {who}")
        o, user = self.options, self.users[who]
        context = tls.context()
        client = xmpp.Client((o.host, o.port), o.domain, self.account(who), o.password, label=who,
                             direct=context if o.tls == "direct" else None)
        self.clients[who] = client
        client.open()
        if o.tls == "starttls" and not isinstance(client.sock, ssl.SSLSocket):
            client.starttls(context)
        if o.register and user["mechanism"] != "ANONYMOUS":
            self.register(client)
        client.authenticate(user["mechanism"])
        client.bind(user["resource"] or None)
        client.label = who
        self.variables[who] = client.jid
        self.variables[who + ".bare"] = client.jid.partition("/")[0]

    @staticmethod
    def register(client):
        client.send(f"<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>{escape(client.user)}"
                    f"</username><password>{escape(client.password)}</password></query></iq>")
        answer = client.take("iq", id="reg")
        if answer.get("type") == "error" and child(answer, "error/stanzas:conflict") is None:
            xmpp.fail(client, f"could not register: {show(answer)}")

    def do_send(self, words, payload):
        """send NAME XML"""
        who, = words
        self.client(who).send(self.filled(payload))

    def matched(self, got, payload):
        """Why GOT is not as PAYLOAD says; what it captures is kept if it is."""
        found = {}
        why = pattern_differs(got, stanza(self.filled(payload)), found) if got not in (END, EOF) else "the stream ended"
        if not why:
            self.variables.update(found)
        return why

    def do_expect(self, words, payload):
        """expect NAME XML: the next stanza."""
        who, = words
        client = self.client(who)
        got = client.next(wanted=payload)
        if why := self.matched(got, payload):
            xmpp.fail(client, f"{who} expected {payload}\n but got {show(got)}\n where {why}")

    def do_take(self, words, payload):
        """take NAME XML: a stanza that came or comes; others stay."""
        who, = words
        client, seen = self.client(who), []
        while True:
            got = client.next(wanted=payload)
            if not self.matched(got, payload):
                client.queue[:0] = seen
                return
            if got is EOF:
                xmpp.fail(client, f"{who} got no {payload}, but: {' '.join(map(show, seen))}")
            seen.append(got)

    def do_nothing(self, words, _):
        """nothing NAME: nothing is left, nor comes before the answer to a ping."""
        who, = words
        self.client(who).expect_nothing()

    def do_skip(self, words, _):
        """skip NAME: drops all that came, and comes before the answer to a ping."""
        who, = words
        client = self.client(who)
        id = client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", client.domain)
        while (got := client.next(wanted="the answer to a ping")) is not EOF:
            if got.tag == name("iq") and got.get("id") == id:
                return
        xmpp.fail(client, "the connection closed")

    def do_close(self, words, _):
        """close NAME: ends its stream in peace."""
        who, = words
        self.client(who).end()
        del self.clients[who]

    def do_drop(self, words, _):
        """drop NAME: its network is gone."""
        who, = words
        self.client(who).drop()
        del self.clients[who]

    def do_closed(self, words, _):
        """closed NAME: the server ends the stream."""
        who, = words
        self.client(who).expect_closed()

    def do_need(self, words, _):
        """need FEATURE [of=JID] [by=NAME]: else the scenario is skipped."""
        asked = self.settings(words[1:], of="{domain}", by=next(iter(self.clients), ""))
        client = self.client(asked["by"])
        answer = client.iq("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                           self.filled(asked["of"], plain=True))
        if words[0] not in [e.get("var") for e in children(answer, "info:query/info:feature")]:
            raise Unmet(f"the server has no {words[0]}")


# ---- the program

def play(number, path, options):
    """Prints a line of TAP; whether it went well."""
    scenario = Scenario(path, options)
    problem = note = ""
    try:
        scenario.run()
    except Unmet as why:
        note = f" # SKIP {why}"
    except (xmpp.Failure, Mistake, OSError, ET.ParseError) as error:
        problem = f"{path}:{getattr(scenario, 'at', 0)}: {error}"
    print(f"{'not ok' if problem else 'ok'} {number} - {os.path.basename(path)}{note}")
    for line in problem.splitlines():
        print("#   " + line)
    sys.stdout.flush()
    return not problem


def main():
    parser = argparse.ArgumentParser(prog="meerkat-test", description="Plays scenarios against an XMPP server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5222)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--tls", choices=("starttls", "direct", "none"), default="starttls")
    parser.add_argument("--user", default="%s", help="account of a user of the scenario, whose name stands for %%s")
    parser.add_argument("--password", default="secret", help="of all accounts")
    parser.add_argument("--mechanism", default="SCRAM-SHA-1")
    parser.add_argument("--register", action="store_true", help="makes the accounts first (XEP-0077)")
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    print(f"1..{len(options.files)}")
    good = [play(i, path, options) for i, path in enumerate(options.files, 1)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
