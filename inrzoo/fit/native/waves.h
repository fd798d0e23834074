// sin(πp) and cos(πp) of the phases p = W x + b, one tile of coordinates at a time.
//
// On a grid a phase is a sum, u of the slower axes and v of the fastest one, and
//
//     sin(u + v) = sin u cos v + cos u sin v,   cos(u + v) = cos u cos v - sin u sin v,
//
// so that one row's and one column's sines serve all their points. Scattered coordinates take the general way.
#pragma once
#include "products.h"

// Where the coordinates are: `count` of them, IN numbers each. On a grid the coordinate `axis` takes the same `run` values
// over and over and the others stand still meanwhile; elsewhere, and where tables would leave the cache, `run` is 0.
struct Coords {
    const float *inputs;
    int count, run, axis;
};

constexpr size_t MOST_TABLE = 128 * 1024;  // bytes

template <int IN, int H>
struct Waves {
    static constexpr int NV = H / LANES;
    alignas(64) float row_sine[H], row_cosine[H];
    Vector *columns;  // (run, 2, NV): sine and cosine
    int row;

    // Once a step. `table` has room for 2·run·NV vectors.
    void prepare(const Coords &coords, const Vector *weight, Vector *table) {
        columns = table, row = -1;
        for (int j = 0; j < coords.run; j++)
            for (int v = 0; v < NV; v++)
                sine_cosine(all(coords.inputs[j * IN + coords.axis]) * weight[coords.axis * NV + v], columns[2 * j * NV + v],
                            columns[(2 * j + 1) * NV + v]);
    }

    INLINE_MEMBER void fill(const Coords &coords, int first, int rows, const Vector *weight, const Vector *bias, Vector *sine, Vector *cosine) {
        if (!coords.run) {
            auto keep = [&](int r, int v, Vector x) { sine[r * NV + v] = x; };
            product<IN, NV>(rows, coords.inputs + (size_t)first * IN, weight, bias, keep);
            for (int j = 0; j < rows * NV; j++) sine_cosine(sine[j], sine[j], cosine[j]);
            return;
        }
        for (int done = 0; done < rows;) {
            const int at = first + done < coords.count ? first + done : coords.count - 1;
            const int j = at % coords.run, left = first + done < coords.count ? coords.run - j : rows - done;
            const int n = left < rows - done ? left : rows - done, stride = first + done < coords.count ? 1 : 0;
            if (at / coords.run != row) begin(row = at / coords.run, coords, weight, bias);
            for (int v = 0; v < NV; v++) {
                const Vector su = ((Vector *)row_sine)[v], cu = ((Vector *)row_cosine)[v];
                for (int i = 0; i < n; i++) {
                    const Vector *column = columns + (size_t)2 * (j + i * stride) * NV + v;
                    const Vector sv = column[0], cv = column[NV];
                    sine[(done + i) * NV + v] = fma(su, cv, cu * sv);
                    cosine[(done + i) * NV + v] = fma(-su, sv, cu * cv);
                }
            }
            done += n;
        }
    }

    void begin(int row, const Coords &coords, const Vector *weight, const Vector *bias) {
        const float *x = coords.inputs + (size_t)row * coords.run * IN;
        for (int v = 0; v < NV; v++) {
            Vector phase = bias[v];
            for (int d = 0; d < IN; d++)
                if (d != coords.axis) phase = fma(all(x[d]), weight[d * NV + v], phase);
            sine_cosine(phase, ((Vector *)row_sine)[v], ((Vector *)row_cosine)[v]);
        }
    }
};
