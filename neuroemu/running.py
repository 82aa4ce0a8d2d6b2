"""Running: checked inputs go through a placed network; what comes out is judged against labels and priced."""

import hashlib
import sys
from collections.abc import Callable

import numpy as np

from . import _checks
from ._sites import utilisation
from .chip import Chip, Execution, silent, uploads
from .energy import CostTable, Writing, price
from .errors import ArgumentTypeError, InputError
from .network.graded import Delta, Programmed
from .network.graph import INPUT, Network
from .result import Form, Result, Scores
from .usage import Usage
from .versions import versions

BOUNDARIES = ("chip", "board", "core")  # static power of powered chips enters a total, if it is known; see _boundary


def run_placed(network: Network, chip: Chip, sites, x, *, labels, seed, trials, threads, progress) -> Result:
    """Result of running `x` on a placed network; see `neuroemu.run`."""
    who = f"run on {chip.name}"
    x = network.check_input(x, who=who)
    if len(network.output_shape) != 1:
        raise InputError(
            f"{who}: network '{network.name}' gives outputs of shape {network.output_shape}; add a Flatten"
        )
    if labels is not None:
        labels = _checks.labels(labels, n=len(x), classes=network.output_shape[0], who=who)
    _checks.integer(seed, who=who, name="seed", low=0, high=2**63 - 1)
    _checks.integer(trials, who=who, name="trials", low=1, high=100_000)
    threads = _checks.threads(threads, who=who)
    if chip.writing is not None:
        _checks.instance(chip.writing, Writing, who=who, name="writing")
    from threadpoolctl import threadpool_limits

    # The kernels bring their own threads; waiting BLAS threads would fight them.
    with _Bar(progress) as bar, threadpool_limits(limits=1, user_api="blas"):
        execution = chip.execute(network, sites, x, seed=seed, trials=trials, threads=threads, progress=bar)
    return _result(network, chip, sites, x, labels, seed, execution)


def _result(network, chip, sites, x, labels, seed, execution: Execution) -> Result:
    predictions = execution.outputs.argmax(axis=-1)
    written = execution.writes is not None  # chips that count no writes of their own are loaded with the weights
    usage = execution.usage or Usage(units=execution.units.get("core", len(sites)), cells=utilisation(sites))
    energy = price(
        execution.counts, chip.costs, seconds=execution.interval * len(x), inferences=len(x),
        units={"core": len(sites), "chip": 1, "board": 1} | execution.units, boundary=_boundary(chip.costs),
        writes=execution.writes if written else uploads(network),
        writing=execution.writing if written else chip.writing,
    )  # fmt: skip
    return Result(
        network_name=network.name,
        chip_name=chip.name,
        outputs=execution.outputs[0],
        predictions=predictions[0],
        scores=None if labels is None else Scores.of(predictions, labels),
        n_images=len(x),
        n_trials=len(execution.outputs),
        batch=execution.batch,
        counts=execution.counts,
        energy=energy,
        latency_per_inference=execution.latency,
        throughput=1 / execution.interval if execution.interval > 0 else float("inf"),
        n_units=usage.units,
        utilisation=usage.cells,
        traces=execution.traces,
        warnings=(*saturation(network, x), *execution.warnings),
        notes=execution.notes,
        seed=seed,
        versions=versions(),
        data_hash=data_hash(x, labels),
        trial_outputs=execution.outputs,
        form=form_of(network),
        usage=usage,
        area=chip.area,
        pipeline=execution.pipeline,
    )


def _boundary(costs: CostTable) -> str:
    """The powered chip; the board, or the cores in use, where static power is only known of them."""
    return next((scope for scope in BOUNDARIES if costs.static(scope)), BOUNDARIES[0])


def form_of(network: Network) -> Form:
    """Kind, bits, steps and multiply-accumulates of a network."""
    graded = any(isinstance(layer, Delta | Programmed) for layer in network.layers)
    kind = "spiking" if network.spiking else "quantized" if network.quantized else "float"
    grids = [layer.weight_grid for layer in network.weighted if layer.weight_grid is not None]
    read = [[name for name in layer.inputs if name in network.grids] for layer in network.weighted]
    between = [name for names in (read[1:] or read) for name in names]
    coded = kind == "quantized" or (graded and bool(between))
    return Form(
        kind="graded" if graded else kind,
        weight_bits=max((grid.bits for grid in grids), default=None),
        activation_bits=max(network.grids[name].bits for name in between) if coded else None,
        steps=network.steps,
        macs=sum(layer.weight[0].size * int(np.prod(network.shapes[layer.name])) for layer in network.weighted),
    )


def saturation(network: Network, x: np.ndarray) -> tuple[str, ...]:
    """A warning where more than a thousandth of the input values lie outside the input grid."""
    grid = network.grids.get(INPUT)
    if grid is None:
        return ()
    low, high = (float(grid.scale) * (code - grid.zero_point) for code in (grid.low, grid.high))
    share = float(np.mean((x < low - 0.51 * grid.scale) | (x > high + 0.51 * grid.scale)))
    if share < 1e-3:
        return ()
    return (f"{share:.1%} of the input values lie outside {low:.4g} to {high:.4g}, what the network was quantized for",)


def data_hash(x: np.ndarray, labels) -> str:
    """A digest of inputs and labels; results are compared only if they share it."""
    digest = hashlib.sha256(repr(x.shape[1:]).encode() if x.ndim > 2 else b"flat")
    digest.update(np.ascontiguousarray(x, np.float32).tobytes())
    digest.update(b"none" if labels is None else np.ascontiguousarray(labels, np.int64).tobytes())
    return digest.hexdigest()


class _Bar:
    """A progress bar, a callable (what, done, total) of the user's, or silence."""

    def __init__(self, wish: bool | Callable):
        if not (callable(wish) or isinstance(wish, bool)):
            raise ArgumentTypeError(f"run: progress is {wish!r}; give True, False or a function (what, done, total)")
        self._report = wish if callable(wish) else None
        self._show = wish is True and sys.stderr.isatty()
        self._bar = None

    def __enter__(self):
        if self._report is not None:
            return self._report
        return self._update if self._show else silent

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.close()

    def _update(self, what, done, total):
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=what, leave=False)
        self._bar.update(done - self._bar.n)
