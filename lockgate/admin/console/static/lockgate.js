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
    await navigator.clipboard.writeText(from.value ?? from.textContent);
    say("Copied.");
    return;
  }
  const row = event.target.closest("tr[data-href]");
  if (row && !event.target.closest("a,button,input,summary")) location.href = row.dataset.href;
});

document.addEventListener("submit", (event) => {
  const sure = event.target.dataset.sure;
  if (sure && !confirm(sure)) event.preventDefault();
}, true);

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

document.addEventListener("DOMContentLoaded", () => prepare(document));
if (document.readyState !== "loading") prepare(document);
