// Products of matrices that fit a core's cache, sines and exponentials, in single precision. A block of the result
// stays in registers while the inner dimension runs. Rows of the right matrix and of the result begin on multiples of
// 64 bytes and are whole numbers of `UNIT` floats long.
//
// Uses no library, and no more than the compiler's own vectors: it makes of them what the processor has.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

#ifdef __AVX512F__
constexpr int LANES = 16, ROWS = 12, COLUMNS = 2;  // of a vector; rows and vectors of a block, ROWS · COLUMNS sums
#elif defined __AVX2__
constexpr int LANES = 8, ROWS = 6, COLUMNS = 2;
#else
constexpr int LANES = 4, ROWS = 6, COLUMNS = 4;
#endif
constexpr int UNIT = 16, PANEL = COLUMNS * LANES;

typedef float Vector __attribute__((vector_size(4 * LANES), may_alias));
typedef float Unaligned __attribute__((vector_size(4 * LANES), may_alias, aligned(4)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

INLINE Vector all(float x) { return x - (Vector){}; }
INLINE Vector loaded(const float *unaligned) { return *(const Unaligned *)unaligned; }
INLINE Vector larger(Vector a, Vector b) {  // b where a is no number
    const Integers more = a > b;
    return (Vector)(((Integers)a & more) | ((Integers)b & ~more));
}
constexpr int padded(int n) { return (n + UNIT - 1) / UNIT * UNIT; }
constexpr int at_most(int a, int b) { return a < b ? a : b; }

// The right factor: row by row, `step` floats apart, or packed: panels of at most PANEL columns, one after the other,
// each row by row. A packed panel stays in the innermost cache, of which rows far apart would use a part.
struct Right {
    const float *at;
    int step;  // 0 if packed
};

enum Into { FRESH, ADD };

template <int M, int N, int ROW, int STEP>
INLINE void block(int inner, const float *left, const float *right, int right_step, const float *bias, Into into,
                  float *result, int result_step) {
    Vector sum[M][N];
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int n = 0; n < N; n++)
            sum[m][n] = into == ADD ? ((Vector *)(result + (size_t)m * result_step))[n]
                        : bias      ? ((Vector *)bias)[n]
                                    : (Vector){};
    for (int k = 0; k < inner; k++, left += STEP, right += right_step) {
        Vector shared[N];
        UNROLL for (int n = 0; n < N; n++) shared[n] = ((Vector *)right)[n];
        UNROLL for (int m = 0; m < M; m++) {
            const Vector x = all(left[(size_t)m * ROW]);
            UNROLL for (int n = 0; n < N; n++) sum[m][n] = x * shared[n] + sum[m][n];
        }
    }
    UNROLL for (int m = 0; m < M; m++)
        UNROLL for (int n = 0; n < N; n++) ((Vector *)(result + (size_t)m * result_step))[n] = sum[m][n];
}

template <int M> struct Count { static constexpr int value = M; };

template <int N, int ROW, int STEP>
static __attribute__((noinline)) void panel(int rows, int inner, const float *left, const float *right, int right_step,
                                            const float *bias, Into into, float *result, int result_step) {
    int m = 0;
    auto next = [&](auto count) __attribute__((always_inline)) {
        constexpr int M = decltype(count)::value;
        block<M, N, ROW, STEP>(inner, left + (size_t)m * ROW, right, right_step, bias, into,
                               result + (size_t)m * result_step, result_step);
        m += M;
    };
    while (m + ROWS <= rows) next(Count<ROWS>());
    if (m + 8 <= rows && ROWS > 8) next(Count<8>());
    while (m + 4 <= rows) next(Count<4>());
    if (m + 3 == rows) next(Count<3>());
    if (m + 2 == rows) next(Count<2>());
    if (m < rows) next(Count<1>());
}

// result (rows, columns) = left · right + bias, or += left · right. Number (m, k) of the left factor is
// left[m ROW + k STEP].
template <int ROW, int STEP>
static void multiply(int rows, int inner, int columns, const float *left, Right right, const float *bias, Into into,
                     float *result, int result_step) {
    for (int n = 0; n < columns; n += PANEL) {
        const int width = at_most(PANEL, columns - n);
        const float *from = right.step ? right.at + n : right.at + (size_t)n * inner;
        const int step = right.step ? right.step : width;
        const float *start = bias ? bias + n : nullptr;
        if (width == PANEL)
            panel<COLUMNS, ROW, STEP>(rows, inner, left, from, step, start, into, result + n, result_step);
        else
            panel<UNIT / LANES, ROW, STEP>(rows, inner, left, from, step, start, into, result + n, result_step);
    }
}

// Packs a matrix: number (k, n) is factor · matrix[k ROW + n COLUMN] for k < inner and n < columns, and 0 up to the
// padded columns and rows.
INLINE void pack(float *packed, int inner, int padded_inner, int columns, const float *matrix, int row, int column,
                 float factor) {
    for (int from = 0; from < padded(columns); from += PANEL) {
        const int width = at_most(PANEL, padded(columns) - from);
        float *to = packed + (size_t)from * padded_inner;
        for (int k = 0; k < padded_inner; k++, to += width)
            for (int n = 0; n < width; n++) {
                const bool inside = k < inner && from + n < columns;
                to[n] = inside ? factor * matrix[(size_t)k * row + (size_t)(from + n) * column] : 0.f;
            }
    }
}

typedef float Quarter __attribute__((vector_size(16)));

INLINE float sum_of(Vector x) {
    union { Vector whole; Quarter parts[LANES / 4]; } split = {x};
    Quarter total = split.parts[0];
    UNROLL for (int i = 1; i < LANES / 4; i++) total += split.parts[i];
    return (total[0] + total[1]) + (total[2] + total[3]);
}

constexpr float ROUNDING = 12582912.f;  // 1.5·2²³: adding and subtracting it rounds to the nearest integer, exactly

// Sine and cosine for |x| below 10⁵: x = k π/2 + r with r in [-π/4, π/4], then the polynomials of Cephes (error 1e-7).
INLINE void sine_cosine(Vector x, Vector &sine, Vector &cosine) {
    const Vector shifted = x * all(0.636619772f) + all(ROUNDING), k = shifted - all(ROUNDING);
    const Vector r = ((x - k * all(1.5703125f)) - k * all(4.837512969970703125e-4f)) - k * all(7.54978995489188e-8f);
    const Vector q = r * r;
    const Vector s = (((q * all(-1.9515295891e-4f) + all(8.3321608736e-3f)) * q + all(-1.6666654611e-1f)) * q) * r + r;
    const Vector u = (q * all(2.443315711809948e-5f) + all(-1.388731625493765e-3f)) * q + all(4.166664568298827e-2f);
    const Vector c = u * (q * q) + (all(1.f) - all(.5f) * q);
    const Integers quarter = (Integers)shifted, swap = -(quarter & 1);
    const Integers sines = ((Integers)s & ~swap) | ((Integers)c & swap);
    const Integers cosines = ((Integers)c & ~swap) | ((Integers)s & swap);
    sine = (Vector)(sines ^ ((quarter & 2) << 30));
    cosine = (Vector)(cosines ^ (((quarter + 1) & 2) << 30));
}

// eˣ for x at most 88: 2ᵏ goes into the exponent, the rest is a polynomial of Cephes (error 1e-7). Below -87 it is 0.
INLINE Vector exponential(Vector x) {
    const Integers low = x < all(-87.f);
    const Vector shifted = x * all(1.44269504f) + all(ROUNDING), k = shifted - all(ROUNDING);
    const Vector r = (x - k * all(0.693359375f)) - k * all(-2.12194440e-4f);
    Vector p = r * all(1.9875691500e-4f) + all(1.3981999507e-3f);
    p = p * r + all(8.3334519073e-3f);
    p = p * r + all(4.1665795894e-2f);
    p = p * r + all(1.6666665459e-1f);
    p = p * r + all(5.0000001201e-1f);
    p = p * (r * r) + r + all(1.f);
    const Vector power = (Vector)(((Integers)shifted + 127 - 0x4B400000) << 23);
    return (Vector)((Integers)(p * power) & ~low);
}

// Takes arrays from one stretch of memory, each on a multiple of 64 bytes as the stretch itself.
struct Memory {
    float *free;
    float *take(size_t count) {
        float *const taken = free;
        free += (count + UNIT - 1) / UNIT * UNIT;
        return taken;
    }
};
