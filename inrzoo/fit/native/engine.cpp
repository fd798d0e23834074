// Fits INRs, one in one core from the first step to the last: weights, gradients, both moments and one tile of
// activations stay in its cache; nothing is shared while a fit runs, so a result depends on its INR alone.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>
#include "layout.h"  // written by fused_cpu.py
#if FILTERS
#include "mfn.h"
#else
#include "mlp.h"
#endif

struct Job {
    const float *inputs;   // (num_coords, IN)
    const float *targets;  // (num_inrs, num_coords, OUT)
    const float *starts;   // (num_inrs, P)
    const int *snapshots;  // (num_snapshots), ascending; the last one is the length of the fit
    float *weights;        // (num_inrs, num_snapshots, P)
    float *losses;         // (num_inrs, num_snapshots)
    int *steps;            // (num_inrs, num_snapshots)
    int num_inrs, num_coords, num_params, num_snapshots;
    double lr;
    float stop_loss;  // below 0 for never
};

static void fit_one(const Job &job, const float *inputs, int inr, Network &network) {
    const int count = job.num_coords, rounded = padded(count);
    const float *target = job.targets + (size_t)inr * count * OUT;
    network.load(job.starts + (size_t)inr * job.num_params);
    Adam adam;
    const Vector share = all(2.f / ((float)count * OUT));
    for (int step = 0, kept = 0;; step++) {
        network.prepare();
        Vector squares = (Vector){};
        for (int first = 0; first < rounded; first += TILE) {
            const int rows = rounded - first < TILE ? rounded - first : TILE;
            network.forward(rows, inputs + (size_t)first * IN);
            for (int o = 0; o < OUT; o++)
                for (int row = 0; row < rows; row += LANES) {
                    Vector error = *(Vector *)(network.output.values[o] + row);
                    for (int i = 0; i < LANES; i++) {
                        const int coord = first + row + i;
                        error[i] = coord < count ? error[i] - target[(size_t)coord * OUT + o] : 0.f;
                    }
                    squares += error * error;
                    *(Vector *)(network.output.residual[o] + row) = error * share;
                }
            network.backward(rows, inputs + (size_t)first * IN);
        }
        const float loss = sum(squares) / ((float)count * OUT);
        const bool stop = loss <= job.stop_loss || !std::isfinite(loss);
        while (kept < job.num_snapshots && (job.snapshots[kept] == step || stop)) {
            const size_t at = (size_t)inr * job.num_snapshots + kept++;
            network.store(job.weights + at * job.num_params);
            job.losses[at] = loss;
            job.steps[at] = step;
        }
        if (kept == job.num_snapshots) return;
        network.step(adam, job.lr);
    }
}

extern "C" void fit(const Job *job, int num_threads) {
    // Rows beyond the last coordinate repeat it; their residuals are zero.
    std::vector<float> inputs((size_t)padded(job->num_coords) * IN);
    for (int row = 0; row < padded(job->num_coords); row++)
        for (int k = 0; k < IN; k++)
            inputs[(size_t)row * IN + k] =
                job->inputs[(size_t)(row < job->num_coords ? row : job->num_coords - 1) * IN + k];
    std::atomic<int> next{0};
    auto work = [&] {
        auto network = std::make_unique<Network>();
        for (int inr; (inr = next++) < job->num_inrs;) fit_one(*job, inputs.data(), inr, *network);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < num_threads; i++) others.emplace_back(work);
    work();
    for (auto &thread : others) thread.join();
}

extern "C" long long bytes_per_thread() { return sizeof(Network); }
