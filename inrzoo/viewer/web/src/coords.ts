/** Coordinates of grids, as inrzoo/coords.py gives them. */

export interface CoordSettings {
  spacing: "end_points" | "pixel_centres";
  axis_order: "row_col" | "x_y";
  extent: number;
}

/** The part of the plane or the line that is seen: `zoom` 1 around 0 is the grid of the fit. */
export interface Frame {
  zoom: number;
  /** Middle along each axis of the grid, in the units of [-1, 1]. */
  centre: number[];
}

/** Coordinates (K, D) of a grid in row-major order, in single precision like those of the fit. */
export function gridCoords(sizes: number[], settings: CoordSettings, frame?: Frame): Float32Array {
  const axes = sizes.map((count, d) => {
    const zoom = frame?.zoom ?? 1;
    const centre = frame?.centre[d] ?? 0;
    return axis(count, settings.spacing).map((place) => settings.extent * (centre + place / zoom));
  });
  const dimensions = sizes.length;
  const count = sizes.reduce((product, size) => product * size, 1);
  const out = new Float32Array(count * dimensions);
  const index = new Array<number>(dimensions).fill(0);
  for (let k = 0; k < count; k++) {
    for (let d = 0; d < dimensions; d++) {
      out[k * dimensions + (settings.axis_order === "x_y" ? dimensions - 1 - d : d)] = axes[d][index[d]];
    }
    for (let d = dimensions - 1; d >= 0 && ++index[d] === sizes[d]; d--) index[d] = 0;
  }
  return out;
}

/** Sizes of a grid that is `finer`: of one axis the points of the fit stay points. */
export function finerSizes(grid: number[], finer: number): number[] {
  return grid.length === 1 ? [finer * (grid[0] - 1) + 1] : grid.map((size) => size * finer);
}

/** Coordinates of a finer grid: of sounds each step is divided, of others the extent. */
export function finerCoords(grid: number[], finer: number, settings: CoordSettings, frame?: Frame): Float32Array {
  if (grid.length > 1 || settings.spacing === "end_points") return gridCoords(finerSizes(grid, finer), settings, frame);
  const fitted = gridCoords(grid, settings, frame);
  const step = fitted.length > 1 ? (fitted[1] - fitted[0]) / finer : 0;
  return Float32Array.from({ length: finerSizes(grid, finer)[0] }, (_, k) => fitted[0] + k * step);
}

function axis(count: number, spacing: CoordSettings["spacing"]): number[] {
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) =>
    spacing === "end_points" ? -1 + (2 * i) / (count - 1) : -1 + (2 * i + 1) / count,
  );
}
