"""Cases V6 to V9 and V12: ISAAC, HERMES and NeuRRAM, their times and areas, and the converters they read with."""

from math import ceil

from ..chips.hermes import CORE_MM2
from ..chips.hermes_costs import HERMES_COSTS, HERMES_READ_SECONDS, OPS_PER_READ
from ..chips.isaac_costs import ISAAC_COSTS
from ..chips.neurram_costs import INTEGRATE, PHASE, STEP
from ..components import ISAAC_PERIPHERY, Andrulis, adc_energy
from ..components import isaac as shafiee
from ..components.adc import ISAAC_JOULES
from ..components.converters import NEURRAM_ADC_STEP, NEURRAM_INTEGRATE, NEURRAM_SAMPLE, NEURRAM_SHIFT_ADD_8
from ..energy import CostTable, Counts, Energy, price
from ..pipeline import Pipeline, Stage, chain
from .case import Case, factor, within

LE_GALLO = "Le Gallo 2023, doi:10.1038/s41928-023-01010-1, abstract"
HERMES_CORE = "Khaddam-Aljameh 2022, doi:10.1109/JSSC.2022.3140414, abstract"
LE_GALLO_TEXT = "Le Gallo 2023, doi:10.1038/s41928-023-01010-1"
WAN = "Wan 2022, doi:10.1038/s41586-022-04992-8, Fig. 12, as digitised in CiMLoop, wan_nature_2022/_tests.py"
KULL = "Kull 2013, doi:10.1109/ISSCC.2013.6487818"

# --- V6: ISAAC ----------------------------------------------------------------------------------------------------


def isaac_energy(tiles: int) -> Energy:
    """`tiles` tiles that are busy for one product of 16-bit operands: the chip's prices and those of its periphery."""
    units, cycles = tiles * shafiee.UNITS, shafiee.CYCLES
    columns = 8 * 128 * units * cycles
    events = {"array_read": 8 * units * cycles, "dac_drive": columns, "adc_conversion": columns}
    events["digital_accumulate"] = columns
    events |= {f"{part.name}_cycle": units * cycles for part in shafiee.UNIT_PARTS}
    events |= {f"{part.name}_cycle": tiles * cycles for part in shafiee.TILE_PARTS}
    table = CostTable(costs=(*ISAAC_COSTS.costs, *ISAAC_PERIPHERY.costs))
    counts = Counts({("chip", kind): n for kind, n in events.items()})
    return price(counts, table, seconds=cycles * shafiee.CYCLE, inferences=1, units={"chip": 1})


def isaac_cases() -> list[Case]:
    """Its own totals, from its own parts."""
    chip, tile = isaac_energy(shafiee.TILES), isaac_energy(1)
    ops = 2 * shafiee.MACS * shafiee.UNITS * shafiee.TILES  # in the time of `chip`
    converted = sum(line.joules for line in tile.lines if line.cost.event == "adc_conversion")
    rows = (
        ("power of a tile", "W", 330e-3, tile.dynamic / tile.seconds),
        ("area of a tile", "mm2", 0.372, shafiee.tile_mm2()),
        ("area of the chip", "mm2", shafiee.CHIP_MM2, shafiee.TILES * shafiee.tile_mm2() + shafiee.LINKS_MM2),
        ("power of the chip", "W", 65.8, chip.total / chip.seconds),
        ("efficiency", "GOPS/W", 627.5, ops / chip.total / 1e9),
        ("density", "GOPS/s/mm2", 478.95, ops / chip.seconds / 1e9 / shafiee.CHIP_MM2),
        ("share of the converters in a tile", "", 0.58, converted / tile.dynamic),
    )
    product = Stage(
        name="product", positions=1, seconds=cycles_seconds(shafiee.CYCLES), transit=cycles_seconds(shafiee.WAY)
    )
    depth = Case(
        number="V6",
        title="ISAAC, a product of 16-bit operands, from fetching its inputs to storing its result",
        unit="cycles",
        published=shafiee.DEPTH,
        ours=Pipeline(steps=chain((product,))).latency / shafiee.CYCLE,
        tolerance=within(0.01),
        proof="fitted",
        source="Shafiee 2016, doi:10.1109/ISCA.2016.12, text",
        reading="quoted",
        same_paper="the figure itself, cycles of a product",
        free_parameters=1,
    )
    return [depth] + [
        Case(
            number="V6",
            title=f"ISAAC, {title}",
            unit=unit,
            published=published,
            ours=ours,
            tolerance=within(0.01),
            proof="identity",
            source=shafiee.SOURCE,
            reading="quoted",
            same_paper="powers and areas of all parts" + (", area of the chip" if unit == "GOPS/s/mm2" else ""),
            gate=True,
        )
        for title, unit, published, ours in rows
    ]


def cycles_seconds(n: int) -> float:
    """Time of `n` cycles of ISAAC, s."""
    return n * shafiee.CYCLE


# --- V7: HERMES ---------------------------------------------------------------------------------------------------


def hermes_cases() -> list[Case]:
    """One read mode from the other, and from the single core that came before."""
    joules = {cost.event: cost.value for cost in HERMES_COSTS.costs}
    one, four = "core_read_1phase", "core_read_4phase"
    watts = joules[one] / HERMES_READ_SECONDS[one]
    seconds = HERMES_READ_SECONDS[four]
    common = {"number": "V7", "tolerance": within(0.05)}
    chip = {"source": LE_GALLO, "reading": "primary"}
    return [
        Case(
            title="HERMES, 1 phase, efficiency of 64 busy cores",
            unit="TOPS/W",
            published=9.76,
            ours=OPS_PER_READ / joules[one] / 1e12,
            proof="fitted",
            same_paper="the figure itself",
            free_parameters=1,
            **common,
            **chip,
        ),
        Case(
            title="HERMES, 4 phases, efficiency from the power of 1 phase and the time of 4",
            unit="TOPS/W",
            published=2.48,
            ours=OPS_PER_READ / (watts * seconds) / 1e12,
            proof="held out",
            same_paper="power of the other mode, time of this one",
            free_parameters=1,
            gate=True,
            **common,
            **chip,
        ),
        Case(
            title="HERMES-Core, energy of a product, from the price of the 64-core chip",
            unit="J",
            published=OPS_PER_READ / 10.5e12,
            ours=joules[one],
            proof="independent silicon",
            source=HERMES_CORE,
            reading="computed",
            note="a single core without the chip around it: the difference is the chip's overhead",
            **common,
        ),
        Case(
            title="HERMES, 1 phase, time of a product from 256 steps of the single core's oscillator",
            unit="s",
            published=HERMES_READ_SECONDS[one],
            ours=256 * 300e-12,
            proof="independent silicon",
            source=f"{LE_GALLO}; 300 ps a step: {HERMES_CORE}",
            reading="computed",
            note="what else takes time is not published; the package takes the measured time",
            **common,
        ),
        Case(
            title="HERMES, 4 phases, density from the area of 1 phase and the time of 4",
            unit="GOPS/mm2",
            published=400.0,
            ours=OPS_PER_READ / seconds / CORE_MM2 / 1e9,
            proof="held out",
            source=LE_GALLO_TEXT,
            reading="quoted",
            same_paper="density of the other mode, time of this one",
            free_parameters=1,
            **common,
        ),
        Case(
            title="HERMES-Core, density, from the area and the time of a core of the 64-core chip",
            unit="TOPS/mm2",
            published=1.59,
            ours=OPS_PER_READ / HERMES_READ_SECONDS[one] / CORE_MM2 / 1e12,
            proof="independent silicon",
            source=HERMES_CORE,
            reading="primary",
            **common,
        ),
    ]


# --- V8: HERMES, whole layers -------------------------------------------------------------------------------------


def hermes_layer_cases() -> list[Case]:
    """Times of a layer of its two networks, for one input: the read alone, in either mode."""
    reads = tuple(sorted(HERMES_READ_SECONDS.values()))
    return [
        Case(
            number="V8",
            title=f"HERMES, {what}: the read alone, 1 to 4 phases",
            unit="s",
            published=seconds,
            ours=reads,
            tolerance=within(0.25),
            proof="independent silicon",
            source=LE_GALLO_TEXT,
            reading="quoted",
            same_paper="times of a read",
            note="times of the digital units and of the links between cores are not published; latencies lack them",
        )
        for what, seconds in (("one input of a layer of ResNet-9", 1.52e-6), ("one step of an LSTM", 1.43e-6))
    ]


# --- V9: NeuRRAM --------------------------------------------------------------------------------------------------

NEURRAM_RATES = {  # (output bits, input bits, phases at most): TOPS of 48 cores, TOPS/W; 4-bit weights; WAN
    (3, 1, 2): (2.1223, 43.079),
    (4, 2, 2): (1.7931, 40.334),
    (5, 3, 2): (1.1654, 23.091),
    (6, 4, 2): (0.74387, 15.954),
    (7, 5, 2): (0.52541, 11.032),
    (8, 6, 2): (0.41772, 8.2572),
    (9, 7, 2): (0.34387, 7.7500),
    (10, 8, 2): (0.26387, 6.4374),
    (7, 5, 1): (0.45156, 11.330),
    (8, 6, 1): (0.26080, 9.1224),
}
NEURRAM_FEMTOJOULES = {  # (output bits, input bits): word lines, neurons, inputs; fJ an operation; WAN
    (3, 1): (8.990, 10.619, 3.446),
    (4, 2): (8.271, 12.387, 3.956),
    (5, 3): (15.463, 20.118, 7.732),
    (6, 4): (21.756, 29.108, 11.507),
    (7, 5): (30.926, 44.212, 14.025),
    (8, 6): (37.219, 52.483, 19.239),
    (9, 7): (43.692, 61.833, 22.835),
    (10, 8): (50.525, 75.857, 27.510),
}
ONE_OF_SEVERAL = "the tolerance is that of the mean over settings, which stands in a row of its own"
NEURRAM_OPS = 2 * 256 * 128  # of one core: 256 columns of 128 pairs of cells


def neurram_steps(output_bits: int, input_bits: int, phases: int) -> tuple[int, int, int]:
    """(integrations, ADC steps, phases) of one product.

    An input of n bits has n - 1 magnitude bits (1 at least); more than 3 of them are split between the phases. A phase
    of m bits takes 2^m - 1 integrations, and an ADC step for each output bit that no phase before it has settled.
    """
    magnitude = max(1, input_bits - 1)
    split = (magnitude,) if phases == 1 or magnitude <= 3 else (ceil(magnitude / 2), magnitude // 2)
    steps = sum(output_bits - sum(split[:index]) for index in range(len(split)))
    return sum(2**bits - 1 for bits in split), steps, len(split)


def neurram_tops(output_bits: int, input_bits: int, phases: int) -> float:
    """Rate of 48 busy cores, 10^12 operations/s."""
    integrations, steps, n_phases = neurram_steps(output_bits, input_bits, phases)
    return 48 * NEURRAM_OPS / (integrations * INTEGRATE + steps * STEP + n_phases * PHASE) / 1e12


def neurram_neuron_joules(output_bits: int, input_bits: int) -> float:
    """Energy of the 256 neurons of a core for one product."""
    integrations, steps, _ = neurram_steps(output_bits, input_bits, 2)
    neuron = steps * (NEURRAM_ADC_STEP.value + NEURRAM_SHIFT_ADD_8.value * output_bits / 8)
    neuron += integrations * NEURRAM_INTEGRATE.value + max(1, input_bits - 1) * NEURRAM_SAMPLE.value
    return 256 * neuron


def neurram_cases() -> list[Case]:
    """Rates, energies of the neurons, and whether its breakdown adds up to its efficiency; then their mean errors."""
    common = {"number": "V9", "tolerance": within(0.07), "source": WAN, "reading": "quoted"}
    rates = [
        Case(
            title=f"NeuRRAM, {o} bits out, {i} in, {'1 phase' if phases == 1 else 'phases as needed'}",
            unit="TOPS",
            published=tops,
            ours=neurram_tops(o, i, phases),
            proof="fitted",
            same_paper="times of an integration, an ADC step and a phase",
            free_parameters=3,
            note=ONE_OF_SEVERAL,
            **common,
        )
        for (o, i, phases), (tops, _) in NEURRAM_RATES.items()
    ]
    neurons = [
        Case(
            title=f"NeuRRAM, {o} bits out, {i} in: neurons of a core, one product",
            unit="J",
            published=parts[1] * 1e-15 * NEURRAM_OPS,
            ours=neurram_neuron_joules(o, i),
            proof="fitted",
            same_paper="energies of a sample, an integration, an ADC step and a shift",
            free_parameters=4,
            note=ONE_OF_SEVERAL,
            **common,
        )
        for (o, i), parts in NEURRAM_FEMTOJOULES.items()
    ]
    sums = [
        Case(
            title=f"NeuRRAM, {o} bits out, {i} in: efficiency from its breakdown",
            unit="TOPS/W",
            published=NEURRAM_RATES[o, i, 2][1],
            ours=1e3 / sum(parts),
            proof="identity",
            same_paper="the three parts",
            note="the breakdown adds up to the 1-phase figure, 9.12" if (o, i) == (8, 6) else "",
            **common,
        )
        for (o, i), parts in NEURRAM_FEMTOJOULES.items()
    ]
    told = {"rates": rates, "neuron energies": neurons, "breakdowns": sums}
    return [*rates, *neurons, *sums, *(_mean(name, found) for name, found in told.items())]


def _mean(name: str, found: list[Case]) -> Case:
    errors = [abs(case.error) for case in found]
    first = found[0]
    return Case(
        number="V9",
        title=f"NeuRRAM, {len(found)} {name}: 1 + mean |error|",
        unit="",
        published=1.0,
        ours=1 + sum(errors) / len(errors),
        tolerance=within(0.07),
        proof=first.proof,
        source=WAN,
        reading="computed",
        same_paper=first.same_paper,
        free_parameters=first.free_parameters,
        gate=True,
        note=f"mean of |error|; the worst is {max(errors):.1%}",
    )


# --- V12: converters ----------------------------------------------------------------------------------------------


def converter_cases() -> list[Case]:
    """The Andrulis model and the survey against a part that they were fitted to, and against ISAAC's."""
    part = {"node_nm": 32, "rate": 1.2e9}
    kull = {
        "number": "V12", "unit": "J", "tolerance": factor(3), "proof": "fitted", "source": KULL, "reading": "primary",
        "published": 3.1e-3 / 1.2e9, "note": "39.3 dB: 6.24 effective bits; the part is in the survey",
    }  # fmt: skip
    return [
        Case(
            title="8-bit SAR at 1.2 GS/s, 32 nm: Andrulis, effective bits",
            ours=adc_energy(8, enob=6.24, model=Andrulis(), **part).value,
            free_parameters=8,
            **kull,
        ),
        Case(
            title="8-bit SAR at 1.2 GS/s, 32 nm: Andrulis, nominal bits",
            ours=adc_energy(8, model=Andrulis(), **part).value,
            free_parameters=8,
            **kull,
        ),
        Case(
            title="8-bit SAR at 1.2 GS/s, 32 nm: survey, effective bits",
            ours=adc_energy(8, enob=6.24, **part).value,
            **kull,
        ),
        Case(
            number="V12",
            title="ISAAC's converter: Andrulis, nominal bits",
            unit="J",
            published=ISAAC_JOULES,
            ours=adc_energy(8, model=Andrulis(), **part).value,
            tolerance=factor(3),
            proof="differential",
            source=shafiee.SOURCE,
            reading="quoted",
            free_parameters=8,
            note="two models; ISAAC takes 2 mW for a part that drew 3.1",
        ),
    ]


def cases() -> list[Case]:
    """V6 to V9 and V12."""
    return [*isaac_cases(), *hermes_cases(), *hermes_layer_cases(), *neurram_cases(), *converter_cases()]
