// The token of the set-up link goes from behind the # into the form, and out of the address bar.

const field = document.querySelector("#setup [name=token]");
field.value = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
if (!field.value) {
  const problem = document.querySelector("#setup [data-problem]");
  problem.textContent = "Open the whole link that Lockgate printed: the token stands behind its #.";
  problem.hidden = false;
}
