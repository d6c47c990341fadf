// Attempts over time as stacked columns, drawn as SVG at the size there is. Reads /api/activity.
import { html, number, svg } from "./dom.js";

const KINDS = ["executed", "blocked", "failed", "unknown"];
const NAMES = { executed: "executed", blocked: "prevented", failed: "failed", unknown: "unknown" };
const EDGE = { top: 12, right: 4, bottom: 24, left: 40 };
const REFRESH = 15000;

// The top of the scale: 1, 2 or 5 times a power of ten, and no half attempts.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return Math.max(4, [1, 2, 4, 5, 10].map((step) => step * power).find((top) => top >= most));
}

function moment(at, seconds) {
  const date = new Date(at * 1000);
  const time = date.toTimeString().slice(0, seconds < 60 ? 8 : 5);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return seconds >= 1800 ? `${day}, ${time}` : time;
}

const label = (at, seconds) => {
  const date = new Date(at * 1000);
  return seconds > 3600
    ? date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })
    : date.toTimeString().slice(0, 5);
};

const total = (bar) => KINDS.reduce((sum, kind) => sum + bar[kind], 0);

function told(bar, seconds) {
  const counts = KINDS.filter((kind) => bar[kind]).map((kind) => `${number(bar[kind])} ${NAMES[kind]}`);
  return [moment(bar.at, seconds), ...(counts.length ? counts : ["nothing"])];
}

function column(bar, seconds, box, scale, tip) {
  let y = box.bottom;
  const gap = box.width > 5 ? 1.5 : 0.5;
  const parts = KINDS.filter((kind) => bar[kind]).map((kind) => {
    const height = Math.max(1.5, scale(bar[kind]));
    y -= height;
    return svg("rect", { x: box.left + gap / 2, y, width: Math.max(1, box.width - gap), height, class: kind });
  });
  const words = told(bar, seconds);
  const hit = svg("rect", { x: box.left, y: EDGE.top, width: box.width, height: box.bottom - EDGE.top, class: "hit" });
  // A screen reader is told of what happened, not of each quarter of a minute in which nothing did.
  const heard = parts.length ? { role: "img", "aria-label": words.join(", ") } : { "aria-hidden": "true" };
  const group = svg("g", { class: "column stack", ...heard }, hit, ...parts);
  group.addEventListener("pointerenter", () => tip(words, box.left + box.width / 2));
  group.addEventListener("pointerleave", () => tip(null));
  return group;
}

function axes(bars, seconds, top, width, bottom) {
  const lines = [0, 0.5, 1].map((share) => {
    const y = bottom - share * (bottom - EDGE.top);
    return svg("g", {}, svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y }),
      svg("text", { x: EDGE.left - 8, y: y + 4, "text-anchor": "end" }, number(top * share)));
  });
  const every = Math.max(1, Math.ceil(bars.length / Math.max(2, Math.floor(width / 110))));
  const step = (width - EDGE.left - EDGE.right) / bars.length;
  const times = bars.map((bar, at) => [bar, at]).filter(([, at]) => at % every === 0 && at < bars.length - every / 2)
    .map(([bar, at]) => svg("text", { x: EDGE.left + at * step, y: bottom + 17 }, label(bar.at, seconds)));
  return [...lines, ...times];
}

function draw(figure, { bars, seconds }) {
  const { width, height } = figure.getBoundingClientRect();
  const bottom = height - EDGE.bottom;
  const top = ceiling(Math.max(...bars.map(total)));
  const scale = (count) => (count / top) * (bottom - EDGE.top);
  const step = (width - EDGE.left - EDGE.right) / bars.length;
  const shown = html("div", { class: "tip", hidden: true });
  const tip = (words, x) => {
    shown.hidden = !words;
    if (!words) return;
    shown.textContent = words.join("\n");
    shown.style.left = `${Math.min(Math.max(0, x - shown.offsetWidth / 2), width - shown.offsetWidth)}px`;
  };
  const columns = bars.map((bar, at) =>
    column(bar, seconds, { left: EDGE.left + at * step, width: step, bottom }, scale, tip));
  const sum = bars.reduce((all, bar) => all + total(bar), 0);
  const drawing = svg("svg", { width, height, role: "group", "aria-label": `${number(sum)} attempts in this time` },
    ...axes(bars, seconds, top, width, bottom), ...columns);
  figure.replaceChildren(drawing, shown, ...(sum ? [] : [html("p", { class: "none" }, "Nothing in this time.")]));
}

// Returns a function that looks again. A chart nobody sees is not drawn.
export function chart(figure, buttons) {
  let range = buttons[0].dataset.range;
  let found = null;
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(`/api/activity?range=${range}`).catch(() => null);
    if (!answer?.ok) return;
    found = await answer.json();
    draw(figure, found);
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      range = button.dataset.range;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      look();
    });
  }
  new ResizeObserver(() => found && draw(figure, found)).observe(figure);
  setInterval(look, REFRESH);
  look();
  return look;
}
