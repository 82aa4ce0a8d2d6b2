"""Spiking run: a spiking network on programmed tiles with the chip's neurons. Inputs enter, an Execution leaves.

All steps of an image are read as one batch of binary row vectors, so whole test sets take few kernel calls. A read is
keyed by image, step and position, so that no result depends on batches or threads. Read noise that lasts for an image
is one draw for all its steps; fresh noise is drawn for each.
"""

from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from .._counts import si
from ..chip import Execution
from ..energy import Counts
from ..errors import PlacementError
from ..network import layers as L
from ..network import ops
from ..network.floating import in_batches
from ..network.graph import Network
from .bit_slices import BitSliced
from .compensation import BatchNorm
from .converters import IdealDac
from .counting import clipped_shares, lost_in_wires, notes_of, warnings_of, writes_in
from .describing import rosy
from .feeding import fed_of, row_conductances, volt_farads, volts_of
from .inputs import BitSerial, PulseWidth
from .neurons import AnalogNeurons, Fed, Neurons
from .pipelining import copies_note, stages_of, usage_of
from .spiking_counts import counts_of, shares_at_limits, spiking_rosy, spiking_warnings
from .spiking_graph import check_graph, depth_of, rows_of, run_spikes
from .writes import writing_of


def driven_by_spikes(chip):
    """The chip as spikes see it: one pulse of the full read voltage a spike, converters as its neurons have them.

    Cells of single bits are driven bit by bit, which lets them be read by counting; it is the same pulse.
    """
    single = isinstance(chip.mapping, BitSliced) and chip.mapping.bits_per_cell == 1
    return replace(
        chip, dac=IdealDac(v_read=chip.dac.v_read), inputs=BitSerial(1) if single else PulseWidth(),
        adc=chip.neurons.converter(chip.adc),
    )  # fmt: skip


def check_spiking(chip, network: Network) -> None:
    """Raise PlacementError for a spiking network that the chip cannot run."""
    check_graph(network, who=chip.name)
    for layer in network.weighted:
        if layer.weight_grid is None:
            raise PlacementError(f"{chip.name}: layer '{layer.name}' has real weights; use networks of to_spiking")
    if isinstance(chip.compensation, BatchNorm):
        raise PlacementError(
            f"{chip.name}: {chip.compensation} is fitted on whole networks of numbers; use ColumnAffine(), "
            "ColumnGain() or TileGain() with spikes"
        )
    chip.neurons.check(chip, network)


@dataclass(eq=False)
class Activity:
    """What happened while one trial ran, added up by any number of threads."""

    spikes: dict[str, int] = field(default_factory=dict)
    saturated: dict[str, np.ndarray] = field(default_factory=dict)  # updates at the lower and the upper limit
    pulses: dict[str, np.ndarray] = field(default_factory=dict)  # on each input of a layer, over all its positions
    lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, to: str, name: str, amount) -> None:
        """Count more of what is in the field `to`."""
        with self.lock:
            counted = getattr(self, to)
            counted[name] = counted.get(name, 0) + amount


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trial:
    """One programmed chip while it runs."""

    network: Network
    engines: dict
    neurons: Neurons
    fed: dict[str, Fed]
    conductances: dict[str, np.ndarray]  # of each row of each layer, siemens; empty where they do not count
    seed: int
    number: int
    activity: Activity = field(default_factory=Activity)

    def run(self, x: np.ndarray, first: int) -> dict[str, np.ndarray]:
        """Outputs of some inputs, whose first has number `first`."""
        keys = {"multiply": self._multiply, "fire": self._fire, "seen": self._seen}
        outputs = run_spikes(self.network, x, first, **keys, seed=self.seed, trial=self.number)
        return {self.network.output: outputs}

    def _multiply(self, layer, spikes, first):
        rows, engine = rows_of(layer, spikes), self.engines[layer.name]
        if layer.name in self.conductances:
            self.activity.add("pulses", layer.name, rows.sum(axis=(0, 1, 2), dtype=np.float64))
        return _sums(engine, rows, first)

    def _fire(self, lif, sums, first):
        out, saturated = self.neurons.fire(lif, sums, first, self.fed[lif.name])
        self.activity.add("saturated", lif.name, saturated)
        return out

    def _seen(self, layer, spikes):
        self.activity.add("spikes", layer.name, int(np.count_nonzero(spikes)))

    def siemens(self) -> dict[str, float]:
        """Conductance that all pulses of each layer drove; computed once, so that no order of batches rounds it."""
        return {
            name: float(self.engines[name].layout.driven(pulses) @ self.conductances[name])
            for name, pulses in self.activity.pulses.items()
        }


@dataclass(frozen=True, eq=False)
class _Told:
    """What is left of a trial when its chip is gone."""

    activity: Activity
    counts: Counts
    writes: Counts
    clipped: dict[str, float]  # share of the conversions, by layer


def read_spiking(chip, network, sites, x, engines, *, seed, made, trials, threads, progress) -> Execution:
    """As `CrossbarChip.read`, for a spiking network. `made(trial)` is the (seed, trial) that a chip was made with."""
    chip = driven_by_spikes(chip)
    stages, volts = stages_of(chip, network, sites), volts_of(chip, network)
    step = max(stage.busy for stage in stages)  # layers work at once, the positions of each take turns on its tiles
    batch = max(1, min(ops.images_at_once(network) // network.steps, -(-len(x) // threads)))
    outputs, told = [], []
    for number in range(trials):
        built = engines(number)
        trial = _Trial(
            network=network, engines=built, neurons=chip.neurons, seed=seed, number=number,
            fed=fed_of(network, volts, step, seed=seed, trial=number, made=made(number)),
            conductances=row_conductances(chip, network, built) if volts else {},
        )  # fmt: skip

        def report(what, done, total, number=number):
            progress(f"{network.name} on {chip.name}", number * total + done, trials * total)

        outputs.append(in_batches(trial.run, network, x, (), report, batch, threads))
        counts = counts_of(chip, network, built, sites, trial.activity.spikes, trial.siemens(), len(x))
        told.append(_Told(trial.activity, counts, writes_in(built, sites), clipped_shares(built, sites)))
    usage = usage_of(chip, stages, sites, step)
    found = _execution(chip, network, np.stack(outputs), told, built, volts, step)
    return replace(found, units={"core": usage.units}, usage=usage, notes=(*found.notes, *copies_note(stages)))


def _execution(chip, network, outputs, told: list[_Told], engines, volts, step: float) -> Execution:
    """What all trials together yield; `outputs` are (trials, B, K), `engines` those of the last trial."""
    images = outputs.shape[1]
    activities, clips = [one.activity for one in told], [one.clipped for one in told]
    return Execution(
        outputs=outputs,
        counts=Counts.mean(one.counts for one in told),
        latency=step * (network.steps + depth_of(network)),
        interval=step * network.steps,
        traces=_traces(chip, network, clips, activities, engines, volts, images),
        warnings=(
            *warnings_of(clips), *lost_in_wires(engines), *spiking_warnings(network, activities, images),
            *rosy(chip, network, engines), *spiking_rosy(chip),
        ),
        writes=Counts.mean(one.writes for one in told),
        writing=writing_of(chip),
        notes=(f"{chip.seconds:g} s after programming, compensation {chip.compensation}", *_notes(chip, network, step)),
    )  # fmt: skip


def _notes(chip, network: Network, step: float) -> tuple[str, ...]:
    """What times and prices of the run rest on."""
    line = f"{network.steps} steps of {si(step, 's')} through {depth_of(network)} layers, pipelined by step"
    if isinstance(chip.neurons, AnalogNeurons):
        return (line,)
    return (line, "a read of spikes takes the time and the price of any read of the chip", *notes_of(chip))


def _sums(engine, rows: np.ndarray, first: int) -> np.ndarray:
    """Sums (B, T, P, M), in weight codes, as the tiles of a layer give them for rows (B, T, P, K)."""
    images, steps, places, width = rows.shape
    engine.tally.add(vectors=images * steps * places)
    sums = engine.read(rows.reshape(images, steps * places, width), first)
    return sums.reshape(images, steps, places, -1)


def _traces(chip, network, clips, activities, engines, volts, images: int) -> dict:
    """Spikes and shares by layer, averaged over trials; what wires take away is that of the last programmed chip."""
    names = list(activities[0].spikes)
    traces = {
        "spikes per image": {n: float(np.mean([a.spikes[n] for a in activities])) / images for n in names},
        "steps": network.steps,
        "share at lower and upper limit": shares_at_limits(network, activities, images),
        "adc clipped share": {name: float(np.mean([c[name] for c in clips])) for name in clips[0]},
    }
    if volts:
        lifs = [layer for layer in network.layers if isinstance(layer, L.Lif)]
        traces["capacitance"] = {lif.name: volt_farads(chip, network, lif) / volts[lif.name] for lif in lifs}
    if chip.wires is not None:
        traces["current lost in wires"] = {name: engine.wire_loss for name, engine in engines.items()}
    return traces
