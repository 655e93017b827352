"""Tables of what choice.py left: is the setting that a score picks better than the default, and better than chance?"""

import warnings

import numpy as np
import pandas as pd
from scipy.stats import ConstantInputWarning
from sklearn.linear_model import RidgeCV

from skgca.metrics import consistency_score

from ._data import SCORES
from ._printing import PLUS_MINUS, about, table
from ._statistics import holm, p_text, signed_rank
from .choice_scores import BAD, clusters, few_probe, members, overlap
from .score_report import CHOSEN, DEFAULT, arrays_of

SPREADS = 2  # by which a cautious user wants a score to be above that of the default
OVER = ("default", "mean")  # what a pick is compared with; the mean is what a pick by chance has
CLEAR = 0.01  # difference in accuracy that is to be told


class Set:
    """Scores and accuracies of the settings of a set, in frames of settings by columns; means over the seeds."""

    def __init__(self, name, records, found, folder):
        self.name = name
        fits = {key[1:]: record for key, record in records.items() if key[0] == name}
        seeds = sorted({seed for _, seed in fits})
        settings = [s for s in dict.fromkeys(s for s, _ in fits) if all((s, seed) in fits for seed in seeds)]
        self.good = [setting for setting in settings if setting not in BAD]
        single = {(setting, seed): {} for setting in settings for seed in seeds}
        for (data, setting, seed, _), values in found.items():
            if data == name and setting in settings:
                single[setting, seed].update(values)
        for seed in seeds:
            for setting, values in agreement({s: fits[s, seed] for s in settings}, self.good, folder).items():
                single[setting, seed].update(values)
        single = pd.DataFrame(single).T  # settings and seeds by scores
        self.scores = single.groupby(level=0).mean().loc[settings]
        # the spread of a difference of two settings, each the mean over seeds, by that between seeds
        self.spread = np.sqrt(2 * single.loc[self.good].groupby(level=0).var().mean() / len(seeds))
        if len(seeds) > 1:
            for setting in settings:
                pair = [learned(fits[setting, seed], folder) for seed in seeds[:2]]
                self.scores.loc[setting, "consistency between seeds"] = consistency_score(*pair)
        self.draws = {  # settings by draws of labels
            key: pd.DataFrame({s: np.mean([fits[s, seed][key] for seed in seeds], axis=0) for s in settings}).T
            for key in ("all", "few", "validated all", "validated few")
        }
        self.accuracy = {labels: self.draws[labels].mean(axis=1) for labels in SCORES}
        self.repeats = {labels: repeats(fits, self.good, seeds, labels) for labels in SCORES}

    def pick(self, score, cautious=False):
        """Return the setting that a score picks; the default if none is, or a cautious user is not convinced."""
        values = self.scores.loc[self.good, score].dropna()
        if not len(values):
            return DEFAULT
        best = values.idxmax()
        if cautious and not values[best] - values[DEFAULT] > SPREADS * self.spread.get(score, np.inf):
            return DEFAULT
        return best

    def gain(self, setting, labels, over="default"):
        """Points of accuracy above the default, or above the mean over the settings."""
        accuracy = self.accuracy[labels]
        base = accuracy[DEFAULT] if over == "default" else accuracy[self.good].mean()
        return 100 * (accuracy[setting] - base)

    def validated(self, by, labels, over="default"):
        """Points above by the setting that cross-validation with labels picks, the mean over draws."""
        picks = self.draws[f"validated {by}"].loc[self.good].idxmax()
        if by == labels:  # a draw of labels is what the setting is picked by, and what the probe reads
            values = self.draws[labels]
            base = values.loc[DEFAULT] if over == "default" else values.loc[self.good].mean()
            return 100 * np.mean([values.loc[pick, draw] - base[draw] for draw, pick in picks.items()])
        return np.mean([self.gain(pick, labels, over) for pick in picks])

    def ranks(self, names):
        """Scores of good settings as ranks from -0.5 to 0.5; 0 where a score is undefined."""
        found = self.scores.loc[self.good, names].rank()
        return ((found - found.mean()) / len(found)).fillna(0)

    def told(self, score, labels):
        """Share of the pairs of a good and a clearly worse bad setting that a score has in their order."""
        accuracy, found = self.accuracy[labels], []
        for bad in set(BAD) & set(self.scores.index):
            better = [setting for setting in self.good if accuracy[setting] > accuracy[bad] + CLEAR]
            found.extend(self.scores.loc[better, score] > self.scores.loc[bad, score])
        return np.mean(found) if found else np.nan


def learned(record, folder):
    """Embeddings of held-out rows, without the columns that are passed through."""
    return arrays_of(record, folder)["Z"][:, : record["n_learned"]]


def agreement(fits, good, folder):
    """How an embedding agrees with those of all good settings, by the same seed: neighbours, and common clusters."""
    arrays = {setting: arrays_of(record, folder) for setting, record in fits.items()}
    near = {setting: members(found["Z"]) for setting, found in arrays.items()}
    total = sum(near[setting] for setting in good)
    size = {setting: arrays[setting]["Z train"].std(axis=0).max() for setting in good}
    joint = [np.hstack([arrays[s][part] / size[s] for s in good]) for part in ("Z train", "Z")]
    classes = [clusters(joint, n) for n in (5, 10, 20)]
    found = {}
    for setting, of in arrays.items():
        own = setting in good
        share = overlap(near[setting], total - own * near[setting]) / max(1, len(good) - own)
        found[setting] = {
            "neighbours of other settings": share,
            "clusters of all settings, few rows": np.mean([few_probe(of["Z train"], of["Z"], c) for c in classes]),
        }
    return found


def repeats(fits, settings, seeds, labels):
    """Rank correlation of the accuracies of the settings by two seeds."""
    values = pd.DataFrame({seed: {s: np.mean(fits[s, seed][labels]) for s in settings} for seed in seeds})
    return values.corr("spearman").iloc[0, -1] if len(seeds) > 1 else np.nan


# ------------------------------------------------------------------------- what is chosen on sets, for another set


def best_setting(rest, labels):
    """Setting of the highest mean accuracy on some sets."""
    return pd.DataFrame({one.name: one.accuracy[labels][one.good] for one in rest}).mean(axis=1).idxmax()


def best_score(rest, labels, names):
    """Score, and whether to use it cautiously, whose picks are best on some sets."""
    ways = [(name, cautious) for name in names for cautious in (False, True)]
    return max(ways, key=lambda way: np.mean([one.gain(one.pick(*way), labels) for one in rest]))


def mixture_pick(one, rest, labels, names):
    """Return the setting with the best prediction by a ridge regression from ranks of all scores, fitted on others."""
    ranks = np.concatenate([other.ranks(names) for other in rest])
    gains = np.concatenate([[other.gain(setting, labels, "mean") for setting in other.good] for other in rest])
    model = RidgeCV(np.logspace(-1, 3, 9)).fit(ranks, gains)
    return one.good[int(np.argmax(model.predict(one.ranks(names).to_numpy())))]


# ------------------------------------------------------------------------------------------------------- tables


def ways_of(sets, labels, names):
    """Ways to choose but for single scores: by name, a function of a set that returns a setting."""

    def others(one):
        return [other for other in sets if other is not one]

    def by_rank(one, chosen):
        return one.ranks(chosen).mean(axis=1).idxmax()

    imitated = [name for name in names if name.startswith(("hidden columns", "leaves", "clusters"))]
    return {
        "the best on the held-out rows": lambda one: one.accuracy[labels][one.good].idxmax(),
        "the default": lambda one: DEFAULT,
        "the best setting of the other sets": lambda one: best_setting(others(one), labels),
        "the best score of the other sets": lambda one: one.pick(*best_score(others(one), labels, names)),
        "a mixture fitted on the other sets": lambda one: mixture_pick(one, others(one), labels, names),
        "mean rank of all scores": lambda one: by_rank(one, names),
        "mean rank of imitated classifiers": lambda one: by_rank(one, imitated or names),
    }


def gains_of(sets, labels, names):
    """Points above the default and above the mean by name of the way to choose, each an array over sets."""
    found = {}
    for name, way in ways_of(sets, labels, names).items():
        picks = [way(one) for one in sets]
        found[name] = [[one.gain(pick, labels, over) for one, pick in zip(sets, picks, strict=True)] for over in OVER]
    for by, text in SCORES.items():
        found[f"cross-validation, {text}"] = [[one.validated(by, labels, over) for one in sets] for over in OVER]
    for name in names:
        found[name] = [[one.gain(one.pick(name), labels, over) for one in sets] for over in OVER]
    return {name: np.array(gains) for name, gains in found.items()}


def text_of(gains, p=None):
    """Mean and standard deviation over the sets, how many are better and worse, and the p value in brackets."""
    test = "" if p is None else f" ({p_text(p)})"
    better, worse = (gains > 0.005).sum(), (gains < -0.005).sum()
    return f"{gains.mean():+.2f}{PLUS_MINUS}{gains.std(ddof=1):.2f}, {better} / {worse}{test}"


def columns_of(sets, labels, names):
    """Cells of each way to choose, with the p values by Holm for all ways, and what its picks gain.

    "dealt" is what the picks would gain above the default if they were dealt to the sets at random.
    """
    gains = gains_of(sets, labels, names)
    p_values = [holm([signed_rank(pair[place]) for pair in gains.values()]) for place in range(len(OVER))]
    cells = {
        name: [text_of(values, p) for values, p in zip(gains[name], pair, strict=True)]
        for name, *pair in zip(gains, *p_values, strict=True)
    }
    for name in names:
        cautious = np.array([one.gain(one.pick(name, cautious=True), labels) for one in sets])
        ranks = [one.scores.loc[one.good, name].corr(one.accuracy[labels][one.good], "spearman") for one in sets]
        told = [one.told(name, labels) for one in sets]
        dealt = np.mean([one.gain(other.pick(name), labels) for one in sets for other in sets])
        cells[name] += [f"{dealt:+.2f}", text_of(cautious), f"{np.nanmean(ranks):.2f}", f"{np.nanmean(told):.2f}"]
    return cells, {name: pair[0].mean() for name, pair in gains.items()}


def ways_and_scores(sets, names):
    """Print what is picked by other means and by `score`, and a table of all scores for each number of labels."""
    brief = {}
    for labels, text in SCORES.items():
        cells, gained = columns_of(sets, labels, names)
        for name, of in cells.items():
            if name not in names or name == CHOSEN:
                brief.setdefault(name, []).extend(of[:2])
        order = sorted(names, key=gained.get, reverse=True)
        head = ["above the default", "above the mean", "dealt", "if cautious", "rank correlation", "bad told"]
        table(f"Scores, {text}", ["", *head], [[name, *cells[name]] for name in order])
    head = ["picked by", *(f"{text}: above the {over}" for text in SCORES.values() for over in OVER)]
    table("Ways to choose", head, [[name, *of] for name, of in brief.items()])


def set_by_set(sets):
    head, rows = ["set", "`score` picks"], []
    for text in SCORES.values():
        head += [f"{text}: default", "mean", "best", "of the pick", "repeats"]
    for one in sets:
        cells = [one.name, one.pick(CHOSEN)]
        for labels in SCORES:
            accuracy = 100 * one.accuracy[labels][one.good]
            shown = accuracy[DEFAULT], accuracy.mean(), accuracy.max(), accuracy[one.pick(CHOSEN)]
            repeats = one.repeats[labels]
            cells += [*(f"{value:.1f}" for value in shown), "" if np.isnan(repeats) else f"{repeats:.2f}"]
        rows.append(cells)
    table("Choice, set by set", head, rows)


def setting_by_setting(sets):
    """Print what each setting is worth against the default, and its `score` as a share of that of the default."""
    settings = [name for name in sets[0].scores.index if name != DEFAULT]
    gains = [[np.array([one.gain(name, labels) for one in sets]) for labels in SCORES] for name in settings]
    adjusted = iter(holm([signed_rank(values) for row in gains for values in row]))
    rows = []
    for name, row in zip(settings, gains, strict=True):
        shares = np.array([one.scores.loc[name, CHOSEN] / one.scores.loc[DEFAULT, CHOSEN] for one in sets])
        lower = f"{shares.mean():.2f} ({shares.min():.2f} to {shares.max():.2f}), {(shares < 1).sum()} / {len(sets)}"
        rows.append([name, *(text_of(values, next(adjusted)) for values in row), lower])
    head = [f"{text}: above the default" for text in SCORES.values()]
    table("Settings", ["setting", *head, "`score`, share of the default's, lower on"], rows)


def report(records, found, given):
    """Print the tables.

    records, found : of fits by set, setting and seed, and of scores by these and the group of scores.
    """
    folder = given.out.with_suffix("")
    sets = [Set(name, records, found, folder) for name in dict.fromkeys(key[0] for key in records)]
    names = [name for name in sets[0].scores if name in (given.scores or sets[0].scores)]
    about(f"seeds {given.seeds}, split by seed [{given.split_seed}]; {len(sets)} sets, {len(sets[0].good)} settings")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)  # of correlations, where all accuracies are one
        ways_and_scores(sets, names)
    set_by_set(sets)
    setting_by_setting(sets)
