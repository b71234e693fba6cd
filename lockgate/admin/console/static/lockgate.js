// What every page does: times in the reader's zone, keys, copying, the session's CSRF token on each change.

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export function tell(element) {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) return;
  const today = at.toDateString() === new Date().toDateString();
  element.textContent = (today ? clock : zone).format(at);
  element.title = at.toISOString();
}

function prepare(root) {
  root.querySelectorAll("time[datetime]").forEach(tell);
}

export function csrf() {
  return document.querySelector("meta[name=csrf-token]")?.content ?? "";
}

document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["x-csrf-token"] = csrf();
});
document.addEventListener("htmx:after:swap", () => prepare(document));
htmx.initialize(); // now: left to itself it waits for a timer, and the page is drawn and used before that

// A failed request says so where the reader looks; htmx shows the answer's own words where they are a page part.
document.addEventListener("htmx:error", () => say("The server could not be reached. What you did may not have happened."));

export function say(sentence) {
  const place = document.getElementById("said");
  if (place) place.textContent = sentence;
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const from = document.querySelector(copy.dataset.copy);
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(from.value ?? from.textContent);
      say("Copied.");
    } else { // over HTTP, from another machine
      getSelection().selectAllChildren(from);
      say("Selected: copy it with the keys of your system.");
    }
    return;
  }
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a,button,input,summary")) location.href = row.dataset.href;
});

// A form with data-api="METHOD /path" sends its fields as JSON. Where it names {field}, the field goes into the path.
// data-then is where one goes afterwards; without it the page says "Done." and tells others with an event.

export async function call(method, path, document_, more = {}) {
  const headers = { accept: "application/json", "x-csrf-token": csrf(), ...more };
  const options = { method, headers, credentials: "same-origin" };
  if (document_ !== undefined) {
    headers["content-type"] = "application/json";
    options.body = JSON.stringify(document_);
  }
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The server could not be reached. What you did may not have happened.");
  });
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, body?.error);
  return body;
}

class Problem extends Error {
  constructor(status, detail) {
    const fields = (detail?.fields ?? []).map((field) => `${field.path}: ${field.message}`);
    super([detail?.message ?? `the server answered ${status}`, ...fields].join("; "));
    this.status = status;
  }
}

function parsed(field) {
  try {
    return JSON.parse(field.value);
  } catch (error) {
    throw new Error(`${field.name} is no JSON: ${error.message}`);
  }
}

function valuesOf(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.dataset.kind === "number") values[field.name] = field.value === "" ? null : Number(field.value);
    else if (field.dataset.kind === "words") values[field.name] = field.value.split(/\s+/).filter(Boolean);
    else if (field.dataset.kind === "json") values[field.name] = field.value.trim() ? parsed(field) : null;
    else if (field.dataset.kind === "moment") { if (field.value) values[field.name] = new Date(field.value).toISOString(); }
    else if (field.value !== "" || field.dataset.kind === "text") values[field.name] = field.value;
  }
  return values;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  if (form.dataset.sure && !confirm(form.dataset.sure)) return;
  const problem = form.querySelector("[data-problem]");
  const [method, path] = form.dataset.api.split(" ");
  const buttons = form.querySelectorAll("button[type=submit]");
  buttons.forEach((button) => (button.disabled = true));
  if (problem) problem.hidden = true;
  try {
    const values = { ...valuesOf(form), ...(event.submitter?.dataset.values ? JSON.parse(event.submitter.dataset.values) : {}) };
    const place = path.replace(/\{(\w+)\}/g, (_, name) => {
      const value = encodeURIComponent(values[name]);
      delete values[name];
      return value;
    });
    const body = await call(method, place, method === "DELETE" && !Object.keys(values).length ? undefined : values);
    form.dispatchEvent(new CustomEvent("lockgate:done", { bubbles: true, detail: body }));
    if (form.dataset.then) location.assign(form.dataset.then);
    else say("Done.");
  } catch (error) {
    if (error.status === 401 && !form.dataset.api.endsWith("/api/session")) location.assign(`/login?then=${encodeURIComponent(location.pathname)}`);
    if (problem) {
      problem.textContent = error.message;
      problem.hidden = false;
    } else say(error.message);
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
});

// Keys: g and a letter goes to a page, / to the first filter, ? to the list of keys.
let went = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input,textarea,select,[contenteditable]")) return;
  if (went) {
    went = false;
    const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (event.key === "g") went = true;
  else if (event.key === "/") {
    const field = document.querySelector("input[type=search]");
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "?") document.getElementById("keys")?.showModal();
});

// How many calls wait, beside the name of their page. A page that knows says so; the others ask once a minute.

const waiting = document.getElementById("waiting");

function showWaiting(count) {
  waiting.textContent = count;
  waiting.setAttribute("aria-label", `${count} wait`);
  waiting.hidden = !count;
}

async function askWaiting() {
  try {
    showWaiting((await call("GET", "/api/approvals/count")).waiting);
  } catch (error) {
    if (error.status === 401) return;
  }
  setTimeout(askWaiting, 60_000);
}

if (waiting) {
  document.addEventListener("lockgate:waiting", (event) => showWaiting(event.detail));
  if (!document.getElementById("held")) askWaiting();
}

document.addEventListener("DOMContentLoaded", () => prepare(document));
if (document.readyState !== "loading") prepare(document);
