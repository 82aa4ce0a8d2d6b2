/* Sums of weights in REAL; see _floating.h, which includes this twice. Inputs of 0 add nothing and are skipped. */

/* The inputs of a line that are not 0. Returns how many; *ones says whether all of them are 1. */
static int64_t NAME(list)(const fl_lines *x, int64_t m, int32_t *events, REAL *values, int32_t *ones)
{
    const char *line = fl_line(x, m);
    int64_t found = 0, j = 0;
    *ones = 1;
    if (x->kind == 0) return ev_list((const uint8_t *)line, x->n, events);
#if defined(__SSE2__)
    for (; x->kind == 1 && j + 16 <= x->n; j += 16)
        for (uint32_t mask = fl_mask16((const float *)line + j); mask; mask &= mask - 1) {
            events[found] = (int32_t)(j + __builtin_ctz(mask));
            values[found] = (REAL)((const float *)line)[events[found]];
            *ones &= values[found++] == 1;
        }
#endif
    for (; j < x->n; j++) {
        const REAL value = x->kind == 1 ? (REAL)((const float *)line)[j] : (REAL)((const double *)line)[j];
        events[found] = (int32_t)j;
        values[found] = value;
        found += value != 0;
        *ones &= (value == 0) | (value == 1);
    }
    return found;
}

/* out[0 : vectors * LANES] = sum of that piece of the rows of all events, in registers. */
EV_INLINE void NAME(piece)(const float *panel, int64_t width, const int32_t *events, const REAL *values, int64_t n,
                           int vectors, int scaled, REAL *out)
{
    VECTOR sum[8];
    for (int k = 0; k < vectors; k++) sum[k] = (VECTOR){0};
    for (int64_t e = 0; e < n; e++) {
        const float *from = panel + events[e] * width;
        if (scaled) {
            const REAL value = values[e];
            for (int k = 0; k < vectors; k++) sum[k] += value * LOAD(from + k * LANES);
        } else {
            for (int k = 0; k < vectors; k++) sum[k] += LOAD(from + k * LANES);
        }
    }
    for (int k = 0; k < vectors; k++) *(VECTOR *)(out + k * LANES) = sum[k];
}

#define FL_PIECE(VECTORS, SCALED)                                                                                   \
    static __attribute__((noinline)) void NAME(piece_##VECTORS##_##SCALED)(                                         \
        const float *panel, int64_t width, const int32_t *events, const REAL *values, int64_t n, REAL *out)         \
    {                                                                                                               \
        NAME(piece)(panel, width, events, values, n, VECTORS, SCALED, out);                                         \
    }
FL_PIECE(8, 0)
FL_PIECE(8, 1)
FL_PIECE(4, 0)
FL_PIECE(4, 1)
FL_PIECE(2, 0)
FL_PIECE(2, 1)
FL_PIECE(1, 0)
FL_PIECE(1, 1)
#undef FL_PIECE

/* One panel of one line; `width` is a multiple of 16. values: NULL where all are 1. */
static void NAME(panel)(const fl_dense *d, int64_t p, const int32_t *events, const REAL *values, int64_t n, REAL *out)
{
    const float *panel = d->panels + p * d->n_in * d->width;
    int64_t k = 0;
    for (; k + 8 * LANES <= d->width; k += 8 * LANES)
        (values ? NAME(piece_8_1) : NAME(piece_8_0))(panel + k, d->width, events, values, n, out + k);
    for (; k + 4 * LANES <= d->width; k += 4 * LANES)
        (values ? NAME(piece_4_1) : NAME(piece_4_0))(panel + k, d->width, events, values, n, out + k);
    for (; k + 2 * LANES <= d->width; k += 2 * LANES)
        (values ? NAME(piece_2_1) : NAME(piece_2_0))(panel + k, d->width, events, values, n, out + k);
    for (; k < d->width; k += LANES)
        (values ? NAME(piece_1_1) : NAME(piece_1_0))(panel + k, d->width, events, values, n, out + k);
}

EV_INLINE void NAME(finish)(const REAL *sum, const float *bias, int64_t n, float *drive)
{
    if (bias)
        for (int64_t i = 0; i < n; i++) drive[i] = (float)(sum[i] + (REAL)bias[i]);
    else
        for (int64_t i = 0; i < n; i++) drive[i] = (float)sum[i];
}

/* Lists of the inputs of up to FL_LINES lines, one behind the other; `ones` says where all values are 1. */
typedef struct {
    int64_t first, lines, at[FL_LINES + 1];
    int32_t ones[FL_LINES];
    int32_t *events;
    REAL *values;
} NAME(lists);

/* Memory for the lists; 0 if there is none. */
static int NAME(lists_begin)(NAME(lists) *l, const fl_lines *x)
{
    const size_t room = (size_t)((x->lines < FL_LINES ? x->lines : FL_LINES) * x->n + EV_PAD);
    l->first = l->lines = 0;
    l->events = malloc(room * sizeof(int32_t));
    l->values = malloc((x->kind ? room : 1) * sizeof(REAL));
    return l->events && l->values;
}

/* Lists the next lines; 0 if there are no more. */
static int NAME(lists_next)(NAME(lists) *l, const fl_lines *x)
{
    l->first += l->lines;
    l->lines = x->lines - l->first < FL_LINES ? x->lines - l->first : FL_LINES;
    l->at[0] = 0;
    for (int64_t k = 0; k < l->lines; k++) {
        const int64_t at = l->at[k];
        l->at[k + 1] = at + NAME(list)(x, l->first + k, l->events + at, l->values + (x->kind ? at : 0), &l->ones[k]);
    }
    return l->lines > 0;
}

static void NAME(lists_end)(const NAME(lists) *l)
{
    free(l->events);
    free(l->values);
}

/* One panel of the k-th listed line. */
EV_INLINE void NAME(listed)(const fl_dense *d, int64_t p, const NAME(lists) *l, int64_t k, REAL *sum)
{
    const int64_t at = l->at[k];
    NAME(panel)(d, p, l->events + at, l->ones[k] ? NULL : l->values + at, l->at[k + 1] - at, sum);
}

/* Panel by panel over many lines, so that a panel stays in the cache. The additions made, or -1 without memory. */
static int64_t NAME(dense)(const fl_dense *d, const fl_lines *x, const float *bias, float *drive)
{
    REAL sum[64];
    NAME(lists) lists;
    int64_t made = NAME(lists_begin)(&lists, x) ? 0 : -1;
    while (made >= 0 && NAME(lists_next)(&lists, x)) {
        made += lists.at[lists.lines] * d->n;
        for (int64_t p = 0; p < d->count; p++) {
            const int64_t column = p * d->width, left = d->n - column < d->width ? d->n - column : d->width;
            for (int64_t k = 0; k < lists.lines; k++) {
                NAME(listed)(d, p, &lists, k, sum);
                NAME(finish)(sum, bias ? bias + column : NULL, left, drive + (lists.first + k) * d->n + column);
            }
        }
    }
    NAME(lists_end)(&lists);
    return made;
}

static int64_t NAME(sparse_line)(const fl_sparse *s, const int32_t *events, const REAL *values, int64_t n, REAL *sum)
{
    int64_t made = 0;
    for (int64_t k = 0; k < n; k++) {
        const int32_t last = s->indptr[events[k] + 1];
        const REAL value = values ? values[k] : 1;
        made += last - s->indptr[events[k]];
        for (int32_t e = s->indptr[events[k]]; e < last; e++) sum[s->target[e]] += value * (REAL)s->weight[e];
    }
    return made;
}

EV_INLINE void NAME(add_row)(REAL *restrict to, const float *restrict from, REAL value, int scaled, int64_t length)
{
    if (scaled)
        for (int64_t c = 0; c < length; c++) to[c] += value * (REAL)from[c];
    else
        for (int64_t c = 0; c < length; c++) to[c] += (REAL)from[c];
}

EV_INLINE int64_t NAME(taps)(const fl_convolution *v, const int32_t *events, const REAL *values, int64_t n, REAL *sum,
                             int64_t length)
{
    const int64_t plane = v->down.size * v->across.size;
    int64_t made = 0;
    for (int64_t k = 0; k < n; k++) {
        const int64_t channel = events[k] / plane, y = events[k] % plane / v->across.size;
        const int64_t x = events[k] % plane % v->across.size;
        const float *kernel = v->table + channel * v->down.taps * v->across.taps * length;
        REAL *group = sum + channel / v->per_group * length;
        const int32_t *left = v->across.first + x;
        for (int32_t a = v->down.first[y]; a < v->down.first[y + 1]; a++)
            for (int32_t b = left[0]; b < left[1]; b++) {
                const float *from = kernel + (v->down.tap[a] * v->across.taps + v->across.tap[b]) * length;
                REAL *to = group + (v->down.out[a] * v->wide + v->across.out[b]) * v->channels;
                if (values) NAME(add_row)(to, from, values[k], 1, length);
                else NAME(add_row)(to, from, 1, 0, length);
            }
        made += (int64_t)(v->down.first[y + 1] - v->down.first[y]) * (left[1] - left[0]);
    }
    return made * length;
}

static int64_t NAME(convolution_line)(const fl_convolution *v, const int32_t *events, const REAL *values, int64_t n,
                                      REAL *sum)
{
    switch (v->length) { /* the usual channel numbers are unrolled */
    case 8: return NAME(taps)(v, events, values, n, sum, 8);
    case 16: return NAME(taps)(v, events, values, n, sum, 16);
    case 32: return NAME(taps)(v, events, values, n, sum, 32);
    case 64: return NAME(taps)(v, events, values, n, sum, 64);
    default: return NAME(taps)(v, events, values, n, sum, v->length);
    }
}

/* Lines through synapses in lists (`s`) or in a kernel that moves (`v`); the other is NULL. -1 without memory. */
static int64_t NAME(scattered)(const fl_sparse *s, const fl_convolution *v, const fl_lines *x, const float *bias,
                               float *drive)
{
    const int64_t n = s ? s->n : v->n;
    int32_t *events = malloc((size_t)(x->n + EV_PAD) * sizeof(int32_t)), ones;
    REAL *values = malloc((size_t)(x->n + EV_PAD) * sizeof(REAL)), *sum = malloc((size_t)(n + 1) * sizeof(REAL));
    int64_t made = events && values && sum ? 0 : -1;
    for (int64_t m = 0; made >= 0 && m < x->lines; m++) {
        const int64_t found = NAME(list)(x, m, events, values, &ones);
        memset(sum, 0, (size_t)n * sizeof(REAL));
        if (s) made += NAME(sparse_line)(s, events, ones ? NULL : values, found, sum);
        else made += NAME(convolution_line)(v, events, ones ? NULL : values, found, sum);
        NAME(finish)(sum, bias, n, drive + m * n);
    }
    free(events);
    free(values);
    free(sum);
    return made;
}
