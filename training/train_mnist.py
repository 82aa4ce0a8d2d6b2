"""Train the small convolutional network that ships inside the package.

Enters: the four MNIST idx.gz files (``--data``). Leaves: ``weights.npz`` (``--out``), described in README.md beside
this file, and a table of accuracies on standard output.

The network is made to survive conversion: 8- and 4-bit weights and activations, crossbars whose weights carry a
Gaussian error, and integrate-and-fire neurons that see 32 time steps. Three steps:

1. plain training with batch normalisation, then the normalisation is folded into weights and biases;
2. fine-tuning in which every batch runs on one of several emulated machines (see ``MACHINES``), with weights kept
   within a few standard deviations so that they use the range of a cell, averaged over steps for the final network;
3. thresholds of the spiking network are calibrated on training images.

All choices are made on 5,000 held-out training images; ``--test`` looks at the test set, once, at the end.

Activations are clipped at a learned lambda and quantised as floor(L z / lambda + 1/2) / L (Bu et al., "Optimal
ANN-SNN conversion", ICLR 2022): an integrate-and-fire neuron that starts at half its threshold and resets by
subtraction reproduces this. Noise injection with weight clipping: Joshi et al., Nat. Commun. 11, 2473 (2020),
doi:10.1038/s41467-020-16108-9. Spiking batches run the real spiking layer forward and the clipped linear layer
backward (tandem learning, Wu et al., IEEE TNNLS 34, 446 (2023), doi:10.1109/TNNLS.2021.3095724).
"""

import argparse
import copy
import gzip
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

NAMES = ("conv1", "conv2", "conv3", "dense")
# Kernel (O, I, kH, kW), stride, padding. 16 * 9 = 144 and 28 * 9 = 252 rows: one 256-row crossbar tile a layer.
CONVS = (((16, 1, 5, 5), 2, 2), ((28, 16, 3, 3), 2, 1), ((64, 28, 3, 3), 2, 0))
DENSE = (10, 64 * 3 * 3)
STEPS = 32
SIGMAS = 2.3  # weights are clipped at this many standard deviations of their layer
PIXEL_MAX = 255
# One machine is drawn for each batch, with this probability.
MACHINES = {"noise": 0.40, "bits4": 0.25, "subtract": 0.10, "zero": 0.25}
ACTIVITY, OVERSHOOT = 0.15, 0.1  # weights of the two penalties: mean rate, share above lambda


# ---------------------------------------------------------------- data


def read_idx(path):
    """Return the array in a gzipped idx file of unsigned bytes."""
    raw = gzip.decompress(Path(path).read_bytes())
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy())


def load(folder, part):
    """Return images (N, 1, 28, 28) float32 in 0..1 and labels (N,) int64."""
    folder = Path(folder)
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")[:, None].float() / PIXEL_MAX
    return images, read_idx(folder / f"{part}-labels-idx1-ubyte.gz").long()


def augment(x, generator):
    """Rotate, shear, scale and shift each image a little; the result is again on the grid of 256 grey levels."""
    n = len(x)
    angle, shear, scale_x, scale_y, shift_x, shift_y = torch.rand(6, n, generator=generator) * 2 - 1
    angle = angle * math.radians(12)
    scale_x, scale_y = 1 + 0.12 * scale_x, 1 + 0.12 * scale_y
    theta = torch.empty(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * scale_x, -angle.sin() + 0.15 * shear
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin(), angle.cos() * scale_y
    theta[:, 0, 2], theta[:, 1, 2] = shift_x * 2 / 14, shift_y * 2 / 14  # up to 2 pixels; the image is 2 wide
    moved = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    return (moved * PIXEL_MAX).round() / PIXEL_MAX


def batches(x, y, size, generator):
    """Yield shuffled, augmented batches; the incomplete last one is dropped."""
    order = torch.randperm(len(x), generator=generator)
    for start in range(0, len(x) - size + 1, size):
        index = order[start : start + size]
        yield augment(x[index], generator), y[index]


# ---------------------------------------------------------------- network


class Net(torch.nn.Module):
    """Weights, biases and lambdas; the layers are applied by the functions below."""

    def __init__(self):
        super().__init__()
        shapes = [spec[0] for spec in CONVS] + [DENSE]
        gain = [math.sqrt(2 / math.prod(s[1:])) for s in shapes]
        self.weights = torch.nn.ParameterList([torch.randn(s) * g for s, g in zip(shapes, gain, strict=False)])
        self.biases = torch.nn.ParameterList([torch.zeros(s[0]) for s in shapes])
        self.lambdas = torch.nn.Parameter(torch.ones(len(CONVS)))


def apply(layer, x, weight, bias):
    """Return the pre-activations of one layer."""
    if layer == len(CONVS):
        return F.linear(x.flatten(1), weight, bias)
    return F.conv2d(x, weight, bias, stride=CONVS[layer][1], padding=CONVS[layer][2])


def straight_through(value, gradient_of):
    """Return value, with the gradient of the other tensor."""
    return gradient_of + (value - gradient_of).detach()


def quantise_weight(w, bits):
    """Round to nearest on 2^(bits-1) - 1 levels a side, one scale for each output channel."""
    levels = 2 ** (bits - 1) - 1
    scale = w.detach().abs().flatten(1).amax(1).clamp(min=1e-12).view(-1, *[1] * (w.dim() - 1)) / levels
    return straight_through((w.detach() / scale).round().clamp(-levels, levels) * scale, w)


def quantise_activation(z, top, levels):
    """Clip to 0..top and round to levels + 1 values: floor(L z / top + 1/2) / L."""
    unit = (z / top).clamp(0, 1)
    return top * straight_through((unit.detach() * levels + 0.5).floor() / levels, unit)


def noisy(w, relative, generator):
    """Add a Gaussian error whose standard deviation is relative times the largest weight of the layer."""
    return w + torch.randn(w.shape, generator=generator) * (relative * w.detach().abs().max())


def forward(net, x, *, weight=lambda w: w, activation=lambda z, layer: z.relu(), adc_bits=None):
    """Return outputs (B, 10) and the list of (pre-activation, activation) of the hidden layers."""
    hidden = []
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=False)):
        x = apply(layer, x, weight(w), b)
        if adc_bits:
            step = x.abs().max() / (2 ** (adc_bits - 1) - 1)
            x = (x / step).round() * step
        if layer < len(CONVS):
            z, x = x, activation(x, layer)
            hidden.append((z, x))
    return x, hidden


# ---------------------------------------------------------------- spiking network


@dataclass(frozen=True)
class Rule:
    """Reset, thresholds as multiples of lambda, start as a fraction of the threshold, input threshold in pixels."""

    reset: str
    multiples: tuple = (1.0, 1.0, 1.0)
    start: float = 0.5
    pixel: int = PIXEL_MAX
    pixel_start: float = 0.5


# With a reset to zero a pixel that needs two steps has half the rate of white; a threshold of 200 lets all light greys
# spike at every step, as white does.
RULES = (Rule("subtract"), Rule("zero", pixel=200))


def integrate_and_fire(drive, threshold, start, reset):
    """Return spikes (T, ...) of neurons driven by drive (T, ...): a spike iff v > threshold, strictly."""
    v = torch.full_like(drive[0], start * threshold)
    spikes = torch.empty_like(drive, memory_format=torch.contiguous_format)
    for current, fired in zip(drive, spikes, strict=False):
        v += current
        torch.gt(v, threshold, out=fired)
        if reset == "subtract":
            v.sub_(fired, alpha=threshold)
        else:
            v.addcmul_(v, fired, value=-1)
    return spikes


def input_spikes(x, rule):
    """Return the spikes (T, B, 1, 28, 28) of one neuron a pixel with the pixel, 0..255, as constant bias."""
    drive = (x * PIXEL_MAX).round().expand(STEPS, *x.shape)
    return integrate_and_fire(drive, rule.pixel, math.floor(rule.pixel_start * rule.pixel) / rule.pixel, rule.reset)


def spike_value(rule, layer, target, rate, top):
    """Return the activation that one spike a step stands for, for the spikes that enter a layer.

    Reset by subtraction loses nothing: a spike is worth the threshold. Reset to zero loses the overshoot, a spike is
    worth more than the threshold: the least-squares factor from the rate to the activation that drives it.
    """
    if rule.reset == "zero":
        return ((target * rate).sum() / (rate * rate).sum().clamp(min=1e-9)).item()
    return 1.0 if layer == 0 else rule.multiples[layer - 1] * top.item()


def spiking(net, x, rule, *, weight=lambda w: w):
    """Run the spiking network, differentiable by the linear layers that it imitates.

    Returns the mean drive of the read-out (B, 10), the list of (mean drive, activation) of the hidden layers, and
    the values of a spike, one for each layer that spikes enter.
    """
    hidden, values, target, top = [], [], x, None
    with torch.no_grad():
        spikes = input_spikes(x, rule)
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=False)):
        rate, w = spikes.mean(0), weight(w)
        values.append(spike_value(rule, layer, target.detach(), rate, top))
        z = apply(layer, straight_through(values[-1] * rate, target), w, b)
        if layer == len(CONVS):
            return z, hidden, values
        top = net.lambdas[layer]
        with torch.no_grad():
            drive = apply(layer, spikes.flatten(0, 1), w * values[-1], b).unflatten(0, (STEPS, -1))
            spikes = integrate_and_fire(drive, rule.multiples[layer] * top.item(), rule.start, rule.reset)
        target = top * (z / top).clamp(0, 1)
        hidden.append((z, target))


@torch.no_grad()
def spiking_integers(net, x, rule, values):
    """Run the spiking network in integers, as a core does: 8-bit weights with one scale a layer, integer biases.

    Returns the final potentials of the read-out (B, 10), which has no threshold, and the spikes that enter each layer.
    """
    spikes, counts = input_spikes(x, rule), []
    for layer, (w, b, value) in enumerate(zip(net.weights, net.biases, values, strict=False)):
        counts.append(int(spikes.sum().item()))
        step = (w.abs().max() / 127).item()
        drive = apply(layer, spikes.flatten(0, 1), (w / step).round(), (b / (step * value)).round())
        drive = drive.unflatten(0, (STEPS, -1))
        if layer == len(CONVS):
            return drive.sum(0), counts
        threshold = round(rule.multiples[layer] * net.lambdas[layer].item() / (step * value))
        spikes = integrate_and_fire(drive, threshold, math.floor(rule.start * threshold) / threshold, rule.reset)


# ---------------------------------------------------------------- measures


@torch.no_grad()
def accuracy(run, x, y, size=500):
    """Return the share of images whose largest output is the label."""
    right = sum((run(x[i : i + size]).argmax(1) == y[i : i + size]).sum().item() for i in range(0, len(x), size))
    return right / len(x)


@torch.no_grad()
def largest(net, x):
    """Return the largest activation of each hidden layer: the range a min-max calibration would use."""
    tops = [[z.max().item() for z, _ in forward(net, x[i : i + 500])[1]] for i in range(0, len(x), 500)]
    return np.max(tops, axis=0).tolist()


def rounded(tops, levels):
    """Return the activation that clips layer l to 0..tops[l] and rounds to levels + 1 values."""
    return lambda z, layer: quantise_activation(z, tops[layer], levels)


def mean_noisy(net, x, y, relative, draws=10, seed=0):
    """Return mean and standard deviation of the accuracy over draws of weight errors, with an 8-bit converter."""
    found = []
    for draw in range(draws):
        chip, generator = copy.deepcopy(net), torch.Generator().manual_seed(seed + draw)
        for w in chip.weights:
            w.data = noisy(w.data, relative, generator)
        act = rounded(net.lambdas, 255)
        found.append(accuracy(lambda v: forward(chip, v, activation=act, adc_bits=8)[0], x, y))
    return np.mean(found), np.std(found)


def quantised(net, x, tops, bits):
    """Return outputs with weights, activations and input at this many bits."""
    levels = 2**bits - 1
    x = (x * levels).round() / levels
    return forward(net, x, weight=lambda w: quantise_weight(w, bits), activation=rounded(tops, levels))[0]


@torch.no_grad()
def spiking_report(net, x, y, rule, calibration, size=250):
    """Return accuracy, the spikes an image that enter each layer, and the values of a spike."""
    values = spiking(net, calibration, rule)[2]
    total, right = np.zeros(len(net.weights)), 0
    for i in range(0, len(x), size):
        out, counts = spiking_integers(net, x[i : i + size], rule, values)
        total += counts
        right += (out.argmax(1) == y[i : i + size]).sum().item()
    return right / len(x), np.round(total / len(x)).astype(int).tolist(), np.round(values, 4).tolist()


def report(net, x, y, calibration, rules):
    """Print every measure on x, y; ranges and values of a spike come from the calibration images."""
    tops = largest(net, calibration)

    def show(what, value):
        print(f"  {what:34s} {100 * value:6.2f} %", flush=True)

    show("float", accuracy(lambda v: forward(net, v)[0], x, y))
    show("float, clipped at lambda", accuracy(lambda v: forward(net, v, activation=rounded(net.lambdas, 1e6))[0], x, y))
    for bits in (8, 4):
        show(f"{bits} bit, ranges lambda", accuracy(lambda v: quantised(net, v, net.lambdas, bits), x, y))
        show(f"{bits} bit, ranges largest", accuracy(lambda v: quantised(net, v, tops, bits), x, y))
    for relative in (0.03, 0.05, 0.07):
        mean, spread = mean_noisy(net, x, y, relative)
        show(f"weight error {relative} (+-{100 * spread:.2f})", mean)
    for rule in rules:
        found, counts, values = spiking_report(net, x, y, rule, calibration)
        show(f"spiking {rule.reset}", found)
        print(f"    {rule}\n    spikes an image {counts}, values of a spike {values}", flush=True)


# ---------------------------------------------------------------- training


def one_cycle(optimiser, rate, steps):
    """Return a schedule that warms up over a tenth of the steps and then falls to zero along a cosine."""

    def factor(step):
        if step < 0.1 * steps:
            return (step + 1) / (0.1 * steps)
        return 0.5 * (1 + math.cos(math.pi * (step / steps - 0.1) / 0.9)) + 1e-4

    for group in optimiser.param_groups:
        group["lr"] = rate
    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def normalised(net, norms, x):
    """Run the network with batch normalisation after each convolution."""
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=False)):
        x = apply(layer, x, w, b)
        if layer < len(CONVS):
            x = norms[layer](x).relu()
    return x


def plain_training(net, x, y, valid, *, epochs, size, generator):
    """Step 1: train with batch normalisation and fold it."""
    norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(spec[0][0]) for spec in CONVS)
    parameters = [*net.parameters(), *norms.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    schedule = one_cycle(optimiser, 3e-3, epochs * (len(x) // size))
    for epoch in range(epochs):
        began = time.time()
        norms.train()
        for images, labels in batches(x, y, size, generator):
            optimiser.zero_grad()
            F.cross_entropy(normalised(net, norms, images), labels).backward()
            optimiser.step()
            schedule.step()
        norms.eval()
        found = accuracy(lambda v: normalised(net, norms, v), *valid)
        print(f"plain {epoch + 1}/{epochs}: validation {100 * found:.2f} %, {time.time() - began:.0f} s", flush=True)
    fold(net, norms)


@torch.no_grad()
def fold(net, norms):
    """Multiply the normalisations into weights and biases."""
    for w, b, norm in zip(net.weights, net.biases, norms, strict=False):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        w *= scale.view(-1, 1, 1, 1)
        b.copy_((b - norm.running_mean) * scale + norm.bias)


@torch.no_grad()
def balance(net, x, quantile=0.999):
    """Scale each channel so that its high activations are 1, and compensate in the next layer; set lambdas to 1.

    The function of the network stays; a common lambda for the layer then suits all its channels.
    """
    for layer in range(len(CONVS)):
        z = forward(net, x)[1][layer][0].transpose(0, 1).flatten(1)
        top = torch.tensor(np.quantile(z.numpy(), quantile, axis=1)).float()
        top = top.clamp(min=0.1 * top.max().item())
        net.weights[layer] /= top.view(-1, 1, 1, 1)
        net.biases[layer] /= top
        following = net.weights[layer + 1]
        positions = following.shape[1] // len(top)  # the dense layer sees each channel at several positions
        following *= top.view(1, -1, 1, 1) if following.dim() == 4 else top.repeat_interleave(positions)
    net.lambdas.fill_(1.0)


def emulate(net, x, machine, generator):
    """Return outputs and hidden (pre-activation, activation) pairs on one of the machines."""

    def draw(low, high):
        return low + (high - low) * torch.rand((), generator=generator).item()

    if machine == "bits4":
        error = draw(0, 0.02)

        def weight(w):
            return noisy(quantise_weight(w, 4), error, generator)

        return forward(net, (x * 15).round() / 15, weight=weight, activation=rounded(net.lambdas, 15))
    if machine in ("subtract", "zero"):
        error, start = draw(0, 0.02), 0.5 * round(draw(0.2, 1))
        rule = Rule(
            machine,
            [draw(0.7, 1.5)] * len(CONVS),
            start=start,
            pixel_start=start,
            pixel=round(draw(127, PIXEL_MAX - 1)) if machine == "zero" else PIXEL_MAX,
        )
        return spiking(net, x, rule, weight=lambda w: noisy(w, error, generator))[:2]
    error, levels = draw(0.02, 0.08), round(draw(16, 64))
    return forward(net, x, weight=lambda w: noisy(w, error, generator), activation=rounded(net.lambdas, levels))


def penalty(net, hidden):
    """Return the costs of spikes and of pre-activations above lambda, which clipping would lose."""
    rates = torch.cat([(a / top).flatten(1) for (_, a), top in zip(hidden, net.lambdas, strict=False)], 1)
    above = sum((z / top - 1).relu().mean() for (z, _), top in zip(hidden, net.lambdas, strict=False))
    return ACTIVITY * rates.mean() + OVERSHOOT * above


@torch.no_grad()
def clip_weights(net):
    """Keep each layer within a few of its standard deviations, so that the largest weight is not a rare one."""
    for w in net.weights:
        bound = SIGMAS * w.std().item()
        w.clamp_(-bound, bound)


@torch.no_grad()
def average(slow, net, decay):
    """Move the averaged network towards the trained one."""
    for p, q in zip(slow.parameters(), net.parameters(), strict=False):
        p.lerp_(q, 1 - decay)


def fine_tuning(net, x, y, *, epochs, size, generator, after_epoch):
    """Step 2: train on the emulated machines; return the average of the last steps."""
    lambdas = [p for p in net.parameters() if p is net.lambdas]
    others = [p for p in net.parameters() if p is not net.lambdas]
    optimiser = torch.optim.AdamW([{"params": others, "weight_decay": 1e-3}, {"params": lambdas, "weight_decay": 0}])
    schedule = one_cycle(optimiser, 1.5e-3, epochs * (len(x) // size))
    slow, machines, chances = copy.deepcopy(net), list(MACHINES), torch.tensor(list(MACHINES.values()))
    for epoch in range(epochs):
        began = time.time()
        for images, labels in batches(x, y, size, generator):
            machine = machines[torch.multinomial(chances, 1, generator=generator).item()]
            optimiser.zero_grad()
            out, hidden = emulate(net, images, machine, generator)
            (F.cross_entropy(out, labels) + penalty(net, hidden)).backward()
            optimiser.step()
            schedule.step()
            clip_weights(net)
            average(slow, net, 0.998)
        print(f"fine-tuning {epoch + 1}/{epochs}: {time.time() - began:.0f} s", flush=True)
        after_epoch(epoch, slow)
    return slow


# ---------------------------------------------------------------- file


def save(net, path):
    """Write the arrays, by way of a temporary file so that a reader never sees half of them."""
    arrays = {}
    for name, w, b in zip(NAMES, net.weights, net.biases, strict=False):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = w.detach().numpy(), b.detach().numpy()
    meta = {
        "layers": NAMES,
        "strides": [c[1] for c in CONVS],
        "paddings": [c[2] for c in CONVS],
        "input_shape": [1, 28, 28],
        "pixel_scale": 1 / PIXEL_MAX,
        "activation": "relu",
        "steps": STEPS,
    }
    temporary = Path(f"{path}.part.npz")
    np.savez_compressed(temporary, thresholds=net.lambdas.detach().numpy(), meta=np.array(json.dumps(meta)), **arrays)
    os.replace(temporary, path)


def restore(path):
    """Return the network in a file that save wrote."""
    net = Net()
    with np.load(path, allow_pickle=False) as arrays:
        for name, w, b in zip(NAMES, net.weights, net.biases, strict=False):
            w.data, b.data = torch.from_numpy(arrays[f"{name}.weight"]), torch.from_numpy(arrays[f"{name}.bias"])
        net.lambdas.data = torch.from_numpy(arrays["thresholds"])
    return net


def arguments():
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with the MNIST idx.gz files")
    parser.add_argument("--out", required=True, help="weights.npz to write")
    parser.add_argument("--epochs", type=int, nargs=2, default=(15, 32), help="of plain training and of fine-tuning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", help="fine-tune this weights.npz instead of training from nothing")
    parser.add_argument("--test", action="store_true", help="measure on the test set at the end")
    return parser.parse_args()


def main():
    """Train, report and save."""
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    images, labels = load(args.data, "train")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))  # the same split for any seed
    x, y, valid = images[order[:-5000]], labels[order[:-5000]], (images[order[-5000:]], labels[order[-5000:]])
    calibration = x[:1000]
    if args.start:
        net = restore(args.start)
    else:
        net = Net()
        plain_training(net, x, y, valid, epochs=args.epochs[0], size=128, generator=generator)
        balance(net, calibration)
        save(net, f"{args.out}.plain.npz")

    def after_epoch(epoch, slow):
        save(slow, args.out)
        if epoch % 5 == 4:
            report(slow, *valid, calibration, RULES)

    net = fine_tuning(net, x, y, epochs=args.epochs[1], size=128, generator=generator, after_epoch=after_epoch)
    save(net, args.out)
    print(f"validation, {sum(p.numel() for p in net.parameters()) - len(CONVS)} parameters")
    report(net, *valid, calibration, RULES)
    if args.test:
        print("test")
        report(net, *load(args.data, "t10k"), calibration, RULES)


if __name__ == "__main__":
    main()
