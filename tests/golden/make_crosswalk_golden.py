"""Make crosswalk.npz: figures of KerasSpiking and NeuroBench for one small network, by their own programs.

In environments of their own:

    pip install "tensorflow-cpu==2.15.*" keras-spiking==0.3.0      (Python 3.11)
    python make_crosswalk_golden.py keras crosswalk_keras.npz

    pip install torch neurobench==2.3.0 snntorch tqdm
    python make_crosswalk_golden.py neurobench crosswalk_neurobench.npz

In the environment of this package, before the second one: what each layer of a spiking network received, for
NeuroBench to count.

    python make_crosswalk_golden.py spikes crosswalk_spikes.npz
"""

import sys
from pathlib import Path

import numpy as np

DEVICES = ("cpu", "gpu", "arm", "loihi", "spinnaker", "spinnaker2")


def arrays() -> dict[str, np.ndarray]:
    """Weights and inputs; PyTorch's layouts, every third weight zero."""
    random = np.random.default_rng(5)
    found = {
        "conv": random.normal(0, 0.4, (4, 2, 3, 3)),
        "conv_bias": random.normal(0, 0.1, 4),
        "hidden": random.normal(0, 0.2, (10, 4 * 6 * 5)),
        "hidden_bias": random.normal(0, 0.1, 10),
        "last": random.normal(0, 0.4, (3, 10)),
        "last_bias": np.zeros(3),
        "x": np.maximum(random.normal(0, 1, (7, 2, 6, 5)), 0),
        "binary": random.integers(0, 2, (7, 2, 6, 5)),
    }
    for name in ("conv", "hidden", "last"):
        found[name].ravel()[::3] = 0
    return {name: value.astype(np.float32) for name, value in found.items()}


def keras(path):
    import keras_spiking
    import tensorflow as tf

    a = arrays()
    layers = tf.keras.layers
    inputs = tf.keras.Input((6, 5, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(10, activation="relu")(x)
    model = tf.keras.Model(inputs, layers.Dense(3)(x))
    hidden = a["hidden"].reshape(10, 4, 6, 5).transpose(0, 2, 3, 1).reshape(10, -1)
    model.layers[1].set_weights([a["conv"].transpose(2, 3, 1, 0), a["conv_bias"]])
    model.layers[3].set_weights([hidden.T, a["hidden_bias"]])
    model.layers[4].set_weights([a["last"].T, a["last_bias"]])
    energy = keras_spiking.ModelEnergy(model, a["x"].transpose(0, 2, 3, 1))
    found = {"versions": np.array([keras_spiking.__version__, tf.__version__])}
    for device in DEVICES:
        found[device] = energy.total_energy(device, timesteps_per_inference=20, dt=0.002)
    picked = [model.layers[i] for i in (1, 3, 4)]
    for key in ("connections", "neurons"):
        found[key] = np.array([energy.layer_stats[layer][key] for layer in picked])
    found["rates"] = np.array([energy.layer_rates[layer] for layer in picked])
    np.savez(path, **found)


def neurobench(path):
    import neurobench as package
    import torch
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.utils.layers import single_layer_MACs
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

    a, nn = {k: torch.tensor(v) for k, v in arrays().items()}, torch.nn
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(120, 10), nn.ReLU(), nn.Linear(10, 3)
    )
    with torch.no_grad():
        for index, name in ((0, "conv"), (3, "hidden"), (5, "last")):
            net[index].weight.copy_(a[name])
            net[index].bias.copy_(a[name + "_bias"])
    found = {"versions": np.array([getattr(package, "__version__", "2.3.0"), torch.__version__])}
    for name in ("x", "binary"):
        model = TorchModel(net)
        model.add_activation_module(nn.ReLU)
        data = torch.utils.data.TensorDataset(a[name], torch.zeros(len(a[name])))
        data = torch.utils.data.DataLoader(data, batch_size=7)
        metrics = [[Footprint, ConnectionSparsity], [ActivationSparsity, SynapticOperations]]
        told = Benchmark(model, data, [], [], metrics).run(quiet=True)
        operations = told.pop("SynapticOperations")
        for key, value in {**told, **operations}.items():
            found[f"{name}/{key}"] = value
    spikes = Path("crosswalk_spikes.npz")
    if spikes.exists():
        told = dict(np.load(spikes))
        total = 0
        for name in ("conv", "hidden", "last"):
            weight, received = (
                torch.tensor(told[name + "/weight"]).float(),
                torch.tensor(told[name + "/spikes"]).float(),
            )
            layer = nn.Conv2d(2, 4, 3, padding=1) if name == "conv" else nn.Linear(*weight.shape[::-1])
            with torch.no_grad():
                layer.weight.copy_(weight)
            for step in range(received.shape[1]):
                operations, spiking = single_layer_MACs(received[:, step], layer)
                assert spiking
                total += operations
        found["spiking/Effective_ACs"] = total / len(received)
    np.savez(path, **found)


def network():
    """The same network for this package."""
    from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

    a = arrays()
    return sequential(
        [
            Conv2d(name="conv", weight=a["conv"], bias=a["conv_bias"], padding=((1, 1), (1, 1))),
            relu(name="relu1"),
            Flatten(name="flat"),
            Dense(name="hidden", weight=a["hidden"], bias=a["hidden_bias"]),
            relu(name="relu2"),
            Dense(name="last", weight=a["last"], bias=a["last_bias"]),
        ],
        input_shape=(2, 6, 5),
        name="crosswalk",
    )


def spiking():
    """Its spiking form, and the inputs."""
    from neuroemu import to_spiking

    x = arrays()["x"]
    return to_spiking(network(), steps=12, samples=x, reset="zero"), x


def spikes(path):
    from neuroemu.network.layers import Weighted
    from neuroemu.spiking import LOIHI1, engine
    from neuroemu.spiking.populations import neuron_numbers, populations

    net, x = spiking()
    groups, codes = populations(net), engine.input_codes(net, x)
    _, activity = engine.run_batch(groups, codes, net.steps, LOIHI1, seed=0, trial=0, first=0, threads=1)
    found = {}
    for index, layer in enumerate(layer for layer in net.layers if isinstance(layer, Weighted)):
        places = neuron_numbers(groups[index].shape)
        received = activity[index].spikes[:, :, places.ravel()]
        found[layer.name + "/spikes"] = received.reshape(*received.shape[:2], *(places.shape if not index else (-1,)))
        found[layer.name + "/weight"] = layer.weight
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    {"keras": keras, "neurobench": neurobench, "spikes": spikes}[sys.argv[1]](sys.argv[2])
