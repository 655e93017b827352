"""The plan of rows against an independent solution, and laws of it."""

import copy
import pickle
import random
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca.inspection import plan_of_rows
from skgca.losses import PRESETS, LearnableEpsilon
from skgca.ot import Marginals

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within, error
from ..reference import sinkhorn as reference
from .models import HELD_OUT, NAMES, PAIR, TRAIN, X, Y, fitted, fitted_to_pairs, projections, small

FREE, ROW, BALANCED = (0.0, 0.0), (np.inf, 0.0), (np.inf, np.inf)
# Of each loss what its plan is held to, and its iterations.
HELD = {
    "ince": (ROW, 1),
    "rince": (ROW, 1),
    "gca_ince": (BALANCED, 10),
    "gca_rince": (BALANCED, 10),
    "gca_uot": ((1.0, 1.0), 10),
    "byol": (FREE, 1),
    "iot": (BALANCED, 100),
    "iot_uni": (BALANCED, 100),
    "supcon": (ROW, 1),
}


def oracle(z_a, z_b, *, layout, epsilon, held, n_iter):
    """Plan of rows in units of what is due to one, entry by entry from the plan of views."""
    n = len(z_a)
    if layout == "joint":
        z = np.concatenate([z_a, z_b])
        scores = reference.mask_self(reference.cosine_scores(z, z, epsilon))
    else:
        scores = reference.cosine_scores(z_a, z_b, epsilon)
    mass = np.full(len(scores), 1 / len(scores))
    settings = {"epsilon": epsilon, "rho_row": held[0], "rho_col": held[1], "n_iter": n_iter}
    f, g = reference.log_sinkhorn(scores, mass, mass, **settings)
    of_views = reference.plan(scores, f, g)
    of_rows = np.zeros((n, n))
    for i in range(len(scores)):
        for j in range(len(scores)):
            of_rows[i % n, j % n] += n * of_views[i, j]
    return of_rows * (n / of_rows.sum()) if held == FREE else of_rows


def of_pairs(model, rows=HELD_OUT, **kwargs):
    return plan_of_rows(model, X[rows], Y[rows], X_pair=PAIR[rows], **kwargs)


def test_every_loss_is_here():
    assert set(HELD) == set(PRESETS)


@pytest.mark.parametrize("layout", ["joint", "cross"])
@pytest.mark.parametrize("loss", sorted(HELD))
def test_the_plan_is_that_of_the_oracle(loss, layout):
    model = fitted_to_pairs(loss=loss, layout=layout, epsilon=0.3)
    found = of_pairs(model)
    held, n_iter = HELD[loss]
    z_a, z_b = projections(model, X[HELD_OUT]), projections(model, PAIR[HELD_OUT])
    expected = oracle(z_a, z_b, layout=layout, epsilon=0.3, held=held, n_iter=n_iter)
    # Projections are in float32, and the cosines of the plan are divided by epsilon.
    assert_close(np.log(found.plan), np.log(expected), SINGLE, scale=1 / 0.3)
    assert_close(found.row_mass, expected.sum(axis=1), SINGLE)
    assert_close(found.col_mass, expected.sum(axis=0), SINGLE)
    assert (found.loss, found.layout, found.epsilon, found.marginals) == (loss, layout, 0.3, Marginals(*held))
    if loss != "supcon":
        assert_close(found.target, np.eye(75), DOUBLE)


def test_marginals_that_bind_hold_the_masses_at_one():
    balanced, row = of_pairs(fitted_to_pairs(loss="iot")), of_pairs(fitted_to_pairs(loss="ince"))
    for mass in (balanced.row_mass, balanced.col_mass, row.row_mass):
        assert_within(mass, 1.0, 1e-6)  # which is what 100 iterations leave at most
    assert np.ptp(row.col_mass) > 0.01


def test_the_target_plan_of_labels():
    layouts = {"joint": lambda same: 4 * same.sum(1) - 2, "cross": lambda same: same.sum(1)}  # matches of all views
    same = Y[HELD_OUT][:, None] == Y[HELD_OUT]
    for layout, n_matches in layouts.items():
        found = of_pairs(fitted_to_pairs(loss="supcon", layout=layout))
        counts = 4.0 * same - 2 * np.eye(75) if layout == "joint" else same
        assert_close(found.target, counts / n_matches(same)[:, None], DOUBLE)
        assert found.target_name == "labels"


def test_the_target_plan_of_domains():
    model = fitted(target="domains", alpha=0.05, beta=0.01)
    found = plan_of_rows(model, X[HELD_OUT], Y[HELD_OUT], sample_domain=NAMES[HELD_OUT])
    same = NAMES[HELD_OUT][:, None] == NAMES[HELD_OUT]
    counts = 4 * np.where(same, 0.05, 0.01)  # 25 rows of each domain, so all have the same mass unscaled
    np.fill_diagonal(counts, 2.0)
    assert_close(found.target, counts / counts.sum(axis=1, keepdims=True), 3e-6)  # shares of domains are in float32
    assert found.target_name == "domains"
    assert found.domain.tolist() == NAMES[HELD_OUT].tolist()


def test_targets_of_values_and_callables():
    continuous = plan_of_rows(fitted(target="continuous"), X[HELD_OUT], Y[HELD_OUT])
    called = plan_of_rows(small(target=_alike).fit(X[TRAIN], Y[TRAIN]), X[HELD_OUT], Y[HELD_OUT])
    same = Y[HELD_OUT][:, None] == Y[HELD_OUT]
    assert continuous.target[same].min() > continuous.target[~same].max() > 0
    assert not called.target[~same].any()
    assert (continuous.target_name, called.target_name) == ("continuous", "callable")


def test_a_matrix_of_training_rows_says_nothing_of_others():
    model = small(target=np.ones((75, 75))).fit(X[TRAIN])
    found = plan_of_rows(model, X[HELD_OUT])
    assert_close(found.target, np.eye(75), DOUBLE)
    assert found.target_name == "pairs, as the target of these rows is not known"


def test_a_target_that_was_not_saved_is_not_known(tmp_path):
    small(target=_alike).fit(X[TRAIN], Y[TRAIN]).save(tmp_path / "model")
    found = plan_of_rows(GCAEmbedder.load(tmp_path / "model"), X[HELD_OUT], Y[HELD_OUT])
    assert found.target_name == "pairs, as the target of these rows is not known"


def test_a_learned_epsilon_is_where_training_ended():
    model = fitted_to_pairs(epsilon=LearnableEpsilon(0.4), lr=0.02)
    assert error(model.epsilon_, 0.4) > 1e-3
    assert_close(of_pairs(model).epsilon, model.epsilon_, SINGLE)  # which is a float32


def test_permuted_rows_permute_the_plan():
    model = fitted_to_pairs()
    order = np.random.default_rng(0).permutation(75)
    rows = np.arange(150)[HELD_OUT]
    found, permuted = of_pairs(model), of_pairs(model, rows[order])
    assert_close(permuted.plan, found.plan[np.ix_(order, order)], SINGLE)
    assert permuted.y.tolist() == found.y[order].tolist()


def test_nothing_global_changes_and_the_model_neither():
    model = fitted()
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    embedded = model.transform(X)
    first, again, other = (plan_of_rows(model, X, max_rows=40, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    assert before[2] == random.getstate()
    np.testing.assert_array_equal(model.transform(X), embedded)
    assert np.array_equal(first.plan, again.plan)
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)
    assert not np.array_equal(
        plan_of_rows(model, X[HELD_OUT], random_state=0).plan, plan_of_rows(model, X[HELD_OUT], random_state=1).plan
    )


def test_of_many_rows_a_random_part_is_taken():
    found = plan_of_rows(fitted_to_pairs(), X, Y, X_pair=PAIR, max_rows=40)
    part = of_pairs(fitted_to_pairs(), found.rows)
    assert len(found) == 40 == len(set(found.rows))
    assert np.array_equal(found.rows, np.sort(found.rows))
    np.testing.assert_array_equal(found.plan, part.plan)
    assert found.y.tolist() == Y[found.rows].tolist()


def test_rows_of_a_frame_keep_their_labels():
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"flower {k}" for k in range(150)])
    model = small().fit(frame[TRAIN])
    found = plan_of_rows(model, frame, max_rows=30)
    assert found.labels.tolist() == [f"flower {k}" for k in found.rows]
    assert plan_of_rows(fitted(), X, max_rows=30).labels.tolist() == found.rows.tolist()


def test_steps_of_a_pipeline_before_the_embedder_transform_rows():
    pipeline = make_pipeline(StandardScaler(), small(), LogisticRegression(max_iter=1000)).fit(X[TRAIN], Y[TRAIN])
    scaled = pipeline[0].transform(X[HELD_OUT])
    np.testing.assert_array_equal(plan_of_rows(pipeline, X[HELD_OUT]).plan, plan_of_rows(pipeline[1], scaled).plan)
    np.testing.assert_array_equal(
        plan_of_rows(pipeline, X[HELD_OUT], X_pair=X[HELD_OUT]).plan,
        plan_of_rows(pipeline[1], scaled, X_pair=scaled).plan,
    )


def test_images_and_series():
    images = load_digits().images[:60]
    pictured = GCAEmbedder(hidden_layer_sizes=(4, 4, 4), max_epochs=1, random_state=0).fit(images[:30])
    series = np.random.default_rng(0).normal(size=(60, 2, 20))
    heard = GCAEmbedder(hidden_layer_sizes=(4, 4, 4), max_epochs=1, random_state=0).fit(series[:30])
    for model, rows in ((pictured, images), (heard, series)):
        assert_within(plan_of_rows(model, rows[30:]).row_mass, 1.0, 1e-3)  # after ten iterations


def test_the_first_two_of_many_views():
    def shifted(by):
        return partial(_plus, by=by)

    two = small(views=[shifted(0.0), shifted(0.5)]).fit(X[TRAIN])
    three = copy.copy(two)
    three.net_ = copy.copy(two.net_)
    three.net_.views = small(views=[shifted(0.0), shifted(0.5), shifted(9.0)]).fit(X[TRAIN]).net_.views
    np.testing.assert_array_equal(plan_of_rows(two, X[HELD_OUT]).plan, plan_of_rows(three, X[HELD_OUT]).plan)


def _plus(batch, generator, *, by):
    return batch + by


def test_related_rows_have_no_mass_between_them():
    groups = np.arange(75) // 5
    model = fitted()
    found = plan_of_rows(model, X[HELD_OUT], sample_group=groups)
    related = (groups[:, None] == groups) & ~np.eye(75, dtype=bool)
    np.testing.assert_array_equal(found.related, related)
    assert found.plan[related].max() == 0.0
    assert found.plan[~related].min() > 0.0
    called = small(related=lambda group: group[:, None] == group).fit(X[TRAIN], sample_group=groups)
    np.testing.assert_array_equal(plan_of_rows(called, X[HELD_OUT], sample_group=groups).related, related)
    assert plan_of_rows(called, X[HELD_OUT]).related is None


@pytest.mark.parametrize("params", [{}, {"loss": "byol"}, {"views": "mixup"}, {"loss": "gca_uot", "layout": "cross"}])
def test_a_pickled_and_a_saved_embedder_still_have_plans(params, tmp_path):
    model = fitted(**params)
    model.save(tmp_path / "model")
    found = plan_of_rows(model, X[TRAIN]).plan  # whose rows views that learn from data learned from
    for other in (pickle.loads(pickle.dumps(model)), GCAEmbedder.load(tmp_path / "model")):
        assert other.net_.views is None
        assert_close(plan_of_rows(other, X[TRAIN]).plan, found, SINGLE)


def test_views_that_were_not_saved_are_asked_for(tmp_path):
    view = partial(_plus, by=0.1)
    model = small(views=[view, "clean"]).fit(X[TRAIN])
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"needs views, and views=<nothing: .* load\(path, custom=\{'views': ...\}\)"):
        plan_of_rows(GCAEmbedder.load(tmp_path / "model"), X[HELD_OUT])
    opened = GCAEmbedder.load(tmp_path / "model", custom={"views": [view, "clean"]})
    assert_close(plan_of_rows(opened, X[HELD_OUT]).plan, plan_of_rows(model, X[HELD_OUT]).plan, SINGLE)


def test_what_related_read_and_was_not_saved_is_asked_for(tmp_path):
    groups = np.arange(75) // 5
    small(related=_alike).fit(X[TRAIN], sample_group=groups).save(tmp_path / "model")
    opened = GCAEmbedder.load(tmp_path / "model")
    assert plan_of_rows(opened, X[HELD_OUT]).related is None
    with pytest.raises(ValueError, match=r"sample_group is read by related, which is <nothing: "):
        plan_of_rows(opened, X[HELD_OUT], sample_group=groups)


def _alike(group):
    return group[:, None] == group


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match="LogisticRegression is no GCAEmbedder, nor a pipeline with one"):
        plan_of_rows(LogisticRegression(), X)
    with pytest.raises(NotFittedError):
        plan_of_rows(small(), X)
    with pytest.raises(ValueError, match="max_rows=1 must be 2 or more, such as 200"):
        plan_of_rows(fitted(), X, max_rows=1)
    with pytest.raises(ValueError, match="y has 149 entries, but X has 150 rows"):
        plan_of_rows(fitted(), X, Y[:-1])
    with pytest.raises(ValueError, match="sample_domain has 149 entries, but X has 150 rows"):
        plan_of_rows(fitted(), X, sample_domain=Y[:-1])
    with pytest.raises(ValueError, match="requires y to be passed"):
        plan_of_rows(fitted(loss="supcon"), X)
    with pytest.raises(ValueError, match="target='domains' reads sample_domain"):
        plan_of_rows(fitted(target="domains"), X)
    with pytest.raises(ValueError, match="was fitted with X_pair and has no views of X alone; pass X_pair"):
        plan_of_rows(fitted_to_pairs(), X)
    with pytest.raises(ValueError, match=r"X_pair has shape \(149, 4\), but X has \(150, 4\)"):
        plan_of_rows(fitted_to_pairs(), X, X_pair=X[:-1])
    with pytest.raises(ValueError, match="expecting 4 features"):
        plan_of_rows(fitted(), X[:, :3])
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        plan_of_rows(fitted(), X[:1])


def test_a_projection_that_is_not_finite_is_named():
    model = copy.deepcopy(fitted_to_pairs())
    with torch.no_grad():
        next(model.net_.module_.head.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="projection of row 0 of X is not finite"):
        plan_of_rows(model, X, X_pair=PAIR)
