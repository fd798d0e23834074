// The two matrix products of a layer, for sizes known at compile time. A block of the result stays in registers while the
// inner dimension runs. Every number of the result is one sum in one fixed order, whatever the blocks.
#pragma once
#include "vector.h"

#define UNROLL _Pragma("GCC unroll 32")

constexpr int columns_at_once(int vectors) { return vectors % 2 == 0 ? 2 : 1; }

template <int R, int C, int INNER, int COLUMNS, class Finish>
INLINE void product_block(int row, int column, const float *left, const Vector *right, const Vector *bias, Finish finish) {
    Vector block[R][C];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < C; c++) block[r][c] = bias ? bias[column + c] : (Vector){};
    const float *a = left + (size_t)row * INNER;
    const Vector *b = right + column;
    for (int k = 0; k < INNER; k++) {
        Vector shared[C];
        UNROLL for (int c = 0; c < C; c++) shared[c] = b[(size_t)k * COLUMNS + c];
        UNROLL for (int r = 0; r < R; r++) {
            const Vector x = all(a[(size_t)r * INNER + k]);
            UNROLL for (int c = 0; c < C; c++) block[r][c] = fma(x, shared[c], block[r][c]);
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < C; c++) finish(row + r, column + c, block[r][c]);
}

// result[rows][COLUMNS] = left[rows][INNER] · right[INNER][COLUMNS] + bias[COLUMNS], COLUMNS counted in vectors.
// `finish(row, column, value)` takes each vector of the result while it is still in a register. `rows` is even.
template <int INNER, int COLUMNS, class Finish>
INLINE void product(int rows, const float *left, const Vector *right, const Vector *bias, Finish finish) {
    constexpr int C = columns_at_once(COLUMNS), R = REGISTERS * 3 / 4 / C;  // three quarters of the registers hold sums
    for (int column = 0; column < COLUMNS; column += C) {
        int row = 0;
        for (; row + R <= rows; row += R)
            product_block<R, C, INNER, COLUMNS>(row, column, left, right, bias, finish);
        for (; row + 4 <= rows; row += 4) product_block<4, C, INNER, COLUMNS>(row, column, left, right, bias, finish);
        for (; row < rows; row += 2) product_block<2, C, INNER, COLUMNS>(row, column, left, right, bias, finish);
    }
}

constexpr int rows_at_once(int rows, int most) { return rows % most ? rows_at_once(rows, most - 1) : most; }

// sum[INNER][COLUMNS] += left[rows][INNER]ᵀ · right[rows][COLUMNS] and total[COLUMNS] += the sum of right over rows:
// the gradients of a layer's weights and biases. Even and odd rows are summed apart where INNER is small: a processor
// waits for one sum longer than it takes to begin the other.
template <int INNER, int COLUMNS>
INLINE void add_transposed_product(int rows, const float *left, const Vector *right, Vector *sum, Vector *total) {
    constexpr int C = columns_at_once(COLUMNS), R = rows_at_once(INNER, REGISTERS / 2 / C), PHASES = INNER < 4 ? 2 : 1;
    for (int column = 0; column < COLUMNS; column += C)
        for (int k = 0; k < INNER; k += R) {
            Vector block[PHASES][R][C] = {}, sums[PHASES][C] = {};
            const bool first = k == 0;
            UNROLL for (int c = 0; c < C; c++) {
                UNROLL for (int r = 0; r < R; r++) block[0][r][c] = sum[(size_t)(k + r) * COLUMNS + column + c];
                sums[0][c] = total[column + c];
            }
            auto add = [&](int row, int phase, bool with_total) __attribute__((always_inline)) {
                Vector shared[C];
                UNROLL for (int c = 0; c < C; c++) {
                    shared[c] = right[(size_t)row * COLUMNS + column + c];
                    if (with_total) sums[phase][c] += shared[c];
                }
                UNROLL for (int r = 0; r < R; r++) {
                    const Vector x = all(left[(size_t)row * INNER + k + r]);
                    UNROLL for (int c = 0; c < C; c++) block[phase][r][c] = fma(x, shared[c], block[phase][r][c]);
                }
            };
            if (first)
                for (int row = 0; row < rows; row += PHASES)
                    UNROLL for (int phase = 0; phase < PHASES; phase++) add(row + phase, phase, true);
            else
                for (int row = 0; row < rows; row += PHASES)
                    UNROLL for (int phase = 0; phase < PHASES; phase++) add(row + phase, phase, false);
            UNROLL for (int c = 0; c < C; c++) {
                UNROLL for (int phase = 1; phase < PHASES; phase++) {
                    sums[0][c] += sums[phase][c];
                    UNROLL for (int r = 0; r < R; r++) block[0][r][c] += block[phase][r][c];
                }
                UNROLL for (int r = 0; r < R; r++) sum[(size_t)(k + r) * COLUMNS + column + c] = block[0][r][c];
                if (first) total[column + c] = sums[0][c];
            }
        }
}
