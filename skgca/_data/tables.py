"""Tables to float32 tensors with one column for each original column.

Numbers are standardised, and NaN where missing. Categories become codes: whole numbers from 1, and 0 for a category
that ``fit`` did not see. So a view can swap or drop whole columns. The stem of the encoder decides how a column enters
the network: a code as a one-hot vector or a learned one, a gap as an indicator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import OrdinalEncoder
from torch import Tensor, nn

from .._utils.missing import is_missing
from ..encoders import TableStem
from .columns import Content, as_categories, as_numbers, content, parse_categorical
from .containers import Chunk, Container, container_of
from .reader import Reader, Stem
from .rows import Rows
from .scaling import Scaler

__all__ = ["TableReader"]

_UNKNOWN, _MISSING = -1, -2  # codes of OrdinalEncoder, before 1 is added
_LOOKED_AT = 256  # rows that are compared with those of fit
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
    encoder : OrdinalEncoder or None
        For the columns of categories.
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
    encoder: OrdinalEncoder | None

    def __init__(self, *, categorical_features: str | ArrayLike | None, standardize: bool) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize

    def fit(self, rows: Rows) -> TableReader:
        """Learn types, categories and scales of the columns.

        Raises
        ------
        TypeError, ValueError
            If a column is neither numbers nor categories, or cannot be standardised; the message names it.
        """
        # All rows are needed to tell the types of columns, except in an array of numbers, where one row does.
        one_type = not rows.is_frame and rows.dtype.kind not in "OUTb"
        seen = container_of(rows.take(slice(0, 1 if one_type else len(rows))))
        self.shape = rows.shape[1:]
        self.names = seen.names()
        self.held = self._contents(seen)
        self.is_category = parse_categorical(self.categorical_features, self.names, self.held, is_frame=rows.is_frame)
        self._check_text_is_no_number(seen)
        self._set_categories(self._known_categories(rows) if self.is_category.any() else [])
        self.scaler = Scaler(self._numeric_names(), standardize=self.standardize)
        self.scaler.fit(lambda X: self._split(X)[0], rows)
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        self.has_missing[~self.is_category] = self.scaler.has_missing
        return self

    def at(self, rows: Rows) -> Callable[[Chunk], Tensor]:
        """Return :meth:`read`, after a warning if many rows are far from those of ``fit``."""
        if rows.shape[1:] == self.shape and len(rows) > 1:
            self.scaler.warn_if_far(self._split(rows.sample(_LOOKED_AT))[0])
        return self.read

    def read(self, X: Chunk) -> Tensor:
        """Read rows: (n, n_columns).

        Raises
        ------
        TypeError, ValueError
            If a column does not hold what it held in ``fit``, or infinite values.
        """
        number_columns, category_columns = self._split(X)
        numbers = self.scaler.read(number_columns)
        if self.encoder is None:
            return numbers
        codes = self.encoder.transform(category_columns)
        # "Missing" is the last category of a column where fit saw missing values, else a category that is not known.
        n_known = self.n_categories[self.is_category]
        knows_missing = np.array([is_missing(known[-1]) for known in self.known_categories])
        codes = np.where(codes == _MISSING, np.where(knows_missing, n_known - 1, _UNKNOWN), codes)
        table = torch.empty((len(codes), len(self.names)))
        table[:, torch.from_numpy(~self.is_category)] = numbers
        table[:, torch.from_numpy(self.is_category)] = torch.from_numpy(codes + 1).float()  # unknown becomes 0
        return table

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Number of columns."""
        return (len(self.names),)

    @property
    def numeric_columns(self) -> list[bool] | None:
        """Which columns are numbers; None if all are."""
        return (~self.is_category).tolist() if self.is_category.any() else None

    @property
    def known_categories(self) -> list[np.ndarray]:
        """Categories of the columns of categories, in the order of their codes."""
        return [] if self.encoder is None else list(self.encoder.categories_)

    def categories(self) -> dict[int, np.ndarray]:
        """Return the categories in the order of their codes, by the number of their column."""
        return dict(zip(np.flatnonzero(self.is_category).tolist(), self.known_categories, strict=True))

    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> TableStem:
        """Make the stem that turns codes and gaps into features."""
        return TableStem(self.n_categories.tolist(), self.has_missing.tolist(), numeric_encoding)

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
        categories = [list(known) for known in self.known_categories]
        return {**state, "categories": categories, "scaler": self.scaler.get_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TableReader:
        """Make the fitted reader whose :meth:`get_state` returned this."""
        reader = cls(categorical_features=state["categorical_features"], standardize=state["standardize"])
        vars(reader).update({name: state[name] for name in _PLAIN_STATE})
        reader._set_categories([np.array(known, dtype=object) for known in state["categories"]])
        reader.scaler = Scaler(reader._numeric_names(), standardize=reader.standardize)
        reader.scaler.set_state(state["scaler"], has_missing=reader.has_missing[~reader.is_category])
        return reader

    def _numeric_names(self) -> list[Any]:
        return [name for name, is_category in zip(self.names, self.is_category, strict=True) if not is_category]

    def _contents(self, X: Container) -> list[Content]:
        if not X.is_frame and X.dtype.kind in "iufbUT":
            return [content(X.columns()[0][:1], 0)] * X.shape[1]
        return [content(values, name) for name, values in zip(X.names(), X.columns(), strict=True)]

    def _check_text_is_no_number(self, X: Container) -> None:
        """Refuse an array of numbers that were read as text: it would train on one category for each value."""
        if X.is_frame or not isinstance(self.categorical_features, str):
            return
        for name, values, held in zip(self.names, X.columns(), self.held, strict=True):
            if held == "text" and _all_numbers(values):
                raise ValueError(
                    f"Column {name!r} holds numbers as text, such as {values[0]!r}; convert X to numbers "
                    "(X.astype(float)), or name the column in categorical_features."
                )

    def _known_categories(self, rows: Rows) -> list[np.ndarray]:
        """Return the sorted categories of each column of categories, NaN last if values were missing."""
        known: list[set[Any]] = [set() for _ in range(self.is_category.sum())]
        has_gaps = np.zeros(len(known), dtype=bool)
        for chunk in rows.chunks():
            for k, values in enumerate(self._split(chunk)[1].T):
                missing = np.array([is_missing(value) for value in values], dtype=bool)
                known[k] |= set(values[~missing].tolist())
                has_gaps[k] |= missing.any()
        return [
            np.array([*sorted(values), *([np.nan] if gaps else [])], dtype=object)
            for values, gaps in zip(known, has_gaps, strict=True)
        ]

    def _set_categories(self, categories: list[np.ndarray]) -> None:
        self.encoder = _ordinal_encoder(categories) if categories else None
        self.n_categories = np.zeros(len(self.names), dtype=int)
        self.n_categories[self.is_category] = [len(known) for known in categories]

    def _split(self, X: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of numbers, (n, k) in double precision, and those of categories, (n, l) of objects."""
        table = container_of(X)
        n = table.shape[0]
        if isinstance(X, np.ndarray) and X.dtype.kind in "iufb" and not self.is_category.any():
            # the usual case, without a look at each column
            if "text" in self.held:
                raise ValueError(f"Column {self.names[self.held.index('text')]!r} held text in fit, and now numbers.")
            return X.astype(np.float64, copy=False), np.empty((n, 0), dtype=object)
        # Each value is looked at: a frame or an array of objects may hold other types than in fit.
        numbers, categories = [], []
        for j, values in enumerate(table.columns()):
            self._check_same_content(j, content(values, self.names[j]), values)
            if self.is_category[j]:
                categories.append(as_categories(values, self.held[j]))
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
        raise ValueError(
            f"Column {self.names[j]!r} held {before} in fit, and now holds {held}, such as {shown!r}; convert it to "
            f"{before}."
        )


def _ordinal_encoder(categories: list[np.ndarray]) -> OrdinalEncoder:
    """Return an encoder of known categories: for each column an array of objects of one type, with NaN last."""
    encoder = OrdinalEncoder(
        categories=categories,
        handle_unknown="use_encoded_value",
        unknown_value=_UNKNOWN,
        encoded_missing_value=_MISSING,
    )
    return encoder.fit(np.array([[values[0] for values in categories]], dtype=object))  # categories are given: any row


def _all_numbers(values: np.ndarray) -> bool:
    try:
        np.array([value for value in values.tolist() if not is_missing(value)], dtype=np.float64)
    except ValueError:
        return False
    return True
