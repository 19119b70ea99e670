// SPDX-License-Identifier: Apache-2.0
// Strophe.js as a driver, over WebSocket and BOSH: see real.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";

const require = createRequire(import.meta.url);
const { DOMParser } = require("@xmldom/xmldom");

// As browsers have it: node has none, and xhr2 does not read XML.
globalThis.XMLHttpRequest = class extends require("xhr2") {
  get responseXML() {
    return this.responseText ? new DOMParser().parseFromString(this.responseText, "text/xml") : null;
  }
  set responseXML(_) {}
};
globalThis.crypto ??= webcrypto;
const { Strophe, $msg, $pres } = await import("strophe.js");

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const status = Object.fromEntries(Object.entries(Strophe.Status).map(([name, number]) => [number, name]));
let peer;

function on_stanza(stanza) {
  const from = stanza.getAttribute("from"), type = stanza.getAttribute("type");
  const body = stanza.getElementsByTagName("body")[0];
  if (stanza.nodeName === "message" && body) tell("message", { from, type, body: body.textContent });
  if (stanza.nodeName === "presence") tell("presence", { from, type: type ?? "available" });
  return true;
}

function start({ user, password, domain, service }) {
  peer = new Strophe.Connection(service, { keepalive: false });
  peer.connect(`${user}@${domain}`, password, (code, reason) => {
    tell("status", { status: status[code], reason: reason ? String(reason) : null });
    if (code === Strophe.Status.CONNECTED) {
      peer.addHandler(on_stanza, null, null, null, null, null);
      peer.send($pres());
      tell("online", { jid: peer.jid });
    }
    if (code === Strophe.Status.DISCONNECTED) {
      tell("disconnected");
      if (peer.stopping) process.exit(0);
    }
  });
}

function obey(given) {
  if (given.do === "connect") start(given);
  else if (given.do === "send") peer.send($msg({ to: given.to, type: "chat" }).c("body").t(given.body));
  else if (given.do === "stop") {
    peer.stopping = true;
    peer.flush();
    peer.disconnect("done");
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => process.exit(0));
