# Weights of a layer in the order in which the kernel reads them: [row tile][panel of 16 columns][row][16].

cdef enum:
    ALIGNMENT = 64
    GRID_BITS = 20  # of exact sums: weights are multiples of 2^-20, variances have 20 bits below the largest
    DRIVE_BITS = 8  # drives with errors are multiples of 2^-8, and so are their squares
    EXACT_BITS = 53  # of a float64's mantissa

cdef double FARTHEST = 7.0  # no normal of the generator is beyond 6.7


cdef void *new_block(Py_ssize_t size) except NULL:
    cdef void *block = aligned_alloc(ALIGNMENT, round_up(max(size, 1), ALIGNMENT))
    if block == NULL:
        raise MemoryError(f"{size} bytes for a crossbar product")
    return block


cdef inline int bits_of(double x) noexcept nogil:
    """Smallest e >= 0 with |x| < 2^e."""
    cdef int e = 0
    frexp(x, &e)
    return max(e, 0)


cdef class Packed:
    """Weights of one crossbar layer in the order in which the kernel reads them; made by pack()."""

    cdef float *mean
    cdef float *variance
    cdef float *column_variance
    cdef float *sigma
    cdef readonly Py_ssize_t K, M, tile_rows, n_row_tiles
    cdef readonly bint exact
    cdef Py_ssize_t panels, depth  # depth: rows reserved for each tile
    cdef double largest  # magnitude of a weight with its slow noise

    def __dealloc__(self):
        free(self.mean)
        free(self.variance)
        free(self.column_variance)
        free(self.sigma)

    @property
    def has_fresh_noise(self):
        return self.variance != NULL or self.column_variance != NULL

    @property
    def has_column_noise(self):
        """Whether the fresh noise has the same variance in all rows of a tile."""
        return self.column_variance != NULL

    @property
    def has_slow_noise(self):
        return self.sigma != NULL

    @property
    def nbytes(self):
        """Bytes of the packed arrays."""
        arrays = 1 + (self.variance != NULL) + self.has_slow_noise
        columns = self.n_row_tiles * self.panels * UNIT * sizeof(float)
        return (arrays * self.depth + self.has_column_noise) * columns

    def exact_bits(self, double largest_drive, bint errors=False):
        """Bits that exact sums take for drives up to a magnitude; errors: whether drivers have noise or a table."""
        rows = int(self.depth - 1).bit_length()
        sums = bits_of(largest_drive) + DRIVE_BITS * errors + bits_of(self.largest) + GRID_BITS + rows
        if not self.has_fresh_noise:
            return sums
        squares = 2 * bits_of(largest_drive) + rows
        if self.has_column_noise:
            return max(sums, squares + 2 * DRIVE_BITS * errors)
        return max(sums, squares + DRIVE_BITS * errors + GRID_BITS)

    cdef float *arrange(self, const float[:, :] source, Py_ssize_t depth, double grid) except NULL:
        """[tile][panel][depth][16] of a matrix with depth rows a tile; exact: rounded to multiples of grid, if any.

        A float32 that is rounded to a power of two stays a float32.
        """
        cdef Py_ssize_t size = self.n_row_tiles * self.panels * depth * UNIT * sizeof(float)
        cdef float *packed = <float *>new_block(size)
        cdef Py_ssize_t k, m, place
        cdef double value
        cdef bint rounds = self.exact and grid > 0
        with nogil:
            memset(packed, 0, size)
            for k in range(source.shape[0]):
                for m in range(source.shape[1]):
                    value = source[k, m]
                    if rounds:
                        value = rounded(value / grid) * grid
                    place = (k // depth * self.panels + m // UNIT) * depth + k % depth
                    packed[place * UNIT + m % UNIT] = <float>value
        return packed


cdef double largest_of(const float[:, :] mean, const float[:, :] sigma) noexcept:
    cdef double largest = 0
    cdef Py_ssize_t k, m
    for k in range(mean.shape[0]):
        for m in range(mean.shape[1]):
            largest = max(largest, fabs(mean[k, m]) + (FARTHEST * sigma[k, m] if sigma is not None else 0))
    return largest


def pack(
    const float[:, :] mean,
    const float[:, :] fresh_variance,
    const float[:, :] slow_sigma,
    Py_ssize_t tile_rows,
    *,
    const float[:, :] column_variance=None,
    bint exact=False,
):
    """Arrange weights for mvm().

    mean: (K, M), effective signed weight in code units. fresh_variance: (K, M) or None, variance of the read noise
    drawn for each read. slow_sigma: (K, M) or None, standard deviation of the noise drawn once for each image.
    tile_rows: rows of a tile; the last tile may have fewer. column_variance: (row tiles, M), in place of fresh_variance
    where that is the same for all rows of a tile; one matrix product less. exact: sums in float64 of weights rounded to
    2^-20 and variances rounded to 2^-20 of the largest's power of two, the same bits on every machine.
    """
    cdef Packed packed = Packed.__new__(Packed)
    if tile_rows < 1 or mean.shape[0] < 1 or mean.shape[1] < 1:
        raise ValueError(f"pack: needs at least one row, column and row per tile, got {mean.shape[0]}, "
                         f"{mean.shape[1]}, {tile_rows}")
    if fresh_variance is not None and column_variance is not None:
        raise ValueError("pack: got both fresh_variance and column_variance; give one")
    packed.K = mean.shape[0]
    packed.M = mean.shape[1]
    packed.tile_rows = tile_rows
    packed.n_row_tiles = (packed.K + tile_rows - 1) // tile_rows
    packed.panels = (packed.M + UNIT - 1) // UNIT
    packed.depth = min(tile_rows, packed.K)
    packed.exact = exact
    check_shape(fresh_variance, "fresh_variance", packed.K, packed.M)
    check_shape(slow_sigma, "slow_sigma", packed.K, packed.M)
    check_shape(column_variance, "column_variance", packed.n_row_tiles, packed.M)
    packed.largest = largest_of(mean, slow_sigma)
    packed.mean = packed.arrange(mean, packed.depth, 2.0**-GRID_BITS)
    if fresh_variance is not None:
        packed.variance = packed.arrange(fresh_variance, packed.depth, variance_grid(fresh_variance))
    if column_variance is not None:
        packed.column_variance = packed.arrange(column_variance, 1, 0)
    if slow_sigma is not None:
        packed.sigma = packed.arrange(slow_sigma, packed.depth, 0)
    return packed


cdef int check_shape(const float[:, :] array, str name, Py_ssize_t rows, Py_ssize_t columns) except -1:
    if array is not None and (array.shape[0] != rows or array.shape[1] != columns):
        raise ValueError(f"pack: {name} has shape {(array.shape[0], array.shape[1])}; give {(rows, columns)}")
    return 0


cdef double variance_grid(const float[:, :] variance):
    cdef int e = 0
    frexp(largest_of(variance, None), &e)
    return 2.0 ** (e - GRID_BITS)
