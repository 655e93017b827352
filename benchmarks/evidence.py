"""Measure the tables of docs/ and the README again, and write them where they stand.

    make evidence                                   # all that is not measured yet: some hours on two cores
    python -m benchmarks.evidence --list            # the stages, what they take, and which are there
    python -m benchmarks.evidence --stages search   # one of them
    python -m benchmarks.evidence --fresh           # measured anew, even if it is there
    python -m benchmarks.evidence --write           # tables of what is there, measuring nothing
    python -m benchmarks.evidence --quick           # small forms, to see that all works; docs/ stays as it is

A stage is a script of this folder, and its output is kept in build/evidence/. Broken off at any moment, the same
command resumes with the stage it was at; where single jobs are kept, with the job. A stage is measured again when its
command, a version of what it depends on, or that of skgca is another.

A page says which tables it holds, between two comments on lines of their own; what is between them is replaced:

    <!-- evidence: STAGE: TITLE -->
    <!-- /evidence -->

TITLE is the line above the table in the output of the stage, or "about" for what it was measured with. The prose around
the tables is not written by this script: read it again where figures have moved (git diff shows them).
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ._data import TABLES
from ._printing import PACKAGES, version

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- evidence: ([\w-]+): (.+?) -->\n).*?(<!-- /evidence -->)", re.DOTALL)
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"


@dataclass(frozen=True)
class Stage:
    """A script with its options; minutes are those of two cores."""

    script: str
    options: tuple = ()
    minutes: float = 5
    records: str = ""  # the stage whose records of single jobs it makes or reads, if it does
    jobs: bool = False  # whether these may run beside each other
    quick: tuple = ("--quick",)
    python: Path = Path(sys.executable)

    def command(self, folder, quick, n_jobs):
        arguments = [str(self.python), "-m", f"benchmarks.{self.script}", *(self.quick if quick else self.options)]
        if self.records:
            arguments += ["--out", str(folder / f"{self.records}.jsonl")]
        return [*arguments, "--jobs", str(n_jobs)] if self.jobs else arguments

    def key(self, quick):
        """What its results depend on; where they lie, and how many processes made them, is not among it."""
        versions = {package: version(package) for package in PACKAGES}
        return {"command": [self.script, *(self.quick if quick else self.options)], "versions": versions}


QUICK_LOSSES = ("--sizes", "256", "2048", "--rounds", "1", "--processes", "1")
# The scores that rank first in one of the tables of "choice", on another split, and without the two smallest sets.
CHOICE_AGAIN = ("--split-seed", "301", "--seeds", "2", "3")
CHOICE_AGAIN += ("--data", *(name for name in TABLES if name not in ("wine", "movement_libras")))
CHOICE_AGAIN += ("--scores", "view information", "consistency between seeds", "neighbours of the inputs")
CHOICE_AGAIN += ("hidden columns", "hidden columns, learned part", "leaves, few rows", "clusters of a forest, few rows")
STAGES = {
    "losses-one-thread": Stage("losses", ("--threads", "1"), 17, quick=QUICK_LOSSES),
    "losses-two-threads": Stage("losses", ("--threads", "2", "--sizes", "2048", "4096"), 5, quick=QUICK_LOSSES),
    "losses-kept-memory": Stage(
        "losses",
        ("--threads", "1", "--sizes", "2048", "4096", "--keep-memory"),
        5,
        quick=(*QUICK_LOSSES, "--keep-memory"),
    ),
    "throughput": Stage("throughput", minutes=8),
    "micro-batches": Stage("micro_batches", ("--slow",), 6),
    "threads": Stage("threads", ("--max-epochs", "40"), 4, quick=("--rounds", "1", "--max-epochs", "10")),
    "search": Stage("search", minutes=11, records="search"),
    "outliers": Stage("outliers", minutes=10, records="outliers", jobs=True),
    "stability": Stage("stability", minutes=5, records="stability", jobs=True),
    "rows": Stage("rows", minutes=6, records="rows", jobs=True),
    "quality": Stage("quality", minutes=70, records="quality", jobs=True),
    "quality-further": Stage(
        "quality",
        ("--methods", "raw", "gca", "--seeds", "10", "11", "12", "13", "14", "--no-rivals"),
        6,
        records="quality_further",
        jobs=True,
        quick=("--quick", "--methods", "raw", "gca", "--no-rivals"),
    ),
    "family": Stage("family", minutes=75, records="family", jobs=True),
    "which-loss": Stage("which_loss", minutes=75, records="which_loss", jobs=True),
    "maps": Stage("maps", minutes=30, records="maps"),
    "cross": Stage("cross", minutes=25, records="cross", jobs=True),
    "few-labels": Stage("few_labels", minutes=90, records="few_labels", jobs=True),
    "neighbours": Stage("neighbours", minutes=40, records="neighbours", jobs=True),
    "neighbours-settings": Stage(
        "neighbours",
        ("--trials", "--what", "relational", "labelled", "domains"),
        15,
        records="neighbours",
        jobs=True,
        quick=("--quick", "--trials", "--what", "relational"),
    ),
    "partly": Stage("partly", minutes=6, records="partly", jobs=True),
    "scores": Stage("scores", minutes=100, records="scores", jobs=True),
    "choice": Stage("choice", minutes=14, records="choice", jobs=True),
    "choice-again": Stage(
        "choice", CHOICE_AGAIN, 12, "choice-again", jobs=True, quick=("--quick", "--seeds", "2", "3")
    ),
    "settings": Stage("settings", minutes=0.2, records="scores"),
    "peers": Stage("peers", minutes=30, records="peers", python=PEERS_PYTHON),
    "series": Stage("series", minutes=20, records="series", jobs=True, python=PEERS_PYTHON),
    "images": Stage("images", minutes=10, records="images", jobs=True, python=PEERS_PYTHON),
    "steps": Stage("steps", minutes=40, records="steps", jobs=True),
    "sklearn-checks": Stage("sklearn_checks", minutes=10, records="sklearn-checks", python=PEERS_PYTHON),
    "peer-traps": Stage("peer_traps", minutes=1, quick=(), python=PEERS_PYTHON),
}


# ------------------------------------------------------------------------------------------------------- measuring


def result_of(name, folder, quick):
    """The result of a stage, or None if it is not there or was made by something else."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["key"] == STAGES[name].key(quick) else None


def measure(name, folder, quick, n_jobs):
    """Run a stage and keep its result; its progress goes to stderr as it is."""
    stage, start = STAGES[name], time.monotonic()
    if not stage.python.exists():
        print(f"{name} needs {stage.python}, which `make evidence` makes", file=sys.stderr)
        return False
    command = stage.command(folder, quick, n_jobs)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return False
    result = {
        "key": stage.key(quick),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "output": done.stdout,
    }
    partial = folder / f"{name}.part"
    partial.write_text(json.dumps(result, indent=1), encoding="utf-8")
    partial.replace(folder / f"{name}.json")
    return True


def commit():
    """The state of the code, with a + if it was changed since; nothing where there is no git."""
    head = git("rev-parse", "--short=8", "HEAD")
    return head + ("+" if head and git("status", "--porcelain", "--", "skgca", "benchmarks") else "")


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def measure_all(names, folder, quick, n_jobs):
    """Run stages one after the other; returns those that failed."""
    failed = []
    total = sum(STAGES[name].minutes for name in names)
    form = "{desc}: {percentage:3.0f}%|{bar}| about {n:.0f} of {total:.0f} min on two cores, {elapsed} so far\n"
    with tqdm(total=total, bar_format=form, desc="evidence", file=sys.stderr, disable=quick) as bar:
        for place, name in enumerate(names):
            print(f"\n[{place + 1} of {len(names)}] {name}", file=sys.stderr, flush=True)
            if not measure(name, folder, quick, n_jobs):
                failed.append(name)
            bar.update(STAGES[name].minutes)
    return failed


# --------------------------------------------------------------------------------------------------------- writing


def tables_of(result):
    """Tables of an output by the line above them, and what they were measured with."""
    found, title, lines = {}, "", []
    for line in [*result["output"].splitlines(), ""]:
        if line.startswith("|"):
            lines.append(line)
            continue
        if lines:
            found[title], lines = "\n".join(lines), []
        title = line or title
    script, *options = result["key"]["command"]
    command = shlex.join(["python", "-m", f"benchmarks.{script}", *options])
    about = result["output"].lstrip().partition("\n")[0]
    when = ", ".join(filter(None, [result["commit"], result["date"]]))
    found["about"] = f"| measured by | with | code, date |\n|---|---|---|\n| `{command}` | {about} | {when} |"
    return found


def pages():
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text):
    """Stage and title of each table that a page asks for."""
    return [(stage, title) for _, stage, title, _ in BLOCK.findall(text)]


def unknown(results):
    """What pages ask for and no stage has, as text; of stages without a result only the name can be wrong."""
    found = []
    for path in pages():
        for stage, title in blocks(path.read_text(encoding="utf-8")):
            if stage not in STAGES:
                found.append(f"{path.relative_to(ROOT)}: there is no stage {stage!r}")
            elif results.get(stage) and title not in tables_of(results[stage]):
                titles = list(tables_of(results[stage]))
                found.append(f"{path.relative_to(ROOT)}: {stage} has no table {title!r}, but {titles}")
    return found


def write(results):
    """Put the tables into the pages; returns the pages that changed."""
    changed = []
    for path in pages():
        text = path.read_text(encoding="utf-8")

        def block(match):
            begin, stage, title, end = match.groups()
            return f"{begin}\n{tables_of(results[stage])[title]}\n\n{end}" if results.get(stage) else match.group()

        new = BLOCK.sub(block, text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path.relative_to(ROOT))
    return changed


def describe(results):
    for name, stage in STAGES.items():
        result = results[name]
        state = f"measured {result['date']}, {result['minutes']:g} min" if result else "not measured"
        print(f"{name:20} about {stage.minutes:3.0f} min on two cores   {state}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), metavar="STAGE")
    parser.add_argument("--folder", type=Path, help="of the results; default build/evidence, or build/evidence-quick")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, where a script takes several")
    parser.add_argument("--fresh", action="store_true", help="forget results and records of these stages")
    parser.add_argument("--list", action="store_true", help="print the stages")
    parser.add_argument("--write", action="store_true", help="write tables of what is there into the pages")
    parser.add_argument("--quick", action="store_true", help="small forms of all stages")
    given = parser.parse_args()
    folder = (given.folder or ROOT / "build" / ("evidence-quick" if given.quick else "evidence")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    results = {name: result_of(name, folder, given.quick) for name in STAGES}
    if given.list:
        describe(results)
        return
    failed = []
    if not given.write:
        missing = [name for name in given.stages if given.fresh or not results[name]]
        if given.fresh:
            forget(missing, folder)
        failed = measure_all(missing, folder, given.quick, given.jobs)
        results = {name: result_of(name, folder, given.quick) for name in STAGES}
    wrong = unknown(results)
    if not wrong and not given.quick:
        print("written:", ", ".join(map(str, write(results))) or "nothing has changed")
    if failed or wrong:
        sys.exit("\n".join([*wrong, *(f"stage {name} failed; what it said is above" for name in failed)]))


def forget(names, folder):
    for name in names:
        (folder / f"{name}.json").unlink(missing_ok=True)
        records = folder / f"{name}.jsonl"
        if records.exists():
            records.rename(records.with_name(f"{records.name}.{time.strftime('%Y%m%d-%H%M%S')}"))


if __name__ == "__main__":
    main()
