import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skgca._data import EvenBatches, RowDataset, Rows, batches, read_ahead, shuffled_batches
from skgca._data import rows as rows_module
from skgca._data.batches import PartBatches, Parts

from ..small_memory import small_memory


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


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    capacity=st.integers(1, 60),
    batch_size=st.integers(2, 30),
    seed=st.integers(0, 99),
)
def test_batches_of_parts_are_even_and_use_each_part_once(counts, capacity, batch_size, seed):
    n_rows = sum(counts)
    if n_rows < 2:
        return
    sizes = torch.tensor(counts)
    parts = Parts(sizes, sizes, capacity)
    made = list(PartBatches(parts, n_rows, batch_size, torch.Generator().manual_seed(seed)))
    expected = [len(batch) for batch in EvenBatches(n_rows, batch_size, torch.Generator())]
    assert [len(batch) for batch in made] == expected
    order = torch.cat(made)
    assert sorted(order.tolist()) == list(range(n_rows))
    part_of = torch.searchsorted(sizes.cumsum(0), order, right=True)
    group_of = {part: number for number, group in enumerate(_groups(parts, seed)) for part in group.tolist()}
    groups = [group_of[part] for part in part_of.tolist()]
    assert groups == sorted(groups)  # a group is left before the next one begins


def _groups(parts, seed):
    """The groups of the first pass with this seed."""
    first = torch.randint(2**62, (), generator=torch.Generator().manual_seed(seed))
    groups = list(parts.groups(torch.Generator().manual_seed(int(first))))
    assert all(len(group) == 1 or parts.sizes[group].sum() <= parts.capacity for group in groups)
    return groups


def test_batches_of_parts_can_be_skipped_and_differ_from_epoch_to_epoch():
    sizes = torch.full((5,), 20)
    made = PartBatches(Parts(sizes, sizes, 40), 100, 10, torch.Generator().manual_seed(0))
    first, second = list(made), list(made)
    assert not torch.equal(torch.cat(first), torch.cat(second))
    again = PartBatches(Parts(sizes, sizes, 40), 100, 10, torch.Generator().manual_seed(0))
    again.skip = 3
    assert torch.equal(torch.cat(list(again)), torch.cat(first[3:]))
    assert torch.equal(torch.cat(list(again)), torch.cat(second))


def test_parts_are_read_once_an_epoch(tmp_path, monkeypatch):
    values = np.arange(100.0)
    pd.DataFrame({"a": values, "b": -values}).to_parquet(tmp_path / "X.parquet", row_group_size=15)
    small_memory(monkeypatch, n_values=2 * 40, n_rows=5)
    monkeypatch.setattr(rows_module, "_SAMPLES", (5,))
    rows = Rows(tmp_path / "X.parquet", np.arange(0, 100, 2))
    reads = []
    read_part = Rows.read_part
    monkeypatch.setattr(Rows, "read_part", lambda self, part: [reads.append(part), read_part(self, part)][1])
    fetch = read_ahead(rows, lambda chunk: torch.as_tensor(np.asarray(chunk), dtype=torch.float32))
    whole = RowDataset(50, fetch, weight=torch.arange(50.0))
    training = whole.only(torch.arange(50)[torch.arange(50) % 5 > 0])
    for dataset in (whole, training):
        for _ in range(2):
            reads.clear()
            loader = shuffled_batches(dataset, batch_size=8, generator=torch.Generator().manual_seed(0))
            for (inputs,), extras in loader:
                assert torch.equal(inputs[:, 0], 2 * extras["weight"])
            assert sorted(reads) == list(range(7))
    held_out = whole.only(torch.arange(0, 50, 5))
    reads.clear()
    assert torch.equal(held_out[torch.arange(10)][0][0][:, 1], -torch.arange(0, 100, 10.0))
    assert not reads  # they are few, and kept in memory


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
    read_ahead(rows, read, reduced=2)  # inputs of half as many values have room
    assert reads == [50, 3, 50]
