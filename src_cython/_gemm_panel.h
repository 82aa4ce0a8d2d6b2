/* The products of _gemm.h for one kind of number; included once for each, with GEMM(name), GEMM_NUMBER, GEMM_WEIGHT and
 * GEMM_VECTORS, the vectors of a row in registers. */

#define GEMM_LANES ((int)(sizeof(GEMM(gemm_vector)) / sizeof(GEMM_NUMBER)))
#define GEMM_WIDTH (GEMM_VECTORS * GEMM_LANES)

/* The same vector type without alignment or aliasing demands, for loads and stores. */
typedef GEMM(gemm_vector) GEMM(gemm_memory) __attribute__((aligned(4), may_alias));

typedef GEMM_WEIGHT GEMM(gemm_weights) __attribute__((vector_size(GEMM_LANES * sizeof(GEMM_WEIGHT))));
typedef GEMM(gemm_weights) GEMM(gemm_weight_memory) __attribute__((aligned(4), may_alias));

GEMM_INLINE GEMM(gemm_vector) GEMM(gemm_load)(const GEMM_WEIGHT *p)
{
    const GEMM(gemm_weights) weights = *(const GEMM(gemm_weight_memory) *)p;
    return (GEMM(gemm_vector))__builtin_convertvector(weights, GEMM(gemm_vector));
}
GEMM_INLINE void GEMM(gemm_store)(GEMM_NUMBER *p, GEMM(gemm_vector) v) { *(GEMM(gemm_memory) *)p = v; }
GEMM_INLINE GEMM(gemm_vector) GEMM(gemm_broadcast)(GEMM_NUMBER x) { return x - (GEMM(gemm_vector)){0}; }

/* c[rows][16] = a[rows][depth] . b[depth][16], for a number of rows that is known at compile time. */
GEMM_INLINE void GEMM(gemm_rows)(const int rows, const GEMM_NUMBER *a, ptrdiff_t stride, const GEMM_WEIGHT *b,
                                 ptrdiff_t depth, GEMM_NUMBER *c)
{
    for (int column = 0; column < GEMM_PANEL; column += GEMM_WIDTH) {
        GEMM(gemm_vector) sum[GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                sum[i][j] = GEMM(gemm_broadcast)(0);
        for (ptrdiff_t k = 0; k < depth; k++) {
            GEMM(gemm_vector) weight[GEMM_VECTORS];
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                weight[j] = GEMM(gemm_load)(b + k * GEMM_PANEL + column + j * GEMM_LANES);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                const GEMM(gemm_vector) input = GEMM(gemm_broadcast)(a[i * stride + k]);
#pragma GCC unroll 4
                for (int j = 0; j < GEMM_VECTORS; j++)
                    sum[i][j] = GEMM(gemm_fma)(input, weight[j], sum[i][j]);
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                GEMM(gemm_store)(c + i * GEMM_PANEL + column + j * GEMM_LANES, sum[i][j]);
    }
}

/* c[rows][16] = a[rows][depth] . b[depth][16] for any number of rows. */
static void GEMM(gemm_panel)(ptrdiff_t rows, const GEMM_NUMBER *a, ptrdiff_t stride, const GEMM_WEIGHT *b,
                             ptrdiff_t depth, GEMM_NUMBER *c)
{
    for (; rows >= GEMM_ROWS; rows -= GEMM_ROWS, a += GEMM_ROWS * stride, c += GEMM_ROWS * GEMM_PANEL)
        GEMM(gemm_rows)(GEMM_ROWS, a, stride, b, depth, c);
    switch (rows) {
#if GEMM_ROWS > 4
    case 5: GEMM(gemm_rows)(5, a, stride, b, depth, c); break;
    case 4: GEMM(gemm_rows)(4, a, stride, b, depth, c); break;
#endif
    case 3: GEMM(gemm_rows)(3, a, stride, b, depth, c); break;
    case 2: GEMM(gemm_rows)(2, a, stride, b, depth, c); break;
    case 1: GEMM(gemm_rows)(1, a, stride, b, depth, c); break;
    }
}

/* Four products of one input row with one panel each. A single row is bound by memory, not arithmetic: reading four
 * panels at once keeps enough additions in flight to hide their latency. */
static void GEMM(gemm_streams)(const GEMM_NUMBER *const a[GEMM_STREAMS], const GEMM_WEIGHT *const b[GEMM_STREAMS],
                               ptrdiff_t depth, GEMM_NUMBER *const c[GEMM_STREAMS])
{
    for (int column = 0; column < GEMM_PANEL; column += 2 * GEMM_LANES) {
        GEMM(gemm_vector) sum[GEMM_STREAMS][2];
#pragma GCC unroll 4
        for (int s = 0; s < GEMM_STREAMS; s++)
            sum[s][0] = sum[s][1] = GEMM(gemm_broadcast)(0);
        for (ptrdiff_t k = 0; k < depth; k++)
#pragma GCC unroll 4
            for (int s = 0; s < GEMM_STREAMS; s++) {
                const GEMM_WEIGHT *weight = b[s] + k * GEMM_PANEL + column;
                const GEMM(gemm_vector) input = GEMM(gemm_broadcast)(a[s][k]);
                sum[s][0] = GEMM(gemm_fma)(input, GEMM(gemm_load)(weight), sum[s][0]);
                sum[s][1] = GEMM(gemm_fma)(input, GEMM(gemm_load)(weight + GEMM_LANES), sum[s][1]);
            }
#pragma GCC unroll 4
        for (int s = 0; s < GEMM_STREAMS; s++) {
            GEMM(gemm_store)(c[s] + column, sum[s][0]);
            GEMM(gemm_store)(c[s] + column + GEMM_LANES, sum[s][1]);
        }
    }
}

#undef GEMM_LANES
#undef GEMM_WIDTH
