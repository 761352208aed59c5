// What is watched in a <video>, told to the service without losing any of it (docs/events.md). A classic
// script for any page, without dependencies. What belongs here: a player's events and their way out. What
// does not: how a video is played (vod.js), which pages were seen (visit.js).
(() => {
"use strict";
if (window.aethex) return; // the page has it twice

const BEAT_MS = 15_000;
const IDLE_MS = 4 * 3_600_000; // without playing; what is played then is another session
const SEEKS_MS = 100; // seeks that follow each other faster (a held key, a drag) are one
const GATHER_MS = 1_000; // what happens meanwhile goes out together
const TIMEOUT_MS = 30_000;
const MOST_WAIT_MS = 60_000;
const STALE_MS = 180_000; // without Web Locks: a queue untouched for so long is a dead page's
const OLDEST_MS = 6 * 24 * 3_600_000; // the service takes 7 days
const FURTHEST_MS = 10 * 365 * 24 * 3_600_000; // no position that the service takes lies beyond
const BATCH = 100;
const MOST_EVENTS = 500;
const MOST_CHARACTERS = 200_000;
const PRECIOUS = ["start", "end", "seek"];
const KEYS = "aethex-player:";
const VIEWER = `${KEYS}viewer`;

// Nothing is thrown into the page, whatever its storage or browser refuses.
const attempt = (work) => { try { return work(); } catch { return null; } };
const safely = (work) => (...given) => attempt(() => work(...given));
const warned = new Set();
const warn = (text) => warned.has(text) || (warned.add(text) && console.warn(`aethex: ${text}`));

const script = document.currentScript; // null in a module
const told = script?.dataset.aethexUrl ?? document.querySelector("[data-aethex-url]")?.dataset.aethexUrl;
const origin = attempt(() => new URL(told ?? script.src, location.href).origin) ?? location.origin;

// Who wishes not to be tracked leaves nothing in storage, and what was there is taken out.
const isPrivate = navigator.doNotTrack === "1" || navigator.globalPrivacyControl === true;
let store = attempt(() => localStorage);
const keys = () => attempt(() => Object.keys(store).filter((key) => key.startsWith(KEYS))) ?? [];
if (isPrivate) {
  for (const key of keys()) attempt(() => store.removeItem(key));
  store = null;
}
const locks = store && navigator.locks; // where storage is denied, locks are too

// After other pages that hold the lock; at once where there are no locks, or none for us.
const inTurn = (name, work) => new Promise((done, fail) => {
  const go = () => work().then(done, fail);
  if (locks) locks.request(name, go).catch(go);
  else go();
});

const randomDigit = (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16);
const uuid = () => crypto.randomUUID?.() // which pages that came by http lack
  ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, randomDigit);
const event = (kind) => ({ kind, event_id: uuid(), client_at: new Date().toISOString() });
const sentAt = () => ({ sent_at: Math.floor(Date.now()) });
const toMs = (seconds) => Math.min(FURTHEST_MS, Math.max(0, Math.round(seconds * 1000) || 0));
// Half of a character, as cut texts have them, would spoil the whole batch.
const whole = (_, value) => (typeof value === "string" ? value.replace(/\p{Cs}/gu, "\ufffd") : value);
const pack = (events) => JSON.stringify(events, whole);

// ---- The way to the service, and who watches: a cookie says it, or a signed id that an embed keeps.

const uplinks = [false, true].map((isEmbed) => {
  const prefix = `${KEYS}${isEmbed ? "embed" : "own"}:${origin}:`;
  const kept = () => (isEmbed ? attempt(() => store.getItem(VIEWER)) : null);
  let viewer = kept();
  let asked = null;

  function address(path, query) {
    return `${origin}/api/${path}?${new URLSearchParams(viewer ? { ...query, viewer } : query)}`;
  }

  // The status and what was said, which has this part where all is well; throws the answer where it pays to
  // try again. A text goes out as text/plain, so that a browser need not ask first whether it may. The answer
  // is always read: a request whose answer nobody reads goes on for ever.
  async function post(path, query, body, part) {
    const credentials = isEmbed || isPrivate ? "omit" : "include";
    const signal = AbortSignal.timeout?.(TIMEOUT_MS);
    const answer = await fetch(address(path, query), { method: "POST", body, credentials, signal });
    const { status } = answer;
    const text = await answer.text();
    const said = attempt(() => JSON.parse(text));
    if (status === 408 || status === 429 || status >= 500) throw answer;
    if (status < 400 && said?.[part] === undefined) throw answer; // of somebody in between
    return { status, said };
  }

  async function ask() {
    viewer = kept() ?? viewer;
    const { status, said } = await post("viewer", isEmbed ? { embed: true } : {}, "", "viewer");
    if (!isEmbed || status !== 200) return;
    ({ viewer } = said);
    attempt(() => (viewer ? store.setItem(VIEWER, viewer) : store.removeItem(VIEWER)));
  }

  // Once a page. Pages that open together take turns: a new viewer gets one id, not several.
  function identify() {
    if (isPrivate) return null;
    asked ??= inTurn(`${prefix}viewer`, ask).catch((problem) => { asked = null; throw problem; });
    return asked;
  }

  // Whether the browser sends it when the page is gone. A beacon takes the cookie along, which a wish not to
  // be tracked forbids.
  function beacon(body) {
    const url = address("events", sentAt());
    if (!isPrivate) return navigator.sendBeacon(url, new Blob([body], { type: "text/plain" }));
    fetch(url, { method: "POST", body, credentials: "omit", keepalive: true }).catch(() => {});
    return true;
  }

  return { prefix, post, beacon, identify, queue: null, notBefore: 0 };
});

// ---- Events that wait until the service has answered, in memory and under a key of storage.

const queues = new Set();

// free: of a queue that a dead page left behind, gives back its lock.
function openQueue(uplink, key = uplink.prefix + uuid(), free = null) {
  const beaconed = new WeakSet();
  let events = [], isOpen = true, isSending = false;
  let timer = 0, failures = 0;

  // While its page lives it holds the lock of its key; a key in storage without one is a dead page's.
  function hold() {
    const held = () => queues.has(queue) && new Promise((freed) => { free = freed; });
    locks?.request(key, held).catch(() => {});
  }

  function save() {
    if (!events.length) attempt(() => store.removeItem(key));
    else attempt(() => store.setItem(key, JSON.stringify({ at: Date.now(), events })));
  }

  // Beats can be spared first: the others say more of what was watched.
  function add(...more) {
    const now = Date.now();
    events = [...events, ...more].filter((one) => now - Date.parse(one.client_at) < OLDEST_MS);
    while (events.length > MOST_EVENTS || JSON.stringify(events).length > MOST_CHARACTERS) {
      const beat = events.findIndex((one) => one.type === "beat");
      const other = events.findIndex((one) => !PRECIOUS.includes(one.type));
      events.splice(Math.max(0, beat < 0 ? other : beat), 1);
    }
    save();
    schedule(GATHER_MS);
  }

  function schedule(ms) {
    if (!isSending && events.length) timer ||= setTimeout(send, ms);
  }

  async function send() {
    clearTimeout(timer);
    timer = 0;
    if (isSending || !events.length) return;
    const early = uplink.notBefore - performance.now();
    if (early > 0) return void schedule(early);
    isSending = true;
    const wait = await deliver(events.slice(0, BATCH)).then(() => 0, failed);
    isSending = false;
    schedule(wait);
    finish();
  }

  // Takes events out once they are decided: landed, or refused for good.
  async function deliver(batch) {
    await uplink.identify();
    const { status } = await uplink.post("events", sentAt(), pack(batch), "results");
    if (status >= 400) warn(`the service refuses events (${status}): they are dropped`);
    const decided = new Set(batch.map((one) => one.event_id));
    events = events.filter((one) => !decided.has(one.event_id));
    failures = 0;
    save();
  }

  // How many ms to wait before the same events are sent again.
  function failed(problem) {
    failures += 1;
    save(); // which also says that the page still lives
    const text = problem.headers?.get("Retry-After") ?? 0; // seconds, or a date
    const asked = (text >= 0 ? text * 1000 : Date.parse(text) - Date.now()) || 0;
    const after = Math.min(Math.max(0, asked), 3_600_000);
    const most = Math.min(MOST_WAIT_MS, 1000 * 2 ** failures);
    uplink.notBefore = Math.max(uplink.notBefore, performance.now() + after); // for all queues
    return Math.max(most * (0.5 + Math.random() / 2), after && after + Math.random() * 1000);
  }

  function hurry() {
    failures = 0;
    send();
  }

  // A beacon has no answer, so its events stay, and go out again with their ids. Where the service asked to
  // wait, the next page sends them.
  function beacon() {
    if (store && uplink.notBefore > performance.now()) return;
    const last = events.filter((one) => !beaconed.has(one)).slice(-BATCH);
    if (!last.length) return;
    if (uplink.beacon(pack(last))) last.forEach((one) => beaconed.add(one));
  }

  function close() {
    isOpen = false;
    finish();
  }

  function finish() {
    if (isOpen || events.length) return;
    queues.delete(queue);
    free?.();
  }

  const queue = { key, add, hurry, beacon, close, hold, release: () => free?.() };
  queues.add(queue);
  if (!free) {
    hold();
    attempt(() => uplink.identify()?.catch(() => {})); // early, as a beacon cannot wait for it
  }
  return queue;
}

let looking = 0;

// Queues that dead pages left behind are sent by this one.
function adopt() {
  for (const key of keys()) {
    const uplink = uplinks.find(({ prefix }) => key.startsWith(prefix));
    if (!uplink || [...queues].some((queue) => queue.key === key)) continue;
    const taken = (lock) => lock && new Promise((free) => { take(uplink, key, free); });
    if (locks) locks.request(key, { ifAvailable: true }, taken).catch(() => {});
    else take(uplink, key, () => {});
  }
}

function take(uplink, key, free) {
  const { at = 0, events } = attempt(() => JSON.parse(store.getItem(key))) ?? {};
  if (!locks && Math.abs(Date.now() - at) < STALE_MS) { // its page may live: look again later
    return void (looking ||= setTimeout(() => { looking = 0; adopt(); }, STALE_MS));
  }
  const queue = openQueue(uplink, key, free);
  queue.add(...(Array.isArray(events) ? events.filter(Boolean) : []));
  queue.hurry();
  queue.close();
}

// ---- A session: one run of watching one source. What was watched is how far the playhead came between two
// events, so each says exactly where it is, and a seek where it was before.

const sessions = new Set();

// over(isOn): it ended by itself; where the video plays on, in a loop or after sleep, the next begins at once.
function watch(video, content, uplink, over) {
  const id = uuid();
  const queue = openQueue(uplink);
  const listening = new AbortController();
  const quality = () => video.getVideoPlaybackQuality?.();
  const first = quality();
  let sequence = 0, latest = null, beganAt = null, playedAt = Date.now();
  let seen = null; // where the playhead was last
  let seek = null, settling = 0; // a seek waits for whether another follows at once
  let stalls = 0, stalledMs = 0, stalledAt = null;
  let isFlowing = false, heldAt = video.currentTime; // false while it loads, at first or after a seek

  const isIdle = () => Date.now() - playedAt > IDLE_MS;

  function look(position = playhead()) {
    const isMoving = isFlowing && stalledAt === null && !video.paused && !video.seeking;
    seen = { position, at: performance.now(), rate: isMoving ? video.playbackRate : 0 };
    if (!video.paused) playedAt = Date.now();
  }

  // When a seek or another source is asked for, a video says at once where it goes to, before it tells.
  function playhead() {
    return video.readyState && (seek || !video.seeking) ? video.currentTime : before();
  }

  // Where it was just now: where it was last seen, and on from there by the clock, but not beyond what the
  // browser says it has played.
  function before() {
    const { position, at, rate } = seen;
    let end = position + (Math.min(1000, performance.now() - at) / 1000) * rate;
    for (let n = 0; n < video.played.length; n += 1) {
      const stop = video.played.end(n);
      if (video.played.start(n) <= position && position <= stop) end = Math.min(end, stop);
    }
    return end;
  }

  function state(type, position = playhead()) {
    const now = performance.now();
    const frames = quality();
    beganAt ??= now;
    look(position);
    return {
      ...event("playback"),
      ...content,
      session_id: id,
      type,
      elapsed_ms: Math.floor(now - beganAt),
      position_ms: toMs(position),
      rate: Math.min(100, Math.max(0, video.playbackRate)),
      is_paused: video.paused,
      stalls,
      stalled_ms: Math.round(stalledMs + (stalledAt === null ? 0 : now - stalledAt)),
      frames: frames && Math.max(0, frames.totalVideoFrames - first.totalVideoFrames),
      dropped_frames: frames && Math.max(0, frames.droppedVideoFrames - first.droppedVideoFrames),
    };
  }

  function push(made) {
    latest = { ...made, sequence };
    sequence += 1;
    queue.add(latest);
  }

  function record(type, more) {
    settle();
    push({ ...state(type), ...more });
  }

  // Whether the video already goes elsewhere, and has not told it yet: a busy page hears late.
  function isOnItsWay() {
    return video.seeking && toMs(video.currentTime) !== seek?.position_ms;
  }

  function settle() {
    clearTimeout(settling);
    const made = seek;
    seek = null;
    if (made && made.position_ms !== made.from_position_ms) push(made);
  }

  function flow(isNowFlowing = isFlowing) {
    if (stalledAt !== null) stalledMs += performance.now() - stalledAt;
    stalledAt = null;
    isFlowing = isNowFlowing;
    if (!isFlowing) heldAt = video.currentTime;
  }

  // A page that goes says so twice: it is hidden, and it is left.
  function hide() {
    const isTold = latest.type === "hide" && performance.now() - beganAt - latest.elapsed_ms < 1000;
    if (!isTold) record("hide");
  }

  // Awake again after hours of sleep in the middle of playing.
  function wake() {
    const isOver = !video.paused && isIdle();
    if (isOver) over(true);
    return isOver;
  }

  function beat() {
    if (wake()) return;
    record("beat");
    if (!video.isConnected && video.paused) over(); // it was taken out of the page
  }

  function close() {
    clearInterval(beats);
    listening.abort();
    settle();
    sessions.delete(session);
    queue.close();
  }

  function onSeeking() {
    const from = before();
    if (video.loop && video.currentTime < 0.5 && from > video.duration - 0.5) {
      record("end");
      return void over(true);
    }
    flow(false);
    seek = { ...state("seek", video.currentTime), from_position_ms: seek?.from_position_ms ?? toMs(from) };
    clearTimeout(settling);
    settling = setTimeout(safely(() => { if (!isOnItsWay()) settle(); }), SEEKS_MS);
  }

  function onTime() {
    if (!video.readyState || video.seeking || wake()) return;
    if (!video.paused && video.currentTime > heldAt + 0.1) flow(true); // not all browsers say `playing`
    look();
  }

  function onWaiting() {
    if (!isFlowing || stalledAt !== null || video.seeking || video.paused) return;
    stalls += 1;
    stalledAt = performance.now();
    heldAt = video.currentTime;
    look();
  }

  function onError() {
    flow();
    const text = `MediaError ${video.error?.code}: ${video.error?.message}`;
    record("error", { error: [...text.replace(/[\x00-\x1f\x7f]/g, " ")].slice(0, 300).join("") });
  }

  const on = (name, work) => video.addEventListener(name, safely(work), { signal: listening.signal });
  on("play", () => record("play"));
  on("playing", () => { flow(true); look(); });
  on("pause", () => { flow(); if (!video.ended) record("pause"); });
  on("seeking", onSeeking);
  on("seeked", () => look());
  on("timeupdate", onTime);
  on("waiting", onWaiting);
  on("ratechange", () => { if (video.playbackRate !== latest.rate) record("rate"); });
  on("ended", () => record("end"));
  on("error", onError);
  on("emptied", () => { hide(); over(); }); // another source, or the same one anew
  const beats = setInterval(safely(beat), BEAT_MS);
  const session = { hide, close, isIdle };
  sessions.add(session);
  look(video.currentTime);
  record("start");
  return session;
}

// ---- The page.

const handles = new WeakMap();

function attach(video, { vod, stream, clip, embed = false }) {
  const ids = Object.entries({ vod_id: vod, stream_id: stream, clip_id: clip }).filter(([, id]) => id);
  if (!(video instanceof HTMLVideoElement) || ids.length !== 1) throw new Error("give a <video> and one id");
  handles.get(video)?.detach();
  const listening = new AbortController();
  let session = null;

  function begin() {
    if (session?.isIdle()) over();
    session ??= watch(video, Object.fromEntries(ids), uplinks[embed ? 1 : 0], over);
  }

  function over(isOn) {
    session?.close();
    session = null;
    if (isOn) begin();
  }

  function detach() {
    listening.abort();
    session?.hide();
    over();
  }

  const handle = { detach: safely(detach) };
  handles.set(video, handle);
  for (const name of ["play", "playing"]) {
    video.addEventListener(name, safely(begin), { signal: listening.signal });
  }
  if (!video.paused) begin();
  return handle;
}

function attachSafely(video, content) {
  try {
    return attach(video, content);
  } catch (problem) {
    warn(`attach: ${problem.message}`);
    return { detach() {} };
  }
}

function attachAll() {
  for (const video of document.querySelectorAll("video")) {
    const { aethexVod: vod, aethexStream: stream, aethexClip: clip, aethexEmbed } = video.dataset;
    if (vod || stream || clip) attachSafely(video, { vod, stream, clip, embed: aethexEmbed !== undefined });
  }
}

// An engagement event: a share, an embed that loaded, a visit.
function engage(action, { embed = false, ...fields } = {}) {
  const uplink = uplinks[embed ? 1 : 0];
  uplink.queue ??= openQueue(uplink);
  uplink.queue.add({ ...event("engagement"), action, ...fields });
}

function leave() {
  sessions.forEach((session) => session.hide());
  queues.forEach((queue) => queue.beacon());
}

addEventListener("online", safely(() => queues.forEach((queue) => queue.hurry())));
document.addEventListener("visibilitychange", safely(() => document.hidden && leave()));
// A browser keeps a page for going back only if it holds no locks.
addEventListener("pagehide", safely(() => { leave(); queues.forEach((queue) => queue.release()); }));
addEventListener("pageshow", safely(({ persisted }) => persisted && queues.forEach((queue) => queue.hold())));

window.aethex = { attach: attachSafely, engage: safely(engage) };
adopt();
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", safely(attachAll));
else attachAll();
})();
