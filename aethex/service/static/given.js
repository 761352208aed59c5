// The page that shows a stream key once. What belongs here: copying, and that loading the page again does not send
// its form again, which would make another input or key.

for (const button of document.querySelectorAll("[data-copy]")) {
  const text = button.querySelector("span");
  const wording = text.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    text.textContent = "Copied";
    setTimeout(() => { text.textContent = wording; }, 2000);
  });
}

history.replaceState(null, "", document.querySelector("[data-back]").dataset.back);
