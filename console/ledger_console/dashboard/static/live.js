// The overview while it is open: one stream of server-sent events keeps journal, totals, breakdowns and chart.
import { chart } from "./chart.js";
import { all, find, html, number, svg } from "./dom.js";

const MOST_LINES = 200;
const TITLE = document.title;
const KINDS = ["executed", "blocked", "failed", "unknown", "running"];

function line(event) {
  const time = new Date(event.at).toTimeString().slice(0, 8);
  return html(
    "li",
    { class: `${event.event} fresh` },
    html("time", { datetime: event.at, title: event.at }, time),
    html("span", { class: "event" }, event.event),
    html("a", { class: "tool", href: `/operations/${encodeURIComponent(event.record)}` }, event.tool),
    html("span", { class: "where" }, event.caller ? `${event.wf} · ${event.caller}` : event.wf),
    event.detail ? html("span", { class: "detail" }, event.detail) : null,
  );
}

function journal(list) {
  let paused = false;
  let waiting = [];
  const button = find("[data-pause]");
  const show = (events) => {
    list.prepend(...events.map(line).reverse());
    while (list.children.length > MOST_LINES) list.lastElementChild.remove();
    find("[data-no-events]").hidden = true;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Go on" : "Pause";
    if (!paused) show(waiting.splice(0));
  });
  return (events) => {
    if (!paused) return show(events.slice(-MOST_LINES));
    waiting = [...waiting, ...events].slice(-MOST_LINES);
    button.textContent = `Go on (${waiting.length})`;
  };
}

// For who does not see the page: what a person must know of at once, and nothing else.
function announce(text) {
  find("[data-announced]").textContent = text;
}

// What waits for a person: in the menu, in the tab's title, and said when there is more of it.
function waits(count, before) {
  find(".top .count").hidden = !count;
  document.title = count ? `(${number(count)}) ${TITLE}` : TITLE;
  if (count > before) {
    announce(`${number(count - before)} more with an unknown outcome. ${number(count)} in all wait for a person.`);
  }
}

function totals(found) {
  for (const place of all("[data-total]")) place.textContent = number(found[place.dataset.total]);
  for (const name of ["failed", "waiting", "running"]) {
    find(`.totals dl .${name}`)?.classList.toggle("some", found[name] > 0);
  }
  const attempts = found.attempts || 1;
  find("[data-rate]").textContent = `${((100 * found.blocked) / attempts).toFixed(1)}%`;
  find("[data-attention]").hidden = !found.waiting;
  let at = 0;
  const shares = KINDS.filter((kind) => found[kind] > 0).map((kind) => {
    const width = (100 * found[kind]) / attempts;
    const share = svg("rect", { x: `${at}%`, width: `${width}%`, height: 8, class: kind });
    share.append(svg("title", {}, `${kind}: ${number(found[kind])}`));
    at += width;
    return share;
  });
  find("[data-shares]").replaceChildren(...shares);
}

function group(table, rows) {
  if (!rows?.length) return;
  const shown = rows.map((row) =>
    html(
      "tr",
      {},
      html(
        "th",
        { scope: "row" },
        html("a", { href: row.href }, row.shown || "none given"),
        svg(
          "svg",
          { class: "share", width: "100%", height: 3, "aria-hidden": "true" },
          svg("rect", { width: `${row.share}%`, height: 3, rx: 1.5 }),
        ),
      ),
      html("td", { class: "n" }, number(row.attempts)),
      html("td", { class: row.blocked ? "n prevented" : "n prevented zero" }, number(row.blocked)),
    ),
  );
  find("tbody", table).replaceChildren(...shown);
}

function connection(state) {
  const shown = find("[data-connection]");
  shown.dataset.state = state;
  shown.textContent = { live: "live", lost: "reconnecting" }[state] ?? "waiting";
}

// Said once for each loss: a browser tries again every second.
function connections() {
  let lost = false;
  return (state) => {
    if (state === "lost" && !lost) announce("The connection to the dashboard is lost. This page tries to get it back.");
    if (state === "live" && lost) announce("The connection to the dashboard is back.");
    lost = state === "lost";
    connection(state);
  };
}

function notice(text) {
  const shown = find("[data-notice]");
  shown.textContent = text;
  shown.hidden = !text;
  if (text) announce(text);
}

export function live() {
  const root = find("[data-live]");
  for (const time of all("time[data-clock]")) {
    time.textContent = new Date(time.dateTime).toTimeString().slice(0, 8);
  }
  if (!root) return;
  const draw = chart(find("[data-chart]"), all("[data-range]"));
  const add = journal(find("[data-events]"));
  const on = (stream, name, then) => stream.addEventListener(name, (event) => then(JSON.parse(event.data)));
  const stream = new EventSource(`/events?after=${encodeURIComponent(root.dataset.after)}`);
  const told = connections();
  let broken = false;
  let waiting = Number(root.dataset.waiting);
  waits(waiting, waiting);
  stream.addEventListener("error", () => told("lost"));
  on(stream, "state", ({ state, what }) => {
    if (broken && state === "ok") return location.reload();
    broken = state !== "ok";
    told(broken ? "waiting" : "live");
    notice(broken ? `${what}. What you see is from before; this page goes on when it is back.` : "");
  });
  on(stream, "replaced", () => location.reload());
  on(stream, "journal", ({ events }) => {
    find(".empty", root)?.remove();
    add(events);
  });
  on(stream, "summary", (found) => {
    totals(found.totals);
    waits(found.totals.waiting, waiting);
    waiting = found.totals.waiting;
    for (const table of all("[data-group]")) group(table, found.groups[table.dataset.group]);
    draw();
  });
}
