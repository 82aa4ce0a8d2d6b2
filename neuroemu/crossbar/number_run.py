"""Number run: a quantized network on programmed tiles. Inputs enter, an Execution leaves.

Images are worked on side by side through the integer reference executor, whose products come from the tiles.
"""

import numpy as np

from ..chip import Execution
from ..energy import Counts
from ..network.integer import run_integer
from .counting import clipped_shares, counts_of, lost_in_wires, notes_of, warnings_of, writes_in
from .describing import rosy
from .pipelining import copies_note, pipeline_of, usage_of
from .writes import writing_of


def read_numbers(chip, network, sites, x, engines, *, trials: int, threads: int, progress) -> Execution:
    """As `CrossbarChip.read`, for a network of numbers."""
    outputs, counts, clips, writes = [], [], [], []
    for trial in range(trials):
        built = engines(trial)

        def multiply(layer, drive, first, built=built):
            return built[layer.name].multiply(drive, first)

        def report(what, done, total, trial=trial):
            progress(f"{network.name} on {chip.name}", trial * total + done, trials * total)

        outputs.append(run_integer(network, x, multiply=multiply, progress=report, threads=threads))
        counts.append(counts_of(chip, network, built, sites, len(x)))
        clips.append(clipped_shares(built, sites))
        writes.append(writes_in(built, sites))
    pipeline = pipeline_of(chip, network, sites)
    usage = usage_of(chip, pipeline.stages, sites, pipeline.interval)
    made = f"{chip.seconds:g} s after programming, compensation {chip.compensation}"
    return Execution(
        outputs=np.stack(outputs),
        counts=Counts.mean(counts),
        latency=pipeline.latency,
        interval=pipeline.interval,
        units={"core": usage.units},
        pipeline=pipeline,
        usage=usage,
        traces=_traces(chip, clips, built),
        warnings=(*warnings_of(clips), *lost_in_wires(built), *rosy(chip, network, built)),
        writes=Counts.mean(writes),
        writing=writing_of(chip),
        notes=(made, *notes_of(chip), *copies_note(pipeline.stages)),
    )


def _traces(chip, clips, engines) -> dict[str, dict[str, float]]:
    """Shares by layer; what wires take away is that of the last programmed chip."""
    traces = {"adc clipped share": {name: float(np.mean([c[name] for c in clips])) for name in clips[0]}}
    if chip.wires is not None:
        traces["current lost in wires"] = {name: engine.wire_loss for name, engine in engines.items()}
    return traces
