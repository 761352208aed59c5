// A channel's page: "/" goes to the search, what is typed is found while it is typed, Esc shows all again. The
// page works without it: the finder is a form that asks for another page, and this asks for the same page.

const form = document.getElementById("finder");
const input = document.getElementById("q");
const TYPING_MS = 250;

let timer = 0;
let asking = null;
let shown = location.pathname + location.search;

function address() {
  const data = new FormData(form);
  const view = new URLSearchParams(location.search).get("view");
  if (view) data.set("view", view);
  const query = new URLSearchParams([...data].filter(([, value]) => String(value).trim() !== ""));
  return query.size ? `${form.action}?${query}` : form.action;
}

// What has the focus is taken out with what is replaced: it goes to where the same is.
function replace(here, there) {
  const hasFocus = here.contains(document.activeElement);
  here.replaceWith(there);
  if (hasFocus) (there.matches("summary") ? there : input).focus();
}

// The page behind the address, of which only what the finder changes is taken over.
async function show(target, isNewEntry) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  try {
    const answer = await fetch(target, { signal, headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const selector of ["#results", ".finder-side", ".presets", ".menu > summary"]) {
      const [here, there] = [document.querySelector(selector), page.querySelector(selector)];
      if (here && there) replace(here, there);
    }
    form.querySelector(".menu").toggleAttribute("data-set", Boolean(page.querySelector(".menu[data-set]")));
    document.title = page.title;
    history[isNewEntry ? "pushState" : "replaceState"](null, "", target);
    shown = location.pathname + location.search;
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (problem instanceof TypeError) { // the network is away: no page would come
      document.querySelector("#results [role=status]").textContent = "The search was not answered. Press Enter to try again.";
    } else location.assign(target); // the page itself says what is wrong
  }
}

if (form) {
  // Also while a word is being composed: a phone's keyboard composes all of them.
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => show(address(), false), TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const menu = form.querySelector("details[open]");
    if (menu?.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu?.removeAttribute("open");
    show(address(), true);
  });
  // The skip link is an entry too, of the page that is shown already.
  addEventListener("popstate", () => { if (location.pathname + location.search !== shown) location.reload(); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
    const isTyping = event.target.closest?.("input, textarea, select");
    const menu = form.querySelector("details[open]");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      input.focus();
      input.select();
    } else if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.key === "Escape" && document.getElementById("clear")) {
      event.preventDefault();
      form.querySelectorAll("input").forEach((field) => { field.value = ""; });
      show(document.getElementById("clear").href, true);
    }
  });
  document.addEventListener("click", (event) => {
    const menu = form.querySelector("details[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
}
