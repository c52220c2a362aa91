// Count along while it goes on. Without scripts, reloading the page does the same.
const EVERY_MS = 1000;

async function look() {
  try {
    const answer = await fetch(location.href, {redirect: "manual"});
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("bulk").replaceWith(page.getElementById("bulk"));
    }
  } catch {
    // The next look may find the site again.
  }
  plan();
}

function plan() {
  if (document.querySelector("#bulk[data-going-on]")) setTimeout(look, EVERY_MS);
}

plan();
