import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skgca._data import EvenBatches, RowDataset, Rows, batches, read_ahead, shuffled_batches


@given(n_rows=st.integers(2, 400), batch_size=st.integers(2, 60), seed=st.integers(0, 99))
def test_every_row_is_in_one_batch_and_no_batch_is_of_one_row(n_rows, batch_size, seed):
    made = list(EvenBatches(n_rows, batch_size, torch.Generator().manual_seed(seed)))
    sizes = [len(batch) for batch in made]
    assert sorted(torch.cat(made).tolist()) == list(range(n_rows))
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch_size, 3)  # an odd row joins a batch of two


@pytest.mark.parametrize(("n_rows", "batch_size", "sizes"), [(257, 256, [129, 128]), (256, 256, [256]), (5, 2, [3, 2])])
def test_batches_are_even(n_rows, batch_size, sizes):
    assert [len(b) for b in EvenBatches(n_rows, batch_size, torch.Generator())] == sizes
    assert len(EvenBatches(n_rows, batch_size, torch.Generator())) == len(sizes)


def test_a_batch_is_fetched_with_one_index():
    class Counting(RowDataset):
        fetched = 0

        def __getitem__(self, rows):
            self.fetched += 1
            return super().__getitem__(rows)

    dataset = Counting(100, torch.arange(100.0)[:, None].__getitem__, weight=torch.arange(100.0))
    loader = shuffled_batches(dataset, batch_size=30, generator=torch.Generator().manual_seed(0))
    epochs = [[(x, extra["weight"]) for (x,), extra in loader] for _ in range(2)]
    assert dataset.fetched == 2 * 4
    assert all(torch.equal(x[:, 0], weight) for epoch in epochs for x, weight in epoch)
    assert not torch.equal(epochs[0][0][0], epochs[1][0][0])  # a new order each epoch


def test_loading_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    list(shuffled_batches(RowDataset(9, torch.ones(9, 1).__getitem__), batch_size=3, generator=torch.Generator()))
    assert torch.equal(before, torch.get_rng_state())


def test_inputs_are_the_same_read_ahead_or_batch_by_batch(monkeypatch):
    rows = Rows(np.random.default_rng(0).normal(size=(50, 3)))
    reads = []

    def read(chunk):
        reads.append(len(chunk))
        return torch.as_tensor(chunk)

    numbers = torch.tensor([7, 3, 49])
    ahead = read_ahead(rows, read)(numbers)
    assert reads == [50]
    monkeypatch.setattr(batches, "_READ_AHEAD_BYTES", 4 * 50 * 3 - 1)
    fetch = read_ahead(rows, read)
    assert reads == [50]
    assert torch.equal(fetch(numbers), ahead)
    assert reads == [50, 3]
