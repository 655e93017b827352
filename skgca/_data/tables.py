"""Tables to float32 tensors with one column for each original column.

Numbers are standardised, and NaN where missing; categories are whole numbers from 1, and 0 where they were not seen in
``fit``. So a view can swap or drop a column whole, and the encoder's stem decides how a column enters the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import OrdinalEncoder
from torch import Tensor

from .._utils.missing import is_missing
from .columns import as_categories, as_numbers, column_names, columns, content, parse_categorical
from .rows import Rows, is_frame
from .scaling import Scaler

__all__ = ["TableReader", "ordinal_encoder"]

_UNKNOWN, _MISSING = -1, -2


class TableReader:
    """Reads tables of numbers and categories; everything is learned from the rows of ``fit``.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of bool, int or str, or None
        Which columns are categories.
    standardize : bool
        Whether to standardise the numbers.

    Attributes
    ----------
    names : list
        Names of the columns, numbers where they have none.
    n_categories : ndarray of shape (n_columns,), int
        Categories of each column, one more where some were missing; 0 for numbers.
    has_missing : ndarray of shape (n_columns,), bool
        Which columns of numbers missed some.
    scaler : Scaler
        Of the columns of numbers.
    encoder : OrdinalEncoder or None
        Of the columns of categories.
    """

    kind = "table"

    def __init__(self, *, categorical_features: Any, standardize: bool) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize

    def fit(self, rows: Rows) -> TableReader:
        """Learn types, categories and scales of the columns.

        Raises
        ------
        TypeError, ValueError
            If a column is neither numbers nor categories, or cannot be standardised; the message names it.
        """
        whole = (
            rows.take(slice(0, len(rows))) if is_frame(rows.X) or rows.dtype.kind in "OUTb" else rows.take(slice(0, 1))
        )
        self.shape = rows.shape[1:]
        self.names = column_names(whole)
        self.held = self._contents(whole)
        self.is_category = parse_categorical(self.categorical_features, self.names, self.held, framed=is_frame(rows.X))
        self._check_text_is_no_number(whole)
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        self.encoder = None
        if self.is_category.any():
            self._fit_categories(rows)
        numeric = [name for name, is_category in zip(self.names, self.is_category, strict=True) if not is_category]
        self.scaler = Scaler(numeric, standardize=self.standardize).fit(lambda X: self._split(X)[0], rows)
        self.has_missing[~self.is_category] = self.scaler.has_missing
        self.n_categories = np.zeros(len(self.names), dtype=int)
        if self.encoder is not None:
            self.n_categories[self.is_category] = [len(known) for known in self.encoder.categories_]
        return self

    def read(self, X: Any) -> Tensor:
        """Read rows: (n, n_columns).

        Raises
        ------
        TypeError, ValueError
            If a column does not hold what it held in ``fit``, or infinite values.
        """
        numbers, categories = self._split(X)
        numbers = self.scaler.read(numbers)
        if self.encoder is None:
            return numbers
        codes = self.encoder.transform(categories)
        n_known = self.n_categories[self.is_category]
        last = np.array([is_missing(known[-1]) for known in self.encoder.categories_])
        codes = np.where(codes == _MISSING, np.where(last, n_known - 1, _UNKNOWN), codes)
        table = torch.empty((len(codes), len(self.names)))
        table[:, torch.from_numpy(~self.is_category)] = numbers
        table[:, torch.from_numpy(self.is_category)] = torch.from_numpy(codes + 1).float()
        return table

    @property
    def known_categories(self) -> list[np.ndarray]:
        """Categories of the columns of categories, in the order of their codes."""
        return [] if self.encoder is None else self.encoder.categories_

    def _contents(self, X: Any) -> list[str]:
        if not is_frame(X) and X.dtype.kind in "iufbUT":
            return [content(X[:1, 0], 0)] * X.shape[1]
        return [content(values, name) for name, values in zip(column_names(X), columns(X), strict=True)]

    def _check_text_is_no_number(self, X: Any) -> None:
        """Refuse an array of numbers that were read as text: it would train on one category a row."""
        if is_frame(X) or self.categorical_features is None or not isinstance(self.categorical_features, str):
            return
        for name, values, held in zip(self.names, columns(X), self.held, strict=True):
            if held == "text" and _all_numbers(values):
                raise ValueError(
                    f"Column {name!r} holds numbers as text, such as {values[0]!r}; convert X to numbers "
                    "(X.astype(float)), or name the column in categorical_features."
                )

    def _fit_categories(self, rows: Rows) -> None:
        known: list[set] = [set() for _ in range(self.is_category.sum())]
        gaps = np.zeros(len(known), dtype=bool)
        for chunk in rows.chunks():
            for k, values in enumerate(self._split(chunk)[1].T):
                found = set(values[[not is_missing(value) for value in values]].tolist())
                known[k] |= found
                gaps[k] |= any(is_missing(value) for value in values)
        categories = [
            np.array([*sorted(found), *([np.nan] if gap else [])], dtype=object)
            for found, gap in zip(known, gaps, strict=True)
        ]
        self.encoder = ordinal_encoder(categories)

    def _split(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of numbers, (n, k) in double precision, and those of categories, (n, l) of objects."""
        if not is_frame(X) and X.dtype.kind in "iufb" and not self.is_category.any():
            if "text" in self.held:
                raise ValueError(f"Column {self.names[self.held.index('text')]!r} held text in fit, and now numbers.")
            return X.astype(np.float64, copy=False), np.empty((len(X), 0), dtype=object)
        numbers, categories = [], []
        for j, values in enumerate(columns(X)):
            held = content(values, self.names[j])
            self._check_same_content(j, held, values)
            if self.is_category[j]:
                categories.append(as_categories(values, self.held[j]))
            else:
                numbers.append(as_numbers(values))
        n = len(X)
        return (
            np.column_stack(numbers) if numbers else np.empty((n, 0)),
            np.column_stack(categories) if categories else np.empty((n, 0), dtype=object),
        )

    def _check_same_content(self, j: int, held: str, values: np.ndarray) -> None:
        """Raise ValueError if a column holds another type than in ``fit``; truth goes for numbers where no category."""
        before = self.held[j]
        if held == before or "missing" in (held, before):
            return
        if not self.is_category[j] and {held, before} == {"truth", "number"}:
            return
        shown = next(value for value in values.tolist() if not is_missing(value))
        raise ValueError(
            f"Column {self.names[j]!r} held {before} in fit, and now holds {held}, such as {shown!r}; convert it to "
            "what it was."
        )


def ordinal_encoder(categories: list[np.ndarray]) -> OrdinalEncoder:
    """Return what numbers the known categories of columns, each an array of objects of one type, with NaN last."""
    encoder = OrdinalEncoder(
        categories=categories,
        handle_unknown="use_encoded_value",
        unknown_value=_UNKNOWN,
        encoded_missing_value=_MISSING,
    )
    return encoder.fit(np.array([[values[0] for values in categories]], dtype=object))


def _all_numbers(values: np.ndarray) -> bool:
    try:
        np.array([value for value in values.tolist() if not is_missing(value)], dtype=np.float64)
    except ValueError:
        return False
    return True
