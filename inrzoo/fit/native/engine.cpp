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

struct Job {
    const float *inputs;   // (padded(num_coords), IN); rows beyond the last coordinate repeat it, their residuals are zero
    const float *targets;  // (num_inrs, num_coords, OUT); null where only values are asked for
    const float *starts;   // (num_inrs, P)
    const int *snapshots;  // (num_snapshots), ascending; the last one is the length of the fit
    float *weights;        // (num_inrs, num_snapshots, P)
    float *losses;         // (num_inrs, num_snapshots)
    int *steps;            // (num_inrs, num_snapshots)
    int num_inrs, num_coords, num_params, num_snapshots;
    int run, axis;  // of a grid, see waves.h; run is 0 for scattered coordinates
    int regulariser;
    double regulariser_weight;
    const double *frequency_limit;  // (IN)
    double lr;
    float stop_loss;                 // below 0 for never
    const volatile int *called_off;  // looked at before every step
    int next;                        // the first INR that no thread has taken
};

// What one thread works in.
struct Worker {
    const Job &job;
    const Coords coords;
    Network *const network;
    Vector *const tables;
    float *const targets;  // of one INR, channel by channel, (OUT, padded(num_coords))

    // `memory` begins on a multiple of 64.
    Worker(const Job &job, char *memory)
        : job(job), coords{job.inputs, job.num_coords, run(job), job.axis}, network((Network *)memory),
          tables((Vector *)(memory + sizeof(Network))), targets((float *)(memory + sizeof(Network) + MOST_TABLE)) {}

    static int run(const Job &job) {
        return (size_t)WAVES * 2 * job.run * H * sizeof(float) <= MOST_TABLE ? job.run : 0;
    }

    void load(int inr) {
        const float *target = job.targets + (size_t)inr * job.num_coords * OUT;
        for (int o = 0; o < OUT && job.targets; o++)
            for (int k = 0; k < job.num_coords; k++)
                targets[(size_t)o * padded(job.num_coords) + k] = target[(size_t)k * OUT + o];
        __builtin_memset((void *)network, 0, sizeof(Network));
        const float *flat = job.starts + (size_t)inr * job.num_params;
        network->each([&](int place, double scale, double) { network->weights[place] = (float)(*flat++ * scale); });
    }

    // The loss of the weights as they are, their gradient added to the network's.
    float pass() {
        const int count = job.num_coords, rounded = padded(count);
        const Eight share = eight(2.f / ((float)count * OUT));
        Eight squares = {};
        network->prepare(coords, tables);
        for (int first = 0; first < rounded; first += TILE) {
            const int rows = rounded - first < TILE ? rounded - first : TILE;
            network->forward(first, rows, coords);
            for (int o = 0; o < OUT; o++)
                for (int row = 0; row < rows; row += 8) {
                    Eight error = *(Eight *)(network->output.values[o] + row) -
                                  *(Eight *)(targets + (size_t)o * rounded + first + row);
                    for (int i = count - first - row; i < 8; i++) error[i] = 0;  // rows beyond the last coordinate
                    squares = fma(error, error, squares);
                    *(Eight *)(network->output.residual[o] + row) = error * share;
                }
            network->backward(first, rows, coords);
        }
        return sum(squares) / ((float)count * OUT);
    }

    void fit(int inr) {
        load(inr);
        Adam adam;
        for (int step = 0, kept = 0;; step++) {
            const float loss = pass();
            const bool stop = loss <= job.stop_loss || !__builtin_isfinite(loss);
            while (kept < job.num_snapshots && (job.snapshots[kept] == step || stop)) {
                const size_t at = (size_t)inr * job.num_snapshots + kept++;
                float *flat = job.weights + at * job.num_params;
                network->each([&](int place, double scale, double) { *flat++ = (float)(network->weights[place] / scale); });
                job.losses[at] = loss;
                job.steps[at] = step;
            }
            if (kept == job.num_snapshots || *job.called_off) return;
#if FILTERS
            const AntiAlias wanted{job.regulariser, job.regulariser_weight, job.frequency_limit};
            add_penalty_gradient(*network, wanted);
            network->step(adam, job.lr);
            project(*network, wanted);
#else
            network->step(adam, job.lr);
#endif
        }
    }

    // Values, (num_coords, OUT), in place of a fit.
    void evaluate(int inr) {
        load(inr);
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
        job.losses[inr] = pass();
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
    for (int inr; (inr = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->num_inrs && !*job->called_off;)
        task == FIT ? worker.fit(inr) : task == DIFFERENTIATE ? worker.differentiate(inr) : worker.evaluate(inr);
}

extern "C" long long bytes_per_thread(int num_coords) {
    return sizeof(Network) + MOST_TABLE + (long long)padded(num_coords) * OUT * sizeof(float);
}
