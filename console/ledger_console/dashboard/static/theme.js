// Light, dark, or as the system has it. Kept in a cookie, so that the server draws the first frame right.
import { find } from "./dom.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SHOWN = { auto: ["◐", "as the system"], light: ["○", "light"], dark: ["●", "dark"] };

export function theme() {
  const button = find("[data-theme-switch]");
  const root = document.documentElement;
  const show = () => {
    const [sign, name] = SHOWN[root.dataset.theme];
    button.textContent = sign;
    button.setAttribute("aria-label", `Colours: ${name}`);
    button.title = `Colours: ${name}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = NEXT[root.dataset.theme];
    document.cookie = `ledger-theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Strict`;
    show();
  });
  show();
}
