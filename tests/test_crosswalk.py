"""Crosswalk: the figures of KerasSpiking 0.3.0 and NeuroBench 2.3.0, as those programs printed them, kept in golden."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from neuroemu import chips, crosswalk, datasets, quantize, run
from neuroemu.errors import InputError

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("maker", GOLDEN / "make_crosswalk_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name):
    with np.load(GOLDEN / f"crosswalk_{name}.npz", allow_pickle=False) as file:
        return dict(file)


def test_keras_spiking(maker):
    told = load("keras")
    for device in crosswalk.KERAS_SPIKING:
        found = crosswalk.keras_spiking(maker.network(), maker.arrays()["x"], device=device, timesteps=20, dt=0.002)
        assert found.joules == pytest.approx(float(told[device]), rel=1e-6)
        assert list(found.connections.values()) == told["connections"].tolist()
        assert list(found.neurons.values()) == told["neurons"].tolist()
        assert list(found.rates.values()) == pytest.approx(told["rates"].tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["x", "binary"])
def test_neurobench(maker, name):
    told = load("neurobench")
    found = crosswalk.neurobench(maker.network(), maker.arrays()[name])
    assert found.footprint == told[f"{name}/Footprint"]
    assert found.connection_sparsity == pytest.approx(told[f"{name}/ConnectionSparsity"], abs=5e-5)  # it rounds
    assert found.activation_sparsity == told[f"{name}/ActivationSparsity"]
    assert found.effective_macs == pytest.approx(told[f"{name}/Effective_MACs"], rel=1e-12)
    assert found.effective_acs == pytest.approx(told[f"{name}/Effective_ACs"], rel=1e-12)
    assert found.dense == told[f"{name}/Dense"]


def test_synaptic_operations_of_a_spiking_run_are_those_that_neurobench_counts(maker):
    network, x = maker.spiking()
    found = crosswalk.neurobench_of_spiking(network, run(network, chips.LOIHI, x))
    assert found.effective_acs == pytest.approx(float(load("neurobench")["spiking/Effective_ACs"]), rel=1e-12)
    assert found.effective_macs == 0 and 0 < found.activation_sparsity < 1
    assert found.dense == 12 * load("neurobench")["x/Dense"]


def test_a_quantized_network_counts_codes_at_their_zero_point_as_zeros():
    net = datasets.mnist_network()
    q = quantize(net, samples=net.samples)
    x, _ = datasets.mnist_test(20)
    real, codes = crosswalk.neurobench(net, x), crosswalk.neurobench(q, x)
    assert codes.dense == real.dense and codes.footprint < 0.3 * real.footprint
    assert codes.effective_macs == pytest.approx(real.effective_macs, rel=0.1)  # small values round to zero
    assert codes.effective_macs < real.effective_macs


def test_other_networks_are_refused(maker):
    network, x = maker.spiking()
    with pytest.raises(InputError, match="is spiking; use neurobench_of_spiking"):
        crosswalk.neurobench(network, x)
    with pytest.raises(InputError, match="give a spiking network"):
        crosswalk.neurobench_of_spiking(maker.network(), run(network, chips.LOIHI, x))
    with pytest.raises(InputError, match="device"):
        crosswalk.keras_spiking(maker.network(), x, device="tpu")
