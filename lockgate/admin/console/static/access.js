// The pages below Access: a grant's fields and its JSON are one; a secret is shown once.

// Grants: the text is what is sent; fields write into it, and follow it.

const SCALE = { per: "day", unit: "usd", warn: 80, then: "refuse" };

function document_(text) {
  try {
    const read = JSON.parse(text.value.trim() || "{}");
    return read && typeof read === "object" && !Array.isArray(read) ? read : null;
  } catch {
    return null; // half typed
  }
}

function put(grant, path, value) {
  const [part, name] = path.split(".");
  const inner = { ...(grant[part] ?? {}) };
  if (value === null || (Array.isArray(value) && !value.length)) delete inner[name];
  else inner[name] = value;
  if (Object.keys(inner).length) grant[part] = inner;
  else delete grant[part];
}

function read(field) {
  if (field.dataset.as === "words") return field.value.split(/\s+/).filter(Boolean);
  return field.value === "" ? null : Number(field.value);
}

function budgetOf(row) {
  const of = (name) => row.querySelector(`[data-budget=${name}]`).value;
  const budget = { per: of("per"), [of("unit")]: Number(of("amount")) };
  if (of("warn") !== "" && Number(of("warn")) !== SCALE.warn) budget.warn_at = Number(of("warn")) / 100;
  if (of("then") === "map") Object.assign(budget, { then: "map", map_to: of("map_to").trim() });
  return budget;
}

function connect(box) {
  const text = box.querySelector("textarea");
  const fields = [...box.querySelectorAll("[data-path]")];
  const rows = box.querySelector("[data-budgets]");
  const template = box.querySelector("template");

  const write = () => {
    const grant = document_(text) ?? {};
    for (const field of fields) put(grant, field.dataset.path, read(field));
    const budgets = [...rows.children].map(budgetOf);
    if (budgets.length) grant.budgets = budgets;
    else delete grant.budgets;
    text.value = JSON.stringify(grant, null, 1);
  };
  const add = (budget = {}) => {
    const row = template.content.cloneNode(true).firstElementChild;
    const set = (name, value) => (row.querySelector(`[data-budget=${name}]`).value = value);
    set("per", budget.per ?? SCALE.per);
    set("unit", budget.tokens == null ? "usd" : "tokens");
    set("amount", budget.tokens ?? budget.usd ?? "");
    set("warn", budget.warn_at == null ? SCALE.warn : Math.round(budget.warn_at * 1e6) / 1e4);
    set("then", budget.then ?? SCALE.then);
    set("map_to", budget.map_to ?? "");
    row.querySelector("[data-less]").addEventListener("click", () => {
      row.remove();
      write();
    });
    rows.append(row);
    return row;
  };
  const follow = () => {
    const grant = document_(text);
    if (!grant) return;
    for (const field of fields) {
      const [part, name] = field.dataset.path.split(".");
      const value = grant[part]?.[name] ?? "";
      field.value = Array.isArray(value) ? value.join(" ") : value;
      if (value.length || typeof value === "number") field.closest("details").open = true;
    }
    rows.replaceChildren();
    for (const budget of Array.isArray(grant.budgets) ? grant.budgets : []) add(budget).closest("details").open = true;
  };

  box.addEventListener("input", (event) => (event.target === text ? follow() : write()));
  box.addEventListener("change", (event) => event.target !== text && write());
  box.querySelector("[data-more]").addEventListener("click", () => add().querySelector("select").focus());
  follow();
}

document.querySelectorAll("[data-grant]").forEach(connect);

// A secret stands in the page until its reader goes on; no address and no storage of the browser has it.

document.addEventListener("lockgate:done", (event) => {
  const name = event.target.dataset.once;
  if (!name || !event.detail?.[name]) return;
  const place = document.getElementById("once");
  const secret = event.detail[name];
  document.getElementById("secret").textContent = secret;
  place.querySelectorAll("[data-secret]").forEach((each) => (each.textContent = secret));
  place.querySelectorAll("[data-origin]").forEach((each) => (each.textContent = location.origin));
  place.hidden = false;
  event.target.reset();
  document.querySelectorAll("form[data-once]").forEach((form) => (form.hidden = true));
  place.focus();
  place.scrollIntoView({ block: "start" });
});

document.querySelector("[data-kept]")?.addEventListener("click", () => location.reload());
