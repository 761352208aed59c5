// Media addresses end some hours after the page was made; a tab that was left open gets new ones. What belongs here:
// asking for them, and putting them in the place of the old ones. What does not: when that is needed (vod.js).
//
// An address is /media/{token}/{path}, and one token opens all of a VOD. What was read from a playlist
// keeps the playlist's old token; `freshened` puts the newest in.

const ADDRESS = /(\/media\/)([^/]+)(?=\/)/;

let newest = null; // the token, once there is another than the page's

const tokenOf = (address) => address.match(ADDRESS)?.[2];

export function freshened(address) {
  return newest ? address.replace(ADDRESS, `$1${newest}`) : address;
}

// Whether there are newer addresses than the one that failed; the page has them then.
export async function renewAddresses(player, vodId, failed) {
  const old = tokenOf(failed);
  if (newest && newest !== old) return true;
  let vod;
  try {
    const answer = await fetch(`/api/vods/${vodId}`, { cache: "no-store", signal: AbortSignal.timeout(15_000) });
    if (!answer.ok) return false;
    vod = await answer.json();
  } catch {
    return false;
  }
  const token = tokenOf(vod.hls_url ?? vod.mp4_url ?? "");
  if (!token || token === old) return false;
  newest = token;
  for (const name of ["hls", "mp4"]) player.dataset[name] = freshened(player.dataset[name]);
  for (const link of document.querySelectorAll("a[href^='/media/']")) link.href = freshened(link.getAttribute("href"));
  for (const track of player.querySelectorAll("track[src^='/media/']")) track.src = freshened(track.getAttribute("src"));
  return true;
}
