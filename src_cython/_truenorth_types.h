/* Vector types, the chip, and the random numbers of the TrueNorth kernel; see _truenorth.h. */
#ifndef NEUROEMU_TRUENORTH_TYPES_H
#define NEUROEMU_TRUENORTH_TYPES_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* AVX-512 as in Ice Lake and Zen 4: bits used as masks, and lists of set bits. */
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI__) && defined(__AVX512VBMI2__) && \
    defined(__AVX512BITALG__) && defined(__AVX512VPOPCNTDQ__) && defined(__GFNI__)
#define TN_512 1
#else
#define TN_512 0
#endif

#if defined(__AVX2__)
#define TN_BYTES 32
#else
#define TN_BYTES 16
#endif
#define TN_S (TN_BYTES / 2) /* int16 lanes */
#define TN_I (TN_BYTES / 4) /* int32 lanes */
#define TN_ALIGNED __attribute__((aligned(64)))
#define TN_INLINE static inline __attribute__((always_inline))

typedef int16_t tn_s __attribute__((vector_size(TN_BYTES), may_alias, aligned(2)));
typedef int16_t tn_h __attribute__((vector_size(TN_BYTES / 2), may_alias, aligned(2)));
typedef int8_t tn_q __attribute__((vector_size(TN_BYTES / 4), may_alias, aligned(1)));
typedef int32_t tn_i __attribute__((vector_size(TN_BYTES), may_alias, aligned(4)));
typedef uint32_t tn_u __attribute__((vector_size(TN_BYTES), may_alias, aligned(4)));
typedef uint64_t tn_bits __attribute__((vector_size(TN_BYTES), may_alias, aligned(1)));

/* Copies 256 bits word by word: what was written so a moment ago is not there yet for a load of a whole vector. */
TN_INLINE void tn_copy(void *to, const void *from)
{
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, (const uint8_t *)from + 8 * word, 8);
        __asm__("" : "+r"(bits)); /* keeps the compiler from making one vector of them */
        memcpy((uint8_t *)to + 8 * word, &bits, 8);
    }
}

enum { TN_SIZE = 256, TN_ROW = 32, TN_SLOTS = 16, TN_TYPES = 4, TN_PLANES = 9, TN_MESH = 64, TN_HALF = 1 << 19 };
enum {
    TN_INPUT_SPIKES, TN_SYNAPTIC_EVENTS, TN_NEURON_UPDATES, TN_ACTIVE_CORES, TN_SPIKES, TN_OUTPUT_SPIKES, TN_MERGES,
    TN_SATURATIONS, TN_EAST, TN_WEST, TN_NORTH, TN_SOUTH, TN_CROSSINGS, TN_COUNTS
};

/* What a core needs; what it does not need costs nothing. Three cache lines are all that a plain core reads. */
typedef struct {
    int32_t one_threshold, one_negative, one_leak, one_reset; /* of all neurons, where `same` */
    int16_t one_weight[TN_TYPES];
    int32_t most_weight, most_leak; /* largest absolute values */
    int32_t room, most_room; /* how far every |V| is from saturation, at least; most: after a reset */
    uint8_t always_busy, busy; /* busy: some neuron is unsettled */
    uint8_t plain; /* nothing is drawn, no leak is reversed, and all neurons have one reset mode */
    uint8_t same;  /* and all have the same weights, leak, thresholds and reset */
    uint8_t paired; /* its weights fit into tn_pairs */
    uint8_t one_mode, has_reversal, has_stochastic_leak, has_stochastic_synapse, has_eta;
    TN_ALIGNED uint64_t type_bits[2][4]; /* low and high bit of the type of each axon */
    uint64_t leaving[4]; /* neurons whose spikes leave the chip, as bits */
    uint64_t axons[TN_TYPES][4]; /* of each type, as bits */
    int16_t largest[TN_TYPES]; /* |weight| */
    int16_t threshold_mask, negative_mask, reset_mask, leak_mask, weight_mask[TN_TYPES]; /* 0: all have the same */
} tn_plan;

/* Weights of a core as bytes: types 0 and 1, and 2 and 3, of each neuron. */
typedef struct {
    uint16_t weight[2][TN_SIZE];
} tn_pairs;

typedef struct {
    int64_t cores;
    const uint8_t *crossbar, *axon_type, *stochastic_synapse, *leak_mode, *reset_mode, *threshold_bits;
    const int16_t *weight, *leak, *position;
    const int32_t *threshold, *negative_threshold, *reset, *route, *recorded, *probed;
    const uint32_t *core_seed;
    uint64_t seed;
    int32_t lfsr, atomic; /* atomic: several threads set bits of one slot */
    int32_t *potential, *probe_out;
    uint8_t *ring, *spikes_out;
    uint32_t *registers;
    int64_t recorded_rows, probed_rows;
    const int32_t *group; /* of each core: row of by_group in which its events are counted too; or NULL */
    int64_t *by_group;
    tn_plan *plan;
    tn_pairs *pairs; /* of each core, or NULL */
} tn_chip;

/* ---------------------------------------------------------------- random numbers */

#define TN_MIX(A, B, TURN) A += B, B = ((B << TURN) | (B >> (32 - TURN))) ^ A
#define TN_TWO_ROUNDS(AB, CD, AD, CB) \
    TN_MIX(a, b, AB), TN_MIX(c, d, CD), TN_MIX(a, d, AD), TN_MIX(c, b, CB)
#define TN_ADD_KEY(G) a += key[(G) % 5], b += key[(G + 1) % 5], c += key[(G + 2) % 5], d += key[(G + 3) % 5] + (G)

/* Threefry4x32-20 (Salmon et al., SC 2011) of `n` counters (first + lane * step, tick, 0), n a multiple of TN_I. */
static void tn_random(const tn_chip *chip, int64_t core, uint64_t tick, uint32_t first, uint32_t step, int n,
                      uint32_t *words, int stride)
{
    uint32_t key[5] = {(uint32_t)chip->seed, (uint32_t)(chip->seed >> 32), chip->core_seed[core], 0x54525545u, 0};
    key[4] = 0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3];
    tn_u lane;
    for (int k = 0; k < TN_I; k++) lane[k] = first + (uint32_t)k * step;
    for (int i = 0; i < n; i += TN_I) {
        tn_u a = lane, b = (tn_u){0} + (uint32_t)tick, c = (tn_u){0} + (uint32_t)(tick >> 32), d = {0};
        TN_ADD_KEY(0);
        TN_TWO_ROUNDS(10, 26, 11, 21), TN_TWO_ROUNDS(13, 27, 23, 5);
        TN_ADD_KEY(1);
        TN_TWO_ROUNDS(6, 20, 17, 11), TN_TWO_ROUNDS(25, 10, 18, 20);
        TN_ADD_KEY(2);
        TN_TWO_ROUNDS(10, 26, 11, 21), TN_TWO_ROUNDS(13, 27, 23, 5);
        TN_ADD_KEY(3);
        TN_TWO_ROUNDS(6, 20, 17, 11), TN_TWO_ROUNDS(25, 10, 18, 20);
        TN_ADD_KEY(4);
        TN_TWO_ROUNDS(10, 26, 11, 21), TN_TWO_ROUNDS(13, 27, 23, 5);
        TN_ADD_KEY(5);
        *(tn_u *)(words + i) = a;
        *(tn_u *)(words + stride + i) = b;
        *(tn_u *)(words + 2 * stride + i) = c;
        *(tn_u *)(words + 3 * stride + i) = d;
        lane += (uint32_t)TN_I * step;
    }
}

/* `bits` bits of a Galois shift register with taps 32, 22, 2, 1; the first one lowest. */
static uint32_t tn_draw(uint32_t *state, int bits)
{
    uint32_t value = 0;
    for (int i = 0; i < bits; i++) {
        uint32_t out = *state & 1;
        *state = *state >> 1 ^ (0x80200003u & (0u - out));
        value |= out << i;
    }
    return value;
}

/* sgn(s) where the draw lets a stochastic synapse or leak act, else 0. */
TN_INLINE int tn_chance(int s, int rho) { return ((s < 0 ? -s : s) >= rho) * ((s > 0) - (s < 0)); }
#endif
