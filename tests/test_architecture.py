"""Import directions between the rooms, read from the source by ast, and what `import neuroemu` may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import neuroemu

ROOT = Path(neuroemu.__file__).parent
BASE = {"errors", "_checks", "_streams", "_files", "_archive", "kernels", "_statistics"}
ALLOWED = {
    "errors": set(),
    "_checks": {"errors"},
    "_statistics": set(),
    "_streams": set(),
    "_files": {"errors"},
    "_archive": {"errors"},
    "kernels": {"errors", "_checks"},
    "_counts": BASE,
    "area": BASE,
    "usage": BASE,
    "stages": BASE,
    "pipeline": BASE | {"_counts", "stages"},
    "_sites": {"_counts"},
    "_prices": BASE | {"_counts"},
    "writing": BASE,
    "_ledger": {"_counts", "_prices", "energy"},
    "energy": BASE | {"_counts", "_prices", "_ledger", "writing"},
    "network": BASE,
    "transform": BASE | {"network"},
    "devices": BASE,
    "chip": BASE | {"network", "energy", "area", "usage", "pipeline"},
    "crossbar": BASE | {"network", "energy", "chip", "devices", "_counts", "usage", "pipeline"},
    "spiking": BASE | {"network", "energy", "chip", "_counts", "_sites", "usage"},
    "digital": BASE | {"network", "energy", "chip", "usage"},
    "chips": BASE | {"crossbar", "spiking", "digital", "devices", "energy", "area", "components"},
    "components": BASE | {"energy"},
    "validation": BASE | {"energy", "_counts", "components", "digital", "chips", "pipeline"},
    "datasets": BASE | {"network"},
    "versions": BASE | {"__init__"},
    "result": BASE | {"energy", "_counts", "area", "usage", "pipeline"},
    "even": BASE | {"result", "_counts"},
    "fairness": BASE | {"result"},
    "comparison": BASE | {"result", "even", "fairness", "_counts"},
    "crosswalk": BASE | {"network", "result"},
    "running": BASE | {"chip", "energy", "network", "result", "versions", "_sites", "usage"},
    "placement": BASE | {"chip", "energy", "network", "result", "running", "_sites"},
    "sweeps": BASE | {"chip", "network", "placement", "running", "_counts", "__init__"},
    "dynamic": BASE | {"network", "transform", "crossbar", "chip", "energy", "placement", "result", "_counts"},
    "ages": BASE | {"network", "crossbar", "sweeps"},
    "measuring": BASE | {"energy", "network", "result", "running", "versions", "_counts"},
    "conversion": BASE | {"network", "transform", "spiking", "_counts"},
    "plot": {"errors", "_files", "result", "sweeps", "pipeline", "_counts"},
}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path):
    """Rooms of this package that a module imports, wherever in it the import stands."""
    package = ["neuroemu", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module or "").split(".")] if node.module else base
            if parts[:1] != ["neuroemu"]:
                continue
            if len(parts) > 1:
                yield parts[1]
            else:
                yield from ("__init__" if alias.name.startswith("__") else alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("neuroemu."))


MODULES = [p for p in ROOT.rglob("*.py") if room(p) not in ("__init__", "__main__")]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_import_directions(path):
    here = room(path)
    assert here in ALLOWED, f"a new room: say in ALLOWED what {here} may import"
    wrong = {r for r in imported_rooms(path) if r != here and r not in ALLOWED[here]}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_the_reader_of_imports_sees_them():
    assert {"errors", "_checks"} <= set(imported_rooms(ROOT / "network" / "graph.py"))
    assert "kernels" in set(imported_rooms(ROOT / "crossbar" / "engine.py"))


@pytest.mark.parametrize("name, home", [("matplotlib", "plot"), ("brian2", "spiking")])
def test_heavy_libraries_are_imported_in_one_room(name, home):
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(n == name or n.startswith(name + ".") for n in names):
                assert room(path) == home


def fresh(code, path):
    """What a new Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=path)
    return done.stdout.strip()


def test_import_is_light(tmp_path):
    rooms = "print(sorted(m for m in sys.modules if m.startswith('neuroemu.')))"
    assert fresh(f"import sys, neuroemu; {rooms}", tmp_path) == "[]"
    code = (
        "import sys, neuroemu as ne; "
        "found = [getattr(ne, name) for name in ne.__all__ if name != 'plot'] + list(ne.chips.ALL.values()); "
        "heavy = {'brian2', 'matplotlib', 'scipy', 'onnx', 'tflite', 'nir', 'h5py', 'pooch', 'tqdm', 'torch'}; "
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    assert fresh(code, tmp_path) == "[]"


def test_names_that_load_on_first_use_are_what_they_say(tmp_path):
    """Whatever was loaded before: a function that is called like a module would be lost behind it."""
    code = (
        "import sys, types, neuroemu as ne, neuroemu.__main__; "
        "rooms = {name for name in ne.__all__ if isinstance(getattr(ne, name), types.ModuleType)}; "
        "presets = {name for name in ne.chips.__all__ if isinstance(getattr(ne.chips, name), types.ModuleType)}; "
        "print(sorted(rooms), sorted(presets), set(ne.chips.PRESETS) <= set(ne.chips.__all__))"
    )
    rooms = "chips components crossbar crosswalk datasets devices digital errors network plot spiking validation"
    assert fresh(code, tmp_path) == f"{rooms.split()} [] True"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = neuroemu.nonsense
    assert set(neuroemu.__all__) <= set(dir(neuroemu)) and set(neuroemu.chips.__all__) <= set(dir(neuroemu.chips))


def test_joules_appear_only_where_prices_are():
    """Engines count; no other module multiplies by a price."""
    for path in MODULES:
        if room(path) not in (
            "energy",
            "_ledger",
            "_prices",
            "chips",
            "result",
            "comparison",
            "even",
            "fairness",
            "measuring",
            "plot",
            "validation",
        ):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    assert node.attr not in ("joules", "per_inference"), path


def test_the_reference_lists_every_public_name():
    listed = (Path(__file__).parents[1] / "docs" / "index.rst").read_text(encoding="utf-8").split()
    assert {f"neuroemu.{name}" for name in neuroemu.__all__} <= set(listed)
