"""Views of colour images are chosen by measures that need no labels."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skgca import GCAEmbedder
from skgca._data import ImageReader, Rows
from skgca._data.image_measures import FEWEST, colour_agreement, mirror_objection, reduced

RNG = np.random.default_rng(0)


def tinted(grey, rng=RNG):
    """Grey images in [0, 1] from a random dark colour to a random bright one: (n, h, w) -> (n, h, w, 3)."""
    dark, bright = rng.uniform(0, 0.5, (len(grey), 1, 1, 3)), rng.uniform(0.5, 1, (len(grey), 1, 1, 3))
    return dark + (bright - dark) * grey[..., None]


def waves(n=300, side=16, rng=RNG):
    """Patches of waves in any direction, of five lengths: (n, side, side) in [0, 1], and which length it is."""
    kind = rng.integers(0, 5, n)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, n, 1, 1))
    down, across = np.mgrid[:side, :side]
    turns = np.array([1, 2, 3, 4, 6])[kind][:, None, None] / side * (np.cos(angle) * down + np.sin(angle) * across)
    return 0.5 + 0.4 * np.sin(2 * np.pi * turns + phase), kind


def coloured_by_kind(grey, kind, rng=RNG):
    hues = np.random.default_rng(1).uniform(0.2, 1, (5, 3))[kind] * rng.uniform(0.9, 1, (len(kind), 3))
    return grey[..., None] * hues[:, None, None]


GREY, KIND = waves()
DIGITS = load_digits().images[:300] / 16
SETS = {
    "geometric+photometric": tinted(DIGITS),
    "geometric": coloured_by_kind(DIGITS, load_digits().target[:300] // 2),
    "crop+photometric": tinted(GREY),
    "crop": coloured_by_kind(GREY, KIND),
}
each_set = pytest.mark.parametrize("expected", SETS)


def as_tensor(X):
    return torch.as_tensor(np.moveaxis(X, -1, 1)).float()


def chosen(X, **options):
    return ImageReader(**options).fit(Rows(X)).auto_views


@each_set
def test_views_change_what_does_not_matter(expected):
    X = SETS[expected]
    whole = (255 * X).round().astype(np.uint8)
    assert chosen(X) == chosen(whole) == expected
    assert chosen(np.moveaxis(whole, -1, 1)) == expected
    assert chosen(whole.reshape(len(X), -1), image_shape=X.shape[1:]) == expected
    assert chosen(X.astype(np.float32) * 1000 - 40) == expected


@each_set
def test_the_embedder_uses_the_views_that_were_chosen(expected, tmp_path):
    fitted = GCAEmbedder(4, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(SETS[expected][:200])
    assert [view.preset for view in fitted.net_.views.views] == [expected] * 2
    fitted.save(tmp_path / "model")
    opened = GCAEmbedder.load(tmp_path / "model")
    assert opened.reader_.auto_views == expected
    assert opened.score(SETS[expected][:200]) == fitted.score(SETS[expected][:200])


def test_measures_are_a_half_where_nothing_is_to_be_told():
    noise = torch.rand(300, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert 0.4 < mirror_objection(noise) < 0.6
    assert 0.45 < colour_agreement(noise) < 0.55
    same = torch.rand(300, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    assert colour_agreement(same) == 0.5  # grey in three channels
    constant = torch.full((300, 3, 16, 16), 0.3)
    assert mirror_objection(constant) == colour_agreement(constant) == 0.5


def test_brightness_and_contrast_do_not_count():
    X = as_tensor(SETS["geometric+photometric"])
    scale = torch.linspace(0.1, 1, len(X))[:, None, None, None]
    assert mirror_objection(X) > 0.8
    assert abs(mirror_objection(0.2 * (1 - scale) + 0.5 * scale * X) - mirror_objection(X)) < 0.01


def test_large_images_are_reduced():
    assert reduced(torch.rand(2, 3, 70, 20)).shape == (2, 3, 32, 20)
    large = np.kron(SETS["crop"], np.ones((1, 5, 5, 1)))
    assert chosen(large) == "crop"


def test_few_images_are_not_mirrored_and_keep_their_colours():
    assert chosen(SETS["crop+photometric"][: FEWEST - 1]) == "geometric"
    assert chosen(SETS["crop+photometric"][:FEWEST]) != "geometric"


@pytest.mark.parametrize("channels", [2, 4])
def test_other_numbers_of_channels(channels):
    X = np.concatenate([SETS["crop"], SETS["crop"]], axis=-1)[..., :channels]
    assert chosen(X) == "crop"


def test_one_channel_has_the_views_of_digits():
    assert chosen(DIGITS) == chosen(GREY) == "geometric"


def test_readers_of_earlier_versions_keep_their_views():
    for X, expected in ((SETS["crop"], "standard"), (DIGITS, "geometric")):
        state = ImageReader().fit(Rows(X)).get_state()
        assert ImageReader.from_state(state).auto_views == chosen(X)
        del state["chosen_views"]
        assert ImageReader.from_state(state).auto_views == expected
