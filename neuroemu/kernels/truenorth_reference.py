"""Scalar twin of the TrueNorth kernel: the specification, one neuron and one synapse at a time, in plain integers.

In: spikes from outside and the cores (crossbar bits, neuron registers, routes). Out: spikes, potentials and counts.
Equations, order of events and generators are below; what the publications leave open is marked "choice".

Array letters: T ticks, C cores, S spikes from outside. A core has 256 axons and 256 neurons.

References
----------
.. [1] A. S. Cassidy et al., "Cognitive computing building block: a versatile and efficient digital neuron model for
   neurosynaptic cores", IJCNN 2013, doi:10.1109/IJCNN.2013.6707077.
.. [2] P. A. Merolla et al., "A million spiking-neuron integrated circuit with a scalable communication network and
   interface", Science 345 (2014), doi:10.1126/science.1254642.
.. [3] P. Alfke, "Efficient shift registers, LFSR counters, and long pseudo-random sequence generators", Xilinx
   XAPP 052 (1996), table 3: taps 32, 22, 2, 1.
"""

import numpy as np

from .normals_reference import threefry

AXONS = NEURONS = 256
SLOTS = 16
V_MIN, V_MAX = -(2**19), 2**19 - 1  # 20 bits, signed [2]
COUNT_NAMES = (
    "input_spikes",
    "synaptic_events",
    "neuron_updates",
    "active_cores",
    "spikes",
    "output_spikes",
    "merges",
    "saturations",
    "hops_east",
    "hops_west",
    "hops_north",
    "hops_south",
    "chip_crossings",
)
MESH = 64  # cores along a side of a chip [2]
LFSR_TAPS = 0x80200003  # bit t = bit t-1 ^ bit t-2 ^ bit t-22 ^ bit t-32, maximal length [3]
KEY_WORD = 0x54525545  # fourth word of the key, so that no other use of the generator has the same key


def run_chip(
    inputs,
    *,
    ticks,
    first_tick=0,
    crossbar,
    axon_type,
    weight,
    stochastic_synapse,
    leak,
    leak_mode,
    threshold,
    negative_threshold,
    reset,
    reset_mode,
    threshold_bits,
    route,
    position,
    seed,
    core_seed,
    lfsr=False,
    potential,
    ring,
    register,
    recorded,
    spikes_out,
    probed,
    probe_out,
    counts,
    group=None,
    group_counts=None,
    threads=1,
):
    """Run all cores for `ticks` ticks, in place.

    In each tick, in this order:

    1. Spikes from outside are set in the slot of this tick.
    2. Each core takes its slot (a set bit is an active axon) and empties it. A core is active if an axon is active or
       a neuron is unsettled (see below); only active cores go on.
    3. Each neuron integrates, leaks, compares and resets (`update_neuron`), neurons and axons in ascending order.
    4. Each spike sets the bit (target axon) in the slot (tick + delay) mod 16 of its target core. A bit that is set
       already stays set: the spikes merge, which is counted. Delays are 1 to 15 ticks, so no spike reaches the tick it
       was made in and the order of the cores does not matter.

    A neuron is settled if a tick without input cannot change it: the leak is zero (or is a reversal leak at V = 0) and
    -negative_threshold <= V < threshold. With the shift register, a neuron that draws for its leak or threshold is
    never settled, because its draws move the register.

    Parameters
    ----------
    inputs : int32 (S, 3)
        Tick within this run, core, axon; ticks ascending.
    ticks : int
        Ticks to run.
    first_tick : int
        Ticks that ran before; the ring slot and the random numbers of a tick depend on the absolute tick.
    crossbar : uint8 (C, 256, 32)
        Bit j % 8 of byte j // 8 in row a: axon a reaches neuron j.
    axon_type : uint8 (C, 256)
        0..3.
    weight : int16 (C, 4, 256)
        By axon type and neuron, -256..255.
    stochastic_synapse : uint8 (C, 256)
        Bit g: synapses of axon type g are stochastic for this neuron.
    leak : int16 (C, 256)
        -256..255, added (a negative value pulls down).
    leak_mode : uint8 (C, 256)
        Bit 0: stochastic. Bit 1: reversal.
    threshold, negative_threshold : int32 (C, 256)
        0..2^18 - 1.
    reset : int32 (C, 256)
        -(2^19 - 1)..2^19 - 1.
    reset_mode : uint8 (C, 256)
        Bits 0, 1: 0 to `reset`, 1 linear, 2 none. Bit 2: saturate at the negative threshold.
    threshold_bits : uint8 (C, 256)
        Random bits added to the thresholds, 0..17.
    route : int32 (C, 256)
        core << 12 | axon << 4 | delay of the target; -1: the spike leaves the chip.
    position : int16 (C, 2)
        x (east) and y (north) of each core, for the hops. A packet goes along x first, then y.
    seed : int
        64-bit key of the counter generator.
    core_seed : uint32 (C,)
        Third word of its key.
    lfsr : bool
        Draw from the shift register of each core in place of counters.
    potential : int32 (C, 256)
        V; changed in place, as `ring` and `register`. A run cut into pieces that pass them on is the uncut run.
    ring : uint8 (16, C, 32)
        Bit a of slot tick mod 16: axon a is active in that tick.
    register : uint32 (C,)
        Shift registers, not zero; unused with counters.
    recorded, probed : int32 (C,)
        Row of the core in spikes_out, in probe_out; -1: not wanted.
    spikes_out : uint8 (T, rows, 32)
        Written: bit of each neuron that spiked.
    probe_out : int32 (T, rows, 256)
        Written: V after the tick.
    counts : int64 (T, 13)
        Added to, columns COUNT_NAMES. A synaptic event is a set crossbar bit in the row of an active axon. Neuron
        updates are 256 a tick and active core. Merges include spikes from outside. A saturation is one clipping of one
        neuron. Hops and chip crossings are those of spikes with a target.
    group : int32 (C,), optional
        Row of each core in group_counts.
    group_counts : int64 (G, 13), optional
        Added to: the counts of all ticks by group of cores. Spikes from outside and merges belong to the core with the
        axon, hops and chip crossings to the core that sends.
    threads : int
        No effect on any value (and none here).
    """
    cores = len(crossbar)
    chip = {
        "weight": weight, "stochastic_synapse": stochastic_synapse, "leak": leak, "leak_mode": leak_mode,
        "threshold": threshold, "negative_threshold": negative_threshold, "reset": reset, "reset_mode": reset_mode,
        "threshold_bits": threshold_bits,
    }  # fmt: skip
    connected = np.unpackbits(crossbar, axis=2, bitorder="little").astype(bool)
    for t in range(ticks):
        tick = first_tick + t
        slot, by_core = tick % SLOTS, [dict.fromkeys(COUNT_NAMES, 0) for _ in range(cores)]
        for _, core, axon in inputs[inputs[:, 0] == t]:
            by_core[core]["input_spikes"] += 1
            by_core[core]["merges"] += set_bit(ring[slot, core], axon)
        for core, count in enumerate(by_core):
            registers = [{name: array[core, ..., j] for name, array in chip.items()} for j in range(NEURONS)]
            registers = [{name: value.tolist() for name, value in neuron.items()} for neuron in registers]
            active = np.flatnonzero(np.unpackbits(ring[slot, core], bitorder="little"))
            ring[slot, core] = 0
            fired = []
            if len(active) or any(unsettled(registers[j], int(potential[core, j]), lfsr) for j in range(NEURONS)):
                count["active_cores"] += 1
                count["neuron_updates"] += NEURONS
                if lfsr:
                    draws = ShiftRegister(register, core)
                else:
                    draws = Counters(seed, int(core_seed[core]), tick)
                for j in range(NEURONS):
                    events = [(int(a), int(axon_type[core, a])) for a in active[connected[core, active, j]]]
                    v, spike, clips = update_neuron(int(potential[core, j]), j, events, draws, **registers[j])
                    potential[core, j] = v
                    count["synaptic_events"] += len(events)
                    count["saturations"] += clips
                    if spike:
                        fired.append(j)
            count["spikes"] += len(fired)
            for j in fired:
                _send(by_core, int(route[core, j]), core, position, ring, tick)
            if recorded[core] >= 0:
                spikes_out[t, recorded[core]] = 0
                for j in fired:
                    set_bit(spikes_out[t, recorded[core]], j)
            if probed[core] >= 0:
                probe_out[t, probed[core]] = potential[core]
        for core, count in enumerate(by_core):
            events = [count[name] for name in COUNT_NAMES]
            counts[t] += events
            if group is not None:
                group_counts[group[core]] += events


def update_neuron(
    v,
    neuron,
    events,
    draws,
    *,
    weight,
    stochastic_synapse,
    leak,
    leak_mode,
    threshold,
    negative_threshold,
    reset,
    reset_mode,
    threshold_bits,
):
    """One neuron in one tick: (V, whether it spiked, saturations).

    With F(s, rho) = 1 if abs(s) >= rho else 0, and rho a random byte, the equations of [1]_ are::

        V += sum over events (axon of type G) of  s_G                         deterministic synapse
                                                  F(s_G, rho) sgn(s_G)        stochastic synapse
        V += W lambda, or W F(lambda, rho) sgn(lambda)    W = 1, or sgn(V) with leak reversal
        eta = random number of `threshold_bits` bits
        if V >= alpha + eta:    spike; V = R, or V - (alpha + eta), or V
        elif saturating, V < -beta:    V = -beta
        elif not saturating, V < -(beta + eta):    V = -R, or V + (beta + eta), or V

    So a stochastic synapse or leak of size s > 0 acts with probability min(1, (s + 1) / 256), and one of size 0 never.

    Choices: V saturates at 20 bits after the sum of all synapses and after the leak (whether the chip saturates or
    wraps is not published). sgn(0) = 0, so a reversal leak rests at V = 0, and one that overshoots 0 comes back by the
    same amount. rho is 0..255 and the comparison is >=, both thresholds use the same eta.
    """
    clips = 0
    total = v
    for axon, kind in events:
        s = weight[kind]
        if stochastic_synapse >> kind & 1:
            s = sign(s) if abs(s) >= draws.synapse(neuron, axon) else 0
        total += s
    v = min(max(total, V_MIN), V_MAX)
    clips += v != total
    step = leak
    if leak_mode & 1 and leak:
        step = sign(leak) if abs(leak) >= draws.leak(neuron) else 0
    if leak_mode & 2:
        step *= sign(v)
    total = v + step
    v = min(max(total, V_MIN), V_MAX)
    clips += v != total
    eta = draws.threshold(neuron, threshold_bits) if threshold_bits else 0
    mode, saturates = reset_mode & 3, reset_mode & 4
    if v >= threshold + eta:
        return (reset, v - (threshold + eta), v)[mode], True, clips
    if saturates:
        return max(v, -negative_threshold), False, clips
    if v < -(negative_threshold + eta):
        v = (-reset, v + negative_threshold + eta, v)[mode]
    return v, False, clips


def unsettled(neuron, v, lfsr):
    """Whether a tick without input can change this neuron (or its core's shift register)."""
    if lfsr and (neuron["threshold_bits"] or (neuron["leak_mode"] & 1 and neuron["leak"])):
        return True
    leaks = neuron["leak"] != 0 and not (neuron["leak_mode"] & 2 and v == 0)
    return leaks or not -neuron["negative_threshold"] <= v < neuron["threshold"]


class Counters:
    """Random numbers of one core and tick from Threefry4x32-20, without state: any order gives the same bits.

    Key: seed (low word, high word), core seed, KEY_WORD. Counter: (index, low and high word of the tick, 0). Index
    j // 4 holds neuron j in word j % 4: the low 8 bits are for its leak, the top `threshold_bits` for its threshold.
    Index 64 + 16 j + a // 16 holds the byte of the synapse from axon a to neuron j: byte a % 4 (lowest first) of word
    (a % 16) // 4.
    """

    def __init__(self, seed, core_seed, tick):
        counters = np.zeros((64 + 16 * NEURONS, 4), np.uint32)
        counters[:, 0] = np.arange(len(counters))
        counters[:, 1], counters[:, 2] = tick & 0xFFFFFFFF, tick >> 32
        self.words = threefry(counters, seed=int(seed), stream=core_seed | KEY_WORD << 32)

    def synapse(self, neuron, axon):
        word = int(self.words[64 + 16 * neuron + axon // 16, axon % 16 // 4])
        return word >> 8 * (axon % 4) & 255

    def leak(self, neuron):
        return int(self.words[neuron // 4, neuron % 4]) & 255

    def threshold(self, neuron, bits):
        return int(self.words[neuron // 4, neuron % 4]) >> (32 - bits)


class ShiftRegister:
    """Random numbers from the 32-bit Galois shift register of a core.

    A step shifts right by one and, where a one fell out, inverts the taps; a draw of n bits is the n bits that fall
    out of n steps, the first one lowest. Draws happen in the order of `update_neuron`, neuron by neuron: 8 bits for a
    stochastic synapse, 8 for a stochastic leak that is not 0, `threshold_bits` for the threshold. The chip's own
    register, polynomial and order are not published, so its bits cannot be had.
    """

    def __init__(self, registers, core):
        self.registers, self.core = registers, core

    def draw(self, bits):
        state, value = int(self.registers[self.core]), 0
        for i in range(bits):
            out = state & 1
            state = state >> 1 ^ (LFSR_TAPS if out else 0)
            value |= out << i
        self.registers[self.core] = state
        return value

    def synapse(self, neuron, axon):
        return self.draw(8)

    def leak(self, neuron):
        return self.draw(8)

    def threshold(self, neuron, bits):
        return self.draw(bits)


def sign(x):
    return (x > 0) - (x < 0)


def set_bit(row, index):
    """Set a bit of a packed row; returns whether it was set already."""
    before = int(row[index // 8]) >> int(index % 8) & 1
    row[index // 8] |= 1 << int(index % 8)
    return before


def _send(by_core, route, core, position, ring, tick):
    """Count and deliver one spike."""
    count = by_core[core]
    if route < 0:
        count["output_spikes"] += 1
        return
    target, axon, delay = route >> 12, route >> 4 & 255, route & 15
    (x, y), (to_x, to_y) = position[core].tolist(), position[target].tolist()
    count["hops_east"] += max(to_x - x, 0)
    count["hops_west"] += max(x - to_x, 0)
    count["hops_north"] += max(to_y - y, 0)
    count["hops_south"] += max(y - to_y, 0)
    count["chip_crossings"] += abs(to_x // MESH - x // MESH) + abs(to_y // MESH - y // MESH)
    by_core[target]["merges"] += set_bit(ring[(tick + delay) % SLOTS, target], axon)
