"""Metadata that GCAEmbedder reads: labels, values, domains, affinities and groups."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
import skops.io
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skgca import SKOPS_TRUSTED, GCAEmbedder
from skgca._persistence.codec import NotSaved, decode, encode
from skgca.exceptions import SavedFileError
from skgca.inspection import plan_of_rows
from skgca.losses import AffinityTarget, ContinuousTarget, DomainsTarget, LabelsTarget, PairsTarget, Target
from skgca.losses._targets import TARGETS

from ..models import quick
from ..numerics import NETWORK, assert_close, error

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def embed(y=None, X=X, *, params, **metadata):
    return quick(**params).fit(X, y, **metadata).transform(X)


def first_loss(y=None, *, params, **metadata):
    """Mean loss of the first epoch, in which training has not yet amplified rounding."""
    return quick(**{**params, "max_epochs": 1}).fit(X, y, **metadata).history_[0]["loss"]


def same(values):
    """Affinity of rows with equal values."""
    values = np.asarray(values)
    return (values[:, None] == values).astype(float)


# Labels

HALF = np.where(np.arange(150) % 2, Y, -1)  # half of the rows unlabelled
HALF_NAMES = [name if k % 2 else None for k, name in enumerate(NAMES)]
LABELS = {
    "list": HALF.tolist(),
    "int8": HALF.astype(np.int8),
    "float": HALF.astype(float),
    "NaN": np.where(HALF == -1, np.nan, HALF),
    "shifted codes": np.where(HALF == -1, -1, HALF + 7),
    "text and None": HALF_NAMES,
    "text and -1": np.array([-1 if name is None else name for name in HALF_NAMES], dtype=object),
    "numbers and None": np.array([None if label == -1 else label for label in HALF.tolist()], dtype=object),
    "text column": pd.Series(HALF_NAMES),
    "string dtype": pd.Series(HALF_NAMES, dtype="string"),
    "categories": pd.Series(HALF_NAMES, dtype="category"),
    "nullable integers": pd.Series(HALF).astype("Int64").replace(-1, pd.NA),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_and_their_absence_in_any_form(name):
    expected = embed(HALF, params={"target": "labels"})
    assert np.array_equal(embed(LABELS[name], params={"target": "labels"}), expected)


def test_labels_change_what_is_learned_and_pairs_read_none():
    plain = embed(params={})
    assert np.array_equal(embed(HALF, params={}), plain)
    assert not np.array_equal(embed(HALF, params={"target": "labels"}), plain)
    assert not np.array_equal(embed(HALF, params={"target": "labels"}), embed(Y, params={"target": "labels"}))


def test_supcon_is_ince_with_labels():
    assert np.array_equal(embed(Y, params={"loss": "supcon"}), embed(Y, params={"loss": "ince", "target": "labels"}))
    assert np.array_equal(embed(params={"loss": "supcon", "target": "pairs"}), embed(params={"loss": "ince"}))


def test_rows_without_a_class_match_themselves_only():
    """Classes of a single row are like -1; both are tried together with two classes of two rows."""
    alone, unknown = np.arange(150) + 1000, np.full(150, -1)
    alone[:4] = unknown[:4] = [7, 7, 8, 8]
    assert np.array_equal(embed(alone, params={"target": "labels"}), embed(unknown, params={"target": "labels"}))


@pytest.mark.slow
def test_a_few_labels_help_to_embed_digits():
    X, y = load_digits(return_X_y=True)
    X, y = X[:900], y[:900]
    labelled = np.concatenate([np.flatnonzero(y == label)[:30] for label in range(10)])
    rest = np.setdiff1d(np.arange(900), labelled)
    partly = np.full(900, -1)
    partly[labelled] = y[labelled]

    def accuracy(target):
        # the embedding alone: beside the raw pixels, the difference is within the spread over seeds
        model = GCAEmbedder(32, target=target, max_epochs=60, random_state=0, layers="last", passthrough=False)
        embedding = model.fit(X, partly).transform(X)
        return LogisticRegression(max_iter=1000).fit(embedding[labelled], y[labelled]).score(embedding[rest], y[rest])

    assert accuracy("labels") > accuracy("pairs") + 0.01


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"requires y to be passed, but the target y is None: target='labels' reads it"),
        (np.linspace(0, 1, 150), r"y holds fractions, such as 0.00671.*use target='continuous'"),
        (np.full(150, -1), r"y holds no information: all of its 150 entries are -1, None or NaN"),
        (np.where(HALF == -1, "-1", NAMES), r"y holds the text '-1'. Mark rows of no class by None"),
        (np.where(Y == 0, -1, 1), r"y holds one class only, 1, where target='labels' needs two or more; -1 marks rows"),
        (["a"] * 150, r"y holds one class only, 'a'"),
        (Y[:100], r"inconsistent numbers of samples: \[150, 100\]"),
        (np.stack([Y, Y], axis=1), r"y should be a 1d array"),
    ],
)
def test_labels_that_cannot_be_read(y, message):
    with pytest.raises(ValueError, match=message):
        quick(target="labels").fit(X, y)


def test_in_a_search_where_only_labels_read_y():
    model = make_pipeline(quick(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(model, {"gcaembedder__target": ["pairs", "labels"]}, cv=2, error_score="raise").fit(X, NAMES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_tag_says_whether_y_is_read():
    reading = [{"loss": "supcon"}, {"target": "labels"}, {"target": "continuous"}, {"target": lambda y: same(y)}]
    not_reading = [{}, {"loss": "supcon", "target": "pairs"}, {"target": "domains"}, {"target": same(Y)}]
    assert all(quick(**params).__sklearn_tags__().target_tags.required for params in reading)
    assert not any(quick(**params).__sklearn_tags__().target_tags.required for params in not_reading)


# Values, callables and matrices

WIDTH = X[:, 0]


def closeness(sigma):
    return lambda y: torch.exp(-(y[:, None] - y).abs() / sigma)


def test_close_values_match_as_the_formula_says():
    expected = first_loss(WIDTH, params={"target": closeness(0.5)})
    assert_close(first_loss(WIDTH, params={"target": "continuous", "sigma": 0.5}), expected, NETWORK)
    assert error(first_loss(WIDTH, params={"target": "continuous"}), expected) > 2e-3  # sigma = 1


def test_values_far_from_zero_and_of_two_columns():
    flat = np.stack([WIDTH, np.full(150, 3.0)], axis=1)
    expected = first_loss(WIDTH, params={"target": "continuous"})
    for values in (WIDTH + 2**20, flat):
        assert_close(first_loss(values, params={"target": "continuous"}), expected, NETWORK)


def test_unknown_values_match_themselves_only():
    some = np.where(np.arange(150) % 2, WIDTH, np.nan)
    assert np.isfinite(embed(some, params={"target": "continuous"})).all()
    with pytest.raises(ValueError, match="y holds no information: all of its 150 entries are NaN"):
        embed(np.full(150, np.nan), params={"target": "continuous"})
    with pytest.raises(ValueError, match="contains infinity"):
        embed(np.full(150, np.inf), params={"target": "continuous"})
    with pytest.raises(ValueError, match=r"y holds 'setosa', where numbers are read. Convert your data to numeric"):
        embed(NAMES, params={"target": "continuous"})


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_a_matrix_says_what_labels_do(form):
    assert np.array_equal(embed(params={"target": form(same(Y))}), embed(Y, params={"target": "labels"}))


def test_a_callable_says_what_labels_do():
    def equal(y):
        assert isinstance(y, torch.Tensor)
        return y[:, None] == y

    expected = embed(Y, params={"target": "labels"})
    for y in (Y, Y.astype(float), NAMES):
        assert np.array_equal(embed(y, params={"target": equal}), expected)


def test_a_callable_gets_row_numbers_in_cross_validation():
    affinity = same(Y)
    model = quick(target=lambda rows: affinity[rows][:, rows])
    whole = model.fit(X, np.arange(150)).transform(X)
    assert np.array_equal(whole, embed(params={"target": affinity}))
    part = np.arange(0, 150, 2)
    assert np.array_equal(
        model.fit(X[part], part).transform(X), quick(target=affinity[part][:, part]).fit(X[part]).transform(X)
    )


def test_a_matrix_survives_clone_and_get_params():
    model = quick(target=same(Y))
    assert np.array_equal(clone(model).target, model.target)
    assert "target=array" in repr(model)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (same(Y)[:100, :100], r"target has shape \(100, 100\), but 150 rows need an affinity .* row numbers as y"),
        (same(Y)[:, :100], r"target has shape \(150, 100\)"),
        (-same(Y), r"target holds an affinity of -1.0; all must be >= 0"),
        (np.full((150, 150), np.nan), "contains NaN"),
        (lambda y: torch.ones(3, 3), r"target has shape \(3, 3\); 75 rows need an affinity \(75, 75\)"),
        (lambda y: -torch.ones(len(y), len(y)), r"affinity must hold finite values >= 0; its smallest is -1.0"),
    ],
)
def test_affinities_that_cannot_be_read(target, message):
    with pytest.raises(ValueError, match=message):
        quick(target=target).fit(X, Y)


def test_rows_that_an_affinity_leaves_alone_fall_back_to_their_pair():
    """Affinities without a diagonal: one of zeros, and one whose matches are mostly in other batches."""
    assert np.array_equal(embed(params={"target": np.zeros((150, 150))}), embed(params={"target": np.eye(150)}))
    next_row = scipy.sparse.csr_array(np.eye(150, k=1))
    assert np.isfinite(embed(params={"target": next_row, "batch_size": 8})).all()


# Domains

DOMAIN = np.arange(150) % 3


def test_domains_by_their_formula():
    prior = DomainsTarget(alpha=0.2, beta=0.1)
    expected = embed(DOMAIN, params={"target": lambda y: prior(y)})
    params = {"target": "domains", "alpha": 0.2, "beta": 0.1}
    for domain in (DOMAIN, np.array(["here", "lab", "there"])[DOMAIN], pd.Series(DOMAIN, dtype="category")):
        assert np.array_equal(embed(params=params, sample_domain=domain), expected)


def test_domains_do_not_read_y_and_their_prior_has_a_sign():
    same_domain, other_domain = (
        embed(y, params={"target": "domains", "alpha": alpha, "beta": beta}, sample_domain=DOMAIN)
        for y, alpha, beta in ((None, 0.5, 0.0), (Y, 0.0, 0.5))
    )
    assert error(same_domain, other_domain) > 0.1
    none = first_loss(params={"target": "domains", "alpha": 0.0}, sample_domain=DOMAIN)
    assert_close(none, first_loss(params={}), NETWORK)


def test_domains_that_are_missing_or_not_read():
    with pytest.raises(ValueError, match="target='domains' reads sample_domain; pass it to fit"):
        quick(target="domains").fit(X)
    message = "sample_domain is given, but target="
    for target, shown in ((None, "'pairs'"), (LabelsTarget(), r"LabelsTarget\(\)"), (same(Y), "a matrix")):
        with pytest.raises(ValueError, match=message + shown + " does not read it. Set target='domains' or another"):
            quick(target=target).fit(X, Y, sample_domain=DOMAIN)
    with pytest.raises(ValueError, match=r"sample_domain holds fractions, such as 0.5.* cut them into classes"):
        quick(target="domains").fit(X, sample_domain=DOMAIN + 0.5)


# Targets as objects

OBJECTS = {  # an object, the same by name, and what it reads
    "pairs": (PairsTarget(), {"target": "pairs"}, {}),
    "labels": (LabelsTarget(), {"target": "labels"}, {"y": HALF_NAMES}),
    "continuous": (ContinuousTarget(sigma=2.0), {"target": "continuous", "sigma": 2.0}, {"y": WIDTH + 2**20}),
    "domains": (
        DomainsTarget(0.5, beta=0.25),
        {"target": "domains", "alpha": 0.5, "beta": 0.25},
        {"sample_domain": [f"lab {code}" if code else None for code in DOMAIN]},
    ),
}
EVERY_OBJECT = pytest.mark.parametrize("name", OBJECTS)


def one_epoch(**params):
    return quick(**{"max_epochs": 1, **params})


def test_every_target_is_tried_as_an_object():
    assert {*OBJECTS, "affinity"} == set(TARGETS)
    assert all(type(target) is TARGETS[name] for name, (target, _, _) in OBJECTS.items())


@EVERY_OBJECT
def test_an_object_trains_as_its_name_does(name):
    target, params, metadata = OBJECTS[name]
    expected = one_epoch(**params).fit(X, **metadata).transform(X)
    assert np.array_equal(one_epoch(target=target).fit(X, **metadata).transform(X), expected)
    inherited = type("Inherited", (type(target),), {})(**target.get_config())
    assert np.array_equal(one_epoch(target=inherited).fit(X, **metadata).transform(X), expected)
    if name != "pairs":
        assert not np.array_equal(one_epoch().fit(X).transform(X), expected)


@EVERY_OBJECT
def test_an_object_has_the_tags_of_its_name(name):
    target, params, metadata = OBJECTS[name]
    required = [quick(**given).__sklearn_tags__().target_tags.required for given in ({"target": target}, params)]
    assert required == ["y" in metadata] * 2


@EVERY_OBJECT
def test_an_object_survives_clone_pickles_and_files(name, tmp_path):
    target, _, metadata = OBJECTS[name]
    fitted = one_epoch(target=target).fit(X, **metadata)
    fitted.save(tmp_path / "model")
    opened = skops.io.loads(skops.io.dumps(fitted), trusted=SKOPS_TRUSTED)
    for other in (clone(fitted), pickle.loads(pickle.dumps(fitted)), GCAEmbedder.load(tmp_path / "model"), opened):
        assert type(other.target) is type(target)
        assert other.target == target == other.get_params()["target"]
    opened.fit(X, **metadata)
    assert np.array_equal(opened.transform(X), fitted.transform(X))
    assert quick().set_params(target=target).target is target


def test_an_object_in_a_file_is_its_class_and_its_configuration():
    encoded = encode(DomainsTarget(0.5, 0.25), {}, "target")
    assert encoded == {"target": ["DomainsTarget", {"alpha": 0.5, "beta": 0.25}]}
    assert decode(encoded, {}) == DomainsTarget(0.5, 0.25)
    with pytest.raises(SavedFileError, match=r"the target 'Gone' is not known; this version knows \['AffinityTarget'"):
        decode({"target": ["Gone", {}]}, {})


@EVERY_OBJECT
def test_an_object_shows_the_plan_that_its_name_does(name):
    target, params, metadata = OBJECTS[name]
    plans = [
        plan_of_rows(one_epoch(**given).fit(X, **metadata), X, **metadata, max_rows=40, random_state=0)
        for given in ({"target": target}, params)
    ]
    assert np.array_equal(plans[0].target, plans[1].target)
    assert np.array_equal(plans[0].plan, plans[1].plan)
    assert [plan.target_name for plan in plans] == [repr(target), name]


@pytest.mark.parametrize(
    ("params", "metadata", "message"),
    [
        ({"target": DomainsTarget(0.5)}, {}, r"target=DomainsTarget\(.* reads sample_domain; pass it to fit"),
        ({"target": LabelsTarget()}, {}, r"the target y is None: target=LabelsTarget\(\) reads it"),
        (
            {"target": LabelsTarget()},
            {"y": [3] * 150},
            r"y holds one class only, 3, where target=LabelsTarget\(\) needs",
        ),
        ({"target": LabelsTarget()}, {"y": WIDTH + 0.01}, r"y holds fractions, such as 5.1"),
        ({"target": ContinuousTarget()}, {"y": NAMES}, r"Convert your data to numeric values"),
        ({"target": AffinityTarget()}, {}, r"target=AffinityTarget\(\) holds no affinity; pass the matrix itself"),
        ({"target": LabelsTarget}, {"y": Y}, r"target=LabelsTarget is a class; give an object of it"),
        (
            {"target": DomainsTarget(0.5), "alpha": 0.1},
            {"sample_domain": DOMAIN},
            r"target=DomainsTarget\(alpha=0.5, beta=0.0\) does not use alpha=0.1, which has no effect: an object",
        ),
        ({"target": ContinuousTarget(), "sigma": 0.1}, {"y": WIDTH}, r"does not use sigma=0.1, .* target='continuous'"),
        ({"target": LabelsTarget(), "beta": 0.1}, {"y": Y}, r"does not use beta=0.1, .* or use target='domains'"),
    ],
)
def test_an_object_that_cannot_be_read_or_an_option_beside_it(params, metadata, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X, **metadata)


class Nearby(Target):
    """A target of one's own with a configuration, which gets the numbers of y as they are."""

    def __init__(self, width):
        self.width = width

    def get_config(self):
        return {"width": self.width}

    def __eq__(self, other):
        return type(other) is Nearby and other.width == self.width

    def __call__(self, values):
        assert isinstance(values, torch.Tensor)
        return ((values[:, None] - values).abs() < self.width).float()


class NearbyDomains(Nearby):
    reads = "sample_domain"
    encoding = "classes"


def test_a_target_of_ones_own_is_read_as_a_callable_is(tmp_path):
    target = Nearby(0.3)
    fitted = one_epoch(target=target).fit(X, WIDTH)
    called = one_epoch(target=lambda y: target(y)).fit(X, WIDTH)
    assert np.array_equal(fitted.transform(X), called.transform(X))
    assert quick(target=target).__sklearn_tags__().target_tags.required
    fitted.save(tmp_path / "model")
    assert GCAEmbedder.load(tmp_path / "model", custom={"target": Nearby}).target == target
    assert isinstance(GCAEmbedder.load(tmp_path / "model").target, NotSaved)
    assert repr(target) == "Nearby(width=0.3)"  # by which a checkpoint knows its training
    weight = np.where(np.arange(150) % 4 == 1, 0.0, 1.0)
    weighted = one_epoch(target=target).fit(X, WIDTH, sample_weight=weight)
    alone = one_epoch(target=target).fit(X[weight > 0], WIDTH[weight > 0])
    assert np.array_equal(weighted.transform(X), alone.transform(X))


def test_a_target_of_ones_own_may_read_domains():
    fitted = one_epoch(target=NearbyDomains(0.5)).fit(X, sample_domain=DOMAIN)
    expected = one_epoch(target="domains", alpha=1.0).fit(X, sample_domain=DOMAIN)
    assert np.array_equal(fitted.transform(X), expected.transform(X))
    assert not quick(target=NearbyDomains(0.5)).__sklearn_tags__().target_tags.required


# Groups of related rows


def test_groups_by_column_and_by_callable():
    expected = embed(params={}, sample_group=DOMAIN)
    assert error(expected, embed(params={})) > 0.01
    assert np.array_equal(embed(params={}, sample_group=np.array(["a", "b", "c"])[DOMAIN]), expected)
    assert np.array_equal(embed(params={"related": lambda g: g[:, None] == g}, sample_group=DOMAIN), expected)


def test_groups_of_one_row_and_none_change_nothing():
    plain = first_loss(params={})
    for groups in (np.arange(150), np.where(np.arange(150) == 3, 7, -1)):
        with pytest.warns(UserWarning, match="a group of its own for each of (150|1) rows, so no rows are related"):
            assert_close(first_loss(params={}, sample_group=groups), plain, NETWORK)


def test_one_group_of_all_rows_is_refused():
    with pytest.raises(ValueError, match=r"sample_group holds one group only, 'lab', so no row is evidence against"):
        quick().fit(X, sample_group=["lab"] * 150)
    assert np.isfinite(embed(params={}, sample_group=["lab"] * 149 + [None])).all()


def test_times_are_related_by_a_callable():
    seconds = 1.7e9 + np.arange(150) / 4  # more digits than float32 holds
    seen = []

    def within_a_second(t):
        seen.append(t)
        return (t[:, None] - t).abs() < 1

    near = embed(params={"related": within_a_second}, sample_group=seconds)
    assert {t.dtype for t in seen} == {torch.float64}
    assert not np.array_equal(near, embed(params={}))
    with pytest.raises(ValueError, match=r"sample_group holds fractions.*give related= to say which are close"):
        embed(params={}, sample_group=seconds)
    with pytest.raises(ValueError, match="related is given, but there is no sample_group"):
        embed(params={"related": within_a_second})
    with pytest.raises(ValueError, match=r"related has shape \(75, 75\) of torch.float64"):
        embed(params={"related": lambda t: t[:, None] - t}, sample_group=seconds)


# Together with weights, and routed

BESIDE = {
    "labels": ({"target": "labels"}, {"y": HALF}),
    "values": ({"target": "continuous"}, {"y": WIDTH}),
    "callable": ({"target": closeness(1.0)}, {"y": WIDTH}),
    "domains": ({"target": "domains"}, {"sample_domain": DOMAIN}),
    "groups": ({}, {"sample_group": DOMAIN}),
    "relation": ({"related": lambda g: g[:, None] == g}, {"sample_group": DOMAIN}),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_what_belongs_to_a_row_of_weight_zero_goes_with_it(kind):
    params, metadata = BESIDE[kind]
    weight = np.where(np.arange(150) % 4 == 1, 0.0, 2.0)
    kept = weight > 0
    weighted = quick(**params).fit(X, **metadata, sample_weight=weight)
    alone = quick(**params).fit(X[kept], **{name: value[kept] for name, value in metadata.items()})
    assert np.array_equal(weighted.transform(X), alone.transform(X))


def test_the_part_of_a_matrix_between_rows_of_some_weight():
    weight = np.where(np.arange(150) % 4 == 1, 0.0, 1.0)
    kept = weight > 0
    weighted = quick(target=same(Y)).fit(X, sample_weight=weight).transform(X)
    assert np.array_equal(weighted, quick(target=same(Y)[kept][:, kept]).fit(X[kept]).transform(X))


@pytest.mark.parametrize("kind", ["domains", "groups"])
def test_domains_and_groups_are_routed(kind):
    params, metadata = BESIDE[kind]
    (name,) = metadata
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(quick(**params).set_fit_request(**{name: True}), LogisticRegression(max_iter=1000))
        routed = model.fit(X, Y, **metadata)[:-1].transform(X)
        assert np.array_equal(routed, quick(**params).fit(X, **metadata).transform(X))
        scores = cross_val_score(model, X, Y, params=metadata, cv=3)
    assert np.isfinite(scores).all()
