/** Values of INRs at coordinates by the formula that a store records (docs/store.md), in double precision.
 *
 * Shape letters: P parameters, K points, D coordinates of a point, C outputs.
 */

export interface Tensor {
  name: string;
  shape: number[];
  axes: string[];
  offset: number;
}

export interface Layer {
  weight: string;
  bias: string;
  weight_factor: number;
  bias_factor: number;
  activation: "sine" | "relu" | "identity";
  /** Names of tensors of the INR's own, `latent`, and of the base that it shares. */
  modulation?: {
    latent: string;
    shift: string | null;
    left: string | null;
    gain: string | null;
    right: string | null;
  };
}

export interface Filter {
  omega: string;
  phi: string;
  mu: string | null;
  gamma: string | null;
}

/** The names are those of tensors of the layout. */
export interface Formula {
  layers: Layer[];
  filters: Filter[];
  /** Radians per coordinate unit, (M, D): the inputs are their cosines, then their sines. None: the coordinates. */
  encoding: number[][];
  offset: number;
}

const POINTS_AT_ONCE = 256; // 64 neurons at so many points stay in the first-level cache

export class Inr {
  readonly outputs: number;
  private readonly tensors: Map<string, Tensor>;

  constructor(
    private readonly formula: Formula,
    readonly layout: Tensor[],
    readonly dimensions: number,
  ) {
    this.tensors = new Map(layout.map((tensor) => [tensor.name, tensor]));
    this.outputs = this.tensor(formula.layers[formula.layers.length - 1].bias).shape[0];
  }

  private tensor(name: string): Tensor {
    const found = this.tensors.get(name);
    if (!found) throw new Error(`the layout of the store has no tensor ${name}`);
    return found;
  }

  /** Values (K, C) of the INR with these weights (P) at coordinates (K, D), row by row. */
  values(weights: Float32Array, coords: ArrayLike<number>): Float64Array {
    const count = coords.length / this.dimensions;
    const out = new Float64Array(count * this.outputs);
    for (let start = 0; start < count; start += POINTS_AT_ONCE) {
      const points = Math.min(POINTS_AT_ONCE, count - start);
      const inputs: Float64Array[] = [];
      for (let d = 0; d < this.dimensions; d++) {
        const column = new Float64Array(points);
        for (let k = 0; k < points; k++) column[k] = coords[(start + k) * this.dimensions + d];
        inputs.push(column);
      }
      const rows = this.evaluated(weights, inputs, points);
      for (let c = 0; c < this.outputs; c++) {
        for (let k = 0; k < points; k++) out[(start + k) * this.outputs + c] = rows[c][k];
      }
    }
    return out;
  }

  /** W x + b with factors of both; `inputs` are the columns of x. */
  private linear(
    weights: Float32Array, weight: string, bias: string, inputs: Float64Array[], points: number, factor = 1, biasFactor = 1,
  ): Float64Array[] {
    const matrix = this.tensor(weight);
    const [rows, columns] = matrix.shape;
    const biasOffset = this.tensor(bias).offset;
    const out: Float64Array[] = [];
    for (let row = 0; row < rows; row++) {
      const sum = new Float64Array(points).fill(biasFactor * weights[biasOffset + row]);
      const offset = matrix.offset + row * columns;
      for (let column = 0; column < columns; column++) {
        const scale = factor * weights[offset + column];
        const input = inputs[column];
        for (let k = 0; k < points; k++) sum[k] += scale * input[k];
      }
      out.push(sum);
    }
    return out;
  }

  private evaluated(weights: Float32Array, coords: Float64Array[], points: number): Float64Array[] {
    const { layers, filters, encoding, offset } = this.formula;
    let hidden = encoding.length ? encoded(encoding, coords, points) : coords;
    if (filters.length) hidden = this.filtered(filters[0], weights, coords, points);
    layers.forEach((layer, i) => {
      hidden = this.linear(
        weights, layer.weight, layer.bias, hidden, points, layer.weight_factor, layer.bias_factor,
      );
      for (const neuron of hidden) {
        if (layer.activation === "sine") for (let k = 0; k < points; k++) neuron[k] = Math.sin(neuron[k]);
        else if (layer.activation === "relu") for (let k = 0; k < points; k++) neuron[k] = Math.max(0, neuron[k]);
      }
      if (i + 1 >= filters.length) return;
      const filter = this.filtered(filters[i + 1], weights, coords, points);
      hidden.forEach((unit, h) => {
        for (let k = 0; k < points; k++) unit[k] *= filter[h][k];
      });
    });
    for (const channel of hidden) for (let k = 0; k < points; k++) channel[k] += offset;
    return hidden;
  }

  /** sin(ω x + φ), times exp(-γ/2 |x - μ|²) if the filter has an envelope. */
  private filtered(part: Filter, weights: Float32Array, coords: Float64Array[], points: number): Float64Array[] {
    const units = this.linear(weights, part.omega, part.phi, coords, points);
    for (const unit of units) for (let k = 0; k < points; k++) unit[k] = Math.sin(unit[k]);
    if (part.mu !== null && part.gamma !== null) {
      const mu = this.tensor(part.mu).offset;
      const gamma = this.tensor(part.gamma).offset;
      units.forEach((unit, h) => {
        for (let k = 0; k < points; k++) {
          let squared = 0;
          for (let d = 0; d < this.dimensions; d++) squared += (coords[d][k] - weights[mu + h * this.dimensions + d]) ** 2;
          unit[k] *= Math.exp((-weights[gamma + h] / 2) * squared);
        }
      });
    }
    return units;
  }

  /** The same function with its neurons in another order: the axes that all tensors of that name share. */
  permuted(weights: Float32Array, random: () => number = Math.random): Float32Array {
    const orders = new Map<string, number[]>();
    for (const tensor of this.layout) {
      tensor.axes.forEach((axis, d) => {
        if (axis !== "in" && axis !== "out" && !orders.has(axis)) orders.set(axis, shuffled(tensor.shape[d], random));
      });
    }
    const out = new Float32Array(weights.length);
    for (const { shape, axes, offset } of this.layout) {
      const [rows, columns] = [shape[0], shape[1] ?? 1];
      const [rowOrder, columnOrder] = [orders.get(axes[0]), orders.get(axes[1])];
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const from = (rowOrder ? rowOrder[row] : row) * columns + (columnOrder ? columnOrder[column] : column);
          out[offset + row * columns + column] = weights[offset + from];
        }
      }
    }
    return out;
  }
}

function encoded(frequencies: number[][], coords: Float64Array[], points: number): Float64Array[] {
  const cosines: Float64Array[] = [];
  const sines: Float64Array[] = [];
  for (const frequency of frequencies) {
    const cosine = new Float64Array(points);
    const sine = new Float64Array(points);
    for (let k = 0; k < points; k++) {
      let angle = 0;
      for (let d = 0; d < coords.length; d++) angle += frequency[d] * coords[d][k];
      cosine[k] = Math.cos(angle);
      sine[k] = Math.sin(angle);
    }
    cosines.push(cosine);
    sines.push(sine);
  }
  return [...cosines, ...sines];
}

function shuffled(count: number, random: () => number): number[] {
  const order = [...Array(count).keys()];
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
