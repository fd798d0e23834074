// The linear map from the last hidden values to the channels, and its gradient; the same for every family.
#pragma once
#include "products.h"

template <int H, int OUT, int TILE>
struct Output {
    static constexpr int NV = H / LANES;
    alignas(64) float values[OUT][TILE], residual[OUT][TILE];

    // weight (OUT, H), bias (OUT); eight rows at a time
    void forward(int rows, const float *last, const float *weight, const float *bias, float offset) {
        for (int o = 0; o < OUT; o++) {
            const float *w = weight + o * H;
            for (int row = 0; row < rows; row += 8) {
                Eight dots[8];
                UNROLL for (int r = 0; r < 8; r++) dots[r] = *(Eight *)(last + (row + r) * H) * *(Eight *)w;
                for (int k = 8; k < H; k += 8)
                    UNROLL for (int r = 0; r < 8; r++)
                        dots[r] = fma(*(Eight *)(last + (row + r) * H + k), *(Eight *)(w + k), dots[r]);
                *(Eight *)(values[o] + row) = sums(dots) + eight(bias[o] + offset);
            }
        }
    }

    // Adds to the gradients; `take(row, v, d)` is given the gradient at every vector of the last hidden values. Four
    // sums over every fourth row: a processor waits for one sum longer than it takes to begin the others.
    template <class Take>
    INLINE_MEMBER void backward(int rows, const Vector *last, const float *weight, float *weight_gradient, float *bias_gradient,
                  Take take) {
        for (int o = 0; o < OUT; o++) {
            Eight total = {};
            for (int row = 0; row < rows; row += 8) total += *(Eight *)(residual[o] + row);
            bias_gradient[o] += sum(total);
        }
        for (int v = 0; v < NV; v++) {
            Vector w[OUT], total[OUT][4] = {};
            for (int o = 0; o < OUT; o++) w[o] = ((const Vector *)weight)[o * NV + v];
            for (int row = 0; row < rows; row += 4)
                UNROLL for (int r = 0; r < 4; r++) {
                    const Vector x = last[(row + r) * NV + v];
                    Vector d = (Vector){};
                    for (int o = 0; o < OUT; o++) {
                        const Vector e = all(residual[o][row + r]);
                        d = o ? fma(e, w[o], d) : e * w[o];
                        total[o][r] = fma(e, x, total[o][r]);
                    }
                    take(row + r, v, d);
                }
            for (int o = 0; o < OUT; o++)
                ((Vector *)weight_gradient)[o * NV + v] += (total[o][0] + total[o][1]) + (total[o][2] + total[o][3]);
        }
    }
};
