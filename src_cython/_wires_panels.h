/* Elimination of many network nodes at once, on matrices of couplings.
 *
 * A network of conductances is kept as its couplings c[i][j] >= 0 between nodes (siemens); a diagonal is never stored.
 * Eliminating node q couples all its neighbours: c[i][j] += c[q][i] c[q][j] / sum_k c[q][k] (the star-mesh transform).
 * Nothing is ever subtracted, so each coupling keeps its relative accuracy, however large the contrast of the network
 * (Grassmann, Taksar and Heyman, Operations Research 33, 1985, doi:10.1287/opre.33.5.1107, for Markov chains).
 *
 * Matrices lie in panels of four columns, m[panel][row][4], one panel `step` doubles after another: a tile of 4 x 4 is
 * contiguous, and a product U^T U reads both factors in order. The order of additions depends on neither the number of
 * threads nor how the columns are cut among them.
 */
#ifndef NEUROEMU_WIRES_PANELS_H
#define NEUROEMU_WIRES_PANELS_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wpsabi" /* vectors are passed between inlined functions only */
#define WIRES_INLINE static inline __attribute__((always_inline))

typedef double wires_v __attribute__((vector_size(32)));
typedef long long wires_mask __attribute__((vector_size(32)));
typedef wires_v wires_memory __attribute__((aligned(8), may_alias));

WIRES_INLINE wires_v wires_load(const double *p) { return *(const wires_memory *)p; }
WIRES_INLINE void wires_store(double *p, wires_v v) { *(wires_memory *)p = v; }
WIRES_INLINE wires_v wires_all(double x) { return x - (wires_v){0}; }

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define wires_fma(a, b, c) ((wires_v)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define WIRES_WIDE 3 /* panels of a register tile of 4 x 12: twelve of sixteen registers add */
#else
#define wires_fma(a, b, c) ((a) * (b) + (c))
#define WIRES_WIDE 1
#endif

#define WIRES_DEPTH 192  /* rows of a factor that stay in the first cache */
#define WIRES_BLOCK 64   /* panels of the left factor that stay in the second */
#define WIRES_STRIP 48   /* panels that one thread takes at a time */
#define WIRES_PIVOTS 64  /* nodes that are eliminated together */

typedef wires_v wires_tile[4][WIRES_WIDE];

/* Each panel is a little longer than its rows, or all panels would fall on the same lines of the caches. */
WIRES_INLINE ptrdiff_t wires_step(ptrdiff_t rows) { return 4 * rows + 8; }

WIRES_INLINE double *wires_new(ptrdiff_t doubles)
{
    return (double *)aligned_alloc(64, ((size_t)doubles * sizeof(double) + 127) / 64 * 64);
}

WIRES_INLINE wires_v wires_reciprocal(wires_v d) /* 1 / d, and 1 for a node without a neighbour: it adds nothing */
{
    return 1.0 / (wires_v)((wires_mask)d | ((d == 0.0) & (wires_mask)wires_all(1.0)));
}

/* tile[r][w] += sum over `depth` rows of a[.][r] b[w][.]. */
WIRES_INLINE void wires_accumulate(const int wide, ptrdiff_t depth, const double *a, const double *b, ptrdiff_t step,
                                   wires_tile tile)
{
    wires_v sum[4][WIRES_WIDE];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++) sum[r][w] = tile[r][w];
    for (ptrdiff_t q = 0; q < depth; q++, a += 4, b += 4) {
        wires_v right[WIRES_WIDE];
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++) right[w] = wires_load(b + w * step);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            const wires_v left = wires_all(a[r]);
#pragma GCC unroll 3
            for (int w = 0; w < wide; w++) sum[r][w] = wires_fma(left, right[w], sum[r][w]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++) tile[r][w] = sum[r][w];
}

WIRES_INLINE void wires_store_turned(double *p, const wires_v row[4])
{
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++) p[4 * r + c] = row[c][r];
}

/* Where the couplings between the remaining nodes stand before an elimination: in one of two children, or nowhere. */
typedef struct {
    const double *child[2];
    ptrdiff_t step[2];
    const int *own;   /* child of each panel */
    const int *panel; /* its panel there */
} wires_origin;

typedef struct {
    const double *u; /* scaled rows of the eliminated nodes, panels of the remaining nodes only */
    ptrdiff_t u_step, depth;
    ptrdiff_t i0, i1, j0, j1; /* panels of the result */
    int symmetric;            /* only i <= j is computed, and mirrored */
    const wires_origin *origin;
    double *out; /* panel j, rows of panel i at out + (j - j0) * out_step + (i - i0) * 16 */
    ptrdiff_t out_step;
} wires_product;

WIRES_INLINE void wires_product_tile(const wires_product *p, const int wide, ptrdiff_t i, ptrdiff_t j, ptrdiff_t q0,
                                     ptrdiff_t q1)
{
    wires_tile tile;
    double *out = p->out + (j - p->j0) * p->out_step + (i - p->i0) * 16;
#pragma GCC unroll 3
    for (int w = 0; w < wide; w++) {
        const double *before = out + w * p->out_step;
        if (q0 == 0) {
            const wires_origin *o = p->origin;
            const int child = o->own[i];
            before = child == o->own[j + w] ? o->child[child] + o->panel[j + w] * o->step[child] + o->panel[i] * 16 : NULL;
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) tile[r][w] = before ? wires_load(before + 4 * r) : wires_all(0.0);
    }
    wires_accumulate(wide, q1 - q0, p->u + i * p->u_step + q0 * 4, p->u + j * p->u_step + q0 * 4, p->u_step, tile);
#pragma GCC unroll 3
    for (int w = 0; w < wide; w++) {
        if (p->symmetric && i > j + w) continue;
        wires_v row[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            row[r] = tile[r][w];
            wires_store(out + w * p->out_step + 4 * r, row[r]);
        }
        if (p->symmetric && i < j + w && q1 == p->depth)
            wires_store_turned(p->out + (i - p->j0) * p->out_step + (j + w - p->i0) * 16, row);
    }
}

static void wires_product_strip(const wires_product *p, ptrdiff_t j0, ptrdiff_t j1)
{
    for (ptrdiff_t q0 = 0; q0 < p->depth; q0 += WIRES_DEPTH) {
        const ptrdiff_t q1 = q0 + WIRES_DEPTH < p->depth ? q0 + WIRES_DEPTH : p->depth;
        for (ptrdiff_t block = p->i0; block < p->i1; block += WIRES_BLOCK)
            for (ptrdiff_t j = j0; j < j1; j += WIRES_WIDE) {
                const int wide = j1 - j < WIRES_WIDE ? (int)(j1 - j) : WIRES_WIDE;
                ptrdiff_t end = block + WIRES_BLOCK < p->i1 ? block + WIRES_BLOCK : p->i1;
                if (p->symmetric && end > j + wide) end = j + wide;
                for (ptrdiff_t i = block; i < end; i++) switch (wide) {
#if WIRES_WIDE > 1
                    case 3: wires_product_tile(p, 3, i, j, q0, q1); break;
                    case 2: wires_product_tile(p, 2, i, j, q0, q1); break;
#endif
                    default: wires_product_tile(p, 1, i, j, q0, q1);
                    }
            }
    }
}

/* out = couplings before + U^T U. */
static void wires_multiply(const wires_product *p, int threads)
{
    const ptrdiff_t strips = (p->j1 - p->j0 + WIRES_STRIP - 1) / WIRES_STRIP;
    if (threads < 2 || strips < 2) {
        wires_product_strip(p, p->j0, p->j1);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (ptrdiff_t s = strips - 1; s >= 0; s--) {
        const ptrdiff_t j0 = p->j0 + s * WIRES_STRIP, j1 = j0 + WIRES_STRIP;
        wires_product_strip(p, j0, j1 < p->j1 ? j1 : p->j1);
    }
}

/* Rows row0..row1 of panels j0..j1 take the part of the rows above them: U[i][j] += sum_q U[q][i] U[q][j]. */
static void wires_update(double *u, ptrdiff_t step, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t j0, ptrdiff_t j1)
{
    for (ptrdiff_t q0 = 0; q0 < row0; q0 += WIRES_DEPTH) {
        const ptrdiff_t depth = row0 - q0 < WIRES_DEPTH ? row0 - q0 : WIRES_DEPTH;
        for (ptrdiff_t j = j0; j < j1; j += WIRES_WIDE) {
            const int wide = j1 - j < WIRES_WIDE ? (int)(j1 - j) : WIRES_WIDE;
            for (ptrdiff_t row = row0; row < row1; row += 4) {
                wires_tile tile;
                double *to = u + j * step + 4 * row;
                for (int w = 0; w < wide; w++)
                    for (int r = 0; r < 4; r++) tile[r][w] = wires_load(to + w * step + 4 * r);
                const double *a = u + row / 4 * step + 4 * q0, *b = u + j * step + 4 * q0;
                switch (wide) {
#if WIRES_WIDE > 1
                case 3: wires_accumulate(3, depth, a, b, step, tile); break;
                case 2: wires_accumulate(2, depth, a, b, step, tile); break;
#endif
                default: wires_accumulate(1, depth, a, b, step, tile);
                }
                for (int w = 0; w < wide; w++)
                    for (int r = 0; r < 4; r++) wires_store(to + w * step + 4 * r, tile[r][w]);
            }
        }
    }
}

typedef struct {
    double scale[4];    /* 1 / sqrt(sum of the couplings) of four nodes */
    double lower[4][4]; /* lower[p][q]: scaled coupling of node q to the later node p */
} wires_four;

/* Rows of four nodes in some panels, already updated by the rows above the four. */
WIRES_INLINE void wires_apply(const wires_four *f, const int wide, wires_tile tile)
{
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++)
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++) {
            wires_v x = tile[p][w];
#pragma GCC unroll 3
            for (int q = 0; q < p; q++) x = wires_fma(wires_all(f->lower[p][q]), tile[q][w], x);
            tile[p][w] = x * wires_all(f->scale[p]);
        }
}

WIRES_INLINE void wires_finish_tile(double *u, ptrdiff_t step, const wires_four *four, const int wide, ptrdiff_t row0,
                                    ptrdiff_t row1, ptrdiff_t j)
{
    for (ptrdiff_t row = row0; row < row1; row += 4) {
        wires_tile tile;
        double *to = u + j * step + 4 * row;
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++)
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) tile[r][w] = wires_load(to + w * step + 4 * r);
        wires_accumulate(wide, row - row0, u + row / 4 * step + 4 * row0, u + j * step + 4 * row0, step, tile);
        wires_apply(four + (row - row0) / 4, wide, tile);
#pragma GCC unroll 3
        for (int w = 0; w < wide; w++)
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) wires_store(to + w * step + 4 * r, tile[r][w]);
    }
}

/* Rows row0..row1 of panels j0..j1, updated by the rows above row0, become scaled rows. */
static void wires_finish(double *u, ptrdiff_t step, const wires_four *four, ptrdiff_t row0, ptrdiff_t row1,
                         ptrdiff_t j0, ptrdiff_t j1)
{
    for (ptrdiff_t j = j0; j < j1; j += WIRES_WIDE) switch (j1 - j < WIRES_WIDE ? j1 - j : WIRES_WIDE) {
#if WIRES_WIDE > 1
        case 3: wires_finish_tile(u, step, four, 3, row0, row1, j); break;
        case 2: wires_finish_tile(u, step, four, 2, row0, row1, j); break;
#endif
        default: wires_finish_tile(u, step, four, 1, row0, row1, j);
        }
}

/* The four pivots at `row`: tile holds their couplings to each other, rest those to all later nodes. */
static void wires_four_pivots(double tile[4][4], double rest[4], wires_four *f)
{
    for (int q = 0; q < 4; q++) {
        double sum = rest[q];
        for (int p = q + 1; p < 4; p++) sum += tile[q][p];
        f->scale[q] = sum > 0 ? 1 / sqrt(sum) : 1;
        for (int p = q + 1; p < 4; p++) f->lower[p][q] = tile[q][p] * f->scale[q];
        rest[q] *= f->scale[q];
        for (int p = q + 1; p < 4; p++) {
            for (int other = p + 1; other < 4; other++) tile[p][other] += f->lower[p][q] * f->lower[other][q];
            rest[p] += f->lower[p][q] * rest[q];
        }
    }
}

/* The diagonal block of the pivots row0..row1: their panels, and rest[] as one more column that stands for all others. */
static void wires_pivots(double *u, ptrdiff_t step, ptrdiff_t row0, ptrdiff_t row1, double *rest, wires_four *four)
{
    const ptrdiff_t end = row1 / 4;
    for (ptrdiff_t row = row0; row < row1; row += 4) {
        const ptrdiff_t panel = row / 4;
        double tile[4][4], sum[4];
        wires_four *f = four + (row - row0) / 4;
        memcpy(tile, u + panel * step + 4 * row, sizeof(tile));
        for (int r = 0; r < 4; r++) { /* `rest` takes the part of the rows above, as the panels have */
            for (ptrdiff_t q = row0; q < row; q++) rest[row - row0 + r] += u[panel * step + 4 * q + r] * rest[q - row0];
            sum[r] = rest[row - row0 + r];
            for (ptrdiff_t j = panel + 1; j < end; j++) {
                const double *c = u + j * step + 4 * (row + r);
                sum[r] += (c[0] + c[1]) + (c[2] + c[3]);
            }
        }
        wires_four_pivots(tile, sum, f);
        for (int p = 0; p < 4; p++) {
            double x = rest[row - row0 + p];
            for (int q = 0; q < p; q++) x += f->lower[p][q] * rest[row - row0 + q];
            rest[row - row0 + p] = x * f->scale[p];
        }
        for (ptrdiff_t j = panel + 1; j < end; j++) {
            wires_tile one;
            double *to = u + j * step + 4 * row;
            for (int r = 0; r < 4; r++) one[r][0] = wires_load(to + 4 * r);
            wires_apply(f, 1, one);
            for (int r = 0; r < 4; r++) wires_store(to + 4 * r, one[r][0]);
        }
        /* Bring the next four rows of the block up to date; later ones wait. */
        if (row + 4 < row1)
            for (ptrdiff_t j = panel + 1; j < end; j++) {
                wires_tile one;
                double *to = u + j * step + 4 * (row + 4);
                for (int r = 0; r < 4; r++) one[r][0] = wires_load(to + 4 * r);
                wires_accumulate(1, row + 4 - row0, u + (panel + 1) * step + 4 * row0, u + j * step + 4 * row0, step, one);
                for (int r = 0; r < 4; r++) wires_store(to + 4 * r, one[r][0]);
            }
    }
}

/* Eliminate the first `nodes` nodes (a multiple of four). u: their rows, all panels; left as scaled rows. */
static int wires_eliminate(double *u, ptrdiff_t step, ptrdiff_t nodes, ptrdiff_t panels, int threads)
{
    wires_four four[WIRES_PIVOTS / 4];
    const ptrdiff_t most = panels / WIRES_STRIP + 1;
    double *sums = (double *)malloc((size_t)(most * WIRES_PIVOTS) * sizeof(double));
    if (!sums) return -1;
    for (ptrdiff_t row0 = 0; row0 < nodes; row0 += WIRES_PIVOTS) {
        const ptrdiff_t row1 = row0 + WIRES_PIVOTS < nodes ? row0 + WIRES_PIVOTS : nodes;
        const ptrdiff_t first = row1 / 4, strips = (panels - first + WIRES_STRIP - 1) / WIRES_STRIP;
        double rest[WIRES_PIVOTS] = {0};
        wires_update(u, step, row0, row1, row0 / 4, first);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1 && strips > 1)
        for (ptrdiff_t s = 0; s < strips; s++) {
            const ptrdiff_t j0 = first + s * WIRES_STRIP, j1 = j0 + WIRES_STRIP < panels ? j0 + WIRES_STRIP : panels;
            wires_update(u, step, row0, row1, j0, j1);
            for (ptrdiff_t row = row0; row < row1; row++) {
                wires_v sum = wires_load(u + j0 * step + 4 * row);
                for (ptrdiff_t j = j0 + 1; j < j1; j++) sum += wires_load(u + j * step + 4 * row);
                sums[s * WIRES_PIVOTS + row - row0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            }
        }
        for (ptrdiff_t s = 0; s < strips; s++)
            for (ptrdiff_t r = 0; r < row1 - row0; r++) rest[r] += sums[s * WIRES_PIVOTS + r];
        wires_pivots(u, step, row0, row1, rest, four);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1 && strips > 1)
        for (ptrdiff_t s = 0; s < strips; s++) {
            const ptrdiff_t j0 = first + s * WIRES_STRIP, j1 = j0 + WIRES_STRIP < panels ? j0 + WIRES_STRIP : panels;
            wires_finish(u, step, four, row0, row1, j0, j1);
        }
    }
    free(sums);
    return 0;
}

#endif
