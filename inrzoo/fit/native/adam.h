// Adam (Kingma & Ba 2015) over one stretch of the flat vector, gradients zeroed as they are read.
#pragma once
#include "vector.h"

struct Adam {
    double first = 1, second = 1;  // β₁ᵗ and β₂ᵗ
    void next() { first *= 0.9, second *= 0.999; }
    // `scale` is how much larger the engine's parameters are than the INR's, `slope` how much smaller its gradients are
    // than theirs would be: the step grows with the one, ε shrinks by both, and the update is Adam's own.
    void step(float *weight, float *gradient, float *mean, float *square, int count, double lr, double scale,
              double slope) const {
        const Vector rate = all((float)(lr * scale / (1 - first)));
        const Vector correction = all((float)(1 / std::sqrt(1 - second)));
        const Vector epsilon = all((float)(1e-8 / (scale * slope)));
        for (int i = 0; i < count; i += LANES) {
            Vector &g = *(Vector *)(gradient + i), &m = *(Vector *)(mean + i), &v = *(Vector *)(square + i);
            m = m + all(0.1f) * (g - m);
            v = all(0.999f) * v + all(0.001f) * g * g;
            *(Vector *)(weight + i) -= rate * m / (square_root(v) * correction + epsilon);
            g = (Vector){};
        }
    }
};
