// One of our pages was seen: an engagement event, sent by player.js, which a page loads before this. The script's
// element says which page it is (data-page) and of what (data-vod-id, data-channel-id).
(() => {
  const { page, vodId, channelId } = document.currentScript.dataset;
  const ref = new URLSearchParams(location.search).get("ref") ?? "";
  const tell = () => window.aethex?.engage("page_visit", {
    page,
    vod_id: vodId,
    channel_id: channelId,
    ref: /^[A-Za-z0-9_.-]{1,64}$/.test(ref) ? ref : undefined, // the service takes no others
  });
  // A page that the browser draws in advance may never be seen.
  if (document.prerendering) document.addEventListener("prerenderingchange", tell, { once: true });
  else tell();
})();
