// Adam (Kingma & Ba 2015) over one stretch of the flat vector, gradients zeroed as they are read.
#pragma once
#include "vector.h"

struct Adam {
    double first = 1, second = 1;  // β₁ᵗ and β₂ᵗ
    void next() { first *= 0.9, second *= 0.999; }
    // `scale` is how much larger the engine's parameters are than the INR's, `slope` how much smaller its gradients are
    // than theirs would be: the step grows with the one, ε shrinks by both, and the update is Adam's own.
    // Before the update the weights are multiplied by 1 - lr · decay (Loshchilov & Hutter 2019).
    void step(float *weight, float *gradient, float *mean, float *square, int count, double lr, double decay, double scale,
              double slope) const {
        const Eight keep = eight((float)(1 - lr * decay));
        const Eight rate = eight((float)(lr * scale / (1 - first)));
        const Eight correction = eight((float)(1 / __builtin_sqrt(1 - second)));
        const Eight epsilon = eight((float)(1e-8 / (scale * slope)));
        for (int i = 0; i < count; i += 8) {
            Eight &g = *(Eight *)(gradient + i), &m = *(Eight *)(mean + i), &v = *(Eight *)(square + i);
            m = fma(eight(0.1f), g - m, m);
            v = fma(eight(0.001f) * g, g, eight(0.999f) * v);
            Eight &w = *(Eight *)(weight + i);
            w = w * keep - rate * m / fma(square_root(v), correction, epsilon);
            g = (Eight){};
        }
    }
};
