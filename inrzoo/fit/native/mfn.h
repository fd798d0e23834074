// Forward and backward pass of a multiplicative filter network (Fathony et al. 2021), one tile of coordinates at a time:
//
//     z = g₀(x);   z ← (W z + b) ⊙ gᵢ(x);   f(x) = W z + b,      g = sin(ω x + φ), for Gabor times exp(-γ/2 |x - μ|²)
//
// Sizes are constants of layout.h: IN coordinates, FILTERS filters of HIDDEN units, OUT channels. What pads units to whole
// vectors begins at zero, has values and gradients of zero, and stays there.
#pragma once
#include "adam.h"
#include "output.h"
#include "waves.h"

constexpr int H = padded(HIDDEN), NV = H / LANES, TILE = 48, F = FILTERS;
constexpr float SLOPE = 3.14159265358979f;  // ω and φ are kept divided by π: a filter is sin(π x)

// Where each tensor begins in the engine's flat vector; ω and μ are held transposed, (IN, H), W as (inputs, outputs).
struct Places {
    int omega[F], phi[F], mu[F], gamma[F], weight[F], bias[F], end[F];
    constexpr Places() : omega(), phi(), mu(), gamma(), weight(), bias(), end() {
        int at = 0;
        for (int i = 0; i < F; i++) {
            omega[i] = at, phi[i] = at += IN * H, mu[i] = at += H;
            gamma[i] = at += GABOR * IN * H, weight[i] = at += GABOR * H;
            bias[i] = at += i == F - 1 ? OUT * H : H * H;
            end[i] = at += i == F - 1 ? padded(OUT) : H;
        }
    }
};
constexpr Places PLACES;
constexpr int SIZE = PLACES.end[F - 1];
constexpr int WAVES = F;  // maps whose sines a grid shares

struct Network {
    alignas(64) float weights[SIZE], gradient[SIZE], mean[SIZE], square[SIZE];
    alignas(64) float transposed[F][H * H];
    alignas(64) float filters[F][TILE * H], slopes[F][TILE * H];  // g and ∂g/∂(phase), the factor π left out
    alignas(64) float linear[F][TILE * H], values[F][TILE * H];   // W z + b, and z
    alignas(64) float delta[2][TILE * H], scaled[TILE * H];
    Output<H, OUT, TILE> output;
    Waves<IN, H> waves[F];

    Vector *vectors(float *floats) { return (Vector *)floats; }
    Vector *at(int place) { return vectors(weights + place); }
    Vector *into(int place) { return vectors(gradient + place); }

    // In the order of the INR's flat vector: `take(place, scale, slope)` for every parameter, `scale` how much larger it
    // is here, `slope` how much smaller its gradient. A gradient by ω is that of the INR itself: 1/π and π.
    template <class Take>
    void each(Take take) const {
        auto rows = [&](int place, int in, double scale, double slope) {
            for (int h = 0; h < HIDDEN; h++)
                for (int k = 0; k < in; k++) take(place + k * H + h, scale, slope);
        };
        for (int i = 0; i < F; i++) {
            rows(PLACES.omega[i], IN, 1 / PI, SLOPE);
            rows(PLACES.phi[i], 1, 1 / PI, SLOPE);
            if (GABOR) rows(PLACES.mu[i], IN, 1, 1), rows(PLACES.gamma[i], 1, 1, 1);
            if (i < F - 1) {
                rows(PLACES.weight[i], HIDDEN, 1, 1);
                rows(PLACES.bias[i], 1, 1, 1);
                continue;
            }
            for (int o = 0; o < OUT; o++)
                for (int k = 0; k < HIDDEN; k++) take(PLACES.weight[i] + o * H + k, 1., 1.);
            for (int o = 0; o < OUT; o++) take(PLACES.bias[i] + o, 1., 1.);
        }
    }

    void prepare(const Coords &coords, Vector *tables) {
        for (int i = 0; i < F - 1; i++)
            for (int k = 0; k < H; k++)
                for (int o = 0; o < H; o++) transposed[i][o * H + k] = weights[PLACES.weight[i] + k * H + o];
        for (int i = 0; i < F; i++) waves[i].prepare(coords, at(PLACES.omega[i]), tables + (size_t)i * 2 * coords.run * NV);
    }

    INLINE_MEMBER Vector squared_distance(const Vector *mu, const float *x, int v) {
        Vector total = (Vector){};
        for (int d = 0; d < IN; d++) {
            const Vector apart = all(x[d]) - mu[d * NV + v];
            total = fma(apart, apart, total);
        }
        return total;
    }

    ONCE void forward(int first, int rows, const Coords &coords) {
        const float *inputs = coords.inputs + (size_t)first * IN;
        for (int i = 0; i < F; i++) {
            Vector *g = vectors(filters[i]), *slope = vectors(slopes[i]);
            waves[i].fill(coords, first, rows, at(PLACES.omega[i]), at(PLACES.phi[i]), g, slope);
            if (GABOR)
                for (int j = 0; j < rows * NV; j++) {
                    const Vector distance = squared_distance(at(PLACES.mu[i]), inputs + j / NV * IN, j % NV);
                    const Vector envelope = exponential(all(-0.5f) * at(PLACES.gamma[i])[j % NV] * distance);
                    g[j] *= envelope, slope[j] *= envelope;
                }
            if (i == 0) continue;
            Vector *map = vectors(linear[i]), *z = vectors(values[i]);
            product<H, NV>(rows, below(i), at(PLACES.weight[i - 1]), at(PLACES.bias[i - 1]),
                           [&](int row, int v, Vector x) {
                               const int j = row * NV + v;
                               map[j] = x, z[j] = x * g[j];
                           });
        }
        output.forward(rows, below(F), weights + PLACES.weight[F - 1], weights + PLACES.bias[F - 1], 0.f);
    }

    // z before filter i.
    float *below(int i) { return i == 1 ? filters[0] : values[i - 1]; }

    ONCE void backward(int first, int rows, const Coords &coords) {
        const float *inputs = coords.inputs + (size_t)first * IN;
        float *above = delta[0], *next = delta[1];
        // From d = ∂loss/∂z: slopes become ∂loss/∂(phase) of filter i, `into` is ∂loss/∂(W z + b) before it.
        auto spread = [&](int i, int row, int v, Vector d, float *into) __attribute__((always_inline)) {
            const int j = row * NV + v;
            const Vector at_filter = i ? d * vectors(linear[i])[j] : d, g = vectors(filters[i])[j];
            vectors(slopes[i])[j] *= at_filter;
            if (GABOR) vectors(scaled)[j] = at_filter * g;
            if (i) vectors(into)[j] = d * g;
        };
        output.backward(rows, vectors(below(F)), weights + PLACES.weight[F - 1], gradient + PLACES.weight[F - 1],
                        gradient + PLACES.bias[F - 1], [&](int row, int v, Vector d) { spread(F - 1, row, v, d, above); });
        for (int i = F - 1;; i--) {
            if (GABOR) envelope_gradient(i, rows, inputs);
            add_transposed_product<IN, NV>(rows, inputs, vectors(slopes[i]), into(PLACES.omega[i]), into(PLACES.phi[i]));
            if (i == 0) break;
            add_transposed_product<H, NV>(rows, below(i), vectors(above), into(PLACES.weight[i - 1]),
                                          into(PLACES.bias[i - 1]));
            product<H, NV>(rows, above, vectors(transposed[i - 1]), nullptr,
                           [&](int row, int v, Vector d) { spread(i - 1, row, v, d, next); });
            float *done = above;
            above = next, next = done;
        }
    }

    // `scaled` = ∂loss/∂g · g:  ∂/∂γ = -scaled |x - μ|²/2,  ∂/∂μ = scaled γ (x - μ)
    void envelope_gradient(int i, int rows, const float *inputs) {
        for (int v = 0; v < NV; v++) {
            const Vector *mu = at(PLACES.mu[i]), gamma = at(PLACES.gamma[i])[v];
            Vector width = (Vector){}, pull[IN] = {};
            for (int row = 0; row < rows; row++) {
                const float *x = inputs + row * IN;
                const Vector s = vectors(scaled)[row * NV + v];
                width = fma(s, squared_distance(mu, x, v), width);
                for (int d = 0; d < IN; d++) pull[d] = fma(s, all(x[d]) - mu[d * NV + v], pull[d]);
            }
            into(PLACES.gamma[i])[v] = fma(all(-0.5f), width, into(PLACES.gamma[i])[v]);
            for (int d = 0; d < IN; d++) {
                Vector &sum = into(PLACES.mu[i])[d * NV + v];
                sum = fma(pull[d], gamma, sum);
            }
        }
    }

    // `factors` of the learning rate, one for each tensor in the order of the INR's flat vector.
    void step(Adam &adam, double lr, const double *factors, double decay) {
        adam.next();
        auto part = [&](int from, int to, double scale, double slope) {
            const double own = lr * *factors++;
            adam.step(weights + from, gradient + from, mean + from, square + from, to - from, own, decay, scale, slope);
        };
        for (int i = 0; i < F; i++) {
            part(PLACES.omega[i], PLACES.phi[i], 1 / PI, SLOPE);
            part(PLACES.phi[i], PLACES.mu[i], 1 / PI, SLOPE);
            if (GABOR) part(PLACES.mu[i], PLACES.gamma[i], 1, 1), part(PLACES.gamma[i], PLACES.weight[i], 1, 1);
            part(PLACES.weight[i], PLACES.bias[i], 1, 1);
            part(PLACES.bias[i], PLACES.end[i], 1, 1);
        }
    }
};
