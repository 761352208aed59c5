// Keys of the player (the list is in the page's help). What belongs here: from a key to an action on the video.

export const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

// Keys that an element uses itself while it has the focus.
function isTakenBy(target, key) {
  if (!(target instanceof Element)) return false;
  if (target.closest("input, textarea, select, [contenteditable]")) return true;
  if (target.closest("[role=menu]")) return key !== "?";
  const pressing = key === " " || key === "Enter";
  if (pressing && target.closest("a, button, summary, [role=button], [role=switch]")) return true;
  const sliding = key.startsWith("Arrow") || key === "Home" || key === "End";
  return sliding && target.closest("media-volume-range, [role=slider]") !== null;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = `${String(Math.floor(whole / 60) % 60).padStart(whole >= 3600 ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest;
}

export function listenToKeys({ video, player, help, frameRate, say, toggleCaptions }) {
  const seekTo = (seconds) => {
    const end = Number.isFinite(video.duration) ? video.duration : Infinity;
    video.currentTime = Math.min(Math.max(0, seconds), end);
  };
  const jump = (seconds) => {
    seekTo(video.currentTime + seconds);
    say(`${seconds < 0 ? "−" : "+"}${Math.abs(seconds)} s`);
  };
  // Frame n is shown during [n, n + 1) / rate; its middle is the safe place to ask for.
  const step = (frames) => {
    video.pause();
    const frame = Math.floor(video.currentTime * frameRate + 0.001) + frames;
    seekTo((Math.max(0, frame) + 0.5) / frameRate);
    say(frames < 0 ? "−1 frame" : "+1 frame");
  };
  const changeSpeed = (direction) => {
    const faster = SPEEDS.find((speed) => speed > video.playbackRate + 0.001);
    const slower = SPEEDS.findLast((speed) => speed < video.playbackRate - 0.001);
    const speed = direction > 0 ? faster : slower;
    if (speed) video.playbackRate = speed;
    say(`${video.playbackRate}×`);
  };
  const togglePlay = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  const toggleFullscreen = () =>
    document.fullscreenElement ? document.exitFullscreen() : player.requestFullscreen?.().catch(() => {});
  const togglePicture = () =>
    document.pictureInPictureElement
      ? document.exitPictureInPicture()
      : video.requestPictureInPicture?.().catch(() => say("No picture in picture here"));

  const actions = {
    " ": togglePlay,
    k: togglePlay,
    j: () => jump(-10),
    l: () => jump(10),
    ArrowLeft: () => jump(-5),
    ArrowRight: () => jump(5),
    ",": () => step(-1),
    ".": () => step(1),
    "<": () => changeSpeed(-1),
    ">": () => changeSpeed(1),
    f: toggleFullscreen,
    m: () => { video.muted = !video.muted; say(video.muted ? "Sound off" : "Sound on"); },
    c: toggleCaptions,
    p: togglePicture,
    "?": () => (help.open ? help.close() : help.showModal()),
  };
  for (let digit = 0; digit <= 9; digit += 1) {
    actions[digit] = () => {
      if (!Number.isFinite(video.duration)) return;
      seekTo((video.duration * digit) / 10);
      say(clock(video.currentTime));
    };
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (help.open && event.key !== "?") return;
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    if (!action || event.composedPath().some((target) => isTakenBy(target, event.key))) return;
    event.preventDefault();
    action();
  });
}
