// The page Approvals. What was shown is what is decided: the dialog has a copy of the call as it was read, with its
// digest; the list may change behind it, and the server refuses what is about another call.

import { call, say } from "./lockgate.js";

const held = document.getElementById("held");
const decided = document.getElementById("decided");
const dialog = document.getElementById("decide");
const state = document.getElementById("state");
let chosen = ""; // the id of the call that keys are about
let open = null; // what the dialog is about

function cards() {
  return [...held.querySelectorAll("article.held")];
}

function choose(card, focus = true) {
  chosen = card?.dataset.id ?? "";
  for (const each of cards()) each.classList.toggle("chosen", each === card);
  if (card && focus) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}

function step(by) {
  const all = cards();
  if (!all.length) return;
  const at = all.findIndex((each) => each.dataset.id === chosen);
  choose(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
}

// -- deciding

const TITLES = { approve: "Approve this call?", deny: "Deny this call?", edit: "Let something else go on?" };
const WORDS = { approve: "Approve", deny: "Deny", edit: "Let this go on" };

function ask(card, decision) {
  if (!dialog || !card || dialog.open) return;
  open = { id: card.dataset.id, digest: card.dataset.digest, decision };
  const form = document.getElementById("decide-form");
  form.reset();
  document.getElementById("decide-title").textContent = TITLES[decision];
  document.getElementById("decide-yes").textContent = WORDS[decision];
  document.getElementById("decide-digest").textContent = card.dataset.digest.slice(0, 12);
  document.getElementById("decide-call").replaceChildren(card.querySelector(".call").cloneNode(true));
  document.getElementById("decide-edit").hidden = decision !== "edit";
  document.getElementById("decide-shown").hidden = decision !== "deny";
  document.getElementById("decide-problem").hidden = true;
  form.elements.arguments.value = decision === "edit" ? card.querySelector(".editable").value : "";
  open.before = form.elements.arguments.value;
  dialog.showModal();
  if (decision === "edit") form.elements.arguments.focus();
  else if (decision === "deny") form.elements.note.focus();
  else document.getElementById("decide-yes").focus();
}

dialog?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { id, digest, decision, before } = open;
  const fields = event.target.elements;
  const problem = document.getElementById("decide-problem");
  const yes = document.getElementById("decide-yes");
  const given = { decision, digest, note: fields.note.value };
  if (decision === "deny") given.note_shown = fields.note_shown.checked;
  if (decision === "edit") given.arguments = fields.arguments.value;
  problem.hidden = true;
  if (decision === "edit" && given.arguments === before) {
    problem.textContent = "Nothing was changed: approve the call as it is, or change something.";
    problem.hidden = false;
    return;
  }
  yes.disabled = true;
  try {
    const done = await call("POST", `/api/approvals/${encodeURIComponent(id)}/decision`, given);
    dialog.close();
    say(`The call of ${done.tool} is ${done.state}.`);
  } catch (error) {
    if (error.status === 401) location.assign("/login?then=/approvals");
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    yes.disabled = false;
    again();
  }
});
document.getElementById("decide-no")?.addEventListener("click", () => dialog.close());
dialog?.addEventListener("close", () => choose(cards().find((each) => each.dataset.id === chosen) ?? null));

held.addEventListener("click", (event) => {
  const card = event.target.closest("article.held");
  if (!card) return;
  choose(card, false);
  const button = event.target.closest("[data-decide]");
  if (button) ask(card, button.dataset.decide);
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented /* g a goes to a page */ || event.ctrlKey || event.metaKey || event.altKey || event.repeat || dialog?.open) return;
  if (event.target.closest("input,textarea,select,[contenteditable]")) return;
  const decision = { a: "approve", d: "deny", e: "edit" }[event.key];
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (decision) {
    const card = cards().find((each) => each.dataset.id === chosen);
    if (card) ask(card, decision);
    else say("Choose a call first: j and k go through them.");
  } else return;
  event.preventDefault();
});

// -- what waits, as it changes

function again() {
  held.dispatchEvent(new Event("look-again"));
  decided.dispatchEvent(new Event("look-again"));
}

document.addEventListener("htmx:after:swap", () => {
  const card = cards().find((each) => each.dataset.id === chosen);
  for (const each of cards()) each.classList.toggle("chosen", each === card);
  if (!card) chosen = "";
  mark();
});

function mark() {
  const now = Date.now();
  for (const badge of held.querySelectorAll("[data-left]")) badge.until = now + 1000 * Number(badge.dataset.left);
  document.dispatchEvent(new CustomEvent("lockgate:waiting", { detail: cards().length }));
}

setInterval(() => {
  for (const badge of held.querySelectorAll("[data-left]")) {
    const left = Math.max(0, Math.round((badge.until - Date.now()) / 1000));
    badge.textContent = left < 120 ? `${left} s left` : `${Math.floor(left / 60)} min left`;
  }
}, 1000);

function listen() {
  const stream = new EventSource("/api/activity/stream");
  stream.addEventListener("open", () => {
    state.textContent = "live";
    state.className = "badge good";
    again();
  });
  stream.addEventListener("happenings", (event) => {
    if (JSON.parse(event.data).some((each) => each.type === "approvals" || each.type === "gap")) again();
  });
  stream.addEventListener("ended", () => {
    stream.close();
    location.assign("/login?then=/approvals");
  });
  stream.addEventListener("error", () => {
    state.textContent = "connection lost";
    state.className = "badge bad";
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
}

mark();
listen();
