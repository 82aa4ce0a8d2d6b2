"""Placement: a network on a chip - which tile, core or array holds which piece - ready to run inputs."""

from dataclasses import dataclass

import numpy as np

from . import running
from ._sites import copies, layer_table, site_table, utilisation
from .chip import Chip, Site
from .errors import ArgumentTypeError
from .network.graph import Network
from .result import Result


@dataclass(frozen=True, eq=False)
class Placement:
    """A network placed on a chip; made by `place`.

    Attributes
    ----------
    network : Network
    chip : Chip
    sites : tuple of Site
        One record for each tile, core or array in use; where a chip builds copies of it, `details` says how many.
    """

    network: Network
    chip: Chip
    sites: tuple[Site, ...]

    @property
    def utilisation(self) -> float:
        """Mean share, 0 to 1, of each used unit's scarcest resource that is in use."""
        return utilisation(self.sites)

    def run(
        self, x, *, labels=None, seed: int = 0, trials: int = 1, threads: int | None = None, progress=True
    ) -> Result:
        """Run inputs; see `neuroemu.run`."""
        return running.run_placed(
            self.network,
            self.chip,
            self.sites,
            x,
            labels=labels,
            seed=seed,
            trials=trials,
            threads=threads,
            progress=progress,
        )

    def table(self) -> str:
        """One line a site: unit, layer, slices, utilisation and details."""
        return site_table(self.sites)

    def layers(self) -> str:
        """One line a layer: its units, rows and columns in all, the largest unit, and what of its units is in use.

        "used" is the mean utilisation; "nonzero", where the chip knows it, the share of the occupied crossings that
        hold a weight.
        """
        return layer_table(self.sites)

    def __repr__(self):
        layers: dict[str, int] = {}
        for site, n in zip(self.sites, copies(self.sites), strict=True):
            layers[site.layer] = layers.get(site.layer, 0) + n
        spread = ", ".join(f"{name} {n}" for name, n in layers.items())
        return (
            f"Placement of '{self.network.name}' on {self.chip.name}: {sum(layers.values())} units ({spread}), "
            f"mean utilisation {self.utilisation:.1%}"
        )


def place(network: Network, chip: Chip) -> Placement:
    """Put `network` on `chip`.

    Raises
    ------
    PlacementError
        The network is of the wrong kind or does not fit; the message names the layer, the limit and the remedy.
    """
    if not isinstance(network, Network) or not isinstance(chip, Chip):
        raise ArgumentTypeError(
            f"place: got {type(network).__name__} and {type(chip).__name__}; give a Network and a Chip"
        )
    return Placement(network, chip, chip.place(network))


def run(
    network: Network,
    chip: Chip,
    x: np.ndarray,
    *,
    labels=None,
    seed: int = 0,
    trials: int = 1,
    threads: int | None = None,
    progress=True,
) -> Result:
    """Place `network` on `chip` and run the inputs `x`.

    Parameters
    ----------
    network : Network
        Quantized for crossbars and digital chips, from `to_spiking` for spiking chips.
    chip : Chip
    x : ``(B, *network.input_shape)`` array
        Batch first also where the input is a spike train, for a network that starts with an Encode of coding "spikes":
        (B, T, ...). Trains (T, B, ...), as `run_spiking` takes them, become that by ``swapaxes(0, 1)``.
    labels : (B,) integers, optional
        Without them the accuracy is None.
    seed : int, 0 to 2^63 - 1
        Every random draw follows from it; the same seed gives the same outputs for any number of threads.
    trials : int
        Chips to program, each another draw of programming noise; digital and deterministic chips take one.
    threads : int, optional
        Default: the cores this process may use.
    progress : bool or callable
        Show a progress bar on stderr when it is a terminal; or a function (what, done, total) to call.

    Returns
    -------
    Result

    Raises
    ------
    PlacementError, InputError, ArgumentTypeError, PriceError
    """
    return place(network, chip).run(x, labels=labels, seed=seed, trials=trials, threads=threads, progress=progress)
