"""What the cores share as Brian2 groups: clock and spike list, slices, checks of sources and devices.

In: the size of a core and its variables. Out: a group that Brian2's synapses, monitors and `store` take (Stimberg et
al. 2019, doi:10.7554/eLife.47314). Nothing here imports Brian2 before a core is made.
"""

import numpy as np

from ..errors import ArgumentTypeError, InputError, UnsupportedError

DT_SECONDS = 1e-3


class CoreGroup:
    """Methods of a core as a Brian2 group; the bases Group and SpikeSource are added by the module of the core."""

    add_to_magic_network = True

    def _begin(self, n, add_variables, *, dt, clock, name):
        """Make the group of n neurons; `add_variables(variables)` adds what is its own."""
        from brian2 import second
        from brian2.core.variables import Variables
        from brian2.groups.group import Group

        dt = DT_SECONDS * second if dt is None and clock is None else dt
        Group.__init__(self, dt=dt, clock=clock, when="thresholds", order=0, name=name)
        self._N, self.start, self.stop = n, 0, n
        self.codeobj_class, self._refractory, self._bound = None, False, None
        self.events = {"spike": None}
        self.variables = Variables(self)
        self.variables.add_constant("N", value=n)
        self.variables.add_arange("i", n, constant=True, read_only=True)
        self.variables.add_array("_spikespace", size=n + 1, dtype=np.int32)
        add_variables(self.variables)
        self.variables.create_clock_variables(self._clock)
        self._enable_group_attributes()

    @property
    def spikes(self):
        """Indices of the neurons that spiked in the step that was run last."""
        spikespace = self.variables["_spikespace"].get_value()
        return spikespace[: spikespace[-1]]

    def __getitem__(self, item):
        from brian2.groups.subgroup import Subgroup

        who = f"{type(self).__name__} {self.name!r}"
        if not isinstance(item, slice) or item.indices(self._N)[2] != 1:
            raise ArgumentTypeError(f"{who}: a part of it is a slice without step, such as core[2:5]")
        start, stop, _ = item.indices(self._N)
        if start >= stop:
            raise InputError(f"{who}: the slice {start}:{stop} is empty; it has {self._N} neurons")
        return Subgroup(self, start, stop)

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r} with {self._N} neurons>"


def public_class(name, methods, module):
    """The class `name` of a module: its methods on Brian2's bases, those of a group for a core, else of an object."""
    from brian2.core.base import BrianObject
    from brian2.core.spikesource import SpikeSource
    from brian2.groups.group import Group

    bases = (Group, SpikeSource) if issubclass(methods, CoreGroup) else (BrianObject,)
    return type(name, (methods, *bases), {"__doc__": methods.__doc__, "__module__": module})


def need_runtime_device(who):
    """Refuse Brian2's standalone devices, which cannot call a kernel of this package."""
    from brian2.devices.device import RuntimeDevice, get_device

    if not isinstance(get_device(), RuntimeDevice):
        raise UnsupportedError(f"{who}: a standalone device is set; call brian2.set_device('runtime')")


def check_source(source, who):
    """Refuse what is no Brian2 group that spikes."""
    from brian2.core.spikesource import SpikeSource

    if not isinstance(source, SpikeSource):
        raise ArgumentTypeError(f"{who}: source must be a Brian2 group that spikes, got {type(source).__name__}")
    if "spike" not in source.events:
        raise InputError(f"{who}: {source.name!r} has no event 'spike'; give it a threshold")
