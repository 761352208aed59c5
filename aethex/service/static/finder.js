// A channel's page: "/" goes to the search, what is typed is found while it is typed, Esc shows all again. The
// page works without it: the finder is a form that asks for another page, and this asks for the same page.

const form = document.getElementById("finder");
const input = document.getElementById("q");
const TYPING_MS = 250;

let timer = 0;
let asking = null;

function address() {
  const data = new FormData(form);
  const view = new URLSearchParams(location.search).get("view");
  if (view) data.set("view", view);
  const query = new URLSearchParams([...data].filter(([, value]) => String(value).trim() !== ""));
  return query.size ? `${form.action}?${query}` : form.action;
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
      if (here && there) here.replaceWith(there);
    }
    history[isNewEntry ? "pushState" : "replaceState"](null, "", target);
  } catch (problem) {
    if (problem.name !== "AbortError") location.assign(target); // the page itself says what is wrong
  }
}

if (form) {
  input.addEventListener("input", (event) => {
    if (event.isComposing) return;
    clearTimeout(timer);
    timer = setTimeout(() => show(address(), false), TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    form.querySelector("details")?.removeAttribute("open");
    show(address(), true);
  });
  addEventListener("popstate", () => location.reload());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
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
