// The steps: what the buttons do and what comes of it. The conversation is in provider.js, the people in people.js, and what
// one watches beside the steps in watch.js.
import { Provider, Stopped, comeBack, guid, leaveToAuthorize, reason } from "./provider.js";
import { dialects, newcomer, someone } from "./people.js";
import { $, clearLog, directory, drawLog, exchanged, forget, make, plural, readDirectory, waitOut } from "./watch.js";

const memoryKey = "portcullis-demo";

let tenants = [];
let memory = {}; // what survives the way to the sign-in page and back: per tenant the connection, people, log and limits
let current; // {tenant, dialect, provider, mine}: the chosen tenant
let busy = false;

function say(step, kind, text) {
  const outcome = $(`outcome-${step}`);
  outcome.dataset.kind = kind;
  outcome.textContent = text;
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// ---- start -------------------------------------------------------------------------------------------------------------

async function start() {
  wireTheme();
  let setup;
  try {
    const response = await fetch("/demo/setup.json", { cache: "no-store" });
    if (!response.ok) throw new Error(await response.text());
    setup = await response.json();
  } catch {
    return notice("The demo’s own set-up could not be read. Is it still running? Reload this page when it is.");
  }
  tenants = setup.tenants;
  const mark = tenants.map((tenant) => tenant.client_id ?? tenant.secret_token).join(" ");
  const kept = JSON.parse(sessionStorage.getItem(memoryKey) ?? "{}");
  memory = kept.mark === mark ? kept : { mark, tenant: tenants[0].name };
  for (const { name } of tenants) memory[name] ??= { connection: null, people: [], log: [], limits: {}, serial: 0, door: null };
  if (!["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) {
    notice("You opened this page under a name that its sample clients do not know. Everything works but Authorize; for that, open it at a loopback address such as 127.0.0.1.");
  }
  const back = comeBack(tenants);
  if (back?.tenant) memory.tenant = back.tenant;
  drawTenants();
  wire();
  for (const part of ["tenants", "steps", "watch"]) $(part).hidden = false;
  await choose(memory.tenant);
  if (back) await finishAuthorize(back);
  addEventListener("pagehide", () => sessionStorage.setItem(memoryKey, JSON.stringify(memory)));
  setInterval(() => document.hidden || busy || readDirectory(current.tenant), 5000);
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
}

function wireTheme() {
  const root = document.documentElement;
  const label = () => { $("theme").textContent = `Theme: ${root.dataset.theme ?? "system"}`; };
  $("theme").addEventListener("click", () => {
    const next = { undefined: "light", light: "dark" }[root.dataset.theme];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    if (next) localStorage.setItem("portcullis-theme", next);
    else localStorage.removeItem("portcullis-theme");
    label();
  });
  label();
  $("theme").hidden = false;
}

// ---- the tenant --------------------------------------------------------------------------------------------------------

function drawTenants() {
  $("tenant-choices").replaceChildren(...tenants.map((tenant) => make("label", {},
    make("input", { type: "radio", name: "tenant", value: tenant.name }),
    make("span", {}, dialects[tenant.dialect]?.title ?? tenant.name))));
  $("tenants").addEventListener("change", (event) => choose(event.target.value));
}

async function choose(name) {
  memory.tenant = name;
  const tenant = tenants.find((one) => one.name === name) ?? tenants[0];
  const mine = memory[tenant.name];
  const dialect = dialects[tenant.dialect] ?? { title: tenant.name, about: "", refused: null };
  const provider = new Provider(tenant, mine, {
    exchange: (record) => exchanged(mine, record),
    wait: (seconds, group, signal) => waitOut(seconds, group, signal).finally(drawConnection),
    connection: drawConnection,
  });
  current = { tenant, dialect, mine, provider };
  document.querySelector(`input[name=tenant][value="${CSS.escape(tenant.name)}"]`).checked = true;
  $("about").textContent = dialect.about;
  const both = tenant.authorize_url && tenant.secret_token;
  $("doors").hidden = !both;
  openDoor(both ? (mine.door ?? "authorize") : tenant.authorize_url ? "authorize" : "token");
  $("admin-name").textContent = tenant.administrator?.username ?? "";
  $("admin-password").textContent = tenant.administrator?.password ?? "";
  $("tenant-url").value = tenant.scim_base;
  $("secret-token").value = tenant.secret_token ?? "";
  $("fill-refused").hidden = !dialect.refused;
  $("batch-hint").textContent = dialect.batch ?? "";
  for (const step of ["connect", "test", "provision", "batch", "life"]) say(step, "", "");
  $("batch-box").hidden = true;
  $("batch-reasons").replaceChildren();
  fill(newcomer(mine.serial));
  drawConnection();
  drawPeople();
  drawLog(mine);
  forget();
  await readDirectory(tenant, true);
}

function openDoor(door) {
  current.mine.door = door;
  document.querySelector(`input[name=door][value=${door}]`).checked = true;
  $("door-authorize").hidden = door !== "authorize";
  $("door-token").hidden = door !== "token";
  $("step-connect").querySelector("h2").textContent = door === "authorize" ? "Authorize" : "Paste the secret token";
}

function drawConnection() {
  const { connection } = current.mine;
  $("scene").dataset.gate = connection ? "open" : "closed";
  $("gate-state").textContent = !connection ? "closed: nothing authorized yet"
    : connection.kind === "token" ? "open to the secret token"
      : `open: token good until ${clock(connection.expires)}`;
  $("authorize").textContent = connection?.kind === "oauth" ? "Authorize again" : "Authorize";
  $("renew").hidden = !connection?.refresh;
  $("step-connect").classList.toggle("done", Boolean(connection));
  for (const id of ["test", "provision", "batch-start"]) $(id).disabled = busy || !connection;
  for (const id of ["disable", "restore", "delete", "authorize", "renew", "save-token"]) $(id).disabled = busy;
  for (const radio of document.querySelectorAll("input[name=tenant], input[name=door]")) radio.disabled = busy;
}

/** Runs one operation: nothing else can start meanwhile, and the directory is read again after it. */
async function during(step, waiting, work) {
  if (busy) return;
  busy = true;
  const focused = document.activeElement;
  directory.changed.clear();
  directory.gone = [];
  say(step, "wait", waiting);
  drawConnection();
  try {
    await work();
  } catch (error) {
    if (error instanceof Stopped) say(step, "wait", "Stopped.");
    else { say(step, "bad", "Something went wrong in this page; its console has the details."); console.error(error); }
  }
  await readDirectory(current.tenant);
  busy = false;
  drawConnection();
  if (document.activeElement === document.body) focused?.focus?.(); // a disabled button lets go of the focus
}

// ---- step 1 ------------------------------------------------------------------------------------------------------------

async function finishAuthorize(back) {
  if (back.problem) return say("connect", "bad", back.problem);
  await during("connect", "Exchanging the code …", async () => {
    const answer = await current.provider.exchange(back);
    if (answer.status !== 200) return say("connect", "bad", `The code was not taken: ${reason(answer)}`);
    const minutes = Math.round((answer.json.expires_in ?? 3600) / 60);
    say("connect", "ok", `Authorized. The access token is good for ${minutes} minutes${answer.json.refresh_token ? ", and a refresh token renews it" : ""}.`);
  });
  $("outcome-connect").scrollIntoView({ block: "center", behavior: "instant" });
  $("test").focus({ preventScroll: true });
}

const renew = () => during("connect", "Renewing …", async () => {
  const answer = await current.provider.renew();
  if (answer.status === 200) say("connect", "ok", `Renewed: a new access token, good until ${clock(current.mine.connection.expires)}.`);
  else say("connect", "bad", `Not renewed: ${reason(answer)}`);
});

function saveToken(event) {
  event.preventDefault();
  const token = $("secret-token").value.trim();
  if (!token) return say("connect", "bad", "The secret token is missing.");
  current.provider.paste(token);
  say("connect", "ok", "Saved. Whether it is right, Test Connection tells.");
}

// ---- step 2 ------------------------------------------------------------------------------------------------------------

const test = () => during("test", "Asking …", async () => {
  for (const [path, attribute, what] of [["/Users", "userName", "a person"], ["/Groups", "displayName", "a group"]]) {
    const answer = await current.provider.query(path, attribute, guid());
    if (!Provider.empty(answer)) {
      const hint = answer.status === 401 ? " Entra would show this as wrong credentials." : "";
      return say("test", "bad", `Failed on ${what}: ${reason(answer)}${hint}`);
    }
  }
  $("step-test").classList.add("done");
  say("test", "ok", "Passed: both questions were answered 200 with an empty list.");
});

// ---- step 3 ------------------------------------------------------------------------------------------------------------

const fields = { given: "given", family: "family", userName: "user-name", email: "email", phone: "phone" };

function fill(person) {
  for (const [key, id] of Object.entries(fields)) $(id).value = person[key] ?? "";
}

function fillThere() {
  const row = [...directory.rows.values()].find((one) => one.link !== "managed" && one.active && one.userName === one.email && /^\S+ \S+$/.test(one.name))
    ?? [...directory.rows.values()].find((one) => one.link !== "managed");
  if (!row) return say("provision", "wait", "Everybody in the directory is provisioned already.");
  const [given, ...family] = row.name.split(" ");
  fill({ given, family: family.join(" "), userName: row.userName, email: row.email, phone: "" });
  say("provision", "", `${row.name} is in the directory, and no provisioning has touched them yet.`);
}

function fillRefused() {
  fill(current.dialect.refused(newcomer(current.mine.serial)));
  say("provision", "", `${current.dialect.title} refuses this person, because ${current.dialect.why}.`);
}

const words = {
  created: (there) => (there ? "was there already and is linked now" : "is created"),
  changed: () => "was there already and is changed to match",
  same: () => "is there already, with the same values; Entra sends nothing",
};

function provisionOne(event) {
  event.preventDefault();
  const person = Object.fromEntries(Object.entries(fields).map(([key, id]) => [key, $(id).value.trim()]));
  return during("provision", "Asking, then writing …", async () => {
    const there = new Set(directory.rows.keys());
    const result = await current.provider.provision(person);
    if (result.outcome === "refused") return say("provision", "bad", `Refused: ${reason(result.answer)}`);
    remember(result, person);
    say("provision", "ok", `${person.given} ${person.family} ${words[result.outcome](there.has(result.id))}.`);
    if (person.userName === newcomer(current.mine.serial).userName) current.mine.serial += 1;
    fill(newcomer(current.mine.serial));
  });
}

function remember({ id, user }, person) {
  const { people } = current.mine;
  const name = `${person.given} ${person.family}`.trim();
  const known = people.find((one) => one.id === id);
  if (known) Object.assign(known, { name, userName: person.userName, active: true });
  else people.unshift({ id, name, userName: user?.userName ?? person.userName, active: true });
  drawPeople();
  $("who").value = id;
}

let stopping = null;

function batch(event) {
  event.preventDefault();
  const size = Math.round(Number($("batch-size").value));
  if (!(size >= 1 && size <= 2000)) return say("batch", "bad", "A cycle has between 1 and 2,000 people.");
  return during("batch", "", async () => {
    stopping = new AbortController();
    const count = { created: 0, changed: 0, same: 0, refused: 0 };
    const reasons = new Map();
    const started = performance.now();
    $("batch-box").hidden = false;
    $("batch-stop").hidden = false;
    $("batch-progress").max = size;
    $("batch-reasons").replaceChildren();
    const draw = (done) => {
      $("batch-progress").value = done;
      $("batch-tally").textContent = `${done} of ${size}: ${count.created} created, ${count.changed + count.same} already there, ${count.refused} refused`;
      $("batch-reasons").replaceChildren(...[...reasons].slice(0, 6).map(([text, many]) => make("li", {}, make("b", {}, `${many}×`), ` ${text}`)));
    };
    draw(0);
    try {
      for (let done = 0; done < size; done += 1) {
        const person = someone(current.mine.serial);
        const result = await current.provider.provision(person, stopping.signal);
        current.mine.serial += 1;
        count[result.outcome] += 1;
        if (result.outcome === "refused") {
          const text = reason(result.answer);
          reasons.set(text, (reasons.get(text) ?? 0) + 1);
          if ([0, 401, 403].includes(result.answer.status)) throw new Error("credentials", { cause: text });
        } else remember(result, person);
        draw(done + 1);
        if (done % 25 === 24) await readDirectory(current.tenant);
      }
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say("batch", count.refused ? "wait" : "ok",
        `Done in ${seconds} s.${count.refused ? ` ${plural(count.refused, "person was", "people were")} refused; Entra would try them again in later cycles.` : ""}`);
    } catch (error) {
      if (!error.cause) throw error;
      say("batch", "bad", `The cycle ended early, as Entra’s would: ${error.cause}`);
    } finally {
      $("batch-stop").hidden = true;
      stopping = null;
      fill(newcomer(current.mine.serial));
    }
  });
}

// ---- step 4 ------------------------------------------------------------------------------------------------------------

function drawPeople() {
  const { people } = current.mine;
  const before = $("who").value;
  $("life").hidden = !people.length;
  $("life-empty").hidden = Boolean(people.length);
  $("who").replaceChildren(...people.slice(0, 500).map((one) => make("option", { value: one.id }, `${one.name}${one.active ? "" : " (disabled)"}`)));
  if (people.some((one) => one.id === before)) $("who").value = before;
}

function live(kind) {
  const person = current.mine.people.find((one) => one.id === $("who").value);
  if (!person) return;
  const { provider } = current;
  return during("life", "Sending …", async () => {
    const before = rowOf(person);
    const answer = await { disable: () => provider.activate(person.id, false), restore: () => provider.activate(person.id, true), delete: () => provider.remove(person.id) }[kind]();
    const ok = answer.status >= 200 && answer.status < 300;
    if (ok || answer.status === 404) {
      if (kind === "delete" || answer.status === 404) current.mine.people.splice(current.mine.people.indexOf(person), 1);
      else person.active = kind === "restore";
    }
    drawPeople();
    if (!ok) return say("life", "bad", answer.status === 404 ? `${person.name} is not there any more; Entra would create them again.` : `Refused: ${reason(answer)}`);
    await readDirectory(current.tenant);
    const done = { disable: "disabled", restore: "restored", delete: "deleted" }[kind];
    say("life", "ok", `${person.name} is ${done}. ${difference(before, rowOf(person))}`);
  });
}

const rowOf = (person) => { const row = directory.rows.get(person.id); return row && { ...row }; };

/** What an operation did to the directory's row: dialects differ most here. */
function difference(before, after) {
  if (!after) return "The directory’s row is gone.";
  const link = after.link === before?.link ? "" : after.link === "managed" ? " The provider manages them again." : " The provider no longer manages them.";
  if (before && before.active !== after.active) return `In the directory they are ${after.active ? "active" : "inactive"} now.${link}`;
  return `The directory’s row stays as it was${after.active ? ", active" : ", inactive"}.${link}`;
}

// ---- wiring ------------------------------------------------------------------------------------------------------------

function wire() {
  $("doors").addEventListener("change", (event) => openDoor(event.target.value));
  $("authorize").addEventListener("click", () => leaveToAuthorize(current.tenant));
  $("renew").addEventListener("click", renew);
  $("door-token").addEventListener("submit", saveToken);
  $("test").addEventListener("click", test);
  $("person").addEventListener("submit", provisionOne);
  $("fill-new").addEventListener("click", () => { current.mine.serial += 1; fill(newcomer(current.mine.serial)); say("provision", "", ""); });
  $("fill-there").addEventListener("click", fillThere);
  $("fill-refused").addEventListener("click", fillRefused);
  $("batch").addEventListener("submit", batch);
  $("batch-stop").addEventListener("click", () => stopping?.abort());
  for (const kind of ["disable", "restore", "delete"]) $(kind).addEventListener("click", () => live(kind));
  $("clear").addEventListener("click", () => clearLog(current.mine));
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const done = await navigator.clipboard?.writeText($(button.dataset.copy).textContent).then(() => true, () => false);
      button.dataset.done = done ? "copied" : "select it by hand";
      setTimeout(() => delete button.dataset.done, 2500);
    });
  }
}

start();
