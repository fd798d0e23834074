// The linear map from the last hidden values to the channels, and its gradient; the same for every family.
#pragma once
#include "products.h"

template <int NV, int OUT, int TILE>
struct Output {
    alignas(64) float values[OUT][TILE], residual[OUT][TILE];

    // weight (OUT, H), bias (OUT)
    void forward(int rows, const Vector *last, const float *weight, const float *bias, float offset) {
        for (int o = 0; o < OUT; o++) {
            const Vector *w = (const Vector *)weight + o * NV;
            for (int row = 0; row < rows; row += LANES) {
                Vector dots[LANES];
                for (int r = 0; r < LANES; r++) {
                    dots[r] = last[(row + r) * NV] * w[0];
                    for (int v = 1; v < NV; v++) dots[r] += last[(row + r) * NV + v] * w[v];
                }
                *(Vector *)(values[o] + row) = sums(dots) + all(bias[o] + offset);
            }
        }
    }

    // Adds to the gradients; `take(row, v, d)` is given the gradient at every vector of the last hidden values.
    template <class Take>
    void backward(int rows, const Vector *last, const float *weight, float *weight_gradient, float *bias_gradient,
                  Take take) {
        for (int o = 0; o < OUT; o++) {
            Vector total = (Vector){};
            for (int row = 0; row < rows; row += LANES) total += *(Vector *)(residual[o] + row);
            bias_gradient[o] += sum(total);
        }
        for (int v = 0; v < NV; v++) {
            Vector w[OUT], total[OUT];
            for (int o = 0; o < OUT; o++) {
                w[o] = ((const Vector *)weight)[o * NV + v];
                total[o] = ((Vector *)weight_gradient)[o * NV + v];
            }
            for (int row = 0; row < rows; row++) {
                Vector d = (Vector){};
                for (int o = 0; o < OUT; o++) {
                    const Vector e = all(residual[o][row]);
                    d += e * w[o];
                    total[o] += e * last[row * NV + v];
                }
                take(row, v, d);
            }
            for (int o = 0; o < OUT; o++) ((Vector *)weight_gradient)[o * NV + v] = total[o];
        }
    }
};
