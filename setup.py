"""Build of the compiled kernels; all metadata is in pyproject.toml.

Each kernel is compiled from one source for any CPU (`_NAME_base`) and, on x86-64, for AVX2 + FMA (`_NAME_v3`) and,
where there is a `_NAME_v4.pyx` and the compiler can, for AVX-512 (`_NAME_v4`). The package picks one at import, so a
wheel runs on every machine of its architecture.

Environment: NEUROEMU_OPENMP=0|1|auto (default auto), NEUROEMU_ANNOTATE=1 writes Cython's HTML.
"""

import itertools
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = ("binary", "crossbar", "events", "floating", "graded", "integer", "memristors", "truenorth", "wires")
# -O3 is explicit and contraction is off: the random numbers must have the same bits on every instruction path.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
BUILDS = {
    "base": [],
    "v3": ["-march=x86-64-v3"],
    # x86-64-v4 and what Ice Lake and Zen 4 have beside it
    "v4": ["-march=x86-64-v4", "-mavx512vbmi", "-mavx512vbmi2", "-mavx512bitalg", "-mavx512vpopcntdq", "-mgfni"],
}
CORES = os.cpu_count() or 1
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() > 0 ? 0 : 1; }\n"


def extensions():
    found = []
    for kernel, build in itertools.product(KERNELS, BUILDS):
        path = f"src_cython/_{kernel}_{build}.pyx"
        if not Path(path).exists() or (build != "base" and not IS_X86):
            continue
        name = "neuroemu.kernels." + Path(path).stem
        flags = FLAGS + BUILDS[build]
        found.append(
            Extension(name, [path], extra_compile_args=flags, include_dirs=["src_cython"], depends=included(path))
        )
    return found


def included(path, known=()):
    """Files of src_cython that a source includes, and those that these include."""
    found = set(known)
    for name in re.findall(r'"(_\w+\.(?:pxi|pxd|h))"', Path(path).read_text(encoding="utf-8")):
        inner = f"src_cython/{name}"
        if inner not in found and Path(inner).exists():
            found |= {inner, *included(inner, {*found, inner})}
    return sorted(found)


class BuildKernels(build_ext):
    """build_ext that adds OpenMP where a compiled probe runs, and leaves out builds that the compiler does not know.

    Without OpenMP the kernels run on one thread; without `_v4` the package takes `_v3`.
    """

    def build_extensions(self):
        self.parallel = self.parallel or CORES
        wish = os.environ.get("NEUROEMU_OPENMP", "auto")
        if wish not in ("0", "1", "auto"):
            sys.exit(f"NEUROEMU_OPENMP={wish!r}: use 0, 1 or auto")
        if wish != "0":
            found = self._openmp_works()
            if wish == "1" and not found:
                sys.exit("NEUROEMU_OPENMP=1, but the compiler cannot build and run an OpenMP program")
            if found:
                for extension in self.extensions:
                    extension.extra_compile_args.append("-fopenmp")
                    extension.extra_link_args.append("-fopenmp")
        if not self._compiles(BUILDS["v4"]):
            self.extensions = [extension for extension in self.extensions if not extension.name.endswith("_v4")]
        super().build_extensions()

    def _compiles(self, flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("int main(void) { return 0; }\n")
            try:
                self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
            except Exception:  # the compiler or its target does not know them
                return False
            return True

    def _openmp_works(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(PROBE)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-fopenmp"])
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=["-fopenmp"])
                return subprocess.run([str(Path(folder, "probe"))], check=False, timeout=30).returncode == 0
            except Exception:  # any compiler trouble means: no OpenMP
                return False


setup(
    ext_modules=cythonize(
        extensions(),
        build_dir="build/cython",
        nthreads=CORES if sys.platform == "linux" else 0,  # elsewhere processes are not forked
        annotate=os.environ.get("NEUROEMU_ANNOTATE") == "1",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
