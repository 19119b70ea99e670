# SPDX-License-Identifier: Apache-2.0
"""Elements of a stream: taking bytes apart, writing them, comparing them.

Names are written "prefix:name" with the prefixes of NS; without one the namespace is jabber:client.
"""
import xml.etree.ElementTree as ET
import xml.parsers.expat
from xml.sax.saxutils import escape, quoteattr

NS = {
    "c": "jabber:client",
    "stream": "http://etherx.jabber.org/streams",
    "streams": "urn:ietf:params:xml:ns:xmpp-streams",
    "stanzas": "urn:ietf:params:xml:ns:xmpp-stanzas",
    "tls": "urn:ietf:params:xml:ns:xmpp-tls",
    "sasl": "urn:ietf:params:xml:ns:xmpp-sasl",
    "sasl2": "urn:xmpp:sasl:2",
    "bind2": "urn:xmpp:bind:0",
    "fast": "urn:xmpp:fast:0",
    "upgrade": "urn:xmpp:sasl:upgrade:0",
    "scramup": "urn:xmpp:scram-upgrade:0",
    "cam": "urn:xmpp:cam:0",
    "bind": "urn:ietf:params:xml:ns:xmpp-bind",
    "session": "urn:ietf:params:xml:ns:xmpp-session",
    "cb": "urn:xmpp:sasl-cb:0",
    "limits": "urn:xmpp:stream-limits:0",
    "errors": "urn:xmpp:errors",
    "roster": "jabber:iq:roster",
    "ver": "urn:xmpp:features:rosterver",
    "pre": "urn:xmpp:features:pre-approval",
    "sm": "urn:xmpp:sm:3",
    "carbons": "urn:xmpp:carbons:2",
    "forward": "urn:xmpp:forward:0",
    "delay": "urn:xmpp:delay",
    "info": "http://jabber.org/protocol/disco#info",
    "items": "http://jabber.org/protocol/disco#items",
    "ping": "urn:xmpp:ping",
    "version": "jabber:iq:version",
    "time": "urn:xmpp:time",
    "x": "jabber:x:data",
    "cmd": "http://jabber.org/protocol/commands",
    "register": "jabber:iq:register",
    "caps": "http://jabber.org/protocol/caps",
    "caps2": "urn:xmpp:caps",
    "hashes": "urn:xmpp:hashes:2",
    "csi": "urn:xmpp:csi:0",
    "extdisco": "urn:xmpp:extdisco:2",
    "extdisco1": "urn:xmpp:extdisco:1",
    "sic": "urn:xmpp:sic:1",
    "smart": "esl:xmpp:smart-markers:0",
    "comp": "jabber:component:accept",
    "states": "http://jabber.org/protocol/chatstates",
    "event": "http://jabber.org/protocol/pubsub#event",
    "regfeature": "http://jabber.org/features/iq-register",
}


def name(path):
    """ "sm:enabled" as ElementTree writes it."""
    prefix, _, local = path.rpartition(":")
    return f"{{{NS[prefix or 'c']}}}{local}"


def path(text):
    """ "info:query/info:feature" for find() and findall()."""
    return "/".join(name(step) for step in text.split("/"))


def child(element, where):
    return element.find(path(where))


def children(element, where):
    return element.findall(path(where))


def text(element, where):
    """The text of a child; None if there is no such child."""
    found = child(element, where)
    return None if found is None else found.text or ""


def attrs(**given):
    """ from_='a' as " from='a'"; None is left out."""
    return "".join(f" {key.rstrip('_')}={quoteattr(str(value))}" for key, value in given.items() if value is not None)


def show(element, parent_ns=None):
    """One line of XML, with xmlns only where it changes."""
    if not isinstance(element, ET.Element):
        return str(element)
    ns, _, local = element.tag[1:].partition("}")
    out = "<" + local + ("" if ns == parent_ns else f" xmlns='{ns}'")
    for key, value in element.attrib.items():
        out += f" {key.replace('{http://www.w3.org/XML/1998/namespace}', 'xml:')}={quoteattr(value)}"
    inner = escape(element.text or "")
    inner += "".join(show(e, ns) + escape(e.tail or "") for e in element)
    return f"{out}>{inner}</{local}>" if inner else out + "/>"


def differences(element, what, has=(), lacks=(), **wanted):
    """Why ELEMENT is not WHAT with these attributes (None: absent) and children; None if it is.  `body` is the text of
    <body/>; HAS and LACKS are one path or a list."""
    if not isinstance(element, ET.Element):
        return "it is no element"
    if element.tag != name(what):
        return "its name differs"
    if "body" in wanted and text(element, "body") != wanted["body"]:
        return f"its body is {text(element, 'body')!r}"
    wanted.pop("body", None)
    for key, value in wanted.items():
        got = element.get(key.rstrip("_"))
        if got != value:
            return f"its {key.rstrip('_')} is {got!r}"
    for p in [has] if isinstance(has, str) else has:
        if child(element, p) is None:
            return f"it has no {p}"
    for p in [lacks] if isinstance(lacks, str) else lacks:
        if child(element, p) is not None:
            return f"it has {p}"
    return None


class Mark(str):
    """What is no element: the end of the stream, the end of the connection."""


END = Mark("(end of stream)")
EOF = Mark("(connection closed)")


class Parser:
    """Bytes to elements.  A stream that restarts begins with "<?xml", which is nowhere else in XMPP."""

    def __init__(self, sink):
        self.sink = sink  # is called with each child of the stream, its header, and END
        self.held = b""
        self.start()

    def start(self):
        self.expat = xml.parsers.expat.ParserCreate(namespace_separator="}")
        self.expat.buffer_text = True
        self.expat.StartElementHandler = self.on_start
        self.expat.EndElementHandler = self.on_end
        self.expat.CharacterDataHandler = self.on_text
        self.open = []
        self.fresh = True

    def feed(self, data):
        data = self.held + data
        self.held = b""
        while (at := data.find(b"<?xml", 1 if self.fresh else 0)) >= 0:
            self.put(data[:at])
            self.start()
            data = data[at:]
        for keep in range(0 if self.fresh else min(4, len(data)), 0, -1):
            if b"<?xml".startswith(data[-keep:]):
                data, self.held = data[:-keep], data[-keep:]
                break
        self.put(data)

    def put(self, data):
        if data:
            self.fresh = False
            self.expat.Parse(data, False)

    @staticmethod
    def clark(text):
        return "{" + text if "}" in text else text

    def on_start(self, tag, attributes):
        element = ET.Element(self.clark(tag), {self.clark(k): v for k, v in attributes.items()})
        if len(self.open) > 1:
            self.open[-1].append(element)
        self.open.append(element)
        if len(self.open) == 1:
            self.sink(element)

    def on_end(self, tag):
        element = self.open.pop()
        if not self.open:
            self.sink(END)
        elif len(self.open) == 1:
            self.sink(element)

    def on_text(self, data):
        if len(self.open) < 2:
            return
        element = self.open[-1]
        if len(element):
            element[-1].tail = (element[-1].tail or "") + data
        else:
            element.text = (element.text or "") + data
