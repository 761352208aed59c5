// The viewers' curve under the player: shows the playhead, exact values on hover, and jumps where it is clicked.

function clock(seconds) {
  const whole = Math.floor(seconds);
  const tail = `${String(Math.floor(whole / 60) % 60).padStart(whole >= 3600 ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${tail}` : tail;
}

export function showAudience(video, goTo) {
  const section = document.getElementById("audience");
  const curve = document.getElementById("curve");
  if (!section || !curve) return;
  const length = Number(section.dataset.length);
  const points = JSON.parse(section.dataset.points);
  const head = document.getElementById("curve-head");
  const tip = document.getElementById("curve-tip");

  video.addEventListener("timeupdate", () => {
    const x = String((video.currentTime / length) * 1000);
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
  });

  const secondAt = (event) => {
    const box = curve.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * length;
  };
  curve.addEventListener("pointermove", (event) => {
    const second = secondAt(event);
    const near = points.reduce((best, point) => (Math.abs(point[0] - second) < Math.abs(best[0] - second) ? point : best));
    tip.textContent = `${clock(near[0])}  ${near[1] === null ? "not measured" : `${near[1].toLocaleString("en")} viewers`}`;
    tip.hidden = false;
    const box = curve.getBoundingClientRect();
    const left = Math.min(box.width - tip.offsetWidth, Math.max(0, event.clientX - box.left - tip.offsetWidth / 2));
    tip.style.transform = `translate(${left}px, -110%)`;
  });
  curve.addEventListener("pointerleave", () => { tip.hidden = true; });
  curve.addEventListener("click", (event) => goTo(secondAt(event)));
}
