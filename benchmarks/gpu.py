"""What a GPU makes of the losses and of fits, in at most eight minutes: ``make gpu``.

    python -m benchmarks.gpu                         # all sections, on CUDA
    python -m benchmarks.gpu --what losses reads     # or: precision, steps
    python -m benchmarks.gpu --device cpu --quick    # a rehearsal, to see that it runs; its figures mean nothing
    python -m benchmarks.gpu --wheels                # what to bring to a machine without network; needs nothing

losses: time of each loss over that of plain cross-entropy NT-Xent, forward and backward, random embeddings of 128
columns; N is the number of rows of the plan, twice that of the batch. Peak memory in matrices of N x N float32.
reads: in how many places of a step the host waits for the device, and in which (:mod:`benchmarks._host_reads`).
steps: milliseconds and peak memory of a step of default fits of a table and of images, against the same fit on the CPU,
and against a loop written by hand on the same device with the same network, views, loss and batches. What is left of a
step is that of the data, the checks and the history.
precision: the same in bfloat16 and in single precision, and the loss at the end of each.

Each section has a share of --minutes. What no longer fits into its share, or not into memory, is left out, and the
table says so. Prints tables in Markdown; docs/evidence/performance.md is the place for them.
"""

import argparse
import sys
import warnings

from ._wheels import missing, print_wheels

SECTIONS = ("reads", "steps", "precision", "losses")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=SECTIONS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=4.5, help="for all sections; the tests take the others of 8")
    parser.add_argument("--rounds", type=int, default=20, help="of a loss")
    parser.add_argument("--sizes", type=int, nargs="+", help="rows of the plan of a loss")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs; its figures mean nothing")
    parser.add_argument("--wheels", action="store_true", help="print what to bring to a machine without network")
    parser.add_argument("--check", action="store_true", help="only fail, and print the wheels, if a package is missing")
    given = parser.parse_args()
    if given.wheels:
        print_wheels()
        return
    if missing():
        print_wheels()
        sys.exit(f"Missing here: {', '.join(missing())}. The lines above say what to bring, and how.")
    if not given.check:
        measure_all(given)


def measure_all(given):
    import torch  # not at the top: --wheels and --check run where packages are missing

    from ._gpu import measure

    if torch.device(given.device).type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device here; --device cpu --quick rehearses on the CPU.")
    warnings.simplefilter("ignore")
    measure(given)


if __name__ == "__main__":
    main()
