// Every page: what needs JavaScript is put there by it, so that nothing dead is shown without.
import { all, find } from "./dom.js";
import { keyboard } from "./keyboard.js";
import { live } from "./live.js";
import { theme } from "./theme.js";

function dialogs() {
  for (const button of all("[data-opens]")) {
    button.hidden = false;
    button.addEventListener("click", () => find(`#${button.dataset.opens}`).showModal());
  }
  for (const button of all("[data-closes]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}

function copies() {
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(find(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}

// A form is sent once, however often its button is pressed.
function forms() {
  for (const form of all('form[method="post"]')) {
    form.addEventListener("submit", () => all("button", form).forEach((button) => (button.disabled = true)));
  }
  const filters = find("[data-filters]");
  // On a phone they would fill the screen before the first operation.
  const more = find("[data-more]");
  const narrow = matchMedia("(max-width: 700px)");
  const inUse = () => "chosen" in more.dataset || more.contains(document.activeElement);
  const fold = () => more && (more.open = !narrow.matches || inUse());
  more?.addEventListener("input", () => (more.dataset.chosen = ""));
  narrow.addEventListener("change", fold);
  fold();
  filters?.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  for (const select of all("[data-filters] select")) select.addEventListener("change", () => filters.requestSubmit());
}

theme();
dialogs();
copies();
forms();
keyboard();
live();
document.documentElement.dataset.ready = "";
