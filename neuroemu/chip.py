"""Chip: what every substrate offers - place a network, then run inputs - and the two records that pass between them.

A substrate counts events and predicts times; it never computes joules (`energy` does) and never sees labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .area import Area
from .energy import CostTable, Counts, Writing
from .network.graph import Network
from .pipeline import Pipeline
from .usage import Usage

Progress = Callable[[str, int, int], None]  # (what, done, total)


def silent(what: str, done: int, total: int) -> None:
    """A Progress that says nothing."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One tile, core or array that holds a piece of a layer."""

    layer: str
    unit: int  # index of the tile or core
    rows: tuple[int, int]  # slice of the layer's fan-in (crossbar, array) or of its neurons (spiking)
    columns: tuple[int, int]
    utilisation: float  # 0..1, share of the unit's scarcest resource in use
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What one run of a substrate yields; T trials, B images, K outputs.

    counts hold the events of all B images of one trial on average over trials, rounded to integers per event kind.
    """

    outputs: np.ndarray  # (trials, B, K) float32
    counts: Counts
    latency: float  # seconds from input to output of one inference
    interval: float  # seconds between two inferences at full throughput; = latency when not pipelined
    units: Mapping[str, int] = field(
        default_factory=dict
    )  # powered units by scope, where not one chip of one core a site
    batch: int = 1  # inferences that share a launch; latency is that of the batch
    traces: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # what should worry the user
    writes: Counts | None = None  # events of writing the chip once; None: those of `uploads`
    writing: Writing | None = None  # how often it is written; None: not charged
    notes: tuple[str, ...] = ()  # settings and assumptions that the figures rest on
    usage: Usage | None = None  # None: what the sites tell
    pipeline: Pipeline | None = None  # where layers are stages


def uploads(network: Network) -> Counts:
    """Events of loading a network into memories: "weight_upload_byte" by layer, each weight and bias once.

    Padding, axon tables and instructions of a chip are not counted.
    """
    pairs = []
    for layer in network.weighted:
        bits = layer.weight.size * (8 * layer.weight.itemsize if layer.weight_grid is None else layer.weight_grid.bits)
        bits += 0 if layer.bias is None else 8 * layer.bias.nbytes
        pairs.append((layer.name, "weight_upload_byte", -(-bits // 8)))
    return Counts.from_pairs(pairs)


@dataclass(frozen=True, kw_only=True)
class Chip(ABC):
    """Abstract: a machine that networks are placed on. Vary a preset with `dataclasses.replace`.

    `writing` says how many inferences share the writing of the weights into the chip; None leaves writing out.
    """

    name: str
    costs: CostTable
    writing: Writing | None = field(default=Writing())
    area: Area = field(default=Area())

    @abstractmethod
    def place(self, network: Network) -> tuple[Site, ...]:
        """Where each layer goes; PlacementError when it does not fit."""

    @abstractmethod
    def execute(
        self,
        network: Network,
        sites: tuple[Site, ...],
        x: np.ndarray,
        *,
        seed: int,
        trials: int,
        threads: int,
        progress: Progress = silent,
    ) -> Execution:
        """Run the checked inputs `x` (B, *input_shape)."""
