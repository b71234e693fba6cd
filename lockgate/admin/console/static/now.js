// The page Now: exchanges as they run. One row per exchange, made once and changed in place; all of a batch is drawn
// in one frame. What models and clients say gets into the page as text only.

import { tell, say } from "./lockgate.js";

const ROWS = 2000; // kept; older ones are in the list of exchanges
const DRAWN = 400;

const exchanges = new Map(); // id -> {data, growth, decisions, row}
const body = document.querySelector("#live tbody");
const field = document.getElementById("filter");
const outcome = document.getElementById("outcome");
const pause = document.getElementById("pause");
const state = document.getElementById("state");
const dirty = new Set();
let paused = false;
let waitingWhilePaused = 0;
let drawing = false;
let last = "";

function note(id) {
  dirty.add(id);
  if (paused) {
    waitingWhilePaused += 1;
    pause.textContent = `Go on (${waitingWhilePaused})`;
  } else draw();
}

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const fits = filter();
    const news = [...dirty].sort();
    dirty.clear();
    for (const id of news) place(id, fits);
    while (body.rows.length > DRAWN) drop(body.rows[body.rows.length - 1]);
    counts();
  });
}

function drop(row) {
  const known = exchanges.get(row.dataset.id);
  if (known) known.row = null;
  row.remove();
}

function redraw() {
  body.replaceChildren();
  for (const known of exchanges.values()) known.row = null;
  for (const id of exchanges.keys()) dirty.add(id);
  draw();
}

function place(id, fits) {
  const known = exchanges.get(id);
  if (!known?.data) return;
  if (!fits(known)) {
    if (known.row) drop(known.row);
    return;
  }
  if (!known.row) {
    known.row = document.createElement("tr");
    known.row.dataset.id = id;
    known.row.dataset.href = `/exchanges/${id}`;
    let before = body.firstElementChild;
    while (before && before.dataset.id > id) before = before.nextElementSibling;
    body.insertBefore(known.row, before);
  }
  fill(known);
}

const TONES = { passed: "good", changed: "warn", blocked: "bad", refused: "bad", error: "bad", cut: "warn", gone: "", open: "" };

function fill(known) {
  const { data, growth, row } = known;
  const open = data.outcome === "open";
  const link = element("a", clock(data.started_at));
  link.href = row.dataset.href;
  const badge = element("span", open && growth?.held ? "held" : data.outcome, `badge ${open && growth?.held ? "warn" : TONES[data.outcome] ?? ""}`);
  if (data.error) badge.title = data.error;
  const rules = new Set([...data.rules, ...known.rules]);
  const agent = cell(data.agent);
  if (known.by) agent.append(" ", element("span", `in ${known.by}`, "badge"));
  row.replaceChildren(
    cell(link), agent, cell(data.model, "wrap"), cell(data.project, "wide"), cell(badge),
    cell(growth ? growth.characters.toLocaleString() : "", "number"),
    cell(String((open ? growth?.tool_calls : data.tool_calls) || ""), "number"), cell([...rules].join(" "), "wrap"),
    cell(data.usage ? total(data.usage).toLocaleString() : "", "number wide"),
    cell(data.cost_nano_usd == null ? "" : `$${(data.cost_nano_usd / 1e9).toFixed(4)}`, "number wide"),
    cell(data.duration_ms == null ? "" : `${(data.duration_ms / 1000).toFixed(1)} s`, "number"),
  );
}

function total(usage) {
  return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
}

function clock(at) {
  const time = document.createElement("time");
  time.dateTime = at;
  tell(time);
  return time;
}

function element(name, content, classes = "") {
  const made = document.createElement(name);
  made.append(content);
  if (classes) made.className = classes;
  return made;
}

function cell(content, classes = "") {
  return element("td", content ?? "", classes);
}

// Filters

function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  return (known) => {
    if (outcome.value && known.data.outcome !== outcome.value) return false;
    return words.every((word) => (word.startsWith("-") && word.length > 1 ? !has(known, word.slice(1)) : has(known, word)));
  };
}

function has(known, word) {
  const { data } = known;
  const rules = [...data.rules, ...known.rules].join(" ");
  const columns = { model: data.model, agent: data.agent, project: data.project, rule: rules, outcome: data.outcome, session: data.session_id, host: data.host, proxy: known.by };
  const [name, ...rest] = word.split(":");
  if (rest.length && name in columns) return columns[name].toLowerCase().includes(rest.join(":"));
  const purpose = [data.purpose, data.trigger, data.kind === "other" ? "side" : ""].join(" ");
  return [...Object.values(columns), purpose, data.error, data.id].join(" ").toLowerCase().includes(word);
}

field.addEventListener("input", redraw);
outcome.addEventListener("change", redraw);

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  waitingWhilePaused = 0;
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) draw();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "p" && !event.target.closest("input,textarea,select")) pause.click();
});

// What comes

function known(id) {
  if (!exchanges.has(id)) {
    exchanges.set(id, { data: null, by: "", growth: null, rules: new Set(), row: null });
    if (exchanges.size > ROWS) {
      const oldest = exchanges.keys().next().value;
      if (exchanges.get(oldest).row) exchanges.get(oldest).row.remove();
      exchanges.delete(oldest);
    }
  }
  return exchanges.get(id);
}

function take(happening) {
  const { type } = happening;
  if (type === "exchange") {
    const there = known(happening.exchange.id);
    there.data = happening.exchange;
    there.by = happening.by ?? "";
    note(happening.exchange.id);
  } else if (type === "growth") {
    known(happening.exchange_id).growth = happening;
    note(happening.exchange_id);
  } else if (type === "decision" && happening.mode === "enforce") {
    known(happening.exchange_id).rules.add(happening.rule);
    note(happening.exchange_id);
  } else if (type === "approvals") document.dispatchEvent(new CustomEvent("lockgate:approvals"));
  else if (type === "gap") backfill();
}

async function backfill() {
  const answer = await fetch("/api/exchanges?limit=200", { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return say("The list of exchanges could not be read; the page shows what comes from now on.");
  const page = await answer.json();
  for (const exchange of page.items.reverse()) {
    const there = known(exchange.id);
    if (!there.data || there.data.outcome === "open") {
      there.data = exchange;
      note(exchange.id);
    }
  }
}

function counts() {
  let open = 0, held = 0, minute = 0;
  const since = Date.now() - 60_000;
  for (const { data, growth } of exchanges.values()) {
    if (!data) continue;
    if (data.outcome === "open") {
      open += 1;
      if (growth?.held) held += 1;
    }
    if (Date.parse(data.started_at) > since) minute += 1;
  }
  document.getElementById("tile-open").textContent = open;
  document.getElementById("tile-held").textContent = held;
  document.getElementById("tile-minute").textContent = minute;
  document.getElementById("none").hidden = exchanges.size > 0;
}

function connect() {
  const stream = new EventSource(`/api/activity/stream${last ? `?after=${encodeURIComponent(last)}` : ""}`);
  stream.addEventListener("open", () => {
    show("live", "good");
    if (!last) backfill(); // what went before; with a number, the stream itself tells what was missed
  });
  stream.addEventListener("happenings", (event) => {
    last = event.lastEventId || last;
    for (const happening of JSON.parse(event.data)) take(happening);
  });
  stream.addEventListener("ended", () => {
    stream.close();
    show("logged out", "bad");
    location.href = "/login";
  });
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) {
      show("not connected", "bad");
      if (!exchanges.size) backfill();
      setTimeout(connect, 3000);
    } else show("connecting", "warn"); // the browser tries again, with the number of what it saw last
  });
}

function show(text, tone) {
  state.textContent = text;
  state.className = `badge ${tone}`;
}

connect();
setInterval(counts, 5000);
