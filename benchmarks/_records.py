"""Results of fits, one line of JSON each, so that a benchmark which was broken off goes on where it was."""

import json
import sys
from importlib import import_module

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm


def read(path, by="key"):
    """Return the records of a file by their key, the last of each; a line that was cut off is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = {}
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record[by]] = record
    return found


def run_missing(run, jobs, path, n_jobs):
    """Run what the file does not hold yet, in processes, and append each record as it comes."""
    found = read(path)
    missing = [job for job in jobs if job.key not in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("a", encoding="utf-8") as file:  # a line was cut off
            file.write("\n")
    tasks = (delayed(run)(job) for job in missing)
    with parallel_config("loky", n_jobs=n_jobs, inner_max_num_threads=1), path.open("a", encoding="utf-8") as file:
        done = Parallel(return_as="generator_unordered")(tasks)
        for record in progress(done, len(missing), f"{path.stem}: {len(missing)} of {len(jobs)} fits"):
            file.write(json.dumps(record) + "\n")
            file.flush()


def progress(steps, total, title):
    """Go through steps with a bar on stderr, which tells how long the rest will take."""
    return tqdm(steps, total=total, desc=title, file=sys.stderr, mininterval=1, dynamic_ncols=True)


def start(spec):
    """Run main() of a script by the module's own name: so that worker processes and reports import that one too."""
    import_module(spec.name).main()
