"""What is measured: jobs, each run once and kept as a line of JSON, so that a benchmark that was broken off resumes."""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from skgca import GCAEmbedder
from skgca._data import READERS

from ._printing import PACKAGES, version


@dataclass(frozen=True)
class Job:
    """One measurement: a method, with options, on a data set, by a seed. ``quick`` is its small form."""

    data: str
    method: str
    seed: int = 0
    options: tuple = ()  # sorted pairs of name and value
    quick: bool = False


def options_of(**given):
    return tuple(sorted(given.items()))


@lru_cache
def state_of(protocol, packages):
    """Digest of what any result depends on beside its job: versions, our defaults, and constants of the script."""
    versions = [(package, version(package)) for package in (*PACKAGES, *packages)]
    steps = [(kind, reader.auto_steps) for kind, reader in sorted(READERS.items())]  # of max_epochs="auto"
    about = [versions, sorted(GCAEmbedder().get_params().items()), steps, protocol]
    return hashlib.sha256(repr(about).encode()).hexdigest()[:10]


def key_of(job, protocol=(), packages=()):
    return json.dumps([*vars(job).values(), state_of(protocol, packages)], default=str)


def read(path):
    """Return the records of a file by their key, the last of each; a line that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = {}
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record.pop("key")] = record
    return found


def measured(run, jobs, given, *, protocol=(), packages=()):
    """Run the jobs that --out does not hold yet, unless --report is given; return the records there are by their job.

    A record with an "error" is kept, and run again by the next call.

    protocol, packages : what results depend on, beside the job, the packages of PACKAGES and our defaults.
    """
    keys = {job: key_of(job, protocol, packages) for job in jobs}
    if not given.report:
        found = read(given.out)
        missing = [job for job in jobs if "error" in found.get(keys[job], {"error": "missing"})]
        run_all(run, missing, keys, given.out, given.jobs)
    found = read(given.out)
    return {job: found[key] for job, key in keys.items() if key in found}


def run_all(run, jobs, keys, path, n_jobs):
    """Run jobs in processes, and append each record as it comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as file:  # a line was cut off
            file.write("\n")
    tasks = (delayed(with_job)(run, job) for job in jobs)
    with parallel_config("loky", n_jobs=n_jobs, inner_max_num_threads=1), path.open("a", encoding="utf-8") as file:
        done = Parallel(return_as="generator_unordered")(tasks)
        for job, record in progress(done, len(jobs), f"{path.stem}: {len(jobs)} of {len(keys)} to run"):
            file.write(json.dumps({"key": keys[job], **record}) + "\n")
            file.flush()
            if "error" in record:
                tqdm.write(f"{job.method}, {job.data}, seed {job.seed}: {record['error']}", file=sys.stderr)


def with_job(run, job):
    return job, run(job)


def progress(steps, total, title):
    """Go through steps with a bar on stderr, which tells how long the rest will take."""
    return tqdm(steps, total=total, desc=title, file=sys.stderr, mininterval=1, dynamic_ncols=True)


class Results:
    """Records by what they are of, a tuple that ``by`` makes of a job, each a dict over seeds."""

    def __init__(self, records, by):
        self.found = {}
        for job, record in records.items():
            self.found.setdefault(by(job), {})[job.seed] = record

    def of(self, score, *what):
        """Values of a score by seed."""
        return {seed: record[score] for seed, record in self.found.get(what, {}).items()}


# ------------------------------------------------------------------------------------------------- the command line


def parser_of(doc):
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def job_parser(doc, name, *, data, jobs=2):
    """Parser of the options that all scripts with jobs have."""
    parser = parser_of(doc)
    parser.add_argument("--out", type=Path, default=Path(f"build/{name}.jsonl"), help="file of the records")
    parser.add_argument("--data", nargs="+", choices=data, metavar="SET", help=f"of {', '.join(data)}")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--jobs", type=int, default=jobs, help="processes")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs; its figures mean nothing")
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    return parser


def parsed(parser, *, usual, quick):
    """Parse the command line; what it leaves out is that of ``usual``, or of ``quick`` in the small form."""
    given = parser.parse_args()
    for name, value in {**usual, **(quick if given.quick else {})}.items():
        if getattr(given, name) is None:
            setattr(given, name, value if isinstance(value, int) else list(value))
    return given


def run_main(spec):
    """Run main() of a script by the module's own name, so that worker processes import it once, and keep its caches."""
    import_module(spec.name).main()
