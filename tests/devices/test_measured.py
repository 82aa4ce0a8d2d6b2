"""Tables of measured updates: real files, a table of a known law, and hostile files."""

import numpy as np
import pytest
from scipy.stats import kstest

from neuroemu.devices import MeasuredTable, UpdateTable, read_pulse_trace, read_update_table
from neuroemu.errors import ArgumentTypeError, FileFormatError, InputError, NeuroemuError

LEVELS = np.linspace(0.0, 10e-6, 11)
TABLE = "1e-6, 2e-6, 3e-6\n0, 0.5, 1\n\n1e-7, 1e-7, 1e-7\n2e-7, 2e-7, 2e-7\n3e-7, 3e-7, 3e-7\n"


def uniform_steps(low, high):
    """A table whose steps are uniform between low and high at every conductance."""
    return UpdateTable(LEVELS, np.array([0.0, 1.0]), np.array([[low] * 11, [high] * 11]))


def measured(folder):
    """The device of a folder with both directions."""
    return MeasuredTable(*(read_update_table(folder / f"dG_{way}.txt") for way in ("increasing", "decreasing")))


@pytest.fixture
def tables(test_data):
    return test_data / "device_tables"


def test_enode_as_in_its_file(tables):
    up = read_update_table(tables / "ENODe" / "dG_increasing.txt")
    assert up.change.shape == (122, 48)
    assert (up.conductance[0], up.conductance[-1]) == (0.00029772, 0.00097828)
    assert (up.cumulative[1], up.cumulative[-1]) == (9.86426768e-06, 1.0)
    assert up.change[0, 0] == pytest.approx(6e-6) and up.mean()[0] > 2 * up.mean()[-1] > 0  # it saturates


@pytest.mark.parametrize("name, shape", [("ENODe", (122, 48)), ("TaOx_all/1", (501, 501))])
def test_measured_devices_reach_their_targets(tables, name, shape):
    device = measured(tables / name)
    assert device.up.change.shape == device.down.change.shape == shape
    target = np.random.default_rng(0).uniform(device.g_min, device.g_max, 5000)
    cells = device.program(target, np.random.default_rng(1))
    error = np.abs(cells.conductance - target) / (device.g_max - device.g_min)
    done = cells.state["pulses"] < device.most_pulses
    assert done.mean() > 0.99 and error[done].max() <= device.tolerance
    assert cells.conductance.min() >= device.g_min and cells.conductance.max() <= device.g_max
    # TaOx takes steps as large as its range, ENODe about a hundredth of it: fewer pulses, but a blind walk.
    spread = device.up.mean().max() / (device.g_max - device.g_min)
    assert spread > 1 if name.startswith("TaOx") else spread < 0.02


def test_a_draw_at_a_point_of_the_table_has_its_distribution(tables):
    table = read_update_table(tables / "TaOx_all" / "1" / "dG_decreasing.txt")
    for column in (50, 250, 450):
        drawn = table.draw(np.full(200_000, table.conductance[column]), np.random.default_rng(column))
        # Some measured columns do not rise: what is drawn is the column's values, whatever their order.
        assert np.sort(drawn).mean() == pytest.approx(table.mean()[column], abs=5 * drawn.std() / np.sqrt(200_000))
        quantiles = np.quantile(drawn, [0.1, 0.5, 0.9])
        dense = np.interp(np.linspace(0, 1, 100_001), table.cumulative, table.change[:, column])
        np.testing.assert_allclose(quantiles, np.quantile(dense, [0.1, 0.5, 0.9]), atol=0.02 * drawn.std())


def test_draws_follow_the_table_between_its_points():
    table = UpdateTable(LEVELS, np.array([0.0, 0.25, 1.0]), np.array([LEVELS, 2 * LEVELS, 5 * LEVELS]))
    drawn = table.draw(np.full(200_000, 4.5e-6), np.random.default_rng(0)) / 4.5e-6
    ranks = np.interp(drawn, [1.0, 2.0, 5.0], [0.0, 0.25, 1.0])
    assert kstest(ranks, "uniform").pvalue > 1e-3
    assert table.mean()[4] == pytest.approx(LEVELS[4] * (0.25 * 1.5 + 0.75 * 3.5))


def test_write_verify_stops_within_the_tolerance():
    device = MeasuredTable(uniform_steps(0.0, 1e-6), uniform_steps(-1e-6, 0.0), tolerance=0.05)
    target = np.full(100_000, 6e-6)
    cells = device.program(target, np.random.default_rng(0))
    error = cells.conductance - target
    assert np.abs(error).max() <= 0.05 * 10e-6
    # Renewal theory, far from the start: steps uniform up to 1 uS enter the window by x with density 2 (1 - x / uS),
    # a third of a step's 1 uS on average, so it takes (5.5 + 1/3) / 0.5 pulses to get there.
    assert kstest(error, "triang", args=(0.0, -0.5e-6, 1e-6)).pvalue > 1e-3
    assert cells.state["pulses"].mean() == pytest.approx((5.5 + 1 / 3) / 0.5, rel=0.002)


def test_pulses_run_out():
    device = MeasuredTable(uniform_steps(1e-6, 1.001e-6), uniform_steps(-1e-6, -0.9e-6), most_pulses=3)
    cells = device.program(np.array([0.0, 2e-6, 9e-6]), np.random.default_rng(0))
    np.testing.assert_array_equal(cells.state["pulses"], [0, 2, 3])
    np.testing.assert_allclose(cells.conductance, [0.0, 2e-6, 3e-6], atol=5e-9)


def test_pulse_trace_of_a_known_cell(tmp_path):
    """Steps of 1 +- 0.5 a pulse, reads of +- 10: the estimates must tell written from read noise."""
    generator = np.random.default_rng(0)
    steps = 1 + 0.5 * generator.standard_normal((20_000, 2))
    trace = np.cumsum(steps * [1, -1], axis=0) + [0, 20_000] + 10 * generator.standard_normal((20_000, 2))
    np.savetxt(tmp_path / "trace.csv", trace, delimiter=",")
    up, down, sigma = read_pulse_trace(tmp_path / "trace.csv", g_min=0.0, g_max=17.5e-6, segments=8)
    unit = 1e-9  # siemens a step: the segments' means span 17,500 steps
    assert sigma == pytest.approx(10 * unit, rel=0.1)
    np.testing.assert_allclose(up.mean(), unit, rtol=0.05)
    np.testing.assert_allclose(down.mean(), -unit, rtol=0.05)
    assert (up.conductance[0], up.conductance[-1]) == pytest.approx((0.0, 17.5e-6), abs=0.2e-6)
    for table in (up, down):
        assert table.change[:, 0].std() == pytest.approx(0.5 * unit, rel=0.3)  # not the 14 of single differences


def test_gong_trace_is_mostly_read_noise(tables):
    up, down, sigma = read_pulse_trace(tables / "gong_et_al.csv", g_min=1e-6, g_max=21e-6)
    # The reads scatter by 0.165 around a smooth curve, in the file's unit; the segments' means span 1.85.
    assert sigma == pytest.approx(0.165 / 1.85 * 20e-6, rel=0.2)
    assert (up.mean() > 0).all() and (down.mean() < 0).all()
    device = MeasuredTable(up, down, read_noise=sigma, most_pulses=5000)
    target = np.linspace(6e-6, 13e-6, 500)
    cells = device.program(target, np.random.default_rng(0))
    assert np.abs(cells.conductance - target).max() <= 0.01 * (device.g_max - device.g_min)
    assert (device.read_sigma(cells, 1.0) == sigma).all()


def test_a_heading_and_blank_lines_are_skipped(tmp_path):
    path = tmp_path / "table.txt"
    for text in (TABLE, "Gbins, then CDF, then dG\n" + TABLE, TABLE.replace(", ", ",\t").replace("\n", ",\r\n")):
        path.write_bytes(text.encode())
        table = read_update_table(path)
        np.testing.assert_array_equal(table.conductance, [1e-6, 2e-6, 3e-6])
        np.testing.assert_allclose(table.mean(), 2e-7)


HOSTILE = {
    "empty": b"",
    "words": b"one\ntwo\nthree\nfour\n",
    "binary": bytes(range(256)),
    "utf16": "1e-6, 2e-6\n0, 1\n1e-7, 1e-7\n2e-7, 2e-7\n".encode("utf-16"),
    "nan": TABLE.replace("2e-7, 2e-7, 2e-7", "2e-7, nan, 2e-7").encode(),
    "infinity": TABLE.replace("3e-7\n", "1e999\n").encode(),
    "ragged": TABLE.replace("2e-7, 2e-7, 2e-7", "2e-7, 2e-7").encode(),
    "short": b"1e-6, 2e-6\n0, 1\n1e-7, 1e-7\n",
    "one column": b"1e-6\n0\n1e-7\n2e-7\n",
    "cut": TABLE[: TABLE.rindex("3e-7, 3e-7")].encode(),
    "falling conductance": TABLE.replace("1e-6, 2e-6", "2e-6, 1e-6").encode(),
    "negative conductance": TABLE.replace("1e-6, 2e-6", "-1e-6, 2e-6").encode(),
    "probability above one": TABLE.replace("0, 0.5, 1", "0, 0.5, 2").encode(),
    "flat probability": TABLE.replace("0, 0.5, 1", "0, 0, 1").encode(),
    "late word": TABLE.replace("3e-7, 3e-7, 3e-7", "3e-7, 3e-7, rm -rf").encode(),
    "pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / "table.txt"
    path.write_bytes(HOSTILE[name])
    for read in (read_update_table, lambda p: read_pulse_trace(p, g_min=0.0, g_max=1e-6)):
        with pytest.raises(FileFormatError, match=r"table\.txt") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_missing_large_and_flat_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match="No such file"):
        read_update_table(tmp_path / "none.txt")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_update_table(tmp_path)
    path = tmp_path / "flat.csv"
    path.write_text("1,1\n" * 300)
    with pytest.raises(FileFormatError, match="does not change"):
        read_pulse_trace(path, g_min=0.0, g_max=1e-6)
    path.write_text("".join(f"{n},1\n" for n in range(300)))
    with pytest.raises(FileFormatError, match="stays at one conductance"):
        read_pulse_trace(path, g_min=0.0, g_max=1e-6)
    monkeypatch.setattr("neuroemu.devices.update_table.MOST_NUMBERS", 100)
    with pytest.raises(FileFormatError, match="more than 100 numbers"):
        read_pulse_trace(path, g_min=0.0, g_max=1e-6)
    monkeypatch.setattr("neuroemu.devices.update_table.MOST_BYTES", 50)
    with pytest.raises(FileFormatError, match="MiB"):
        read_pulse_trace(path, g_min=0.0, g_max=1e-6)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: MeasuredTable(uniform_steps(-1e-6, 0), uniform_steps(0, 1e-6)), "swap the tables"),
        (lambda: MeasuredTable(uniform_steps(0, 1e-6), "down"), "UpdateTable"),
        (lambda: MeasuredTable(uniform_steps(0, 1e-6), uniform_steps(-1e-6, 0), tolerance=0.0), "tolerance"),
        (lambda: MeasuredTable(uniform_steps(0, 1e-6), uniform_steps(-1e-6, 0), most_pulses=-1), "most_pulses"),
        (lambda: MeasuredTable(uniform_steps(0, 1e-6), uniform_steps(-1e-6, 0), read_noise=-1.0), "read_noise"),
        (lambda: UpdateTable(LEVELS, np.array([0.0, 1.0]), np.zeros((2, 3))), "shape"),
        (lambda: UpdateTable(LEVELS, np.array([0.0, 1.0]), np.full((2, 11), np.nan)), "NaN"),
        (lambda: read_pulse_trace("none.csv", g_min=2e-6, g_max=1e-6), "g_max - g_min"),
        (lambda: read_pulse_trace("none.csv", g_min=float("nan"), g_max=1e-6), "g_min"),
    ],
)
def test_bad_parameters_are_refused(make, said):
    with pytest.raises((InputError, ArgumentTypeError), match=said):
        make()


def test_tables_without_a_common_range_are_refused():
    far = UpdateTable(LEVELS + 20e-6, np.array([0.0, 1.0]), np.array([[-1e-6] * 11, [0.0] * 11]))
    with pytest.raises(NeuroemuError, match="above g_min"):
        MeasuredTable(uniform_steps(0, 1e-6), far)
