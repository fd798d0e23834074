// Runs the kernel on a 64-bit Arm processor, or an emulator of one, as a program without libraries.
//
// Reads from standard input: INRs, coordinates, parameters, snapshots, run and axis of the grid (int32), the learning rate
// (float64), inputs, targets and starts (float32), the snapshots (int32). Writes weights and losses (float32).
#include "engine.cpp"

static long call(long number, long first, long second, long third) {
    register long x8 asm("x8") = number, x0 asm("x0") = first, x1 asm("x1") = second, x2 asm("x2") = third;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}

extern "C" __attribute__((no_builtin("memset"))) void *memset(void *target, int value, size_t count) {
    for (size_t i = 0; i < count; i++) ((char *)target)[i] = (char)value;
    return target;
}

alignas(64) static char memory[1 << 26];
static size_t used = 0;

static char *take(size_t count) {
    char *begin = memory + used;
    used += (count + 63) / 64 * 64;
    return begin;
}

template <class T>
static T *read(size_t count) {
    char *begin = take(count * sizeof(T));
    for (size_t done = 0; done < count * sizeof(T);) {
        const long more = call(63, 0, (long)(begin + done), (long)(count * sizeof(T) - done));
        if (more <= 0) call(93, 1, 0, 0);
        done += (size_t)more;
    }
    return (T *)begin;
}

static void write(const void *begin, size_t count) {
    for (size_t done = 0; done < count;) done += (size_t)call(64, 1, (long)begin + (long)done, (long)(count - done));
}

extern "C" void _start() {
    const int *sizes = read<int>(6);
    const int inrs = sizes[0], coords = sizes[1], params = sizes[2], snapshots = sizes[3], cancelled = 0;
    const size_t results = (size_t)inrs * snapshots;
    Job job = {};
    job.num_inrs = inrs, job.num_coords = coords, job.num_params = params, job.num_snapshots = snapshots;
    job.run = sizes[4], job.axis = sizes[5];
    double factors[64];
    for (double &factor : factors) factor = 1;
    job.rates = read<double>(1), job.num_rates = 1, job.factors = factors, job.stop_loss = -1;
    job.inputs = read<float>((size_t)padded(coords) * IN);
    job.targets = read<float>((size_t)inrs * coords * OUT);
    job.starts = read<float>((size_t)inrs * params);
    job.snapshots = read<int>(snapshots);
    job.weights = (float *)take(results * params * sizeof(float));
    job.losses = (float *)take(results * sizeof(float));
    job.steps = (int *)take(results * sizeof(int));
    job.cancelled = &cancelled;
    run(&job, take(bytes_per_thread(coords, 0, false, 0)), FIT);
    write(job.weights, results * params * sizeof(float));
    write(job.losses, results * sizeof(float));
    call(93, 0, 0, 0);
}
