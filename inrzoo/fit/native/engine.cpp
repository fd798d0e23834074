// Fits INRs, one in one core from the first step to the last: weights, gradients, both moments and one tile of
// activations stay in its cache; nothing is shared while a fit runs, so a result depends on its INR alone.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>
#include "layout.h"  // written by fused_cpu.py
#if FILTERS
#include "antialias.h"
#else
#include "mlp.h"
#endif

struct Job {
    const float *inputs;   // (num_coords, IN)
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
};

struct Freed {
    void operator()(void *memory) const { operator delete(memory, std::align_val_t(64)); }
};

// What one thread works in.
struct Worker {
    const Job &job;
    const Coords coords;
    std::unique_ptr<Network> network = std::make_unique<Network>();
    std::unique_ptr<void, Freed> tables;
    std::vector<float> targets;  // of one INR, channel by channel, (OUT, padded(num_coords))

    Worker(const Job &job, const float *inputs) : job(job), coords{inputs, job.num_coords, run(job), job.axis} {
        tables.reset(operator new(table_bytes(coords.run) + 64, std::align_val_t(64)));
        targets.resize((size_t)padded(job.num_coords) * OUT);
    }
    static size_t table_bytes(int run) { return (size_t)WAVES * 2 * run * H * sizeof(float); }
    static int run(const Job &job) { return table_bytes(job.run) <= MOST_TABLE ? job.run : 0; }

    void load(int inr) {
        const float *target = job.targets + (size_t)inr * job.num_coords * OUT;
        for (int o = 0; o < OUT && job.targets; o++)
            for (int k = 0; k < job.num_coords; k++)
                targets[(size_t)o * padded(job.num_coords) + k] = target[(size_t)k * OUT + o];
        std::memset((void *)network.get(), 0, sizeof(Network));
        const float *flat = job.starts + (size_t)inr * job.num_params;
        network->each([&](int place, double scale, double) { network->weights[place] = (float)(*flat++ * scale); });
    }

    // The loss of the weights as they are, their gradient added to the network's.
    float pass() {
        const int count = job.num_coords, rounded = padded(count);
        const Eight share = eight(2.f / ((float)count * OUT));
        Eight squares = {};
        network->prepare(coords, (Vector *)tables.get());
        for (int first = 0; first < rounded; first += TILE) {
            const int rows = rounded - first < TILE ? rounded - first : TILE;
            network->forward(first, rows, coords);
            for (int o = 0; o < OUT; o++)
                for (int row = 0; row < rows; row += 8) {
                    Eight error = *(Eight *)(network->output.values[o] + row) -
                                  _mm256_loadu_ps(targets.data() + (size_t)o * rounded + first + row);
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
            const bool stop = loss <= job.stop_loss || !std::isfinite(loss);
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
        network->prepare(coords, (Vector *)tables.get());
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

extern "C" void run(const Job *job, int num_threads, int task) {
    // Rows beyond the last coordinate repeat it; their residuals are zero.
    std::vector<float> inputs((size_t)padded(job->num_coords) * IN);
    for (int row = 0; row < padded(job->num_coords); row++)
        for (int k = 0; k < IN; k++)
            inputs[(size_t)row * IN + k] =
                job->inputs[(size_t)(row < job->num_coords ? row : job->num_coords - 1) * IN + k];
    std::atomic<int> next{0};
    auto work = [&] {
        Worker worker(*job, inputs.data());
        for (int inr; (inr = next++) < job->num_inrs && !*job->called_off;)
            task == FIT ? worker.fit(inr) : task == DIFFERENTIATE ? worker.differentiate(inr) : worker.evaluate(inr);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < num_threads; i++) others.emplace_back(work);
    work();
    for (auto &thread : others) thread.join();
}

extern "C" long long bytes_per_thread(int num_coords) {
    return sizeof(Network) + MOST_TABLE + (long long)padded(num_coords) * OUT * sizeof(float);
}
