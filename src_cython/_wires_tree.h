/* All of T by nested dissection of the rectangle: blocks are joined in pairs, and the wires between them eliminated. */
#ifndef NEUROEMU_WIRES_TREE_H
#define NEUROEMU_WIRES_TREE_H

#include "_wires_leaf.h"

enum { WIRES_LEFT, WIRES_RIGHT, WIRES_TOP, WIRES_BOTTOM };

typedef struct {
    ptrdiff_t side[4]; /* panels of each side; 0 where the array ends openly */
    ptrdiff_t panels, step;
    double *m; /* couplings between the ports, NULL if out of memory */
} wires_block;

typedef struct { ptrdiff_t r0, r1, c0, c1; } wires_span; /* in leaves */

typedef struct {
    const wires_array *array;
    int threads;
    wires_span *spans; /* subtrees that were built beforehand, in order */
    wires_block *built;
    ptrdiff_t count, next;
} wires_tree;

static wires_block wires_empty(const wires_array *a, wires_span s)
{
    const ptrdiff_t per = WIRES_LEAF / 4, high = (s.r1 - s.r0) * per, wide = (s.c1 - s.c0) * per;
    wires_block b = {{high, high, wide, wide}, 0, 0, NULL};
    if (s.c1 * WIRES_LEAF == a->all_columns && !a->right) b.side[WIRES_RIGHT] = 0;
    if (s.r0 == 0 && !a->top) b.side[WIRES_TOP] = 0;
    b.panels = b.side[0] + b.side[1] + b.side[2] + b.side[3];
    b.step = wires_step(4 * b.panels);
    return b;
}

/* Up to four leaves, from the lanes of the vectors into blocks of their own. */
static void wires_leaves(const wires_array *a, const wires_span *spans, int count, wires_block *blocks)
{
    wires_four_leaves four = {a, {{0}}};
    wires_v out[WIRES_PORTS * WIRES_PORTS];
    for (int lane = 0; lane < 4; lane++) {
        four.at[lane][0] = spans[lane < count ? lane : 0].r0 * WIRES_LEAF;
        four.at[lane][1] = spans[lane < count ? lane : 0].c0 * WIRES_LEAF;
    }
    wires_8x8(&four, 0, 0, out);
    for (int lane = 0; lane < count; lane++) {
        wires_block *b = blocks + lane;
        int port[WIRES_PORTS], ports = 0;
        *b = wires_empty(a, spans[lane]);
        b->m = wires_new(b->panels * b->step);
        if (!b->m) continue;
        for (int side = 0; side < 4; side++)
            for (int i = 0; i < 4 * b->side[side]; i++) port[ports++] = side * WIRES_LEAF + i;
        for (int panel = 0; panel < b->panels; panel++)
            for (int i = 0; i < ports; i++)
                for (int w = 0; w < 4; w++)
                    b->m[panel * b->step + 4 * i + w] = out[port[i] * WIRES_PORTS + port[4 * panel + w]][lane];
    }
}

typedef struct {
    wires_block *child[2];
    ptrdiff_t cut[2], nodes, panels; /* panels before the common wires in each child; common and remaining panels */
    int *own, *panel;
    double *u;
    ptrdiff_t step;
} wires_seam;

static void wires_close(wires_seam *s)
{
    free(s->child[0]->m);
    free(s->child[1]->m);
    free(s->own);
    free(s->u);
}

/* Gather the rows of the common wires of two blocks, and eliminate them. */
static int wires_open(wires_seam *s, int vertical, int threads)
{
    const int common[2] = {vertical ? WIRES_BOTTOM : WIRES_RIGHT, vertical ? WIRES_TOP : WIRES_LEFT};
    ptrdiff_t start[2] = {0, 0};
    s->nodes = s->child[0]->side[common[0]];
    s->panels = s->child[0]->panels + s->child[1]->panels - 2 * s->nodes;
    s->own = (int *)malloc(sizeof(int) * (size_t)(2 * s->panels + 2));
    s->step = wires_step(4 * s->nodes);
    s->u = wires_new((s->nodes + s->panels) * s->step);
    if (!s->own || !s->u || !s->child[0]->m || !s->child[1]->m) return -1;
    s->panel = s->own + s->panels;
    ptrdiff_t found = 0;
    for (int side = 0; side < 4; side++)
        for (int which = 0; which < 2; which++) {
            const ptrdiff_t size = s->child[which]->side[side];
            if (side == common[which]) s->cut[which] = start[which];
            else
                for (ptrdiff_t i = 0; i < size; i++) s->own[found] = which, s->panel[found++] = (int)(start[which] + i);
            start[which] += size;
        }
    const double *a = s->child[0]->m + 16 * s->cut[0], *b = s->child[1]->m + 16 * s->cut[1];
    for (ptrdiff_t j = 0; j < s->nodes; j++) {
        const double *x = a + (s->cut[0] + j) * s->child[0]->step, *y = b + (s->cut[1] + j) * s->child[1]->step;
        for (ptrdiff_t i = 0; i < 16 * s->nodes; i++) s->u[j * s->step + i] = x[i] + y[i];
    }
    for (ptrdiff_t j = 0; j < s->panels; j++) {
        const double *from = s->own[j] ? b : a;
        memcpy(s->u + (s->nodes + j) * s->step, from + s->panel[j] * s->child[s->own[j]]->step,
               sizeof(double) * 16 * (size_t)s->nodes);
    }
    return wires_eliminate(s->u, s->step, 4 * s->nodes, s->nodes + s->panels, threads);
}

/* Couplings between panels i0..i1 and j0..j1 of the remaining ports. */
static void wires_joined(const wires_seam *s, ptrdiff_t i1, ptrdiff_t j0, ptrdiff_t j1, int symmetric, double *out,
                         ptrdiff_t step, int threads)
{
    const wires_origin origin = {{s->child[0]->m, s->child[1]->m}, {s->child[0]->step, s->child[1]->step}, s->own, s->panel};
    const wires_product p = {s->u + s->nodes * s->step, s->step, 4 * s->nodes, 0, i1, j0, j1, symmetric, &origin, out, step};
    wires_multiply(&p, threads);
}

/* Cut a span in two; returns whether one lies above the other. */
static int wires_cut(wires_span s, wires_span half[2])
{
    const int vertical = s.r1 - s.r0 > s.c1 - s.c0;
    half[0] = half[1] = s;
    if (vertical) half[0].r1 = half[1].r0 = (s.r0 + s.r1) / 2;
    else half[0].c1 = half[1].c0 = (s.c0 + s.c1) / 2;
    return vertical;
}

static ptrdiff_t wires_size(wires_span s) { return (s.r1 - s.r0) * (s.c1 - s.c0); }

/* Threads pay from some milliseconds of work on: an elimination makes them wait for each other at every 64 nodes. */
static int wires_threads(int threads, ptrdiff_t nodes, ptrdiff_t panels)
{
    return 16.0 * (double)nodes * 4 * (double)panels * (double)panels > 1e8 ? threads : 1;
}

static wires_block wires_merge(wires_tree *t, wires_span span, wires_block first, wires_block second, int vertical,
                               int threads)
{
    wires_block b = wires_empty(t->array, span);
    wires_seam seam = {{&first, &second}, {0, 0}, 0, 0, NULL, NULL, NULL, 0};
    threads = wires_threads(threads, first.side[vertical ? WIRES_BOTTOM : WIRES_RIGHT], b.panels);
    if (wires_open(&seam, vertical, threads) == 0 && (b.m = wires_new(b.panels * b.step)) != NULL)
        wires_joined(&seam, b.panels, 0, b.panels, 1, b.m, b.step, threads);
    wires_close(&seam);
    return b;
}

/* The leaves of a small span, in the order in which wires_grow meets them. */
static void wires_list(wires_span span, ptrdiff_t most, wires_span *list, ptrdiff_t *count)
{
    wires_span half[2];
    if (wires_size(span) <= most) {
        list[(*count)++] = span;
        return;
    }
    wires_cut(span, half);
    wires_list(half[0], most, list, count);
    wires_list(half[1], most, list, count);
}

static wires_block wires_small(wires_tree *t, wires_span span, const wires_block *leaves, int *next)
{
    wires_span half[2];
    if (wires_size(span) == 1) return leaves[(*next)++];
    const int vertical = wires_cut(span, half);
    wires_block first = wires_small(t, half[0], leaves, next);
    wires_block second = wires_small(t, half[1], leaves, next);
    return wires_merge(t, span, first, second, vertical, 1);
}

static wires_block wires_build(wires_tree *t, wires_span span)
{
    wires_span half[2];
    if (t->next < t->count && !memcmp(&t->spans[t->next], &span, sizeof(span))) return t->built[t->next++];
    if (wires_size(span) <= 4) {
        wires_span leaf[4];
        wires_block leaves[4];
        ptrdiff_t count = 0;
        int next = 0;
        wires_list(span, 1, leaf, &count);
        wires_leaves(t->array, leaf, (int)count, leaves);
        return wires_small(t, span, leaves, &next);
    }
    const int vertical = wires_cut(span, half);
    wires_block first = wires_build(t, half[0]);
    wires_block second = wires_build(t, half[1]);
    return wires_merge(t, span, first, second, vertical, t->threads);
}

static void wires_sum_ends(const wires_array *a, const double *m, ptrdiff_t step, ptrdiff_t rows0, ptrdiff_t columns0,
                           double *out)
{
    for (ptrdiff_t i = 0; i < a->rows; i++)
        for (ptrdiff_t j = 0; j < a->columns; j++) {
            const ptrdiff_t row = rows0 + a->first_row + i, column = columns0 + j;
            out[i * a->columns + j] += m[column / 4 * step + 4 * row + column % 4];
        }
}

/* Currents between the ends of the word lines and of the bit lines of a finished or half-finished array. */
static void wires_read(const wires_array *a, const double *m, ptrdiff_t step, ptrdiff_t columns0, double *out)
{
    memset(out, 0, sizeof(double) * (size_t)(a->rows * a->columns));
    for (int right = 0; right <= a->right; right++)
        for (int top = 0; top <= a->top; top++)
            wires_sum_ends(a, m, step, right * a->all_rows, columns0 + top * a->all_columns, out);
}

static int wires_root(wires_tree *t, wires_span span, double *out)
{
    const wires_array *a = t->array;
    const ptrdiff_t ends = a->all_rows / 4 * (1 + a->right), all = ends + a->all_columns / 4 * (1 + a->top);
    if (wires_size(span) == 1) {
        wires_block leaf;
        wires_leaves(a, &span, 1, &leaf);
        if (!leaf.m) return -1;
        wires_read(a, leaf.m, leaf.step, 4 * ends, out);
        free(leaf.m);
        return 0;
    }
    wires_span half[2];
    const int vertical = wires_cut(span, half);
    wires_block first = wires_build(t, half[0]), second = wires_build(t, half[1]);
    wires_seam seam = {{&first, &second}, {0, 0}, 0, 0, NULL, NULL, NULL, 0};
    const ptrdiff_t step = wires_step(4 * ends);
    double *m = NULL;
    if (wires_open(&seam, vertical, t->threads) == 0 && (m = wires_new((all - ends) * step)) != NULL) {
        wires_joined(&seam, ends, ends, all, 0, m, step, t->threads);
        wires_read(a, m, step, 0, out);
    }
    wires_close(&seam);
    free(m);
    return m ? 0 : -1;
}

/* out (rows, columns) = T. Returns -1 if memory runs out. */
static int wires_transfer(const wires_array *a, double *out, int threads)
{
    const wires_span all = {0, a->all_rows / WIRES_LEAF, 0, a->all_columns / WIRES_LEAF};
    wires_tree tree = {a, threads, NULL, NULL, 0, 0};
    const ptrdiff_t size = wires_size(all);
    int failed = 0;
    if (threads > 1 && size > 256) { /* below 128 x 128, threads cost more than they save */
        const ptrdiff_t most = size / (8 * threads) > 4 ? size / (8 * threads) : 4;
        tree.spans = (wires_span *)malloc(sizeof(wires_span) * (size_t)size);
        if (!tree.spans) return -1;
        ptrdiff_t count = 0;
        wires_list(all, most, tree.spans, &count);
        tree.built = (wires_block *)malloc(sizeof(wires_block) * (size_t)count);
        if (tree.built) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
            for (ptrdiff_t i = 0; i < count; i++) {
                wires_tree part = {a, 1, NULL, NULL, 0, 0};
                tree.built[i] = wires_build(&part, tree.spans[i]);
            }
            tree.count = count;
        }
    }
    failed = wires_root(&tree, all, out);
    free(tree.spans);
    free(tree.built);
    return failed;
}

#endif
