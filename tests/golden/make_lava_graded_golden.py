"""Record goldens of graded neurons from lava-nc 0.10.0; see LOIHI.md for origin and licence. Not run by the tests.

    python3.10 -m venv lava && lava/bin/pip install lava-nc==0.10.0 && lava/bin/python make_lava_graded_golden.py

Inputs are drawn here; spikes and states are what lava's fixed-point process models put out, one step of the source
being one step of the neurons.
"""

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.atrlif.models import PyATRLIFModelFixed
from lava.proc.atrlif.process import ATRLIF
from lava.proc.graded.process import GradedReluVec
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.rf.models import PyRFModelFixed
from lava.proc.rf.process import RF
from lava.proc.sdn.models import PySigmaDeltaModelFixed
from lava.proc.sdn.process import ActivationMode, SigmaDelta

N, T = 20, 120
DRAW = np.random.default_rng(1)


def run(process, model, **inputs):
    """Output (N, T) of a process driven by (N, T) arrays, one for each port."""
    sink = Sink(shape=(N,), buffer=T)
    for port, data in inputs.items():
        Source(data=data).s_out.connect(getattr(process, port))
    process.s_out.connect(sink.a_in)
    chosen = {type(process): model} if model else {}
    process.run(condition=RunSteps(T), run_cfg=Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=chosen))
    found = sink.data.get()
    process.stop()
    return found.astype(np.int32)


def changes(largest, share):
    """Random integers, 0 in most places."""
    return DRAW.integers(-largest, largest + 1, (N, T)) * (DRAW.random((N, T)) < share)


def main():
    kept = {}
    drive = changes(3000, 0.3)
    bias = DRAW.integers(-200, 200, N)
    kept |= {"sigma_delta_in": drive, "sigma_delta_bias": bias}
    for act in (ActivationMode.RELU, ActivationMode.UNIT):
        neurons = SigmaDelta(shape=(N,), vth=60, bias=bias, act_mode=act, state_exp=4)
        kept[f"sigma_delta_{act.name.lower()}"] = run(neurons, PySigmaDeltaModelFixed, a_in=drive)
    real, imag = changes(60, 0.2), changes(60, 0.2)
    kept |= {"rf_real": real, "rf_imag": imag}
    neurons = RF(shape=(N,), period=11, alpha=0.05, state_exp=6, decay_bits=12, vth=25)
    kept["rf_spikes"] = run(neurons, PyRFModelFixed, a_real_in=real, a_imag_in=imag)
    drive = changes(40, 0.5) + 10
    kept["atrlif_in"] = drive
    neurons = ATRLIF(
        shape=(N,), delta_i=0, delta_v=1, delta_theta=0, delta_r=1, theta_0=300, theta_step=20, bias_mant=64, bias_exp=2
    )
    kept["atrlif_spikes"] = run(neurons, PyATRLIFModelFixed, a_in=drive)
    drive = changes(500, 0.5)
    kept["relu_in"] = drive
    kept["relu_out"] = run(GradedReluVec(shape=(N,), vth=40), None, a_in=drive)
    np.savez_compressed("lava_graded.npz", **{name: np.asarray(a, np.int32) for name, a in kept.items()})
    for name, a in kept.items():
        print(name, a.shape, np.count_nonzero(a))


if __name__ == "__main__":
    main()
