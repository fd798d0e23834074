// What a multiplicative filter network is kept below its grid's Nyquist frequency by: the gradients of the penalties of
// fit/antialias.py, where they are defined, and the projection. ω here is the INR's, π times the engine's.
#pragma once
#include "mfn.h"

enum Regulariser { NONE, HINGE, LINF, AXIS_LINF, SMOOTH_MAX, L1, L0_SURROGATE, PROJECTION };

struct AntiAlias {
    int regulariser;
    double weight;        // beside a mean squared error
    const double *limit;  // (IN), radians per coordinate unit
};

inline double larger(double a, double b) { return b > a ? b : a; }  // a where b is not a number

struct Frequencies {
    Network &network;

    double omega(int i, int d, int h) const { return network.weights[PLACES.omega[i] + d * H + h] * PI; }
    double largest(int i, int d) const {
        double largest = 0;
        for (int h = 0; h < HIDDEN; h++) largest = larger(largest, __builtin_fabs(omega(i, d, h)));
        return largest;
    }
    double bound(int d) const {
        double total = 0;
        for (int i = 0; i < F; i++) total += largest(i, d);
        return total;
    }
    // Adds to the gradient by ω.
    void add(int i, int d, int h, double slope) const {
        network.gradient[PLACES.omega[i] + d * H + h] += (float)(omega(i, d, h) < 0 ? -slope : omega(i, d, h) > 0 ? slope : 0);
    }
    // The slope of a maximum belongs to the entry that attains it; entries that tie share it, as in torch.
    void add_at_largest(int i, int from, int to, double slope) const {
        double top = 0;
        int ties = 0;
        for (int d = from; d < to; d++) top = larger(top, largest(i, d));
        for (int d = from; d < to; d++)
            for (int h = 0; h < HIDDEN; h++) ties += __builtin_fabs(omega(i, d, h)) == top;
        for (int d = from; d < to; d++)
            for (int h = 0; h < HIDDEN; h++)
                if (__builtin_fabs(omega(i, d, h)) == top) add(i, d, h, slope / ties);
    }
};

// Adds the gradient of `weight` times the penalty.
inline void add_penalty_gradient(Network &network, const AntiAlias &wanted) {
    if (wanted.regulariser == NONE || wanted.regulariser == PROJECTION) return;
    const Frequencies at{network};
    auto power = [](double x, int n) { double y = 1; while (n--) y *= x; return y; };
    for (int i = 0; i < F; i++) {
        double scale = 0;
        for (int d = 0; d < IN; d++) scale = larger(scale, at.largest(i, d));
        if (wanted.regulariser == LINF) at.add_at_largest(i, 0, IN, wanted.weight);
        for (int d = 0; d < IN; d++) {
            const double excess = at.bound(d) - wanted.limit[d];
            if (wanted.regulariser == HINGE && excess > 0) at.add_at_largest(i, d, d + 1, 2 * wanted.weight * excess);
            if (wanted.regulariser == AXIS_LINF) at.add_at_largest(i, d, d + 1, wanted.weight);
            double norm = 0;  // to the 16th, of ω over the filter's largest
            if (wanted.regulariser == SMOOTH_MAX && scale > 0)
                for (int h = 0; h < HIDDEN; h++) norm += power(at.omega(i, d, h) / scale, 16);
            const double root = __builtin_sqrt(__builtin_sqrt(__builtin_sqrt(__builtin_sqrt(norm))));
            for (int h = 0; h < HIDDEN; h++) {
                const double size = __builtin_fabs(at.omega(i, d, h));
                if (root > 0) at.add(i, d, h, wanted.weight * power(size / scale / root, 15));
                if (wanted.regulariser == L1) at.add(i, d, h, wanted.weight);
                if (wanted.regulariser == L0_SURROGATE)
                    at.add(i, d, h, wanted.weight * 2 * size / ((size * size + 1) * (size * size + 1)));
            }
        }
    }
}

// Scales the filters along every axis whose bound is above the limit, by a little more than it takes: rounding must not
// lift the bound again.
inline void project(Network &network, const AntiAlias &wanted) {
    if (wanted.regulariser != PROJECTION) return;
    const Frequencies at{network};
    for (int d = 0; d < IN; d++) {
        const double bound = at.bound(d);
        if (!(bound > wanted.limit[d])) continue;
        const float factor = (float)(wanted.limit[d] / bound * (1 - (F + 6) * 1.1920929e-7));
        for (int i = 0; i < F; i++)
            for (int h = 0; h < HIDDEN; h++) network.weights[PLACES.omega[i] + d * H + h] *= factor;
    }
}
