// Like and follow: forms that work without scripts, made to answer at once. What belongs here: sending a switch
// in the background, showing it before it is known, and taking it back when it fails.

const token = document.querySelector("meta[name=csrf-token]")?.content ?? "";
const said = document.createElement("output");
said.className = "toast";
said.hidden = true;
let saidTimer = 0;
document.body.append(said);

export function say(text) {
  said.hidden = false;
  said.textContent = text;
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => { said.hidden = true; said.textContent = ""; }, 6000);
}

// One and the same switch may stand on a page more than once.
const same = (path) => document.querySelectorAll(`form[data-switch="${CSS.escape(path)}"] button`);
const show = (path, isOn) => same(path).forEach((button) => {
  button.setAttribute("aria-pressed", String(isOn));
  button.value = isOn ? "off" : "on"; // what the form itself would ask for
});

const states = new Map(); // by path: what is known, what is wanted, whether a request is under way

async function settle(path, state) {
  if (state.isSending) return;
  state.isSending = true;
  while (state.wanted !== state.known) {
    const isOn = state.wanted;
    try {
      const answer = await fetch(path, {
        method: isOn ? "POST" : "DELETE",
        headers: { "X-CSRF-Token": token },
        signal: AbortSignal.timeout(15_000),
      });
      if (answer.status === 401) {
        location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
        break;
      }
      if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail);
      state.known = isOn;
    } catch (error) {
      state.wanted = state.known;
      show(path, state.known);
      const isOurs = error instanceof Error && error.constructor === Error && error.message;
      say(isOurs ? `That was not done. ${error.message}` : "That was not done: the service did not answer. Try again.");
    }
  }
  state.isSending = false;
}

document.addEventListener("submit", (event) => {
  const path = event.target.dataset?.switch;
  if (!path) return;
  event.preventDefault();
  const isOn = event.submitter?.getAttribute("aria-pressed") === "true";
  if (!states.has(path)) states.set(path, { known: isOn, wanted: isOn, isSending: false });
  const state = states.get(path);
  state.wanted = !isOn;
  show(path, state.wanted);
  settle(path, state);
});
