// Show a chart's values at a time: under the pointer, or by the arrow keys once the chart has the focus.
function moments(values) {
  const places = Object.values(values.lines).flatMap((points) => points.map(([place]) => place));
  return [...new Set(places)].sort((a, b) => a - b);
}

function clock(values, place) {
  const time = new Date(1000 * (values.since + (place / values.width) * values.seconds)).toISOString();
  const day = values.seconds > 86400 ? `${time.slice(5, 10)} ` : "";
  return `${day}${time.slice(11, 16)} UTC`;
}

function show(probe, index) {
  const values = JSON.parse(probe.dataset.values);
  const places = moments(values);
  const chosen = Math.min(Math.max(index, 0), places.length - 1);
  const place = places[chosen];
  const lines = Object.entries(values.lines).map(([name, points]) => {
    const point = points.find((each) => each[0] === place);
    return `${name} ${point ? point[1] : "–"}`;
  });
  const [cursor, readout] = probe.children;
  probe.setAttribute("aria-valuemax", places.length - 1);
  probe.setAttribute("aria-valuenow", chosen);
  probe.setAttribute("aria-valuetext", [clock(values, place), ...lines].join(", "));
  readout.textContent = [clock(values, place), ...lines].join("\n");
  cursor.hidden = readout.hidden = false;
  const share = place / values.width;
  cursor.style.left = `${100 * share}%`;
  // Within the chart, on the side of the cursor that has room.
  readout.style.left = share < 0.5 ? `${100 * share}%` : "";
  readout.style.right = share < 0.5 ? "" : `${100 * (1 - share)}%`;
}

function hide(probe) {
  for (const each of probe.children) each.hidden = true;
}

function atPointer(event) {
  const probe = event.target.closest?.(".probe");
  if (!probe) return;
  const box = probe.getBoundingClientRect();
  const values = JSON.parse(probe.dataset.values);
  const wanted = ((event.clientX - box.left) / box.width) * values.width;
  const far = (place) => Math.abs(place - wanted);
  const places = moments(values);
  show(probe, places.reduce((best, place, index) => (far(place) < far(places[best]) ? index : best), 0));
}

const STEPS = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity};

document.addEventListener("pointermove", atPointer);
document.addEventListener("pointerdown", atPointer);
document.addEventListener("pointerout", (event) => {
  const probe = event.target.closest?.(".probe");
  if (probe && event.pointerType === "mouse" && probe !== document.activeElement) hide(probe);
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches(".probe") && event.target.children[1].hidden) show(event.target, Infinity);
});
document.addEventListener("focusout", (event) => {
  if (event.target.matches(".probe")) hide(event.target);
});
document.addEventListener("keydown", (event) => {
  if (!event.target.matches(".probe")) return;
  if (event.key === "Escape") hide(event.target);
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  show(event.target, Number(event.target.getAttribute("aria-valuenow")) + STEPS[event.key]);
});
// After new numbers have come, what is shown is shown again.
document.addEventListener("refreshed", () => {
  for (const probe of document.querySelectorAll(".probe")) {
    if (!probe.children[1].hidden) show(probe, Number(probe.getAttribute("aria-valuenow")));
  }
});
