// Building elements. Text only ever becomes text: there is no way here to write markup.
const SVG = "http://www.w3.org/2000/svg";

export const find = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

const built = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

export const html = (name, attributes = {}, ...children) => built(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) =>
  built(document.createElementNS(SVG, name), attributes, children);

export const number = (value) => value.toLocaleString("en-US");
