// Attention softmax(q kᵀ / √E) v of T tokens, one head of one sequence at a time, and its gradients. Scores exist for
// `TILE` queries, so that they stay in a core's cache; backward, where they are computed again from the maximum and the
// sum of each query's row, for `CHUNK` keys as well (Dao et al. 2022, "FlashAttention", without its running maximum).
#include "products.h"
#include "shape.h"  // HEADS, FEATURES of a head: E

constexpr int E = padded(FEATURES), ROW = E + UNIT, STEP = 3 * HEADS * FEATURES, OUT_STEP = HEADS * FEATURES;
constexpr int TILE = 96, CHUNK = 256, SCORES = CHUNK + UNIT;

struct Job {
    const float *tokens;    // (sequences, T, 3, HEADS, FEATURES): queries, keys and values
    float *outputs;         // (sequences, T, HEADS, FEATURES)
    float *statistics;      // (sequences, HEADS, T, 2): maximum of the scores, and 1 / the sum of their exponentials
    const float *upstream;  // gradient of the outputs; null forward
    float *gradient;        // of the tokens
    int num_tokens;
    float scale;            // 1 / √E
};

// Copies rows that are `step` floats apart into rows of ROW floats, with zeros behind them.
static void copy_rows(float *to, const float *from, int rows, int step) {
    for (int row = 0; row < rows; row++, to += ROW, from += step)
        for (int i = 0; i < ROW; i++) to[i] = i < FEATURES ? from[i] : 0.f;
}

static void write_rows(float *to, const float *from, int rows, int step, float factor) {
    for (int row = 0; row < rows; row++, from += ROW, to += step)
        for (int i = 0; i < FEATURES; i++) to[i] = factor * from[i];
}

struct Head {
    const Job &job;
    const int count, whole;  // tokens; and in whole chunks
    const float *query, *key, *value;
    float *statistics;

    Head(const Job &job, int number)
        : job(job), count(job.num_tokens), whole((count + CHUNK - 1) / CHUNK * CHUNK) {
        const size_t sequence = number / HEADS, head = number % HEADS;
        query = job.tokens + sequence * count * STEP + head * FEATURES;
        key = query + HEADS * FEATURES, value = key + HEADS * FEATURES;
        statistics = job.statistics + (size_t)number * count * 2;
    }

    // Scores of `rows` queries and the keys from `first`, which are `transposed` and packed; -∞ beyond the last key.
    int score(int rows, const float *queries, const float *transposed, int first, float *scores) const {
        const int real = at_most(CHUNK, count - first), columns = padded(real);
        const Right keys = {transposed + (size_t)first * FEATURES, 0};
        multiply<STEP, 1>(rows, FEATURES, columns, queries, keys, nullptr, FRESH, scores, SCORES);
        for (int row = 0; row < rows && real < columns; row++)
            for (int j = real; j < columns; j++) scores[row * SCORES + j] = -__builtin_inff();
        return real;
    }

    void forward(Memory memory) const {
        float *const keys = memory.take((size_t)whole * FEATURES), *const values = memory.take((size_t)count * ROW);
        float *const scores = memory.take((size_t)TILE * SCORES * (whole / CHUNK));
        float *const sums = memory.take(TILE * ROW);
        transpose(keys, key, job.scale);
        copy_rows(values, value, count, STEP);
        for (int top = 0; top < count; top += TILE) {
            const int rows = at_most(TILE, count - top);
            for (int first = 0; first < count; first += CHUNK)
                score(rows, query + (size_t)top * STEP, keys, first, scores + (size_t)first / CHUNK * TILE * SCORES);
            for (int row = 0; row < rows; row++) normalise(scores + row * SCORES, statistics + (size_t)(top + row) * 2);
            for (int first = 0; first < count; first += CHUNK)
                multiply<SCORES, 1>(rows, at_most(CHUNK, count - first), E,
                                    scores + (size_t)first / CHUNK * TILE * SCORES, {values + (size_t)first * ROW, ROW},
                                    nullptr, first ? ADD : FRESH, sums, ROW);
            for (int row = 0; row < rows; row++) {
                const float factor = statistics[(size_t)(top + row) * 2 + 1];
                float *to = job.outputs + output(top + row);
                for (int i = 0; i < FEATURES; i++) to[i] = factor * sums[row * ROW + i];
            }
        }
    }

    // Packs the transpose of keys or values, chunk by chunk.
    void transpose(float *packed, const float *matrix, float factor) const {
        for (int first = 0; first < count; first += CHUNK)
            pack(packed + (size_t)first * FEATURES, FEATURES, FEATURES, at_most(CHUNK, count - first),
                 matrix + (size_t)first * STEP, 1, STEP, factor);
    }

    size_t output(int token) const {
        return (query - job.tokens) / STEP * (size_t)OUT_STEP + (query - job.tokens) % STEP + (size_t)token * OUT_STEP;
    }

    // Replaces the scores of one query by exponentials over their greatest.
    void normalise(float *scores, float *of_query) const {
        Vector most = all(-__builtin_inff()), total = {};
        each_chunk(scores, [&](Vector &x) { most = larger(x, most); });
        float top = most[0];
        for (int i = 1; i < LANES; i++) top = most[i] > top ? most[i] : top;
        each_chunk(scores, [&](Vector &x) { x = exponential(x - all(top)), total += x; });
        of_query[0] = top, of_query[1] = 1 / sum_of(total);
    }

    template <class Act> void each_chunk(float *scores, Act act) const {
        for (int first = 0; first < count; first += CHUNK, scores += TILE * SCORES)
            for (int j = 0; j < padded(at_most(CHUNK, count - first)); j += LANES) act(*(Vector *)(scores + j));
    }

    void backward(Memory memory) const {
        float *const keys = memory.take((size_t)whole * FEATURES);
        float *const values = memory.take((size_t)whole * FEATURES);
        float *const key_rows = memory.take((size_t)count * ROW);
        float *const key_sums = memory.take((size_t)count * ROW), *const value_sums = memory.take((size_t)count * ROW);
        float *const scores = memory.take(TILE * SCORES), *const slopes = memory.take(TILE * SCORES);
        float *const queries = memory.take(TILE * ROW), *const upstream = memory.take(TILE * ROW);
        float *const query_sums = memory.take(TILE * ROW);
        transpose(keys, key, job.scale), transpose(values, value, 1);
        copy_rows(key_rows, key, count, STEP);
        __builtin_memset((void *)key_sums, 0, (size_t)count * ROW * sizeof(float));
        __builtin_memset((void *)value_sums, 0, (size_t)count * ROW * sizeof(float));
        float *const gradient = job.gradient + (query - job.tokens);
        float shares[TILE];
        for (int top = 0; top < count; top += TILE) {
            const int rows = at_most(TILE, count - top);
            const float *const from = query + (size_t)top * STEP;
            copy_rows(queries, from, rows, STEP);
            copy_rows(upstream, job.upstream + output(top), rows, OUT_STEP);
            for (int row = 0; row < rows; row++) {
                shares[row] = 0;
                const float *const out = job.outputs + output(top + row);
                for (int i = 0; i < FEATURES; i++) shares[row] += upstream[row * ROW + i] * out[i];
            }
            for (int first = 0; first < count; first += CHUNK) {
                const int real = score(rows, from, keys, first, scores), columns = padded(real);
                const size_t place = (size_t)first * ROW;
                multiply<ROW, 1>(rows, FEATURES, columns, upstream, {values + (size_t)first * FEATURES, 0}, nullptr,
                                 FRESH, slopes, SCORES);
                for (int row = 0; row < rows; row++) {
                    const float *of_query = statistics + (size_t)(top + row) * 2;
                    for (int j = row * SCORES; j < row * SCORES + columns; j += LANES) {
                        Vector &weight = *(Vector *)(scores + j), &slope = *(Vector *)(slopes + j);
                        weight = exponential(weight - all(of_query[0])) * all(of_query[1]);
                        slope = weight * (slope - all(shares[row]));
                    }
                }
                multiply<1, SCORES>(real, rows, E, scores, {upstream, ROW}, nullptr, ADD, value_sums + place, ROW);
                multiply<1, SCORES>(real, rows, E, slopes, {queries, ROW}, nullptr, ADD, key_sums + place, ROW);
                multiply<SCORES, 1>(rows, real, E, slopes, {key_rows + place, ROW}, nullptr, first ? ADD : FRESH,
                                    query_sums, ROW);
            }
            write_rows(gradient + (size_t)top * STEP, query_sums, rows, STEP, job.scale);
        }
        write_rows(gradient + HEADS * FEATURES, key_sums, count, STEP, job.scale);
        write_rows(gradient + 2 * HEADS * FEATURES, value_sums, count, STEP, 1);
    }
};

extern "C" {
// Memory of a thread.
long long bytes_per_thread(int num_tokens) {
    const long long whole = (num_tokens + CHUNK - 1) / CHUNK * CHUNK;
    const long long forward = whole * (E + ROW + TILE * SCORES / CHUNK) + TILE * ROW;
    const long long backward = whole * (2 * E + 3 * ROW) + TILE * (2 * SCORES + 3 * ROW);
    return sizeof(float) * ((forward > backward ? forward : backward) + 16 * UNIT);
}

// Serves the heads `first`, …, `last` - 1 of all sequences. `memory` begins on a multiple of 64.
void run(const Job *job, float *memory, int first, int last) {
    for (int number = first; number < last; number++)
        if (job->upstream)
            Head(*job, number).backward({memory});
        else
            Head(*job, number).forward({memory});
}
}
