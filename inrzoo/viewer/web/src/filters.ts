/** Which INRs are shown, and in which order. */

import { Dataset, Item } from "./dataset";
import { choice, element, labelled, svg } from "./page";

const BINS = 40;
const ORDERS = ["number", "PSNR, best first", "PSNR, worst first", "label", "name"];

export class Filters {
  readonly controls = element("form", { class: "filters", role: "search", "aria-label": "Filter and order" });
  readonly histogram = element("figure", { class: "histogram" });
  readonly finer: HTMLSelectElement;
  readonly step: HTMLSelectElement;
  private readonly labels: HTMLSelectElement[];
  private readonly split: HTMLSelectElement;
  private readonly seed: HTMLSelectElement;
  private readonly status: HTMLSelectElement;
  private readonly order = choice(ORDERS);
  private readonly name = element("input", { type: "search", placeholder: "any", autocomplete: "off" });
  private readonly lowest = element("input", { type: "number", step: "any", placeholder: "min" });
  private readonly highest = element("input", { type: "number", step: "any", placeholder: "max" });
  private readonly all: Item[];

  constructor(
    private readonly dataset: Dataset,
    changed: () => void,
  ) {
    const { settings } = dataset;
    this.all = dataset.items();
    this.labels = settings.labels.map(({ names }) => choice(["all", ...names]));
    this.split = choice(["all", ...settings.splits]);
    this.seed = choice(["all", ...settings.seeds.map(String)], settings.seeds.length ? 1 : 0);
    this.status = choice(["all", ...settings.statuses.slice(1)]);
    this.step = choice(settings.snapshots.map((steps) => `${steps} steps`), settings.snapshots.length - 1);
    const small = settings.kind === "image" && Math.max(...settings.grid) <= 16;
    this.finer = choice(["×1", "×2", "×4", "×8"], small ? 2 : 0);
    const range = element("span", { class: "range" }, this.lowest, "–", this.highest);
    this.lowest.setAttribute("aria-label", "lowest PSNR in dB");
    this.highest.setAttribute("aria-label", "highest PSNR in dB");
    const add = (text: string, control: HTMLElement, shown = true) => shown && this.controls.append(labelled(text, control));
    settings.labels.forEach(({ column, names }, i) => add(column, this.labels[i], names.length > 1));
    add("split", this.split, settings.splits.length > 1);
    add("seed", this.seed, settings.seeds.length > 1);
    add("status", this.status);
    add("snapshot", this.step, settings.snapshots.length > 1);
    this.controls.append(element("div", { class: "control" }, element("span", {}, "PSNR, dB"), range));
    add("name contains", this.name);
    add("order", this.order);
    add("grid", this.finer, settings.kind === "image" || settings.kind === "field");
    const reset = element("button", { type: "reset" }, "Reset");
    this.controls.append(reset);
    this.controls.addEventListener("input", changed);
    this.controls.addEventListener("submit", (event) => event.preventDefault());
    this.controls.addEventListener("reset", () => setTimeout(changed, 0));
  }

  get finerFactor(): number {
    return 2 ** this.finer.selectedIndex;
  }

  /** Items that pass all filters, in the chosen order. */
  chosen(): Item[] {
    const { dataset } = this;
    const step = this.step.selectedIndex;
    const labels = this.labels.map((select) => select.selectedIndex - 1);
    const split = this.split.selectedIndex - 1;
    const seed = this.seed.selectedIndex ? dataset.settings.seeds[this.seed.selectedIndex - 1] : -1;
    const status = this.status.selectedIndex;
    const name = this.name.value.trim().toLocaleLowerCase();
    const lowest = this.lowest.value === "" ? -Infinity : Number(this.lowest.value);
    const highest = this.highest.value === "" ? Infinity : Number(this.highest.value);
    const bounded = lowest > -Infinity || highest < Infinity;
    const items = this.all.filter((item) => {
      const psnr = dataset.psnrOf(item, step);
      return (
        (seed < 0 || item.seed === seed) &&
        (split < 0 || dataset.split[item.signal] === split) &&
        (!status || dataset.statusOf(item) === status) &&
        labels.every((code, column) => code < 0 || dataset.labels[column][item.signal] === code) &&
        (!bounded || (psnr >= lowest && psnr <= highest)) &&
        (!name || dataset.ids[item.signal].toLocaleLowerCase().includes(name))
      );
    });
    const psnr = (item: Item) => dataset.psnrOf(item, step);
    const rank = (value: number) => (Number.isNaN(value) ? -Infinity : value);
    const compared = [
      null,
      (a: Item, b: Item) => rank(psnr(b)) - rank(psnr(a)),
      (a: Item, b: Item) => rank(psnr(a)) - rank(psnr(b)),
      (a: Item, b: Item) => (dataset.labels[0]?.[a.signal] ?? 0) - (dataset.labels[0]?.[b.signal] ?? 0),
      (a: Item, b: Item) => dataset.ids[a.signal].localeCompare(dataset.ids[b.signal], undefined, { numeric: true }),
    ][this.order.selectedIndex];
    return compared ? items.sort(compared) : items;
  }

  /** Draw how many of the chosen INRs have which PSNR, over all of them. */
  drawHistogram(chosen: Item[]): void {
    const step = this.step.selectedIndex;
    const finite = (items: Item[]) => items.map((item) => this.dataset.psnrOf(item, step)).filter(Number.isFinite);
    const all = finite(this.all);
    if (!all.length) return;
    let [low, high] = [Infinity, -Infinity];
    for (const value of all) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const counts = (values: number[]) => {
      const bins = new Array<number>(BINS).fill(0);
      for (const value of values) bins[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))]++;
      return bins;
    };
    const [below, above] = [counts(all), counts(finite(chosen))];
    const most = Math.max(...below);
    const bars = (bins: number[], name: string) =>
      bins.map((count, i) =>
        svg("rect", { class: name, x: i + 0.08, width: 0.84, y: 30 - (30 * count) / most, height: (30 * count) / most }),
      );
    const text = `PSNR of ${finite(chosen).length.toLocaleString()} INRs, from ${low.toFixed(1)} to ${high.toFixed(1)} dB`;
    const picture = svg("svg", { viewBox: `0 0 ${BINS} 30`, preserveAspectRatio: "none", role: "img", "aria-label": text });
    picture.append(...bars(below, "all"), ...bars(above, "chosen"));
    const ends = element(
      "figcaption", {}, element("span", {}, `${low.toFixed(1)} dB`), element("span", {}, "PSNR"), element("span", {}, `${high.toFixed(1)} dB`),
    );
    this.histogram.replaceChildren(picture, ends);
  }
}
