"""The command line, as a user runs it."""

import csv
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroemu import datasets, load, quantize, save
from neuroemu.__main__ import main
from neuroemu.network import Dense, sequential


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_whole_run_writes_its_files(tmp_path, capsys):
    files = {name: tmp_path / f"out.{name}" for name in ("csv", "json", "png")}
    code = main(
        ["--images", "40", "--trials", "2", "--seed", "3", "--csv", str(files["csv"]), "--json", str(files["json"])]
        + ["--plot", str(files["png"])]
    )
    told = capsys.readouterr()
    assert code == 0
    assert "HERMES" in told.out and "LOIHI" in told.out and "A100" in told.out
    assert "done" in told.err
    rows = read_csv(files["csv"])
    assert len(rows) == 6 and {row["seed"] for row in rows} == {"3"} and {row["images"] for row in rows} == {"40"}
    assert len(json.loads(files["json"].read_text())) == 6
    assert files["png"].read_bytes()[:4] == b"\x89PNG"


def test_first_line_comes_at_once(tmp_path):
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "neuroemu", "--images", "2", "--chips", "tpu_v1"],
        cwd=tmp_path,  # not the source tree, which may hold no compiled kernels
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stderr.readline()
        waited = time.perf_counter() - start
        process.communicate()
    assert "loading" in line and waited < 2
    assert process.returncode == 0


def test_users_own_network_and_data(tmp_path, capsys):
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (3, 8)))], input_shape=(8,), name="mine")
    x = random.uniform(0, 1, (50, 8))
    np.savez(tmp_path / "data.npz", x=x, y=random.integers(0, 3, 50))
    np.savez(tmp_path / "train.npz", x=x)
    save(net, tmp_path / "net.npz")
    arguments = ["--model", str(tmp_path / "net.npz"), "--data", str(tmp_path / "data.npz"), "--chips", "hermes,Loihi"]
    assert main([*arguments, "--csv", str(tmp_path / "a.csv")]) == 0
    judged = read_csv(tmp_path / "a.csv")
    assert {row["images"] for row in judged} == {"40"}  # a fifth is kept for calibration and not judged
    assert "10 for calibration" in capsys.readouterr().err
    assert main([*arguments, "--samples", str(tmp_path / "train.npz"), "--csv", str(tmp_path / "b.csv")]) == 0
    assert {row["images"] for row in read_csv(tmp_path / "b.csv")} == {"50"}


def test_a_quantized_model_runs(tmp_path):
    net = datasets.mnist_network()
    save(quantize(net, samples=net.samples, weight_bits=4), tmp_path / "q.npz")
    assert load(tmp_path / "q.npz").quantized
    assert main(["--model", str(tmp_path / "q.npz"), "--images", "5", "--chips", "HERMES,TPU_V1"]) == 0


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--chips", "hermes,abacus"], "no chip 'abacus'; choose from HERMES"),
        (["--chips", ","], "names no chip"),
        (["--images", "0"], "--images: N is 0"),
        (["--model", "/nowhere.onnx"], "/nowhere.onnx"),
        (["--data", "/nowhere.npz"], "no such file"),
        (["--trials", "0"], "--trials: K is 0"),
        (["--steps", "0"], "--steps: T is 0"),
        (["--csv", "/tmp"], "/tmp: cannot be written, it is a folder"),
        (["--plot", "a.jpg"], "use .png"),
        (["--bits", "9"], "--bits: B is 9"),
    ],
)
def test_mistakes_give_one_line_and_code_2(arguments, says, capsys):
    assert main([*arguments] + (["--images", "2"] if "--images" not in arguments else [])) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("neuroemu: ")]
    assert len(lines) == 1 and says in lines[0]


@pytest.mark.parametrize(
    "x, y, says",
    [
        (np.zeros((5, 1, 28, 28)), np.zeros(9, int), "one label for each of the 5"),
        (np.float32(3), None, "at least one input"),
        (np.zeros((0, 1, 28, 28)), None, "at least one input"),
        (np.zeros((5, 1, 28, 28)), np.int64(3), "one label for each"),
    ],
)
def test_data_that_does_not_fit(tmp_path, capsys, x, y, says):
    np.savez(tmp_path / "data.npz", **({"x": x} if y is None else {"x": x, "y": y}))
    assert main(["--data", str(tmp_path / "data.npz"), "--chips", "tpu_v1"]) == 2
    assert says in capsys.readouterr().err


def test_a_plot_needs_labels(tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 1, 28, 28)))
    assert main(["--data", str(tmp_path / "data.npz"), "--plot", str(tmp_path / "a.png")]) == 2
    assert "no accuracy to draw" in capsys.readouterr().err


def test_a_chip_that_cannot_run_the_network_is_named(tmp_path, capsys):
    from neuroemu.network import Flatten, MaxPool2d

    net = sequential(
        [MaxPool2d(name="pool", size=2), Flatten(name="f"), Dense(name="fc", weight=np.ones((2, 16)))],
        input_shape=(1, 8, 8),
    )
    save(net, tmp_path / "net.npz")
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).uniform(0, 1, (10, 1, 8, 8)))
    code = main(["--model", str(tmp_path / "net.npz"), "--data", str(tmp_path / "data.npz"), "--chips", "loihi,tpu_v1"])
    told = capsys.readouterr()
    assert code == 1 and "TPU v1" in told.out
    assert "LOIHI: to_spiking: MaxPool2d 'pool'" in told.err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"\x80\x04pickle"])
def test_damaged_data_files(tmp_path, content, capsys):
    (tmp_path / "data.npz").write_bytes(content)
    assert main(["--data", str(tmp_path / "data.npz")]) == 2
    assert "not a readable .npz" in capsys.readouterr().err


def test_pickled_data_is_refused(tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.array([{"a": 1}], dtype=object))
    assert main(["--data", str(tmp_path / "data.npz")]) == 2
    assert "not a readable .npz" in capsys.readouterr().err


def test_truenorth_takes_the_network_trained_for_it_or_makes_one(tmp_path, capsys):
    net = sequential([Dense(name="fc", weight=np.random.default_rng(0).normal(0, 1, (3, 8)))], input_shape=(8,))
    save(net, tmp_path / "net.npz")
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).uniform(0, 1, (50, 8)))
    assert main(["--images", "3", "--chips", "truenorth"]) == 0
    assert "mnist_truenorth" in capsys.readouterr().out
    assert (
        main(["--model", str(tmp_path / "net.npz"), "--data", str(tmp_path / "data.npz"), "--chips", "truenorth"]) == 0
    )
    assert "(32 ticks, 4 bits)" in capsys.readouterr().out


def test_a_chip_without_prices_is_left_out_of_the_picture(tmp_path, capsys):
    picture, table = tmp_path / "out.png", tmp_path / "out.csv"
    code = main(["--chips", "LOIHI2,TPU_V1", "--images", "10", "--plot", str(picture), "--csv", str(table)])
    assert code == 0 and picture.read_bytes()[:4] == b"\x89PNG"
    rows = read_csv(table)
    assert [row["energy_per_inference_J"] == "" for row in rows] == [True, False]
    assert rows[0]["accuracy"] == rows[1]["accuracy"] and "sigma-delta" in rows[0]["network"]
    assert "unknown" in capsys.readouterr().out
