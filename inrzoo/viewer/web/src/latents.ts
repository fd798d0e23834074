/** Latents of INRs that share a base (docs/store.md): each becomes the weights of a network of its own.
 *
 * Shape letters: M numbers of a latent, P parameters of a network.
 */

import { Formula, Layer, Tensor } from "./inr";

export class Base {
  /** The tensors that layers have, which are the first ones of a base. */
  readonly layout: Tensor[];
  private readonly tensors: Map<string, Tensor>;

  constructor(
    private readonly formula: Formula,
    private readonly numbers: Float32Array,
    baseLayout: Tensor[],
  ) {
    this.tensors = new Map(baseLayout.map((tensor) => [tensor.name, tensor]));
    const own = new Set(formula.layers.flatMap(({ weight, bias }) => [weight, bias]));
    this.layout = baseLayout.filter(({ name }) => own.has(name));
  }

  /** Weights (P) of the network with a latent (M): W + U diag(G z) V and b + S z. */
  weights(latent: Float32Array): Float32Array {
    const { offset, shape } = this.layout[this.layout.length - 1];
    const weights = this.numbers.slice(0, offset + shape.reduce((size, axis) => size * axis, 1));
    for (const layer of this.formula.layers) this.modulate(weights, layer, latent);
    return weights;
  }

  private modulate(weights: Float32Array, { weight, bias, modulation }: Layer, latent: Float32Array): void {
    if (!modulation) return;
    if (modulation.shift !== null) {
      const { offset } = this.tensors.get(bias)!;
      this.times(modulation.shift, latent).forEach((shift, row) => (weights[offset + row] += shift));
    }
    if (modulation.left === null || modulation.gain === null || modulation.right === null) return;
    const gains = this.times(modulation.gain, latent);
    const [left, right] = [this.tensors.get(modulation.left)!, this.tensors.get(modulation.right)!];
    const { offset, shape } = this.tensors.get(weight)!;
    for (let row = 0; row < shape[0]; row++) {
      for (let column = 0; column < shape[1]; column++) {
        let sum = 0;
        gains.forEach((gain, r) => {
          sum += this.numbers[left.offset + row * gains.length + r] * gain * this.numbers[right.offset + r * shape[1] + column];
        });
        weights[offset + row * shape[1] + column] += sum;
      }
    }
  }

  /** A matrix of the base times a vector. */
  private times(name: string, vector: Float32Array): Float64Array {
    const { offset, shape } = this.tensors.get(name)!;
    const out = new Float64Array(shape[0]);
    for (let row = 0; row < shape[0]; row++) {
      for (let column = 0; column < shape[1]; column++) out[row] += this.numbers[offset + row * shape[1] + column] * vector[column];
    }
    return out;
  }
}
