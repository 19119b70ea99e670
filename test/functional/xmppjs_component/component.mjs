// SPDX-License-Identifier: Apache-2.0
// An external component as xmpp.js writes them, as a driver: see real.py.
import { component, xml } from "@xmpp/component";
import { createInterface } from "node:readline";

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
let peer;

function start({ host, port, domain, password }) {
  peer = component({ service: `xmpp://${host}:${port}`, domain, password });
  peer.reconnect.delay = 200;
  peer.on("online", (jid) => tell("online", { jid: jid.toString() }));
  peer.on("error", (error) => tell("error", { condition: error.condition, text: String(error) }));
  peer.on("disconnect", () => tell("disconnected"));
  peer.on("stanza", (stanza) => {
    const { from, to, type } = stanza.attrs;
    if (stanza.is("message") && stanza.getChild("body"))
      tell("message", { from, to, type, body: stanza.getChildText("body") });
    if (stanza.is("presence")) tell("presence", { from, to, type: type ?? "available" });
  });
  peer.iqCallee.get("urn:example:double", "double", ({ element }) =>
    xml("double", { xmlns: "urn:example:double" }, String(2 * Number(element.text()))),
  );
  peer.start().catch((error) => tell("error", { condition: error.condition, text: String(error) }));
}

async function obey(given) {
  const { from, to, body } = given;
  if (given.do === "connect") start(given);
  else if (given.do === "send") await peer.send(xml("message", { from, to, type: "chat" }, xml("body", {}, body)));
  else if (given.do === "ping")
    await peer.iqCaller.get(xml("ping", "urn:xmpp:ping"), to).then(
      () => tell("pong", { from: to }),
      (error) => tell("pong", { from: to, condition: error.condition }),
    );
  else if (given.do === "stop") {
    await peer.stop();
    process.exit(0);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => process.exit(0));
