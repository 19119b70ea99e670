// SPDX-License-Identifier: Apache-2.0
// Converse.js in a headless Chromium as a driver: see real.py.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
let browser, page, me;

async function start({ user, password, domain, service }) {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  page = await browser.newPage();
  me = `${user}@${domain}`;
  page.on("console", (line) => {
    const word = line.text();
    if (word === "ONLINE") tell("online", { jid: me });
    else if (word === "AGAIN") tell("resumed");
    else if (word === "OFFLINE") tell("disconnected");
    else console.log("page: " + word);
  });
  page.on("pageerror", (error) => console.log("page error: " + error));
  await page.goto(`${service}&jid=${encodeURIComponent(me)}&password=${password}`);
}

// What comes while a chat is being opened may not be shown: so this waits until it is.
const chat = (to, body) => page.evaluate(async ([to, body]) => {
  const box = await window.api.chats.open(to, {}, true);
  await box.messages.fetched;
  if (body) await box.sendMessage({ body });
}, [to, body]);

// What is on the screen, once it has WORDS.
async function see(words) {
  await page.waitForFunction((words) => document.body.innerText.includes(words), words, { timeout: 50000 });
  tell("seen", { words });
}

async function obey(given) {
  if (given.do === "connect") await start(given);
  else if (given.do === "send") await chat(given.to, given.body);
  else if (given.do === "open") {
    await chat(given.to);
    tell("opened", { to: given.to });
  }
  else if (given.do === "see") await see(given.words);
  else if (given.do === "reload") await page.reload();
  else if (given.do === "show") {
    await page.screenshot({ path: given.path });
    tell("shown");
  } else if (given.do === "stop") {
    await browser.close();
    process.exit(0);
  }
}

let last = Promise.resolve();
createInterface({ input: process.stdin })
  .on("line", (line) => (last = last.then(() => obey(JSON.parse(line))).catch((error) => console.log("error: " + error))))
  .on("close", () => process.exit(0));
