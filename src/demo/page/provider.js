// The identity provider's side of the conversation: OAuth 2.0 code grant with PKCE (RFC 6749, 7636, 9207) and SCIM as Entra
// speaks it. Knows nothing of the page; what happens on the wire is told through `hooks`.
import { changes, resource } from "./people.js";

const USERS = "/Users";
const PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const pending = "portcullis-authorize";

/** The visitor pressed Stop. */
export class Stopped extends Error {}

/** The page may be open under another loopback name than the gateway printed; it talks to where it came from. */
export const here = (url) => location.origin + new URL(url).pathname;

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = (size) => base64url(crypto.getRandomValues(new Uint8Array(size)));

/** A random GUID, as Entra's Test Connection asks for. */
export function guid() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte, at) =>
    (at === 6 ? (byte & 15) | 64 : at === 8 ? (byte & 63) | 128 : byte).toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Leaves for the authorization endpoint; what is needed on the way back waits in this tab's storage. */
export async function leaveToAuthorize(tenant) {
  const verifier = random(32);
  const state = random(16);
  const redirect = `${location.origin}/callback`;
  const query = new URLSearchParams({
    response_type: "code", client_id: tenant.client_id, redirect_uri: redirect, scope: tenant.scopes.join(" "), state,
  });
  if (crypto.subtle) { // only on loopback or https; a client with a secret may do without
    query.set("code_challenge", base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
    query.set("code_challenge_method", "S256");
  }
  sessionStorage.setItem(pending, JSON.stringify({ tenant: tenant.name, state, redirect, verifier: query.has("code_challenge") ? verifier : null }));
  location.assign(`${here(tenant.authorize_url)}?${query}`);
}

/** What came back on `/callback`: `{tenant, code, redirect, verifier}` or `{tenant, problem}`; null on any other page. */
export function comeBack(tenants) {
  if (location.pathname !== "/callback") return null;
  const answer = new URLSearchParams(location.search);
  const asked = JSON.parse(sessionStorage.getItem(pending) ?? "null");
  sessionStorage.removeItem(pending);
  history.replaceState(null, "", "/");
  if (!asked) return { tenant: null, problem: "This answer belongs to no Authorize of this tab. Press Authorize to start again." };
  const tenant = tenants.find((one) => one.name === asked.tenant) ?? null;
  const no = (problem) => ({ tenant: tenant?.name ?? null, problem });
  if (!tenant) return no("The tenant you authorized is not here any more: the demo was started anew.");
  if (answer.get("state") !== asked.state) return no("The answer does not carry the state that was sent, so it is not used (RFC 6749 §10.12).");
  if (answer.has("iss") && answer.get("iss") !== tenant.issuer) return no("The answer names another issuer than this tenant’s, so it is not used (RFC 9207).");
  if (answer.get("error") === "access_denied") return no("You chose Deny. Nothing was granted, and the gate stays closed.");
  if (answer.has("error")) return no(`The authorization server refused: ${answer.get("error_description") ?? answer.get("error")}.`);
  if (!answer.has("code")) return no("The answer carries no code.");
  return { tenant: tenant.name, code: answer.get("code"), redirect: asked.redirect, verifier: asked.verifier };
}

/** What a refusal says, in its own words, without the request number (the log shows that). */
export function reason(answer) {
  if (answer.status === 0) return "The gateway does not answer. Is the demo still running?";
  const text = answer.json?.detail ?? answer.json?.error_description ?? answer.json?.error ?? `The gateway answered ${answer.status}.`;
  return text.replace(/\s*\(request [^)]*\)\s*$/, "");
}

/** One tenant's provider. `memory.connection` is `{kind, access, refresh, expires}` or null; `hooks`: `exchange(record)`,
 *  `wait(seconds, group, signal) -> "again" | "skip"`, `connection()` when the tokens changed. */
export class Provider {
  constructor(tenant, memory, hooks) {
    Object.assign(this, { tenant, memory, hooks });
  }

  /** Sends one request and tells the log. Never throws for what the network or the gateway does. */
  async #send(method, url, headers, body) {
    const started = performance.now();
    const answer = { status: 0, json: null, text: "", headers: new Headers() };
    try {
      const response = await fetch(url, { method, headers, body, credentials: "omit", cache: "no-store" });
      answer.status = response.status;
      answer.headers = response.headers;
      answer.text = await response.text();
      answer.json = answer.text ? JSON.parse(answer.text) : null;
    } catch { /* status 0, or a body that is not JSON: the log shows which */ }
    const header = (name) => answer.headers.get(name);
    const number = (name) => (header(name) === null ? null : Number(header(name)));
    this.hooks.exchange({
      at: Date.now(), ms: performance.now() - started, method, path: url.slice(location.origin.length), status: answer.status,
      group: header("x-rate-limit-group"), limit: number("x-rate-limit-limit"), remaining: number("x-rate-limit-remaining"),
      window: number("x-rate-limit-window"), retryAfter: number("retry-after"), id: header("x-request-id"),
      detail: answer.status >= 400 || answer.status === 0 ? reason(answer) : null,
      sent: mask(headers, body), got: maskText(answer.text),
    });
    return answer;
  }

  async #token(form) {
    const { client_id: id, client_secret: secret, token_url: url } = this.tenant;
    const answer = await this.#send("POST", here(url), {
      Authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`,
      "Content-Type": "application/x-www-form-urlencoded",
    }, new URLSearchParams(form).toString());
    if (answer.status === 200 && answer.json?.access_token) {
      this.memory.connection = {
        kind: "oauth", access: answer.json.access_token, refresh: answer.json.refresh_token ?? this.memory.connection?.refresh ?? null,
        expires: Date.now() + 1000 * (answer.json.expires_in ?? 3600),
      };
    } else if (answer.json?.error === "invalid_grant") this.memory.connection = null;
    this.hooks.connection();
    return answer;
  }

  /** Exchanges the code (RFC 6749 §4.1.3). */
  exchange({ code, redirect, verifier }) {
    return this.#token({ grant_type: "authorization_code", code, redirect_uri: redirect, ...(verifier && { code_verifier: verifier }) });
  }

  /** Renews the access token (RFC 6749 §6). */
  renew() {
    return this.#token({ grant_type: "refresh_token", refresh_token: this.memory.connection.refresh });
  }

  /** Takes a pasted secret token. */
  paste(token) {
    this.memory.connection = { kind: "token", access: token, refresh: null, expires: null };
    this.hooks.connection();
  }

  /** One SCIM request; renews an expired token first, and waits as told when it is too many. */
  async scim(method, path, body, signal) {
    for (;;) {
      if (signal?.aborted) throw new Stopped();
      const { connection } = this.memory;
      if (connection?.refresh && connection.expires - Date.now() < 30_000) await this.renew();
      const headers = { Authorization: `Bearer ${this.memory.connection?.access ?? ""}` };
      if (body) headers["Content-Type"] = "application/scim+json; charset=utf-8";
      const answer = await this.#send(method, here(this.tenant.scim_base) + path, headers, body && JSON.stringify(body));
      if (answer.status !== 429) return answer;
      const seconds = Number(answer.headers.get("retry-after") ?? 1);
      if (await this.hooks.wait(seconds, answer.headers.get("x-rate-limit-group"), signal) === "skip") return answer;
    }
  }

  /** The matching query, spelled as Entra was seen to spell it: spaces as `+`, quotes as `%22`. */
  query(path, attribute, value, signal) {
    const filter = encodeURIComponent(`${attribute} eq "${value.replace(/["\\]/g, "\\$&")}"`).replaceAll("%20", "+");
    return this.scim("GET", `${path}?filter=${filter}`, undefined, signal);
  }

  /** Is the answer what Entra wants of a query that matches nobody? */
  static empty(answer) {
    return answer.status === 200 && answer.json?.totalResults === 0;
  }

  /** Match, then create or change: `{outcome: "created" | "changed" | "same" | "refused", answer, id, user}`. */
  async provision(person, signal) {
    const match = await this.query(USERS, "userName", person.userName, signal);
    if (match.status !== 200) return { outcome: "refused", answer: match };
    const found = match.json?.Resources?.[0];
    if (!found) {
      const answer = await this.scim("POST", USERS, resource(person, this.tenant.dialect), signal);
      return answer.status === 201 || answer.status === 200
        ? { outcome: "created", answer, id: answer.json.id, user: answer.json }
        : { outcome: "refused", answer };
    }
    const operations = changes(person, found, this.tenant.dialect);
    if (!operations.length) return { outcome: "same", answer: match, id: found.id, user: found };
    const answer = await this.patch(found.id, operations, signal);
    return answer.status < 300 && answer.status >= 200
      ? { outcome: "changed", answer, id: found.id, user: answer.json ?? found }
      : { outcome: "refused", answer };
  }

  /** `PATCH /Users/{id}`. */
  patch(id, operations, signal) {
    return this.scim("PATCH", `${USERS}/${encodeURIComponent(id)}`, { schemas: [PATCH_OP], Operations: operations }, signal);
  }

  /** Entra's disable and enable: a capitalised operation and a boolean in words. */
  activate(id, active) {
    return this.patch(id, [{ op: "Replace", path: "active", value: active ? "True" : "False" }]);
  }

  /** `DELETE /Users/{id}`. */
  remove(id) {
    return this.scim("DELETE", `${USERS}/${encodeURIComponent(id)}`);
  }
}

const veil = (secret) => `${secret.slice(0, 6)}…`;
const secrets = /("(?:access_token|refresh_token|id_token)"\s*:\s*")([^"]*)/g;
const formSecrets = /((?:^|&)(?:code|code_verifier|refresh_token|client_secret)=)([^&]*)/g;

function maskText(text) {
  const masked = text.replace(secrets, (_, name, value) => name + veil(value));
  try {
    return JSON.stringify(JSON.parse(masked), null, 2);
  } catch {
    return masked;
  }
}

function mask(headers, body) {
  const lines = Object.entries(headers).map(([name, value]) =>
    `${name}: ${name === "Authorization" ? value.replace(/ (.*)$/, (_, secret) => ` ${veil(secret)}`) : value}`);
  const form = headers["Content-Type"]?.startsWith("application/x-www-form");
  const shown = !body ? "" : form ? body.replace(formSecrets, (_, name, value) => name + veil(value)).replaceAll("&", "\n&") : maskText(body);
  return lines.join("\n") + (shown ? `\n\n${shown}` : "");
}
