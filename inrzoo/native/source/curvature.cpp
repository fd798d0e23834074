// The gradient of a perceptron's mean squared error by its weights, and the product of that gradient's Jacobian, the
// Hessian, with a direction v (Pearlmutter 1994, "Fast exact multiplication by the Hessian"), one INR at a time.
//
// Per tile of coordinates, with φ = sin or max(0, ·) and R x the derivative of x along v:
//
//     forward    a_l = W_l h_{l-1} + b_l,  h_l = φ(a_l),  c_l = φ'(a_l);     R a_l = W_l R h_{l-1} + V_l h_{l-1} + v_l,
//                                                                            R h_l = c_l R a_l
//     backward   δ_l = c_l g_l,  g_{l-1} = W_lᵀ δ_l;                         R δ_l = c_l R g_l + φ''(a_l) R a_l g_l,
//                                                                            R g_{l-1} = W_lᵀ R δ_l + V_lᵀ δ_l
//     result     ∇W_l = Σ δ_l h_{l-1}ᵀ;                                      R ∇W_l = Σ R δ_l h_{l-1}ᵀ + δ_l R h_{l-1}ᵀ
//
// φ'' is -h for sines and 0 for ReLU. A tile's numbers are computed again for each product rather than kept: writing
// and reading them takes as long.
#include "products.h"
#include "shape.h"  // IN, HIDDEN, LAYERS, OUT, SINE, OFFSET, WEIGHT_FACTOR, BIAS_FACTOR

constexpr int H = padded(HIDDEN), STRIDE = H + UNIT, TILE = 96;  // rows a power of two apart share places of a cache
constexpr int SUMMED = 4;  // tiles whose sums are one chain of additions: rounding grows with its length

struct Job {
    const float *inputs;      // (num_inrs or 1, num_coords, IN)
    const float *targets;     // (num_inrs, num_coords, OUT)
    const float *weights;     // (num_inrs, num_params)
    const float *directions;  // (num_inrs, num_params); null where the gradient is asked for
    float *results;           // (num_inrs, num_params)
    float *losses;            // (num_inrs); null where they are not
    long long inputs_stride;  // 0 where INRs share their inputs
    int num_coords, num_params;
};

struct alignas(64) Matrices {
    float first[IN * H], first_bias[H];
    float forth[LAYERS][H * H], back[LAYERS][H * H], bias[LAYERS][H];  // those of layer 0 are `first`
    float last[OUT * H], last_bias[padded(OUT)];

    void load(const float *flat) {
        pack(first, IN, IN, HIDDEN, flat, 1, IN, WEIGHT_FACTOR[0]);
        flat += IN * HIDDEN;
        load_bias(first_bias, flat, BIAS_FACTOR[0]);
        flat += HIDDEN;
        for (int l = 1; l < LAYERS; l++) {
            pack(forth[l], HIDDEN, H, HIDDEN, flat, 1, HIDDEN, WEIGHT_FACTOR[l]);
            pack(back[l], HIDDEN, H, HIDDEN, flat, HIDDEN, 1, WEIGHT_FACTOR[l]);
            flat += HIDDEN * HIDDEN;
            load_bias(bias[l], flat, BIAS_FACTOR[l]);
            flat += HIDDEN;
        }
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < H; i++) last[o * H + i] = i < HIDDEN ? flat[o * HIDDEN + i] : 0.f;
        flat += OUT * HIDDEN;
        for (int o = 0; o < OUT; o++) last_bias[o] = flat[o];
    }
    static void load_bias(float *to, const float *flat, float factor) {
        for (int o = 0; o < H; o++) to[o] = o < HIDDEN ? factor * flat[o] : 0.f;
    }
};

struct alignas(64) Sums {
    float first[IN * H];  // inputs in rows
    float matrix[LAYERS][H * H], bias[LAYERS][H], last[OUT * H], last_bias[padded(OUT)];

    void clear() { __builtin_memset((void *)this, 0, sizeof *this); }
    void move_to(Sums &total) {
        for (size_t i = 0; i < sizeof *this; i += sizeof(Vector))
            *(Vector *)((char *)&total + i) += *(Vector *)((char *)this + i);
        clear();
    }
    void write(float *flat) const {
        for (int o = 0; o < HIDDEN; o++)
            for (int i = 0; i < IN; i++) *flat++ = WEIGHT_FACTOR[0] * first[i * H + o];
        for (int o = 0; o < HIDDEN; o++) *flat++ = BIAS_FACTOR[0] * bias[0][o];
        for (int l = 1; l < LAYERS; l++) {
            for (int o = 0; o < HIDDEN; o++)
                for (int i = 0; i < HIDDEN; i++) *flat++ = WEIGHT_FACTOR[l] * matrix[l][o * H + i];
            for (int o = 0; o < HIDDEN; o++) *flat++ = BIAS_FACTOR[l] * bias[l][o];
        }
        for (int o = 0; o < OUT; o++)
            for (int i = 0; i < HIDDEN; i++) *flat++ = last[o * H + i];
        for (int o = 0; o < OUT; o++) *flat++ = last_bias[o];
    }
};

typedef float Tile[TILE * STRIDE];

struct alignas(64) Worker {
    Matrices weights, directions;
    Sums sums, totals;
    Tile hidden[LAYERS], slope[LAYERS], gradient[2];
    float error[TILE * OUT];
    // Derivatives along the direction; `bend` is h R a.
    Tile hidden_r[LAYERS], bend[LAYERS], gradient_r[2];
    float error_r[TILE * OUT];

    template <bool directed> void run(const Job &job, int inr) {
        const float *inputs = job.inputs + (size_t)inr * job.inputs_stride;
        const float *targets = job.targets + (size_t)inr * job.num_coords * OUT;
        weights.load(job.weights + (size_t)inr * job.num_params);
        if (directed) directions.load(job.directions + (size_t)inr * job.num_params);
        sums.clear(), totals.clear();
        double total = 0;
        const float share = 2.f / ((float)job.num_coords * OUT);
        for (int first = 0; first < job.num_coords; first += TILE) {
            const int rows = at_most(TILE, job.num_coords - first);
            const float *x = inputs + (size_t)first * IN;
            forward<directed>(rows, x);
            compare<directed>(rows, targets + (size_t)first * OUT, share, total);
            backward<directed>(rows, x);
            if (first / TILE % SUMMED == SUMMED - 1) sums.move_to(totals);
        }
        sums.move_to(totals);
        totals.write(job.results + (size_t)inr * job.num_params);
        if (job.losses) job.losses[inr] = (float)(total / ((double)job.num_coords * OUT));
    }

    template <bool directed> void forward(int rows, const float *x) {
        for (int l = 0; l < LAYERS; l++) {
            float *h = hidden[l], *h_r = hidden_r[l];
            if (l == 0) {
                multiply<IN, 1>(rows, IN, H, x, {weights.first, 0}, weights.first_bias, FRESH, h, STRIDE);
                if (directed)
                    multiply<IN, 1>(rows, IN, H, x, {directions.first, 0}, directions.first_bias, FRESH, h_r, STRIDE);
            } else {
                const Right forth = {weights.forth[l], 0};
                multiply<STRIDE, 1>(rows, H, H, hidden[l - 1], forth, weights.bias[l], FRESH, h, STRIDE);
                if (directed) {
                    multiply<STRIDE, 1>(rows, H, H, hidden[l - 1], {directions.forth[l], 0}, directions.bias[l], FRESH,
                                        h_r, STRIDE);
                    multiply<STRIDE, 1>(rows, H, H, hidden_r[l - 1], forth, nullptr, ADD, h_r, STRIDE);
                }
            }
            for (int row = 0; row < rows; row++)
                for (int i = row * STRIDE; i < row * STRIDE + H; i += LANES) {
                    Vector &value = *(Vector *)(h + i), &derivative = *(Vector *)(slope[l] + i);
                    if (SINE)
                        sine_cosine(value, value, derivative);
                    else {
                        const Integers positive = value > (Vector){};
                        derivative = (Vector)((Integers)all(1.f) & positive);
                        value = (Vector)((Integers)value & (positive | (value != value)));  // NaN stays
                    }
                    if (!directed) continue;
                    Vector &along = *(Vector *)(h_r + i);
                    if (SINE) *(Vector *)(bend[l] + i) = value * along;
                    along *= derivative;
                }
        }
    }

    // Dot product of a row with a neuron of the output layer.
    static float dot(const float *row, const float *weight) {
        Vector total = {};
        for (int i = 0; i < H; i += LANES) total += *(Vector *)(row + i) * *(Vector *)(weight + i);
        return sum_of(total);
    }

    template <bool directed> void compare(int rows, const float *targets, float share, double &total) {
        const float *h = hidden[LAYERS - 1], *h_r = hidden_r[LAYERS - 1];
        for (int row = 0; row < rows; row++)
            for (int o = 0; o < OUT; o++) {
                const float value = dot(h + row * STRIDE, weights.last + o * H) + weights.last_bias[o] + OFFSET;
                const float residual = value - targets[row * OUT + o];
                total += (double)residual * residual;
                error[row * OUT + o] = share * residual;
                if (directed) {
                    const float along = dot(h + row * STRIDE, directions.last + o * H) + directions.last_bias[o];
                    error_r[row * OUT + o] = share * (dot(h_r + row * STRIDE, weights.last + o * H) + along);
                }
                sums.last_bias[o] += directed ? error_r[row * OUT + o] : error[row * OUT + o];
            }
    }

    template <bool directed> void backward(int rows, const float *x) {
        const float *first = directed ? error_r : error;
        multiply<1, OUT>(OUT, rows, H, first, {hidden[LAYERS - 1], STRIDE}, nullptr, ADD, sums.last, H);
        if (directed) multiply<1, OUT>(OUT, rows, H, error, {hidden_r[LAYERS - 1], STRIDE}, nullptr, ADD, sums.last, H);
        float *g = gradient[0], *next = gradient[1], *g_r = gradient_r[0], *next_r = gradient_r[1];
        multiply<OUT, 1>(rows, OUT, H, error, {weights.last, H}, nullptr, FRESH, g, STRIDE);
        if (directed) {
            multiply<OUT, 1>(rows, OUT, H, error_r, {weights.last, H}, nullptr, FRESH, g_r, STRIDE);
            multiply<OUT, 1>(rows, OUT, H, error, {directions.last, H}, nullptr, ADD, g_r, STRIDE);
        }
        for (int l = LAYERS - 1;; l--) {
            for (int row = 0; row < rows; row++)
                for (int i = 0; i < H; i += LANES) {
                    const int at = row * STRIDE + i;
                    const Vector derivative = *(Vector *)(slope[l] + at);
                    Vector &value = *(Vector *)(g + at), &bias = *(Vector *)(sums.bias[l] + i);
                    if (directed) {
                        Vector &along = *(Vector *)(g_r + at);
                        along = along * derivative;
                        if (SINE) along -= value * *(Vector *)(bend[l] + at);
                        bias += along;
                    }
                    value *= derivative;
                    if (!directed) bias += value;
                }
            const float *d = directed ? g_r : g;
            if (l == 0) {
                multiply<1, IN>(IN, rows, H, x, {d, STRIDE}, nullptr, ADD, sums.first, H);
                return;
            }
            multiply<1, STRIDE>(H, rows, H, d, {hidden[l - 1], STRIDE}, nullptr, ADD, sums.matrix[l], H);
            multiply<STRIDE, 1>(rows, H, H, g, {weights.back[l], 0}, nullptr, FRESH, next, STRIDE);
            if (directed) {
                multiply<1, STRIDE>(H, rows, H, g, {hidden_r[l - 1], STRIDE}, nullptr, ADD, sums.matrix[l], H);
                multiply<STRIDE, 1>(rows, H, H, g_r, {weights.back[l], 0}, nullptr, FRESH, next_r, STRIDE);
                multiply<STRIDE, 1>(rows, H, H, g, {directions.back[l], 0}, nullptr, ADD, next_r, STRIDE);
            }
            float *const swap = g, *const swap_r = g_r;
            g = next, next = swap, g_r = next_r, next_r = swap_r;
        }
    }
};

extern "C" {
long long bytes_per_thread() { return sizeof(Worker); }

// Serves the INRs `first`, …, `last` - 1. `memory` begins on a multiple of 64.
void run(const Job *job, void *memory, int first, int last) {
    Worker &worker = *(Worker *)memory;
    for (int inr = first; inr < last; inr++)
        if (job->directions)
            worker.run<true>(*job, inr);
        else
            worker.run<false>(*job, inr);
}
}
