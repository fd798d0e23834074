/** What is seen of an INR or a signal, for each kind of signals. */

import { Dataset, Kind } from "./dataset";
import { Frame, finerCoords, finerSizes, gridCoords } from "./coords";
import { Camera, START, Volume, drawVolume } from "./volume";

/** Values on the points of a grid. */
export interface Content {
  sizes: number[];
  channels: number;
  values: Float64Array;
  volume?: Volume;
}

export const DRAWN: Kind[] = ["image", "sound", "field", "voxels", "shape", "views"];
export const IN_SPACE: Kind[] = ["voxels", "shape", "views"];
const TILE_CUBE = 24;
const TILE_POINTS = 128; // along the longer side; more are not seen in a tile
const DETAIL_CUBE = 44;
const POINTS_AT_ONCE = 2048;
/** Distance at which an unsigned distance is drawn as a surface: no INR brings it to 0 along one. */
const SHELL = 0.03;

/** Why INRs of this store are not drawn; empty if they are. */
export function whyNotDrawn(dataset: Dataset): string {
  const { kind, formula, grid, observation } = dataset.settings;
  if (!formula) return "The formula of this INR is not recorded, so it is not drawn.";
  if (!DRAWN.includes(kind)) return "Values at points that are no shape are not drawn yet.";
  if (kind === "field" && grid.length > 2) return "Fields of more than two axes are not drawn yet.";
  return kind === "shape" && observation.quantity === "values" ? "This kind is not drawn yet." : "";
}

/** Coordinates, and points along each axis, at which an INR is evaluated for a picture. */
export function points(dataset: Dataset, finer: number, tile: boolean, frame?: Frame): [Float32Array, number[]] {
  const { kind, grid, coords } = dataset.settings;
  if (IN_SPACE.includes(kind)) {
    const n = Math.round((tile ? TILE_CUBE : DETAIL_CUBE) * (tile ? 1 : Math.min(finer, 3)));
    return [gridCoords([n, n, n], { ...coords, spacing: "end_points", axis_order: "row_col" }), [n, n, n]];
  }
  if (tile && grid.length > 1) {
    const factor = Math.min(finer, TILE_POINTS / Math.max(...grid));
    const sizes = grid.map((size) => Math.max(1, Math.round(size * factor)));
    return [gridCoords(sizes, coords), sizes];
  }
  return [finerCoords(grid, finer, coords, frame), finerSizes(grid, finer)];
}

/** Evaluate an INR part by part; `pause` lets the page react between parts, and says whether to go on. */
export async function evaluate(
  dataset: Dataset, weights: Float32Array, coords: Float32Array, sizes: number[], pause: () => Promise<boolean>,
): Promise<Content | null> {
  const inr = dataset.inr!;
  const dimensions = inr.dimensions;
  const count = coords.length / dimensions;
  const values = new Float64Array(count * inr.outputs);
  for (let start = 0; start < count; start += POINTS_AT_ONCE) {
    if (!(await pause())) return null;
    const part = coords.subarray(start * dimensions, (start + POINTS_AT_ONCE) * dimensions);
    values.set(inr.values(weights, part), start * inr.outputs);
  }
  const content: Content = { sizes, channels: inr.outputs, values };
  if (IN_SPACE.includes(dataset.settings.kind)) content.volume = volumeOf(dataset, content);
  return content;
}

/** The signal that an INR was fitted to, drawn like the INR; null if it is not in the store or has no picture. */
export async function original(dataset: Dataset, signal: number): Promise<Content | null> {
  const { kind, grid, channels } = dataset.settings;
  if (kind === "shape" || kind === "points") return null;
  const numbers = await dataset.signal(signal);
  if (!numbers) return null;
  const values = dataset.toValues(signal, numbers);
  if (kind === "views") {
    const size = grid[1] * grid[2] * channels;
    return { sizes: grid.slice(1), channels, values: values.slice(0, size) };
  }
  const content: Content = { sizes: grid, channels, values };
  if (kind === "voxels") {
    const n = Math.max(...grid);
    content.volume = volumeOf(dataset, { sizes: [n, n, n], channels, values: cube(values, grid, n) });
  }
  return content;
}

/** Draw a content on a canvas. */
export function draw(
  canvas: HTMLCanvasElement, dataset: Dataset, content: Content, size: number, camera: Camera = START,
): void {
  if (content.volume) drawVolume(canvas, content.volume, camera, size);
  else if (content.sizes.length === 1) drawWave(canvas, dataset, content, size);
  else drawImage(canvas, dataset, content);
}

function drawImage(canvas: HTMLCanvasElement, dataset: Dataset, content: Content): void {
  const { kind, values } = dataset.settings;
  const [rows, columns] = content.sizes;
  const [low, high] = values.range;
  const isField = kind === "field";
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(columns, rows);
  for (let k = 0; k < rows * columns; k++) {
    for (let c = 0; c < 3; c++) {
      const channel = Math.min(c, content.channels - 1);
      const share = (content.values[k * content.channels + (isField ? 0 : channel)] - low) / (high - low);
      image.data[4 * k + c] = isField ? coloured(share, c) : Math.round(255 * share);
    }
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const SCALE = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

/** A channel of the colour of a share from 0 to 1: five colours of viridis. */
function coloured(share: number, channel: number): number {
  const place = Math.min(1, Math.max(0, share || 0)) * (SCALE.length - 1);
  const i = Math.min(SCALE.length - 2, Math.floor(place));
  return SCALE[i][channel] + (place - i) * (SCALE[i + 1][channel] - SCALE[i][channel]);
}

/** A waveform; of many samples the smallest and the largest value in each column of pixels. */
function drawWave(canvas: HTMLCanvasElement, dataset: Dataset, content: Content, size: number): void {
  const [low, high] = dataset.settings.values.range;
  const isLarge = canvas.classList.contains("large");
  const [width, height] = isLarge ? [2 * size, Math.round(size / 2.7)] : [2 * size, size];
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  const count = content.sizes[0];
  const line = (value: number) => height * (1 - (value - low) / (high - low));
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = Math.max(1, size / 110);
  context.globalAlpha = 0.25;
  context.beginPath();
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  context.globalAlpha = 1;
  context.beginPath();
  if (count <= 2 * width) {
    for (let k = 0; k < count; k++) context.lineTo((width * k) / Math.max(1, count - 1), line(content.values[k * content.channels]));
  } else {
    for (let x = 0; x < width; x++) {
      const last = Math.min(count - 1, Math.ceil(((x + 1) * (count - 1)) / width));
      let [smallest, largest] = [Infinity, -Infinity];
      for (let k = Math.floor((x * (count - 1)) / width); k <= last; k++) {
        const value = content.values[k * content.channels];
        smallest = Math.min(smallest, value);
        largest = Math.max(largest, value);
      }
      context.lineTo(x, line(largest));
      context.lineTo(x, line(smallest));
    }
  }
  context.stroke();
}

/** Values of a grid of three axes on a cube: the nearest point. */
function cube(values: Float64Array, grid: number[], n: number): Float64Array {
  const out = new Float64Array(n ** 3);
  const places = grid.map((size) => Array.from({ length: n }, (_, i) => Math.min(size - 1, Math.floor(((i + 0.5) * size) / n))));
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      for (let k = 0; k < n; k++)
        out[at++] = values[(places[0][i] * grid[1] + places[1][j]) * grid[2] + places[2][k]];
  return out;
}

function volumeOf(dataset: Dataset, content: Content): Volume {
  const { kind, values, observation } = dataset.settings;
  const [low, high] = values.range;
  const n = content.sizes[0];
  const count = n ** 3;
  const volume: Volume = { n, scalar: null, density: null, colours: [], background: 0, up: kind === "shape" ? 1 : 2 };
  if (kind === "views") {
    const { channels } = content;
    volume.background = observation.background === "white" ? 1 : 0;
    volume.density = new Float32Array(count);
    volume.colours = Array.from({ length: channels - 1 }, () => new Float32Array(count));
    for (let k = 0; k < count; k++) {
      const shifted = content.values[(k + 1) * channels - 1] + observation.density_shift;
      const rectified = observation.density === "relu" ? Math.max(0, shifted) : Math.max(0, shifted) + Math.log1p(Math.exp(-Math.abs(shifted)));
      volume.density[k] = observation.density_scale * rectified;
      volume.colours.forEach((colour, c) => (colour[k] = 1 / (1 + Math.exp(-content.values[k * channels + c]))));
    }
    return volume;
  }
  volume.scalar = new Float32Array(count);
  const zero = zeroOf(dataset);
  for (let k = 0; k < count; k++) {
    const value = content.values[k];
    if (observation.quantity === "sdf") volume.scalar[k] = zero - value;
    else if (observation.quantity === "udf") volume.scalar[k] = zero + SHELL * unitOf(dataset) - value;
    else volume.scalar[k] = value - (observation.loss === "bce" ? 0 : (low + high) / 2);
  }
  return volume;
}

/** The value that the number 0 becomes; distances have the same limits in the whole dataset. */
function zeroOf(dataset: Dataset): number {
  return dataset.toValues(0, [0])[0];
}

function unitOf(dataset: Dataset): number {
  const [one, zero] = dataset.toValues(0, [1, 0]);
  return one - zero;
}
