# SPDX-License-Identifier: Apache-2.0
"""slixmpp as a driver: see real.py."""
import asyncio
import json
import ssl
import sys
import threading

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError

import slix_flows


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Driver(ClientXMPP):
    def __init__(self, given):
        super().__init__(f"{given['user']}@{given['domain']}", given["password"], sasl_mech=given["mechanism"] or None)
        self.address_of_server = given["host"], given["port"]
        self.ca_certs = given["ca"]
        if given["tls"]:
            self.ssl_context.maximum_version = ssl.TLSVersion[given["tls"]]
        self.stopping = False
        for plugin in ("xep_0030", "xep_0115", "xep_0198", "xep_0199", "xep_0280", "xep_0313", "xep_0352"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("session_resumed", lambda _: tell("resumed"))
        self.add_event_handler("disconnected", self.on_disconnected)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("changed_status", self.on_presence)
        self.add_event_handler("presence_subscribed", lambda p: tell("subscribed", **{"from": str(p["from"])}))
        self.add_event_handler("failed_auth", lambda _: tell("refused"))
        self.add_event_handler("stanza_acked", lambda s: tell("acked", id=s["id"]))

    def go(self):
        self.connect(self.address_of_server)

    async def on_start(self, _):
        await self["xep_0115"].update_caps()  # else the first presence may go without
        self.send_presence()
        await self.get_roster()
        tell("online", jid=str(self.boundjid))

    def on_disconnected(self, reason):
        tell("disconnected", reason=str(reason))
        if self.stopping:
            asyncio.get_event_loop().stop()
        else:
            self.go()

    def on_message(self, message):
        tell("message", body=message["body"], **{"from": str(message["from"]), "type": message["type"]})

    def on_presence(self, presence):
        tell("presence", type=presence["type"], **{"from": str(presence["from"])})

    async def history(self, contact, page, reverse):
        """All of the archive with a contact, a page at a time."""
        found = [(m["mam_result"]["id"], m["mam_result"]["forwarded"]["stanza"]["body"])
                 async for m in self["xep_0313"].iterate(with_jid=contact, rsm={"max": page}, reverse=reverse)]
        tell("history", ids=[i for i, _ in found], bodies=[b for _, b in found])

    async def flow(self, name, args):
        for plugin in slix_flows.PLUGINS:
            self.register_plugin(plugin)
        try:
            tell("flow", name=name, result=await getattr(slix_flows, name)(self, **args), error=None)
        except IqError as error:
            tell("flow", name=name, result=None, error=error.condition)

    def obey(self, given):
        if given["do"] == "send":
            self.send_message(given["to"], given["body"], mtype="chat")
        elif given["do"] == "subscribe":
            self.send_presence_subscription(given["to"], ptype="subscribe")
        elif given["do"] == "inactive":
            self["xep_0352"].send_inactive()
        elif given["do"] == "active":
            self["xep_0352"].send_active()
        elif given["do"] == "history":
            asyncio.get_event_loop().create_task(self.history(given["with"], given["page"], given["reverse"]))
        elif given["do"] == "flow":
            asyncio.ensure_future(self.flow(given["name"], given["args"]))
        elif given["do"] == "stop":
            self.stopping = True
            self.disconnect()


def main():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    driver = Driver(json.loads(sys.stdin.readline()))

    def read_commands():
        for line in sys.stdin:
            loop.call_soon_threadsafe(driver.obey, json.loads(line))
        loop.call_soon_threadsafe(loop.stop)  # whoever commands is gone

    threading.Thread(target=read_commands, daemon=True).start()
    driver.go()
    loop.run_forever()


if __name__ == "__main__":
    main()
