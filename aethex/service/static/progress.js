// Where one stopped: offered on the next visit, and kept while one watches. Signed-in viewers' positions are kept
// by the service, for all their devices; those of others in this browser only. What belongs here: when a position
// is kept, and the offer to begin at the beginning. What does not: playing (vod.js).

const EVERY_MS = 10_000;
const FROM_SECONDS = 10; // as the service has it: hardly begun is not begun
const WATCHED = 0.95;
const OFFER_MS = 12_000;
const KEY = "aethex:progress";
const MOST_KEPT = 200;

const attempt = (work) => { try { return work(); } catch { return null; } };
const isPrivate = navigator.doNotTrack === "1" || navigator.globalPrivacyControl === true;
const token = document.querySelector("meta[name=csrf-token]")?.content ?? "";

// ---- Without an account: {vod: [seconds, when]}, the latest 200, in this browser.

const readAll = () => (isPrivate ? null : attempt(() => JSON.parse(localStorage.getItem(KEY)))) ?? {};

function keepHere(vodId, seconds, duration) {
  if (isPrivate) return;
  const all = readAll();
  delete all[vodId];
  if (seconds >= FROM_SECONDS && !(seconds >= duration * WATCHED)) all[vodId] = [seconds, Date.now()];
  const latest = Object.entries(all).sort((a, b) => b[1][1] - a[1][1]).slice(0, MOST_KEPT);
  attempt(() => localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(latest))));
}

// ---- With one. keepalive lets it arrive when the page is gone; a beacon could not carry the token.

async function keepThere(vodId, seconds) {
  const now = new Date().toISOString();
  const answer = await fetch("/api/watch-progress", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: JSON.stringify({ vod_id: vodId, position_seconds: seconds, client_at: now, sent_at: now }),
  });
  if (!answer.ok) throw new Error(String(answer.status));
}

// Where to start without being asked: seconds, 0 for the beginning.
export function resumePoint(player, vodId) {
  if ("saves" in player.dataset) return Number(player.dataset.resume) || 0;
  const seconds = Number(readAll()[vodId]?.[0]);
  return Number.isFinite(seconds) ? seconds : 0;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

// Says that it does not begin at the beginning, and offers that.
export function offerRestart(video, seconds, goTo) {
  const offer = document.getElementById("player-resume");
  let timer = 0;
  const close = () => { offer.hidden = true; clearTimeout(timer); };
  document.getElementById("player-resume-text").textContent = `Resumes at ${clock(seconds)}`;
  document.getElementById("player-restart").addEventListener("click", () => {
    goTo(0);
    video.play().catch(() => {});
    close();
  });
  document.getElementById("player-resume-close").addEventListener("click", close);
  video.addEventListener("playing", () => { timer ||= setTimeout(close, OFFER_MS); });
  offer.hidden = false;
}

// Keeps the position every ten seconds of playing, and whenever something ends: a pause, a seek, the page.
export function keepProgress(video, player, vodId) {
  const isSignedIn = "saves" in player.dataset;
  let kept = null; // the last position that is safe, or on its way
  let hasPlayed = false;
  let failures = 0;

  function keep() {
    const seconds = Math.round(video.currentTime * 1000) / 1000;
    if (!hasPlayed || seconds === kept) return;
    kept = seconds;
    if (!isSignedIn) keepHere(vodId, seconds, video.duration);
    else if (failures < 5 || failures % 6 === 0) { // a session that is over is not asked every time
      keepThere(vodId, seconds).then(() => { failures = 0; }, () => { failures += 1; kept = null; });
    } else failures += 1;
  }

  video.addEventListener("playing", () => { hasPlayed = true; });
  for (const happening of ["pause", "seeked", "ended"]) video.addEventListener(happening, keep);
  setInterval(() => { if (!video.paused) keep(); }, EVERY_MS);
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => { if (document.hidden) keep(); });
}
