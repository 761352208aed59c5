// The player's menus: speed, and quality where there is a choice; captions.js has one more. What belongs here: a menu
// button by the pattern of the ARIA authoring practices (arrows, Home, End, Escape), and what the two list. Keys of
// the player: keys.js.

import { SPEEDS } from "./keys.js";

const ROOM_ABOVE_PX = 12;

export class Menu {
  #button;
  #list;
  #choose;

  constructor(element, choose) {
    this.element = element;
    [this.#button, this.#list] = element.children;
    this.#choose = choose;
    this.#button.addEventListener("click", () => (this.#list.hidden ? this.#open() : this.#close()));
    this.#button.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#open();
    });
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    this.#list.addEventListener("click", (event) => this.#pick(event.target.closest("[role=menuitemradio]")));
    element.addEventListener("focusout", (event) => { if (!element.contains(event.relatedTarget)) this.#close(false); });
  }

  // items: [value, text] each. The one that is chosen is checked; `shown` stands on the button, `said` is read out.
  show(items, chosen, shown, said = shown) {
    this.#button.textContent = shown;
    this.#button.setAttribute("aria-label", `${this.#list.getAttribute("aria-label")}: ${said}`);
    this.#make(items.map(([value]) => String(value)));
    this.#items().forEach((item, at) => {
      item.setAttribute("aria-checked", String(items[at][0] === chosen));
      item.textContent = items[at][1];
    });
    this.element.hidden = false;
  }

  // The same ones stay: one of them may have the focus, and without it the menu closes.
  #make(values) {
    if (this.#items().map((item) => item.value).join() === values.join()) return;
    this.#list.replaceChildren(...values.map((value) => {
      const item = document.createElement("button");
      item.type = "button";
      item.tabIndex = -1;
      item.setAttribute("role", "menuitemradio");
      item.value = value;
      return item;
    }));
  }

  #items() { return [...this.#list.children]; }

  #open() {
    const controller = this.element.closest("media-controller");
    const room = this.#button.getBoundingClientRect().top - controller.getBoundingClientRect().top;
    this.#list.style.maxHeight = `${room - ROOM_ABOVE_PX}px`;
    this.#list.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    controller.toggleAttribute("noautohide", true);
    (this.#items().find((item) => item.ariaChecked === "true") ?? this.#items()[0])?.focus();
  }

  #close(withFocus = true) {
    if (this.#list.hidden) return;
    if (withFocus) this.#button.focus();
    this.#list.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    this.element.closest("media-controller").toggleAttribute("noautohide", false);
  }

  #pick(item) {
    if (!item) return;
    this.#close();
    this.#choose(Number(item.value));
  }

  #move(event) {
    const items = this.#items();
    const at = items.indexOf(document.activeElement);
    const next = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (next !== undefined) items[next].focus();
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }
}

export function offerSpeed(video) {
  const menu = new Menu(document.getElementById("speed"), (speed) => { video.playbackRate = speed; });
  const items = SPEEDS.map((speed) => [speed, `${speed}×`]);
  const draw = () => menu.show(items, video.playbackRate, `${video.playbackRate}×`);
  video.addEventListener("ratechange", () => {
    video.defaultPlaybackRate = video.playbackRate; // what a video has that is loaded anew
    draw();
  });
  draw();
}

const AUTO = -1;
let quality = null;
let levelsOf = null;

// One rendition is no choice: then there is no button.
export function offerQuality(hls) {
  quality ??= new Menu(document.getElementById("quality"), (level) => {
    levelsOf.nextLevel = level;
    draw();
  });
  levelsOf = hls;
  quality.element.hidden = true;
  const draw = () => {
    const shown = levelsOf.levels[levelsOf.currentLevel];
    const name = ({ width, height, bitrate }) => (height ? `${Math.min(width, height)}p` : `${Math.round(bitrate / 1000)} kbit/s`);
    const items = levelsOf.levels.map((level, index) => [index, name(level)]).reverse();
    const chosen = levelsOf.autoLevelEnabled ? AUTO : levelsOf.manualLevel;
    const text = chosen === AUTO ? "Auto" : name(levelsOf.levels[chosen]);
    quality.show([...items, [AUTO, shown ? `Auto (${name(shown)})` : "Auto"]], chosen, text);
  };
  hls.on(window.Hls.Events.MANIFEST_PARSED, (_event, { levels }) => { if (levels.length > 1) draw(); });
  hls.on(window.Hls.Events.LEVEL_SWITCHED, () => { if (hls.levels.length > 1) draw(); });
}
