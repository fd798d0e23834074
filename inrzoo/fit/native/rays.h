// Volume rendering of rays, and its gradient: the formulas of inrzoo/volume_rendering.py, which say what each number means.
#pragma once
#include "vector.h"

constexpr int RAY = 6;  // numbers of a ray: its origin and its unit direction

struct Volume {
    int samples, relu;  // intervals of a ray; whether the density is bent by a ReLU and not by a softplus
    float scale, shift, low, high, background, extent;
};

// The sample positions of a ray, (samples, 3) rows of INPUTS numbers, at the place u of each interval. Returns the length of
// an interval, 0 for a ray that misses the cube.
template <int INPUTS>
INLINE float sample_ray(const float *ray, float u, const Volume &volume, float *positions) {
    float near = 0, far = __builtin_inff();
    for (int d = 0; d < 3; d++) {
        const float first = (-1 - ray[d]) / ray[3 + d], second = (1 - ray[d]) / ray[3 + d];
        if (first != first || second != second) continue;  // 0 / 0: along this face, which the ray touches
        const float entered = first < second ? first : second, left = first < second ? second : first;
        near = entered > near ? entered : near, far = left < far ? left : far;
    }
    const float length = far > near ? (far - near) / (float)volume.samples : 0;
    for (int i = 0; i < volume.samples && length > 0; i++) {
        const float distance = near + length * ((float)i + u);
        for (int d = 0; d < 3; d++) positions[i * INPUTS + d] = volume.extent * (ray[d] + distance * ray[3 + d]);
    }
    return length;
}

// Density, opacity and colours of the samples of a tile, from the outputs of the INR there.
template <int OUT, int TILE>
struct Medium {
    alignas(64) float thickness_slope[TILE];  // of an interval's thickness by the last output
    alignas(64) float opacity[TILE];
    alignas(64) float colour[OUT][TILE], colour_slope[OUT][TILE];  // of all outputs but the last
    float before[TILE], weight[TILE];  // transmittance before an interval, and the interval's part of the pixel

    // `length` of the interval of each row.
    INLINE_MEMBER void take(float (*values)[TILE], const float *length, int rows, const Volume &volume) {
        typedef Registers<false>::Integers Ints;
        const Eight width = eight(volume.high - volume.low);
        for (int row = 0; row < rows; row += 8) {
            const Eight x = *(const Eight *)(values[OUT - 1] + row) + eight(volume.shift);
            Eight density, slope;
            if (volume.relu) {
                const Ints off = x <= (Eight){};  // false for NaN, which passes
                density = (Eight)((Ints)x & ~off), slope = (Eight)((Ints)eight(1.f) & ~off);
            } else
                softplus(x, density, slope);
            const Eight factor = eight(volume.scale) * *(const Eight *)(length + row);
            *(Eight *)(thickness_slope + row) = factor * slope;
            *(Eight *)(opacity + row) = eight(1.f) - exponential_of<Eight, Ints>((Eight){} - factor * density);
            for (int o = 0; o + 1 < OUT; o++) {
                Eight unused, sigmoid;  // the slope of a softplus
                softplus(*(const Eight *)(values[o] + row), unused, sigmoid);
                *(Eight *)(colour[o] + row) = fma(width, sigmoid, eight(volume.low));
                *(Eight *)(colour_slope[o] + row) = width * sigmoid * (eight(1.f) - sigmoid);
            }
        }
    }

    // The pixel of the ray whose samples begin at a row.
    INLINE_MEMBER void composite(int first, const Volume &volume, float *pixel) {
        float left = 1;
        for (int o = 0; o + 1 < OUT; o++) pixel[o] = 0;
        for (int row = first; row < first + volume.samples; row++) {
            before[row] = left;
            weight[row] = left * opacity[row];
            left = left * (1 - opacity[row]);
            for (int o = 0; o + 1 < OUT; o++) pixel[o] += weight[row] * colour[o][row];
        }
        for (int o = 0; o + 1 < OUT; o++) pixel[o] += left * volume.background;
    }

    // The gradient by the outputs, from `slope`, that by the pixel. With G_i the gradient by the weight of interval i, that by
    // its thickness is T_{i+1} G_i - sum over j > i of w_j G_j.
    INLINE_MEMBER void differentiate(int first, const Volume &volume, const float *slope, float (*residual)[TILE]) {
        float behind = 0;
        for (int row = first + volume.samples - 1; row >= first; row--) {
            float by_weight = 0;
            for (int o = 0; o + 1 < OUT; o++) {
                by_weight += slope[o] * (colour[o][row] - volume.background);
                residual[o][row] = slope[o] * weight[row] * colour_slope[o][row];
            }
            residual[OUT - 1][row] = (before[row] * (1 - opacity[row]) * by_weight - behind) * thickness_slope[row];
            behind += weight[row] * by_weight;
        }
    }
};
