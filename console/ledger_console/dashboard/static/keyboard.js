// Shortcuts, none of them where somebody types.
import { all, find } from "./dom.js";

const PAGES = { h: "/", o: "/operations", w: "/workflows", u: "/unknown" };

const link = (row) => (row.matches("a") ? row : find("a", row));

function move(step) {
  const links = all("[data-row]").map(link);
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
}

export function keyboard() {
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    const { key } = event;
    if (going && PAGES[key]) location.assign(PAGES[key]);
    else if (key === "/") find(".search input")?.focus();
    else if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (key === "?") find("#keys").showModal();
    else {
      going = key === "g";
      return;
    }
    going = false;
    event.preventDefault();
  });
}
