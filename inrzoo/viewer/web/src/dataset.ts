/** A store: its columns, read once, and its weights and signals, read chunk by chunk when they are drawn. */

import * as zarr from "zarrita";
import { Formula, Inr, Tensor } from "./inr";
import { CoordSettings } from "./coords";
import { Base } from "./latents";
import { RemoteStore } from "./remote";
import { WeightType, decoded } from "./weights";

export type Kind = "image" | "sound" | "field" | "voxels" | "shape" | "points" | "views";

/** gallery.json: what inrzoo.viewer says about a store beside what the store records. */
export interface Settings {
  format: number;
  store: string;
  title: string;
  summary: string;
  /** Samples a second of sounds. */
  sample_rate: number;
  kind: Kind;
  formula: Formula | null;
  in_features: number;
  grid: number[];
  channels: number;
  coords: CoordSettings;
  /** `limits`: numbers that become the ends of the range, the same for all signals; null if each has its own. */
  values: { dtype: string; range: [number, number]; limits: [number, number] | null; unit: string };
  observation: Record<string, any>;
  labels: { column: string; array: string; names: string[] }[];
  splits: string[];
  statuses: string[];
  measures: { name: string; array: string }[];
  snapshots: number[];
  seeds: number[];
  has_signals: boolean;
  about: [string, string][];
}

/** One INR of the set, and what is known of it. */
export interface Item {
  signal: number;
  seed: number;
}

const CACHE_BYTES = 2 ** 26;

type Chunk = { data: any; shape: number[] };

export class Dataset {
  readonly inr: Inr | null;
  readonly ids: string[];
  readonly split: ArrayLike<number>;
  readonly labels: Int32Array[];
  readonly status: ArrayLike<number>;
  readonly psnr: Float32Array;
  readonly steps: ArrayLike<number>;
  readonly count: number;
  readonly limits: Float64Array | null;
  readonly valid: ArrayLike<number | bigint> | null;
  private readonly chunks = new Map<string, Promise<Chunk>>();
  private cached = 0;
  private readonly base: Base | null;
  private readonly numSeeds: number;
  private measured: Promise<Float32Array[]> | null = null;

  private constructor(
    readonly settings: Settings,
    private readonly store: RemoteStore,
    private readonly weightsArray: any,
    columns: any[],
  ) {
    const [ids, split, status, psnr, steps, limits, valid, base, ...labels] = columns;
    const { layout, base_layout: baseLayout } = store.attributes;
    this.base = base && settings.formula ? new Base(settings.formula, base, baseLayout as Tensor[]) : null;
    const tensors: Tensor[] = this.base?.layout ?? layout;
    this.inr = settings.formula ? new Inr(settings.formula, tensors, settings.in_features) : null;
    [this.count, this.numSeeds] = [weightsArray.shape[0], weightsArray.shape[1]];
    this.ids = ids;
    this.split = split;
    this.status = status;
    this.psnr = psnr;
    this.steps = steps;
    this.limits = limits;
    this.valid = valid;
    this.labels = labels.map((codes) => Int32Array.from(codes, Number));
  }

  static async open(settings: Settings): Promise<Dataset> {
    const store = await RemoteStore.open(settings.store);
    const read = (name: string) => whole(store, name);
    const padded = Boolean(store.attributes.padded);
    const [weights, ...columns] = await Promise.all([
      open(store, "weights"),
      read("signal_id"),
      read("split"),
      read("status"),
      read("psnr"),
      read("steps"),
      settings.values.limits ? null : read("signals.limits"),
      padded ? read("signals.valid") : null,
      store.attributes.base_layout ? read("inr.base") : null,
      ...settings.labels.map((label) => read(label.array)),
    ]);
    return new Dataset(settings, store, weights, columns);
  }

  /** All INRs that were fitted, signal by signal. */
  items(): Item[] {
    const items: Item[] = [];
    for (let signal = 0; signal < this.count; signal++) {
      for (const seed of this.settings.seeds) {
        if (this.statusOf({ signal, seed }) !== 0) items.push({ signal, seed });
      }
    }
    return items;
  }

  statusOf({ signal, seed }: Item): number {
    return this.status[signal * this.numSeeds + seed];
  }

  psnrOf({ signal, seed }: Item, step = this.settings.snapshots.length - 1): number {
    return this.psnr[(signal * this.numSeeds + seed) * this.settings.snapshots.length + step];
  }

  stepsOf({ signal, seed }: Item, step: number): number {
    return this.steps[(signal * this.numSeeds + seed) * this.settings.snapshots.length + step];
  }

  labelOf({ signal }: Item, column: number): string {
    return this.settings.labels[column].names[this.labels[column][signal]] ?? "";
  }

  /** Measures of quality beside PSNR, by name. */
  async measuresOf({ signal, seed }: Item, step: number): Promise<[string, number][]> {
    this.measured ??= Promise.all(this.settings.measures.map(({ array }) => whole(this.store, array)));
    const columns = await this.measured;
    const index = (signal * this.numSeeds + seed) * this.settings.snapshots.length + step;
    return this.settings.measures.map(({ name }, i) => [name, columns[i][index]]);
  }

  /** Weights (P) of one INR, of a latent those of its network; a negative step counts from the last one. */
  async weights({ signal, seed }: Item, step = -1): Promise<Float32Array> {
    const position = step < 0 ? step + this.settings.snapshots.length : step;
    const rows = this.weightsArray.chunks[0];
    const chunk = await this.chunk("weights", this.weightsArray, [Math.floor(signal / rows), seed, 0, 0]);
    const [, , steps, size] = chunk.shape;
    const start = ((signal % rows) * steps + position) * size;
    const own = decoded(chunk.data.subarray(start, start + size), this.weightType, this.store.attributes.layout);
    return this.base ? this.base.weights(own) : own;
  }

  private get weightType(): WeightType {
    return this.store.attributes.weight_format?.dtype ?? "float32";
  }

  /** Numbers (K, C) of a signal as they were read; null if the store does not hold them. */
  async signal(signal: number): Promise<ArrayLike<number> | null> {
    if (!this.settings.has_signals) return null;
    const array: any = await open(this.store, "signals");
    const rows = array.chunks[0];
    const chunk = await this.chunk("signals", array, [Math.floor(signal / rows), 0, 0]);
    const size = chunk.shape[1] * chunk.shape[2];
    return chunk.data.subarray((signal % rows) * size, (signal % rows) * size + size);
  }

  /** Values, on the range of the fit, of the numbers of a signal. */
  toValues(signal: number, numbers: ArrayLike<number>): Float64Array {
    const [low, high] = this.settings.values.range;
    const [first, last] = this.limitsOf(signal);
    return Float64Array.from(numbers, (number) => low + ((number - first) * (high - low)) / (last - first));
  }

  /** Numbers of a signal that became the ends of the value range. */
  limitsOf(signal: number): [number, number] {
    return this.settings.values.limits ?? [this.limits![2 * signal], this.limits![2 * signal + 1]];
  }

  private chunk(name: string, array: any, place: number[]): Promise<Chunk> {
    const key = `${name}/${place.join("/")}`;
    const known = this.chunks.get(key);
    if (known) {
      this.chunks.delete(key); // the most recent is the last one
      this.chunks.set(key, known);
      return known;
    }
    const reading: Promise<Chunk> = array.getChunk(place);
    this.chunks.set(key, reading);
    reading.then(
      (chunk) => this.trim(chunk.data.byteLength),
      () => this.chunks.delete(key),
    );
    return reading;
  }

  /** Forget the chunks that were not used for longest. */
  private async trim(added: number): Promise<void> {
    this.cached += added;
    while (this.cached > CACHE_BYTES && this.chunks.size > 4) {
      const [key, oldest] = this.chunks.entries().next().value!;
      this.chunks.delete(key);
      this.cached -= await oldest.then((chunk) => chunk.data.byteLength as number, () => 0);
    }
  }
}

async function open(store: RemoteStore, name: string): Promise<any> {
  try {
    return await zarr.open.v3(zarr.root(store as never).resolve(name), { kind: "array" });
  } catch (error) {
    throw new Error(`the array ${name} of the store cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

async function whole(store: RemoteStore, name: string): Promise<any> {
  return (await zarr.get(await open(store, name))).data;
}
