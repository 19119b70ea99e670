#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that lies by known amounts, to see whether meerkat-load notices exactly that.

    liar.py [--drop N] [--duplicate N] [--swap N] [--refuse N] [--delay MS] [--ack-most N] [--login-failures N]
            [--host ADDRESS]

Every Nth message of each client is dropped, delivered twice, delivered behind the one that follows it, or sent back as
an error; all are delivered MS late; no more than N stanzas of a connection are acknowledged; the first N logins fail.
Prints its port, and at SIGTERM as JSON what it did.  It knows what meerkat-load says and nothing else of XMPP.
"""
import argparse
import asyncio
import collections
import json
import re
import signal

PARTS = re.compile(r"<message .*?</message>|<iq .*?</iq>|<presence[^>]*/>|<auth .*?</auth>|<enable [^>]*/>|<r [^>]*/>"
                   r"|<a [^>]*/>|<stream:stream [^>]*>|</stream:stream>", re.S)
HEADER = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " \
         "id='1' from='liar.example' version='1.0'>"
BEFORE = HEADER + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" \
    "<mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"
AFTER = HEADER + "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"

clients = {}
done = collections.Counter()


class Connection(asyncio.Protocol):
    def __init__(self, options):
        self.options, self.rest, self.jid = options, "", None
        self.authenticated = self.counting = False
        self.messages = self.stanzas = 0
        self.acked = []
        self.held = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.rest += data.decode()
        end = 0
        for part in PARTS.finditer(self.rest):
            end = part.end()
            self.part(part.group())
        self.rest = self.rest[end:]

    def connection_lost(self, error):
        clients.pop(self.jid, None)

    def say(self, text):
        self.transport.write(text.encode())

    def part(self, text):
        if text[:3] in ("<me", "<iq", "<pr") and self.counting:
            self.stanzas += 1
            self.acked.append(text.startswith("<me"))
        if text.startswith("<stream:stream"):
            self.say(AFTER if self.authenticated else BEFORE)
        elif text.startswith("<auth"):
            self.auth()
        elif text.startswith("<iq"):
            self.iq(text)
        elif text.startswith("<enable"):
            self.counting = True
            self.say("<enabled xmlns='urn:xmpp:sm:3'/>")
        elif text.startswith("<r "):
            h = min(self.stanzas, self.options.ack_most)
            self.say(f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
        elif text.startswith("<message"):
            self.message(text)

    def auth(self):
        if done["login_failures"] < self.options.login_failures:
            done["login_failures"] += 1
            self.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        else:
            self.authenticated = True
            self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")

    def iq(self, text):
        id = re.search(r"id='([^']*)'", text).group(1)
        inner = ""
        if id == "bind":
            self.jid = f"c{len(clients)}@liar.example/load"
            clients[self.jid] = self
            inner = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{self.jid}</jid></bind>"
        self.say(f"<iq type='result' id='{id}'>{inner}</iq>")

    # ---- messages

    def message(self, text):
        self.messages += 1
        done["received"] += 1

        def chosen(every):
            return every and self.messages % every == 0

        if chosen(self.options.drop):
            done["dropped"] += 1
        elif chosen(self.options.refuse):
            done["refused"] += 1
            id = re.search(r" id='([^']*)'", text).group(1)
            self.say(f"<message type='error' id='{id}'><error type='cancel'/></message>")
        elif chosen(self.options.swap) and not self.held:
            self.held = text
        else:
            self.deliver(text)
            if chosen(self.options.duplicate):
                done["duplicated"] += 1
                self.deliver(text)
            if self.held:
                done["swapped"] += 1
                self.deliver(self.held)
                self.held = None

    def deliver(self, text):
        if self.options.delay:
            asyncio.get_running_loop().call_later(self.options.delay / 1000, self.hand_over, text)
        else:
            self.hand_over(text)

    def hand_over(self, text):
        to = re.search(r" to='([^']*)'", text).group(1)
        if to in clients:
            clients[to].say(text)
            done["delivered"] += 1


async def main():
    parser = argparse.ArgumentParser()
    for name in ("drop", "duplicate", "swap", "refuse", "delay", "login-failures"):
        parser.add_argument("--" + name, type=int, default=0)
    parser.add_argument("--ack-most", type=int, default=10**9)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    ended, connections = asyncio.Event(), []

    def connect():
        connections.append(Connection(options))
        return connections[-1]

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(connect, options.host, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    done["acked"] = sum(sum(c.acked[:options.ack_most]) for c in connections)
    done["held"] = sum(bool(c.held) for c in connections)
    print(json.dumps(done), flush=True)


asyncio.run(main())
