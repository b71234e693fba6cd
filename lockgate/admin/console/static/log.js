// Exchanges and sessions: what a label or a note changed is shown by the page itself, read once more.

document.addEventListener("lockgate:done", () => location.reload());
