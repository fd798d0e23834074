/** The grid of INRs: only those in view have an element, and only they are read and evaluated. */

import { Dataset, Item } from "./dataset";
import { decibels, element, nextFrame } from "./page";
import { draw, evaluate, points, whyNotDrawn } from "./pictures";

const GAP = 10;
const CAPTION = 38;
const ROWS_BEYOND = 1; // rows above and below the view that are drawn as well
const TIME_SLICE = 24; // milliseconds between two pauses

interface Tile {
  element: HTMLDivElement;
  canvas: HTMLCanvasElement;
  drawn: string;
}

export interface TileOptions {
  step: number;
  finer: number;
}

export class Tiles {
  readonly list = element("div", { class: "tiles", role: "listbox", "aria-label": "INRs" });
  private items: Item[] = [];
  private options: TileOptions = { step: -1, finer: 1 };
  private readonly tiles = new Map<number, Tile>();
  private columns = 1;
  private width = 100;
  private active = 0;
  private run = 0;
  private readonly isWave: boolean;
  private readonly reason: string;

  constructor(
    private readonly dataset: Dataset,
    private readonly opened: (index: number) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    this.isWave = dataset.settings.kind === "sound";
    this.reason = whyNotDrawn(dataset);
    this.list.addEventListener("click", (event) => {
      const index = indexOf(event.target);
      if (index !== null) this.open(index);
    });
    this.list.addEventListener("keydown", (event) => this.pressed(event));
    this.list.addEventListener("focusin", (event) => {
      const index = indexOf(event.target);
      if (index !== null) this.activate(index, false);
    });
    addEventListener("scroll", () => this.layout(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(this.list);
    // Waveforms have the colour of the text.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show(this.items, this.options));
  }

  show(items: Item[], options: TileOptions): void {
    this.items = items;
    this.options = options;
    this.active = 0;
    for (const tile of this.tiles.values()) tile.element.remove();
    this.tiles.clear();
    this.layout();
  }

  /** Give the focus back to an INR, which may have changed while it was seen large. */
  focus(index: number): void {
    this.activate(index, true);
  }

  private open(index: number): void {
    this.activate(index, false);
    this.opened(index);
  }

  private get tileHeight(): number {
    return (this.isWave ? Math.round(this.width / 2) : this.width) + CAPTION;
  }

  private pressed(event: KeyboardEvent): void {
    const perPage = Math.max(1, Math.floor(innerHeight / (this.tileHeight + GAP))) * this.columns;
    const moves: Record<string, number> = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: perPage, PageUp: -perPage,
      Home: -this.items.length, End: this.items.length,
    };
    if (event.key === "Enter" || event.key === " ") this.open(this.active);
    else if (event.key in moves) {
      const place = this.active + moves[event.key];
      const isRow = event.key === "ArrowDown" || event.key === "ArrowUp";
      if (isRow && (place < 0 || place >= this.items.length)) return;
      this.activate(Math.min(this.items.length - 1, Math.max(0, place)), true);
    } else return;
    event.preventDefault();
  }

  private activate(index: number, focus: boolean): void {
    if (index >= this.items.length) return;
    const before = this.tiles.get(this.active);
    if (before) before.element.tabIndex = -1;
    this.active = index;
    if (focus) {
      const top = this.list.getBoundingClientRect().top + Math.floor(index / this.columns) * (this.tileHeight + GAP);
      if (top < 8) scrollBy(0, top - 8);
      else if (top + this.tileHeight > innerHeight - 8) scrollBy(0, top + this.tileHeight - innerHeight + 8);
      this.layout();
    }
    const tile = this.tiles.get(index);
    if (!tile) return;
    tile.element.tabIndex = 0;
    if (focus) tile.element.focus({ preventScroll: true });
  }

  /** Make the tiles in view, remove the others, and draw what is new. */
  private layout(): void {
    const total = this.list.clientWidth;
    if (!total) return;
    const smallest = this.isWave ? 170 : innerWidth < 600 ? 88 : 112;
    this.columns = Math.max(1, Math.floor((total + GAP) / (smallest + GAP)));
    this.width = Math.floor((total - GAP * (this.columns - 1)) / this.columns);
    const height = this.tileHeight + GAP;
    const rows = Math.ceil(this.items.length / this.columns);
    this.list.style.height = `${Math.max(0, rows * height - GAP)}px`;
    const top = -this.list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - ROWS_BEYOND) * this.columns;
    const last = Math.min(this.items.length, (Math.ceil((top + innerHeight) / height) + ROWS_BEYOND) * this.columns);
    for (const [index, tile] of this.tiles) {
      const hasFocus = tile.element === document.activeElement;
      if ((index < first || index >= last) && !hasFocus) {
        tile.element.remove();
        this.tiles.delete(index);
      }
    }
    for (let index = first; index < last; index++) {
      if (!this.tiles.has(index)) this.tiles.set(index, this.make(index));
    }
    // One INR in view can always be reached by the tabulator key.
    if (!this.tiles.has(this.active) && first < last) this.activate(Math.min(last - 1, first + this.columns), false);
    for (const [index, { element: tile }] of this.tiles) {
      tile.style.width = `${this.width}px`;
      tile.style.transform = `translate(${(index % this.columns) * (this.width + GAP)}px, ${Math.floor(index / this.columns) * height}px)`;
    }
    void this.draw(++this.run);
  }

  private make(index: number): Tile {
    const item = this.items[index];
    const { dataset } = this;
    const id = dataset.ids[item.signal];
    const psnr = decibels(dataset.psnrOf(item, this.options.step));
    const label = dataset.settings.labels.length ? dataset.labelOf(item, 0) : "";
    const canvas = element("canvas", { "aria-hidden": "true", class: this.isWave ? "wave" : dataset.settings.kind });
    const tile = element(
      "div",
      {
        class: "tile", role: "option", tabindex: index === this.active ? 0 : -1, "aria-selected": "false",
        "aria-setsize": this.items.length, "aria-posinset": index + 1, "data-index": index, title: id,
        "aria-label": `signal ${item.signal}, seed ${item.seed}, ${label}, ${psnr}`,
      },
      canvas,
      element("span", { class: "label" }, label || id),
      element("span", { class: "psnr" }, psnr),
    );
    this.list.append(tile);
    return { element: tile, canvas, drawn: "" };
  }

  private async draw(run: number): Promise<void> {
    if (this.reason) return;
    const { finer, step } = this.options;
    const [coords, sizes] = points(this.dataset, finer, true);
    let paused = performance.now();
    const pause = async () => {
      if (performance.now() - paused > TIME_SLICE) {
        await nextFrame();
        paused = performance.now();
      }
      return run === this.run;
    };
    try {
      for (const [index, tile] of [...this.tiles].sort(([a], [b]) => a - b)) {
        if (tile.drawn) continue;
        const weights = await this.dataset.weights(this.items[index], step);
        if (run !== this.run) return;
        const content = await evaluate(this.dataset, weights, coords, sizes, pause);
        if (!content) return;
        draw(tile.canvas, this.dataset, content, 112);
        tile.drawn = "yes";
        tile.element.classList.add("drawn");
      }
    } catch (error) {
      this.failed(error);
    }
  }
}

function indexOf(target: EventTarget | null): number | null {
  const tile = target instanceof Element ? target.closest<HTMLElement>(".tile") : null;
  return tile ? Number(tile.dataset.index) : null;
}
