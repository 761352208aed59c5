// What the quality menu lists: the levels of hls.js, in the shape that media-chrome asks a video for
// (https://github.com/muxinc/media-elements, media-tracks). Runs before media-chrome, which looks once.

class Renditions extends EventTarget {
  #hls = null;
  #levels = [];

  get length() { return this.#levels.length; }
  [Symbol.iterator]() { return this.#levels[Symbol.iterator](); }
  get selectedIndex() { return this.#hls?.autoLevelEnabled === false ? this.#hls.manualLevel : -1; }
  set selectedIndex(index) {
    if (!this.#hls) return;
    this.#hls.nextLevel = index;
    this.dispatchEvent(new Event("change"));
  }

  // One level is no choice: the menu's button stays away.
  show(hls, levels) {
    this.#hls = hls;
    this.#levels = levels.length < 2 ? [] : levels.map(({ width, height, bitrate }, id) => ({ id, width, height, bitrate }));
    this.#levels.forEach((level, index) => { Object.defineProperty(this, index, { value: level, configurable: true }); });
    this.dispatchEvent(new Event(this.#levels.length ? "addrendition" : "removerendition"));
  }
}

const renditions = new Renditions();
const video = document.querySelector("video[slot=media]");
if (video) video.videoRenditions = renditions;

export function listQualities(hls) {
  renditions.show(hls, []);
  hls.on(window.Hls.Events.MANIFEST_PARSED, (_event, { levels }) => renditions.show(hls, levels));
}
