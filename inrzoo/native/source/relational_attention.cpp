// Attention of every node to every node that also depends on the edge between them. With projections of nodes q, k, v
// and of edges Q, K, S, V, in HEADS heads h of ATTENTION numbers together:
//
//     a_ij = softmax_j ⟨q_i + Q e_ij, k_j + K e_ij⟩ / √A,    out_i = Σ_j a_ij v_j ⊙ S e_ij + V Σ_j a_ij e_ij
//
// The projected edges of one node stay in a core's cache; backward they are computed again. Sums over the numbers of a
// head, and their spreading, are products with a matrix of zeros and ones.
#include "relational.h"

constexpr int A = ATTENTION, LANE = UNIT;   // heads are padded to LANE
constexpr int ROW = 3 * A + UNIT, WIDE = A + UNIT;  // of projected edges; of what has one number for each of a head's
static_assert(HEADS <= LANE, "");

struct Job {
    const float *nodes;      // (num_inrs, N, 3, A): queries, keys, values
    const float *edges;      // (num_inrs, N, N, EDGE)
    const float *weight;     // (4 A, EDGE): queries, keys, factors of values, values
    float *outputs;          // (num_inrs, N, A)
    const float *upstream;   // gradient of the outputs; null forward
    float *of_nodes, *of_edges;  // gradients
    float *of_weight;        // (num_inrs, 4 A, EDGE)
    int num_nodes;
    float scale;
};

struct Worker {
    const Job &job;
    const int n;
    float *forth, *back, *values_forth, *values, *gather, *spread;  // weights, and the matrices of zeros and ones
    float *projected, *product, *weights, *wide, *summed, *by_head;
    float *slope, *of_projected, *wide_slope, *head_slope, *of_summed, *of_summed_back;

    Worker(const Job &job, Memory memory) : job(job), n(job.num_nodes) {
        forth = memory.take(EDGE * 3 * A), back = memory.take(3 * A * EDGE);
        values_forth = memory.take(EDGE * A), values = memory.take(A * EDGE);
        gather = memory.take(A * LANE), spread = memory.take(LANE * A);
        projected = memory.take((size_t)n * ROW), product = memory.take((size_t)n * WIDE);
        weights = memory.take((size_t)n * LANE), wide = memory.take((size_t)n * WIDE);
        summed = memory.take(LANE * EDGE), by_head = memory.take(LANE * A);
        slope = memory.take((size_t)n * LANE), of_projected = memory.take((size_t)n * ROW);
        wide_slope = memory.take((size_t)n * WIDE), head_slope = memory.take(A * LANE);
        of_summed = memory.take(LANE * EDGE), of_summed_back = memory.take(EDGE * LANE);
        pack(forth, EDGE, EDGE, 3 * A, job.weight, 1, EDGE, 1);
        pack(back, 3 * A, 3 * A, EDGE, job.weight, EDGE, 1, 1);
        pack(values_forth, EDGE, EDGE, A, job.weight + 3 * A * EDGE, 1, EDGE, 1);
        for (int i = 0; i < A * EDGE; i++) values[i] = job.weight[3 * A * EDGE + i];
        for (int i = 0; i < A; i++)
            for (int h = 0; h < LANE; h++) gather[i * LANE + h] = spread[h * A + i] = i / (A / HEADS) == h ? 1.f : 0.f;
    }

    static size_t bytes(int n) {
        const size_t fixed = EDGE * 8 * A + A * LANE * 4 + LANE * EDGE * 3;
        return sizeof(float) * (fixed + (size_t)n * (2 * ROW + 3 * WIDE + 2 * LANE) + 32 * UNIT);
    }

    // What node `i` of an INR attends to: `projected` become q + Q e, k + K e and S e, `weights` a, `wide` a for each
    // number of a head, and `summed` Σ_j a_ij e_ij.
    void attend(const float *nodes, const float *edges, int i) {
        multiply<EDGE, 1>(n, EDGE, 3 * A, edges, {forth, 0}, nullptr, FRESH, projected, ROW);
        const float *query = nodes + (size_t)i * 3 * A;
        for (int j = 0; j < n; j++) {
            float *row = projected + (size_t)j * ROW;
            const float *key = nodes + (size_t)j * 3 * A + A;
            for (int d = 0; d < A; d += LANES) {
                at(row, d) += at(query, d), at(row, A + d) += at(key, d);
                at(product + (size_t)j * WIDE, d) = at(row, d) * at(row, A + d);
            }
        }
        multiply<WIDE, 1>(n, A, LANE, product, {gather, LANE}, nullptr, FRESH, weights, LANE);
        for (int h = 0; h < LANE; h += LANES) {
            Vector most = at(weights, h), total = {};
            for (int j = 1; j < n; j++) most = larger(at(weights + (size_t)j * LANE, h), most);
            for (int j = 0; j < n; j++) {
                Vector &x = at(weights + (size_t)j * LANE, h);
                x = exponential((x - most) * all(job.scale));
                total += x;
            }
            const Vector factor = all(1.f) / total;
            for (int j = 0; j < n; j++) at(weights + (size_t)j * LANE, h) *= factor;
        }
        multiply<LANE, 1>(n, HEADS, A, weights, {spread, A}, nullptr, FRESH, wide, WIDE);
        multiply<1, LANE>(HEADS, n, EDGE, weights, {edges, EDGE}, nullptr, FRESH, summed, EDGE);
    }

    void forward(int inr) {
        const float *nodes = job.nodes + (size_t)inr * n * 3 * A;
        for (int i = 0; i < n; i++) {
            attend(nodes, job.edges + ((size_t)inr * n + i) * n * EDGE, i);
            multiply<EDGE, 1>(HEADS, EDGE, A, summed, {values_forth, 0}, nullptr, FRESH, by_head, A);
            float *out = job.outputs + ((size_t)inr * n + i) * A;
            for (int d = 0; d < A; d++) out[d] = by_head[d / (A / HEADS) * A + d];
            for (int d = 0; d < A; d += LANES) {
                Vector total = at(out, d);
                for (int j = 0; j < n; j++)
                    total += at(wide + (size_t)j * WIDE, d) * at(nodes + ((size_t)j * 3 + 2) * A, d) *
                             at(projected + (size_t)j * ROW, 2 * A + d);
                at(out, d) = total;
            }
        }
    }

    void backward(int inr) {
        const float *nodes = job.nodes + (size_t)inr * n * 3 * A;
        float *of_nodes = job.of_nodes + (size_t)inr * n * 3 * A;
        float *of_weight = job.of_weight + (size_t)inr * 4 * A * EDGE;
        __builtin_memset((void *)of_nodes, 0, (size_t)n * 3 * A * sizeof(float));
        __builtin_memset((void *)of_weight, 0, (size_t)4 * A * EDGE * sizeof(float));
        for (int i = 0; i < n; i++) {
            const size_t place = ((size_t)inr * n + i) * n * EDGE;
            const float *edges = job.edges + place, *g = job.upstream + ((size_t)inr * n + i) * A;
            attend(nodes, edges, i);
            // V Σ a e
            for (int d = 0; d < A; d++)
                for (int h = d * LANE; h < (d + 1) * LANE; h += LANES) at(head_slope, h) = at(gather, h) * all(g[d]);
            multiply<1, LANE>(HEADS, A, EDGE, head_slope, {values, EDGE}, nullptr, FRESH, of_summed, EDGE);
            multiply<1, EDGE>(EDGE, A, LANE, values, {head_slope, LANE}, nullptr, FRESH, of_summed_back, LANE);
            multiply<LANE, 1>(A, HEADS, EDGE, head_slope, {summed, EDGE}, nullptr, ADD, of_weight + 3 * A * EDGE, EDGE);
            multiply<EDGE, 1>(n, EDGE, LANE, edges, {of_summed_back, LANE}, nullptr, FRESH, slope, LANE);
            // a
            for (int j = 0; j < n; j++) {
                const float *value = nodes + ((size_t)j * 3 + 2) * A, *factor = projected + (size_t)j * ROW + 2 * A;
                for (int d = 0; d < A; d += LANES)
                    at(product + (size_t)j * WIDE, d) = at(g, d) * at(value, d) * at(factor, d);
            }
            multiply<WIDE, 1>(n, A, LANE, product, {gather, LANE}, nullptr, ADD, slope, LANE);
            for (int h = 0; h < LANE; h += LANES) {
                Vector total = {};
                for (size_t k = h; k < (size_t)n * LANE; k += LANE) total += at(weights + k, 0) * at(slope + k, 0);
                for (int j = 0; j < n; j++) {
                    Vector &x = at(slope + (size_t)j * LANE, h);
                    x = at(weights + (size_t)j * LANE, h) * (x - total) * all(job.scale);
                }
            }
            multiply<LANE, 1>(n, HEADS, A, slope, {spread, A}, nullptr, FRESH, wide_slope, WIDE);
            // q, k, v and projected edges
            for (int j = 0; j < n; j++) {
                const float *row = projected + (size_t)j * ROW, *value = nodes + ((size_t)j * 3 + 2) * A;
                float *to = of_projected + (size_t)j * ROW, *of_node = of_nodes + (size_t)j * 3 * A;
                float *of_query = of_nodes + (size_t)i * 3 * A;
                for (int d = 0; d < A; d += LANES) {
                    const Vector s = at(wide_slope + (size_t)j * WIDE, d);
                    const Vector weighted = at(wide + (size_t)j * WIDE, d) * at(g, d);
                    const Vector query = s * at(row, A + d), key = s * at(row, d);
                    at(to, d) = query, at(to, A + d) = key, at(to, 2 * A + d) = weighted * at(value, d);
                    at(of_query, d) += query, at(of_node, A + d) += key;
                    at(of_node, 2 * A + d) += weighted * at(row, 2 * A + d);
                }
            }
            multiply<1, ROW>(3 * A, n, EDGE, of_projected, {edges, EDGE}, nullptr, ADD, of_weight, EDGE);
            float *of_edges = job.of_edges + place;
            multiply<ROW, 1>(n, 3 * A, EDGE, of_projected, {back, 0}, nullptr, FRESH, of_edges, EDGE);
            multiply<LANE, 1>(n, HEADS, EDGE, weights, {of_summed, EDGE}, nullptr, ADD, of_edges, EDGE);
        }
    }
};

extern "C" {
long long bytes_per_thread(int num_nodes) { return Worker::bytes(num_nodes); }

// `memory`, and all arrays, begin on multiples of 64.
void run(const Job *job, float *memory, int first, int last) { serve(Worker(*job, {memory}), job, first, last); }
}
