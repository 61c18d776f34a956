// A person's walk through the demo, in a real browser: by mouse and by keyboard, on a phone's width and on a desk's, in
// light and dark. Asserts what can be read on the page; a console error or a breach of the content policy fails it too.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(`${process.env.PLAYWRIGHT_HOME ?? import.meta.dirname}/`)("playwright-core");
const shots = process.env.PORTCULLIS_SCREENSHOTS ?? "screenshots";
const patience = 15_000;
const wide = { width: 1280, height: 900 };
const phone = { width: 360, height: 740 };
const count = { passed: 0, failed: 0 };

async function startDemo() {
  const child = spawn(process.env.PORTCULLIS_BIN, ["demo", "--listen", "127.0.0.1:0", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const line = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once("line", resolve)),
    ended.then((code) => { throw new Error(`the demo ended with ${code} before it was ready`); }),
  ]);
  return { setup: JSON.parse(line), stop: () => { child.kill("SIGTERM"); return ended; } };
}

/** One walk in a browser profile of its own. The first failed step ends it, since the later ones build on it. */
async function walk(browser, name, options, steps) {
  const context = await browser.newContext({ viewport: wide, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is what some steps are about; Chromium writes each into the console.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  let number = 0;
  const step = async (title, work) => {
    try {
      await work();
      assert.deepEqual(complaints.splice(0), [], "the browser complained");
      if (page.viewportSize().width === phone.width) {
        const reach = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(reach <= phone.width, `the page is ${reach} px wide on a ${phone.width} px screen`);
      }
      count.passed += 1;
      console.log(`ok ${name}: ${title}`);
    } catch (error) {
      count.failed += 1;
      console.log(`FAILED ${name}: ${title}: ${String(error.message).split("\n").slice(0, 6).join(" | ")}`);
      await shoot("failed").catch(() => {});
      throw new Ended();
    }
  };
  const shoot = async (title, whole = true) => {
    number += 1;
    await page.screenshot({ path: `${shots}/${name}-${number}-${title}.png`, fullPage: whole });
  };
  try {
    await steps({ page, step, shoot });
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  } finally {
    await context.close();
  }
}

class Ended extends Error {}

const outcome = (page, step) => page.locator(`#outcome-${step}`);

async function reads(locator, pattern) {
  await locator.filter({ hasText: pattern }).waitFor({ timeout: patience }).catch(async () => {
    throw new Error(`wanted ${pattern}, read "${await locator.first().textContent({ timeout: 1000 }).catch(() => "nothing")}"`);
  });
}

/** Presses a key; one that starts a navigation, or leaves the page, may never be acknowledged. */
async function press(page, key) {
  await Promise.race([page.keyboard.press(key), new Promise((resolve) => { setTimeout(resolve, 2000); })]);
}

/** Goes to a control with the tab key alone, so that one which it cannot reach fails. */
async function tabTo(page, selector) {
  for (let pressed = 0; pressed < 80; pressed += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return;
    await press(page, "Tab");
  }
  throw new Error(`the tab key does not lead to ${selector}`);
}

async function open(page, setup, tenant) {
  await page.goto(setup.base_url);
  await page.locator("#steps").waitFor();
  await page.locator(`input[name=tenant][value="${tenant.name}"]`).check();
  await reads(page.locator("#directory-hint"), /25 people/);
}

async function signIn(page, tenant, password = tenant.administrator.password) {
  await page.getByLabel(/user ?name/i).fill(tenant.administrator.username);
  await page.getByLabel(/password/i).fill(password);
  await page.getByRole("button", { name: /sign in/i }).click();
}

/** The row of one person in the directory's table. */
const row = (page, userName) => page.locator("#rows tr:not([data-change=gone])", { has: page.locator("td.user", { hasText: userName }) });

/** Provision one, disable, restore and delete them; `expect` says what the dialect does to the directory's row. */
async function lifeOf({ page, step }, expect) {
  let userName;
  await step("provision one", async () => {
    userName = await page.locator("#user-name").inputValue();
    await page.getByRole("button", { name: "Provision this person" }).click();
    await reads(outcome(page, "provision"), /is created/);
    await row(page, userName).waitFor();
    await page.locator("#log li", { hasText: "POST" }).locator("text=201").first().waitFor();
  });
  for (const [button, said, directory] of expect) {
    await step(button.toLowerCase(), async () => {
      await page.getByRole("button", { name: button, exact: true }).click();
      await reads(outcome(page, "life"), said);
      if (directory === "gone") await row(page, userName).waitFor({ state: "detached" });
      else await reads(row(page, userName).locator("td.active"), directory);
    });
  }
}

async function cycle(page, size) {
  await page.locator("#batch-size").fill(String(size));
  await page.getByRole("button", { name: "Start the cycle" }).click();
}

async function testConnection(page) {
  await page.getByRole("button", { name: "Test Connection" }).click();
  await reads(outcome(page, "test"), /Passed/);
}

const walks = {
  // By mouse: a wrong password, Deny, the right way, and the vendor's limit.
  ringcentral: [{ colorScheme: "light" }, async (hand, setup, tenant) => {
    const { page, step, shoot } = hand;
    await step("opens and explains itself", async () => {
      await open(page, setup, tenant);
      await page.getByRole("heading", { name: "Play the identity provider" }).waitFor();
      await reads(page.locator("#gate-state"), /closed/);
      await shoot("start");
    });
    await step("a wrong password is refused", async () => {
      await page.getByRole("button", { name: "Authorize", exact: true }).click();
      await signIn(page, tenant, "not the password");
      await page.getByRole("alert").first().waitFor();
      await shoot("wrong-password");
    });
    await step("deny sends the refusal back", async () => {
      await signIn(page, tenant);
      await page.getByRole("heading", { name: /access request/i }).waitFor();
      await shoot("access-request");
      await page.getByRole("button", { name: /deny/i }).click();
      await reads(outcome(page, "connect"), /You chose Deny/);
      await shoot("denied");
    });
    await step("authorize", async () => {
      await page.getByRole("button", { name: "Authorize", exact: true }).click();
      if (await page.getByLabel(/password/i).count()) await signIn(page, tenant);
      await page.getByRole("button", { name: /^(authorize|allow)/i }).click();
      await reads(outcome(page, "connect"), /Authorized/);
      assert.equal(new URL(page.url()).pathname, "/");
    });
    await step("renew", async () => {
      await page.getByRole("button", { name: "Renew the token" }).click();
      await reads(outcome(page, "connect"), /Renewed/);
    });
    await step("test connection", () => testConnection(page));
    await step("the limits show", () => reads(page.locator("#meters"), /Reads left.*of 300/));
    await step("a refusal says why", async () => {
      await page.getByRole("button", { name: "someone who is refused" }).click();
      await page.getByRole("button", { name: "Provision this person" }).click();
      await reads(outcome(page, "provision"), /Refused: .*(userName|e-?mail)/);
      await page.getByRole("button", { name: "someone new" }).click();
    });
    await step("someone already there is taken over", async () => {
      await page.getByRole("button", { name: "someone already there" }).click();
      await page.getByRole("button", { name: "Provision this person" }).click();
      await reads(outcome(page, "provision"), /already/);
    });
    await lifeOf(hand, [["Disable", /is disabled/, /^inactive$/], ["Restore", /is restored/, /^active$/], ["Delete", /row is gone/, "gone"]]);
    await step("a request opens to its bodies, tokens masked", async () => {
      await page.locator("#log li", { hasText: "POST" }).first().locator("summary").click();
      await page.locator("#log details[open] pre").first().waitFor();
      const text = await page.locator("#log").textContent();
      assert.ok(!text.includes(tenant.client_secret), "the client secret shows");
      assert.match(text, /Bearer \S{1,8}…/);
      await shoot("worked");
    });
    await step("a cycle meets the limit, waits, and can be stopped", async () => {
      await cycle(page, 320);
      await page.locator("#waiting").waitFor({ timeout: 60_000 });
      await reads(page.locator("#gate-state"), /closed for \d+ s/);
      await shoot("waiting", false);
      await page.getByRole("button", { name: "Stop", exact: true }).click();
      await reads(outcome(page, "batch"), /Stopped/);
    });
  }],

  // On a phone in the dark.
  "vonage-business": [{ colorScheme: "dark", viewport: phone, hasTouch: true, isMobile: true }, async (hand, setup, tenant) => {
    const { page, step, shoot } = hand;
    await step("opens", async () => { await open(page, setup, tenant); await shoot("start"); });
    await step("authorize", async () => {
      await page.getByRole("button", { name: "Authorize", exact: true }).tap();
      await shoot("sign-in");
      await signIn(page, tenant);
      await shoot("access-request");
      await page.getByRole("button", { name: /^(authorize|allow)/i }).click();
      await reads(outcome(page, "connect"), /Authorized/);
    });
    await step("test connection", () => testConnection(page));
    await step("someone already there is linked, not doubled", async () => {
      await page.getByRole("button", { name: "someone already there" }).tap();
      await page.getByRole("button", { name: "Provision this person" }).tap();
      await reads(outcome(page, "provision"), /linked now/);
      await reads(page.locator("#directory-hint"), /25 people/);
    });
    await step("a name with a space is refused", async () => {
      await page.getByRole("button", { name: "someone who is refused" }).tap();
      await page.getByRole("button", { name: "Provision this person" }).tap();
      await reads(outcome(page, "provision"), /Refused: .*givenName/);
      await page.getByRole("button", { name: "someone new" }).tap();
    });
    await lifeOf(hand, [["Disable", /is disabled.*stays as it was/, /^active$/], ["Restore", /is restored/, /^active$/], ["Delete", /is deleted.*stays as it was/, /^active$/]]);
    await step("a cycle", async () => {
      await cycle(page, 20);
      await reads(outcome(page, "batch"), /Done in/);
      await reads(page.locator("#batch-tally"), /20 of 20: \d+ created, 0 already there, 2 refused/);
      await reads(page.locator("#batch-reasons"), /givenName/);
      await shoot("cycle");
    });
  }],

  // Without a mouse.
  standard: [{ colorScheme: "dark" }, async (hand, setup, tenant) => {
    const { page, step, shoot } = hand;
    await step("opens, and the tenant is chosen by keyboard", async () => {
      await page.goto(setup.base_url);
      await page.locator("#steps").waitFor();
      await tabTo(page, "input[name=tenant]");
      for (let at = 0; at < setup.tenants.length && !(await page.evaluate(() => document.activeElement.value === "standard")); at += 1) await press(page, "ArrowDown");
      await reads(page.locator("#about"), /both doors/);
      await shoot("start", false);
    });
    await step("authorize by keyboard", async () => {
      await tabTo(page, "#authorize");
      await press(page, "Enter");
      await page.getByLabel(/password/i).waitFor();
      await tabTo(page, "input[name=username], input[name=user_name], input[autocomplete=username]");
      await page.keyboard.type(tenant.administrator.username);
      await press(page, "Tab");
      await page.keyboard.type(tenant.administrator.password);
      await press(page, "Enter");
      await page.getByRole("heading", { name: /access request/i }).waitFor();
      await page.getByRole("button", { name: /^(authorize|allow)/i }).focus();
      await press(page, "Enter");
      await reads(outcome(page, "connect"), /Authorized/);
    });
    await step("test connection by keyboard", async () => {
      await tabTo(page, "#test");
      await press(page, "Enter");
      await reads(outcome(page, "test"), /Passed/);
    });
    await step("no limits, and it says so", () => reads(page.locator("#meters"), /not limited/));
    await step("provision one by keyboard", async () => {
      await tabTo(page, "#given");
      await press(page, "Control+A");
      await page.keyboard.type("Mary Ann");
      await tabTo(page, "#provision");
      await press(page, "Space");
      await reads(outcome(page, "provision"), /Mary Ann .* is created/);
    });
    await step("a cycle by keyboard", async () => {
      await tabTo(page, "#batch-size");
      await press(page, "Control+A");
      await page.keyboard.type("30");
      await press(page, "Enter");
      await reads(outcome(page, "batch"), /Done in/);
      await reads(page.locator("#batch-tally"), /30 of 30: 30 created, 0 already there, 0 refused/);
    });
    for (const [key, said] of [["disable", /is disabled.*inactive now/], ["restore", /is restored.*active now/], ["delete", /row is gone/]]) {
      await step(`${key} by keyboard`, async () => {
        await tabTo(page, `#${key}`);
        await press(page, "Enter");
        await reads(outcome(page, "life"), said);
      });
    }
    await step("a request opens by keyboard", async () => {
      await tabTo(page, "#log summary");
      await press(page, "Enter");
      await page.locator("#log details[open] pre").first().waitFor();
      await shoot("worked");
    });
    await step("the theme changes and is remembered", async () => {
      await page.getByRole("button", { name: /theme/i }).click();
      await page.reload();
      await page.getByRole("button", { name: "Theme: light" }).waitFor();
      await shoot("light", false);
    });
    await step("the other door: a secret token", async () => {
      await page.getByLabel("Secret token", { exact: true }).check();
      await page.getByRole("button", { name: "Save the token" }).click();
      await testConnection(page);
    });
  }],

  // The door of the pasted token, on a phone in the light.
  "vonage-contact-center": [{ colorScheme: "light", viewport: phone }, async (hand, setup, tenant) => {
    const { page, step, shoot } = hand;
    await step("opens", async () => { await open(page, setup, tenant); await shoot("start"); });
    await step("a wrong token fails the test", async () => {
      await page.locator("#secret-token").fill(`${tenant.secret_token.slice(0, -1)}${tenant.secret_token.endsWith("A") ? "B" : "A"}`);
      await page.getByRole("button", { name: "Save the token" }).click();
      await page.getByRole("button", { name: "Test Connection" }).click();
      await reads(outcome(page, "test"), /wrong credentials/);
    });
    await step("the right one passes", async () => {
      await page.locator("#secret-token").fill(tenant.secret_token);
      await page.getByRole("button", { name: "Save the token" }).click();
      await testConnection(page);
    });
    await step("someone already there is a conflict", async () => {
      await page.getByRole("button", { name: "someone already there" }).click();
      await page.getByRole("button", { name: "Provision this person" }).click();
      await reads(outcome(page, "provision"), /Refused: /);
      await page.getByRole("button", { name: "someone new" }).click();
    });
    await lifeOf(hand, [["Disable", /is disabled/, /^inactive$/], ["Restore", /is restored/, /^active$/], ["Delete", /is deleted/, /^inactive$/]]);
    await step("a cycle", async () => {
      await cycle(page, 20);
      await reads(outcome(page, "batch"), /Done in/);
      await reads(page.locator("#batch-tally"), /20 of 20/);
      await shoot("cycle");
    });
  }],
};

await mkdir(shots, { recursive: true });
const demo = await startDemo();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
});
try {
  for (const [name, [options, steps]] of Object.entries(walks)) {
    const tenant = demo.setup.tenants.find((one) => one.name === name);
    await walk(browser, name, options, (hand) => steps(hand, demo.setup, tenant));
  }
  await walk(browser, "without-script", { javaScriptEnabled: false }, async ({ page, step, shoot }) => {
    await step("says what to do", async () => {
      await page.goto(demo.setup.base_url);
      await page.locator("noscript p").waitFor();
      assert.match(await page.locator("noscript p").innerText(), /portcullis rehearse/);
      await shoot("page");
    });
    await step("a page that is not there says so", async () => {
      const answer = await page.goto(`${demo.setup.base_url}/nothing/here`);
      assert.equal(answer.status(), 404);
      await page.getByRole("link").first().waitFor();
    });
  });
  await walk(browser, "wide", { viewport: { width: 1920, height: 1080 } }, async ({ page, step, shoot }) => {
    await step("fills a wide screen", async () => {
      await open(page, demo.setup, demo.setup.tenants.find((one) => one.name === "playvox"));
      await shoot("page", false);
    });
  });
} finally {
  await browser.close();
  const status = await demo.stop();
  if (status !== 0) {
    count.failed += 1;
    console.log(`FAILED demo: it ended with ${status} on SIGTERM`);
  }
}
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed ? 1 : 0;
