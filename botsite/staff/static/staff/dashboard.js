// Refresh the live part of the page while it is visible.
const EVERY_MS = 3000;
const PATIENCE_MS = 15000;
const live = document.getElementById("live");
const stale = document.getElementById("stale");
let timer;

// Change only what differs: what has the focus, is unfolded or is selected stays so.
function change(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  for (const {name} of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  // The script in charge of what is kept sets its other attributes and its content.
  const kept = fresh.hasAttribute("data-kept");
  for (const {name, value} of fresh.attributes) {
    if (!kept || name.startsWith("data-")) old.setAttribute(name, value);
  }
  if (kept) return;
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, index) => (before[index] ? change(before[index], node) : old.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

async function refresh() {
  try {
    const answer = await fetch(live.dataset.source, {redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS)});
    if (answer.type === "opaqueredirect") {
      // The session has ended: reloading leads to the login page.
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = live.cloneNode(false);
    fresh.innerHTML = await answer.text();
    change(live, fresh);
    document.dispatchEvent(new Event("refreshed"));
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
