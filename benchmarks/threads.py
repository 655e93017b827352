"""Twelve fits of a grid search, on two processes and on one: python -m benchmarks.threads [--rounds 3] [--auto]

Prints seconds and their ratio, alternating the two. The pool of workers is started anew in each round, so that its
start, with the import of torch, is in the time; and kept for a second search.
"""

import statistics
import time

from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgca import GCAEmbedder

from ._jobs import parser_of, progress
from ._printing import about, table

GRID = {"gcaembedder__epsilon": [0.1, 0.2, 0.5, 1.0]}


def seconds(n_jobs, n_threads, max_epochs):
    X, y = load_digits(return_X_y=True)
    embedder = GCAEmbedder(random_state=0, max_epochs=max_epochs, n_threads=n_threads)
    model = make_pipeline(embedder, LogisticRegression(max_iter=200))
    began = time.perf_counter()
    search = GridSearchCV(model, GRID, cv=3, n_jobs=n_jobs, refit=False).fit(X, y)
    return time.perf_counter() - began, search.cv_results_["mean_test_score"]


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-epochs", type=int, default=60)
    parser.add_argument("--auto", action="store_true", help="also with n_threads='auto'")
    given = parser.parse_args()
    about(f"12 fits of {given.max_epochs} epochs, medians of {given.rounds} rounds, seed 0")
    lines = []
    for n_threads in (1, "auto") if given.auto else (1,):
        rows = []
        for _ in progress(range(given.rounds), given.rounds, "threads"):
            alone, scores = seconds(1, n_threads, given.max_epochs)
            get_reusable_executor().shutdown(wait=True)
            cold, others = seconds(2, n_threads, given.max_epochs)
            warm, _ = seconds(2, n_threads, given.max_epochs)
            rows.append((alone, cold, cold / alone, warm, warm / alone, (scores == others).all()))
        middle = [statistics.median(column) for column in list(zip(*rows, strict=True))[:5]]
        same = all(row[5] for row in rows)
        lines.append([n_threads, *(f"{value:.2f}" for value in middle), "yes" if same else "no"])
    head = ["n_threads", "n_jobs=1, s", "n_jobs=2, s", "ratio", "with workers started, s", "ratio", "same scores"]
    table("Searches on two processes", head, lines)


if __name__ == "__main__":
    main()
