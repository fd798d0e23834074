// What this processor can do at best: fused multiply-adds and sincos, with registers of BYTES bytes (32 or 64).
// Needs no library; threads and clock are the caller's.
#include <stdint.h>

#ifndef BYTES
#define BYTES 32
#endif
constexpr int LANES = BYTES / 4;
typedef float Vector __attribute__((vector_size(BYTES)));
typedef int32_t Integers __attribute__((vector_size(BYTES)));
#define INLINE static inline __attribute__((always_inline))

// The compiler has to believe that x is read and changed here: what depends on it can be neither precomputed nor dropped.
#if BYTES == 64
#define OPAQUE(x) asm volatile("" : "+v"(x))
#else
#define OPAQUE(x) asm volatile("" : "+x"(x))
#endif

INLINE Vector all(float x) { return x - (Vector){}; }

// x ← x a + b; the result counts floating-point operations. An FMA takes 4 cycles and two start in each: 8 independent chains
// keep both units busy, 12 do so with some to spare and still leave room for a and b in 16 registers.
extern "C" long multiply_add(long repetitions) {
    constexpr int CHAINS = 12;
    Vector x[CHAINS], a = all(0.999f), b = all(1e-4f);
    OPAQUE(a);
    OPAQUE(b);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) x[i] = all(1e-3f * i);
    for (long r = 0; r < repetitions; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) x[i] = x[i] * a + b;
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) OPAQUE(x[i]);  // all results are wanted
    return 2L * CHAINS * LANES * repetitions;
}

// sin(πx) and cos(πx) by the operations of the engine (fit/native/vector.h, where they are explained). Here they are written
// again because the engine's have one width.
INLINE void sine_cosine(Vector x, Vector &sine, Vector &cosine) {
    const Vector shifted = x + all(12582912.f), r = x - (shifted - all(12582912.f));
    const Integers odd = (Integers)shifted << 31;
    const Vector q = r * r;
    Vector s = q * all(7.765941047e-02f) + all(-5.982921605e-01f), c = q * all(-2.462789779e-02f) + all(2.350747612e-01f);
    s = q * s + all(2.550077660e+00f), c = q * c + all(-1.335240022e+00f);
    s = q * s + all(-5.167710090e+00f), c = q * c + all(4.058711418e+00f);
    s = q * s + all(3.141592640e+00f), c = q * c + all(-4.934802197e+00f);
    s = s * r, c = q * c + all(1.f);
    sine = (Vector)((Integers)s ^ odd);
    cosine = (Vector)((Integers)c ^ odd);
}

// Pairs (sin, cos), which the result counts, from one array in the L1 cache into two others, as an engine's tile of activations lies.
extern "C" long sine_cosine_pairs(long repetitions) {
    constexpr int COUNT = 64;
    alignas(64) Vector x[COUNT], sines[COUNT], cosines[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = all(-20.f + 40.f * i / COUNT);
    for (long r = 0; r < repetitions; r++) {
        for (int i = 0; i < COUNT; i++) sine_cosine(x[i], sines[i], cosines[i]);
        asm volatile("" : : "r"(x), "r"(sines), "r"(cosines) : "memory");
    }
    return long(COUNT) * LANES * repetitions;
}

// sin(πx) and cos(πx) of LANES numbers, for a test.
extern "C" void sincos_of(const float *x, float *sine, float *cosine) {
    Vector in, s, c;
    __builtin_memcpy(&in, x, BYTES);
    sine_cosine(in, s, c);
    __builtin_memcpy(sine, &s, BYTES);
    __builtin_memcpy(cosine, &c, BYTES);
}
