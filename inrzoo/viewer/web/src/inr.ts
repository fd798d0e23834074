/** Values of INRs at coordinates: the formulas of inrzoo/inrs/, in double precision.
 *
 * Shape letters: P parameters, K points, D coordinates of a point, C outputs.
 */

export interface Tensor {
  name: string;
  shape: number[];
  axes: string[];
  offset: number;
}

export interface Perceptron {
  family: "perceptron";
  activation: "sine" | "relu";
  weight_factors: number[];
  bias_factors: number[];
  output_offset: number;
  /** Radians per coordinate unit, (M, D): the inputs are their cosines, then their sines. None: the coordinates. */
  frequencies: number[][];
}

export interface FilterNetwork {
  family: "filters";
  gabor: boolean;
  num_filters: number;
}

export type Network = Perceptron | FilterNetwork;

const POINTS_AT_ONCE = 256; // 64 neurons at so many points stay in the first-level cache

export class Inr {
  readonly outputs: number;
  private readonly tensors: Map<string, Tensor>;

  constructor(
    private readonly network: Network,
    readonly layout: Tensor[],
    readonly dimensions: number,
  ) {
    this.tensors = new Map(layout.map((tensor) => [tensor.name, tensor]));
    const last = network.family === "perceptron" ? network.weight_factors.length : network.num_filters - 1;
    this.outputs = this.tensor(`bias_${last}`).shape[0];
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
      const rows =
        this.network.family === "perceptron"
          ? this.perceptron(this.network, weights, inputs, points)
          : this.filters(this.network, weights, inputs, points);
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

  private perceptron(network: Perceptron, weights: Float32Array, coords: Float64Array[], points: number): Float64Array[] {
    let hidden = network.frequencies.length ? encoded(network.frequencies, coords, points) : coords;
    const layers = network.weight_factors.length;
    for (let i = 0; i < layers; i++) {
      hidden = this.linear(
        weights, `weight_${i}`, `bias_${i}`, hidden, points, network.weight_factors[i], network.bias_factors[i],
      );
      for (const neuron of hidden) {
        if (network.activation === "sine") for (let k = 0; k < points; k++) neuron[k] = Math.sin(neuron[k]);
        else for (let k = 0; k < points; k++) neuron[k] = Math.max(0, neuron[k]);
      }
    }
    const values = this.linear(weights, `weight_${layers}`, `bias_${layers}`, hidden, points);
    for (const channel of values) for (let k = 0; k < points; k++) channel[k] += network.output_offset;
    return values;
  }

  private filters(network: FilterNetwork, weights: Float32Array, coords: Float64Array[], points: number): Float64Array[] {
    let z = this.filter(network, 0, weights, coords, points);
    for (let i = 1; i < network.num_filters; i++) {
      const product = this.linear(weights, `weight_${i - 1}`, `bias_${i - 1}`, z, points);
      const filter = this.filter(network, i, weights, coords, points);
      product.forEach((unit, h) => {
        for (let k = 0; k < points; k++) unit[k] *= filter[h][k];
      });
      z = product;
    }
    const last = network.num_filters - 1;
    return this.linear(weights, `weight_${last}`, `bias_${last}`, z, points);
  }

  /** sin(ω x + φ), for a Gabor network times exp(-γ/2 |x - μ|²). */
  private filter(
    network: FilterNetwork, i: number, weights: Float32Array, coords: Float64Array[], points: number,
  ): Float64Array[] {
    const units = this.linear(weights, `omega_${i}`, `phi_${i}`, coords, points);
    for (const unit of units) for (let k = 0; k < points; k++) unit[k] = Math.sin(unit[k]);
    if (network.gabor) {
      const mu = this.tensor(`mu_${i}`).offset;
      const gamma = this.tensor(`gamma_${i}`).offset;
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
