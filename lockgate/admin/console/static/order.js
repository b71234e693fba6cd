// Rows of a table in another order: dragged by a handle, with mouse, pen or finger. Keys have buttons for the same.

const EDGE = 40; // pixels from the window's edge, where it scrolls
const STEP = 12;

// What a row is dragged by. `move(from, to)` is called when it was dropped in another place.
export function handle(move) {
  const grip = document.createElement("span");
  grip.className = "handle";
  grip.textContent = "⠿";
  grip.title = "Drag it to another place";
  grip.ariaHidden = "true";
  grip.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag(event, grip, move);
  });
  return grip;
}

function drag(start, grip, move) {
  const row = grip.closest("tr");
  const rows = [...row.parentElement.rows];
  const from = rows.indexOf(row);
  const over = new AbortController();
  let to = from;
  start.preventDefault();
  grip.setPointerCapture(start.pointerId);

  const mark = (isOver) => rows.forEach((each, at) => {
    each.classList.toggle("dragged", !isOver && at === from);
    each.classList.toggle("drop-before", !isOver && at === to && to < from);
    each.classList.toggle("drop-after", !isOver && at === to && to > from);
  });
  const end = (isDropped) => {
    over.abort();
    mark(true);
    if (isDropped && to !== from) move(from, to);
  };
  const on = (target, name, act) => target.addEventListener(name, act, { signal: over.signal });
  on(grip, "pointermove", (event) => {
    if (event.clientY < EDGE) scrollBy(0, -STEP);
    else if (event.clientY > innerHeight - EDGE) scrollBy(0, STEP);
    const at = rows.findIndex((each) => event.clientY < each.getBoundingClientRect().bottom);
    to = at < 0 ? rows.length - 1 : at;
    mark(false);
  });
  on(grip, "pointerup", () => end(true));
  on(grip, "lostpointercapture", () => end(false)); // cancelled, or the table was drawn anew
  on(document, "keydown", (event) => {
    if (event.key === "Escape") end(false);
  });
}

// Says where a row stands now, and gives the focus back to the button that moved it there.
export function placed(row, sentence, label) {
  document.getElementById("order-said").textContent = sentence;
  if (!label) return;
  const buttons = [...row.querySelectorAll("button:enabled")];
  (buttons.find((each) => each.ariaLabel.startsWith(label)) ?? buttons[0])?.focus();
}
