// The page of a VOD: picks how to play (HLS by hls.js, the browser's own HLS, or the MP4), shows what
// goes wrong, and starts where ?t= says. Keys are in keys.js. Works on the elements that the page has already.

import { showAudience } from "./audience.js";
import { offerCaptions } from "./captions.js";
import { listenToKeys } from "./keys.js";
import { offerQuality, offerSpeed } from "./menus.js";
import { keepProgress, offerRestart, resumePoint } from "./progress.js";
import { freshened, renewAddresses } from "./renewal.js";

const RETRIES = 1; // beyond those that hls.js makes itself
const RETRY_MS = 1500;
const END_SECONDS = 1;
const BROKEN_SEGMENTS = 4; // without a picture between them; hls.js would try for ever

const player = document.getElementById("player");
const video = player.querySelector("video[slot=media]");
const note = document.getElementById("player-note");
const fault = document.getElementById("player-fault");
const vodId = video.dataset.aethexVod;

let hls = null;
let networkFailures = 0;
let mediaFailures = 0;
let brokenSegments = 0;
let isOver = false; // the signed address, and the service gives no other: a new page says why
let noteTimer = 0;
let startsAt = null; // seconds: where it is to start, until it stands there

function showNote(text) {
  note.textContent = text;
  note.toggleAttribute("data-shown", true);
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => note.toggleAttribute("data-shown", false), 900);
}

function showFault(title, detail, canDownload = true) {
  document.getElementById("player-download")?.toggleAttribute("hidden", !canDownload);
  document.getElementById("player-fault-title").textContent = title;
  document.getElementById("player-fault-detail").textContent = detail;
  fault.hidden = false;
  player.dataset.fault = "";
}

function hideFault() {
  fault.hidden = true;
  delete player.dataset.fault;
}

// Safari plays HLS itself, with AirPlay and less battery; elsewhere hls.js is the better player.
function prefersNative() {
  const canPlay = video.canPlayType("application/vnd.apple.mpegurl") !== "";
  return canPlay && ("WebKitPlaybackTargetAvailabilityEvent" in window || !window.Hls?.isSupported());
}

const place = () => startsAt ?? video.currentTime;

function start(position, isPlaying) {
  startsAt = position;
  hls?.destroy();
  hls = null;
  const { hls: playlist, mp4 } = player.dataset;
  if (playlist && !prefersNative() && window.Hls?.isSupported()) {
    startHls(playlist, position);
  } else {
    startFile(playlist && prefersNative() ? playlist : mp4 || playlist, position);
  }
  if (isPlaying) video.play().catch(() => {});
}

// Before it stands anywhere, a video takes no place: then it starts anew there.
function goTo(second) {
  if (startsAt === null) video.currentTime = second;
  else start(second, false);
}

function startHls(playlist, position) {
  hls = new window.Hls({
    startPosition: position || -1,
    maxBufferLength: 12, // before play: enough to begin at once, little enough for a phone's data
    backBufferLength: 60,
    capLevelToPlayerSize: true,
    // captions in the picture's packets say which channel they are, not in which language
    captionsTextTrack1Label: "CC1",
    captionsTextTrack1LanguageCode: "",
    captionsTextTrack2Label: "CC2",
    captionsTextTrack2LanguageCode: "",
    captionsTextTrack3Label: "CC3",
    captionsTextTrack4Label: "CC4",
    xhrSetup: (xhr, url) => xhr.open("GET", freshened(url), true), // the playlist's are as old as the page
  });
  hls.on(window.Hls.Events.ERROR, (_event, data) => {
    if (data.details === window.Hls.ErrorDetails.FRAG_PARSING_ERROR) brokenSegments += 1;
    if (brokenSegments >= BROKEN_SEGMENTS) playFileInstead();
    else if (data.fatal) recover(data);
    else if (data.response?.code === 403) renewAddresses(player, vodId, addressOf(data)); // hls.js tries again
  });
  hls.on(window.Hls.Events.FRAG_BUFFERED, () => { networkFailures = 0; });
  offerQuality(hls);
  hls.loadSource(playlist);
  hls.attachMedia(video);
  video.addEventListener("play", () => { if (hls) hls.config.maxBufferLength = 45; }, { once: true });
}

function startFile(address, position) {
  if (!address) {
    showFault("This video cannot be played", "It has no playable file.");
    return;
  }
  video.preload = "metadata";
  video.src = address;
  startsAt = position;
  video.addEventListener("loadedmetadata", () => { if (startsAt) video.currentTime = startsAt; }, { once: true });
}

// hls.js (1.7.4) does not see that all is loaded when there is a hole of some ms in what is, as a killed recorder
// leaves one in the sound. Chromium then waits for the last moments for ever.
function endWhenAllIsLoaded() {
  const { buffered, currentTime, duration } = video;
  const loadedUntil = buffered.length ? buffered.end(buffered.length - 1) : 0;
  if (!hls || duration - currentTime > END_SECONDS || duration - loadedUntil > END_SECONDS) return;
  hls.trigger(window.Hls.Events.BUFFER_EOS, {});
}

// The MP4 holds the same video: it plays where segments cannot be decoded.
function playFileInstead() {
  const position = place();
  const isPlaying = !video.paused;
  hls?.destroy();
  hls = null;
  startFile(player.dataset.mp4, position);
  if (isPlaying) video.play().catch(() => {});
}

function sayItIsOver() {
  showFault("This page has been open for too long", "The video's address is over.", false);
  isOver = true;
  document.getElementById("player-retry-text").textContent = "Load the page again";
}

function loadOn() {
  if (hls?.levels.length) hls.startLoad();
  else hls?.loadSource(player.dataset.hls);
}

const addressOf = (data) => data.networkDetails?.responseURL || player.dataset.hls;

// A page that was open for many hours: what is loaded plays on, the rest comes from new addresses.
async function recoverWithNewAddresses(failedAddress) {
  const before = hls;
  const isRenewed = await renewAddresses(player, vodId, failedAddress);
  if (hls !== before) return;
  if (isRenewed) loadOn();
  else sayItIsOver();
}

// What hls.js could not repair by itself.
function recover(data) {
  const status = data.response?.code;
  if (status === 403) {
    recoverWithNewAddresses(addressOf(data));
  } else if (status === 404) {
    showFault("This video is no longer here", "It was deleted or made private.", false);
  } else if (data.type === window.Hls.ErrorTypes.MEDIA_ERROR && mediaFailures < 2) {
    mediaFailures += 1;
    hls.recoverMediaError();
  } else if (data.type === window.Hls.ErrorTypes.MEDIA_ERROR) {
    playFileInstead();
  } else if (networkFailures < RETRIES) {
    networkFailures += 1;
    setTimeout(loadOn, RETRY_MS);
  } else {
    showFault("The video stopped loading", "The connection failed several times. What was loaded so far is safe.");
  }
}

function startOffset() {
  const asked = new URLSearchParams(location.search).get("t") || "";
  const parts = asked.match(/^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/);
  return parts ? Number(parts[1] || 0) * 3600 + Number(parts[2] || 0) * 60 + Number(parts[3] || 0) : 0;
}

function linkToHere() {
  const link = new URL(location.pathname, location.origin);
  const second = Math.floor(video.currentTime);
  if (second > 0) link.searchParams.set("t", String(second));
  return { link: link.href, second };
}

// The system's own sheet where there is one (phones, Safari), else the clipboard.
function offerShare() {
  const button = document.getElementById("share");
  document.getElementById("copy-link").replaceWith(button);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.share({ title: document.querySelector("h1").textContent, url: linkToHere().link });
      window.aethex?.engage("share", { vod_id: video.dataset.aethexVod, network: "system" });
    } catch {
      // closed without sharing
    }
  });
}

function offerLink() {
  const button = document.getElementById("copy-link");
  const text = document.getElementById("copy-link-text");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const { link, second } = linkToHere();
    await navigator.clipboard.writeText(link);
    window.aethex?.engage("share", { vod_id: video.dataset.aethexVod, network: "link" });
    text.textContent = second > 0 ? "Copied at this moment" : "Copied";
    setTimeout(() => { text.textContent = "Copy link"; }, 2000);
  });
}

// A browser that loads the file itself does not say why it failed. Where the address is not the newest, that is why.
video.addEventListener("error", async () => {
  if (hls) return;
  const position = place();
  const isPlaying = !video.paused;
  if (await renewAddresses(player, vodId, video.currentSrc)) start(position, isPlaying);
  else showFault("This video cannot be played right now", "The browser could not load or decode it.");
});
for (const event of ["seeking", "loadeddata"]) video.addEventListener(event, () => { startsAt = null; });
video.addEventListener("waiting", endWhenAllIsLoaded);
video.addEventListener("playing", () => {
  brokenSegments = 0;
  hideFault();
});
document.getElementById("player-retry").addEventListener("click", () => {
  if (isOver) {
    location.reload();
    return;
  }
  networkFailures = 0;
  mediaFailures = 0;
  brokenSegments = 0;
  hideFault();
  start(place(), true);
});
// The links to files are as old as the page, too.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href^='/media/']");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  await renewAddresses(player, vodId, link.getAttribute("href"));
  location.assign(link.href);
});
document.querySelectorAll("[data-seek]").forEach((link) => link.addEventListener("click", (event) => {
  event.preventDefault();
  goTo(Number(link.dataset.seek));
  video.play().catch(() => {});
}));

// Without media-chrome (not installed, blocked) the browser's own controls do.
if (!customElements.get("media-controller")) video.controls = true;
const keys = document.getElementById("keys");
const showKeys = document.getElementById("show-keys");
showKeys.hidden = false;
showKeys.addEventListener("click", () => keys.showModal());
const toggleCaptions = offerCaptions({ video, player, vodId, say: showNote });
listenToKeys({
  video,
  player,
  help: keys,
  frameRate: Number(player.dataset.frameRate) || 30,
  say: showNote,
  toggleCaptions,
});
if (navigator.share) offerShare();
else offerLink();
offerSpeed(video);
showAudience(video, goTo);
const asked = new URLSearchParams(location.search).has("t"); // a link to a moment goes before one's own
const resumed = asked ? 0 : resumePoint(player, vodId);
start(asked ? startOffset() : resumed, false);
keepProgress(video, player, vodId);
if (resumed) offerRestart(video, resumed, goTo);
