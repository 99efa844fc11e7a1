// The time slider: each position asks the server for the loan as it stood, and takes that part of the page over.
"use strict";

(() => {
  const DAY_MS = 24 * 3600 * 1000;
  const time = document.getElementById("time");
  const slider = document.getElementById("slider");
  const told = document.getElementById("on");
  const first = Date.parse(`${time.dataset.first}T00:00:00Z`);
  const last = Number(time.dataset.days);
  let asked = 0;
  let waiting = null;

  slider.hidden = false;
  time.querySelector(".typed").hidden = true;

  const dayAt = (days) => new Date(first + days * DAY_MS).toISOString().slice(0, 10);
  const written = (day) => new Date(day).toLocaleDateString("en-IN", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const address = (days) => (days >= last ? location.pathname : `${location.pathname}?at=${dayAt(days)}`);

  // Only the newest question counts: whoever drags fast sees where they are, not where they were.
  async function show(where, { moveSlider }) {
    const mine = ++asked;
    const stand = document.getElementById("stand");
    stand.setAttribute("aria-busy", "true");
    const answer = await fetch(where).catch(() => null);
    if (mine !== asked) return;
    if (!answer || !answer.ok) {
      location.assign(where); // the page itself says what is wrong
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    stand.replaceWith(page.getElementById("stand"));
    time.querySelector(".steps").replaceWith(page.querySelector("#time .steps"));
    told.textContent = page.getElementById("on").textContent;
    if (moveSlider) slider.value = page.getElementById("slider").value;
    history.replaceState(null, "", where);
  }

  slider.addEventListener("input", () => {
    const days = Number(slider.value);
    told.textContent = days >= last ? "Now" : `As it stood at the end of ${written(dayAt(days))}`;
    clearTimeout(waiting);
    waiting = setTimeout(() => show(address(days), { moveSlider: false }), 40);
  });

  time.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const { id } = link;
    show(link.href, { moveSlider: true }).then(() => document.getElementById(id)?.focus());
  });
})();
