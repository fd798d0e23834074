// Vectors of floats, and the functions a fit needs of them.
//
// Bits: every multiply-add is written as one (`fma`) and the compiler contracts nothing; lanes never mix but in `sum` and
// `sums`, which are over eight lanes everywhere. So the same source gives the same bits on every x86-64-v3 processor,
// by every compiler, and with 512-bit registers too, which are used where there are any. Elsewhere, as on Arm, the
// compiler makes of its own vectors what the processor has (NEON), and of them the same numbers.
#pragma once
#ifdef __AVX2__
#include <immintrin.h>
#endif
#include <stddef.h>
#include <stdint.h>
#include "layout.h"

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))
#define ONCE __attribute__((noinline))  // large, and called from several places: compiled once

constexpr double PI = 3.14159265358979323846;

constexpr int padded(int n) { return (n + 7) / 8 * 8; }

#ifdef __AVX512F__
constexpr int REGISTERS = 32;
#define WIDE (HIDDEN % 16 == 0 || HIDDEN % 16 > 8)
typedef __m512 Wide;
#elif defined __AVX2__
constexpr int REGISTERS = 16;
#define WIDE false
typedef __m256 Wide;
#else
constexpr int REGISTERS = 32;
#define WIDE true
typedef float Wide __attribute__((vector_size(16), may_alias));
#endif

// Eight floats, and a vector along a layer's neurons: of `Wide` where that suits their number.
#ifdef __AVX2__
typedef __m256 Eight;
#else
typedef float Eight __attribute__((vector_size(32), may_alias));
#endif
template <bool wide> struct Registers { typedef Eight Floats; typedef int32_t Integers __attribute__((vector_size(32))); };
template <> struct Registers<true> { typedef Wide Floats; typedef int32_t Integers __attribute__((vector_size(sizeof(Wide)))); };
typedef Registers<WIDE>::Floats Vector;
typedef Registers<WIDE>::Integers Integers;
constexpr int LANES = sizeof(Vector) / sizeof(float);

INLINE Vector all(float x) { return x - (Vector){}; }
INLINE Eight eight(float x) { return x - (Eight){}; }

INLINE float sum(Eight x) {  // in pairs, always in this order
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

// fma(a, b, c) is a b + c, rounded once. sums(rows) are eight sums: lane i of the result is `sum(rows[i])`.
#ifdef __AVX2__
INLINE Eight fma(Eight a, Eight b, Eight c) { return _mm256_fmadd_ps(a, b, c); }
INLINE Eight square_root(Eight x) { return _mm256_sqrt_ps(x); }
#ifdef __AVX512F__
INLINE Wide fma(Wide a, Wide b, Wide c) { return _mm512_fmadd_ps(a, b, c); }
#endif

INLINE Eight sums(const Eight *rows) {  // three rounds of additions instead of eight sums
    const Eight low = _mm256_hadd_ps(_mm256_hadd_ps(rows[0], rows[1]), _mm256_hadd_ps(rows[2], rows[3]));
    const Eight high = _mm256_hadd_ps(_mm256_hadd_ps(rows[4], rows[5]), _mm256_hadd_ps(rows[6], rows[7]));
    return _mm256_permute2f128_ps(low, high, 0x20) + _mm256_permute2f128_ps(low, high, 0x31);
}
#else
#define LANEWISE _Pragma("GCC unroll 8") for (int i = 0; i < (int)(sizeof(Floats) / sizeof(float)); i++)
template <class Floats>
INLINE Floats fma(Floats a, Floats b, Floats c) {
    LANEWISE c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
}
INLINE Eight square_root(Eight x) {
    typedef Eight Floats;
    LANEWISE x[i] = __builtin_sqrtf(x[i]);
    return x;
}
INLINE Eight sums(const Eight *rows) {
    typedef Eight Floats;
    Eight result;
    LANEWISE result[i] = sum(rows[i]);
    return result;
}
#endif

// Minimax on [-1/2, 1/2]: sin(πr)/r and (cos(πr) - 1)/r² as polynomials in r².
constexpr float SINE_0 = 3.141592640e+00f, SINE_1 = -5.167710090e+00f, SINE_2 = 2.550077660e+00f;
constexpr float SINE_3 = -5.982921605e-01f, SINE_4 = 7.765941047e-02f;
constexpr float COSINE_1 = -4.934802197e+00f, COSINE_2 = 4.058711418e+00f, COSINE_3 = -1.335240022e+00f;
constexpr float COSINE_4 = 2.350747612e-01f, COSINE_5 = -2.462789779e-02f;
constexpr float ROUNDING = 12582912.f;  // 1.5·2²³: adding and subtracting it rounds to the nearest integer, exactly

// sin(πx) and cos(πx) together. x = k + r with k an integer and r in [-1/2, 1/2]; r goes through two minimax
// polynomials (error below 3e-7), and both results change sign where k is odd.
INLINE void sine_cosine(Vector x, Vector &sine, Vector &cosine) {
    const Vector shifted = x + all(ROUNDING), r = x - (shifted - all(ROUNDING));
    const Integers odd = (Integers)shifted << 31;
    const Vector q = r * r;
    Vector s = fma(q, all(SINE_4), all(SINE_3)), c = fma(q, all(COSINE_5), all(COSINE_4));
    s = fma(q, s, all(SINE_2)), c = fma(q, c, all(COSINE_3));
    s = fma(q, s, all(SINE_1)), c = fma(q, c, all(COSINE_2));
    s = fma(q, s, all(SINE_0)), c = fma(q, c, all(COSINE_1));
    s = s * r, c = fma(q, c, all(1.f));
    sine = (Vector)((Integers)s ^ odd);
    cosine = (Vector)((Integers)c ^ odd);
}

// eˣ: 2ᵏ goes into the exponent bits, 2ᶠ with f in [-1/2, 1/2] is a Taylor polynomial (error 1e-8). Below e⁻⁸⁷ it is e⁻⁸⁷.
template <class Floats, class Ints>
INLINE Floats exponential_of(Floats x) {
    auto each = [](float number) __attribute__((always_inline)) { return number - (Floats){}; };
    const Ints low = x < each(-87.f), high = x > each(88.f);
    x = (Floats)(((Ints)x & ~(low | high)) | ((Ints)each(-87.f) & low) | ((Ints)each(88.f) & high));
    const Floats t = x * each(1.44269504f), shifted = t + each(ROUNDING), f = t - (shifted - each(ROUNDING));
    Floats p = fma(f, each(1.525273e-5f), each(1.540353e-4f));
    p = fma(f, p, each(1.333355815e-3f));
    p = fma(f, p, each(9.618129108e-3f));
    p = fma(f, p, each(5.550410866e-2f));
    p = fma(f, p, each(2.402265070e-1f));
    p = fma(f, p, each(6.931471806e-1f));
    p = fma(f, p, each(1.f));
    return p * (Floats)(((Ints)shifted + 127 - 0x4B400000) << 23);
}
INLINE Vector exponential(Vector x) { return exponential_of<Vector, Integers>(x); }

// log(1 + eˣ) and its slope 1 / (1 + e⁻ˣ). With u = e^-|x| in (0, 1] and s = u / (2 + u) in (0, 1/3], log(1 + u) is
// 2 atanh(s), here its Taylor polynomial to s¹³ (error 1e-8).
INLINE void softplus(Eight x, Eight &value, Eight &slope) {
    typedef Registers<false>::Integers Ints;
    const Ints negative = x < (Eight){};
    const Eight size = (Eight)((Ints)x & 0x7fffffff), u = exponential_of<Eight, Ints>((Eight){} - size);
    const Eight s = u / (u + eight(2.f)), q = s * s;
    Eight p = fma(q, eight(1 / 13.f), eight(1 / 11.f));
    p = fma(q, p, eight(1 / 9.f));
    p = fma(q, p, eight(1 / 7.f));
    p = fma(q, p, eight(1 / 5.f));
    p = fma(q, p, eight(1 / 3.f));
    p = fma(q, p, eight(1.f));
    const Eight positive_part = (Eight)((Ints)x & ~negative);  // NaN stays
    value = fma(eight(2.f) * s, p, positive_part);
    slope = (Eight)(((Ints)u & negative) | ((Ints)eight(1.f) & ~negative)) / (u + eight(1.f));
}
