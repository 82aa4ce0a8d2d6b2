"""CrossbarChip: cores of one crossbar tile each, that hold a quantized network and run it through the compiled kernel.

Enter a quantized network and inputs; leave outputs, counted events and times. A trial is another chip: another draw of
programming noise and drift. All that is digital (bias, rounding, activation, pooling, sums over row tiles) is computed
by the integer reference executor, so ideal devices with lossless converters give its outputs exactly.

Not modelled here: wire resistance, ADC nonlinearity, write-verify, sneak currents, temperature.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks, _streams
from ..chip import Chip, Execution, Progress, Site, silent
from ..devices import Device, Ideal
from ..energy import Counts
from ..errors import InputError, PlacementError
from ..network import layers as L
from ..network.graph import Network
from ..network.integer import exact_multiply, run_integer
from . import engine as E
from . import mapping
from .converters import Adc, Dac
from .programming import effective_weights, program

COMPENSATIONS = ("none", "global", "column", "affine")


@dataclass(frozen=True, kw_only=True)
class CrossbarChip(Chip):
    """A chip of `cores` crossbar cores.

    Parameters
    ----------
    rows, columns : int, 1 to 4096
        Differential pairs of a core: rows x columns.
    cores : int or None
        None: as many as the network takes.
    device : Device
        The memory cell.
    dac, adc : Dac, Adc
    seconds : float
        Time between programming and inference, s.
    compensation : {"none", "global", "column", "affine"}
        Digital correction of drift and programming errors, fitted on the network's samples at inference time: one gain
        per tile, a gain per column, or a gain and an offset per column.
    read_event : str
        Name of the counted event of one core doing one product, which the cost table prices.
    read_seconds : float
        Time of that read, s.
    image_seconds, session_seconds : float
        Time scales, s, that split the read noise into fresh (below image_seconds), slow, and frozen (beyond
        session_seconds) shares.
    """

    rows: int = 256
    columns: int = 256
    cores: int | None = None
    device: Device
    dac: Dac = Dac()
    adc: Adc = Adc()
    seconds: float = 0.0
    compensation: str = "none"
    read_event: str = "core_read"
    read_seconds: float = 1e-7
    image_seconds: float = 10e-6
    session_seconds: float = 0.1

    def __post_init__(self):
        who = f"CrossbarChip '{self.name}'"
        for name, kind in (("device", Device), ("dac", Dac), ("adc", Adc)):
            _checks.instance(getattr(self, name), kind, who=who, name=name)
        _checks.integer(self.rows, who=who, name="rows", low=1, high=4096)
        _checks.integer(self.columns, who=who, name="columns", low=1, high=4096)
        if self.cores is not None:
            _checks.integer(self.cores, who=who, name="cores", low=1)
        _checks.real(self.seconds, who=who, name="seconds", low=0.0)
        for name in ("read_seconds", "image_seconds", "session_seconds"):
            _checks.real(getattr(self, name), who=who, name=name, low=1e-12)
        _checks.choice(self.compensation, COMPENSATIONS, who=who, name="compensation")

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a tile, in the order of the layers."""
        if not network.quantized or network.spiking:
            kind = "spiking" if network.spiking else "float"
            raise PlacementError(
                f"{self.name}: network '{network.name}' is {kind}; a crossbar holds codes: call quantize(network, ...)"
            )
        if not network.weighted:
            raise PlacementError(f"{self.name}: network '{network.name}' has no weights to place; give one with layers")
        sites: list[Site] = []
        for layer in network.weighted:
            matrix = mapping.matrix_of(layer)
            for tile in mapping.tiles_of(matrix, self.rows, self.columns):
                sites.append(mapping.site_of(layer, tile, len(sites), matrix, self.rows * self.columns))
        if self.cores is not None and len(sites) > self.cores:
            raise PlacementError(
                f"{self.name}: network '{network.name}' needs {len(sites)} cores of {self.rows}x{self.columns}, the "
                f"chip has {self.cores}; use replace(chip, cores=...) for more, or prune or shrink the network"
            )
        return tuple(sites)

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        sampled = self._sampled_rows(network)
        outputs, counts, clips = [], [], []
        for trial in range(trials):
            engines = {
                layer.name: self._engine(network, layer, index, sampled.get(layer.name), seed, trial, threads)
                for index, layer in enumerate(network.weighted)
            }

            def multiply(layer, drive, first, engines=engines):
                return engines[layer.name].multiply(drive, first)

            def report(what, done, total, trial=trial):
                progress(f"{network.name} on {self.name}", trial * total + done, trials * total)

            outputs.append(run_integer(network, x, multiply=multiply, progress=report))
            counts.append(self._counts(network, engines, sites, len(x)))
            clips.append(self._clipped(engines, sites))
        passes = [self._positions(network, layer) * self.read_seconds for layer in network.weighted]
        return Execution(
            outputs=np.stack(outputs),
            counts=Counts.mean(counts),
            latency=sum(passes),
            interval=max(passes, default=0.0),
            traces={"adc clipped share": {name: float(np.mean([c[name] for c in clips])) for name in clips[0]}},
            warnings=self._warnings(clips),
            notes=(f"{self.seconds:g} s after programming, compensation '{self.compensation}'",),
        )

    def _sampled_rows(self, network) -> dict[str, np.ndarray]:
        """Up to CALIBRATION_ROWS row inputs of every layer, from the network's samples."""
        if self.compensation == "none" and (self.adc.bits is None or self.adc.full_scale is not None):
            return {}
        if network.samples is None:
            raise InputError(
                f"{self.name}: network '{network.name}' carries no samples to calibrate the ADC ranges on; call "
                "calibrate(network, training_inputs)"
            )
        seen: dict[str, list[np.ndarray]] = {layer.name: [] for layer in network.weighted}

        def record(layer, drive, first):
            rows = mapping.drive_rows(layer, drive)
            share = -(-E.CALIBRATION_ROWS * len(drive) // len(network.samples))
            seen[layer.name].append(_spread(rows.reshape(-1, rows.shape[-1]), share))
            return exact_multiply(layer, drive, first)

        run_integer(network, network.samples, multiply=record, batch=8)  # few at a time: patches take much memory
        return {name: np.concatenate(parts) for name, parts in seen.items()}

    def _engine(self, network, layer, index, sampled_x, seed, trial, threads) -> E.LayerEngine:
        matrix = mapping.matrix_of(layer)
        tiles = mapping.tiles_of(matrix, self.rows, self.columns)
        largest = (1 << (layer.weight_grid.bits - 1)) - 1
        high = mapping.tile_rows(len(matrix), self.rows)
        programmed = program(matrix, tiles, largest, self.device, seed=seed, trial=trial, layer=index)
        weights = effective_weights(
            programmed, matrix.shape, largest, self.device, seconds=self.seconds,
            spans=(self.image_seconds, self.session_seconds), key=(seed, trial, index),
            merge_slow=self._positions(network, layer) == 1,
        )  # fmt: skip
        grid = network.grids[layer.inputs[0]]
        widest = max(grid.high - grid.zero_point, grid.zero_point - grid.low)
        scale = self.dac.scale(widest)
        sampled = None if sampled_x is None else E.driven(sampled_x, self.dac, scale)
        n_row_tiles = -(-len(matrix) // high)
        step = E.adc_steps(
            matrix, tiles, (n_row_tiles, matrix.shape[1]), sampled, self.adc, self._current_unit(widest, largest)
        )
        arrays = np.zeros(n_row_tiles, np.int64)
        back = np.zeros((n_row_tiles, matrix.shape[1]), np.float32)  # 0 where there is no array to read
        for tile in tiles:
            arrays[tile.row_tile] += 1
            back[tile.row_tile, tile.columns] = 1.0 if step is None else step[tile.row_tile, tile.columns]
        streams = tuple(_streams.stream_word(seed, domain, trial, index) for domain in ("read", "slow"))

        def build(weights, tables):
            return E.LayerEngine(
                layer=layer, shape=network.shapes[layer.name], packed=E.pack(weights, high), rows_per_tile=high,
                n_row_tiles=n_row_tiles, dac=self.dac, dac_scale=scale, adc=self.adc, tables=tables, seed=seed,
                streams=streams, threads=threads, arrays=arrays,
            )  # fmt: skip

        built = build(weights, E.Tables(step, back, np.zeros(matrix.shape[1])))
        if self.compensation == "none":
            return built
        tables = E.compensated(built, weights, matrix, tiles, sampled_x, sampled, self.compensation)
        return build(weights if step is not None else E.scaled(weights, tables.back, high), tables)

    def _current_unit(self, widest: int, largest: int) -> float:
        """Amperes of one column-sum unit: one DAC step on a cell of one weight code."""
        steps = widest if self.dac.bits is None else self.dac.limit
        return self.dac.v_read / steps * (self.device.g_max - self.device.g_min) / largest

    @staticmethod
    def _positions(network, layer) -> int:
        """Reads of one inference: positions of a convolution, or rows of a Dense input."""
        size = int(np.prod(network.shapes[layer.name]))
        return size // layer.weight.shape[0]

    def _counts(self, network, engines, sites, images: int) -> Counts:
        pairs = []
        for name, engine in engines.items():
            tiles = [s for s in sites if s.layer == name]
            vectors, columns = engine.tally.vectors, sum(s.columns[1] - s.columns[0] for s in tiles)
            pairs += [(name, self.read_event, vectors * len(tiles)), (name, "dac_drive", engine.tally.drives)]
            if self.adc.bits is not None:
                pairs += [(name, "adc_conversion", vectors * columns), (name, "adc_clip", engine.tally.adc_clips)]
            written = len({c for s in tiles for c in range(*s.columns)})  # outputs that some array adds to
            if columns > written:
                pairs.append((name, "digital_accumulate", vectors * (columns - written)))
        for layer in network.layers:
            if not isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
                pairs.append((layer.name, "activation_op", int(np.prod(network.shapes[layer.name])) * images))
        return Counts.from_pairs(pairs)

    def _clipped(self, engines, sites) -> dict[str, float]:
        shares = {}
        for name, engine in engines.items():
            columns = sum(s.columns[1] - s.columns[0] for s in sites if s.layer == name)
            shares[name] = engine.tally.adc_clips / max(1, engine.tally.vectors * columns)
        return shares

    def _warnings(self, clips) -> tuple[str, ...]:
        found = []
        for name in clips[0]:
            share = float(np.mean([c[name] for c in clips]))
            if share > 0.01:
                found.append(
                    f"layer '{name}': {share:.1%} of the ADC conversions clipped; raise Adc.percentile or full_scale"
                )
        return tuple(found)


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows that drive anything, evenly spaced."""
    lively = rows[rows.any(axis=1)]
    lively = lively if len(lively) else rows[:1]
    picks = np.linspace(0, len(lively) - 1, min(len(lively), most)).astype(int)
    return np.ascontiguousarray(lively[picks])


def ideal(chip: CrossbarChip) -> CrossbarChip:
    """The same chip with exact cells and lossless converters: the upper bound of its accuracy."""
    return replace(
        chip, name=f"{chip.name} (ideal)", device=Ideal(g_max=chip.device.g_max), dac=Dac(bits=None),
        adc=Adc(bits=None), compensation="none", seconds=0.0,
    )  # fmt: skip
