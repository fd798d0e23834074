// Eight floats at a time (AVX2's width; on wider machines the compiler pairs them), written with the compiler's vector
// extensions: the same source gives the same bits on every x86-64-v3 machine.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

constexpr int LANES = 8;
typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));
#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

// Minimax on [-1/2, 1/2]: sin(πr)/r and (cos(πr) - 1)/r² as polynomials in r².
constexpr float SINE_0 = 3.141592640e+00f, SINE_1 = -5.167710090e+00f, SINE_2 = 2.550077660e+00f;
constexpr float SINE_3 = -5.982921605e-01f, SINE_4 = 7.765941047e-02f;
constexpr float COSINE_1 = -4.934802197e+00f, COSINE_2 = 4.058711418e+00f, COSINE_3 = -1.335240022e+00f;
constexpr float COSINE_4 = 2.350747612e-01f, COSINE_5 = -2.462789779e-02f;

INLINE Vector all(float x) { return x - (Vector){}; }

constexpr int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

INLINE float sum(Vector x) {  // in pairs, always in this order
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

INLINE Vector square_root(Vector x) {
    Vector root;
    for (int i = 0; i < LANES; i++) root[i] = __builtin_sqrtf(x[i]);
    return root;
}

// sin(πx) and cos(πx) together. Adding and subtracting 1.5·2²³ rounds x to the nearest integer k exactly; what is left,
// r in [-1/2, 1/2], goes through two minimax polynomials (error below 3e-7); both results change sign where k is odd.
INLINE void sine_cosine(Vector x, Vector &sine, Vector &cosine) {
    const Vector shifted = x + all(12582912.f), r = x - (shifted - all(12582912.f));
    const Integers odd = (Integers)shifted << 31;
    const Vector q = r * r;
    Vector s = q * all(SINE_4) + all(SINE_3), c = q * all(COSINE_5) + all(COSINE_4);
    s = q * s + all(SINE_2), c = q * c + all(COSINE_3);
    s = q * s + all(SINE_1), c = q * c + all(COSINE_2);
    s = q * s + all(SINE_0), c = q * c + all(COSINE_1);
    s = s * r, c = q * c + all(1.f);
    sine = (Vector)((Integers)s ^ odd);
    cosine = (Vector)((Integers)c ^ odd);
}

// Eight sums at once: lane i of the result is the sum of rows[i]. Three rounds of shuffles instead of eight sums.
INLINE Vector sums(const Vector *rows) {
    Vector pairs[4], fours[2];
    for (int i = 0; i < 4; i++)
        pairs[i] = __builtin_shuffle(rows[2 * i], rows[2 * i + 1], (Integers){0, 8, 2, 10, 4, 12, 6, 14}) +
                   __builtin_shuffle(rows[2 * i], rows[2 * i + 1], (Integers){1, 9, 3, 11, 5, 13, 7, 15});
    for (int i = 0; i < 2; i++)
        fours[i] = __builtin_shuffle(pairs[2 * i], pairs[2 * i + 1], (Integers){0, 1, 8, 9, 4, 5, 12, 13}) +
                   __builtin_shuffle(pairs[2 * i], pairs[2 * i + 1], (Integers){2, 3, 10, 11, 6, 7, 14, 15});
    return __builtin_shuffle(fours[0], fours[1], (Integers){0, 1, 2, 3, 8, 9, 10, 11}) +
           __builtin_shuffle(fours[0], fours[1], (Integers){4, 5, 6, 7, 12, 13, 14, 15});
}

// eˣ: 2ᵏ goes into the exponent bits, 2ᶠ with f in [-1/2, 1/2] is a Taylor polynomial (error 1e-8). Below e⁻⁸⁷ it is e⁻⁸⁷.
INLINE Vector exponential(Vector x) {
    const Integers low = x < all(-87.f), high = x > all(88.f);
    x = (Vector)(((Integers)x & ~(low | high)) | ((Integers)all(-87.f) & low) | ((Integers)all(88.f) & high));
    const Vector t = x * all(1.44269504f), shifted = t + all(12582912.f), f = t - (shifted - all(12582912.f));
    Vector p = f * all(1.525273e-5f) + all(1.540353e-4f);
    p = f * p + all(1.333355815e-3f);
    p = f * p + all(9.618129108e-3f);
    p = f * p + all(5.550410866e-2f);
    p = f * p + all(2.402265070e-1f);
    p = f * p + all(6.931471806e-1f);
    p = f * p + all(1.f);
    return p * (Vector)(((Integers)shifted + 127 - 0x4B400000) << 23);
}
