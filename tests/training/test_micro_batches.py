"""GCAEmbedder trained in parts of batches: the same steps as with whole batches."""

import numpy as np
import pytest
import torch
from skorch.callbacks import GradientNormClipping
from torch import nn

from skgca import GCAEmbedder
from skgca.encoders import Encoder

from ..numerics import SINGLE, assert_close

X = np.random.default_rng(0).normal(size=(300, 6))
SIZES = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 3, "batch_size": 100}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "byol"},
        {"loss": "gca_uot", "n_views": 3},
        {"normalization": "layer"},
        {"epsilon": 0.1, "callbacks": [GradientNormClipping(0.1)]},
    ],
    ids=["default", "byol", "three views", "layer", "clipped"],
)
def test_an_estimator_trains_in_parts_as_in_one(params, monkeypatch):
    """In few steps, before rounding has grown: AdamW divides small gradients by their own size."""
    params = {**SIZES, **params, "random_state": 0, "lr": 1e-4}
    lengths, features = {"whole": [], "parts": []}, Encoder.features

    def spied(name, **more):
        def spy(self, rows):
            if self.training:
                lengths[name].append(len(rows))
            return features(self, rows)

        monkeypatch.setattr(Encoder, "features", spy)
        return GCAEmbedder(**params, **more).fit(X)

    whole, parts = spied("whole"), spied("parts", micro_batch_size=32)
    assert max(lengths["parts"]) < max(lengths["whole"])
    losses = [[record["loss"] for record in model.history_] for model in (whole, parts)]
    assert_close(*losses, SINGLE)
    norms = [[record["gradient_norm"] for record in model.history_] for model in (whole, parts)]
    assert_close(*norms, SINGLE)


@pytest.mark.parametrize("params", [{"dropout": 0.3}, {"loss": "byol", "dropout": 0.3}, {"precision": "bfloat16"}])
def test_the_same_bits_each_time(params):
    params = {**SIZES, **params, "random_state": 0, "micro_batch_size": 30}
    assert np.array_equal(*(GCAEmbedder(**params).fit(X).transform(X) for _ in range(2)))


def test_a_module_with_dropout_of_torch_trains_in_parts():
    encoder = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.BatchNorm1d(6))
    params = {"encoder": encoder, "micro_batch_size": 30, "max_epochs": 3, "random_state": 0}
    state = torch.get_rng_state()
    first, second = (GCAEmbedder(**params).fit(X).transform(X) for _ in range(2))
    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
