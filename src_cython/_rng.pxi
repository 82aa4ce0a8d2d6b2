# Counter-based normal random numbers: Threefry4x32-20 (Salmon et al., SC 2011, doi:10.1145/2063384.2063405), then
# Box-Muller with polynomials in float32. There is no state: a number is a function of its key (seed, stream) and its
# counter (what is drawn), so any order, split or thread count gives the same bits. Nothing here calls libm and the
# build forbids contraction, so the bits are also equal on every instruction set.
#
# One unit is sixteen neighbouring columns: four counters of four words each. Eight units are drawn at a time, in loops
# over 32 lanes that the compiler turns into vector instructions.

from libc.math cimport sqrtf
from libc.stdint cimport int32_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline float bits_as_float(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
    static inline uint32_t float_as_bits(float x) { uint32_t bits; memcpy(&bits, &x, 4); return bits; }
    """
    float bits_as_float(uint32_t bits) noexcept nogil
    uint32_t float_as_bits(float x) noexcept nogil

cdef enum:
    UNIT = 16
    UNITS = 8
    LANES = 32  # = UNITS * 4 counters
    BLOCK = 128  # = UNITS * UNIT normals

cdef struct Key:
    uint32_t word[5]

cdef struct Words:  # of LANES counters; in one array, so that the compiler sees that they do not overlap
    uint32_t word[4][LANES]

cdef struct State:
    uint32_t a, b, c, d

cdef struct Counters:  # of UNITS units: column group, two coordinates; the last word is common
    uint32_t group[UNITS]
    uint32_t second[UNITS]
    uint32_t third[UNITS]
    uint32_t last


cdef inline Key make_key(uint64_t seed, uint64_t stream) noexcept nogil:
    cdef Key key
    key.word[0] = <uint32_t>seed
    key.word[1] = <uint32_t>(seed >> 32)
    key.word[2] = <uint32_t>stream
    key.word[3] = <uint32_t>(stream >> 32)
    key.word[4] = <uint32_t>0x1BD11BDA ^ key.word[0] ^ key.word[1] ^ key.word[2] ^ key.word[3]
    return key


cdef inline void mix(uint32_t *a, uint32_t *b, const int turn) noexcept nogil:
    a[0] += b[0]
    b[0] = ((b[0] << turn) | (b[0] >> (32 - turn))) ^ a[0]


cdef inline void two_rounds(State *x, State *y, const int ab, const int cd, const int ad, const int cb) noexcept nogil:
    """Two rounds of two states. The states take turns: each alone would wait for its own results."""
    mix(&x.a, &x.b, ab); mix(&y.a, &y.b, ab); mix(&x.c, &x.d, cd); mix(&y.c, &y.d, cd)
    mix(&x.a, &x.d, ad); mix(&y.a, &y.d, ad); mix(&x.c, &x.b, cb); mix(&y.c, &y.b, cb)


cdef inline void add_key(const Key *key, State *x, const int group) noexcept nogil:
    x.a += key.word[group % 5]
    x.b += key.word[(group + 1) % 5]
    x.c += key.word[(group + 2) % 5]
    x.d += key.word[(group + 3) % 5] + <uint32_t>group


cdef inline void add_keys(const Key *key, State *x, State *y, const int group) noexcept nogil:
    add_key(key, x, group)
    add_key(key, y, group)


cdef inline State load_state(const Words *w, int lane) noexcept nogil:
    cdef State x
    x.a, x.b, x.c, x.d = w.word[0][lane], w.word[1][lane], w.word[2][lane], w.word[3][lane]
    return x


cdef inline void store_state(Words *w, int lane, const State *x) noexcept nogil:
    w.word[0][lane], w.word[1][lane], w.word[2][lane], w.word[3][lane] = x.a, x.b, x.c, x.d


cdef void threefry_lanes(const Key *key, Words *w) noexcept nogil:
    """Replace LANES counters by four random words each."""
    cdef int lane
    cdef State x, y
    cdef Key k = key[0]
    for lane in range(LANES // 2):
        x = load_state(w, lane)
        y = load_state(w, lane + LANES // 2)
        add_keys(&k, &x, &y, 0)
        two_rounds(&x, &y, 10, 26, 11, 21); two_rounds(&x, &y, 13, 27, 23, 5)
        add_keys(&k, &x, &y, 1)
        two_rounds(&x, &y, 6, 20, 17, 11); two_rounds(&x, &y, 25, 10, 18, 20)
        add_keys(&k, &x, &y, 2)
        two_rounds(&x, &y, 10, 26, 11, 21); two_rounds(&x, &y, 13, 27, 23, 5)
        add_keys(&k, &x, &y, 3)
        two_rounds(&x, &y, 6, 20, 17, 11); two_rounds(&x, &y, 25, 10, 18, 20)
        add_keys(&k, &x, &y, 4)
        two_rounds(&x, &y, 10, 26, 11, 21); two_rounds(&x, &y, 13, 27, 23, 5)
        add_keys(&k, &x, &y, 5)
        store_state(w, lane, &x)
        store_state(w, lane + LANES // 2, &y)


cdef inline float minus_two_log(float u) noexcept nogil:
    """-2 ln(u) for 2^-32 <= u <= 1 (polynomial of Cephes logf, within 2e-7 relative)."""
    cdef uint32_t shifted = float_as_bits(u) - <uint32_t>0x3F3504F3  # so that the mantissa is in sqrt(1/2)..sqrt(2)
    cdef float exponent = <float>((<int32_t>shifted) >> 23)
    cdef float f = bits_as_float((shifted & <uint32_t>0x7FFFFF) + <uint32_t>0x3F3504F3) - <float>1.0
    cdef float square = f * f
    cdef float fourth = square * square
    cdef float low = ((<float>3.3333331174e-1 - <float>2.4999993993e-1 * f)
                      + (<float>2.0000714765e-1 - <float>1.6668057665e-1 * f) * square)
    cdef float high = ((<float>1.4249322787e-1 - <float>1.2420140846e-1 * f)
                       + (<float>1.1676998740e-1 - <float>1.1514610310e-1 * f) * square)
    cdef float p = low + (high + <float>7.0376836292e-2 * fourth) * fourth
    p = (p * f - <float>0.5) * square
    return <float>-2.0 * (exponent * <float>0.693147180559945 + (p + f))


cdef inline void polar(uint32_t radius_word, uint32_t angle_word, float *first, float *second) noexcept nogil:
    """Two independent standard normals from two random words. 29 bits choose the angle within an eighth of the circle,
    the other three mirror it into one of the eight."""
    cdef float u = <float><int32_t>(radius_word >> 1) * <float>4.656612873077393e-10 + <float>2.3283064365386963e-10
    cdef float radius = sqrtf(minus_two_log(u))
    cdef float angle = <float><int32_t>(angle_word & <uint32_t>0x1FFFFFFF) * <float>1.4629180792671596e-09  # pi/4/2^29
    cdef float z = angle * angle
    cdef float sine = ((<float>-1.9515295891e-4 * z + <float>8.3321608736e-3) * z - <float>1.6666654611e-1) * z
    cdef float cosine = ((<float>2.443315711809948e-5 * z - <float>1.388731625493765e-3) * z
                         + <float>4.166664568298827e-2) * (z * z)
    cdef uint32_t x = float_as_bits(radius * ((cosine - <float>0.5 * z) + <float>1.0))
    cdef uint32_t y = float_as_bits(radius * (sine * angle + angle))
    cdef uint32_t swapped = (x ^ y) & (<uint32_t>0 - ((angle_word >> 29) & 1))
    first[0] = bits_as_float(x ^ swapped ^ (angle_word & <uint32_t>0x80000000))
    second[0] = bits_as_float(y ^ swapped ^ ((angle_word << 1) & <uint32_t>0x80000000))


cdef void draw_block(const Key *key, const Counters *counters, float *out) noexcept nogil:
    """BLOCK standard normals: out[unit][16] for eight units."""
    cdef Words w
    cdef float z[4][LANES]
    cdef int lane, unit, word
    for unit in range(UNITS):
        for lane in range(4):
            w.word[0][unit * 4 + lane] = counters.group[unit] * 4 + lane
            w.word[1][unit * 4 + lane] = counters.second[unit]
            w.word[2][unit * 4 + lane] = counters.third[unit]
    for lane in range(LANES):
        w.word[3][lane] = counters.last
    threefry_lanes(key, &w)
    for lane in range(LANES):
        polar(w.word[0][lane], w.word[1][lane], &z[0][lane], &z[1][lane])
        polar(w.word[2][lane], w.word[3][lane], &z[2][lane], &z[3][lane])
    for unit in range(UNITS):
        for word in range(4):
            for lane in range(4):
                out[unit * UNIT + word * 4 + lane] = z[word][unit * 4 + lane]
