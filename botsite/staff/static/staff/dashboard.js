// Refresh the live part of the page while it is visible.
const EVERY_MS = 3000;
const PATIENCE_MS = 15000;
const live = document.getElementById("live");
const stale = document.getElementById("stale");
let timer;

async function refresh() {
  try {
    const answer = await fetch(live.dataset.source, {redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS)});
    if (answer.type === "opaqueredirect") {
      // The session has ended: reloading leads to the login page.
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    live.innerHTML = await answer.text();
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  plan();
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
plan();
