# SPDX-License-Identifier: Apache-2.0
"""A component as slixmpp writes them: answers messages and pings, until its input ends.  Arguments: domain, secret, port."""
import asyncio
import sys
import threading

from slixmpp import ComponentXMPP


class Echo(ComponentXMPP):
    def __init__(self, domain, secret, port):
        super().__init__(domain, secret, "127.0.0.1", int(port))
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("session_start", lambda _: print("online", flush=True))

    def on_message(self, message):
        if message["type"] != "error":
            message.reply(f"echo {message['body']}").send()


echo = Echo(*sys.argv[1:])
echo.connect()
loop = asyncio.get_event_loop()
threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(loop.stop)), daemon=True).start()
loop.run_forever()
