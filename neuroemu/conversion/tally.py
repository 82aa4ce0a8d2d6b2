"""Sums of the errors, spikes and shares of one layer over batches, and what spikes stand for."""

from collections.abc import Mapping

import numpy as np

from ..spiking.populations import neuron_numbers


class Tally:
    """Sums over batches of one `layers.Layer`."""

    PARTS = ("error", "inherited", "rounding", "predicted_rounding", "steps", "predicted_steps")

    def __init__(self):
        self.squares = dict.fromkeys(("wanted", *self.PARTS), 0.0)
        self.values = self.saturated = self.inputs = 0
        self.fired = self.full = self.active = 0  # by neuron: spikes; inputs with one in each step; activations > 0

    def add(self, layer, wanted: np.ndarray, spikes: np.ndarray | None, parts: Mapping[str, np.ndarray]):
        """Count one batch: activations (B, ...), spikes (B, T, N) of neurons that have some, errors (B, ...)."""
        for name, array in {"wanted": wanted, **parts}.items():
            self.squares[name] += float(np.square(array, dtype=np.float64).sum())
        self.values += wanted.size
        self.inputs += len(wanted)
        if spikes is not None:
            count = spikes.sum(axis=1, dtype=np.int64)
            self.fired = self.fired + count.sum(axis=0)
            self.full = self.full + (count == spikes.shape[1]).sum(axis=0)
            self.active = self.active + (in_order(wanted) > 0).sum(axis=0)
            self.saturated += int((wanted > layer.unit * (1 + 1e-6)).sum())

    def result(self, layer) -> dict[str, float]:
        """The fields of a LayerConversion but for its name."""
        whole = self.squares["wanted"] or 1.0
        found = {name: float(np.sqrt(self.squares[name] / whole)) for name in self.PARTS}
        fired, full, active = (np.atleast_1d(values) for values in (self.fired, self.full, self.active))
        quiet = layer.last
        return found | {
            "neurons": int(np.prod(layer.shape)),
            "unit": layer.unit,
            "saturated": self.saturated / self.values,
            "silent": 0.0 if quiet else float((fired == 0).mean()),
            "dead": 0.0 if quiet else float((active == 0).mean()),
            "always": 0.0 if quiet else float((full == self.inputs).mean()),
            "rate": 0.0 if quiet else float(fired.mean()) / self.inputs / layer.steps,
            "spikes": 0.0 if quiet else float(fired.sum()) / self.inputs,
        }


def even_spikes(drive: np.ndarray, threshold: int, initial: int, reset: str, steps: int) -> np.ndarray:
    """Spikes of integrate-and-fire neurons with the same input >= 0 in each step, in closed form."""
    if reset == "subtract":
        return np.clip(np.ceil((initial + drive * steps) / threshold) - 1.0, 0, steps)
    safe = np.where(drive > 0, drive, 1.0)
    first = np.floor((threshold - initial) / safe) + 1.0
    period = np.floor(threshold / safe) + 1.0
    return np.where((drive > 0) & (first <= steps), np.floor((steps - first) / period) + 1.0, 0.0)


def signal(spikes: np.ndarray, keep: float) -> np.ndarray:
    """What spikes (B, T, N) add up to in the neurons that read them, over the most they can: (B, N).

    A spike counts once where currents last a step, else in each step that is left, by what is left of its current.
    """
    steps = spikes.shape[1]
    if keep <= 0:
        return spikes.mean(axis=1, dtype=np.float64)
    left = steps - np.arange(steps)
    weight = (1.0 - keep**left) / (1.0 - keep) if keep < 1 else left
    return np.tensordot(spikes, weight / steps, axes=(1, 0))


def as_image(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(B, N) in the order of the neurons -> (B, *shape)."""
    return values[:, neuron_numbers(shape).ravel()].reshape(-1, *shape)


def in_order(values: np.ndarray) -> np.ndarray:
    """The other way."""
    flat = np.empty((len(values), values[0].size), values.dtype)
    flat[:, neuron_numbers(values.shape[1:]).ravel()] = values.reshape(flat.shape)
    return flat
