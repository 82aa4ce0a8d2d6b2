/* One input vector: conjugate gradients on the voltages of the bit lines.
 *
 * The word lines are eliminated by tridiagonal solves, four lines at a time. What is left is symmetric and positive
 * definite, and is preconditioned by the bit lines, each a tridiagonal matrix with every device in series to the leak of
 * its word line. Tridiagonal pivots are sums of conductances, never differences; a device is kept as device / rest, with
 * one of the two equal to 1, so that 0 S and infinity are exact.
 */
#ifndef NEUROEMU_WIRES_LINES_H
#define NEUROEMU_WIRES_LINES_H

#include "_wires_panels.h"

typedef struct {
    const double *g;           /* (rows, columns), siemens */
    ptrdiff_t rows, columns;
    double word, bit;          /* a whole wire between two cross-points; an infinite `word` makes a line one node (`rigid`) */
    const double *left_end, *right_end;  /* (rows), siemens from the line's end to its driver, 0 if open */
    const double *bottom_end, *top_end;  /* (columns), to the sense amplifier */
    int rigid, strong;         /* strong: some devices conduct better than a wire */
    double *device, *h, *f;    /* [rows / 4][columns][4] */
    double *e;                 /* (rows, columns) */
} wires_lines;

#if defined(__clang__)
#define wires_pick(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define wires_pick(a, b, i, j, k, l) __builtin_shuffle(a, b, (wires_mask){i, j, k, l})
#endif

WIRES_INLINE void wires_turn(wires_v t[4])
{
    const wires_v a = wires_pick(t[0], t[1], 0, 4, 2, 6);
    const wires_v b = wires_pick(t[0], t[1], 1, 5, 3, 7);
    const wires_v c = wires_pick(t[2], t[3], 0, 4, 2, 6);
    const wires_v d = wires_pick(t[2], t[3], 1, 5, 3, 7);
    t[0] = wires_pick(a, c, 0, 1, 4, 5);
    t[1] = wires_pick(b, d, 0, 1, 4, 5);
    t[2] = wires_pick(a, c, 2, 3, 6, 7);
    t[3] = wires_pick(b, d, 2, 3, 6, 7);
}

/* Four rows by up to four columns of a row-major matrix, one column in each vector. */
WIRES_INLINE void wires_get(const double *m, ptrdiff_t columns, ptrdiff_t rows, ptrdiff_t j, wires_v t[4])
{
    if (rows == 4 && j + 4 <= columns) {
        for (int r = 0; r < 4; r++) t[r] = wires_load(m + r * columns + j);
        wires_turn(t);
        return;
    }
    for (int c = 0; c < 4; c++) t[c] = wires_all(0.0);
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 4; r++) t[c][r] = r < rows && j + c < columns ? m[r * columns + j + c] : 0.0;
}

WIRES_INLINE void wires_put(double *m, ptrdiff_t columns, ptrdiff_t rows, ptrdiff_t j, wires_v t[4])
{
    if (rows == 4 && j + 4 <= columns) {
        wires_turn(t);
        for (int r = 0; r < 4; r++) wires_store(m + r * columns + j, t[r]);
        return;
    }
    for (int c = 0; c < 4 && j + c < columns; c++)
        for (int r = 0; r < rows; r++) m[r * columns + j + c] = t[c][r];
}

WIRES_INLINE wires_v wires_ends(const double *ends, ptrdiff_t rows)
{
    wires_v v = wires_all(0.0);
    for (int r = 0; r < rows; r++) v[r] = ends[r];
    return v;
}

WIRES_INLINE ptrdiff_t wires_height(const wires_lines *l, ptrdiff_t group)
{
    return l->rows - 4 * group < 4 ? l->rows - 4 * group : 4;
}

static void wires_factor_rigid(const wires_lines *l, ptrdiff_t group)
{
    const ptrdiff_t rows = wires_height(l, group), n = l->columns;
    double *h = l->h + group * 4 * n, *device = l->device + group * 4 * n;
    wires_v sum = wires_ends(l->left_end + 4 * group, rows) + wires_ends(l->right_end + 4 * group, rows), t[4];
    for (ptrdiff_t j = 0; j < n; j++) sum += wires_load(device + 4 * j);
    const wires_v inverse = wires_reciprocal(sum);
    for (ptrdiff_t j = 0; j < n; j += 4) {
        for (ptrdiff_t c = 0; c < 4 && j + c < n; c++) {
            const wires_v g = wires_load(device + 4 * (j + c));
            wires_store(h + 4 * (j + c), g * inverse);
            t[c] = g * (sum - g) * inverse;
        }
        wires_put(l->e + 4 * group * n, n, rows, j, t);
    }
}

/* Coefficients of four word lines; leaves in e the conductance of each device in series with its word line. */
static void wires_factor_words(const wires_lines *l, ptrdiff_t group, double *scratch)
{
    const ptrdiff_t rows = wires_height(l, group), n = l->columns;
    double *h = l->h + group * 4 * n, *f = l->f + group * 4 * n;
    const wires_v word = wires_all(l->word), right = wires_ends(l->right_end + 4 * group, rows);
    wires_v leak = wires_ends(l->left_end + 4 * group, rows), t[4];
    for (ptrdiff_t j = 0; j < n; j++) {
        if (j % 4 == 0) wires_get(l->g + 4 * group * n, n, rows, j, t);
        const wires_v g = t[j % 4], one = wires_all(1.0);
        const wires_mask large = g > one;
        const wires_v device = (wires_v)((large & (wires_mask)one) | (~large & (wires_mask)g));
        const wires_v rest = (wires_v)((large & (wires_mask)(one / g)) | (~large & (wires_mask)one));
        const wires_v next = j < n - 1 ? word : right;
        const wires_v inverse = wires_reciprocal(device + (leak + next) * rest);
        wires_store(h + 4 * j, device * inverse);
        wires_store(f + 4 * j, word * rest * inverse);
        wires_store(scratch + 12 * j, leak);
        wires_store(scratch + 12 * j + 4, device);
        wires_store(scratch + 12 * j + 8, rest);
        leak = word * (leak * rest + device) * inverse;
    }
    leak = right;
    for (ptrdiff_t j = n - 1; j >= 0; j--) {
        const wires_v device = wires_load(scratch + 12 * j + 4), rest = wires_load(scratch + 12 * j + 8);
        const wires_v both = wires_load(scratch + 12 * j) + leak;
        t[j % 4] = device * both * wires_reciprocal(device + rest * both);
        leak = word * (leak * rest + device) * wires_reciprocal(device + (leak + word) * rest);
        if (j % 4 == 0) wires_put(l->e + 4 * group * n, n, rows, j, t);
    }
}

/* Fill device, h, f and e. scratch: 12 doubles a column. */
static void wires_factor(const wires_lines *l, double *scratch)
{
    const ptrdiff_t n = l->columns, groups = (l->rows + 3) / 4;
    for (ptrdiff_t group = 0; group < groups; group++) {
        for (ptrdiff_t j = 0; j < n; j += 4) {
            wires_v t[4];
            wires_get(l->g + 4 * group * n, n, wires_height(l, group), j, t);
            for (ptrdiff_t c = 0; c < 4 && j + c < n; c++) wires_store(l->device + (group * n + j + c) * 4, t[c]);
        }
        if (l->rigid) wires_factor_rigid(l, group);
        else wires_factor_words(l, group, scratch);
    }
    memcpy(scratch, l->top_end, sizeof(double) * (size_t)n);
    for (ptrdiff_t i = 0; i < l->rows; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double *e = l->e + i * n + j;
            const double up = scratch[j] + *e, inverse = 1 / (up + (i < l->rows - 1 ? l->bit : l->bottom_end[j]));
            scratch[j] = l->bit * up * inverse;
            *e = inverse;
        }
}

/* Four word lines under the bit-line voltages v, the drivers' voltages and the current sources beside the devices
 * (NULL: 0 V, 0 A). out: their own voltages, or the currents from the bit lines into the devices and sources.
 * scratch: 4 doubles a column. */
WIRES_INLINE void wires_words(const wires_lines *l, ptrdiff_t group, const double *v, const double *drive,
                              const double *source, const int currents, const int strong, double *out, double *scratch)
{
    const ptrdiff_t rows = wires_height(l, group), n = l->columns, at = 4 * group * n;
    const double *h = l->h + at, *f = l->f + at, *device = l->device + at;
    const wires_v word = wires_all(l->word);
    wires_v t[4], z = wires_all(0.0), y = z, driven = z, leaving[4] = {z, z, z, z};
    if (drive) {
        driven = wires_ends(drive + 4 * group, rows);
        z = driven * wires_ends(l->left_end + 4 * group, rows) / word;
        y = driven * wires_ends(l->right_end + 4 * group, rows) / word;
    }
    const wires_v first = z, last = y;
    for (ptrdiff_t j = 0; j < n; j += 4) {
        wires_get(v + at, n, rows, j, t);
        if (source) wires_get(source + at, n, rows, j, leaving);
        for (int c = 0; c < 4 && j + c < n; c++) {
            if (source) z -= leaving[c] / word;
            z = wires_fma(wires_load(f + 4 * (j + c)), z, wires_load(h + 4 * (j + c)) * t[c]);
            wires_store(scratch + 4 * (j + c), z);
        }
    }
    for (ptrdiff_t j = (n - 1) / 4 * 4; j >= 0; j -= 4) {
        wires_v q[4];
        if (currents) wires_get(v + at, n, rows, j, t);
        if (currents && source) wires_get(source + at, n, rows, j, leaving);
        for (int c = n - j < 4 ? (int)(n - j) - 1 : 3; c >= 0; c--) {
            const wires_v after = y;
            y = wires_fma(wires_load(f + 4 * (j + c)), y, wires_load(scratch + 4 * (j + c)));
            if (!currents) q[c] = y;
            else if (!strong) q[c] = wires_load(device + 4 * (j + c)) * (t[c] - y);
            else { /* a good device: the balance of its word line's wires tells more than its small voltage */
                const ptrdiff_t k = j + c;
                const wires_v g = wires_load(device + 4 * k), weak = g * (t[c] - y);
                const wires_v left = wires_ends(l->left_end + 4 * group, rows), right = wires_ends(l->right_end + 4 * group, rows);
                wires_v before = y, wires;
                if (k > 0) before = wires_fma(wires_load(f + 4 * (k - 1)), y, wires_load(scratch + 4 * (k - 1)));
                wires = k > 0 ? word * (y - before) : left * y - first * word;
                wires += k < n - 1 ? word * (y - after) : right * y - last * word;
                const wires_mask good = g > word;
                if (source) wires += leaving[c];
                q[c] = (wires_v)((good & (wires_mask)wires) | (~good & (wires_mask)weak));
            }
            if (currents && source) q[c] -= leaving[c];
        }
        wires_put(out + at, n, rows, j, q);
    }
}

/* The same where a word line is one node. */
static void wires_words_rigid(const wires_lines *l, ptrdiff_t group, const double *v, const double *drive, int currents,
                              double *out)
{
    const ptrdiff_t rows = wires_height(l, group), n = l->columns, at = 4 * group * n;
    const double *h = l->h + at, *device = l->device + at;
    wires_v t[4], y = wires_all(0.0);
    if (drive) {
        wires_v ends = wires_ends(l->left_end + 4 * group, rows) + wires_ends(l->right_end + 4 * group, rows), sum = ends;
        for (ptrdiff_t j = 0; j < n; j++) sum += wires_load(device + 4 * j);
        y = ends * wires_ends(drive + 4 * group, rows) * wires_reciprocal(sum);
    }
    for (ptrdiff_t j = 0; j < n; j += 4) {
        wires_get(v + at, n, rows, j, t);
        for (int c = 0; c < 4 && j + c < n; c++) y = wires_fma(wires_load(h + 4 * (j + c)), t[c], y);
    }
    for (ptrdiff_t j = 0; j < n; j += 4) {
        wires_get(v + at, n, rows, j, t);
        for (int c = 0; c < 4 && j + c < n; c++)
            t[c] = currents ? wires_load(device + 4 * (j + c)) * (t[c] - y) : y;
        wires_put(out + at, n, rows, j, t);
    }
}

static void wires_four_words(const wires_lines *l, ptrdiff_t group, const double *v, const double *drive,
                             const double *source, int currents, double *out, double *scratch)
{
    if (l->rigid) wires_words_rigid(l, group, v, drive, currents, out);
    else if (!currents) wires_words(l, group, v, drive, source, 0, 0, out, scratch);
    else if (drive && l->strong) wires_words(l, group, v, drive, source, 1, 1, out, scratch);
    else if (drive) wires_words(l, group, v, drive, source, 1, 0, out, scratch);
    else if (l->strong) wires_words(l, group, v, NULL, NULL, 1, 1, out, scratch);
    else wires_words(l, group, v, NULL, NULL, 1, 0, out, scratch);
}

/* q[i] += the currents that leave row i of the bit lines through their wires. Returns v . q. */
WIRES_INLINE double wires_bits(const wires_lines *l, ptrdiff_t i, const double *v, double *q)
{
    const ptrdiff_t n = l->columns;
    const double *row = v + i * n, *above = row - n, *below = row + n, bit = l->bit;
    double *out = q + i * n, dot[4] = {0, 0, 0, 0};
    for (ptrdiff_t j = 0; j < n; j++) {
        double sum = out[j];
        sum += i > 0 ? bit * (row[j] - above[j]) : l->top_end[j] * row[j];
        sum += i < l->rows - 1 ? bit * (row[j] - below[j]) : l->bottom_end[j] * row[j];
        out[j] = sum;
    }
    ptrdiff_t j = 0;
    for (; j + 4 <= n; j += 4)
        for (int c = 0; c < 4; c++) dot[c] += row[j + c] * out[j + c];
    for (; j < n; j++) dot[0] += row[j] * out[j];
    return (dot[0] + dot[1]) + (dot[2] + dot[3]);
}

/* q = all the currents out of the bit lines' nodes, group by group from the bottom. Returns v . q. */
static double wires_operator(const wires_lines *l, const double *v, const double *drive, const double *source,
                             double *q, double *scratch)
{
    double dot = 0;
    for (ptrdiff_t group = (l->rows + 3) / 4 - 1; group >= 0; group--) {
        wires_four_words(l, group, v, drive, source, 1, q, scratch);
        for (ptrdiff_t i = 4 * group; i < 4 * group + wires_height(l, group); i++) dot += wires_bits(l, i, v, q);
    }
    return dot;
}

/* x += alpha p, r -= alpha q, and the downward half of the bit lines' solve: s. Returns r . M^-1 r. */
static double wires_down(const wires_lines *l, double alpha, const double *p, const double *q, double *x, double *r,
                         double *s)
{
    const ptrdiff_t n = l->columns;
    double sum[4] = {0, 0, 0, 0};
    for (ptrdiff_t i = 0; i < l->rows; i++) {
        const double *e = l->e + i * n, *above = s + (i > 0 ? i - 1 : 0) * n, bit = i > 0 ? l->bit : 0;
        const double *pi = p + i * n, *qi = q + i * n;
        double *xi = x + i * n, *ri = r + i * n, *si = s + i * n;
        for (ptrdiff_t j = 0; j + 4 <= n; j += 4)
            for (int c = 0; c < 4; c++) {
                xi[j + c] += alpha * pi[j + c];
                ri[j + c] -= alpha * qi[j + c];
                const double all = ri[j + c] + bit * above[j + c];
                si[j + c] = all * e[j + c];
                sum[c] += si[j + c] * all;
            }
        for (ptrdiff_t j = n / 4 * 4; j < n; j++) {
            xi[j] += alpha * pi[j];
            ri[j] -= alpha * qi[j];
            const double all = ri[j] + bit * above[j];
            si[j] = all * e[j];
            sum[0] += si[j] * all;
        }
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The upward half: s becomes M^-1 r, and p = M^-1 r + beta p. */
static void wires_up(const wires_lines *l, double beta, double *p, double *s)
{
    const ptrdiff_t n = l->columns;
    for (ptrdiff_t i = l->rows - 1; i >= 0; i--) {
        const double *e = l->e + i * n, *below = s + (i < l->rows - 1 ? i + 1 : i) * n, bit = i < l->rows - 1 ? l->bit : 0;
        double *pi = p + i * n, *si = s + i * n;
        for (ptrdiff_t j = 0; j < n; j++) {
            const double z = si[j] + bit * e[j] * below[j];
            si[j] = z;
            pi[j] = z + beta * pi[j];
        }
    }
}

/* Solve for the bit-line voltages x (start values in), then the word-line voltages y. source: (rows, columns) or NULL,
 * amperes beside each device from its word line to its bit line. work: 4 * rows * columns and 4 doubles a column.
 * Residuals are in the norm of the preconditioner: *start, that of the start values, and *residual, the last one over
 * *start. Nothing is done where *start is at most `enough`. A loose tolerance is not checked again with the true
 * residual. Returns the number of iterations, negative if *residual is above the tolerance. */
static int wires_solve(const wires_lines *l, const double *drive, const double *source, double *x, double *y,
                       double *work, double tolerance, double enough, int most, double *residual, double *start)
{
    const ptrdiff_t size = l->rows * l->columns;
    double *r = work, *p = work + size, *q = work + 2 * size, *s = work + 3 * size, *scratch = work + 4 * size;
    double scale = 0, before = INFINITY, rz = 0;
    const double loose = tolerance > 1e-9 ? 1 : 0.1;
    int steps = 0;
    memset(p, 0, sizeof(double) * (size_t)size);
    memset(s, 0, sizeof(double) * (size_t)l->columns); /* read as what stands above the first row */
    for (int round = 0; round < 4; round++) { /* a new round starts from the true residual */
        wires_operator(l, x, drive, source, q, scratch);
        memset(r, 0, sizeof(double) * (size_t)size);
        rz = wires_down(l, 1.0, p, q, p, r, s); /* p is zero, so only r and s change */
        if (round == 0) scale = rz, *start = sqrt(rz);
        *residual = sqrt(rz) > enough && scale > 0 ? sqrt(rz / scale) : 0;
        if (*residual <= tolerance || (round > 0 && *residual > 0.25 * before)) break;
        before = *residual;
        double beta = 0;
        while (steps < most) {
            wires_up(l, beta, p, s);
            const double curvature = wires_operator(l, p, NULL, NULL, q, scratch);
            if (!(curvature > 0)) break;
            const double old = rz;
            rz = wires_down(l, rz / curvature, p, q, x, r, s);
            steps++;
            if (!(rz > loose * loose * tolerance * tolerance * scale)) break;
            beta = rz / old;
        }
        memset(p, 0, sizeof(double) * (size_t)size);
        if (loose == 1) {
            *residual = sqrt(rz / scale);
            break;
        }
    }
    for (ptrdiff_t group = 0; y && group < (l->rows + 3) / 4; group++)
        wires_four_words(l, group, x, drive, source, 0, y, scratch);
    return *residual <= tolerance ? steps : -1 - steps;
}

#endif
