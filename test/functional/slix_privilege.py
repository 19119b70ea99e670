# SPDX-License-Identifier: Apache-2.0
"""A component as slixmpp writes them, with privileges (XEP-0356): says what it may do and what a roster has, and sends a
message.  Arguments: domain, secret, port, host, account."""
import sys

from slixmpp import ComponentXMPP


class Privileged(ComponentXMPP):
    def __init__(self, domain, secret, port, host, account):
        super().__init__(domain, secret, "127.0.0.1", int(port))
        self.server_host, self.account, self.done = host, account, False
        self.register_plugin("xep_0356")
        self.add_event_handler("privileges_advertised", self.on_privileges)

    async def on_privileges(self, _):
        if self.done:
            return
        self.done = True
        plugin = self["xep_0356"]
        print(plugin.granted_privileges["roster"], plugin.granted_privileges["message"], flush=True)
        answer = await plugin.get_roster(self.account)
        print(*answer["roster"]["items"], flush=True)
        message = self.make_message(mto=self.account, mfrom=self.account, mbody="in your name")
        plugin.send_privileged_message(message)


component = Privileged(*sys.argv[1:])
component.connect("127.0.0.1", int(sys.argv[3]))
component.process(forever=True)
