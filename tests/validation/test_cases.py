"""Each validation case against the figure, the error and the class that stand in the literature survey behind it."""

import csv
import io
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from neuroemu import plot
from neuroemu.__main__ import main
from neuroemu.chips.neurram_costs import NEURRAM_COSTS, STEPS
from neuroemu.components.converters import NEURRAM_ADC_STEP, NEURRAM_INTEGRATE, NEURRAM_SAMPLE
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.validation import CLASSES, HEADLINE, Case, Report, analog, digital, spiking, validate
from neuroemu.validation.case import READINGS, factor, within
from neuroemu.validation.report import amount

REPORT = validate()
HELD_OUT, SILICON = HEADLINE


def find(number, *words):
    found = [c for c in REPORT.cases if c.number == number and all(word in c.title for word in words)]
    assert len(found) == 1, [c.title for c in found]
    return found[0]


# number, words of the title, published (SI or the unit of the case), error, tolerance, class
KNOWN = [
    ("V1", ("20.07 Hz",), 71e-3, -0.0054, 0.02, HELD_OUT),
    ("V1", ("0.775 V", "unscaled"), 72e-3, -0.0195, 0.10, HELD_OUT),
    ("V1", ("0.75 V", "unscaled"), 65e-3, 0.086, 0.10, HELD_OUT),
    ("V1", (", 0.7 V", "prices x (V"), 42e-3, 64.43 / 42 * (0.7 / 0.8) ** 2 - 1, 0.10, HELD_OUT),
    ("V1", ("1.05 V", "unscaled"), 323e-3, (64.43 + 2.297e-9 * 2**20 * 256 * 200) / 323 - 1, 0.10, HELD_OUT),
    ("V2", ("75 MHz",), 477e-6, -0.0002, 0.01, "fitted"),
    ("V2", ("1.3 MHz",), 35e-6, 0.0027, 0.01, "fitted"),
    ("V3", ("667",), 1.33e-3, 0.089, 0.25, SILICON),
    ("V3", ("750",), 1.33e-3, 0.202, 0.25, SILICON),
    ("V4", ("static",), 1.0064e-3, 104.4e-3 / 128 / 1.0064e-3 - 1, 0.25, SILICON),
    ("V6", ("power of a tile",), 0.330, -0.0006, 0.01, "identity"),
    ("V6", ("power of the chip",), 65.8, 0.0001, 0.01, "identity"),
    ("V6", ("efficiency",), 627.5, -0.00005, 0.01, "identity"),
    ("V6", ("density",), 478.95, 0.009, 0.01, "identity"),
    ("V6", ("area of a tile",), 0.372, -0.001, 0.01, "identity"),
    ("V7", ("4 phases, efficiency",), 2.48, 0.004, 0.05, HELD_OUT),
    ("V7", ("HERMES-Core, energy",), 12.48e-9, 0.076, 0.05, SILICON),
    ("V7", ("oscillator",), 132.9e-9, -0.422, 0.05, SILICON),
    ("V6", ("area of the chip",), 85.4, (168 * 0.3714 + 22.88) / 85.4 - 1, 0.01, "identity"),
    ("V6", ("from fetching",), 22, 0.0, 0.01, "fitted"),
    ("V7", ("4 phases, density",), 400, 16.1 / 63.1 * 1.55 / 0.4 - 1, 0.05, HELD_OUT),
    ("V7", ("HERMES-Core, density",), 1.59, 1.55 / 1.59 - 1, 0.05, SILICON),
    ("V8", ("ResNet-9",), 1.52e-6, 0.521 / 1.52 - 1, 0.25, SILICON),
    ("V8", ("LSTM",), 1.43e-6, 0.521 / 1.43 - 1, 0.25, SILICON),
    ("V10", ("CNN0",), 86.0, 0.067, 0.20, SILICON),
    ("V10", ("MLP0",), 12.3, 0.106, 0.20, SILICON),
    ("V10", ("LSTM0",), 3.7, 0.176, 0.20, SILICON),
    ("V10", ("MLP1",), 9.7, 0.178, 0.20, SILICON),
    ("V10", ("v1, CNN1",), 14.1, 5.5, 0.20, SILICON),
    ("V1", (", 0.7 V", "rest x"), 42e-3, 0.028, 0.10, "fitted"),
    ("V1", ("0.775 V", "rest x"), 72e-3, -0.106, 0.10, HELD_OUT),
    ("V10", ("layers of CNN1",), 14.1, 1.303, 0.20, HELD_OUT),
    ("V14", ("Jia, converter",), 3.56e-12, 1.79 * (1.2 / 0.85) ** 2 / 3.56 - 1, 0.07, HELD_OUT),
    ("V14", ("Colonnade, 16 x 16",), 3995.183881e-15, 16 * 243.1891829 / 3995.183881 - 1, 0.07, HELD_OUT),
    ("V11", ("Xeon", "10 % load"), 0.56 * 145, 51.4 / 81.2 - 1, 0.10, HELD_OUT),
    ("V11", ("TPU v1, power",), 0.88 * 40, 29.2 / 35.2 - 1, 0.10, HELD_OUT),
    ("V11", ("CNN0",), 2.15, 0.0, 0.01, "fitted"),
]


@pytest.mark.parametrize("number, words, published, error, tolerance, proof", KNOWN)
def test_figure_error_tolerance_and_class(number, words, published, error, tolerance, proof):
    case = find(number, *words)
    assert case.published == pytest.approx(published, rel=1e-3)
    assert case.error == pytest.approx(error, abs=2e-3 if abs(error) < 1 else 0.01)
    assert case.tolerance == (-tolerance, tolerance) and case.proof == proof


def test_truenorth_line_through_two_points():
    """By hand: 2.297 pJ an event and 64.43 mW at rest, here and at another voltage by both laws."""
    events = 2**20 * 128 * 50.0
    assert spiking.truenorth_watts(50, 128) == pytest.approx(64.43e-3 + 2.297e-12 * events, rel=1e-3)
    assert spiking.truenorth_watts(50, 128, volts=0.7, power=2) == pytest.approx(
        (64.43e-3 + 2.297e-12 * events) * (7 / 8) ** 2, rel=1e-3
    )
    assert spiking.truenorth_watts(50, 128, volts=0.7) == pytest.approx(
        64.43e-3 * (7 / 8) ** 3 + 2.297e-12 * events * (7 / 8) ** 2, rel=1e-3
    )


def test_squares_of_the_voltage_by_hand():
    found = {c.title: c for c in REPORT.cases if c.number == "V14"}
    assert len(found) == 18 and all(c.proof == HELD_OUT and not c.gate for c in found.values())
    assert found["Sinangil, a product, largest values at 1 V from 0.8 V"].ours / 7.8125e-12 == pytest.approx(1 / 0.64)
    assert found["Wang, an operation at 1.1 V from 0.8 V"].error == pytest.approx((1.1 / 0.8) ** 2 * 15.467 / 22.59 - 1)
    assert found["Colonnade, 8 x 8 bits at 0.8 V from 1 x 8 bits"].ours / 144.3500315e-15 == pytest.approx(8)
    assert sum(c.held for c in found.values()) == 13


def test_loihi_interval_holds_the_measured_power():
    """Neuron updates alone: 0.78 mW if none of 250 is active, 1.61 mW if all 330 are; measured 1.5835 mW."""
    case = find("V4", "neuron updates")
    assert case.ours == pytest.approx((0.78e-3, 1.61e-3), rel=5e-3)
    assert case.error == 0 and case.held
    beyond = replace(case, published=1.7e-3)
    assert beyond.error == pytest.approx(1.605e-3 / 1.7e-3 - 1, rel=1e-2) and not beyond.held


def test_sana_fe_energy_and_time_to_the_last_digit():
    assert find("V5", "energy").published == 1665.344e-9 and find("V5", "timing").published == 17.5888e-6
    assert all(abs(case.error) < 1e-12 and case.gate for case in REPORT.of("differential") if case.number == "V5")


def test_converters_of_isaac_take_58_percent_of_a_tile():
    energy = analog.isaac_energy(1)
    assert energy.by_part()["converters"] / energy.dynamic == pytest.approx((16.01 + 4) * 12 / 329.8, rel=1e-3)
    assert energy.static == pytest.approx(10.4 * 1.6e-6)


@pytest.mark.parametrize(
    "bits, steps",
    [((3, 1, 2), (1, 3, 1)), ((6, 4, 2), (7, 6, 1)), ((7, 5, 2), (6, 12, 2)), ((8, 6, 1), (31, 8, 1)),
     ((10, 8, 2), (22, 16, 2))],
)  # fmt: skip
def test_neurram_steps_by_hand(bits, steps):
    """(10, 8): 7 magnitude bits in phases of 4 and 3: 15 + 7 integrations, 10 and then 6 steps of the converter."""
    assert analog.neurram_steps(*bits) == steps


def test_neurram_rates_energies_and_breakdowns_agree_in_the_mean():
    for words, count, worst in ((("TOPS",), 10, 0.090), (("neurons of a core",), 8, 0.101), (("breakdown",), 8, 0.112)):
        title = {"TOPS": "rates", "neurons of a core": "neuron energies", "breakdown": "breakdowns"}[words[0]]
        cases = [c for c in REPORT.cases if c.number == "V9" and c.unit and (words[0] in c.title or words[0] == c.unit)]
        errors = [abs(case.error) for case in cases]
        mean = find("V9", f"{count} {title}")
        assert len(errors) == count and max(errors) == pytest.approx(worst, abs=1e-3)
        assert mean.error == pytest.approx(sum(errors) / count) and mean.held and mean.gate
    assert find("V9", "8 bits out, 6 in: efficiency").ours == pytest.approx(9.18, rel=1e-3)


def test_neurram_constants_are_those_of_the_chip():
    (conversion,) = NEURRAM_COSTS.of("adc_conversion")
    parts = NEURRAM_SAMPLE.value + NEURRAM_INTEGRATE.value + STEPS * NEURRAM_ADC_STEP.value
    assert conversion.value == pytest.approx(parts)


def test_fragmented_tiles_explain_part_of_lstm1():
    whole, fragmented = (case.error for case in REPORT.cases if "LSTM1" in case.title)
    assert whole == pytest.approx(1.33, abs=0.01) and 0.2 < fragmented < 0.4
    share = 600**2 / (9 * 256**2)
    assert digital.tpu_tops(96, 600) == pytest.approx(digital.tpu_tops(96) * share, rel=0.07)


def test_classes_readings_and_what_is_left_out():
    assert {case.proof for case in REPORT.cases} == set(CLASSES)
    assert all(case.reading in READINGS and case.source for case in REPORT.cases)
    assert not any("memory" in name for name in READINGS)
    assert {case.number for case in REPORT.cases} == {f"V{n}" for n in range(1, 15)}
    fitted = {case.number for case in REPORT.of("fitted")}
    assert fitted == {"V1", "V2", "V6", "V7", "V9", "V11", "V12"}
    assert all(case.free_parameters or "survey" in case.title for case in REPORT.of("fitted"))
    assert all(not case.free_parameters for case in REPORT.of(SILICON, "identity"))


def test_gates_hold_and_misses_are_shown():
    assert not REPORT.failures
    assert {case.number for case in REPORT.cases if case.gate} == {"V1", "V2", "V5", "V6", "V7", "V9", "V10", "V13"}
    text = repr(REPORT)
    missed = [case for case in REPORT.cases if not case.held]
    assert len(missed) >= 8 and all(case.note for case in missed)
    for case in missed:
        (line,) = [
            line for line in text.splitlines() if line.startswith(case.number + " ") and f" {case.title}  " in line
        ]
        assert "MISSED" in line
    assert "not computed: V8" in text and "not computed: V14" in text


def test_headline_counts_only_what_can_surprise():
    lines = REPORT.headline().splitlines()
    assert [line.split(":")[0] for line in lines] == [*HEADLINE, "gates"]
    for proof, line in zip(HEADLINE, lines, strict=False):
        cases = REPORT.of(proof)
        assert f"{sum(case.held for case in cases)} of {len(cases)} within" in line


def test_a_gate_that_misses_fails_the_command(monkeypatch, capsys):
    broken = tuple(
        replace(case, published=2 * case.published) if case.number == "V2" else case for case in REPORT.cases
    )
    monkeypatch.setattr("neuroemu.validation.validate", lambda: Report(broken))
    assert main(["validate", "--headline"]) == 1
    assert "GATE MISSED: V2 ODIN, 75 MHz" in capsys.readouterr().out


def test_command_prints_and_writes(tmp_path, capsys):
    files = {name: tmp_path / f"out.{name}" for name in ("csv", "png")}
    assert main(["validate", "--csv", str(files["csv"]), "--plot", str(files["png"])]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("HELD OUT (headline)") and out.rstrip().splitlines()[-1].startswith("gates: ")
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert len(rows) == len(REPORT.cases) and rows[0]["case"] == "V1" and float(rows[0]["published"]) == 0.068
    assert files["png"].read_bytes()[:4] == b"\x89PNG"
    assert main(["validate", "--plot", str(tmp_path / "none" / "out.png")]) == 2


def test_picture_has_a_mark_for_each_case():
    left, right = plot.parity(REPORT).axes
    assert len(right.get_yticks()) == len(REPORT.cases)
    assert len(left.lines) == 1 + sum(bool(case.unit) for case in REPORT.cases)
    with pytest.raises(ArgumentTypeError, match="Report"):
        plot.parity([1, 2])


def test_page_is_current():
    docs = Path(__file__).parents[2] / "docs"
    page = runpy.run_path(str(docs / "make_validation.py"))["text"](REPORT)
    assert page == (docs / "validation.md").read_text(encoding="utf-8"), "run python docs/make_validation.py"


def test_a_case_is_checked():
    good = find("V2", "75 MHz")
    for changes in ({"proof": "surely"}, {"reading": "memory"}, {"published": 0.0}, {"ours": (2.0, 1.0)},
                    {"tolerance": (0.1, 0.2)}, {"free_parameters": -1}):  # fmt: skip
        with pytest.raises(InputError, match="Case V2"):
            replace(good, **changes)
    assert isinstance(good, Case) and within(0.1) == (-0.1, 0.1) and factor(3) == pytest.approx((-2 / 3, 2))
    assert (amount(2420, "cycles"), amount(1.33e-3, "J"), amount(0.58, "")) == ("2,420 cycles", "1.33 mJ", "0.58")
