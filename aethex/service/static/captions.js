// Captions of a video: which are shown, and that a viewer's choice is kept in this browser. What belongs here: the
// tracks of the page and those that hls.js finds in the picture (CEA-608), the button, the menu. What does not: how
// they look (player.css), keys (keys.js).

import { Menu } from "./menus.js";
import { renewAddresses } from "./renewal.js";

const KEPT = "aethex:captions"; // {isOn, language}: what was chosen last
const OFF = -1;

const attempt = (work) => { try { return work(); } catch { return null; } };
const kept = () => attempt(() => JSON.parse(localStorage.getItem(KEPT))) ?? { isOn: false, language: null };
const primary = (language) => language.split("-")[0].toLowerCase();

// How well a track fits what is wished, 0 best.
function distance(track, wished) {
  if (track.language === wished) return 0;
  return primary(track.language) === primary(wished) ? 1 : 2;
}

// Answers with what turns captions on or off, as the key and the button do.
export function offerCaptions({ video, player, vodId, say }) {
  const list = player.querySelector("#caption-menu");
  const menu = new Menu(list, (index) => choose(index === OFF ? null : tracks()[index]));
  let isChosen = false; // on this page: then what comes later changes nothing

  const tracks = () => [...video.textTracks].filter(({ kind }) => kind === "captions" || kind === "subtitles");
  const shown = () => tracks().find((track) => track.mode === "showing");

  function show(chosen) {
    for (const track of tracks()) {
      const mode = track === chosen ? "showing" : "disabled";
      if (track.mode !== mode) track.mode = mode;
    }
    draw();
  }

  // The nearest to the language that was chosen last, else to the browser's.
  function best() {
    const wishes = [kept().language, ...navigator.languages].filter((language) => language !== null);
    const rank = (track) => Math.min(...wishes.map((wish, at) => at * 3 + distance(track, wish)).filter((n) => n % 3 < 2), Infinity);
    return tracks().reduce((found, track) => (found && rank(found) <= rank(track) ? found : track), null);
  }

  function choose(track) {
    isChosen = true;
    const language = track ? track.language : kept().language;
    attempt(() => localStorage.setItem(KEPT, JSON.stringify({ isOn: Boolean(track), language })));
    show(track);
  }

  function toggle() {
    if (!tracks().length) {
      say("No captions in this video");
      return;
    }
    choose(shown() ? null : best());
    const now = shown();
    say(now ? `Captions: ${now.label || now.language}` : "Captions off");
  }

  // One language is the button's, several are the menu's.
  function draw() {
    const all = tracks();
    player.toggleAttribute("data-caption-choice", all.length > 1);
    list.hidden = all.length < 2;
    if (all.length < 2) return;
    const now = shown();
    list.toggleAttribute("data-on", Boolean(now));
    const items = all.map((track, index) => [index, track.label || track.language]);
    menu.show([[OFF, "Off"], ...items], now ? all.indexOf(now) : OFF, "CC", now ? now.label || now.language : "Off");
  }

  function come() {
    if (kept().isOn && !isChosen) show(best());
    else draw();
  }

  async function renew({ target }) {
    if (await renewAddresses(player, vodId, target.src)) return;
    if (target.track.mode === "showing") say("The captions could not be loaded");
  }

  player.querySelector("media-controller").addEventListener("mediatogglesubtitlesrequest", (event) => {
    event.stopPropagation(); // media-chrome would choose by its own memory
    toggle();
  }, { capture: true });
  // media-chrome says that it is checked, which a button cannot be
  player.querySelector("media-captions-button").setAttribute("role", "switch");
  for (const element of video.querySelectorAll("track")) element.addEventListener("error", renew);
  for (const event of ["addtrack", "removetrack"]) video.textTracks.addEventListener(event, come);
  video.textTracks.addEventListener("change", draw);
  come();
  return toggle;
}
