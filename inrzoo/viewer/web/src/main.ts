/** The page: gallery.json says where the store is and how its INRs are evaluated. */

import "./gallery.css";
import { gridCoords } from "./coords";
import { Dataset, Item, Settings } from "./dataset";
import { Detail } from "./detail";
import { Filters } from "./filters";
import { element } from "./page";
import { whyNotDrawn } from "./pictures";
import { Tiles } from "./tiles";

const FORMAT = 2;

/** What tests and the curious ask the page. */
interface Probe {
  /** Values (K, C) of an INR, row by row, at coordinates (K, D) or on the grid of the fit. */
  values(signal: number, seed?: number, step?: number, coords?: number[]): Promise<number[]>;
  /** INRs that pass the filters, in their order. */
  shown(): Item[];
  /** Milliseconds from the start of the page to the first list of INRs. */
  opened: number;
}

declare global {
  interface Window {
    inrzoo?: Probe;
  }
}

async function start(): Promise<void> {
  if (location.protocol === "file:") {
    throw new Error("browsers read no files beside a page that is opened as a file: serve this folder, or run inrzoo view STORE");
  }
  const response = await fetch("gallery.json");
  if (!response.ok) throw new Error(`gallery.json: ${response.status} ${response.statusText}`);
  const settings: Settings = await response.json();
  if (settings.format !== FORMAT) throw new Error(`gallery.json has format ${settings.format}; this page reads ${FORMAT}`);
  const dataset = await Dataset.open(settings);

  let items: Item[] = [];
  const count = element("p", { class: "count", role: "status" });
  const detail = new Detail(dataset, (index) => tiles.focus(index), show);
  const tiles = new Tiles(dataset, (index) => detail.open(items, index, filters.step.selectedIndex), show);
  const filters = new Filters(dataset, refresh);

  function refresh(): void {
    items = filters.chosen();
    const all = dataset.count * settings.seeds.length;
    count.textContent = items.length ? `${items.length.toLocaleString()} of ${all.toLocaleString()} INRs` : "No INR passes these filters.";
    filters.drawHistogram(items);
    tiles.show(items, { step: filters.step.selectedIndex, finer: filters.finerFactor });
  }

  document.title = settings.title;
  const reason = whyNotDrawn(dataset);
  const rows = settings.about.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  document.body.append(
    element("header", { class: "page" }, element("h1", {}, settings.title), element("p", {}, settings.summary)),
    element("section", { class: "bar", "aria-label": "Selection" }, filters.controls, filters.histogram),
    element("main", {}, count, ...(reason ? [element("p", { class: "reason" }, reason)] : []), tiles.list),
    element("footer", {}, element("details", {}, element("summary", {}, "About this set"), element("table", {}, element("tbody", {}, ...rows)))),
    detail.dialog,
  );
  refresh();
  window.inrzoo = {
    opened: performance.now(),
    shown: () => items,
    values: async (signal, seed = 0, step = -1, coords) => {
      if (!dataset.inr) throw new Error(reason);
      const where = coords ?? gridCoords(settings.grid, settings.coords);
      return [...dataset.inr.values(await dataset.weights({ signal, seed }, step), where)];
    },
  };
}

/** Show an error as one line on the page. */
function show(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const line = document.querySelector(".error") ?? element("p", { class: "error", role: "alert" });
  line.textContent = text;
  document.body.prepend(line);
}

start().catch(show);
