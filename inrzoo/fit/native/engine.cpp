// Fits INRs, one in one core from the first step to the last: weights, gradients, both moments and one tile of
// activations stay in its cache; nothing is shared while a fit runs, so a result depends on its INR alone.
//
// Needs no library, so that any C++ compiler can make it without one: threads and memory are the caller's.
#include "layout.h"  // written by fused_cpu.py
#if FILTERS
#include "antialias.h"
#else
#include "mlp.h"
#endif
#include "rays.h"

enum Loss { SQUARED_ERROR, BINARY_CROSS_ENTROPY };

struct Job {
    const float *inputs;   // (padded(num_coords), IN); rows beyond the last coordinate repeat it, their residuals are zero.
                           // Of radiance fields the rays, (num_inrs, padded(num_coords), RAY)
    const float *targets;  // (num_inrs, num_coords, channels()); null where only values are asked for
    const float *starts;   // (num_inrs, P)
    const int *snapshots;  // (num_snapshots), ascending; the last one is the length of the fit
    float *weights;        // (num_inrs, num_snapshots, P)
    float *losses;         // (num_inrs, num_snapshots)
    int *steps;            // (num_inrs, num_snapshots)
    float *first_losses;   // (num_inrs), of the starts
    const double *rates;   // (num_rates), the learning rate of each step; the last one is that of all later steps
    const double *factors; // of the learning rate of each tensor
    const float *point_weights;  // (num_inrs, num_coords), their mean is 1; null where all are equal
    const uint64_t *keys;        // (num_inrs), of the draws; null where none are made
    long long inputs_stride;     // from one INR's inputs to the next one's; 0 where all share them
    int num_inrs, num_coords, num_params, num_snapshots, num_rates;
    int run, axis;  // of a grid, see waves.h; run is 0 for scattered coordinates
    int loss, num_drawn, evaluate_every;  // num_drawn is 0 where each step takes all coordinates
    int regulariser;
    double regulariser_weight;
    const double *frequency_limit;  // (IN)
    double weight_decay, max_grad_norm;  // the latter is 0 for no limit
    float stop_loss;                 // below 0 for never
    const volatile int *cancelled;  // looked at before every step
    int next;                        // the first INR that no thread has taken
    Volume volume;                   // of radiance fields; `samples` is 0 for others

    int channels() const { return OUT - (volume.samples > 0); }
};

// Where an INR is compared with its signal: inputs, and target values and weights that begin each on a multiple of 64.
struct Points {
    Coords coords;
    float *targets;        // channel by channel, (OUT, padded(count))
    float *point_weights;  // padded(count); null where all are equal
};

constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Memory for `count` points: targets, weights if they have any and, for points that are drawn, `width` inputs.
constexpr size_t bytes_of_points(int count, bool weighted, int width) {
    return aligned((size_t)padded(count) * (OUT + weighted + width) * sizeof(float));
}

// Inputs of a point that is drawn: of a ray, also the place of its samples in their intervals.
constexpr int drawn_width(int samples) { return samples ? RAY + 1 : IN; }

// Philox4x32-10 (Salmon et al. 2011), the first word, as in fit/subsets.py.
INLINE uint32_t philox(uint64_t key, uint32_t position, uint32_t step, uint32_t stream = 0) {
    uint32_t a = position, b = step, c = stream, d = 0, key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++, key_0 += 0x9E3779B9u, key_1 += 0xBB67AE85u) {
        const uint64_t first = (uint64_t)a * 0xD2511F53u, second = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(second >> 32) ^ b ^ key_0, b = (uint32_t)second;
        c = (uint32_t)(first >> 32) ^ d ^ key_1, d = (uint32_t)first;
    }
    return a;
}

// What one thread works in.
struct Worker {
    const Job &job;
    Network *const network;
    Vector *const tables;
    Points all, drawn;
    float *places;     // of the samples of the rays that are drawn
    float *positions;  // of the samples of a tile, (TILE, IN)

    // `memory` begins on a multiple of 64.
    Worker(const Job &job, char *memory)
        : job(job), network((Network *)memory), tables((Vector *)(memory + sizeof(Network))), all(), drawn(), places(), positions() {
        float *free = (float *)(memory + sizeof(Network) + MOST_TABLE);
        all.coords = {job.inputs, job.num_coords, run(job), job.axis};
        take(all, free, job.num_coords);
        free = (float *)((char *)free + bytes_of_points(job.num_coords, job.point_weights, 0));
        if (job.volume.samples) positions = free, free = (float *)((char *)free + bytes_of_positions(job.volume.samples));
        if (!job.num_drawn) return;
        const int rounded = padded(job.num_drawn), width = drawn_width(job.volume.samples);
        drawn.coords = {free, job.num_drawn, 0, 0};
        if (job.volume.samples) places = free + (size_t)rounded * RAY;
        take(drawn, free + (size_t)rounded * width, job.num_drawn);
    }

    static constexpr size_t bytes_of_positions(int samples) { return samples ? aligned(sizeof(float) * TILE * IN) : 0; }

    void take(Points &points, float *memory, int count) const {
        points.targets = memory;
        points.point_weights = job.point_weights ? memory + (size_t)OUT * padded(count) : nullptr;
    }

    static int run(const Job &job) {
        return (size_t)WAVES * 2 * job.run * H * sizeof(float) <= MOST_TABLE ? job.run : 0;
    }

    void load(int inr) {
        const int channels = job.channels();
        const float *target = job.targets + (size_t)inr * job.num_coords * channels;
        all.coords.inputs = job.inputs + (size_t)inr * job.inputs_stride;
        for (int o = 0; o < channels && job.targets; o++)
            for (int k = 0; k < job.num_coords; k++)
                all.targets[(size_t)o * padded(job.num_coords) + k] = target[(size_t)k * channels + o];
        for (int k = 0; k < job.num_coords && all.point_weights; k++)
            all.point_weights[k] = job.point_weights[(size_t)inr * job.num_coords + k];
        __builtin_memset((void *)network, 0, sizeof(Network));
        const float *flat = job.starts + (size_t)inr * job.num_params;
        network->each([&](int place, double scale, double) { network->weights[place] = (float)(*flat++ * scale); });
    }

    // The points of one step.
    void draw(int inr, int step) {
        float *inputs = (float *)drawn.coords.inputs;
        const int count = job.num_drawn, rounded = padded(count), channels = job.channels();
        const int width = places ? RAY : IN;
        for (int i = 0; i < rounded; i++) {
            const uint32_t word = philox(job.keys[inr], i < count ? i : count - 1, step);
            const size_t k = (size_t)((uint64_t)word * (uint32_t)job.num_coords >> 32);
            for (int d = 0; d < width; d++) inputs[(size_t)i * width + d] = all.coords.inputs[k * width + d];
            if (places) places[i] = (float)(philox(job.keys[inr], i, step, 1) >> 8) * 0x1p-24f;
            for (int o = 0; o < channels; o++)
                drawn.targets[(size_t)o * rounded + i] = all.targets[(size_t)o * padded(job.num_coords) + k];
            if (drawn.point_weights) drawn.point_weights[i] = all.point_weights[k];
        }
    }

    // The loss of the weights as they are; with `gradient` the loss's is added to the network's.
    float pass(const Points &points, bool gradient) {
        if (positions) return pass_rays(points, gradient);
        const Coords &coords = points.coords;
        const int count = coords.count, rounded = padded(count);
        const bool squared = job.loss == SQUARED_ERROR;
        const Eight share = eight((squared ? 2.f : 1.f) / ((float)count * OUT));
        Eight total = {};
        network->prepare(coords, tables);
        for (int first = 0; first < rounded; first += TILE) {
            const int rows = rounded - first < TILE ? rounded - first : TILE;
            network->forward(first, rows, coords);
            for (int o = 0; o < OUT; o++)
                for (int row = 0; row < rows; row += 8) {
                    const Eight value = *(Eight *)(network->output.values[o] + row);
                    const Eight target = *(Eight *)(points.targets + (size_t)o * rounded + first + row);
                    Eight error, slope, factor = share;  // squared, or the loss itself; half of, or its derivative
                    if (squared)
                        error = slope = value - target;
                    else {
                        softplus(value, error, slope);
                        error -= target * value, slope -= target;
                    }
                    for (int i = count - first - row; i < 8; i++) error[i] = slope[i] = 0;  // beyond the last coordinate
                    Eight weighted = error;
                    if (points.point_weights) {  // of rows beyond the last coordinate: whatever is there, times 0
                        Eight weight = *(Eight *)(points.point_weights + first + row);
                        for (int i = count - first - row; i < 8; i++) weight[i] = 0;
                        weighted = error * weight, factor = share * weight;
                    }
                    total = squared ? fma(weighted, error, total) : total + weighted;
                    if (gradient) *(Eight *)(network->output.residual[o] + row) = slope * factor;
                }
            if (gradient) network->backward(first, rows, coords);
        }
        return sum(total) / ((float)count * OUT);
    }

    // `pass` where a point is a ray: of as many rays at once as fit into a tile.
    float pass_rays(const Points &points, bool gradient) {
        const Volume &volume = job.volume;
        const int count = points.coords.count, rounded = padded(count), channels = OUT - 1, samples = volume.samples;
        const bool jitter = &points == &drawn;
        const Coords tile{positions, TILE, 0, 0};
        const float share = 2.f / ((float)count * channels);
        static_assert(sizeof(Medium<OUT, TILE>) < 1 << 16, "on the stack");
        Medium<OUT, TILE> medium;
        alignas(64) float lengths[TILE];
        double total = 0;
        network->prepare(tile, tables);
        for (int ray = 0; ray < count;) {
            int members[TILE], rays = 0, rows = 0;
            for (; ray < count && rows + samples <= TILE; ray++) {
                const float *own = points.coords.inputs + (size_t)ray * RAY;
                const float length = sample_ray<IN>(own, jitter ? places[ray] : 0.5f, volume, positions + rows * IN);
                if (length > 0) {
                    for (int i = 0; i < samples; i++) lengths[rows + i] = length;
                    members[rays++] = ray, rows += samples;
                    continue;
                }
                for (int o = 0; o < channels; o++) {  // it misses the cube, and so has no gradient
                    const float error = volume.background - points.targets[(size_t)o * rounded + ray];
                    total += (double)((points.point_weights ? points.point_weights[ray] : 1.f) * error * error);
                }
            }
            if (!rays) continue;
            const int whole = padded(rows);
            for (int row = rows; row < whole; row++) {
                lengths[row] = 0;
                for (int d = 0; d < IN; d++) positions[row * IN + d] = positions[(rows - 1) * IN + d];
                for (int o = 0; o < OUT; o++) network->output.residual[o][row] = 0;
            }
            network->forward(0, whole, tile);
            medium.take(network->output.values, lengths, whole, volume);
            for (int member = 0; member < rays; member++) {
                float slope[OUT];
                const float weight = points.point_weights ? points.point_weights[members[member]] : 1.f;
                medium.composite(member * samples, volume, slope);
                for (int o = 0; o < channels; o++) {
                    const float error = slope[o] - points.targets[(size_t)o * rounded + members[member]];
                    total += (double)(weight * error * error);
                    slope[o] = share * weight * error;
                }
                if (gradient) medium.differentiate(member * samples, volume, slope, network->output.residual);
            }
            if (gradient) network->backward(0, whole, tile);
        }
        return (float)(total / ((double)count * channels));
    }

    // The gradient by the INR's own parameters, no longer than `max_grad_norm`.
    void clip() {
        double squares = 0;
        network->each([&](int place, double scale, double slope) {
            const double own = network->gradient[place] * scale * slope;
            squares += own * own;
        });
        const double norm = __builtin_sqrt(squares) + 1e-6;
        if (!(norm > job.max_grad_norm)) return;
        const float factor = (float)(job.max_grad_norm / norm);
        for (int i = 0; i < SIZE; i++) network->gradient[i] *= factor;
    }

    void fit(int inr) {
        load(inr);
        Adam adam;
        for (int step = 0, kept = 0;; step++) {
            if (!job.num_drawn || (job.evaluate_every && step % job.evaluate_every == 0) || job.snapshots[kept] == step) {
                const float loss = job.num_drawn ? pass(all, false) : pass(all, true);
                if (!step) job.first_losses[inr] = loss;
                const bool stop = loss <= job.stop_loss || !__builtin_isfinite(loss);
                while (kept < job.num_snapshots && (job.snapshots[kept] == step || stop)) {
                    const size_t at = (size_t)inr * job.num_snapshots + kept++;
                    float *flat = job.weights + at * job.num_params;
                    network->each([&](int place, double scale, double) { *flat++ = (float)(network->weights[place] / scale); });
                    job.losses[at] = loss;
                    job.steps[at] = step;
                }
            }
            if (kept == job.num_snapshots || *job.cancelled) return;
            if (job.num_drawn) draw(inr, step), pass(drawn, true);
#if FILTERS
            const AntiAlias wanted{job.regulariser, job.regulariser_weight, job.frequency_limit};
            add_penalty_gradient(*network, wanted);
#endif
            if (job.max_grad_norm > 0) clip();
            network->step(adam, job.rates[step < job.num_rates ? step : job.num_rates - 1], job.factors, job.weight_decay);
#if FILTERS
            project(*network, wanted);
#endif
        }
    }

    // Values, (num_coords, OUT), in place of a fit.
    void evaluate(int inr) {
        load(inr);
        const Coords &coords = all.coords;
        network->prepare(coords, tables);
        float *values = job.weights + (size_t)inr * job.num_coords * OUT;
        for (int first = 0; first < job.num_coords; first += TILE) {
            const int left = job.num_coords - first, rows = left < TILE ? left : TILE;
            network->forward(first, padded(rows), coords);
            for (int row = 0; row < rows; row++)
                for (int o = 0; o < OUT; o++) *values++ = network->output.values[o][row];
        }
    }

    // The first loss and gradient in place of a fit.
    void differentiate(int inr) {
        load(inr);
        job.losses[inr] = pass(all, true);
        float *flat = job.weights + (size_t)inr * job.num_params;
        network->each([&](int place, double scale, double slope) {
            *flat++ = (float)(network->gradient[place] * scale * slope);
        });
    }
};

enum Task { FIT, DIFFERENTIATE, EVALUATE };

// Fits INRs until none is left; threads that are given the same job share them. `memory` is `bytes_per_thread` of this
// thread's own.
extern "C" void run(Job *job, char *memory, int task) {
    Worker worker(*job, memory);
    for (int inr; (inr = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->num_inrs && !*job->cancelled;)
        task == FIT ? worker.fit(inr) : task == DIFFERENTIATE ? worker.differentiate(inr) : worker.evaluate(inr);
}

extern "C" long long bytes_per_thread(int num_coords, int num_drawn, bool weighted, int samples) {
    return sizeof(Network) + MOST_TABLE + bytes_of_points(num_coords, weighted, 0) + Worker::bytes_of_positions(samples) +
           bytes_of_points(num_drawn, weighted, drawn_width(samples));
}

// Samples of a ray that fit into a tile.
extern "C" int most_samples() { return TILE; }
