"""skorch's callbacks in the estimator, its clones, searches and copies."""

import functools
import os
import pickle
import signal

import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    TensorBoard,
)

from skgca._utils.compat import InvalidParameterError

from .. import models
from ..numerics import DOUBLE, assert_close

X, Y = load_iris(return_X_y=True)
quick = functools.partial(models.quick, max_epochs=4)


def n_rows(net, X, y=None):
    return float(len(X))


def callbacks_of(model):
    return dict(model.net_.callbacks_)


def test_a_schedule_takes_the_place_of_ours():
    model = quick(callbacks=[LRScheduler("StepLR", step_size=2, gamma=0.1)]).fit(X)
    assert_close([record["lr"] for record in model.history_], [2e-3, 2e-3, 2e-4, 2e-4], DOUBLE)
    assert "schedule" not in callbacks_of(model)
    with pytest.raises(InvalidParameterError, match=r"warmup_fraction=0.3 has no effect: LRScheduler among callbacks"):
        model.set_params(warmup_fraction=0.3).fit(X)


def test_early_stopping_of_skorch():
    model = quick(callbacks=[EarlyStopping(monitor="train_loss", patience=1, threshold=1.0)], max_epochs=9).fit(X)
    assert (model.n_epochs_, model.stop_reason_) == (2, "callback")
    held_out = quick(early_stopping=True, callbacks=[EarlyStopping(patience=1, threshold=1.0)], max_epochs=9).fit(X)
    assert (held_out.n_epochs_, held_out.stop_reason_) == (2, "callback")


def test_a_checkpoint_of_skorch(tmp_path):
    model = quick(callbacks=[Checkpoint(dirname=tmp_path, monitor="valid_loss_best")], early_stopping=True).fit(X)
    assert {"params.pt", "optimizer.pt", "history.json"} <= {path.name for path in tmp_path.iterdir()}
    assert callbacks_of(model)["Checkpoint"].dirname == tmp_path


def test_scores_of_an_epoch_are_in_skorchs_history():
    scoring = EpochScoring(n_rows, name="rows", on_train=True, use_caching=False)
    model = quick(callbacks=[scoring]).fit(X)
    assert [record["rows"] for record in model.net_.history] == [150.0] * 4
    held_out = quick(callbacks=[EpochScoring(n_rows, name="rows", use_caching=False)], early_stopping=True).fit(X)
    assert [record["rows"] for record in held_out.net_.history] == [15.0] * 4


def test_tensorboard(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")

    def written():
        return sum(path.stat().st_size for path in tmp_path.rglob("events*"))

    writer = tensorboard.SummaryWriter(tmp_path)
    model = quick(callbacks=[TensorBoard(writer, close_after_train=False)])
    before = written()
    clone(model).fit(X)  # a writer cannot be copied, and is shared
    writer.flush()
    assert written() > before
    search = GridSearchCV(
        make_pipeline(model, LogisticRegression(max_iter=500)), {"gcaembedder__epsilon": [0.2, 0.5]}, cv=2
    )
    assert search.fit(X, Y).best_score_ > 0.7
    writer.close()


def make_tensorboard(folder):
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoard(SummaryWriter(folder))


def test_what_makes_a_callback_goes_into_other_processes(tmp_path):
    pytest.importorskip("tensorboard")
    model = quick(callbacks=[functools.partial(make_tensorboard, tmp_path)])
    pipeline = make_pipeline(model, LogisticRegression(max_iter=500))
    GridSearchCV(pipeline, {"gcaembedder__epsilon": [0.2, 0.5]}, cv=2, n_jobs=2).fit(X, Y)
    assert len(list(tmp_path.glob("events*"))) >= 5


CALLBACKS = {
    "LRScheduler": LRScheduler("StepLR", step_size=2, gamma=0.5),
    "EarlyStopping": EarlyStopping(monitor="train_loss", patience=2),
    "EpochScoring": EpochScoring(n_rows, name="rows", on_train=True, use_caching=False),
    "GradientNormClipping": GradientNormClipping(1.0),
    "class": EpochTimer,
    "pair": ("mine", EpochTimer()),
}


@pytest.mark.parametrize("callback", CALLBACKS.values(), ids=CALLBACKS)
def test_clones_searches_and_pickles(callback):
    model = quick(callbacks=[callback])
    first = clone(model).fit(X).transform(X)
    assert np.array_equal(clone(model).fit(X).transform(X), first)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).fit(X).transform(X), first)
    fitted = pickle.loads(pickle.dumps(model.fit(X)))
    assert np.array_equal(fitted.transform(X), first)
    assert model.callbacks[0] is callback  # as scikit-learn wants parameters to stay
    pipeline = make_pipeline(model, LogisticRegression(max_iter=500))
    grid = {"gcaembedder__epsilon": [0.2, 0.5], "gcaembedder__callbacks": [None, [callback]]}
    searches = [GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 2)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert np.array_equal(*scores)


def test_a_fit_uses_copies():
    stopping = EarlyStopping(monitor="train_loss", patience=2)
    model = quick(callbacks=[stopping]).fit(X)
    assert stopping.dynamic_threshold_ is None
    assert callbacks_of(model)["EarlyStopping"].dynamic_threshold_ < np.inf


def test_several_of_one_class_have_names_of_their_own():
    scorings = [EpochScoring(n_rows, name=name, on_train=True, use_caching=False) for name in ("a", "b")]
    model = quick(callbacks=[*scorings, EpochTimer]).fit(X)
    assert {"EpochScoring_1", "EpochScoring_2", "EpochTimer"} <= set(callbacks_of(model))
    assert {"a", "b"} <= set(model.net_.history[0])


@pytest.mark.parametrize("callbacks", [[3], ["EarlyStopping"], [LogisticRegression], [("name", None)]])
def test_what_is_no_callback_is_refused(callbacks):
    with pytest.raises(InvalidParameterError, match="which is no callback; it must hold skorch callbacks, such as"):
        quick(callbacks=callbacks).fit(X)


def die_in_a_worker(batch, generator):
    if os.environ.get("SKGCA_TEST_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


@pytest.mark.slow
def test_a_killed_worker_of_a_search_is_an_error_and_all_else_stays(monkeypatch):
    monkeypatch.setenv("SKGCA_TEST_PARENT", str(os.getpid()))
    model = quick().fit(X)
    before = model.transform(X)
    with pytest.raises(TerminatedWorkerError, match="terminated"):
        GridSearchCV(
            model.set_params(views=die_in_a_worker), {"epsilon": [0.2, 0.5]}, cv=2, n_jobs=2, scoring=n_rows
        ).fit(X)
    assert np.array_equal(model.transform(X), before)
    search = GridSearchCV(model.set_params(views="auto"), {"epsilon": [0.2, 0.5]}, cv=2, n_jobs=2, scoring=n_rows)
    assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()  # with workers that are new
