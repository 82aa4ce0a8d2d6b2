/* Blocks of up to 8 x 8 cross-points, four blocks at once: one in each lane of a vector.
 *
 * A block is cut out of the array in the middle of its wires. What is left of it, once its nodes are eliminated, is the
 * couplings between the cut wires: left, right (word lines), top, bottom (bit lines), in this order.
 */
#ifndef NEUROEMU_WIRES_LEAF_H
#define NEUROEMU_WIRES_LEAF_H

#include "_wires_panels.h"

#define WIRES_LEAF 8
#define WIRES_PORTS (4 * WIRES_LEAF)

/* The array, made up to whole leaves by rows at the top and columns at the right that hold no device.
 * Four tables give the conductance of half a wire on each side of each cross-point. */
typedef struct {
    const double *g; /* (rows, columns), siemens; infinity is a short */
    ptrdiff_t rows, columns, first_row; /* first_row: padding rows */
    ptrdiff_t all_rows, all_columns;
    int right, top;           /* word lines end in a driver at the right too; bit lines in a sense amplifier at the top */
    double word, bit;         /* half a wire between two cross-points */
    const double *left_end;   /* (all_rows): from the driver to the first cross-point */
    const double *right_end;  /* (all_rows): each half wire from the last cross-point on */
    const double *top_end;    /* (all_columns): each half wire above the first cross-point */
    const double *bottom_end; /* (all_columns): from the last cross-point to the sense amplifier */
} wires_array;

typedef struct { double left, right, top, bottom, g; } wires_point;

WIRES_INLINE wires_point wires_at(const wires_array *a, ptrdiff_t i, ptrdiff_t j)
{
    const ptrdiff_t row = i - a->first_row;
    wires_point p = {a->word, a->word, a->bit, a->bit, 0.0};
    if (j == 0) p.left = a->left_end[i];
    else if (j >= a->columns && a->right) p.left = a->right_end[i];
    if (j >= a->columns - 1 && a->right) p.right = a->right_end[i];
    else if (j == a->all_columns - 1) p.right = 0;
    if (row <= 0 && a->top) p.top = a->top_end[j];
    else if (i == 0) p.top = 0;
    if (i == a->all_rows - 1) p.bottom = a->bottom_end[j];
    else if (row < 0 && a->top) p.bottom = a->top_end[j];
    if (row >= 0 && j < a->columns) p.g = a->g[row * a->columns + j];
    return p;
}

/* One cross-point: two nodes, a device between them, four half wires. Exact for a device of 0 S and of infinity. */
WIRES_INLINE void wires_cell(const wires_array *a, const ptrdiff_t at[4][2], ptrdiff_t i, ptrdiff_t j, wires_v *m)
{
    wires_v left, right, top, bottom, device, rest;
    for (int lane = 0; lane < 4; lane++) {
        const wires_point p = wires_at(a, at[lane][0] + i, at[lane][1] + j);
        left[lane] = p.left, right[lane] = p.right, top[lane] = p.top, bottom[lane] = p.bottom;
        device[lane] = p.g > 1 ? 1 : p.g; /* the conductance is device / rest */
        rest[lane] = p.g > 1 ? 1 / p.g : 1;
    }
    const wires_v word = left + right, bit = top + bottom;
    const wires_v inverse = wires_reciprocal(word * bit * rest + device * (word + bit));
    const wires_v across = device * inverse, upper = (bit * rest + device) * inverse, lower = (word * rest + device) * inverse;
    const wires_v lr = left * right * upper, tb = top * bottom * lower;
    m[0] = m[5] = m[10] = m[15] = wires_all(0.0);
    m[1] = m[4] = lr;
    m[2] = m[8] = left * top * across;
    m[3] = m[12] = left * bottom * across;
    m[6] = m[9] = right * top * across;
    m[7] = m[13] = right * bottom * across;
    m[11] = m[14] = tb;
}

/* Two blocks of r x c beside each other, or one above the other: their common wires are eliminated. */
WIRES_INLINE void wires_join(const int r, const int c, const int vertical, const wires_v *first, const wires_v *second,
                             wires_v *out)
{
    const int ports = 2 * (r + c), k = vertical ? c : r, n = vertical ? 4 * r + 2 * c : 2 * r + 4 * c;
    const int cut[2] = {vertical ? 2 * r + c : r, vertical ? 2 * r : 0};
    const wires_v *child[2] = {first, second};
    int own[WIRES_PORTS], port[WIRES_PORTS], found = 0;
    wires_v u[WIRES_LEAF][WIRES_PORTS + WIRES_LEAF], x[WIRES_LEAF][WIRES_PORTS + WIRES_LEAF];
    for (int side = 0; side < 4; side++) {
        const int size = side < 2 ? r : c, start = side < 2 ? side * r : 2 * r + (side - 2) * c;
        for (int which = 0; which < 2; which++)
            if (start != cut[which])
                for (int i = 0; i < size; i++) own[found] = which, port[found++] = start + i;
    }
    for (int q = 0; q < k; q++) {
        for (int j = 0; j < k; j++)
            u[q][j] = first[(cut[0] + q) * ports + cut[0] + j] + second[(cut[1] + q) * ports + cut[1] + j];
        for (int j = 0; j < n; j++) u[q][k + j] = child[own[j]][(cut[own[j]] + q) * ports + port[j]];
    }
    for (int q = 0; q < k; q++) {
        wires_v sum = wires_all(0.0);
        for (int j = q + 1; j < k + n; j++) sum += u[q][j];
        const wires_v inverse = wires_reciprocal(sum);
        for (int j = q + 1; j < k + n; j++) x[q][j] = u[q][j] * inverse;
        for (int p = q + 1; p < k; p++)
            for (int j = p + 1; j < k + n; j++) u[p][j] = wires_fma(x[q][p], u[q][j], u[p][j]);
    }
    for (int i = 0; i < n; i++) {
        out[i * n + i] = wires_all(0.0);
        for (int j = i + 1; j < n; j++) {
            wires_v sum = own[i] == own[j] ? child[own[i]][port[i] * ports + port[j]] : wires_all(0.0);
#pragma GCC unroll 8
            for (int q = 0; q < k; q++) sum = wires_fma(x[q][k + i], u[q][k + j], sum);
            out[i * n + j] = out[j * n + i] = sum;
        }
    }
}

typedef struct { const wires_array *array; ptrdiff_t at[4][2]; } wires_four_leaves;

#define WIRES_GROW(name, half, r, c, vertical)                                                              \
    static void name(const wires_four_leaves *f, ptrdiff_t i, ptrdiff_t j, wires_v *out)                    \
    {                                                                                                       \
        wires_v first[4 * (r + c) * (r + c)], second[4 * (r + c) * (r + c)];                                \
        half(f, i, j, first);                                                                               \
        half(f, i + (vertical ? r : 0), j + (vertical ? 0 : c), second);                                    \
        wires_join(r, c, vertical, first, second, out);                                                     \
    }

static void wires_1x1(const wires_four_leaves *f, ptrdiff_t i, ptrdiff_t j, wires_v *out)
{
    wires_cell(f->array, f->at, i, j, out);
}
WIRES_GROW(wires_2x1, wires_1x1, 1, 1, 1)
WIRES_GROW(wires_2x2, wires_2x1, 2, 1, 0)
WIRES_GROW(wires_4x2, wires_2x2, 2, 2, 1)
WIRES_GROW(wires_4x4, wires_4x2, 4, 2, 0)
WIRES_GROW(wires_8x4, wires_4x4, 4, 4, 1)
WIRES_GROW(wires_8x8, wires_8x4, 8, 4, 0)

#endif
