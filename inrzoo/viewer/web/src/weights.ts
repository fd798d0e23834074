/** Weights of a store that are rounded to fewer bits: a stored row becomes float32 numbers. */

import { Tensor } from "./inr";

export type WeightType = "float32" | "float16" | "bfloat16" | "int16" | "int8";

/** Weights (P) of a row of the array `weights`: of int16 and int8 the numbers, then the bytes of a scale for each tensor. */
export function decoded(row: any, type: WeightType, layout: Tensor[]): Float32Array {
  if (type === "float32") return row;
  if (type === "float16") return Float32Array.from(row as Uint16Array, half);
  if (type === "bfloat16") return new Float32Array(Uint32Array.from(row as Uint16Array, (bits) => bits << 16).buffer);
  const sizes = layout.map((tensor) => tensor.shape.reduce((size, axis) => size * axis, 1));
  const count = sizes.reduce((sum, size) => sum + size, 0);
  const scales = new DataView((row as Int8Array | Int16Array).slice(count).buffer);
  const out = new Float32Array(count);
  let at = 0;
  sizes.forEach((size, tensor) => {
    const scale = scales.getFloat32(4 * tensor, true);
    for (const end = at + size; at < end; at++) out[at] = row[at] * scale;
  });
  return out;
}

/** The number of 16 bits of IEEE 754. Not every browser has Float16Array. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
