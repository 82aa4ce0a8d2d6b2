"""neuroemu: one quantized network on analog crossbars, spiking cores and digital baselines, side by side.

net = load("model.onnx")
q = quantize(net, weight_bits=8, activation_bits=8, samples=x_train)
results = [run(q, chips.HERMES, x, labels=y), run(to_spiking(q, steps=32, samples=x_train), chips.LOIHI, x, labels=y)]
print(compare(results))
"""

import lazy_loader

__version__ = "0.1.0"

# Rooms load on first use, so that a script pays for what it takes; __init__.pyi lists the names and where they are.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
