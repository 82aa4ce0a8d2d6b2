"""GradedRun: what a network with graded spikes put out, and what it took."""

from dataclasses import dataclass

import numpy as np

from .graded_record import PopulationCounts


@dataclass(frozen=True, eq=False, kw_only=True)
class GradedRun:
    """What a network with graded spikes did.

    Attributes
    ----------
    outputs : float32 (B, T, K)
        Output in each step of the last layer's window: that of step t belongs to the input of step t.
    counts : mapping from population to PopulationCounts
    depth : int
        Steps from an input to its output.
    settled : int64 (B,)
        Steps from the first input until nothing changes any more: the last message has arrived.
    """

    outputs: np.ndarray
    counts: dict[str, PopulationCounts]
    depth: int
    settled: np.ndarray

    @property
    def messages(self) -> int:
        """Graded spikes of all images and populations."""
        return sum(int(c.messages.sum()) for c in self.counts.values())

    @property
    def synaptic_operations(self) -> int:
        return sum(c.synaptic_operations for c in self.counts.values())

    def table(self) -> str:
        """One line a population, per image: messages, of how many neurons, synaptic operations, payload."""
        n = len(self.outputs)
        lines = [f"{'population':<16}{'neurons':>9}{'messages':>12}{'synaptic operations':>21}{'payload bits':>14}"]
        for name, c in self.counts.items():
            sent, done = c.messages.sum() / n, c.synaptic_operations / n
            lines.append(f"{name:<16}{len(c.messages):>9,}{sent:>12,.1f}{done:>21,.1f}{c.payload_bits:>14}")
        return "\n".join(lines)
