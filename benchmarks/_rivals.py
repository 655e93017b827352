"""Classifiers that a user would fit to the same rows instead, as scikit-learn has them."""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from ._data import MAX_ITER

__all__ = ["READS_ALL", "RIVALS", "fitted", "rival_scores"]

RIVALS = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=MAX_ITER),
    "random forest": lambda seed: RandomForestClassifier(random_state=seed),
    "extra trees": lambda seed: ExtraTreesClassifier(random_state=seed),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "neighbours": lambda seed: KNeighborsClassifier(),
    "self-training": lambda seed: SelfTrainingClassifier(LogisticRegression(max_iter=MAX_ITER)),
    "label spreading": lambda seed: LabelSpreading(kernel="knn"),
}
READS_ALL = ("self-training", "label spreading")  # rows without a label, too


def fitted(name, rows, y, known, seed):
    """Fit a rival to the labels of some rows; to those rows, or to all of them if it reads rows without a label."""
    if name in READS_ALL:
        partly = np.full(len(y), -1)
        partly[known] = y[known]
        return RIVALS[name](seed).fit(rows, partly)
    return RIVALS[name](seed).fit(rows[known], y[known])


def rival_scores(split, rows, rows_test, seed, names):
    """Accuracies of rivals with all labels and with few, the mean of the draws: by name and regime."""
    found = {}
    for name in names:
        draws = {"few": split.few} if name in READS_ALL else {"all": [np.arange(len(split.y))], "few": split.few}
        found[name] = {
            score: round(
                float(np.mean([fitted(name, rows, split.y, k, seed).score(rows_test, split.y_test) for k in known])), 5
            )
            for score, known in draws.items()
        }
    return found
