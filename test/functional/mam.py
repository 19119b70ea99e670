# SPDX-License-Identifier: Apache-2.0
"""Queries of archives (XEP-0313)."""
import time

from element import attrs, child, escape, name, show
from xmpp import fail

MAM, RSM, DATA = "urn:xmpp:mam:2", "http://jabber.org/protocol/rsm", "jabber:x:data"
FULLTEXT = "{urn:xmpp:fulltext:0}fulltext"


def field(var, *values):
    return f"<field{attrs(var=var)}>" + "".join(f"<value>{escape(v)}</value>" for v in values) + "</field>"


def form(ns=MAM, **fields):
    """with_="a@b", before_id=..., ids=[...]; FULLTEXT by **{FULLTEXT: ...}"""
    out = field("FORM_TYPE", ns)
    for key, value in fields.items():
        values = value if isinstance(value, list) else [value]
        out += field(key if key.startswith("{") else key.rstrip("_").replace("_", "-"), *values)
    return f"<x xmlns='{DATA}' type='submit'>{out}</x>"


def rsm(**parts):
    """max=10, before="" for the last page, after="id", index=0"""
    return f"<set xmlns='{RSM}'>" + "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in parts.items()) + "</set>"


def query(inner="", queryid=None, ns=MAM):
    return f"<query xmlns='{ns}'{attrs(queryid=queryid)}>{inner}</query>"


class Found:
    """A message of an answer."""

    def __init__(self, message, ns=MAM):
        self.result = message.find(f"{{{ns}}}result")
        self.id = self.result.get("id")
        self.queryid = self.result.get("queryid")
        self.message = child(self.result, "forward:forwarded/message")
        self.stamp = child(self.result, "forward:forwarded/delay:delay").get("stamp")
        self.body = self.message.findtext(name("body"))

    def __repr__(self):
        return show(self.result)


class Page(list):
    """What a query found, and the end of the answer."""

    def __init__(self, found, fin):
        super().__init__(found)
        self.complete = fin.get("complete") == "true"
        self.fin, self.set = fin, fin.find(f"{{{RSM}}}set")
        self.first, self.last = (self.set.findtext(f"{{{RSM}}}{end}") for end in ("first", "last"))
        self.count = self.number(self.set.findtext(f"{{{RSM}}}count"))
        first = self.set.find(f"{{{RSM}}}first")
        self.index = self.number(first.get("index") if first is not None else None)

    @staticmethod
    def number(text):
        return None if text is None else int(text)

    @property
    def bodies(self):
        return [f.body for f in self]

    @property
    def ids(self):
        return [f.id for f in self]


def fetch(client, form_text="", rsm_text="", extra="", ns=MAM, to=None, queryid="q"):
    """One page: the messages that come before the answer, which must be a result."""
    id = client.ask("set", query(form_text + rsm_text + extra, queryid, ns), to)
    found = []
    while (got := client.next(wanted="the answer to a query")).tag == name("message"):
        if got.get("from") != (to or client.bare) or got.get("to") != client.jid:
            fail(client, f"a result comes from the archive to who asks: {show(got)}")
        found.append(Found(got, ns))
    fin = got.find(f"{{{ns}}}fin")
    if got.get("id") != id or got.get("type") != "result" or fin is None:
        fail(client, f"expected the end of the query, but got {show(got)}")
    page = Page(found, fin)
    if found and (page.first, page.last) != tuple(sorted([found[0].id, found[-1].id])):
        fail(client, f"first and last are not those of the page: {show(got)}")
    return page


def everything(client, form_text="", max=100, **how):
    """All pages, forwards."""
    out, after = [], None
    while True:
        page = fetch(client, form_text, rsm(max=max, **({"after": after} if after else {})), **how)
        out += page
        if page.complete:
            return out
        after = page.last


def given(element, by):
    """The ids that BY gave a message."""
    return [e.get("id") for e in element.findall("{urn:xmpp:sid:0}stanza-id") if e.get("by") == by]


def bodies(client, **how):
    return [f.body for f in everything(client, **how)]


def two(server):
    return server.client("alice"), server.client("bob")


def sent(server, count=10, text="m{}"):
    """Bob has COUNT messages of Alice; he has read them."""
    alice, bob = two(server)
    for i in range(count):
        alice.message(bob.bare, text.format(i), id=f"id{i}")
    ids = []
    for i in range(count):
        ids += given(bob.expect("message", body=text.format(i)), bob.bare)
    assert len(set(ids)) == count, ids
    return alice, bob, ids


def prefs(default="always", always=(), never=(), ns=MAM):
    def jids(name, items):
        return f"<{name}>" + "".join(f"<jid>{j}</jid>" for j in items) + f"</{name}>"
    return f"<prefs xmlns='{ns}' default='{default}'>{jids('always', always)}{jids('never', never)}</prefs>"


def told(answer, ns=MAM):
    p = answer.find(f"{{{ns}}}prefs")
    return (p.get("default"), *([j.text for j in p.find(f"{{{ns}}}{which}")] for which in ("always", "never")))


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s: {what}"
        time.sleep(0.05)
