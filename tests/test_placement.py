"""Placements by layer, and the picture of their tiles, against what was placed."""

import numpy as np
import pytest

from neuroemu import chips, place, plot, prune, quantize
from neuroemu.crossbar import BitSliced, CrossbarChip
from neuroemu.devices import Ideal
from neuroemu.network import Conv2d, Dense, Flatten, sequential


def network():
    random = np.random.default_rng(0)
    layers = [
        Conv2d(name="depthwise", weight=random.normal(0, 0.4, (64, 1, 3, 3)), groups=64),
        Flatten(name="flat"),
        Dense(name="head", weight=random.normal(0, 0.2, (10, 576))),
    ]
    net = sequential(layers, input_shape=(64, 5, 5))
    return quantize(prune(net, density=0.5), samples=random.uniform(0, 1, (8, 64, 5, 5)))


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | fields))


NET = network()
NONZERO = {layer.name: np.count_nonzero(layer.weight) for layer in NET.weighted}


def squares(figure):
    """(width, height, filled) of every rectangle of the picture, in order, in shares of an array."""
    return [(p.get_width() / 0.9, p.get_height() / 0.9, p.get_fill()) for p in figure.axes[0].patches]


def test_layers_of_a_crossbar():
    """By hand: 22, 22 and 20 channels of 9 rows; a head of 576 rows on 3 arrays of 192."""
    depthwise, head = (line.split() for line in place(NET, chip()).layers().splitlines()[1:])
    occupied = 198 * 22 * 2 + 180 * 20
    assert depthwise[:5] == ["depthwise", "3", "576", "64", "198x22"]
    assert depthwise[5:] == [f"{occupied / 3 / 65536:.1%}", f"{NONZERO['depthwise'] / occupied:.1%}"]
    used = f"{192 * 10 / 65536:.1%}"
    assert head == ["head", "3", "576", "10", "192x10", used, f"{NONZERO['head'] / 5760:.1%}"]


def test_layers_of_another_chip():
    """Units without weights of their own to count have no share of them."""
    text = place(NET, chips.TPU_V1).layers()
    assert "nonzero" not in text and text.splitlines()[-1].split()[0] == "head"


def test_the_picture_shows_the_occupied_rectangles():
    placement = place(NET, chip())
    found = squares(plot.tiles(placement))
    assert len(found) == 3 * 6  # an array, its rectangle and the border of that
    for site, (_, filled, border) in zip(placement.sites, zip(*[iter(found)] * 3, strict=True), strict=True):
        size = (np.diff(site.columns)[0] / 256, np.diff(site.rows)[0] / 256)
        assert filled[:2] == pytest.approx(size) and border[:2] == pytest.approx(size)
        assert filled[2] and not border[2]
    shades = [patch.get_alpha() for patch in plot.tiles(placement).axes[0].patches[1::3]]
    expected = [site.details["nonzero weights"] / np.prod([np.diff(site.rows), np.diff(site.columns)]) for site in
                placement.sites]  # fmt: skip
    np.testing.assert_allclose(shades, 0.25 + 0.75 * np.array(expected))


def test_numbers_and_slices_are_written_while_there_is_room():
    sliced = place(NET, chip(mapping=BitSliced(2)))
    texts = [text.get_text() for text in plot.tiles(sliced).axes[0].texts]
    assert len(texts) == len(sliced.sites) and texts[0].endswith("slice 0-3")
    crowd = place(NET, chip(rows=8, columns=8, mapping=BitSliced(2)))
    figure = plot.tiles(crowd)
    assert len(crowd.sites) > 350 and not figure.axes[0].texts
    assert max(figure.get_size_inches()) < 18
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        f"{name} ({sum(site.layer == name for site in crowd.sites)})" for name in ("depthwise", "head")
    ]


def test_units_that_are_not_arrays_are_filled_to_their_utilisation():
    placement = place(NET, chips.A100)
    found = squares(plot.tiles(placement))
    assert [high for _, high, filled in found if filled] == pytest.approx([s.utilisation for s in placement.sites])
