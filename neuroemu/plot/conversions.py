"""Pictures of conversions: errors by layer, and accuracy against steps."""

import numpy as np
from matplotlib.figure import Figure

from ..errors import ArgumentTypeError
from .drawing import COLOURS, colours_of, figure_of


def conversion(report) -> Figure:
    """A network made spiking, layer by layer: errors beside what was predicted, neurons that say nothing, and rates.

    Left: root mean square errors beside that of the float activations. Dark: the whole error; light: what the layer
    adds itself; a dot: the same as predicted. Middle: shares of neurons that never spike (those whose activation is 0
    on all inputs too in grey) or always do, and of activations that no rate can say. Right: mean spikes a neuron and
    step, and the number of spikes an input.

    Parameters
    ----------
    report : ConversionReport, as `neuroemu.conversion_report` gives it
    """
    if not (hasattr(report, "layers") and hasattr(report, "agreement") and hasattr(report, "column")):
        raise ArgumentTypeError(f"plot.conversion: got {type(report).__name__}; give a ConversionReport")
    names, place = [layer.name for layer in report.layers], np.arange(len(report.layers))
    figure = figure_of(11.5, 1.9 + 0.42 * len(names))
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(1.3, 1.2, 1))
    left.barh(place - 0.19, 100 * report.column("error"), 0.36, color=COLOURS[0], label="whole error")
    left.barh(place + 0.19, 100 * report.column("own"), 0.36, color=COLOURS[0], alpha=0.4, label="of the layer itself")
    left.plot(100 * report.column("predicted"), place + 0.19, "o", color=COLOURS[1], ms=5, label="predicted")
    left.set(xlabel="error (% of the rms activation)", yticks=place, yticklabels=names)
    dead = np.minimum(report.column("dead"), report.column("silent"))
    shares = {"silent": report.column("silent"), "silent, activation 0": dead, "always": report.column("always")}
    for (label, share), colour in zip(shares.items(), (COLOURS[1], "0.75", COLOURS[3]), strict=True):
        middle.barh(place - 0.19, 100 * share, 0.36, color=colour, label=label)
    middle.barh(place + 0.19, 100 * report.column("saturated"), 0.36, color=COLOURS[4], label="activations saturated")
    middle.set(xlabel="share (%)")
    right.barh(place, report.column("rate"), 0.6, color=COLOURS[2])
    for at in place[report.column("rate") > 0]:
        layer = report.layers[at]
        right.annotate(f" {layer.spikes:,.0f} an input", (layer.rate, at), va="center", fontsize=8)
    right.set(xlabel="spikes a neuron and step")
    right.margins(x=0.45)
    right.locator_params(axis="x", nbins=4)
    for axes in (left, middle):
        axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    left.invert_yaxis()
    found = report.accuracy or {f"{a} = {b}": share for (a, b), share in report.agreement.items()}
    text = ", ".join(f"{name} {value:.2%}" for name, value in found.items())
    figure.suptitle(f"{report.spiking_name}: {text}", fontsize=10)
    return figure


def steps(curve, *, stopped=()) -> Figure:
    """Answers against the steps of the presentation, and where inputs stop early.

    Above: accuracy after each step, or without labels the agreement with the last one; a dot for each rule, at its mean
    steps. Below: the share of the inputs that each rule stops at each step.

    Parameters
    ----------
    curve : StepsCurve, as `neuroemu.steps_curve` gives it
    stopped : what `curve.stopped(rule)` gives, one or several
    """
    if not (hasattr(curve, "predictions") and hasattr(curve, "leads")):
        raise ArgumentTypeError(f"plot.steps: got {type(curve).__name__}; give a StepsCurve")
    stopped = tuple(stopped) if hasattr(stopped, "__iter__") else (stopped,)
    figure = figure_of(6.0, 4.6 if stopped else 3.4)
    if stopped:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    else:
        axes = below = figure.subplots()
    right = curve.accuracy is not None
    axes.plot(curve.steps, 100 * (curve.accuracy if right else curve.agreement), color=COLOURS[0], lw=1.5)
    axes.set_ylabel("accuracy (%)" if right else "same answer as after the last step (%)")
    for one, colour in zip(stopped, colours_of(len(stopped) + 1)[1:], strict=True):
        value = 100 * (one.accuracy if right else one.agreement)
        label = f"lead {one.rule.margin:.3g}: {one.steps.mean():.1f} steps, {value:.2f} %"
        axes.plot(one.steps.mean(), value, "o", color=colour, ms=7, label=label)
        share = np.bincount(one.steps, minlength=len(curve.steps) + 1)[1:] / len(one.steps)
        below.step(curve.steps, 100 * share, where="mid", color=colour, lw=1.3)
    if stopped:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        below.set_ylabel("inputs that stop (%)")
    below.set_xscale("log", base=2)
    below.xaxis.set_major_formatter("{x:g}")
    below.set_xlabel(f"steps of the read-out (+ {curve.depth} until they leave the chip)")
    for each in {axes, below}:
        each.grid(alpha=0.3)
    axes.set_title(curve.network_name, fontsize=10)
    return figure
