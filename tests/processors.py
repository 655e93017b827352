"""Run the tests that compare numbers as other processors would compute them: ``make test-processors``.

Each setting asks torch, its libraries or NumPy's for code of another processor, another number of threads or another
allocation of memory, which changes the order of sums and the last digits. The tests must pass under all of them, and:

- rounding takes at most a tenth of the tolerance of an ``assert_close``;
- the share of its tolerance that an ``assert_within`` uses varies by at most a tenth of what is left of it.

Prints a line for each setting, then the comparisons with the smallest margins. Arguments go to pytest.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SETTINGS = {
    "as it is": {},
    "ATEN_CPU_CAPABILITY=default": {"ATEN_CPU_CAPABILITY": "default"},
    "ATEN_CPU_CAPABILITY=avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "ONEDNN_MAX_CPU_ISA=AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "MKL_ENABLE_INSTRUCTIONS=AVX2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "MKL_ENABLE_INSTRUCTIONS=SSE4_2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "OPENBLAS_CORETYPE=Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "OPENBLAS_CORETYPE=Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "OPENBLAS_CORETYPE=SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "two threads": dict.fromkeys(THREADS, "2"),
    "MALLOC_MMAP_MAX_=0": {"MALLOC_MMAP_MAX_": "0"},
}
SHARE = 0.1  # of a tolerance, that rounding may take


def run(setting, arguments, margins):
    """Run the numerical tests; returns pytest's exit status and its last line."""
    env = {name: value for name, value in os.environ.items() if name not in {n for s in SETTINGS.values() for n in s}}
    env |= {"SKGCA_MARGINS": str(margins), **SETTINGS[setting]}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "numerical and not slow",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            print(f"    {line}", flush=True)
    return done.returncode, lines[-1] if lines else done.stderr


def read(margins):
    """Shares of tolerances by kind, line and test."""
    rows = map(json.loads, margins.read_text(encoding="utf-8").splitlines()) if margins.exists() else ()
    return {tuple(key): share for *key, share in rows}


def narrow(shares):
    """Comparisons in order of their margin, and what they used of it, from the shares of all settings.

    What is used is the largest share for rounding, and for approximations the range of the shares over what is left.
    """
    found = {}
    for key in set().union(*shares):
        used = [of_setting[key] for of_setting in shares if key in of_setting]
        left = 1.0 - max(used)
        spread = max(used) - min(used)
        found[key] = max(used) if key[0] != "within" else spread / left if left > 0 else float(spread > 0)
    return sorted(found.items(), key=lambda item: -item[1])


def main():
    failed, shares = [], []
    with tempfile.TemporaryDirectory() as folder:
        for place, setting in enumerate(SETTINGS):
            margins = Path(folder) / f"{place}.jsonl"
            status, last = run(setting, sys.argv[1:], margins)
            shares.append(read(margins))
            closest = narrow([{key: share for key, share in shares[-1].items() if key[0] == "close"}])
            used = f"{closest[0][1]:.3f} at {closest[0][0][1]}" if closest else "nothing compared"
            print(f"{setting:32} {last.strip('= ')}; largest share of a tolerance {used}", flush=True)
            if status or not shares[-1]:
                failed.append(setting)
    ordered = narrow(shares)
    print("\nSmallest margins over all settings: share of the tolerance used, kind, line, test")
    known = [item for item in ordered if item[0][0] != "gradient" or item[1] > SHARE]  # torch tells no more of those
    for (kind, line, test), used in known[:15]:
        print(f"{used:8.3f}  {kind:8}  {line}  {test.partition('::')[2]}")
    short = [key for key, used in ordered if used > SHARE]
    print(f"\n{len(ordered)} comparisons under {len(SETTINGS)} settings, {len(short)} with a margin of less than ten")
    sys.exit(f"failed under {', '.join(failed)}" if failed else 1 if short else 0)


if __name__ == "__main__":
    main()
