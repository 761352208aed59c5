// A second click on a form's button sends it no second time: the browser would drop the answer to the first, which
// said what was done (an account made, a way to undo), for one that says that there is nothing to do any more.

const AGAIN_MS = 5_000; // then something went wrong, and one may try again

let sent = new WeakMap(); // form: when it was sent

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || "switch" in form.dataset) return; // switches.js takes each click
  if (event.timeStamp - (sent.get(form) ?? -AGAIN_MS) < AGAIN_MS) event.preventDefault();
  else sent.set(form, event.timeStamp);
});
addEventListener("pageshow", () => { sent = new WeakMap(); }); // one came back to the page
