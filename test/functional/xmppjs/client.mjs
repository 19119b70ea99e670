// SPDX-License-Identifier: Apache-2.0
// xmpp.js as a driver: see real.py.
import { client, xml } from "@xmpp/client";
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket; // node has it from 22 on
globalThis.crypto ??= webcrypto; // node 18 of Debian 12 has it only here

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
let peer;

function start({ user, password, host, port, domain, service }) {
  peer = client({ service: service || `xmpp://${host}:${port}`, domain, username: user, password });
  peer.reconnect.delay = 500;
  peer.streamManagement.requestAckDebounce = 50;
  peer.on("online", async (jid) => {
    await peer.send(xml("presence"));
    tell("online", { jid: jid.toString() });
  });
  peer.on("error", (error) => tell("error", { text: String(error) }));
  peer.on("disconnect", () => tell("disconnected"));
  peer.streamManagement.on("resumed", () => tell("resumed"));
  peer.streamManagement.on("ack", (stanza) => tell("acked", { id: stanza.attrs.id, body: stanza.getChildText("body") }));
  peer.streamManagement.on("fail", (stanza) => tell("failed", { body: stanza.getChildText("body") }));
  peer.on("stanza", (stanza) => {
    const { from, type } = stanza.attrs;
    if (stanza.is("message") && stanza.getChild("body")) tell("message", { from, type, body: stanza.getChildText("body") });
    if (stanza.is("presence")) tell("presence", { from, type: type ?? "available" });
  });
  peer.start().catch((error) => tell("error", { text: String(error) }));
}

// What is refused because the connection is gone is not sent again, and is told; what was taken is, after a resumption.
const send = (stanza) => peer.send(stanza).catch(() => tell("unsent", { body: stanza.getChildText("body") }));

async function obey(given) {
  if (given.do === "connect") start(given);
  else if (given.do === "send") await send(xml("message", { to: given.to, type: "chat" }, xml("body", {}, given.body)));
  else if (given.do === "subscribe") await send(xml("presence", { to: given.to, type: "subscribe" }));
  else if (given.do === "approve") await send(xml("presence", { to: given.to, type: "subscribed" }));
  else if (given.do === "stop") {
    await peer.stop();
    process.exit(0);
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => process.exit(0));
