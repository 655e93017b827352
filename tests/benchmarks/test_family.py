"""A fit of the comparison of losses is measured on the outputs as the loss left them."""

import numpy as np

from benchmarks import family_fits
from benchmarks._jobs import Job, options_of


def test_a_fit_is_measured():
    record = family_fits.run(Job("vowel", "ince", 0, options_of(views="standard"), quick=True))
    assert record["few"] > 0.2  # 11 classes
    assert 1 < record["rank"] < family_fits.N_COMPONENTS
    assert np.isfinite(list(record.values())).all()
