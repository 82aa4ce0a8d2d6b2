"""The command line: one comparison, on the embedded network and MNIST, or on a user's own network and data.

`neuroemu validate` sets published figures beside those that the package computes.
"""

import argparse
import os
import sys
import time

START = time.perf_counter()
DEFAULT_CHIPS = "HERMES,LOIHI,TRUENORTH,TPU_V1,A100,XEON_E5_2699V3"
CALIBRATION_IMAGES = 512  # of a user's data, set apart from the images that are judged


def say(text: str) -> None:
    """A progress line on stderr, with the seconds since the start."""
    print(f"[{time.perf_counter() - START:5.1f} s] {text}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(
        prog="neuroemu",
        description="Accuracy, energy and latency of one quantized network on analog, spiking and digital chips.",
        epilog="'neuroemu validate' sets published figures beside those that the package computes ('--help' after it).",
    )
    found.add_argument(
        "--model",
        metavar="FILE",
        help="network: .onnx, .tflite or neuroemu's .npz (default: the embedded MNIST network)",
    )
    found.add_argument(
        "--data", metavar="FILE", help=".npz with x and, for an accuracy, y (default: the MNIST test images)"
    )
    found.add_argument(
        "--samples",
        metavar="FILE",
        help=".npz with training inputs x to calibrate on (default: inputs of --data that are not judged)",
    )
    found.add_argument("--chips", default=DEFAULT_CHIPS, metavar="A,B", help=f"default {DEFAULT_CHIPS}")
    found.add_argument("--images", type=int, default=1000, metavar="N", help="inputs to judge (default 1000)")
    found.add_argument(
        "--trials", type=int, default=1, metavar="K", help="programmed chips for analog ones (default 1)"
    )
    found.add_argument("--seed", type=int, default=0, metavar="S")
    found.add_argument(
        "--bits", type=int, default=8, metavar="B", help="weights and activations of a float network (default 8)"
    )
    found.add_argument(
        "--steps", type=int, default=32, metavar="T", help="presentation of the spiking network (default 32)"
    )
    found.add_argument(
        "--reset", default="zero", choices=("zero", "subtract"), help="of the spiking neurons (default zero)"
    )
    found.add_argument("--plot", metavar="FILE", help="write a picture of energy against accuracy")
    found.add_argument("--csv", metavar="FILE", help="write the table")
    found.add_argument("--json", metavar="FILE", help="write the table with every count, price and source")
    return found


def validation_parser() -> argparse.ArgumentParser:
    """The options of `neuroemu validate`."""
    found = argparse.ArgumentParser(
        prog="neuroemu validate",
        description="Published figures beside ours: error, tolerance, and how much each proves. Exit code 1 if a gated "
        "case (marked *) misses its tolerance.",
    )
    found.add_argument("--headline", action="store_true", help="print the summary only")
    found.add_argument("--plot", metavar="FILE", help="write a picture of all cases")
    found.add_argument("--csv", metavar="FILE", help="write the cases")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["validate"]:
        command, options = validate, validation_parser().parse_args(arguments[1:])
    else:
        command, options = compare_chips, parser().parse_args(arguments)
    say("loading")
    from .errors import NeuroemuError

    try:
        return command(options)
    except NeuroemuError as error:
        print(f"neuroemu: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("neuroemu: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def validate(options) -> int:
    """Compute all cases, print and write them."""
    from . import validation
    from ._files import check_target, picture_format, write_text

    for path in filter(None, (options.csv, options.plot)):
        check_target(path)
    if options.plot:
        picture_format(options.plot)
    report = validation.validate()
    print(report.headline() if options.headline else report)
    if options.csv:
        write_text(options.csv, report.to_csv())
    if options.plot:
        from . import plot

        plot.save(plot.parity(report), options.plot)
        say(f"picture in {options.plot}")
    return 1 if report.failures else 0


def compare_chips(options) -> int:
    """Load, quantize, run on each chip, print and write."""
    from .comparison import compare
    from .errors import NeuroemuError
    from .transform import calibrate, quantize

    check_options(options)
    chips = chosen_chips(options.chips)
    network, x, y, samples = inputs(options)
    say(f"{network.name}: {network.n_parameters:,} parameters; {len(x):,} inputs; {len(samples):,} for calibration")
    if network.quantized:
        quantized = network if network.spiking or network.samples is not None else calibrate(network, samples)
    else:
        quantized = quantize(network, weight_bits=options.bits, activation_bits=options.bits, samples=samples)
    results, refused = [], []
    for name, chip in chips.items():
        say(f"{name} ...")
        try:
            results.append(run_one(quantized, chip, x, y, samples, options))
        except NeuroemuError as error:
            refused.append(f"{name}: {error}")
            say(f"{name} left out")
    for line in refused:
        print(f"neuroemu: {line}", file=sys.stderr)
    if not results:
        return 2
    comparison = compare(results)
    say("done")
    print(comparison)
    write(comparison, options)
    return 1 if refused and options.chips != DEFAULT_CHIPS else 0


def check_options(options) -> None:
    """Refuse what would fail only after the runs."""
    from ._checks import integer
    from ._files import check_target, picture_format

    integer(options.images, who="--images", name="N", low=1)
    integer(options.trials, who="--trials", name="K", low=1)
    integer(options.seed, who="--seed", name="S", low=0)
    integer(options.steps, who="--steps", name="T", low=1, high=4096)
    integer(options.bits, who="--bits", name="B", low=2, high=8)
    for path in filter(None, (options.csv, options.json, options.plot)):
        check_target(path)
    if options.plot:
        picture_format(options.plot)


def chosen_chips(names: str) -> dict:
    """The chips named in a comma-separated list, in any case."""
    from . import chips
    from .errors import InputError

    by_name = {name.upper(): (name, chip) for name, chip in chips.ALL.items()}
    found = {}
    for wish in filter(None, (part.strip() for part in names.split(","))):
        if wish.upper() not in by_name:
            raise InputError(f"--chips: no chip '{wish}'; choose from {', '.join(chips.ALL)}")
        found.update([by_name[wish.upper()]])
    if not found:
        raise InputError(f"--chips: names no chip; choose from {', '.join(chips.ALL)}")
    return found


def inputs(options):
    """(network, x, y, samples): samples are never among the inputs judged."""
    from . import datasets
    from .errors import InputError
    from .network import load

    network = load(options.model) if options.model else datasets.mnist_network()
    x, y = datasets.load_inputs(options.data) if options.data else datasets.mnist_test()
    if options.plot and y is None:
        raise InputError("--plot: --data has no labels y, so there is no accuracy to draw; add y or drop --plot")
    if options.samples:
        samples = datasets.load_inputs(options.samples)[0]
    elif network.samples is not None and not options.data:
        samples = network.samples
    else:
        keep = min(options.images, max(1, len(x) - min(CALIBRATION_IMAGES, len(x) // 5)))
        samples = x[keep : keep + CALIBRATION_IMAGES]
        x, y = x[:keep], None if y is None else y[:keep]
        if not len(samples):
            raise InputError(
                f"--data: {len(x)} inputs leave none to calibrate on; give --samples FILE.npz with training inputs"
            )
    return network, x[: options.images], None if y is None else y[: options.images], samples


def run_one(quantized, chip, x, y, samples, options):
    """Result of one chip; a chip of spikes gets the spiking form of the network, graded spikes the sigma-delta form.

    TrueNorth's cores do not hold the embedded network; they get the one that was trained for them.
    """
    from . import datasets
    from .placement import run
    from .spiking import GradedChip, SpikingChip, TrueNorthChip
    from .transform import to_sigma_delta, to_spiking, to_truenorth

    network = quantized
    if isinstance(chip, SpikingChip) and not network.spiking:
        network = to_spiking(network, steps=options.steps, samples=samples, reset=options.reset)
    elif isinstance(chip, GradedChip) and not network.spiking:
        network = to_sigma_delta(network)
    elif isinstance(chip, TrueNorthChip) and not network.spiking:
        if options.model:
            network = to_truenorth(network, steps=options.steps, samples=samples, reset=options.reset)
        else:
            network = datasets.mnist_truenorth_network()
    last = [0.0]

    def progress(what, done, total):
        if time.perf_counter() - last[0] > 2:
            last[0] = time.perf_counter()
            say(f"  {what}: {done:,} of {total:,}")

    return run(network, chip, x, labels=y, seed=options.seed, trials=options.trials, progress=progress)


def write(comparison, options) -> None:
    """The files asked for."""
    from ._files import write_text

    if options.csv:
        write_text(options.csv, comparison.to_csv())
    if options.json:
        write_text(options.json, comparison.to_json())
    if options.plot:
        from . import plot

        plot.save(plot.energy_accuracy([r for r in comparison.results if not r.energy.unknown]), options.plot)
        say(f"picture in {options.plot}")


if __name__ == "__main__":
    sys.exit(main())
