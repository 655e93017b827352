"""Tables to float32 tensors with one column for each original column.

Numbers are standardised, and NaN where missing. Categories become codes: whole numbers from 1, and 0 for a category
that ``fit`` did not see. So a view can swap or drop whole columns. The stem of the encoder decides how a column enters
the network: a code as a one-hot vector or a learned one, a gap as an indicator.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from .._utils.missing import is_missing
from ..encoders import TableStem
from .columns import Content, as_categories, as_numbers, check_order, content, parse_categorical
from .containers import Chunk, Container, container_of
from .reader import Reader, Stem
from .rows import Rows
from .scaling import Scaler
from .text_columns import check_no_numbers, warn_of_unique

__all__ = ["TableReader"]

_MOST_CATEGORIES = 2**24  # codes are float32, which holds no more whole numbers
_MAX_VECTORS = 2**14  # see TableStem
_LARGEST_JSON = 2**24  # characters of categories in the header of a file, which may have 100 MB
_PLAIN_STATE = ("categorical_features", "standardize", "shape", "names", "held", "is_category", "has_missing")


class TableReader(Reader):
    """Reads tables of numbers and categories.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of bool, int or str, or None
        Which columns are categories.
    standardize : bool
        Whether to standardise the numbers.

    Attributes
    ----------
    names : list
        Names of the columns, or numbers if they have none.
    held : list of str
        What each column held in ``fit``.
    is_category : ndarray of shape (n_columns,), bool
        Which columns are categories.
    n_categories : ndarray of shape (n_columns,), int
        Number of categories of each column, one of which is "missing" if some values were; 0 for numbers.
    has_missing : ndarray of shape (n_columns,), bool
        Which columns of numbers had missing values.
    scaler : Scaler
        For the columns of numbers.
    known_categories : list of ndarray
        Categories of the columns of categories, in the order of their codes.
    max_vectors : int or None
        As in :class:`skgca.encoders.TableStem`. None for a reader of an early version.
    """

    kind = "table"
    noun = "a table"
    auto_encoder = "mlp"
    auto_steps = 2000
    passes_through = True
    has_columns = True
    auto_views = "corruption"

    names: list[Any]
    held: list[Content]
    is_category: np.ndarray
    n_categories: np.ndarray
    has_missing: np.ndarray
    scaler: Scaler
    known_categories: list[np.ndarray]
    max_vectors: int | None

    def __init__(self, *, categorical_features: str | ArrayLike | None, standardize: bool) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize

    def fit(self, rows: Rows) -> TableReader:
        """Learn types, categories and scales of the columns.

        Raises
        ------
        TypeError, ValueError
            If a column is neither numbers nor categories, or cannot be standardised; the message names it.

        Warns
        -----
        UserWarning
            If text may be numbers, or differs in nearly every row.
        """
        seen = container_of(rows.showing_types())
        self.shape = rows.shape[1:]
        self.passes_through = not rows.is_sparse  # the output of a sparse table would be as wide as the table
        self.names = seen.names()
        self.held = self._contents(seen)
        typed = seen.categorical()
        self.is_category = parse_categorical(
            self.categorical_features, self.names, self.held, is_frame=rows.is_frame, of_categorical_type=typed
        )
        counts: list[Counter[Any]] = [Counter() for _ in range(self.is_category.sum())]
        self.max_vectors = _MAX_VECTORS
        self.scaler = Scaler(self._numeric_names(), standardize=self.standardize)
        # Categories are counted in the pass that learns scales: each row is read once.
        self.scaler.fit(partial(self._count_and_split, counts), rows)
        self._check_categories(seen, counts, typed)
        self._set_categories([_known(of_column) for of_column in counts])
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        self.has_missing[~self.is_category] = self.scaler.has_missing
        return self

    def read(self, X: Chunk) -> Tensor:
        """Read rows: (n, n_columns).

        Raises
        ------
        TypeError, ValueError
            If a column does not hold what it held in ``fit``, or infinite values.
        """
        number_columns, category_columns = self._split(X)
        numbers = self.scaler.read(number_columns)
        if not self.is_category.any():
            return numbers
        codes = np.empty(category_columns.shape, dtype=np.float32)
        for k, values in enumerate(category_columns.T):
            codes_of = self._codes[k]
            codes[:, k] = [codes_of.get(value, 0) for value in values.tolist()]  # 0 is an unknown category
        table = torch.empty((len(codes), len(self.names)))
        table[:, torch.from_numpy(~self.is_category)] = numbers
        table[:, torch.from_numpy(self.is_category)] = torch.from_numpy(codes)
        return table

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Number of columns."""
        return (len(self.names),)

    @property
    def numeric_columns(self) -> list[bool] | None:
        """Which columns are numbers; None if all are."""
        return (~self.is_category).tolist() if self.is_category.any() else None

    def categories(self) -> dict[int, np.ndarray]:
        """Return the categories in the order of their codes, by the number of their column."""
        return dict(zip(np.flatnonzero(self.is_category).tolist(), self.known_categories, strict=True))

    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> TableStem:
        """Make the stem that turns codes and gaps into features."""
        sizes, missing = self.n_categories.tolist(), self.has_missing.tolist()
        return TableStem(sizes, missing, numeric_encoding, max_vectors=self.max_vectors)

    def plain_names(self, stem: Stem, input_names: Sequence[Any]) -> list[str]:
        """Return names as scikit-learn's imputers and one-hot encoders make them, in the order of ``stem.plain``."""
        assert isinstance(stem, TableStem)  # from make_stem
        names = [str(input_names[k]) for k in stem.numbers.tolist()]
        names += [f"missingindicator_{input_names[k]}" for k in stem.indicated.tolist()]
        known = self.categories()
        return names + [f"{input_names[k]}_{category}" for k in stem.few.tolist() for category in known[k]]

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, by name, in plain values and arrays."""
        state = {name: getattr(self, name) for name in _PLAIN_STATE}
        state |= {"scaler": self.scaler.get_state(), "max_vectors": self.max_vectors}
        state["passes_through"] = self.passes_through
        categories = [known.tolist() for known in self.known_categories]
        if sum(len(str(value)) for known in categories for value in known) > _LARGEST_JSON:
            packed = np.frombuffer(json.dumps(categories).encode(), dtype=np.uint8)
            return {**state, "packed_categories": packed}
        return {**state, "categories": categories}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableReader:
        """Make the fitted reader whose :meth:`get_state` returned this."""
        reader = cls(categorical_features=state["categorical_features"], standardize=state["standardize"])
        vars(reader).update({name: state[name] for name in _PLAIN_STATE})
        reader.passes_through = state.get("passes_through", True)  # early files do not hold it
        reader.max_vectors = state.get("max_vectors")
        packed = state.get("packed_categories")
        categories = state["categories"] if packed is None else json.loads(packed.tobytes())
        reader._set_categories([np.array(known, dtype=object) for known in categories])
        reader.scaler = Scaler(reader._numeric_names(), standardize=reader.standardize)
        reader.scaler.set_state(state["scaler"], has_missing=reader.has_missing[~reader.is_category])
        return reader

    def _numeric_names(self) -> list[Any]:
        return [name for name, is_category in zip(self.names, self.is_category, strict=True) if not is_category]

    def _contents(self, X: Container) -> list[Content]:
        if not X.is_frame and X.dtype.kind in "iufbUT":
            return [content(X.columns()[0][:1], 0)] * X.shape[1]
        return [content(values, name) for name, values in zip(X.names(), X.columns(), strict=True)]

    def _count_and_split(self, counts: list[Counter[Any]], X: Chunk) -> np.ndarray:
        """Return the columns of numbers, and count the categories of each other column, missing values as None."""
        numbers, categories = self._split(X)
        for of_column, values in zip(counts, categories.T, strict=True):
            of_column.update(values.tolist())
        return numbers

    def _check_categories(self, X: Container, counts: list[Counter[Any]], typed: Sequence[bool]) -> None:
        """Refuse numbers that were read as text, warn of columns with a category for each row."""
        is_named = not isinstance(self.categorical_features, str)  # so deliberately
        for j, of_column in zip(np.flatnonzero(self.is_category).tolist(), counts, strict=True):
            name, present = self.names[j], Counter({key: n for key, n in of_column.items() if key is not None})
            if len(of_column) > _MOST_CATEGORIES:
                raise ValueError(
                    f"Column {name!r} has {len(of_column)} categories, where {_MOST_CATEGORIES} are the most; leave it "
                    "out, or group its categories."
                )
            is_read_as_text = self.held[j] == "text" and not is_named and not typed[j]
            if not (is_read_as_text and check_no_numbers(name, present, _to_numbers(X, name), in_frame=X.is_frame)):
                warn_of_unique(name, present, is_named=is_named)

    def _set_categories(self, categories: list[np.ndarray]) -> None:
        self.known_categories = categories
        self._codes = [_codes_of(known) for known in categories]
        self.n_categories = np.zeros(len(self.names), dtype=int)
        self.n_categories[self.is_category] = [len(known) for known in categories]

    def _split(self, X: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of numbers, (n, k) in double precision, and those of categories, (n, l) of objects."""
        table = container_of(X)
        n = table.shape[0]
        if table.is_frame:  # scikit-learn looks at names that are text only
            check_order(table.names(), self.names)
        if (
            isinstance(X, np.ndarray)
            and X.dtype.kind in "iufb"
            and not self.is_category.any()
            and "missing" not in self.held
        ):
            # the usual case, without a look at each column
            if "text" in self.held:
                raise ValueError(f"Column {self.names[self.held.index('text')]!r} held text in fit, and now numbers.")
            return X.astype(np.float64, copy=False), np.empty((n, 0), dtype=object)
        # Each value is looked at: a frame or an array of objects may hold other types than in fit.
        numbers, categories = [], []
        for j, values in enumerate(table.columns()):
            self._check_same_content(j, content(values, self.names[j]), values)
            if self.is_category[j]:
                categories.append(as_categories(values, self.held[j], self.names[j]))
            elif self.held[j] == "missing":  # nothing is known of its values, whatever they are
                numbers.append(np.full(n, np.nan))
            else:
                numbers.append(as_numbers(values))
        return (
            np.column_stack(numbers) if numbers else np.empty((n, 0)),
            np.column_stack(categories) if categories else np.empty((n, 0), dtype=object),
        )

    def _check_same_content(self, j: int, held: Content, values: np.ndarray) -> None:
        """Raise ValueError if a column holds another type than in ``fit``; in a column of numbers, truth is numbers."""
        before = self.held[j]
        if held == before or "missing" in (held, before):
            return
        if not self.is_category[j] and {held, before} == {"truth", "number"}:
            return
        shown = next(value for value in values.tolist() if not is_missing(value))
        example = {
            "number": f", for example by pandas.to_numeric(X[{self.names[j]!r}], errors='coerce')",
            "text": f", for example by X[{self.names[j]!r}].astype(str)",
        }.get(before, "")
        raise ValueError(
            f"Column {self.names[j]!r} held {before} in fit, and now holds {held}, such as {shown!r}; convert it to "
            f"{before}{example}."
        )


def _known(counts: Counter[Any]) -> np.ndarray:
    """Return the sorted categories of a column, NaN last if values were missing.

    Numbers are floats if one of them has a fraction, and else whole numbers, whether or not a missing value made floats
    of them: names of columns show them.
    """
    present = sorted(key for key in counts if key is not None)
    if any(isinstance(key, float) and not key.is_integer() for key in present):
        present = [float(key) if float(key) == key else key for key in present]
    else:
        present = [int(key) if isinstance(key, float) else key for key in present]
    known = np.empty(len(present) + (len(present) < len(counts)), dtype=object)
    known[: len(present)] = present
    known[len(present) :] = np.nan
    return known


def _codes_of(known: np.ndarray) -> dict[Any, int]:
    """Return the code of each category, that of "missing" under None: NaN is no key."""
    codes = {None if is_missing(category) else category: code for code, category in enumerate(known.tolist(), 1)}
    for category, code in list(codes.items()):
        if isinstance(category, float):  # the same number in single precision, or the one that single precision rounded
            with np.errstate(over="ignore"):
                single = np.float32(category)
            codes.setdefault(float(single), code)
            if float(single) == category:
                codes.setdefault(float(str(single)), code)
    return codes


def _to_numbers(X: Container, name: Any) -> str:
    """Return the expression that makes numbers of a column of text."""
    if not X.is_frame:
        return f"pandas.to_numeric(X[:, {name}], errors='coerce')"
    if hasattr(X.X, "get_column"):
        return f"polars.col({name!r}).cast(polars.Float64, strict=False)"
    return f"pandas.to_numeric(X[{name!r}], errors='coerce')"
