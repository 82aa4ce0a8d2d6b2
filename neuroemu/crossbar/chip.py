"""CrossbarChip: cores of one crossbar tile each, that hold a quantized network and run it through the compiled kernel.

Enter a quantized network and inputs; leave outputs, counted events and times. A trial is another chip: another draw of
programming noise and drift. All that is digital (bias, rounding, activation, pooling, sums over row tiles) is computed
by the integer reference executor, so ideal devices with lossless converters give its outputs exactly.

Not modelled here: temperature, the time that lines take to settle.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks
from ..chip import Chip, Execution, Progress, Site, silent
from ..devices import Device, Ideal
from ..energy import Writing
from ..errors import InputError, PlacementError
from ..network import layers as L
from ..network.graph import Network
from ..network.integer import exact_multiply, run_integer
from ..pipeline import Pipeline
from . import mapping as M
from .building import engines_of, program_cells
from .cells import CellMapping, DifferentialPair, Layout
from .compensation import Compensation, NoCompensation
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .copies import Copies, OneCopy
from .describing import describe
from .exactness import refuse_powers
from .feeding import sampled_spikes
from .inputs import Amplitude, InputScheme
from .neurons import DigitalNeurons, Neurons
from .number_run import read_numbers
from .orders import GivenRows, RowOrder, check_names
from .packing import layout_of
from .pipelining import copied, pipeline_of
from .sampling import share_of, spread
from .schedules import LayerPipeline, Schedule
from .spiking_run import check_spiking, driven_by_spikes, read_spiking
from .wired import NOISES
from .wires import Wires

ARITHMETICS = ("float32", "float64")
PARTS = {
    "device": Device,
    "dac": RowDriver,
    "adc": ColumnConverter,
    "mapping": CellMapping,
    "row_order": RowOrder,
    "inputs": InputScheme,
    "compensation": Compensation,
    "neurons": Neurons,
    "schedule": Schedule,
    "copies": Copies,
}


@dataclass(frozen=True, kw_only=True)
class CrossbarChip(Chip):
    """A chip of `cores` crossbar cores.

    Parameters
    ----------
    rows, columns : int, 1 to 4096
        Crossings of a core: rows x columns. A crossing holds what the mapping puts there: a pair of cells, a single
        cell (`OffsetColumn`), or several devices of each (`Averaged`).
    cores : int or None
        None: as many as the network takes.
    device : Device
        The memory cell.
    mapping : CellMapping
        How weights are held: `DifferentialPair()`, `OffsetColumn()`, `BitSliced(bits)`, `Significance(factors)` or
        `Averaged(devices)`.
    row_order : RowOrder
        Which input drives which row: `GivenRows()`, `BalancedRows()`, `HeavyRows()`, `OccupiedRows()` or
        `ExplicitRows(orders)`.
    inputs : InputScheme
        How rows are driven: `Amplitude()`, `PulseWidth()` or `BitSerial(bits)`, each with `signs`.
    dac : RowDriver
        `Dac(bits=...)` or `IdealDac()`.
    adc : ColumnConverter
        `Adc(bits=...)` or `IdealAdc()`.
    seconds : float
        Time between programming and inference, s.
    compensation : Compensation
        Digital correction of drift and programming errors at inference time: `NoCompensation()`, `TileGain()`,
        `ColumnGain()`, `ColumnAffine()`, `ReferenceColumns(columns)` or `BatchNorm()`. All but the first and
        `ReferenceColumns` are fitted on the network's samples.
    read_event : str
        Name of the counted event of one core doing one product, which the cost table prices.
    read_seconds : float
        Time of that read, s; of one plane where inputs take several. Conversions come on top where `Adc` gives them a
        time of their own.
    transit_seconds : float
        Time from the last read of a position until the next layer can read its result, and of fetching its inputs, s.
        It delays results and keeps no array busy. Spiking networks are timed without it.
    schedule : Schedule
        When layers work: `LayerByLayer()`, `LayerPipeline()` or `RowPipeline()`. Spiking networks are pipelined by
        step.
    copies : Copies
        How often the arrays of a layer are built: `OneCopy()`, `GivenCopies({...})`, `BusiestFirst(spare)` or
        `KeepUpWith(layer)`. Images keep their reads, the chip takes more arrays and more writes.
    image_seconds, session_seconds : float
        Time scales, s, that split the read noise into fresh (below image_seconds), slow, and frozen (beyond
        session_seconds) shares. With spikes, fresh noise is drawn for each step and slow noise for a presentation.
    wires : Wires or None
        Resistance of the wires of every array, and of its drivers and sense amplifiers; None: none. Each array, G+ and
        G- alike, is a circuit as large as what the tile holds of its layer, next to the drivers and the amplifiers.
    noise_in_wires : {"exact", "first_order"}
        Reads that are noisy at each read or for an image, with wires: a circuit solved for each vector, or the change
        to first order around the circuit without noise (see `wired`). Either is slow beside reads without such noise,
        where the wires cost nothing.
    neurons : Neurons
        What stands at the end of the columns when a spiking network runs: `DigitalNeurons()` behind the converters, or
        `AnalogNeurons()` in their place. Spikes are pulses of exactly `v_read`: no DAC and none of its errors.
    arithmetic : {"float32", "float64"}
        Of the column sums. "float64" rounds nothing: weights are rounded to 2^-20 of a cell level first, and the same
        weights and seed give the same bits on every machine; it takes about twice the time.
    writing : Writing or None
        How often the cells are written: each inference carries its share of the writes, "cell_write", that programming
        takes (`Result.energy`). A device that verifies its writes gives the pulses that it applied; of others each cell
        above its lowest conductance is one write. Cells that drift on are refreshed when they are `seconds` old, unless
        it says otherwise. None: writing is not charged.
    """

    rows: int = 256
    columns: int = 256
    cores: int | None = None
    device: Device
    mapping: CellMapping = field(default=DifferentialPair())
    row_order: RowOrder = field(default=GivenRows())
    inputs: InputScheme = field(default=Amplitude())
    dac: RowDriver = Dac()
    adc: ColumnConverter = Adc()
    seconds: float = 0.0
    compensation: Compensation = field(default=NoCompensation())
    read_event: str = "core_read"
    read_seconds: float = 1e-7
    transit_seconds: float = 0.0
    schedule: Schedule = field(default=LayerPipeline())
    copies: Copies = field(default=OneCopy())
    image_seconds: float = 10e-6
    session_seconds: float = 0.1
    wires: Wires | None = None
    noise_in_wires: str = "exact"
    neurons: Neurons = field(default=DigitalNeurons())
    arithmetic: str = "float32"
    writing: Writing | None = field(default=Writing())

    def __post_init__(self):
        who = f"CrossbarChip '{self.name}'"
        for name, kind in PARTS.items():
            _checks.instance(getattr(self, name), kind, who=who, name=name)
        _checks.integer(self.rows, who=who, name="rows", low=1, high=4096)
        _checks.integer(self.columns, who=who, name="columns", low=1, high=4096)
        if self.cores is not None:
            _checks.integer(self.cores, who=who, name="cores", low=1)
        for name in ("seconds", "transit_seconds"):
            _checks.real(getattr(self, name), who=who, name=name, low=0.0)
        for name in ("read_seconds", "image_seconds", "session_seconds"):
            _checks.real(getattr(self, name), who=who, name=name, low=1e-12)
        _checks.choice(self.arithmetic, ARITHMETICS, who=who, name="arithmetic")
        if self.writing is not None:
            _checks.instance(self.writing, Writing, who=who, name="writing")
        if self.device.iv is not None and self.dac.v_read > self.device.iv.highest_volts:
            raise InputError(
                f"{who}: v_read is {self.dac.v_read:g} V; the I-V curve of {type(self.device).__name__} holds up to "
                f"{self.device.iv.highest_volts:g} V; use Dac(v_read=...)"
            )
        if self.device.iv is not None and self.dac.noise:
            raise InputError(
                f"{who}: noise of {self.dac} with cells that are not ohmic is not modelled; use Dac(noise=0) or a "
                "device without an I-V curve"
            )
        if self.mapping.in_turn and self.device.uses_lines:
            raise InputError(
                f"{who}: {self.mapping} programs the slices of an array in turn, and {type(self.device).__name__} "
                "needs all cells of its lines at once; use Significance(correct=False), or faults of single cells"
            )
        refuse_powers(self, who=who)
        _checks.choice(self.noise_in_wires, NOISES, who=who, name="noise_in_wires")
        if self.wires is not None:
            _checks.instance(self.wires, Wires, who=who, name="wires")
            self._check_wires(who)
        if self.compensation.reference_columns >= self.columns:
            raise InputError(
                f"{who}: {self.compensation} leaves no column of {self.columns} for weights; use fewer, or wider arrays"
            )

    def _check_wires(self, who: str) -> None:
        """Refuse what a linear circuit with wires does not hold."""
        if self.device.iv is not None:
            raise InputError(
                f"{who}: {type(self.device).__name__} is not ohmic, and its circuit with {self.wires} not linear; use "
                "wires=None, or crossbar.solve(..., device=...) for single circuits"
            )
        if self.dac.noise:
            raise InputError(f"{who}: noise of {self.dac} with wires is not modelled; use Dac(noise=0) or wires=None")
        if self.noise_in_wires == "first_order" and not (self.wires.word_line > 0 and self.wires.bit_line > 0):
            raise InputError(
                f"{who}: noise_in_wires='first_order' needs resistance in word lines and bit lines, and {self.wires} "
                "has none in one of them; use noise_in_wires='exact'"
            )

    @property
    def weight_columns(self) -> int:
        """Columns of an array that may hold weights."""
        return self.columns - self.compensation.reference_columns

    def describe(self) -> str:
        """The chip in words and units: cells, noise and drift as measured on sample cells, converters, what is rosy."""
        return describe(self)

    def layout(self, layer: L.Weighted) -> Layout:
        """The physical rows and columns that hold a quantized layer."""
        return layout_of(self, layer)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a tile, in the order of the layers; with copies, how many there are of each is in its details."""
        if not network.quantized:
            raise PlacementError(
                f"{self.name}: network '{network.name}' is float; a crossbar holds codes: call quantize(network, ...)"
            )
        if network.spiking:
            check_spiking(self, network)
        if not network.weighted:
            raise PlacementError(f"{self.name}: network '{network.name}' has no weights to place; give one with layers")
        check_names(self.row_order, [layer.name for layer in network.weighted], who=self.name)
        sites: list[Site] = []
        for layer in network.weighted:
            self.reading(network).adc.of_layer(layer.name)
            layout = self.layout(layer)
            for tile in M.tiles_of(layout):
                sites.append(M.site_of(layer, tile, len(sites), layout, self.rows * self.columns))
        if self.cores is not None and len(sites) > self.cores:
            raise PlacementError(
                f"{self.name}: network '{network.name}' needs {len(sites)} cores of {self.rows}x{self.columns}, the "
                f"chip has {self.cores}; use replace(chip, cores=...) for more, or prune or shrink the network"
            )
        return copied(self.reading(network), network, sites)

    def pipeline(self, network: Network) -> Pipeline:
        """The layers of a network at work: times, copies, interval and latency, without running anything.

        Raises
        ------
        PlacementError
            The network does not fit, or it is spiking: all its layers work in every step.
        """
        if network.spiking:
            raise PlacementError(
                f"{self.name}: network '{network.name}' is spiking, and all its layers work in every step; run it, or "
                "give the quantized network"
            )
        return pipeline_of(self, network, self.place(network))

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        sampled = self.sampled_rows(network)

        def engines(trial):
            cells = program_cells(self, network, seed=seed, trial=trial)
            keys = {"made": (seed, trial), "seed": seed, "trial": trial}
            return engines_of(self, network, cells, sampled, threads=max(1, threads // len(x)), **keys)

        made = {"seed": seed, "made": lambda trial: (seed, trial)}
        return self.read(network, sites, x, engines, **made, trials=trials, threads=threads, progress=progress)

    def reading(self, network: Network) -> "CrossbarChip":
        """The chip as it reads the cells of `network`: spikes take neither DAC nor input planes."""
        return driven_by_spikes(self) if network.spiking else self

    def read(self, network, sites, x, engines, *, seed: int, made, trials: int, threads: int, progress) -> Execution:
        """What running `x` on the chips `engines(trial)` gives; a dict layer name -> LayerEngine each.

        Images are worked on side by side, so that all steps gain; an engine has threads of its own where there are
        fewer images than threads. `made(trial)` is the (seed, trial) that a chip was programmed with.
        """
        if network.spiking:
            keys = {"seed": seed, "made": made, "trials": trials, "threads": threads, "progress": progress}
            return read_spiking(self, network, sites, x, engines, **keys)
        return read_numbers(self, network, sites, x, engines, trials=trials, threads=threads, progress=progress)

    def sampled_rows(self, network) -> dict[str, np.ndarray]:
        """Up to CALIBRATION_ROWS row inputs of every layer, from the network's samples."""
        if not self.compensation.needs_samples and not self.reading(network).adc.needs_samples:
            return {}
        if network.spiking:
            return sampled_spikes(network, who=self.name)[0]
        if network.samples is None:
            raise InputError(
                f"{self.name}: network '{network.name}' carries no samples to calibrate the ADC ranges on; call "
                "calibrate(network, training_inputs)"
            )
        seen: dict[str, list[np.ndarray]] = {layer.name: [] for layer in network.weighted}

        def record(layer, drive, first):
            rows = M.drive_rows(layer, drive)
            seen[layer.name].append(
                spread(rows.reshape(-1, rows.shape[-1]), share_of(len(drive), len(network.samples)))
            )
            return exact_multiply(layer, drive, first)

        run_integer(network, network.samples, multiply=record, batch=8)  # few at a time: patches take much memory
        return {name: np.concatenate(parts) for name, parts in seen.items()}


def ideal(chip: CrossbarChip) -> CrossbarChip:
    """The same chip with exact cells and lossless converters: the upper bound of its accuracy."""
    return replace(
        chip, name=f"{chip.name} (ideal)", device=Ideal(g_max=chip.device.g_max), dac=IdealDac(v_read=chip.dac.v_read),
        adc=IdealAdc(), compensation=NoCompensation(), seconds=0.0, wires=None, neurons=chip.neurons.ideal(),
    )  # fmt: skip
