/** One INR, large: finer grids, snapshots, seeds, interpolation, neurons in another order, the original beside it. */

import { Dataset, Item } from "./dataset";
import { finerCoords } from "./coords";
import { choice, decibels, element, labelled, nextFrame } from "./page";
import { Content, IN_SPACE, draw, evaluate, original, points, whyNotDrawn } from "./pictures";
import { play, samples, stop } from "./sound";
import { Camera, START } from "./volume";

const SIZE = 440; // pixels of a large picture of a surface or a waveform
const MOVING_SIZE = 200; // while it turns
const TIME_SLICE = 30; // milliseconds between two pauses

export class Detail {
  readonly dialog = element("dialog", { class: "detail", "aria-labelledby": "detail-title" });
  private readonly title = element("h2", { id: "detail-title", tabindex: -1 });
  private readonly canvas: HTMLCanvasElement;
  private readonly signalCanvas: HTMLCanvasElement;
  private readonly signalFigure: HTMLElement;
  private readonly caption = element("figcaption");
  private readonly facts = element("dl", { class: "facts" });
  private readonly tensors = element("div", { class: "tensors" });
  private readonly note = element("p", { class: "note", role: "status" });
  private readonly step: HTMLSelectElement;
  private readonly seed: HTMLSelectElement;
  private readonly finer: HTMLInputElement;
  private readonly zoom = element("input", { type: "range", min: -1, max: 4, step: 0.05, value: 0 });
  private readonly other: HTMLInputElement;
  private readonly mix = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
  private readonly repeat = element("input", { type: "checkbox" });
  private items: Item[] = [];
  private index = 0;
  private item: Item = { signal: 0, seed: 0 };
  private centre = [0, 0];
  private camera: Camera = { ...START };
  private permuted: Float32Array | null = null;
  private content: Content | null = null;
  private run = 0;

  constructor(
    private readonly dataset: Dataset,
    private readonly closed: (index: number) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    const { kind, snapshots, seeds } = dataset.settings;
    const inSpace = IN_SPACE.includes(kind);
    const isSound = kind === "sound";
    const canTurn = inSpace ? { tabindex: 0, role: "img", "aria-label": "the INR; arrow keys turn it" } : { role: "img", "aria-label": "the INR" };
    this.canvas = element("canvas", { class: `large ${isSound ? "wave" : kind}`, ...canTurn });
    const flat = kind === "views" ? "image" : isSound ? "wave" : kind;
    this.signalCanvas = element("canvas", { class: `large ${flat}`, role: "img", "aria-label": "the original" });
    this.signalFigure = element("figure", {}, this.signalCanvas, element("figcaption", {}, kind === "views" ? "Original, first view" : "Original"));
    this.step = choice(snapshots.map(String), snapshots.length - 1);
    this.seed = choice(seeds.map(String));
    const most = inSpace ? 3 : isSound ? 8 : Math.max(2, Math.min(32, Math.floor(640 / Math.max(...dataset.settings.grid))));
    this.finer = element("input", { type: "range", min: 1, max: most, value: inSpace ? 1 : isSound ? 1 : Math.min(most, 8) });
    this.other = element("input", { type: "number", min: 0, max: dataset.count - 1 });

    const button = (text: string, label: string, action: () => void) => {
      const made = element("button", { type: "button", "aria-label": label, title: label }, text);
      made.addEventListener("click", action);
      return made;
    };
    const header = element(
      "header", {}, button("‹", "previous INR", () => this.move(-1)), button("›", "next INR", () => this.move(1)),
      this.title, button("×", "close", () => this.dialog.close()),
    );
    const controls = element("div", { class: "controls" });
    if (snapshots.length > 1) controls.append(labelled("snapshot, steps", this.step));
    if (seeds.length > 1) controls.append(labelled("seed", this.seed));
    controls.append(labelled("finer grid", this.finer));
    controls.append(labelled("zoom", this.zoom));
    controls.append(
      element("div", { class: "pair" }, labelled("interpolate with signal", this.other), labelled("share of its weights", this.mix)),
      button("Permute neurons", "put the neurons of each layer into a random order", () => void this.permute()),
    );
    if (isSound) {
      controls.append(
        button("▶ INR", "play the INR", () => this.playInr()),
        button("▶ Original", "play the original", () => void this.playOriginal()),
        labelled("repeat", this.repeat),
      );
    }
    const pictures = element("div", { class: `pictures ${isSound ? "stacked" : ""}` });
    pictures.append(element("figure", {}, this.canvas, this.caption), this.signalFigure);
    const left = element("div", { class: "left" }, pictures, controls, this.note);
    const right = element("div", { class: "right" }, this.facts, element("h3", {}, "Weights"), this.tensors);
    this.dialog.append(header, element("div", { class: "body" }, left, right));

    for (const control of [this.finer, this.mix, this.other]) control.addEventListener("input", () => this.refresh());
    this.zoom.addEventListener("input", () => this.zoomed(inSpace));
    this.step.addEventListener("input", () => this.select());
    this.seed.addEventListener("input", () => {
      this.item = { ...this.item, seed: seeds[this.seed.selectedIndex] };
      this.select();
    });
    this.dialog.addEventListener("close", () => {
      this.run++;
      stop();
      this.closed(this.index);
    });
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.followPointer(inSpace);
  }

  open(items: Item[], index: number, step: number): void {
    this.items = items;
    this.step.selectedIndex = step;
    this.dialog.showModal();
    this.title.focus();
    this.goTo(index);
  }

  private move(by: number): void {
    if (this.items[this.index + by]) this.goTo(this.index + by);
  }

  private goTo(index: number): void {
    this.index = index;
    this.item = this.items[index];
    this.seed.selectedIndex = this.dataset.settings.seeds.indexOf(this.item.seed);
    this.other.value = String(this.items[(index + 1) % this.items.length].signal);
    this.mix.value = "0";
    this.zoom.value = "0";
    this.centre = [0, 0];
    this.camera = { ...START };
    this.select();
    void this.showOriginal();
  }

  private select(): void {
    this.permuted = null;
    this.note.textContent = whyNotDrawn(this.dataset);
    void this.showFacts();
    this.refresh();
  }

  private get position(): number {
    return this.step.selectedIndex;
  }

  /** Weights that are shown: the INR's, with its neurons in another order, and mixed with another's. */
  private async weights(): Promise<Float32Array> {
    const own = this.permuted ?? (await this.dataset.weights(this.item, this.position));
    const share = Number(this.mix.value);
    const signal = Number(this.other.value);
    if (!share || !Number.isInteger(signal) || signal < 0 || signal >= this.dataset.count) return own;
    const other = await this.dataset.weights({ signal, seed: this.item.seed }, this.position);
    return own.map((weight, p) => (1 - share) * weight + share * other[p]);
  }

  private refresh(): void {
    this.show().catch(this.failed);
  }

  private async show(): Promise<void> {
    const run = ++this.run;
    if (whyNotDrawn(this.dataset)) return;
    const weights = await this.weights();
    if (run !== this.run) return;
    this.drawTensors(weights);
    const finer = Number(this.finer.value);
    const frame = { zoom: 2 ** Number(this.zoom.value), centre: this.centre };
    const [coords, sizes] = points(this.dataset, finer, false, frame);
    let paused = performance.now();
    const content = await evaluate(this.dataset, weights, coords, sizes, async () => {
      if (performance.now() - paused > TIME_SLICE) {
        await nextFrame();
        paused = performance.now();
      }
      return run === this.run;
    });
    if (!content) return;
    this.content = content;
    draw(this.canvas, this.dataset, content, SIZE, this.camera);
    this.caption.textContent = `From the weights, at ${sizes.map((size) => size.toLocaleString()).join(" × ")} points`;
  }

  private async showOriginal(): Promise<void> {
    const { signal } = this.item;
    const content = await original(this.dataset, signal);
    if (signal !== this.item.signal) return;
    this.signalFigure.hidden = !content;
    if (content) draw(this.signalCanvas, this.dataset, content, SIZE, this.camera);
  }

  private async showFacts(): Promise<void> {
    const { dataset, item, position } = this;
    const { settings } = dataset;
    const id = dataset.ids[item.signal];
    this.title.textContent = id;
    const facts: [string, string][] = [
      ["number", `${item.signal} (of ${dataset.count.toLocaleString()}, from 0)`],
      ...settings.labels.map(({ column }, i): [string, string] => [column, dataset.labelOf(item, i)]),
      ["split", settings.splits[dataset.split[item.signal]] ?? ""],
      ["seed", String(item.seed)],
      ["status", settings.statuses[dataset.statusOf(item)] ?? ""],
      ["steps", dataset.stepsOf(item, position).toLocaleString()],
      ["PSNR", decibels(dataset.psnrOf(item, position))],
    ];
    const measures = await dataset.measuresOf(item, position);
    facts.push(...measures.map(([name, value]): [string, string] => [name, Number(value.toPrecision(4)).toString()]));
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  }

  /** Weights as pictures: blue below 0, red above. */
  private drawTensors(weights: Float32Array): void {
    const figures = this.dataset.inr!.layout.map(({ name, shape, offset }) => {
      const [rows, columns] = shape.length > 1 ? shape : [shape[0], 1];
      const canvas = element("canvas", { width: columns, height: rows, "aria-hidden": "true" });
      const scale = Math.max(1, Math.min(5, Math.floor(150 / Math.max(rows, columns))));
      canvas.style.width = `${Math.max(3, columns * scale)}px`;
      canvas.style.height = `${Math.max(3, rows * scale)}px`;
      const context = canvas.getContext("2d")!;
      const image = context.createImageData(columns, rows);
      const part = weights.subarray(offset, offset + rows * columns);
      const largest = part.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-30);
      part.forEach((weight, p) => {
        const share = Math.sqrt(Math.abs(weight) / largest);
        const colour = weight < 0 ? [59, 110, 220] : [214, 72, 60];
        for (let c = 0; c < 3; c++) image.data[4 * p + c] = colour[c];
        image.data[4 * p + 3] = 255 * share;
      });
      context.putImageData(image, 0, 0);
      return element("figure", {}, canvas, element("figcaption", {}, `${name} ${shape.join(" × ")}`));
    });
    this.tensors.replaceChildren(...figures);
  }

  private async permute(): Promise<void> {
    const { inr, settings } = this.dataset;
    if (!inr) return;
    const before = this.permuted ?? (await this.dataset.weights(this.item, this.position));
    const after = inr.permuted(before);
    const [coords] = IN_SPACE.includes(settings.kind)
      ? points(this.dataset, 1, true)
      : [finerCoords(settings.grid, 1, settings.coords)];
    const [one, other] = [inr.values(before, coords), inr.values(after, coords)];
    const change = one.reduce((most, value, k) => Math.max(most, Math.abs(value - other[k])), 0);
    const moved = after.reduce((count, weight, p) => count + (weight === before[p] ? 0 : 1), 0);
    this.permuted = after;
    this.note.textContent = `${moved.toLocaleString()} of ${after.length.toLocaleString()} weights have another place; the largest change of a value is ${change ? change.toExponential(1) : "0"}.`;
    this.refresh();
  }

  private playInr(): void {
    if (this.content) this.play(this.content.values, (this.content.sizes[0] - 1) / Math.max(1, this.dataset.settings.grid[0] - 1));
  }

  private async playOriginal(): Promise<void> {
    const numbers = await this.dataset.signal(this.item.signal);
    if (numbers) this.play(this.dataset.toValues(this.item.signal, numbers), 1);
    else this.note.textContent = "The store does not hold its signals.";
  }

  private play(values: Float64Array, finer: number): void {
    const { sample_rate: rate, values: scale } = this.dataset.settings;
    play(samples(values, scale.range), rate * finer, this.repeat.checked);
  }

  private pressed(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (["INPUT", "SELECT"].includes(target.tagName)) return;
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const upwards = { ArrowDown: -1, ArrowUp: 1 }[event.key] ?? 0;
    if (target === this.canvas && (sideways || upwards)) this.turn(-0.15 * sideways, 0.15 * upwards, false);
    else if (sideways) this.move(sideways);
    else return;
    event.preventDefault();
  }

  private zoomed(inSpace: boolean): void {
    if (!inSpace) return this.refresh();
    this.camera.zoom = 2 ** Number(this.zoom.value);
    this.turn(0, 0, false);
  }

  private turn(yaw: number, pitch: number, moving: boolean): void {
    this.camera.yaw += yaw;
    this.camera.pitch = Math.min(1.5, Math.max(-1.5, this.camera.pitch + pitch));
    const size = moving ? MOVING_SIZE : SIZE;
    if (this.content) draw(this.canvas, this.dataset, this.content, size, this.camera);
    if (!moving) void this.showOriginal();
  }

  /** The mouse, a pen or a finger turns what is in space and moves what is flat; the wheel zooms. */
  private followPointer(inSpace: boolean): void {
    const { canvas } = this;
    let last: { x: number; y: number } | null = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = { x: event.clientX, y: event.clientY };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const [x, y] = [event.clientX - last.x, event.clientY - last.y];
      last = { x: event.clientX, y: event.clientY };
      if (inSpace) this.turn(-x / 120, y / 120, true);
      else {
        const { width, height } = canvas.getBoundingClientRect();
        const zoom = 2 ** Number(this.zoom.value);
        const [rows, columns] = [-(2 * y) / (height * zoom), -(2 * x) / (width * zoom)];
        this.centre = this.dataset.settings.grid.length === 1 ? [this.centre[0] + columns] : [this.centre[0] + rows, this.centre[1] + columns];
        this.refresh();
      }
    });
    const end = () => {
      if (last && inSpace) this.turn(0, 0, false);
      last = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom.value = String(Number(this.zoom.value) - event.deltaY / 400);
        this.zoomed(inSpace);
      },
      { passive: false },
    );
  }
}
