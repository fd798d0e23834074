// Forward and backward pass of a multilayer perceptron, SIREN or ReLU, one tile of coordinates at a time.
//
// Sizes are constants of the generated file layout.h: IN inputs (coordinates, or features of an encoding), LAYERS hidden
// layers of HIDDEN neurons, OUT channels. Rows of neurons are padded to whole vectors; what pads begins at zero and has
// a gradient of zero, so it stays there.
#pragma once
#include "adam.h"
#include "output.h"
#include "waves.h"

constexpr int H = padded(HIDDEN), NV = H / LANES, TILE = 48;

#if SINE
// A sine layer is sin(π x): weights and biases are kept multiplied by ω/π, and no ω is left in the inner loop.
constexpr float SLOPE = 3.14159265358979f;
INLINE void activate(Vector x, Vector &value, Vector &slope) { sine_cosine(x, value, slope); }
#else
constexpr float SLOPE = 1.f;
INLINE void activate(Vector x, Vector &value, Vector &slope) {
    const Integers off = x <= (Vector){};  // false for NaN, which passes
    value = (Vector)((Integers)x & ~off);
    slope = (Vector)((Integers)all(1.f) & ~off);
}
#endif

constexpr int inputs(int layer) { return layer == 0 ? IN : H; }

// Where each tensor begins in the engine's flat vector. Hidden weights are held transposed, (inputs, H).
struct Places {
    int weight[LAYERS + 1], bias[LAYERS + 1], total;
    constexpr Places() : weight(), bias(), total(0) {
        for (int i = 0; i < LAYERS; i++) {
            weight[i] = total, bias[i] = total += inputs(i) * H;
            total += H;
        }
        weight[LAYERS] = total, bias[LAYERS] = total += OUT * H;
        total += padded(OUT);
    }
};
constexpr Places PLACES;
constexpr int SIZE = PLACES.total;
constexpr int WAVES = SINE;  // maps whose sines a grid shares

struct Network {
    alignas(64) float weights[SIZE], gradient[SIZE], mean[SIZE], square[SIZE];
    alignas(64) float transposed[LAYERS][H * H];
    alignas(64) float values[LAYERS][TILE * H], slopes[LAYERS][TILE * H];
    Output<H, OUT, TILE> output;
    Waves<IN, H> waves;

    // In the order of the INR's flat vector: `take(place, scale, slope)` for every parameter, `scale` how much larger it
    // is here, `slope` how much smaller its gradient.
    template <class Take>
    void each(Take take) const {
        for (int i = 0; i <= LAYERS; i++) {
            const int in = i == 0 ? IN : HIDDEN, out = i == LAYERS ? OUT : HIDDEN;
            for (int o = 0; o < out; o++)
                for (int k = 0; k < in; k++)
                    take(PLACES.weight[i] + (i == LAYERS ? o * H + k : k * H + o), scale(i, false), slope(i));
            for (int o = 0; o < out; o++) take(PLACES.bias[i] + o, scale(i, true), slope(i));
        }
    }
    static constexpr double scale(int layer, bool bias) {
        return layer == LAYERS ? 1.0 : bias ? BIAS_SCALE[layer] : WEIGHT_SCALE[layer];
    }
    static constexpr double slope(int layer) { return layer == LAYERS ? 1.0 : SLOPE; }

    // Once a step: transposed hidden weights for the backward pass, with the activation's slope factor, and tables.
    void prepare(const Coords &coords, Vector *tables) {
        for (int i = 1; i < LAYERS; i++) {
            const float *w = weights + PLACES.weight[i];
            for (int k = 0; k < H; k++)
                for (int o = 0; o < H; o++) transposed[i][o * H + k] = SLOPE * w[k * H + o];
        }
        if (SINE) waves.prepare(coords, vectors(weights + PLACES.weight[0]), tables);
    }

    Vector *vectors(float *floats) { return (Vector *)floats; }

    ONCE void forward(int first, int rows, const Coords &coords) {
        for (int i = 0; i < LAYERS; i++) {
            Vector *value = vectors(values[i]), *slope = vectors(slopes[i]);
            const Vector *w = vectors(weights + PLACES.weight[i]), *b = vectors(weights + PLACES.bias[i]);
            auto keep = [&](int row, int column, Vector x) { value[row * NV + column] = x; };
            if (i > 0)
                product<H, NV>(rows, values[i - 1], w, b, keep);
            else if (SINE) {
                waves.fill(coords, first, rows, w, b, value, slope);
                continue;
            } else
                product<IN, NV>(rows, coords.inputs + (size_t)first * IN, w, b, keep);
            for (int j = 0; j < rows * NV; j++) activate(value[j], value[j], slope[j]);
        }
        output.forward(rows, values[LAYERS - 1], weights + PLACES.weight[LAYERS], weights + PLACES.bias[LAYERS], OFFSET);
    }

    // Adds a tile's gradient to `gradient`; slopes become the gradients at the pre-activations, layer by layer.
    ONCE void backward(int first, int rows, const Coords &coords) {
        Vector *delta = vectors(slopes[LAYERS - 1]);
        output.backward(rows, vectors(values[LAYERS - 1]), weights + PLACES.weight[LAYERS],
                        gradient + PLACES.weight[LAYERS], gradient + PLACES.bias[LAYERS],
                        [&](int row, int v, Vector d) { delta[row * NV + v] *= d; });
        for (int i = LAYERS - 1; i >= 0; i--) {
            const Vector *above = vectors(slopes[i]);
            Vector *weight = vectors(gradient + PLACES.weight[i]), *bias = vectors(gradient + PLACES.bias[i]);
            if (i == 0) {
                add_transposed_product<IN, NV>(rows, coords.inputs + (size_t)first * IN, above, weight, bias);
                break;
            }
            Vector *below = vectors(slopes[i - 1]);
            add_transposed_product<H, NV>(rows, values[i - 1], above, weight, bias);
            product<H, NV>(rows, slopes[i], vectors(transposed[i]), nullptr,
                           [&](int row, int column, Vector x) { below[row * NV + column] *= x; });
        }
    }

    // `factors` of the learning rate, one for each tensor in the order of the INR's flat vector.
    void step(Adam &adam, double lr, const double *factors, double decay) {
        adam.next();
        for (int i = 0; i <= LAYERS; i++) {
            const int w = PLACES.weight[i], b = PLACES.bias[i], end = i == LAYERS ? SIZE : PLACES.weight[i + 1];
            const double weight_lr = lr * *factors++, bias_lr = lr * *factors++;
            adam.step(weights + w, gradient + w, mean + w, square + w, b - w, weight_lr, decay, scale(i, false), slope(i));
            adam.step(weights + b, gradient + b, mean + b, square + b, end - b, bias_lr, decay, scale(i, true), slope(i));
        }
    }
};
