// The overview as it changes: the server sends the page's parts, ready made, and the chart's numbers.
"use strict";

(() => {
  const SILENCE_MS = 20000; // the server pings every 15 s
  const state = document.getElementById("state");
  const lost = document.getElementById("lost");
  const empty = document.getElementById("empty");
  const pause = document.getElementById("pause");
  const places = new Map([...document.querySelectorAll("[data-part]")].map((place) => [place.dataset.part, place]));
  const shown = new Map();

  // --- Parts ---

  function show(name, html) {
    const place = places.get(name);
    if (!place || shown.get(name) === html) return;
    const known = new Set([...place.querySelectorAll("li[data-key]")].map((item) => item.dataset.key));
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    place.innerHTML = html;
    const first = !shown.has(name);
    shown.set(name, html);
    if (known.size && !first) {
      for (const item of place.querySelectorAll("li[data-key]")) {
        if (!known.has(item.dataset.key)) item.classList.add("new");
      }
    }
    if (focused) refocus(place, focused);
  }

  // Whoever moves by keyboard stays where they were, though the part was made anew.
  function refocus(place, focused) {
    const same = [...place.querySelectorAll(focused.tagName)].find(
      (one) => one.getAttribute("href") === focused.getAttribute("href") && one.dataset.key === focused.dataset.key,
    );
    if (same) same.focus({ preventScroll: true });
  }

  // --- Chart ---

  const money = document.getElementById("money");
  const rupees = new Intl.NumberFormat("en-IN", { style: "currency", currency: "INR", maximumFractionDigits: 0 });
  const compact = new Intl.NumberFormat("en-IN", { notation: "compact", maximumFractionDigits: 1 });
  const onDay = (seconds, form) => new Date(seconds * 1000).toLocaleDateString("en-IN", { ...form, timeZone: "Asia/Kolkata" });
  let chart = null;
  let columns = JSON.parse(document.getElementById("chart").textContent);

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Debits come in waves around due days: a week at a time says more than a day.
  function rates() {
    const week = 7 * 24 * 3600;
    return columns.days.map((day, at) => {
      let [good, all] = [0, 0];
      for (let i = at; i >= 0 && columns.days[i] > day - week; i--) {
        good += columns.succeeded[i];
        all += columns.succeeded[i] + columns.failed[i];
      }
      return all ? (100 * good) / all : null;
    });
  }

  const data = () => [columns.days, columns.due, columns.collected, rates()];

  function draw() {
    if (chart) chart.destroy();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const hour = 3600;
    chart = new uPlot(
      {
        width: money.clientWidth,
        height: 250,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Asia/Kolkata"),
        scales: {
          x: { range: (u, from, to) => [(from ?? 0) - 18 * hour, (to ?? 1) + 18 * hour] },
          y: { range: (u, from, to) => [0, Math.max(1, to ?? 1) * 1.08] },
          rate: { range: [0, 100] },
        },
        axes: [
          { ...axis, space: 70, values: (u, ticks) => ticks.map((tick) => onDay(tick, { day: "numeric", month: "short" })) },
          { ...axis, size: 64, values: (u, ticks) => ticks.map((tick) => "₹" + compact.format(tick)) },
          { ...axis, scale: "rate", side: 1, size: 44, grid: { show: false }, values: (u, ticks) => ticks.map((tick) => tick + " %") },
        ],
        series: [
          { label: "Day", value: (u, at) => (at == null ? "" : onDay(at, { day: "numeric", month: "short", year: "numeric" })) },
          { label: "Fell due", stroke: colour("--dim"), fill: colour("--track"), paths: uPlot.paths.bars({ size: [0.9, 26] }), points: { show: false }, value: (u, n) => (n == null ? "" : rupees.format(n)) },
          { label: "Collected", stroke: colour("--accent"), fill: colour("--accent"), paths: uPlot.paths.bars({ size: [0.5, 14] }), points: { show: false }, value: (u, n) => (n == null ? "" : rupees.format(n)) },
          { label: "Debits that succeeded, by week", scale: "rate", stroke: colour("--soft"), width: 1.5, spanGaps: true, points: { show: false }, value: (u, n) => (n == null ? "" : n.toFixed(1) + " %") },
        ],
        cursor: { y: false, drag: { x: false, y: false } },
      },
      data(),
      money,
    );
  }

  function redraw(next) {
    if (JSON.stringify(next) === JSON.stringify(columns)) return;
    columns = next;
    chart.setData(data());
  }

  draw();
  new ResizeObserver(() => chart.setSize({ width: money.clientWidth, height: 250 })).observe(money);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // --- The stream ---

  let source = null;
  let waiting = null;
  let silence = null;
  let attempt = 0;

  function say(word, text) {
    if (state.dataset.state !== word) {
      state.dataset.state = word;
      state.textContent = text;
    }
    lost.hidden = word !== "lost";
  }

  function alive() {
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
  }

  function connect() {
    clearTimeout(waiting);
    source = new EventSource("/live");
    alive();
    source.addEventListener("overview", (event) => {
      attempt = 0;
      alive();
      say("live", "Live");
      const told = JSON.parse(event.data);
      empty.hidden = !told.empty;
      for (const [name, html] of Object.entries(told.parts)) show(name, html);
      redraw(told.chart);
    });
    source.addEventListener("error", again);
  }

  // Our own reconnecting: the browser's gives up for good when it is answered by an error.
  function again() {
    stop();
    say("lost", "Connection lost");
    attempt += 1;
    waiting = setTimeout(connect, Math.min(10000, 500 * 2 ** attempt));
  }

  function stop() {
    clearTimeout(silence);
    clearTimeout(waiting);
    if (source) source.close();
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) {
      stop();
      say("paused", "Paused");
    } else {
      say("connecting", "Connecting");
      connect();
    }
  });

  connect();
})();
