"""How many of scikit-learn's estimator checks pass: ours, scikit-learn's, and those of the peers.

    python -m benchmarks.sklearn_checks               # all; half an hour of one core
    python -m benchmarks.sklearn_checks --only NeighborhoodComponentsAnalysis "UMAP, tags added"

Each estimator is checked in a process of its own, by check after check; a check that takes longer than --limit is ended
and counted as such. Where scikit-learn cannot even list the checks, the message is kept instead, and a second row tells
what passes once the missing tags are added from outside. Nothing is changed in the estimators otherwise. Packages as
for peers.py; Linux only. docs/evidence/peers.md holds the tables.
"""

import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from textwrap import shorten

# Before numba and torch are imported.
os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import torch
from sklearn.utils import TransformerTags
from sklearn.utils.estimator_checks import SkipTest, estimator_checks_generator

from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from ._measuring import forked
from ._printing import about, table, version

LIMIT = 300  # seconds of the clock for one check
COUNTS = ("passed", "failed", "expected to fail", "skipped", "over time")
# As in tests/estimator/test_common.py. scikit-learn excepts its own MLPClassifier for the same reason.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "random batches and views"}


def tagged(estimator_class):
    """Return a subclass of the same name that says it is a transformer, which the class forgot; nothing else."""

    def tags_of(self):
        tags = super(subclass, self).__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        return tags

    name = estimator_class.__name__
    subclass = type(name, (estimator_class,), {"__sklearn_tags__": tags_of, "__module__": __name__})
    globals()[name] = subclass  # where pickle looks for it
    return subclass


class Linear(torch.nn.Module):
    """A module for skorch that takes as many columns as come."""

    def __init__(self, n_out=2):
        super().__init__()
        self.layer = torch.nn.LazyLinear(n_out)

    def forward(self, X):
        return self.layer(X)


@dataclass(frozen=True)
class Entry:
    """An estimator by the place of its class, with its options; its package by the name on PyPI."""

    module: str
    name: str
    package: str
    options: dict = field(default_factory=dict)
    setting: str = "default"
    tags_added: bool = False
    expected: tuple = ()

    def make(self):
        found = getattr(import_module(self.module), self.name)
        return (tagged(found) if self.tags_added else found)(**self.options)


CEBRA_TESTS = {"time_offsets": 5, "max_iterations": 5, "batch_size": 10, "distance": "euclidean"}
FEW_ROWS = {"perplexity": 3, "backend": None, "max_iter": 50}
ENTRIES = {
    "NeighborhoodComponentsAnalysis": Entry("sklearn.neighbors", "NeighborhoodComponentsAnalysis", "scikit-learn"),
    "metric-learn LMNN": Entry("metric_learn", "LMNN", "metric-learn"),
    "metric-learn LMNN, tags added": Entry("metric_learn", "LMNN", "metric-learn", tags_added=True),
    "metric-learn NCA, tags added": Entry("metric_learn", "NCA", "metric-learn", tags_added=True),
    "CNE": Entry("cne", "CNE", "contrastive-ne", {"parametric": True}, "parametric"),
    "CEBRA": Entry("cebra", "CEBRA", "cebra", {"max_iterations": 5}, "default, but 5 iterations"),
    "CEBRA, its test configuration": Entry(
        "cebra", "CEBRA", "cebra", {"model_architecture": "offset10-model", **CEBRA_TESTS}, "first of its tests"
    ),
    "CEBRA, the same for its default network": Entry(
        "cebra", "CEBRA", "cebra", {"model_architecture": "offset1-model", **CEBRA_TESTS}, "of its tests, offset1-model"
    ),
    "skorch NeuralNet": Entry(
        "skorch",
        "NeuralNet",
        "skorch",
        {"module": Linear, "criterion": torch.nn.MSELoss, "verbose": 0},
        "linear module, squared error",
    ),
    "skorch NeuralNetClassifier": Entry(
        "skorch",
        "NeuralNetClassifier",
        "skorch",
        {"module": Linear, "criterion": torch.nn.CrossEntropyLoss, "verbose": 0},
        "linear module, cross-entropy",
    ),
    "UMAP": Entry("umap", "UMAP", "umap-learn"),
    "UMAP, tags added": Entry("umap", "UMAP", "umap-learn", tags_added=True),
    "TabNetPretrainer": Entry("pytorch_tabnet.pretraining", "TabNetPretrainer", "pytorch-tabnet", {"verbose": 0}),
    "TorchDR InfoTSNE": Entry("torchdr", "InfoTSNE", "torchdr"),
    "TorchDR InfoTSNE, tags added": Entry("torchdr", "InfoTSNE", "torchdr", tags_added=True),
    "TorchDR InfoTSNE, tags added, for few rows": Entry(
        "torchdr", "InfoTSNE", "torchdr", FEW_ROWS, "perplexity 3, no faiss, 50 iterations", tags_added=True
    ),
    "GCAEmbedder": Entry("skgca", "GCAEmbedder", "skgca", expected=tuple(EXPECTED)),
}
QUICK = ("NeighborhoodComponentsAnalysis", "metric-learn LMNN, tags added")


def reason(error):
    """First line of a message, without the values that differ from check to check."""
    lines = [re.sub(" at 0x[0-9a-f]+", "", line).strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"\s+", " ", lines[0] if lines else "").replace("|", "/")
    return f"{type(error).__name__}: {text}"[:160].strip()


def checks_from(entry, place):
    """Yield name, status and reason of each check from a place on; and before it runs the same without a status."""
    try:
        estimator = entry.make()
        for tried, check in islice(estimator_checks_generator(estimator, legacy=True), place, None):
            name = check.func.__name__
            yield name, "", ""
            yield name, *status_of(check, tried, name in entry.expected)
    except Exception as error:
        yield "", "aborted", reason(error)


def status_of(check, estimator, expected):
    """Return how, and why, a check ended."""
    try:
        check(estimator)
    except SkipTest as error:
        return "skipped", reason(error)
    except Exception as error:
        return "expected to fail" if expected else "failed", reason(error)
    return "passed", ""


def run(job, limit):
    """All checks of an estimator, resumed in a new process behind one that takes too long or ends the process."""
    found, ended, start = [], False, time.perf_counter()
    while not ended:
        running = ""
        try:
            for name, status, why in forked(checks_from, ENTRIES[job.method], len(found), limit=limit):
                running = name
                if status:
                    found.append((name, status, why))
            ended = True
        except TimeoutError as error:
            found.append((running, "over time", str(error)))
        except ChildProcessError:
            found.append((running, "failed", "the process ended"))
    return {"checks": found, "clock": round(time.perf_counter() - start, 1)}


def report(records):
    rows, reasons = [], []
    for job, record in records.items():
        name, package = job.method, ENTRIES[job.method].package
        counts = Counter(check[1] for check in record["checks"])
        aborted = counts["aborted"]  # scikit-learn would list no more checks
        rows.append([name, f"{package} {version(package)}", ENTRIES[name].setting])
        rows[-1] += [*(counts[status] for status in COUNTS), "aborts" if aborted else ""]
        bad = [text for _, status, text in record["checks"] if status in ("failed", "expected to fail", "aborted")]
        if not aborted or len(bad) < 3:  # else the row with the tags added tells
            why = Counter(re.sub(r"\b\d+\b", "n", text.replace("`", "'")) for text in bad)
            reasons += [
                [name, times, f"`{shorten(text, 110, placeholder=' ...')}`"] for text, times in why.most_common(2)
            ]
    about()
    table("Estimator checks of scikit-learn", ["", "package", "configuration", *COUNTS, "then"], rows)
    table("Most frequent reasons, up to two an estimator", ["", "checks", "message, cut"], reasons)


def main():
    parser = job_parser(__doc__, "sklearn-checks", data=("generated",), jobs=1)
    parser.add_argument("--only", nargs="+", choices=ENTRIES, metavar="NAME", help=f"of {list(ENTRIES)}")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds of the clock for one check")
    given = parsed(parser, usual={"only": ENTRIES}, quick={"only": QUICK})
    here = [name for name in given.only if find_spec(ENTRIES[name].module.partition(".")[0])]
    if len(here) < len(given.only):
        left_out = f"Not installed: {sorted(set(given.only) - set(here))}; see benchmarks/peers-requirements.txt"
        print(left_out, file=sys.stderr)
    jobs = [
        Job("generated", name, options=options_of(setting=ENTRIES[name].setting), quick=given.quick) for name in here
    ]
    packages = tuple(dict.fromkeys(entry.package for entry in ENTRIES.values()))
    report(measured(partial(run, limit=given.limit), jobs, given, protocol=(given.limit,), packages=packages))


if __name__ == "__main__":
    run_main(__spec__)
