/** Pictures of fields in three dimensions: a surface with light from above, or light through a medium.
 *
 * The INR is evaluated once on a cube of n³ points; turning the cube reads those points alone.
 */

export interface Camera {
  yaw: number;
  pitch: number;
  zoom: number;
}

/** `scalar` is above 0 inside a surface. A medium has densities and colours from 0 to 1 instead. */
export interface Volume {
  n: number;
  scalar: Float32Array | null;
  density: Float32Array | null;
  colours: Float32Array[];
  background: number;
  /** Coordinate that points up. */
  up: number;
}

const HALF_WIDTH = 1.3; // of the picture at zoom 1, in the units of [-1, 1]
const SURFACE = [0.44, 0.6, 0.93];
export const START: Camera = { yaw: 0.7, pitch: 0.45, zoom: 1 };

/** Draw a volume as seen from a direction; `size` pixels along each side. */
export function drawVolume(canvas: HTMLCanvasElement, volume: Volume, camera: Camera, size: number): void {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(size, size);
  const [right, above, ahead] = axes(camera, volume.up);
  const light = normal(right.map((r, i) => -0.4 * r + 0.8 * above[i] - 0.7 * ahead[i]));
  const colour = [0, 0, 0, 0];
  const half = HALF_WIDTH / camera.zoom;
  for (let row = 0; row < size; row++) {
    const v = half * (1 - (2 * row + 1) / size);
    for (let column = 0; column < size; column++) {
      const u = half * ((2 * column + 1) / size - 1);
      const origin = right.map((r, i) => u * r + v * above[i] - 3 * ahead[i]);
      colour.fill(0);
      const [near, far] = interval(origin, ahead);
      if (volume.density) medium(volume, origin, ahead, near, far, colour);
      else if (far > near) surface(volume, origin, ahead, near, far, light, colour);
      const at = 4 * (row * size + column);
      for (let c = 0; c < 4; c++) image.data[at + c] = 255 * colour[c];
    }
  }
  context.putImageData(image, 0, 0);
}

function axes({ yaw, pitch }: Camera, up: number): number[][] {
  const [first, second] = [(up + 1) % 3, (up + 2) % 3];
  const turned = (along: number, across: number, height: number) => {
    const vector = [0, 0, 0];
    vector[first] = along;
    vector[second] = across;
    vector[up] = height;
    return vector;
  };
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [turned(-sy, cy, 0), turned(-cy * sp, -sy * sp, cp), turned(-cy * cp, -sy * cp, -sp)];
}

function interval(origin: number[], direction: number[]): [number, number] {
  let [near, far] = [0, Infinity];
  for (let d = 0; d < 3; d++) {
    if (Math.abs(direction[d]) < 1e-9) {
      if (Math.abs(origin[d]) > 1) return [0, 0];
      continue;
    }
    const [one, other] = [(-1 - origin[d]) / direction[d], (1 - origin[d]) / direction[d]];
    near = Math.max(near, Math.min(one, other));
    far = Math.min(far, Math.max(one, other));
  }
  return far > near ? [near, far] : [0, 0];
}

function surface(
  { scalar, n }: Volume, origin: number[], direction: number[], near: number, far: number, light: number[], out: number[],
): void {
  const step = 1.4 / n;
  let before = -1;
  for (let t = near + 1e-6; t < far; t += step) {
    const value = sample(scalar!, n, origin, direction, t);
    if (!(value > 0)) {
      before = value;
      continue;
    }
    const hit = t > near + step ? t - (step * value) / (value - before) : t;
    const place = origin.map((o, d) => o + hit * direction[d]);
    const facing = hit === t ? face(place) : gradient(scalar!, n, place);
    const shade = 0.32 + 0.68 * Math.max(0, facing.reduce((sum, g, d) => sum + g * light[d], 0));
    for (let c = 0; c < 3; c++) out[c] = SURFACE[c] * shade;
    out[3] = 1;
    return;
  }
}

function medium(
  volume: Volume, origin: number[], direction: number[], near: number, far: number, out: number[],
): void {
  const { density, colours, n, background } = volume;
  const step = 2 / n;
  let transmitted = 1;
  for (let t = near + step / 2; t < far && transmitted > 1e-3; t += step) {
    const opacity = 1 - Math.exp(-step * Math.max(0, sample(density!, n, origin, direction, t)));
    if (opacity < 1e-4) continue;
    for (let c = 0; c < 3; c++) {
      out[c] += transmitted * opacity * sample(colours[Math.min(c, colours.length - 1)], n, origin, direction, t);
    }
    transmitted *= 1 - opacity;
  }
  for (let c = 0; c < 3; c++) out[c] = Math.min(1, out[c] + transmitted * background);
  out[3] = 1;
}

/** The direction in which the surface looks: against the gradient of what is above 0 inside. */
function gradient(scalar: Float32Array, n: number, place: number[]): number[] {
  const step = 2 / n;
  return normal(
    [0, 1, 2].map((d) => {
      const axis = [0, 0, 0];
      axis[d] = 1;
      return sample(scalar, n, place, axis, -step) - sample(scalar, n, place, axis, step);
    }),
  );
}

/** The direction of the face of the cube that a point lies on, where the border cuts a shape. */
function face(place: number[]): number[] {
  const d = [0, 1, 2].reduce((best, axis) => (Math.abs(place[axis]) > Math.abs(place[best]) ? axis : best), 0);
  return [0, 1, 2].map((axis) => (axis === d ? Math.sign(place[d]) : 0));
}

function normal(vector: number[]): number[] {
  const length = Math.hypot(...vector) || 1;
  return vector.map((part) => part / length);
}

/** Trilinear interpolation at origin + t direction. */
function sample(field: Float32Array, n: number, origin: number[], direction: number[], t: number): number {
  const half = (n - 1) / 2;
  const x = Math.min(n - 1, Math.max(0, (origin[0] + t * direction[0] + 1) * half));
  const y = Math.min(n - 1, Math.max(0, (origin[1] + t * direction[1] + 1) * half));
  const z = Math.min(n - 1, Math.max(0, (origin[2] + t * direction[2] + 1) * half));
  const i = Math.min(n - 2, Math.floor(x));
  const j = Math.min(n - 2, Math.floor(y));
  const k = Math.min(n - 2, Math.floor(z));
  const [a, b, c] = [x - i, y - j, z - k];
  const at = (i * n + j) * n + k;
  const [down, across] = [n, n * n];
  const low = (field[at] * (1 - c) + field[at + 1] * c) * (1 - b) + (field[at + down] * (1 - c) + field[at + down + 1] * c) * b;
  const beyond = at + across;
  const high =
    (field[beyond] * (1 - c) + field[beyond + 1] * c) * (1 - b) +
    (field[beyond + down] * (1 - c) + field[beyond + down + 1] * c) * b;
  return low * (1 - a) + high * a;
}
