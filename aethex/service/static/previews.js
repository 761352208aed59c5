// Cards move while they are pointed at or have the keyboard's focus: the VOD's preview is laid over its
// poster. Nothing is loaded before, nothing moves on touch or where less motion is asked for.

const WAIT_MS = 140; // a pointer that only passes loads nothing
const mayMove = matchMedia("(hover: hover) and (pointer: fine) and (prefers-reduced-motion: no-preference)");

let current = null;
let timer = 0;

function stop() {
  clearTimeout(timer);
  current?.querySelector(".preview")?.remove();
  current?.removeAttribute("data-previewing");
  current = null;
}

function show(poster) {
  const picture = new Image();
  picture.className = "preview";
  picture.alt = "";
  picture.decoding = "async";
  picture.addEventListener("load", () => poster.toggleAttribute("data-previewing", true));
  picture.addEventListener("error", () => picture.remove());
  picture.src = poster.dataset.preview;
  poster.append(picture);
}

function begin(target) {
  const poster = target.closest?.(".card")?.querySelector("[data-preview]") ?? null;
  if (poster === current) return;
  stop();
  if (!poster || !mayMove.matches) return;
  current = poster;
  timer = setTimeout(() => show(poster), WAIT_MS);
}

document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") begin(event.target); });
document.documentElement.addEventListener("pointerleave", stop);
document.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) begin(event.target); });
document.addEventListener("focusout", stop);
