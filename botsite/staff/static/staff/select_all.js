// One box selects everything on the page. Without scripts it stays hidden, and nothing else changes.
const all = document.getElementById("all");
if (all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    document.querySelectorAll("input.action-select").forEach((box) => { box.checked = all.checked; });
  });
}
