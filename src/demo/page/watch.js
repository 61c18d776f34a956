// What one watches beside the steps: the picture of the gate, the directory's rows, the requests and their limits.
import { Stopped } from "./provider.js";

const keptRecords = 150;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export const $ = (id) => document.getElementById(id);

/** An element with text and attributes; text never becomes markup. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** The directory as last read, and what moved in it since the last operation began. */
export const directory = { rows: new Map(), changed: new Map(), gone: [], total: 0 };

/** Another tenant is directory. */
export function forget() {
  Object.assign(directory, { rows: new Map(), changed: new Map(), gone: [], total: 0 });
}

let reading; // the tenant whose rows are wanted: an answer about another comes too late

/** Reads the tenant's rows and shows what changed; the `first` time nothing has. */
export async function readDirectory(tenant, first = false) {
  reading = tenant;
  let answer;
  try {
    const response = await fetch(`/demo/directory/${tenant.name}.json`, { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    answer = await response.json();
  } catch {
    $("directory-count").textContent = "not readable just now";
    return;
  }
  if (tenant !== reading) return;
  const rows = new Map(answer.people.map((row) => [row.key, row]));
  if (!first) {
    for (const [key, row] of rows) {
      const was = directory.rows.get(key);
      if (!was && directory.rows.size >= directory.total) directory.changed.set(key, "new");
      else if (was && JSON.stringify(was) !== JSON.stringify(row)) directory.changed.set(key, "changed");
    }
    for (const [key, row] of directory.rows) if (!rows.has(key) && answer.people.length === answer.total) directory.gone.push(row);
  }
  Object.assign(directory, { rows, total: answer.total });
  drawDirectory();
}

function drawDirectory() {
  const list = [...directory.rows.values()];
  const row = (one, change) => make("tr", { "data-change": change, "data-active": String(one.active) },
    make("th", { scope: "row" }, one.name || "no name", change ? make("span", { class: "flag" }, change) : null),
    make("td", { class: "active" }, one.active ? "active" : "inactive"),
    make("td", { class: "link" }, { managed: "yes", unlinked: "unlinked", removed: "removed" }[one.link] ?? "no"),
    make("td", { class: "user" }, one.userName), make("td", { class: "mail" }, one.email ?? ""), make("td", { class: "key" }, one.key));
  $("rows").replaceChildren(...directory.gone.map((one) => row(one, "gone")), ...list.map((one) => row(one, directory.changed.get(one.key) ?? null)));
  $("rows-empty").hidden = list.length + directory.gone.length > 0;
  $("directory-scroll").querySelector("table").hidden = !$("rows-empty").hidden;
  const active = list.filter((one) => one.active).length;
  $("directory-count").textContent = plural(directory.total, "person", "people");
  $("directory-hint").textContent = list.length < directory.total
    ? `${plural(directory.total, "person", "people")}; the ${list.length} last changed are shown`
    : `${plural(directory.total, "person", "people")}, ${active} active; the last changed first`;
}

// ---- the requests ------------------------------------------------------------------------------------------------------

let shown; // whose requests are on the page

/** Takes one request into the log, and shows it if that log is on the page. */
export function exchanged(mine, record) {
  mine.log.unshift(record);
  mine.log.length = Math.min(mine.log.length, keptRecords);
  if (record.group && record.limit !== null) mine.limits[record.group] = record;
  if (mine !== shown) return;
  travel(record.status);
  $("log").prepend(entry(record));
  while ($("log").childElementCount > keptRecords) $("log").lastElementChild.remove();
  $("log-empty").hidden = true;
  drawMeters();
}

/** Shows the requests of one tenant. */
export function drawLog(mine) {
  shown = mine;
  $("log").replaceChildren(...mine.log.map(entry));
  $("log-empty").hidden = mine.log.length > 0;
  drawMeters();
}

/** Empties it. */
export function clearLog(mine) {
  mine.log.length = 0;
  drawLog(mine);
}

function entry(record) {
  const kind = record.status === 429 ? "wait" : record.status === 0 || record.status >= 400 ? "bad" : "ok";
  const limit = record.limit === null ? null : `${record.group} ${record.remaining} of ${record.limit}`;
  const facts = [record.status === 429 && record.retryAfter !== null ? `retry after ${record.retryAfter} s` : null, limit, `${record.ms.toFixed(record.ms < 10 ? 1 : 0)} ms`];
  return make("li", { "data-kind": kind }, make("details", {},
    make("summary", {},
      make("span", { class: "method" }, record.method), make("span", { class: "status" }, String(record.status || "none")),
      make("span", { class: "path" }, readable(record.path)),
      make("span", { class: "numbers" }, facts.filter(Boolean).join(" · ")),
      record.detail ? make("span", { class: "detail" }, record.detail) : null),
    make("dl", { class: "wire" },
      make("dt", {}, "Request id"), make("dd", {}, make("code", {}, record.id ?? "none")),
      make("dt", {}, "Sent"), make("dd", {}, make("pre", {}, record.sent)),
      make("dt", {}, "Answered"), make("dd", {}, make("pre", {}, record.got || "no body")))));
}

/** The path without the tenant's prefix, and its filter as a person reads it. */
function readable(path) {
  const short = path.replace(/^\/t\/[^/]+/, "");
  try {
    return decodeURIComponent(short.replaceAll("+", " "));
  } catch {
    return short;
  }
}

function drawMeters() {
  const { limits, log } = shown;
  const seen = ["read", "write"].filter((group) => limits[group]);
  $("meters").replaceChildren(...(seen.length ? seen.map((group) => {
    const { limit, remaining, window: span } = limits[group];
    return make("div", {}, make("span", {}, group === "read" ? "Reads left" : "Writes left"),
      make("progress", { max: limit, value: remaining, "aria-label": `${group} requests left`, "data-low": remaining / limit < 0.15 }),
      make("span", { class: "numbers" }, `${remaining} of ${limit} in ${span} s`));
  }) : [make("p", { class: "hint" }, log.length ? "No answer carried limit headers: this tenant is not limited." : "The limits show with the first answer that carries them.")]));
}

/** Waits as a 429 asked, visibly: `"again"` when the time is over, `"skip"` when the visitor does not want to wait. */
export function waitOut(seconds, group, signal) {
  return new Promise((resolve, reject) => {
    const until = performance.now() + seconds * 1000;
    const finish = (result) => {
      clearInterval(timer);
      $("waiting").hidden = true;
      $("skip").onclick = null;
      signal?.removeEventListener("abort", stop);
      if (result) resolve(result);
      else reject(new Stopped());
    };
    const stop = () => finish(null);
    const tick = () => {
      const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
      $("gate-state").textContent = `closed for ${left} s: too many ${group ?? "request"}s`;
      $("waiting-progress").value = seconds - left;
      if (performance.now() >= until) finish("again");
    };
    $("scene").dataset.gate = "closed";
    $("waiting-progress").max = seconds;
    $("waiting-text").textContent = `Too many ${group ?? "request"}s: the gateway answered 429 and asks to wait ${seconds} seconds. The provider waits and then goes on, as Entra does.`;
    $("waiting").hidden = false;
    $("skip").onclick = () => finish("skip");
    signal?.addEventListener("abort", stop);
    const timer = setInterval(tick, 250);
    tick();
  });
}

let lastTraveller = 0;

/** A request on its way, in the picture: through the gate and back, or turned away at it. */
function travel(status) {
  const now = performance.now();
  if (calm.matches || now - lastTraveller < 90) return;
  lastTraveller = now;
  const passed = status > 0 && status < 400;
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [key, value] of Object.entries({ cx: 0, cy: 0, r: 6, class: passed ? "passed" : "turned" })) dot.setAttribute(key, value);
  $("travellers").append(dot);
  const at = (x, y) => ({ transform: `translate(${x}px, ${y}px)` });
  const turn = passed ? 544 : 282;
  const way = [at(186, 92), at(turn, 92), at(turn, 106), at(186, 106)];
  dot.animate(way, { duration: passed ? 1100 : 800, easing: "ease-in-out" }).finished.finally(() => dot.remove());
}
