"""GCAEmbedder with every loss: options, many views, learnable epsilon, the target network."""

import copy
import itertools
import pickle
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skgca import GCAEmbedder
from skgca._training.momentum import MomentumSchedule, MomentumTarget
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import CollapseWarning, SinkhornConvergenceWarning
from skgca.losses import PRESETS, AlignmentLoss, Divergence, LearnableEpsilon, TransportCost
from skgca.metrics import effective_rank
from skgca.views import ColumnCorruption

from ..models import quick
from ..numerics import DOUBLE, SINGLE, assert_close, assert_within


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


# Options

OPTIONS = [
    ("ince", {"marginals": (np.inf, 0.5)}),
    ("rince", {"q": 0.2, "lam": 0.1}),
    ("gca_ince", {"sinkhorn_n_iter": 1}),
    ("gca_rince", {"q": 0.2, "lam": 0.1, "sinkhorn_n_iter": 1}),
    ("gca_uot", {"kl": "rows", "kl_weight": 0.5, "marginal_weight": 0.2, "entropy_weight": 0.1}),
    ("gca_uot", {"rince_weight": 1.0, "q": 0.3, "lam": 0.2, "kl_weight": 0.0}),
    ("iot", {"sinkhorn_n_iter": 2}),
    ("iot_uni", {"uniformity_weight": 0.5}),
    ("byol", {"ema_decay": 0.5}),
]


@pytest.mark.parametrize(("loss", "options"), OPTIONS)
def test_every_option_changes_what_is_learned(iris, loss, options):
    plain = quick(loss=loss).fit(iris[0]).transform(iris[0])
    for option, value in options.items():
        if option not in ("q", "lam", "kl_weight") or loss != "gca_uot":
            one = clone(quick(loss=loss)).set_params(**{option: value}).fit(iris[0]).transform(iris[0])
            assert not np.array_equal(one, plain), option
    together = quick(loss=loss, **options)
    assert together.fit(iris[0]).get_params().items() >= options.items()


def test_the_options_of_a_loss_in_a_grid(iris):
    X, y = iris
    model = make_pipeline(quick(loss="gca_uot"), LogisticRegression(max_iter=1000))
    grid = [
        {"gcaembedder__kl": ["mass", "rows"], "gcaembedder__marginals": [0.5, (np.inf, 1.0)]},
        {"gcaembedder__loss": ["rince"], "gcaembedder__q": [0.1, 0.9], "gcaembedder__lam": [0.01]},
        {
            "gcaembedder__rince_weight": [0.02],
            "gcaembedder__entropy_weight": [0.1],
            "gcaembedder__sinkhorn_n_iter": [5],
        },
    ]
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 7
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "ince", "q": 0.5}, r"loss='ince' does not use q=0.5; it is an option of 'gca_rince', 'gca_uot' and"),
        ({"loss": "iot", "uniformity_weight": 0.5}, r"does not use uniformity_weight=0.5; .* option of 'iot_uni'"),
        ({"loss": "rince", "kl": "rows"}, r"does not use kl='rows'; it is an option of 'gca_uot'"),
        ({"loss": "byol", "marginals": "row"}, r"loss='byol' does not use marginals='row'"),
        (
            {"loss": "ince", "sinkhorn_n_iter": 20},
            r"sinkhorn_n_iter=20 has no effect: loss='ince' leaves a marginal free",
        ),
        ({"loss": "ince", "sinkhorn_n_iter": 20, "marginals": (0.0, 1.0)}, r"sinkhorn_n_iter=20 has no effect"),
        ({"loss": "byol", "sinkhorn_n_iter": 20}, r"sinkhorn_n_iter=20 has no effect: loss='byol'"),
        ({"loss": "supcon", "sinkhorn_n_iter": 20}, r"sinkhorn_n_iter=20 has no effect: loss='supcon'"),
        ({"loss": "gca_uot", "q": 0.5}, r"q=0.5 has no effect with rince_weight=0"),
        ({"loss": "rince", "q": 1.5}, r"q=1.5 must lie in \(0, 1\]"),
        ({"loss": "gca_uot", "kl": "row"}, r"kl='row' is not known; valid are 'mass' and 'rows'"),
        ({"loss": "gca_uot", "kl_weight": -1.0}, r"weight -1.0 .* must be a finite number of at least 0"),
        ({"loss": "gca_uot", "kl_weight": 0.0}, r"Every term of the loss has weight 0"),
        ({"sigma": 2.0}, r"target='pairs' does not use sigma=2.0; it is an option of target='continuous'"),
        ({"target": "labels", "alpha": 0.5}, r"does not use alpha=0.5; it is an option of target='domains'"),
        ({"ema_decay": 0.9}, r"ema_decay=0.9 has no effect: loss='gca_ince' trains without a target network"),
        ({"loss": "byol", "ema_decay": 1.5}, r"'ema_decay' .*\[0.0, 1.0\]"),
        ({"cost": "manhattan"}, r"'cost' .*'student_t'"),
        ({"target": "affinity"}, r"'target' .*'domains'"),
        ({"n_views": 1}, r"'n_views' .*\[2, inf\)"),
        ({"view_pairs": "best"}, r"'view_pairs' .*'worst'"),
        ({"views": [ColumnCorruption(0.1)]}, r"must hold two views or more"),
        ({"views": [ColumnCorruption(0.1), 3]}, r"must hold two views or more"),
        ({"views": [ColumnCorruption(0.1), "clear"]}, r"views='clear' is not known; valid are .*'clean'"),
        ({"views": [ColumnCorruption(0.1)] * 2, "n_views": 3}, r"n_views=3, but views holds 2; leave n_views out"),
        ({"epsilon": "learned"}, r"'epsilon' .*LearnableEpsilon"),
    ],
)
def test_what_is_wrong_or_has_no_effect_is_refused_before_training(iris, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        quick(**params).fit(*iris)


def test_none_is_the_default_of_the_loss(iris):
    """The same bits as with the default written out."""
    X, _ = iris
    for loss, options in {
        "gca_ince": {"sinkhorn_n_iter": 10, "marginals": "balanced"},
        "rince": {"q": 0.6, "lam": 0.01},
        "iot_uni": {"sinkhorn_n_iter": 100, "uniformity_weight": 0.1},
        "byol": {"ema_decay": 0.99},
    }.items():
        plain, written = quick(loss=loss).fit(X), quick(loss=loss, target="pairs", **options).fit(X)
        assert np.array_equal(plain.transform(X), written.transform(X)), loss


@pytest.mark.parametrize(("loss", "marginals"), [("gca_ince", "row"), ("gca_uot", (1.0, 0.0)), ("ince", "balanced")])
def test_n_iter_in_a_grid_over_marginals(iris, loss, marginals):
    assert quick(loss=loss, sinkhorn_n_iter=5, marginals=marginals).fit(iris[0]).net_.criterion_.n_iter == 5


@pytest.mark.parametrize("cost", ["sqeuclidean", "student_t"])
def test_other_costs_train(iris, cost):
    X, _ = iris
    fitted = quick(cost=cost, max_epochs=30).fit(X)
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]
    assert not np.array_equal(fitted.transform(X), quick(max_epochs=30).fit(X).transform(X))


# Views


def clean(batch, generator):
    return batch


def test_one_callable_for_each_view(iris):
    X, _ = iris
    seen = []

    def spy(batch, generator):
        seen.append(batch.clone())
        return batch

    fitted = quick(views=[ColumnCorruption(0.3), spy], max_epochs=1).fit(X)
    inputs = fitted.reader_.read(X)
    *trained_on, measured = seen
    assert torch.equal(torch.cat(trained_on).sort(0).values, inputs.sort(0).values)  # every row once, as it is
    assert torch.equal(measured, inputs)
    pair, both = quick(views=[ColumnCorruption(0.3), clean]), quick(views=ColumnCorruption(0.3))
    assert not np.array_equal(pair.fit(X).transform(X), both.fit(X).transform(X))
    same = quick(views=(ColumnCorruption(0.3), ColumnCorruption(0.3)))
    assert np.array_equal(same.fit(X).transform(X), both.transform(X))


@pytest.mark.parametrize("loss", [name for name in PRESETS if name != "supcon"])
@pytest.mark.parametrize("view_pairs", ["all", "worst"])
def test_four_views(iris, loss, view_pairs):
    X, _ = iris
    fitted = quick(loss=loss, n_views=4, view_pairs=view_pairs).fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert not np.array_equal(fitted.transform(X), quick(loss=loss, view_pairs=view_pairs).fit(X).transform(X))


def test_two_views_have_one_pair(iris):
    X, _ = iris
    every, worst = quick(view_pairs="all").fit(X), quick(view_pairs="worst").fit(X)
    assert np.array_equal(every.transform(X), worst.transform(X))


def test_a_missed_tolerance_counts_the_plans_of_all_pairs_of_views(iris):
    with pytest.warns(SinkhornConvergenceWarning, match="of 18 transport plans"):  # 3 epochs, 2 batches, 3 pairs
        quick(n_views=3, sinkhorn_tol=1e-9, sinkhorn_n_iter=2, epsilon=0.05).fit(iris[0])


def test_measurements_between_steps_do_not_count(iris):
    """They use the loss of training, at the end of every epoch that is measured."""
    patient = quick(sinkhorn_tol=1e-9, sinkhorn_n_iter=2, epsilon=0.05, early_stopping=True, n_iter_no_change=9)
    with pytest.warns(SinkhornConvergenceWarning, match="of 6 transport plans"):  # 3 epochs, 2 batches
        fitted = patient.fit(iris[0])
    counted = dict(fitted.net_.callbacks_)["unconverged"]
    assert counted.n_solved_ == 6
    assert counted.worst_error_ > 1e-9
    assert len([row for row in fitted.net_.history if "marginal_error" in row]) == 3


class Ends(Callback):
    """Raises an error after the second batch; ``seen`` holds the net, and the number of its hooks while it trains."""

    def __init__(self, seen, error):
        self.seen, self.error = seen, error

    def on_batch_end(self, net, **kwargs):
        self.seen["net"] = net
        self.seen["hooks"] = len(net.criterion_.solver._forward_hooks)
        if self.error is not None and len(net.history[-1]["batches"]) == 2:
            raise self.error

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("out of order")], ids=repr)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("ignore:Training was interrupted")
@pytest.mark.filterwarnings("ignore:.* transport plans missed")
def test_the_plans_are_observed_until_training_ends_fails_or_is_interrupted(iris, method, error):
    seen = {}
    model = quick(sinkhorn_tol=1e-9, sinkhorn_n_iter=2, batch_size=64, callbacks=[Ends(seen, error)])
    with pytest.raises(type(error)) if isinstance(error, RuntimeError) else nullcontext():
        getattr(model, method)(iris[0])
    assert seen["hooks"] == 1
    assert not seen["net"].criterion_.solver._forward_hooks
    assert not copy.deepcopy(seen["net"].criterion_).solver._forward_hooks


def test_a_stream_counts_the_plans_of_each_call_anew(iris):
    """Also after a call that failed: it leaves no hook that would count twice."""
    seen = {}
    ends = Ends(seen, None)
    model = quick(sinkhorn_tol=1e-9, sinkhorn_n_iter=2, epsilon=0.05, batch_size=64, callbacks=[ends])
    for error in (None, RuntimeError("out of order"), None):
        ends.error = error
        with (
            pytest.warns(SinkhornConvergenceWarning, match="of 3 transport")
            if error is None
            else pytest.raises(type(error))
        ):
            model.partial_fit(iris[0])
        assert seen["hooks"] == 1
        model = pickle.loads(pickle.dumps(model))
        ends = model.callbacks[0]
        seen = ends.seen


def test_without_a_tolerance_nothing_is_observed(iris):
    seen = {}
    quick(callbacks=[Ends(seen, None)], max_epochs=1).fit(iris[0])
    assert seen["hooks"] == 0


def test_the_solver_is_no_part_of_the_state_of_a_loss(iris):
    fitted = quick(sinkhorn_tol=1e-2, sinkhorn_n_iter=500, epsilon=LearnableEpsilon(0.5)).fit(iris[0])
    assert list(fitted.net_.criterion_.state_dict()) == ["log_epsilon"]


# Learnable epsilon


def test_epsilon_is_learned_within_its_bounds(iris):
    X, _ = iris
    fitted = quick(epsilon=LearnableEpsilon(0.5, low=0.3, high=0.7), max_epochs=20, lr=0.05).fit(X)
    assert fitted.epsilon_ == 0.3  # InfoNCE falls with epsilon where rows are told apart
    free = quick(epsilon=LearnableEpsilon(0.5), max_epochs=20).fit(X)
    assert 0.01 < free.epsilon_ < 0.49
    assert quick(epsilon=0.2).fit(X).epsilon_ == 0.2


def test_weight_decay_leaves_epsilon_alone(iris):
    X, _ = iris
    loose, decayed = (quick(epsilon=LearnableEpsilon(5.0, high=9.0), weight_decay=w).fit(X) for w in (0.0, 1.0))
    groups = decayed.net_.optimizer_.param_groups
    assert [group["weight_decay"] for group in groups] == [0.0, 1.0]
    assert [parameter.shape for parameter in groups[0]["params"]] == [torch.Size([])]
    assert_within(decayed.epsilon_, loose.epsilon_, 0.1)  # of 5: they are steps of two networks


def test_warm_start_goes_on_from_the_learned_epsilon(iris):
    X, _ = iris
    fitted = quick(epsilon=LearnableEpsilon(0.5), max_epochs=10, lr=0.01, warm_start=True).fit(X)
    first = fitted.epsilon_
    fitted.set_params(lr=1e-9).fit(X)
    assert_close(fitted.epsilon_, first, SINGLE)
    assert first != 0.5
    fitted.set_params(epsilon=LearnableEpsilon(0.9, low=0.8)).fit(X)
    assert_close(fitted.epsilon_, 0.8, SINGLE)


def test_a_learnable_epsilon_among_the_parameters(iris):
    model = quick(epsilon=LearnableEpsilon(0.2))
    assert clone(model).epsilon == LearnableEpsilon(0.2)
    fitted = model.fit(iris[0])
    assert pickle.loads(pickle.dumps(fitted)).epsilon_ == copy.deepcopy(fitted).epsilon_ == fitted.epsilon_
    X, y = iris
    grid = {"gcaembedder__epsilon": [0.5, LearnableEpsilon(0.5)]}
    search = GridSearchCV(make_pipeline(quick(), LogisticRegression(max_iter=1000)), grid, cv=2, error_score="raise")
    assert search.fit(X, y).best_estimator_[0].epsilon_ > 0


# BYOL


def test_the_decay_rises_from_its_start_to_one():
    schedule = MomentumSchedule(0.9, n_steps=10)
    decays = [schedule(step) for step in range(12)]
    assert_close([decays[0], decays[5]], [0.9, 0.95], DOUBLE)
    assert decays[10] == decays[11] == 1.0
    assert all(earlier < later for earlier, later in itertools.pairwise(decays[:11]))


def test_the_target_network_is_the_moving_average_of_the_online_one():
    online = torch.nn.Sequential(torch.nn.Linear(3, 2))
    before = online[0].weight.detach().clone()
    target = MomentumTarget(online, MomentumSchedule(0.75, n_steps=2))
    expected = before.clone()
    for decay in (0.75, 0.875):
        with torch.no_grad():
            online[0].weight.add_(1.0)
        target.follow(online)
        expected = decay * expected + (1 - decay) * online[0].weight.detach()
        output = target(torch.eye(3)) - target(torch.zeros(3, 3))
        assert_close(output.T, expected, SINGLE)
        assert not output.requires_grad


def test_byol_trains_a_predictor_and_keeps_no_target_network(iris):
    X, _ = iris
    fitted = quick(loss="byol").fit(X)
    assert fitted.net_.module_.predictor[0].in_features == 8
    assert fitted.net_._target is None
    untrained = quick(loss="byol", max_epochs=0).fit(X)
    for trained, fresh in zip(fitted.net_.module_.parameters(), untrained.net_.module_.parameters(), strict=True):
        assert not torch.equal(trained, fresh)
    assert quick().fit(X).net_.module_.predictor is None


@pytest.mark.parametrize("target", ["labels", "continuous"])
def test_held_out_rows_of_byol_are_measured_by_the_target_of_training(iris, target):
    """The loss that measures them is InfoNCE, whose default target reads nothing."""
    fitted = quick(loss="byol", target=target, early_stopping=True).fit(*iris)
    criterion, yardstick = fitted.net_.criterion_, fitted.net_.yardstick
    assert yardstick.target == criterion.target
    assert yardstick.repels
    assert np.isfinite([row["valid_loss"] for row in fitted.net_.history]).all()


def test_byol_starts_from_the_encoder_that_the_others_start_from(iris):
    X, _ = iris
    assert np.array_equal(
        quick(loss="byol", max_epochs=0).fit(X).transform(X), quick(loss="ince", max_epochs=0).fit(X).transform(X)
    )


def test_warm_start_and_copies_of_byol(iris):
    X, _ = iris
    fitted = quick(loss="byol", warm_start=True).fit(X)
    other = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(other.fit(X).transform(X), fitted.fit(X).transform(X))
    with pytest.raises(ValueError, match="nor switch between a loss that needs a predictor and one that does not"):
        fitted.set_params(loss="ince").fit(X)


def test_an_interrupted_byol_is_usable(iris):
    made = []

    def interrupted(batch, generator):
        made.append(1)
        if len(made) == 9:
            raise KeyboardInterrupt
        return batch

    with pytest.warns(UserWarning, match="interrupted after 2 of 50 epochs"):
        fitted = quick(loss="byol", views=interrupted, max_epochs=50).fit(iris[0])
    assert fitted.n_epochs_ == 2
    assert np.isfinite(fitted.transform(iris[0])).all()


def rank_of_digits(loss):
    """Effective rank of the projections, of at most 128; it is 1 if all rows have become equal."""
    X = load_digits().data[:600]
    fitted = GCAEmbedder(loss=loss, max_epochs=60, random_state=0).fit(X)
    with torch.no_grad():
        return effective_rank(fitted.net_.module_(fitted.reader_.read(X)))


@pytest.mark.slow
def test_byol_does_not_collapse_on_digits():
    assert rank_of_digits("byol") > 20


@pytest.mark.slow
def test_without_predictor_and_average_it_would(monkeypatch):
    """The test above would fail if the loss were trained as any other is."""
    monkeypatch.setattr(TransportCost, "repels", True)
    with pytest.warns(CollapseWarning, match=r"collapsed: its projections have an effective rank of \d.* of 128"):
        rank = rank_of_digits("byol")
    assert rank < 10


@pytest.mark.cuda
@pytest.mark.parametrize("loss", PRESETS)
def test_every_loss_trains_on_cuda(iris, loss, cuda):
    X, y = iris
    epsilon = LearnableEpsilon(0.5)
    fitted = quick(loss=loss, device=cuda.type, n_views=3, epsilon=epsilon).fit(X, y, sample_group=np.arange(150) // 2)
    assert next(fitted.encoder_.parameters()).device.type == cuda.type
    assert np.isfinite(fitted.transform(X)).all()


# A loss from outside the package


@dataclass(frozen=True)
class TotalVariation(Divergence):
    """Half the sum of the absolute differences between plan and target plan."""

    def __call__(self, plan, target):
        return (plan.plan - target.dense(plan.plan.shape)).abs().sum() / 2


def gca_tv(*, epsilon=0.5, marginals="balanced", **settings):
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=TotalVariation(), **settings)


def test_a_loss_from_outside_is_trained_with_searched_over_saved_and_opened(iris, monkeypatch, tmp_path):
    X, y = iris
    monkeypatch.setitem(PRESETS, "gca_tv", gca_tv)
    model = quick(loss="gca_tv", epsilon=0.2).fit(X)
    assert isinstance(model.net_.criterion_.divergence, TotalVariation)
    assert not np.array_equal(model.transform(X), quick(epsilon=0.2).fit(X).transform(X))
    search = GridSearchCV(make_pipeline(clone(model), LogisticRegression(max_iter=1000)), {"gcaembedder__epsilon": [1]})
    assert search.fit(X, y).best_params_ == {"gcaembedder__epsilon": 1}
    with pytest.raises(InvalidParameterError, match=r"loss='gca_tv' does not use q=0\.5"):
        quick(loss="gca_tv", q=0.5).fit(X)
    model.save(tmp_path / "model")
    for opened in (GCAEmbedder.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(opened.transform(X), model.transform(X))
        assert isinstance(opened.net_.criterion_.divergence, TotalVariation)
        again = opened.set_params(warm_start=True).fit(X)
        assert np.array_equal(again.transform(X), clone(model).set_params(warm_start=True).fit(X).fit(X).transform(X))
    monkeypatch.delitem(PRESETS, "gca_tv")  # such as in a process that did not register it: it embeds all the same
    assert np.array_equal(GCAEmbedder.load(tmp_path / "model").transform(X), model.transform(X))
    with pytest.raises(InvalidParameterError, match=r"The 'loss' parameter .* Got 'gca_tv'"):
        GCAEmbedder.load(tmp_path / "model").fit(X)
