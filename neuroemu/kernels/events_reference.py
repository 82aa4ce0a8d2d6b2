"""NumPy twin of the events kernel: the specification, in int64, as plain as it can be said.

In: spikes of the inputs and one layer (block rows of weights, neuron registers). Out: spikes, states and counts of that
layer. The arithmetic is that of a Loihi 1 core (Davies et al. 2018, doi:10.1109/MM.2018.112130359), with the widths
and limits as read from the public emulators brian2-loihi, nengo-loihi and lava, which agree with it spike by spike.

Array letters: B images, T steps, I inputs, N neurons, E edges, L weights in a row, D slots of the delay ring.
"""

import numpy as np

COUNT_NAMES = (
    "input_spikes",
    "synaptic_operations",
    "output_spikes",
    "active_updates",
    "inactive_updates",
    "q_wraps",
    "u_wraps",
    "v_clips",
)


def run_layer(
    spikes_in,
    *,
    indptr,
    target,
    row,
    delay=None,
    weights,
    shift=0,
    du,
    dv,
    threshold,
    bias,
    refractory,
    subtract_reset=False,
    q_bits,
    u_bits,
    v_limit,
    spikes_out,
    counts,
    initial_voltage=None,
    u=None,
    v=None,
    counter=None,
    ring=None,
    probe_u=None,
    probe_v=None,
    threads=1,
):
    """Run one layer over a batch of images, in place.

    For each step t, in this order::

        q = sum of weights[row[e], :] * 2^shift over the edges e of the inputs that spiked at t - delay[e],
            wrapped to q_bits and a sign
        u = wrap(decay(u, du) + q), to u_bits and a sign
        v = clip(decay(v, dv) + u + bias, -v_limit, v_limit), held where the neuron is refractory
        spike = v > threshold (strictly) and not refractory
        v = 0, or v - threshold with `subtract_reset`, where it spiked
        decay(x, d) = sign(x) * ((|x| * (4096 - d)) >> 12), toward zero

    Time is local to the layer: an input spike in column t arrives in step t. On the chip a spike arrives one step
    after it was emitted; in a chain of layers that step is the shift between their windows ("layer l starts l steps
    later"), so the output array of one layer is the input array of the next. A synaptic delay comes on top.

    Parameters
    ----------
    spikes_in : uint8 (B, T, I)
        Non-zero where an input spikes.
    indptr : int32 (I + 1,)
        Input j owns the edges indptr[j] .. indptr[j + 1] - 1. A dense layer has one edge an input (L = N), a
        convolution in channel-last neuron order has kernel height x width edges (L = output channels), single synapses
        have L = 1.
    target : int32 (E,)
        First neuron that the edge reaches; it reaches target .. target + L - 1.
    row : int32 (E,)
        Row of the weight table that the edge adds.
    delay : uint8 (E,), optional
        Extra steps until arrival, 0 .. D - 1.
    weights : int16 (rows, L)
        Actual weights in units of 2^shift, -32767 .. 32767.
    shift : int
        Power of two of the weights, 0 .. 20.
    du, dv : int32 (N,)
        Decay of current and voltage in 1/4096 a step, 0 .. 4096 (offsets of the chip already added).
    threshold : int32 (N,)
        In units of v (64 x mantissa on Loihi).
    bias : int32 (1, N) or (B, N)
        Added to v in each step; one row for all images or one an image.
    refractory : int32 (N,)
        Smallest distance of two spikes in steps, 1 or more (1: no refractory time). v is held in between.
    subtract_reset : bool
        Subtract the threshold on a spike in place of zeroing v. Not a register setting of Loihi 1.
    q_bits, u_bits : int
        Bits beside the sign before q and u wrap, up to 29.
    v_limit : int
        v saturates at +-v_limit, below 2^29.
    spikes_out : uint8 (B, T, N)
        Written: 1 where a neuron spikes.
    counts : int64 (B, 8)
        Added to, columns COUNT_NAMES. A synaptic operation is one weight of one edge of one input spike. An update is
        active if the neuron's q, u (new), v (before), bias or refractory counter is not zero. A wrap or clip is one
        neuron in one step; v is not clipped while it is held.
    initial_voltage : int32 (N,), optional
        v of all images before the first step; ignored if `v` is given.
    u, v, counter : int32 (B, N), optional
        State before the first step (counter: steps that the neuron is still refractory); holds the state after the
        last step on return. A run cut into pieces that pass them on is the uncut run.
    ring : int32 (B, D, N), optional
        Input under way, in units of 2^shift, slot d arriving in step d of the run; the same on return.
    probe_u, probe_v : int32 (B, T, N), optional
        Written: u and v of every step, v after the reset.
    threads : int
        Images run in parallel; no effect on any value (and none here).
    """
    images, steps, n = spikes_out.shape
    matrices, fan_out = _matrices(indptr, target, row, delay, weights, n)
    depth = matrices.shape[0] if ring is None else ring.shape[1]
    under_way = np.zeros((images, depth, n), np.int64) if ring is None else ring.astype(np.int64)
    current = np.zeros((images, n), np.int64) if u is None else u.astype(np.int64)
    start = np.zeros((images, n), np.int64) if initial_voltage is None else initial_voltage.astype(np.int64)
    voltage = np.broadcast_to(start, (images, n)) if v is None else v.astype(np.int64)
    frozen_for = np.zeros((images, n), np.int64) if counter is None else counter.astype(np.int64)
    for t in range(steps):
        spikes = (spikes_in[:, t] != 0).astype(np.int64)
        for d, matrix in enumerate(matrices):
            under_way[:, d] += spikes @ matrix
        arrived = under_way[:, 0]
        q = wrap(arrived << shift, q_bits)
        total = decay(current, du) + q
        current = wrap(total, u_bits)
        frozen = frozen_for > 0
        level = decay(voltage, dv) + current + bias
        active = (arrived != 0) | (current != 0) | (voltage != 0) | (bias != 0) | frozen
        clipped = np.clip(level, -v_limit, v_limit)
        voltage = np.where(frozen, voltage, clipped)
        fired = (voltage > threshold) & ~frozen
        voltage = np.where(fired, voltage - threshold if subtract_reset else 0, voltage)
        frozen_for = np.where(fired, refractory - 1, np.maximum(frozen_for - 1, 0))
        counts[:, 0] += spikes.sum(1)
        counts[:, 1] += spikes @ fan_out
        for column, events in (
            (2, fired),
            (3, active),
            (4, ~active),
            (5, q != arrived << shift),
            (6, current != total),
            (7, (clipped != level) & ~frozen),
        ):
            counts[:, column] += events.sum(1)
        spikes_out[:, t] = fired
        if probe_u is not None:
            probe_u[:, t] = current
        if probe_v is not None:
            probe_v[:, t] = voltage
        under_way = np.concatenate((under_way[:, 1:], np.zeros((images, 1, n), np.int64)), axis=1)
    for state, value in ((u, current), (v, voltage), (counter, frozen_for), (ring, under_way)):
        if state is not None:
            state[...] = value


def decay(x, d):
    """sign(x) * ((|x| * (4096 - d)) >> 12), in int64."""
    x = np.asarray(x, np.int64)
    return np.sign(x) * ((np.abs(x) * (4096 - np.asarray(d, np.int64))) >> 12)


def wrap(x, bits):
    """x in two's complement of `bits` bits and a sign."""
    return ((x + (1 << bits)) & ((2 << bits) - 1)) - (1 << bits)


def _matrices(indptr, target, row, delay, weights, n):
    """Weights as one int64 matrix (I, N) a delay, and the synapses of each input."""
    n_in, length = len(indptr) - 1, weights.shape[1]
    depth = 1 if delay is None or not len(delay) else int(np.max(delay)) + 1
    matrices = np.zeros((depth, n_in, n), np.int64)
    for j in range(n_in):
        for e in range(indptr[j], indptr[j + 1]):
            d = 0 if delay is None else delay[e]
            matrices[d, j, target[e] : target[e] + length] += weights[row[e]]
    return matrices, np.diff(np.asarray(indptr, np.int64)) * length
