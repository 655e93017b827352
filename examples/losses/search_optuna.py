"""
Search by Optuna
================

A grid search tries every combination. Optuna proposes the next setting from the scores
of the previous ones. It needs no special support: a trial is a set of parameters, and
its score is a cross-validation. This script searches twice. The first search uses
labels, through a logistic regression behind the embedder. The second uses none, but
``GCAEmbedder.score``, which measures how much of held-out rows survives in their views.

    pip install "skgca[search]"
    python examples/losses/search_optuna.py
    python examples/losses/search_optuna.py --trials 50
"""

import argparse

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline

from skgca import GCAEmbedder

parser = argparse.ArgumentParser()
parser.add_argument("--trials", type=int, default=8)
parser.add_argument("--rows", type=int, default=500)
parser.add_argument("--max-epochs", type=int, default=20)
given = parser.parse_args()

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=given.rows, stratify=y, random_state=0
)
# The same folds for all trials
shuffled = {"n_splits": 2, "shuffle": True, "random_state": 0}


def embedder(trial):
    """Return an embedder with the parameters of a new or finished trial."""
    return GCAEmbedder(
        epsilon=trial.suggest_float("epsilon", 0.05, 2.0, log=True),
        marginals=trial.suggest_categorical("marginals", ["row", "balanced"]),
        corruption_rate=trial.suggest_float("corruption_rate", 0.1, 0.5),
        max_epochs=given.max_epochs,
        random_state=0,
    )


def with_probe(trial):
    return make_pipeline(embedder(trial), LogisticRegression(max_iter=1000))


def labelled(trial):
    folds = StratifiedKFold(**shuffled)
    return cross_val_score(with_probe(trial), X, y, cv=folds).mean()


def unlabelled(trial):
    return cross_val_score(embedder(trial), X, cv=KFold(**shuffled)).mean()


optuna.logging.set_verbosity(optuna.logging.WARNING)
for name, objective in (("with labels", labelled), ("without labels", unlabelled)):
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=given.trials)
    best = with_probe(study.best_trial).fit(X, y)  # which has its values
    found = (
        f"score {study.best_value:.3f}, test accuracy {best.score(X_test, y_test):.3f}"
    )
    print(f"{name}: {study.best_params}, {found}")
plain = GCAEmbedder(max_epochs=given.max_epochs, random_state=0)
default = make_pipeline(plain, LogisticRegression(max_iter=1000))
print(f"defaults: test accuracy {default.fit(X, y).score(X_test, y_test):.3f}")
