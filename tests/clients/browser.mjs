// Drives the web page in a real browser, told by the Rust tests what to do: `node browser.mjs CHROMIUM URL SCREENSHOT`.
//
// Two people in two browser contexts (cookies and storage apart, as two machines have). Ends with 1 and says on stderr
// what was expected when something does not come true, when a script fails, or when the page breaks its own policy.

import { chromium } from "playwright-core";

const [executablePath, url, picture] = process.argv.slice(2);
const DEADLINE_MS = 20_000;
const PASSWORD = "correct horse battery";
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** What went wrong inside the pages; must stay empty. */
const faults = [];

/** One person's tab. */
class Tab {
  static async open(browser, name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 900, height: 620 }, ...options });
    context.setDefaultTimeout(DEADLINE_MS);
    // Before any script of the page: what the policy forbids is an event first, and a line in the console second.
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    const tab = new Tab(context, await context.newPage(), name);
    await tab.page.goto(url);
    return tab;
  }

  constructor(context, page, name) {
    Object.assign(this, { context, page, name });
    page.on("pageerror", (error) => faults.push(`${name}: ${error.message}`));
    page.on("console", (line) => {
      if (["error", "warning"].includes(line.type())) { faults.push(`${name}: ${line.text()}`); }
    });
  }

  /** Waits until a function of the page says true. */
  async until(what, isTrue, argument) {
    try {
      await this.page.waitForFunction(isTrue, argument, { timeout: DEADLINE_MS });
    } catch (error) {
      const shown = await this.page.locator("body").innerText();
      throw new Error(`${this.name}: ${what}\n${error.message}\n---\n${shown}`);
    }
  }

  async register() {
    await this.page.fill("#username", this.name);
    await this.page.fill("#password", PASSWORD);
    await this.page.click("#register");
    await this.online();
  }

  online() {
    return this.until("is online", () => document.querySelector("#link")?.dataset.state === "online");
  }

  /** Finds a person and opens the conversation with them. */
  async find(name) {
    await this.page.fill("#query", name);
    await this.page.click(`#found [data-user]:has-text("${name}")`);
    await this.until("has the conversation open", (title) => document.querySelector("#title").textContent === title, name);
  }

  async pick(name) {
    await this.page.click(`#conversations .item:has-text("${name}")`);
    await this.until("has picked it", (title) => document.querySelector("#title").textContent === title, name);
  }

  async say(text) {
    await this.page.fill("#content", text);
    await this.page.press("#content", "Enter");
    await this.sees(text);
  }

  /** Waits until the open conversation shows these texts, each once and in this order among the others. */
  sees(...texts) {
    return this.until(`sees ${texts.join(", ")}`, (wanted) => {
      const shown = [...document.querySelectorAll("#messages .text")].map((element) => element.textContent);
      const places = wanted.map((text) => shown.indexOf(text));
      const isOnce = wanted.every((text, index) => places[index] >= 0 && shown.lastIndexOf(text) === places[index]);
      return isOnce && places.every((place, index) => index === 0 || places[index - 1] < place);
    }, texts);
  }

  /** Waits until the last message has this state below it. */
  state(word) {
    return this.until(`the last message is ${word}`, (expected) => {
      return [...document.querySelectorAll("#messages .meta")].at(-1)?.textContent.endsWith(expected);
    }, word);
  }

  /** Waits until the open conversation begins with this line about itself. */
  begins(text) {
    return this.until(`sees that ${text}`, (expected) => {
      const [first, ...rest] = document.querySelectorAll("#messages > li");
      return first?.className === "note" && first.textContent === expected && rest.every((item) => item.className !== "note");
    }, text);
  }

  badge(count) {
    return this.until(`has ${count} unread`, (expected) => {
      return (document.querySelector("#conversations .badge")?.textContent ?? "0") === expected;
    }, String(count));
  }
}

async function privately(ada, ben) {
  await ada.find(ben.name);
  await ada.say("Hi Ben, is the new chat server up?");
  await ben.badge(1);
  await ben.pick(ada.name);
  await ben.sees("Hi Ben, is the new chat server up?");
  await ada.state("read");
  await ben.page.type("#content", "It");
  await ada.until("sees typing", () => /is typing/.test(document.querySelector("#state").textContent));
  await ben.say("It is. Three gateways, and I have just killed one of them.");
  await ada.sees("It is. Three gateways, and I have just killed one of them.");
  await ben.say("Nothing was lost.");
  await ada.sees("Nothing was lost.");
  await ada.say("I did not notice a thing.");
  await ben.sees("I did not notice a thing.");
}

async function inRoom(ada, ben) {
  await ada.page.click("#new-room");
  await ada.page.fill("#room-name", "Coffee corner");
  await ada.page.fill("#room-query", ben.name);
  await ada.page.click(`#room-found [data-user]:has-text("${ben.name}")`);
  await ada.page.click("#room button[type=submit]");
  await ada.until("is in the room", () => document.querySelector("#title").textContent === "Coffee corner");
  await ada.begins("You created the room");
  // Before anybody has said anything, and without a message to count.
  await ben.pick("Coffee corner");
  await ben.begins(`${ada.name} created the room`);
  await ben.badge(0);
  await ada.say("Who wants a coffee?");
  await ben.sees("Who wants a coffee?");
  await ben.say("Me! <b>Black</b>, please.");
  await ada.sees("Who wants a coffee?", "Me! <b>Black</b>, please.");
}

/** A reload, and time away: nothing is missing, nothing comes twice. */
async function resume(ada, ben) {
  await ben.page.reload();
  await ben.online();
  await ben.pick("Coffee corner");
  await ben.sees("Who wants a coffee?", "Me! <b>Black</b>, please.");
  await ben.begins(`${ada.name} created the room`);
  await ada.say("Any sugar?");
  await ben.sees("Who wants a coffee?", "Me! <b>Black</b>, please.", "Any sugar?");
  await ben.page.goto("about:blank");
  await ada.say("I will just bring some.");
  await ada.pick(ben.name);
  await ada.say("Coffee is in the kitchen.");
  await ben.page.goto(url);
  await ben.online();
  await ben.badge(1);
  await ben.pick("Coffee corner");
  await ben.sees("Me! <b>Black</b>, please.", "Any sugar?", "I will just bring some.");
  await ben.pick(ada.name);
  await ben.sees("I did not notice a thing.", "Coffee is in the kitchen.");
  await ben.say("On my way!");
  await ada.sees("Coffee is in the kitchen.", "On my way!");
}

/** What a wrong password is told, and that nobody is logged in by it. */
async function stranger(browser, name) {
  const tab = await Tab.open(browser, name);
  await tab.page.fill("#username", name);
  await tab.page.fill("#password", "not the password");
  const before = faults.length;
  await tab.page.click("#login");
  await tab.until("is refused", () => /Invalid/.test(document.querySelector("#account-error").textContent));
  // Chromium writes every answer of 401 to the console.
  const others = faults.splice(before).filter((fault) => !/401/.test(fault));
  faults.push(...others);
  await tab.context.close();
}

const browser = await chromium.launch({ executablePath, args: FLAGS });
try {
  const ada = await Tab.open(browser, "ada");
  const ben = await Tab.open(browser, "ben", { colorScheme: "dark" });
  await ada.register();
  await ben.register();
  await privately(ada, ben);
  await inRoom(ada, ben);
  await resume(ada, ben);
  if (picture) {
    await ada.page.mouse.move(600, 500);
    await ada.until("was read", () => !/ sent| delivered/.test(document.querySelector("#messages").textContent));
    await ada.page.screenshot({ path: picture });
    await ben.page.screenshot({ path: picture.replace(/\.png$/, "-dark.png") });
  }
  await stranger(browser, "ada");
  if (faults.length > 0) { throw new Error(faults.join("\n")); }
} catch (error) {
  console.error(error.stack, faults);
  process.exitCode = 1;
} finally {
  await browser.close();
}
