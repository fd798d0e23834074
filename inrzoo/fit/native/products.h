// The two matrix products of a layer, for sizes known at compile time. A block of the result stays in registers while the
// inner dimension runs; sums run in one fixed order, so a result does not depend on what else is computed.
#pragma once
#include "vector.h"

#define UNROLL _Pragma("GCC unroll 16")

constexpr int columns_at_once(int vectors) { return vectors % 2 == 0 ? 2 : 1; }
constexpr int rows_at_once(int rows) { return rows % 4 == 0 ? 4 : rows % 3 == 0 ? 3 : rows % 2 == 0 ? 2 : 1; }

// result[rows][COLUMNS] = left[rows][INNER] · right[INNER][COLUMNS] + bias[COLUMNS], COLUMNS counted in vectors.
// `finish(row, column, value)` takes each vector of the result while it is still in a register. rows % 8 == 0.
template <int INNER, int COLUMNS, class Finish>
INLINE void product(int rows, const float *left, const Vector *right, const Vector *bias, Finish finish) {
    constexpr int C = columns_at_once(COLUMNS), R = C == 2 ? 4 : 8;
    for (int column = 0; column < COLUMNS; column += C)
        for (int row = 0; row < rows; row += R) {
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
                    UNROLL for (int c = 0; c < C; c++) block[r][c] += x * shared[c];
                }
            }
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int c = 0; c < C; c++) finish(row + r, column + c, block[r][c]);
        }
}

// sum[INNER][COLUMNS] += left[rows][INNER]ᵀ · right[rows][COLUMNS]: the gradient of a layer's weights.
template <int INNER, int COLUMNS>
INLINE void add_transposed_product(int rows, const float *left, const Vector *right, Vector *sum) {
    constexpr int C = columns_at_once(COLUMNS), R = rows_at_once(INNER);
    for (int column = 0; column < COLUMNS; column += C)
        for (int k = 0; k < INNER; k += R) {
            Vector block[R][C];
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int c = 0; c < C; c++) block[r][c] = sum[(size_t)(k + r) * COLUMNS + column + c];
            for (int row = 0; row < rows; row++) {
                Vector shared[C];
                UNROLL for (int c = 0; c < C; c++) shared[c] = right[(size_t)row * COLUMNS + column + c];
                UNROLL for (int r = 0; r < R; r++) {
                    const Vector x = all(left[(size_t)row * INNER + k + r]);
                    UNROLL for (int c = 0; c < C; c++) block[r][c] += x * shared[c];
                }
            }
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int c = 0; c < C; c++) sum[(size_t)(k + r) * COLUMNS + column + c] = block[r][c];
        }
}
