// e ← LN(e + O GELU(M [e_ij, e_ji] + from_i + to_j)), then e ← LN(e + P GELU(L e)): the update of the edges of a
// relational transformer. What lies between belongs to the edges of one node, and backward it is computed again.
#include "relational.h"

constexpr int ROW = HIDDEN + UNIT;
constexpr float EPSILON = 1e-5f;

enum Tensor {
    OF_EDGES, OF_EDGES_BIAS, OUT, OUT_BIAS, NORM, NORM_BIAS, MLP, MLP_OUT, MLP_BIAS, MLP_NORM, MLP_NORM_BIAS, TENSORS
};
constexpr int BETWEEN = EDGE * HIDDEN;  // numbers of a matrix
constexpr int SIZES[] = {2 * BETWEEN, HIDDEN, BETWEEN, EDGE, EDGE, EDGE, BETWEEN, BETWEEN, EDGE, EDGE, EDGE};

struct Job {
    const float *edges;            // (num_inrs, N, N, EDGE)
    const float *from, *to;        // (num_inrs, N, HIDDEN)
    const float *tensors[TENSORS];
    float *outputs;                // as edges
    const float *upstream;         // gradient of the outputs; null forward
    float *of_edges, *of_from, *of_to;
    float *of_tensors;             // (num_inrs, all tensors one after the other)
    int num_nodes, num_numbers;    // of all tensors
};

// Φ(x) and the density φ(x) of the normal distribution; Abramowitz & Stegun 7.1.26 (error 1.5e-7).
INLINE void normal(Vector x, Vector &below, Vector &density) {
    const Vector size = (Vector)((Integers)x & 0x7fffffff) * all(0.70710678f);
    const Vector t = all(1.f) / (all(1.f) + all(0.3275911f) * size), e = exponential(-size * size);
    Vector p = all(1.061405429f) * t + all(-1.453152027f);
    p = p * t + all(1.421413741f);
    p = p * t + all(-0.284496736f);
    p = p * t + all(0.254829592f);
    const Vector tail = p * t * e * all(0.5f);
    const Integers negative = x < (Vector){};
    below = (Vector)(((Integers)tail & negative) | ((Integers)(all(1.f) - tail) & ~negative));
    density = e * all(0.39894228f);
}

struct Worker {
    const Job &job;
    const int n;
    float *forth, *reverse, *out, *mlp, *mlp_out;                      // weights, packed for forward …
    float *forth_back, *reverse_back, *out_back, *mlp_back, *mlp_out_back;  // … and backward products
    float *incoming, *hidden, *slope, *active, *middle, *normal_1, *scale_1;
    float *hidden_2, *slope_2, *active_2, *normal_2, *scale_2;
    float *of_incoming, *sum, *of_sum;

    Worker(const Job &job, Memory memory) : job(job), n(job.num_nodes) {
        const size_t edges = (size_t)n * EDGE, wide = (size_t)n * ROW;
        float **const matrices[] = {&forth, &reverse, &out, &mlp, &mlp_out,
                                    &forth_back, &reverse_back, &out_back, &mlp_back, &mlp_out_back};
        float **const narrow[] = {&incoming, &middle, &normal_1, &normal_2, &of_incoming, &sum, &of_sum};
        float **const broad[] = {&hidden, &slope, &active, &hidden_2, &slope_2, &active_2};
        for (float **place : matrices) *place = memory.take(EDGE * HIDDEN);
        for (float **place : narrow) *place = memory.take(edges);
        for (float **place : broad) *place = memory.take(wide);
        scale_1 = memory.take(n), scale_2 = memory.take(n);
        const float *both = job.tensors[OF_EDGES];
        pack(forth, EDGE, EDGE, HIDDEN, both, 1, 2 * EDGE, 1);
        pack(reverse, EDGE, EDGE, HIDDEN, both + EDGE, 1, 2 * EDGE, 1);
        pack(forth_back, HIDDEN, HIDDEN, EDGE, both, 2 * EDGE, 1, 1);
        pack(reverse_back, HIDDEN, HIDDEN, EDGE, both + EDGE, 2 * EDGE, 1, 1);
        pack(out, HIDDEN, HIDDEN, EDGE, job.tensors[OUT], 1, HIDDEN, 1);
        pack(out_back, EDGE, EDGE, HIDDEN, job.tensors[OUT], HIDDEN, 1, 1);
        pack(mlp, EDGE, EDGE, HIDDEN, job.tensors[MLP], 1, EDGE, 1);
        pack(mlp_back, HIDDEN, HIDDEN, EDGE, job.tensors[MLP], EDGE, 1, 1);
        pack(mlp_out, HIDDEN, HIDDEN, EDGE, job.tensors[MLP_OUT], 1, HIDDEN, 1);
        pack(mlp_out_back, EDGE, EDGE, HIDDEN, job.tensors[MLP_OUT], HIDDEN, 1, 1);
    }

    static size_t bytes(int n) {
        return sizeof(float) * (10 * EDGE * HIDDEN + (size_t)n * (7 * EDGE + 6 * ROW + 2) + 40 * UNIT);
    }

    void activate(float *hidden, float *slope, float *active) const {
        for (int j = 0; j < n; j++)
            for (int i = j * ROW; i < j * ROW + HIDDEN; i += LANES) {
                const Vector x = at(hidden, i);
                Vector below, density;
                normal(x, below, density);
                at(active, i) = x * below, at(slope, i) = below + x * density;
            }
    }

    // Normalises rows: `normalised` before the learned scale and shift, `result` after them.
    void normalise(const float *rows, const float *weight, const float *bias, float *normalised, float *scales,
                   float *result) const {
        for (int j = 0; j < n; j++) {
            const float *row = rows + (size_t)j * EDGE;
            Vector total = {};
            for (int i = 0; i < EDGE; i += LANES) total += at(row, i);
            const Vector mean = all(sum_of(total) / EDGE);
            Vector squares = {};
            for (int i = 0; i < EDGE; i += LANES) squares += (at(row, i) - mean) * (at(row, i) - mean);
            scales[j] = 1 / __builtin_sqrtf(sum_of(squares) / EDGE + EPSILON);
            for (int i = 0; i < EDGE; i += LANES) {
                const Vector x = (at(row, i) - mean) * all(scales[j]);
                at(normalised + (size_t)j * EDGE, i) = x;
                at(result + (size_t)j * EDGE, i) = x * loaded(weight + i) + loaded(bias + i);
            }
        }
    }

    // From the gradient of its result to that of its rows, in place; adds to those of scale and shift.
    void normalise_back(float *slopes, const float *normalised, const float *scales, const float *weight,
                        float *of_weight, float *of_bias) const {
        for (int j = 0; j < n; j++) {
            float *row = slopes + (size_t)j * EDGE;
            const float *x = normalised + (size_t)j * EDGE;
            Vector total = {}, along = {};
            for (int i = 0; i < EDGE; i += LANES) {
                *(Unaligned *)(of_weight + i) += at(row, i) * at(x, i), *(Unaligned *)(of_bias + i) += at(row, i);
                at(row, i) *= loaded(weight + i);
                total += at(row, i), along += at(row, i) * at(x, i);
            }
            const Vector mean = all(sum_of(total) / EDGE), part = all(sum_of(along) / EDGE);
            for (int i = 0; i < EDGE; i += LANES) at(row, i) = (at(row, i) - mean - at(x, i) * part) * all(scales[j]);
        }
    }

    // The new edges that leave node `i`, from those that leave it, `edges`, and all.
    void forward(int inr, int i, float *result) {
        const float *whole = job.edges + (size_t)inr * n * n * EDGE, *edges = whole + (size_t)i * n * EDGE;
        for (int j = 0; j < n; j++)
            for (int d = 0; d < EDGE; d += LANES)
                at(incoming + (size_t)j * EDGE, d) = at(whole + ((size_t)j * n + i) * EDGE, d);
        const float *from = job.from + ((size_t)inr * n + i) * HIDDEN, *bias = job.tensors[OF_EDGES_BIAS];
        for (int j = 0; j < n; j++) {
            const float *to = job.to + ((size_t)inr * n + j) * HIDDEN;
            for (int d = 0; d < HIDDEN; d += LANES)
                at(hidden + (size_t)j * ROW, d) = at(from, d) + at(to, d) + loaded(bias + d);
        }
        multiply<EDGE, 1>(n, EDGE, HIDDEN, edges, {forth, 0}, nullptr, ADD, hidden, ROW);
        multiply<EDGE, 1>(n, EDGE, HIDDEN, incoming, {reverse, 0}, nullptr, ADD, hidden, ROW);
        activate(hidden, slope, active);
        add_bias(sum, edges, job.tensors[OUT_BIAS]);
        multiply<ROW, 1>(n, HIDDEN, EDGE, active, {out, 0}, nullptr, ADD, sum, EDGE);
        normalise(sum, job.tensors[NORM], job.tensors[NORM_BIAS], normal_1, scale_1, middle);
        multiply<EDGE, 1>(n, EDGE, HIDDEN, middle, {mlp, 0}, nullptr, FRESH, hidden_2, ROW);
        activate(hidden_2, slope_2, active_2);
        add_bias(sum, middle, job.tensors[MLP_BIAS]);
        multiply<ROW, 1>(n, HIDDEN, EDGE, active_2, {mlp_out, 0}, nullptr, ADD, sum, EDGE);
        normalise(sum, job.tensors[MLP_NORM], job.tensors[MLP_NORM_BIAS], normal_2, scale_2, result);
    }

    void add_bias(float *to, const float *rows, const float *bias) const {
        for (int j = 0; j < n; j++)
            for (int d = 0; d < EDGE; d += LANES)
                at(to + (size_t)j * EDGE, d) = at(rows + (size_t)j * EDGE, d) + loaded(bias + d);
    }

    void forward(int inr) {
        for (int i = 0; i < n; i++) forward(inr, i, job.outputs + ((size_t)inr * n + i) * n * EDGE);
    }

    void add_columns(float *to, const float *rows, int columns, int step) const {
        for (int d = 0; d < columns; d += LANES) {
            Vector total = *(Unaligned *)(to + d);
            for (int j = 0; j < n; j++) total += at(rows + (size_t)j * step, d);
            *(Unaligned *)(to + d) = total;
        }
    }

    void backward(int inr) {
        const size_t whole = (size_t)inr * n * n * EDGE;
        float *of[TENSORS], *free = job.of_tensors + (size_t)inr * job.num_numbers;
        __builtin_memset((void *)free, 0, job.num_numbers * sizeof(float));
        for (int t = 0; t < TENSORS; t++) of[t] = free, free += SIZES[t];
        float *of_to = job.of_to + (size_t)inr * n * HIDDEN;
        __builtin_memset((void *)of_to, 0, (size_t)n * HIDDEN * sizeof(float));
        __builtin_memset((void *)(job.of_edges + whole), 0, (size_t)n * n * EDGE * sizeof(float));
        for (int i = 0; i < n; i++) {
            const size_t place = whole + (size_t)i * n * EDGE;
            const float *edges = job.edges + place;
            forward(inr, i, sum);
            for (int k = 0; k < n * EDGE; k += LANES) at(of_sum, k) = at(job.upstream + place, k);
            normalise_back(of_sum, normal_2, scale_2, job.tensors[MLP_NORM], of[MLP_NORM], of[MLP_NORM_BIAS]);
            add_columns(of[MLP_BIAS], of_sum, EDGE, EDGE);
            multiply<1, EDGE>(EDGE, n, HIDDEN, of_sum, {active_2, ROW}, nullptr, ADD, of[MLP_OUT], HIDDEN);
            multiply<EDGE, 1>(n, EDGE, HIDDEN, of_sum, {mlp_out_back, 0}, nullptr, FRESH, hidden_2, ROW);
            for (int j = 0; j < n; j++)
                for (int d = j * ROW; d < j * ROW + HIDDEN; d += LANES) at(hidden_2, d) *= at(slope_2, d);
            multiply<1, ROW>(HIDDEN, n, EDGE, hidden_2, {middle, EDGE}, nullptr, ADD, of[MLP], EDGE);
            multiply<ROW, 1>(n, HIDDEN, EDGE, hidden_2, {mlp_back, 0}, nullptr, ADD, of_sum, EDGE);
            normalise_back(of_sum, normal_1, scale_1, job.tensors[NORM], of[NORM], of[NORM_BIAS]);
            add_columns(of[OUT_BIAS], of_sum, EDGE, EDGE);
            multiply<1, EDGE>(EDGE, n, HIDDEN, of_sum, {active, ROW}, nullptr, ADD, of[OUT], HIDDEN);
            multiply<EDGE, 1>(n, EDGE, HIDDEN, of_sum, {out_back, 0}, nullptr, FRESH, hidden, ROW);
            float *of_from = job.of_from + ((size_t)inr * n + i) * HIDDEN;
            __builtin_memset((void *)of_from, 0, HIDDEN * sizeof(float));
            for (int j = 0; j < n; j++)
                for (int d = 0; d < HIDDEN; d += LANES) {
                    Vector &x = at(hidden + (size_t)j * ROW, d);
                    x *= at(slope + (size_t)j * ROW, d);
                    at(of_from, d) += x, at(of_to + (size_t)j * HIDDEN, d) += x;
                }
            add_columns(of[OF_EDGES_BIAS], hidden, HIDDEN, ROW);
            // The halves of a row of M are for e_ij and e_ji.
            multiply<1, ROW>(HIDDEN, n, EDGE, hidden, {edges, EDGE}, nullptr, ADD, of[OF_EDGES], 2 * EDGE);
            multiply<1, ROW>(HIDDEN, n, EDGE, hidden, {incoming, EDGE}, nullptr, ADD, of[OF_EDGES] + EDGE, 2 * EDGE);
            multiply<ROW, 1>(n, HIDDEN, EDGE, hidden, {forth_back, 0}, nullptr, ADD, of_sum, EDGE);
            multiply<ROW, 1>(n, HIDDEN, EDGE, hidden, {reverse_back, 0}, nullptr, FRESH, of_incoming, EDGE);
            for (int k = 0; k < n * EDGE; k += LANES) at(job.of_edges + place, k) += at(of_sum, k);
            for (int j = 0; j < n; j++)
                for (int d = 0; d < EDGE; d += LANES)
                    at(job.of_edges + whole + ((size_t)j * n + i) * EDGE, d) += at(of_incoming + (size_t)j * EDGE, d);
        }
    }
};

extern "C" {
long long bytes_per_thread(int num_nodes) { return Worker::bytes(num_nodes); }
int num_numbers() {
    int total = 0;
    for (int size : SIZES) total += size;
    return total;
}

// `memory`, and all arrays but the tensors, begin on multiples of 64.
void run(const Job *job, float *memory, int first, int last) { serve(Worker(*job, {memory}), job, first, last); }
}
