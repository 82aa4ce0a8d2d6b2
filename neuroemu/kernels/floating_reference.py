"""NumPy twin of the floating kernel: the specification, as plain as it can be said.

In: lines of spikes or numbers and one set of weights; or lines of drives and one layer of continuous neurons. Out: the
drives, float32; the spikes or potentials, and the state after the last step. Sums and states are float64, or float32
where a network is run in single precision. Every sum starts at 0 and takes its inputs in rising order, one after the
other, so kernel and twin give the same bits for any split of a batch.

Array letters: T steps, B images, I inputs, N neurons, E synapses, P panels of W columns.
"""

import numpy as np

ROWS = ("leak", "decay", "gain", "synapse_decay", "synapse_gain", "share", "r", "threshold", "reset")
RULES = ("integrate", "leaky", "stepwise", "coupled")


def dense_sums(x, *, panels, bias=None, wide, drive) -> int:
    """drive[t, b, n] = float32(sum over i, rising, of x[t, b, i] * weight[i, n], + bias[n]); inputs of 0 are skipped.

    Parameters
    ----------
    x : uint8 or float32 (T, B, I)
        uint8: 1 where an input spikes; not 0 counts as 1.
    panels : float32 (P, I, W)
        weight[i, p * W + w] = panels[p, i, w]: columns side by side that are worked on together. W is 16, 32 or 64; the
        columns beyond N are zeros.
    bias : float32 (N,), optional
    wide : bool
        Sums in float64; else in float32.
    drive : float32 (T, B, N)
        Written.

    Returns
    -------
    int
        Additions made: N for each input that is not 0.
    """
    n = drive.shape[2]
    weight = np.concatenate(list(panels), axis=1)[:, :n]
    return _through(x, weight, bias, wide, drive) * n


def sparse_sums(x, *, indptr, target, weight, bias=None, wide, drive) -> int:
    """As `dense_sums`, through single synapses: input i owns indptr[i] .. indptr[i + 1] - 1 of target and weight.

    indptr int32 (I + 1,), target int32 (E,), weight float32 (E,). Returns the synapses of all inputs that are not 0.
    """
    made = 0
    for line, out in _lines(x, drive):
        total = np.zeros(drive.shape[2], np.float64 if wide else np.float32)
        for i in np.flatnonzero(line):
            for e in range(indptr[i], indptr[i + 1]):
                total[target[e]] += total.dtype.type(line[i]) * total.dtype.type(weight[e])
            made += int(indptr[i + 1] - indptr[i])
        out[:] = _finished(total, bias)
    return made


def convolution_sums(x, *, table, down, across, groups, size, bias=None, wide, drive) -> int:
    """As `dense_sums`, through a kernel that moves. Inputs are (C, H, W) in order, outputs channel last.

    Parameters
    ----------
    table : float32 (C, kH, kW, L)
        What a tap of an input channel adds to the L output channels of its group.
    down, across : (first, tap, out), int32
        Position p of an input axis meets the taps tap[e] at the output positions out[e], first[p] <= e < first[p + 1].
    groups : int
    size : (int, int)
        Output positions down and across; output (y, x, c) is neuron (y * size[1] + x) * groups * L + c.
    """
    channels, _, _, length = table.shape
    high, wide_in, out_channels = len(down[0]) - 1, len(across[0]) - 1, groups * length
    made = 0
    for line, out in _lines(x, drive):
        total = np.zeros((*size, out_channels), np.float64 if wide else np.float32)
        for i in np.flatnonzero(line):
            c, y, column = np.unravel_index(i, (channels, high, wide_in))
            group = c // (channels // groups) * length
            for a in range(down[0][y], down[0][y + 1]):
                for b in range(across[0][column], across[0][column + 1]):
                    row = table[c, down[1][a], across[1][b]].astype(total.dtype)
                    total[down[2][a], across[2][b], group : group + length] += total.dtype.type(line[i]) * row
                    made += length
        out[:] = _finished(total.ravel(), bias)
    return made


def run_neurons(
    drive,
    *,
    rule,
    table,
    early=False,
    subtract=False,
    v,
    current,
    out,
    trace=None,
    place=None,
    panels=None,
    loop_bias=None,
    last=None,
) -> int:
    """Steps of one layer of neurons, in place. In each step, with x = drive[t], or with a loop

        x = (sum over j, rising, of last[j] * loop[j, n] + loop_bias[n]) + drive[t],

    by `rule`, an index of RULES::

        integrate   v = v + gain x
        leaky       v = (leak + decay (v - leak)) + gain x
        stepwise    c = synapse_decay c + synapse_gain x;   v = (leak + decay (v - leak)) + gain c
        coupled     y = synapse_gain x;   d = c - y;   c = y + synapse_decay d
                    v = (leak + decay (v - leak)) + r (gain y + share d)

    Neurons that spike do so where v > threshold (strict), or the v that the step began with if `early`; a spike sets v
    to `reset`, or takes `reset` away from it if `subtract`.

    Parameters
    ----------
    drive : float32 or float64 (T, B, N)
    rule : int
    table : float64 or float32 (9, N)
        Rows ROWS; its type is that of the state.
    v, current : as table, (B, N)
        State before the first step, and after the last one on return.
    out : uint8 (T, B, N) of neurons that spike, else as table
        Written: spikes, or v.
    trace : as table, (T, B, N), optional
        Written: v at the end of each step.
    place : int32 (N,), optional
        Where neuron n stands in `out` and `trace`; None: in order.
    panels : float32 (P, N, W), optional
        The loop, as in `dense_sums`; its sums are not rounded to float32.
    loop_bias : float32 (N,), optional
    last : as out, (B, N)
        Outputs of the step before; needed by a loop, changed in place.

    Returns
    -------
    int
        Additions that the loop made: N for each output that is not 0.
    """
    made = 0
    real = table.dtype.type
    leak, decay, gain, keep, into, share, r, threshold, reset = table
    where = slice(None) if place is None else place
    for t in range(len(drive)):
        x = drive[t].astype(real)
        if panels is not None:
            weight = np.concatenate(list(panels), axis=1)[:, : table.shape[1]]
            made += np.count_nonzero(last) * table.shape[1]
            looped = np.stack([_sum(line, weight.astype(real)) for line in last])
            x = (looped if loop_bias is None else looped + loop_bias.astype(real)) + x
        old = v.copy()
        if RULES[rule] == "integrate":
            now = old + gain * x
        elif RULES[rule] == "leaky":
            now = leak + decay * (old - leak) + gain * x
        elif RULES[rule] == "stepwise":
            current[:] = keep * current + into * x
            now = leak + decay * (old - leak) + gain * current
        else:
            target = into * x
            above = current - target
            now = leak + decay * (old - leak) + r * (gain * target + share * above)
            current[:] = target + keep * above
        sent = now
        if out.dtype == np.uint8:
            sent = (old if early else now) > threshold
            now = np.where(sent, now - reset if subtract else reset, now)
        v[:] = now
        out[t][:, where] = sent
        if last is not None:
            last[:] = sent
        if trace is not None:
            trace[t][:, where] = now
    return made


def _lines(x, drive):
    return zip(_ones(x).reshape(-1, x.shape[2]), drive.reshape(-1, drive.shape[2]), strict=True)


def _ones(x):
    return (x != 0) if x.dtype == np.uint8 else x


def _through(x, weight, bias, wide, drive) -> int:
    real = np.float64 if wide else np.float32
    for line, out in _lines(x, drive):
        out[:] = _finished(_sum(line, weight.astype(real)), bias)
    return int(np.count_nonzero(x))


def _sum(line, weight):
    """Rows of `weight` times the numbers of a line, one after the other."""
    total = np.zeros(weight.shape[1], weight.dtype)
    for i in np.flatnonzero(line):
        total += weight.dtype.type(line[i]) * weight[i]
    return total


def _finished(total, bias):
    return (total if bias is None else total + bias.astype(total.dtype)).astype(np.float32)
