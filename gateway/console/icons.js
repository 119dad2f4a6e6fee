// The icons: strokes on a grid of 20, drawn here so that nothing is fetched.
import { svg } from "./page.js";

const strokes = {
  playground: "M4 4h12v9H9l-4 3.5V13H4z M7 7.3h6 M7 9.8h4",
  live: "M2.5 10h3.2l2-5.5 4 11 2.2-5.5h3.6",
  dial: "M3.5 14.5a7 7 0 1 1 13 0 M10 12.5l3.2-4.4 M10 12.5h.01",
  backends: "M3.5 4h13v4.7h-13z M3.5 11.3h13V16h-13z M6.3 6.4h.01 M6.3 13.7h.01",
  keys: "M12.8 3.2a4 4 0 1 1-3.5 5.9L3.4 15v1.8h2.7v-2h2v-2h1.6l1.4-1.5 M13.6 6.4h.01",
  cache:
    "M3.5 5.5c0-1.4 2.9-2.3 6.5-2.3s6.5.9 6.5 2.3-2.9 2.3-6.5 2.3-6.5-.9-6.5-2.3z M3.5 5.5v9c0 1.4 2.9 2.3 6.5 2.3s6.5-.9 6.5-2.3v-9 M3.5 10c0 1.4 2.9 2.3 6.5 2.3s6.5-.9 6.5-2.3",
  lock: "M5 9h10v7.5H5z M7 9V6.5a3 3 0 0 1 6 0V9",
  language:
    "M10 2.8a7.2 7.2 0 1 0 0 14.4 7.2 7.2 0 0 0 0-14.4z M3 10h14 M10 2.8c2 2 3 4.5 3 7.2s-1 5.2-3 7.2c-2-2-3-4.5-3-7.2s1-5.2 3-7.2z",
  theme_dark: "M16.5 11.7A6.8 6.8 0 0 1 8.3 3.5a6.8 6.8 0 1 0 8.2 8.2z",
  theme_light:
    "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z M10 2v1.6 M10 16.4V18 M2 10h1.6 M16.4 10H18 M4.3 4.3l1.2 1.2 M14.5 14.5l1.2 1.2 M4.3 15.7l1.2-1.2 M14.5 5.5l1.2-1.2",
};

export const icon = (name) =>
  svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" }, svg("path", { d: strokes[name] }));
