// The page Policies: the text is what counts; the table and the forms are drawn from what the server reads in it, and
// what a form changes, the server puts into the text. Everything from outside gets into the page as text only.

import { call, say } from "./lockgate.js";
import { handle, placed } from "./order.js";

const yaml = document.getElementById("yaml");
const table = document.querySelector("#rules tbody");
const mistakes = document.getElementById("mistakes");
const place = document.getElementById("form-place");
const version = document.getElementById("version");
let known = { items: [], packs: [], rule_schema: {} };
let rules = [];
let turn = 0;

function make(name, values = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(values)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function failed(error) {
  if (error.status === 401) location.assign("/login?then=/policies");
  return error.message;
}

// -- the text, read by the server

async function read() {
  const mine = ++turn;
  try {
    const found = await call("POST", "/api/policy-set/check", { yaml: yaml.value });
    if (mine !== turn) return;
    if (found.rules.length || !found.mistakes.length) {
      rules = found.rules;
      draw();
    }
    mistakes.replaceChildren(
      ...(found.mistakes.length
        ? [make("ul", { className: "notice bad" }, ...found.mistakes.map((each) => make("li", {}, each)))]
        : [make("p", { className: "quiet" }, `${rules.length === 1 ? "1 rule is" : `${rules.length} rules are`} right.`)]),
    );
  } catch (error) {
    if (mine === turn) mistakes.replaceChildren(make("p", { className: "notice bad" }, failed(error)));
  }
}

function draw() {
  table.replaceChildren(...rules.map(row));
  if (!rules.length) table.append(make("tr", {}, make("td", { colSpan: 6, className: "empty" }, "No rule. Add one, or begin from a policy set that ships.")));
}

function row(rule, at) {
  const mode = rule.mode ?? "enforce";
  const button = (text, label, act, disabled = false) =>
    make("button", { type: "button", className: "outline small", disabled, onclick: act, "aria-label": `${label} ${rule.name}` }, text);
  return make("tr", {},
    make("td", { className: "number" }, handle(move), ` ${at + 1}`),
    make("td", { className: "wrap" }, rule.name),
    make("td", { className: "wrap" }, rule.use || (rule.branches ? "branches" : "rules")),
    make("td", {}, make("span", { className: `badge ${mode === "shadow" ? "warn" : "good"}` }, mode)),
    make("td", { className: "wide wrap" }, rule.match && Object.keys(rule.match).length ? JSON.stringify(rule.match) : ""),
    make("td", {}, make("div", { className: "row" },
      button("↑", "Move up", () => move(at, at - 1, "Move up"), at === 0),
      button("↓", "Move down", () => move(at, at + 1, "Move down"), at === rules.length - 1),
      button("Edit", "Edit", () => form(rule, at), !rule.use),
      button("Out", "Take out", () => edit({ act: "remove", at })),
    )),
  );
}

async function edit(change) {
  try {
    yaml.value = (await call("POST", "/api/policy-set/edit", { yaml: yaml.value, ...change })).yaml;
    await read();
    return "";
  } catch (error) {
    const sentence = failed(error);
    say(sentence);
    return sentence;
  }
}

async function move(at, to, label = "") {
  const { name } = rules[at];
  if (!(await edit({ act: "move", at, to })) && rules[to]?.name === name) {
    placed(table.rows[to], `${name} is now rule ${to + 1} of ${rules.length}.`, label);
  }
}

let typing;
yaml?.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(read, 600);
});

// -- a form for one rule, drawn from the schemas

let fieldCount = 0;
const SHOWN = ["name", "mode", "match", "on_error", "refusal", "sample", "deadline_seconds"];

function resolve(schema, top) {
  if (schema.$ref) return { ...top.$defs?.[schema.$ref.split("/").pop()], ...schema };
  const some = (schema.anyOf ?? []).filter((each) => each.type !== "null");
  return some.length === 1 ? { ...resolve(some[0], top), ...schema, anyOf: undefined, type: resolve(some[0], top).type } : schema;
}

// A field and what reads it: undefined where it was left as the default.
function field(name, given, top, value) {
  const schema = resolve(given, top);
  const help = (schema.description ?? "").replace(/\s+/g, " ");
  const usual = schema.default;
  let input;
  let get;
  if (schema.enum) {
    input = make("select", {}, make("option", { value: "" }, usual == null ? "" : `${usual} (the default)`), ...schema.enum.map((each) => make("option", { value: each }, String(each))));
    input.value = value ?? "";
    get = () => input.value || undefined;
  } else if (schema.type === "boolean") {
    input = make("select", {}, ...["", "true", "false"].map((each) => make("option", { value: each }, each || `${usual ?? ""} (the default)`)));
    input.value = value === undefined ? "" : String(value);
    get = () => (input.value ? input.value === "true" : undefined);
  } else if (schema.type === "integer" || schema.type === "number") {
    input = make("input", { type: "number", step: schema.type === "integer" ? "1" : "any", placeholder: usual ?? "" });
    input.value = value ?? "";
    get = () => (input.value === "" ? undefined : Number(input.value));
  } else if (schema.type === "string" && !schema.anyOf) {
    input = make("input", { placeholder: typeof usual === "string" ? usual : "", spellcheck: false });
    input.value = value ?? "";
    get = () => (input.value === "" && value === undefined ? undefined : input.value);
  } else if (schema.type === "array" && resolve(schema.items ?? {}, top).type === "string") {
    input = make("textarea", { className: "code", rows: Math.min(8, (value?.length ?? 0) + 1), placeholder: "one in a line", spellcheck: false });
    input.value = (value ?? []).join("\n");
    get = () => (input.value.trim() ? input.value.split("\n").filter(Boolean) : value === undefined ? undefined : []);
  } else {
    input = make("textarea", { className: "code", rows: 3, placeholder: usual === undefined ? "as JSON" : JSON.stringify(usual), spellcheck: false });
    input.value = value === undefined ? "" : JSON.stringify(value, null, 1);
    get = () => {
      if (!input.value.trim()) return undefined;
      try {
        return JSON.parse(input.value);
      } catch {
        throw new Error(`${name} is no JSON`);
      }
    };
  }
  const needed = (top.required ?? []).includes(name);
  input.id = `field-${++fieldCount}`;
  input.setAttribute("aria-describedby", `${input.id}-help`);
  const label = make("div", {},
    make("label", { htmlFor: input.id }, `${name}${needed ? " (needed)" : ""}`),
    input,
    make("small", { className: "quiet", id: `${input.id}-help` }, help));
  return { name, label, get };
}

function form(rule, at) {
  const policy = known.items.find((each) => each.name === rule.use);
  const schema = policy?.options_schema ?? {};
  const own = SHOWN.map((name) => field(name, known.rule_schema.properties[name], known.rule_schema, rule[name]));
  const options = Object.entries(schema.properties ?? {}).map(([name, given]) => field(name, given, schema, rule.with?.[name]));
  const problem = make("p", { className: "notice bad", role: "alert", hidden: true });
  const taken = (fields) => Object.fromEntries(fields.map((each) => [each.name, each.get()]).filter(([, value]) => value !== undefined));
  const made = make("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      problem.hidden = true;
      let sentence = "";
      try {
        const { name, ...rest } = taken(own);
        const with_ = policy ? taken(options) : rule.with ?? {};
        const changed = { name, use: rule.use, ...rest, ...(Object.keys(with_).length ? { with: with_ } : {}) };
        sentence = await edit(at === undefined ? { act: "insert", at: rules.length, rule: changed } : { act: "put", at, rule: changed });
      } catch (error) {
        sentence = error.message;
      }
      problem.textContent = sentence;
      problem.hidden = !sentence;
      if (!sentence) place.replaceChildren();
    },
  },
    make("h3", {}, at === undefined ? `A new rule with ${rule.use}` : `Rule ${at + 1}, with ${rule.use}`),
    ...(policy?.summary ? [make("p", { className: "quiet" }, policy.summary)] : []),
    ...own.slice(0, 2).map((each) => each.label),
    ...options.map((each) => each.label),
    make("details", {}, make("summary", {}, "When, and how"), ...own.slice(2).map((each) => each.label)),
    problem,
    make("div", { className: "row" },
      make("button", { type: "submit" }, "Into the text"),
      make("button", { type: "button", className: "secondary", onclick: () => place.replaceChildren() }, "Cancel")),
  );
  place.replaceChildren(made);
  made.querySelector("input").focus();
}

document.getElementById("add-go")?.addEventListener("click", () => {
  const use = document.getElementById("add").value;
  let name = use.replaceAll("_", "-");
  for (let number = 2; rules.some((each) => each.name === name); number++) name = `${use.replaceAll("_", "-")}-${number}`;
  form({ name, use, mode: "shadow" });
});

document.getElementById("begin")?.addEventListener("change", (event) => {
  const pack = known.packs.find((each) => each.name === event.target.value);
  if (pack && (!yaml.value.trim() || confirm(`Put the text of ${pack.name} in the place of this one? Nothing is in force by that.`))) {
    yaml.value = pack.text;
    read();
  }
  event.target.value = "";
});

// -- in force

document.getElementById("enable")?.addEventListener("click", async (event) => {
  const said = document.getElementById("enabled");
  if (!confirm("Put this text in force, for all that passes?")) return;
  event.target.disabled = true;
  try {
    const body = await call("PUT", "/api/policy-set", { yaml: yaml.value }, { "if-match": `"${version.dataset.written}"` });
    version.dataset.written = body.version;
    said.textContent = "Written; the proxy takes it up …";
    await inForce(body.version, said);
  } catch (error) {
    said.textContent = failed(error);
  } finally {
    event.target.disabled = false;
  }
});

async function inForce(wanted, said) {
  for (let tries = 0; tries < 20; tries++) {
    const found = await call("GET", "/api/policy-set");
    version.textContent = found.version;
    if (found.version === wanted) {
      said.textContent = `Version ${wanted} is in force.`;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  said.textContent = "It is written, and not in force yet: the proxy's own log says why.";
}

// -- trying

const trial = document.getElementById("try");

function fields() {
  for (const each of trial.querySelectorAll("[data-for]")) each.hidden = each.dataset.for !== trial.elements.on.value;
}
trial?.elements.on.addEventListener("change", fields);
trial?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { on, hours, limit, exchange_id, format, request, reply } = trial.elements;
  const problem = document.getElementById("try-problem");
  const button = trial.querySelector("button[type=submit]");
  const given = { yaml: yaml.value };
  if (on.value === "hours") Object.assign(given, { hours: Number(hours.value), limit: Number(limit.value) });
  else if (on.value === "exchange") given.exchange_id = exchange_id.value.trim();
  else Object.assign(given, { request: request.value, reply: reply.value || null, format: format.value || null });
  problem.hidden = true;
  button.disabled = true;
  button.textContent = "Trying …";
  try {
    show(await call("POST", "/api/policy-set/try", given), on.value);
  } catch (error) {
    problem.textContent = failed(error);
    problem.hidden = false;
  } finally {
    button.disabled = false;
    button.textContent = "Try";
  }
});

function show(result, on) {
  const count = on === "hours"
    ? `${result.tried} exchanges were tried, ${result.changed} would have ended otherwise.${result.complete ? "" : " There are more: this is as many as the bounds let be tried, the newest."}`
    : "";
  const head = ["exchange", "agent", "was", "would be", "rules", "in shadow mode", "why"];
  const lines = result.items.map((each) => make("tr", {},
    make("td", {}, each.exchange_id ? make("a", { href: `/exchanges/${encodeURIComponent(each.exchange_id)}` }, each.exchange_id.slice(-8)) : "as pasted"),
    make("td", { className: "wrap" }, each.agent),
    make("td", { className: "wrap" }, each.was, each.was_rules.length ? ` by ${each.was_rules.join(", ")}` : ""),
    make("td", {}, make("span", { className: `badge ${{ blocked: "bad", changed: "warn", passed: "good" }[each.would] ?? ""}` }, each.would || "not tried"), each.is_sure ? "" : " (not sure)"),
    make("td", { className: "wrap" }, each.rules.join(", ")),
    make("td", { className: "wrap" }, each.shadow.join(", ")),
    make("td", { className: "wrap" }, each.problem || [...new Set(each.decisions.filter((one) => one.action !== "forwarded").map((one) => `${one.rule}: ${one.action}${one.reason ? `, ${one.reason}` : ""}`))].slice(0, 5).join("; ")),
  ));
  const rest = result.items.length === 1 && on !== "hours" ? result.items[0] : null;
  const said = [rest?.request?.sentence, rest?.reply?.sentence].filter(Boolean);
  const body = rest?.reply?.body ?? (rest?.request?.document ? JSON.stringify(rest.request.document, null, 1) : "");
  document.getElementById("tried").replaceChildren(
    ...(count ? [make("p", {}, count)] : []),
    ...(lines.length
      ? [make("div", { className: "table", tabIndex: 0, role: "region", "aria-label": "What would be different" },
          make("table", {}, make("thead", {}, make("tr", {}, ...head.map((each) => make("th", { scope: "col" }, each)))), make("tbody", {}, ...lines)))]
      : [make("p", { className: "quiet" }, "Nothing would be different.")]),
    ...said.map((each) => make("pre", { tabIndex: 0 }, each)),
    ...(body ? [make("details", {}, make("summary", {}, "What would go on"), make("pre", { tabIndex: 0 }, body.slice(0, 100_000)))] : []),
  );
}

// -- a rule from a call

const wishes = document.getElementById("propose");
wishes?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { wish, tool, arguments: given, rule, any_arguments } = wishes.elements;
  const problem = document.getElementById("propose-problem");
  problem.hidden = true;
  try {
    const found = await call("POST", "/api/policy-set/propose", {
      wish: wish.value, rule: rule.value.trim(), any_arguments: any_arguments.checked, call: { tool: tool.value, arguments: given.value || "{}" },
    });
    const add = make("button", {
      type: "button",
      onclick: async () => {
        const sentence = await edit({ act: found.replaces ? "put" : "insert", at: found.at, rule: found.rule });
        say(sentence || "It is in the text. Try it, then put it in force.");
        if (!sentence) yaml.scrollIntoView({ block: "center" });
      },
    }, found.replaces ? "Change the rule in the text" : "Add it to the text");
    document.getElementById("proposed").replaceChildren(make("p", {}, found.sentence), make("pre", { tabIndex: 0 }, JSON.stringify(found.rule, null, 1)), add);
  } catch (error) {
    problem.textContent = failed(error);
    problem.hidden = false;
  }
});

// A link from a call brings it along behind the #, where no server and no log sees it.
function brought() {
  if (!wishes || !location.hash.startsWith("#propose=")) return;
  try {
    const given = JSON.parse(decodeURIComponent(location.hash.slice(9)));
    for (const name of ["wish", "tool", "arguments", "rule"]) if (typeof given[name] === "string") wishes.elements[name].value = given[name];
  } catch {
    say("The link does not say which call is meant.");
    return;
  }
  wishes.scrollIntoView({ block: "center" });
  wishes.requestSubmit();
}

async function begin() {
  if (!yaml) return;
  fields();
  try {
    known = await call("GET", "/api/policies");
  } catch (error) {
    say(failed(error));
    return;
  }
  document.getElementById("add").append(...known.items.filter((each) => !each.problem).map((each) => make("option", { value: each.name, title: each.summary }, each.name)));
  document.getElementById("begin").append(...known.packs.map((each) => make("option", { value: each.name }, each.name)));
  await read();
  brought();
}

begin();
