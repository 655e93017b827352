"""How many of scikit-learn's estimator checks pass: ours, scikit-learn's, and those of the peers.

    python -m benchmarks.sklearn_checks               # all; half an hour of one core
    python -m benchmarks.sklearn_checks --only NeighborhoodComponentsAnalysis "UMAP, tags added"
    python -m benchmarks.sklearn_checks --quick       # the two that need no other package and little time
    python -m benchmarks.sklearn_checks --report      # the tables of what is there

Each estimator is checked in a process of its own, by check after check; a check that takes longer than --limit is ended
and counted as such. Where scikit-learn cannot even list the checks, the message is kept instead, and a second row tells
what passes once the missing tags are added from outside. Nothing is changed in the estimators otherwise. Records go to
--out, one line an estimator. Packages as for peers.py; Linux only. docs/evidence/peers.md holds the tables.
"""

import argparse
import json
import logging
import multiprocessing
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from textwrap import shorten

# Before numba and torch are imported.
os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import torch
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.utils import TransformerTags
from sklearn.utils.estimator_checks import SkipTest, estimator_checks_generator

from skgca import GCAEmbedder

from ._printing import about, table, version
from ._records import progress, read

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


def cebra(**options):
    from cebra import CEBRA

    return CEBRA(**options)


def cebra_as_tested(architecture):
    """As CEBRA's own tests have it, for the first of their architectures or for the default one."""
    small = {"time_offsets": 5, "max_iterations": 5, "batch_size": 10, "distance": "euclidean"}
    return cebra(model_architecture=architecture, **small)


def umap(wrap=lambda found: found):
    from umap import UMAP

    return wrap(UMAP)()


def info_tsne(wrap=lambda found: found, **options):
    from torchdr import InfoTSNE

    return wrap(InfoTSNE)(**options)


def metric_learn(name, wrap=lambda found: found):
    import metric_learn

    return wrap(getattr(metric_learn, name))()


class Linear(torch.nn.Module):
    """A module for skorch that takes as many columns as come."""

    def __init__(self, n_out=2):
        super().__init__()
        self.layer = torch.nn.LazyLinear(n_out)

    def forward(self, X):
        return self.layer(X)


def skorch_net(name, **options):
    import skorch

    return getattr(skorch, name)(Linear, verbose=0, **options)


def tabnet():
    from pytorch_tabnet.pretraining import TabNetPretrainer

    return TabNetPretrainer(verbose=0)


def cne():
    from cne import CNE

    return CNE(parametric=True)


@dataclass(frozen=True)
class Entry:
    make: Callable
    package: str
    module: str
    setting: str = "default"
    expected: tuple = ()


ENTRIES = {
    "NeighborhoodComponentsAnalysis": Entry(NeighborhoodComponentsAnalysis, "scikit-learn", "sklearn"),
    "metric-learn LMNN": Entry(lambda: metric_learn("LMNN"), "metric-learn", "metric_learn"),
    "metric-learn LMNN, tags added": Entry(lambda: metric_learn("LMNN", tagged), "metric-learn", "metric_learn"),
    "metric-learn NCA, tags added": Entry(lambda: metric_learn("NCA", tagged), "metric-learn", "metric_learn"),
    "CNE": Entry(cne, "contrastive-ne", "cne", "parametric"),
    "CEBRA": Entry(lambda: cebra(max_iterations=5), "cebra", "cebra", "default, but 5 iterations"),
    "CEBRA, its test configuration": Entry(
        lambda: cebra_as_tested("offset10-model"), "cebra", "cebra", "first of its tests"
    ),
    "CEBRA, the same for its default network": Entry(
        lambda: cebra_as_tested("offset1-model"), "cebra", "cebra", "of its tests, offset1-model"
    ),
    "skorch NeuralNet": Entry(
        lambda: skorch_net("NeuralNet", criterion=torch.nn.MSELoss), "skorch", "skorch", "linear module, squared error"
    ),
    "skorch NeuralNetClassifier": Entry(
        lambda: skorch_net("NeuralNetClassifier", criterion=torch.nn.CrossEntropyLoss),
        "skorch",
        "skorch",
        "linear module, cross-entropy",
    ),
    "UMAP": Entry(umap, "umap-learn", "umap"),
    "UMAP, tags added": Entry(lambda: umap(tagged), "umap-learn", "umap"),
    "TabNetPretrainer": Entry(tabnet, "pytorch-tabnet", "pytorch_tabnet"),
    "TorchDR InfoTSNE": Entry(info_tsne, "torchdr", "torchdr"),
    "TorchDR InfoTSNE, tags added": Entry(lambda: info_tsne(tagged), "torchdr", "torchdr"),
    "TorchDR InfoTSNE, tags added, for few rows": Entry(
        lambda: info_tsne(tagged, perplexity=3, backend=None, max_iter=50),
        "torchdr",
        "torchdr",
        "perplexity 3, no faiss, 50 iterations",
    ),
    "GCAEmbedder": Entry(GCAEmbedder, "skgca", "skgca", expected=tuple(EXPECTED)),
}
QUICK = ("NeighborhoodComponentsAnalysis", "metric-learn LMNN, tags added")


def reason(error):
    """First line of a message, without the values that differ from check to check."""
    lines = [re.sub(" at 0x[0-9a-f]+", "", line).strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"\s+", " ", lines[0] if lines else "").replace("|", "/")
    return f"{type(error).__name__}: {text}"[:160].strip()


def check_from(entry, start, sender):
    """Send (name, status, reason) of each check from number ``start`` on, and the name of each before it runs."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, until the process ends
    torch.set_num_threads(1)
    try:
        estimator = entry.make()
        for tried, check in islice(estimator_checks_generator(estimator, legacy=True), start, None):
            name = check.func.__name__
            sender.send(("begun", name, ""))
            sender.send((*status_of(check, tried, name in entry.expected), name)[::-1])
    except Exception as error:
        sender.send(("aborted", "", reason(error)))
    sender.send(("end", "", ""))


def status_of(check, estimator, expected):
    """Return why, and how, a check ended."""
    try:
        check(estimator)
    except SkipTest as error:
        return reason(error), "skipped"
    except Exception as error:
        return reason(error), "expected to fail" if expected else "failed"
    return "", "passed"


def all_checks(entry, limit):
    """Run all checks, going on in a new process behind one that takes too long or ends the process."""
    context, found = multiprocessing.get_context("fork"), []
    while True:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=check_from, args=(entry, len(found), sender))
        process.start()
        sender.close()
        ended = follow(receiver, found, limit)
        process.kill()
        process.join()
        if ended:
            return found


def follow(receiver, found, limit):
    """Append what a process sends; tell whether it came to the end."""
    running = ""
    while True:
        try:
            if not receiver.poll(limit):
                found.append((running, "over time", f"no result after {limit} s"))
                return False
            first, second, third = receiver.recv()
        except EOFError:
            found.append((running, "failed", "the process ended"))
            return False
        if first == "end":
            return True
        if first == "begun":
            running = second
        elif first == "aborted":
            found.append((second, first, third))
        else:
            found.append((first, second, third))


def run_missing(names, path, limit):
    found = read(path, by="name")
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in progress(names, len(names), "estimator checks"):
        entry = ENTRIES[name]
        versions = {package: version(package) for package in ("scikit-learn", "torch", entry.package)}
        if name in found and (found[name]["versions"], found[name]["setting"]) == (versions, entry.setting):
            continue
        start = time.perf_counter()
        checks = all_checks(entry, limit)
        record = {"name": name, "setting": entry.setting, "versions": versions, "limit": limit, "checks": checks}
        record["clock"] = round(time.perf_counter() - start, 1)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def report(names, found):
    rows, reasons = [], []
    for name in names:
        if name not in found:
            continue
        record, package = found[name], ENTRIES[name].package
        counts = Counter(check[1] for check in record["checks"])
        aborted = counts["aborted"]  # scikit-learn would list no more checks
        rows.append([name, f"{package} {record['versions'][package]}", record["setting"]])
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/sklearn-checks.jsonl"), help="file of the results")
    parser.add_argument("--only", nargs="+", choices=ENTRIES, metavar="NAME", help=f"of {list(ENTRIES)}")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds of the clock for one check")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--report", action="store_true", help="print what is there, check nothing")
    given = parser.parse_args()
    names = given.only or (QUICK if given.quick else list(ENTRIES))
    here = [name for name in names if find_spec(ENTRIES[name].module)]
    if len(here) < len(names):
        left_out = f"Not installed: {sorted(set(names) - set(here))}; see benchmarks/peers-requirements.txt"
        print(left_out, file=sys.stderr)
    if not given.report:
        run_missing(here, given.out, given.limit)
    report(names, read(given.out, by="name"))


if __name__ == "__main__":
    main()
