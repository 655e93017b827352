"""Tables to float32 tensors with one column for each original column, and cycles of dates behind.

Numbers are standardised, and NaN where missing. Categories become codes: whole numbers from 1, and 0 for a category
that ``fit`` did not see. Dates become elapsed time, and sines and cosines of cycles in further columns at the end. So a
view can swap or drop whole columns. The stem of the encoder decides how a column enters
the network: a code as a one-hot vector or a learned one, a gap as an indicator.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from .._utils.missing import is_missing
from ..encoders import TableStem
from .columns import Content, as_categories, as_numbers, check_order, content, holds_nothing, parse_categorical
from .containers import Chunk, Container, container_of
from .dates import DateColumn, warn_of_text
from .instants import TEMPORAL
from .reader import Reader, Stem
from .rows import LOOKED_AT, Rows
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
    dates : dict of int to DateColumn
        For the columns of dates, durations and times of day, by their number.
    """

    kind = "table"
    noun = "a table"
    auto_encoder = "mlp"
    auto_steps = 1000
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
    dates: dict[int, DateColumn]

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
        self._fit_dates(rows)
        counts: list[Counter[Any]] = [Counter() for _ in range(self.is_category.sum())]
        self.max_vectors = _MAX_VECTORS
        self.scaler = Scaler(self._numeric_names(), standardize=self.standardize)
        # Categories are counted in the pass that learns scales: each row is read once.
        self.scaler.fit(partial(self._count_and_split, counts), rows)
        self._check_categories(seen, counts, typed)
        self._set_categories([_known(of_column) for of_column in counts])
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        self.has_missing[~self.is_category] = self.scaler.has_missing[: (~self.is_category).sum()]
        return self

    def at(self, rows: Rows) -> Callable[[Chunk], Tensor]:
        """Return :meth:`read`, after a warning if many rows are far from those of ``fit``."""
        if rows.shape[1:] != self.shape or len(rows) < 2:
            return self.read
        if rows.part_sizes is None:
            self.scaler.warn_if_far(self._split(rows.sample(LOOKED_AT))[0])
            return self.read
        is_first = True

        def read(chunk: Chunk) -> Tensor:
            nonlocal is_first
            if is_first:  # a sample of a file would read all of it
                self.scaler.warn_if_far(self._split(chunk)[0][:LOOKED_AT])
                is_first = False
            return self.read(chunk)

        return read

    def read(self, X: Chunk) -> Tensor:
        """Read rows: (n, n_columns), and the columns that are derived from dates.

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
        is_category = torch.from_numpy(self._with_derived(self.is_category))
        table = torch.empty((len(codes), len(is_category)), dtype=torch.float32)
        table[:, ~is_category] = numbers
        table[:, is_category] = torch.from_numpy(codes)
        return table

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Number of columns, with those that are derived from dates."""
        return (len(self.names) + len(self._derived()),)

    @property
    def numeric_columns(self) -> list[bool] | None:
        """Which columns are numbers; None if all are."""
        return (~self._with_derived(self.is_category)).tolist() if self.is_category.any() else None

    @property
    def column_groups(self) -> list[int] | None:
        """Number of the original column that each column of the inputs is derived from; None if each has one."""
        derived = [j for j, _ in self._derived()]
        return [*range(len(self.names)), *derived] if derived else None

    def categories(self) -> dict[int, np.ndarray]:
        """Return the categories in the order of their codes, by the number of their column."""
        return dict(zip(np.flatnonzero(self.is_category).tolist(), self.known_categories, strict=True))

    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> TableStem:
        """Make the stem that turns codes and gaps into features."""
        sizes, missing = self._with_derived(self.n_categories), self._with_derived(self.has_missing)
        return TableStem(sizes.tolist(), missing.tolist(), numeric_encoding, max_vectors=self.max_vectors)

    def plain_names(self, stem: Stem, input_names: Sequence[Any]) -> list[str]:
        """Return names as scikit-learn's imputers and one-hot encoders make them, in the order of ``stem.plain``."""
        assert isinstance(stem, TableStem)  # from make_stem
        columns = self._column_names(input_names)
        names = [columns[k] for k in stem.numbers.tolist()]
        names += [f"missingindicator_{input_names[k]}" for k in stem.indicated.tolist()]
        known = self.categories()
        return names + [f"{input_names[k]}_{category}" for k in stem.few.tolist() for category in known[k]]

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, by name, in plain values and arrays."""
        state = {name: getattr(self, name) for name in _PLAIN_STATE}
        state |= {
            "scaler": self.scaler.get_state(),
            "max_vectors": self.max_vectors,
            "dates": {j: column.get_state() for j, column in self.dates.items()},
            "passes_through": self.passes_through,
        }
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
        dates = state.get("dates", {})  # files of earlier versions have none
        reader.dates = {j: DateColumn.from_state(reader.names[j], column) for j, column in dates.items()}
        reader.scaler = Scaler(reader._numeric_names(), standardize=reader.standardize)
        has_missing = reader._with_derived(reader.has_missing)[~reader._with_derived(reader.is_category)]
        reader.scaler.set_state(state["scaler"], has_missing=has_missing)
        return reader

    def _numeric_names(self) -> list[Any]:
        names = [name for name, is_category in zip(self.names, self.is_category, strict=True) if not is_category]
        return names + [f"{self.names[j]}{suffix}" for j, suffix in self._derived()]

    def _derived(self) -> list[tuple[int, str]]:
        """Return the number of its column of dates, and what is added to the name, for each derived column."""
        return [(j, suffix) for j, column in self.dates.items() for suffix in column.names()[1:]]

    def _with_derived(self, of_columns: np.ndarray) -> np.ndarray:
        """Append zeros or False for the derived columns."""
        n_derived = len(self._derived())
        return np.append(of_columns, np.zeros(n_derived, dtype=of_columns.dtype)) if n_derived else of_columns

    def _column_names(self, input_names: Sequence[Any]) -> list[str]:
        """Return a name for each column of the inputs."""
        names = [str(name) for name in input_names]
        for j, column in self.dates.items():
            first, *further = column.names()
            names[j] = f"{input_names[j]}{first}"
            names += [f"{input_names[j]}{suffix}" for suffix in further]
        return names

    def _fit_dates(self, rows: Rows) -> None:
        self.dates = {}
        for j, held in enumerate(self.held):
            if held not in TEMPORAL:
                continue
            if self.is_category[j]:
                raise ValueError(
                    f"categorical_features names column {self.names[j]!r}, which holds {held}s; leave it out, as it is "
                    f"read as numbers and cycles, or convert it by X[{self.names[j]!r}].astype(str)."
                )
            self.dates[j] = DateColumn(self.names[j], held)
        for chunk in rows.chunks() if self.dates else ():
            columns = container_of(chunk).columns()
            for j, column in self.dates.items():
                column.observe(columns[j])
        for column in self.dates.values():
            column.finish()

    def _contents(self, X: Container) -> list[Content]:
        if not X.is_frame and X.dtype.kind in "iufbUT":
            return [content(X.columns()[0][:1], 0)] * X.shape[1]
        return [
            "missing" if holds_nothing(values) else content(values, name)
            for name, values in zip(X.names(), X.columns(), strict=True)
        ]

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
            is_told = is_read_as_text and (
                check_no_numbers(name, present, _to_numbers(X, name), in_frame=X.is_frame)
                or warn_of_text(name, list(present))
            )
            if not is_told:
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
            and not self.dates
            and "missing" not in self.held
        ):
            # the usual case, without a look at each column
            if "text" in self.held:
                raise ValueError(f"Column {self.names[self.held.index('text')]!r} held text in fit, and now numbers.")
            return X.astype(np.float64, copy=False), np.empty((n, 0), dtype=object)
        # Each value is looked at: a frame or an array of objects may hold other types than in fit.
        numbers, categories = [], []
        derived: list[np.ndarray] = []
        for j, values in enumerate(table.columns()):
            held = content(values, self.names[j])
            if held == "number" and self.held[j] != "number" and holds_nothing(values):
                held, values = "missing", np.full(n, None, dtype=object)  # frames have NaN for a column without values
            self._check_same_content(j, held, values)
            if j not in self.dates and (held in TEMPORAL or values.dtype.kind in "mM"):
                values = np.full(n, None, dtype=object)  # NaT, or dates in a column that had no value in fit
            if self.is_category[j]:
                categories.append(as_categories(values, self.held[j], self.names[j]))
            elif j in self.dates:
                number, *cycles = self.dates[j].read(values)
                numbers.append(number)
                derived += cycles  # behind all original columns, as column_groups says
            elif self.held[j] == "missing":  # nothing is known of its values, whatever they are
                numbers.append(np.full(n, np.nan))
            else:
                numbers.append(as_numbers(values))
        numbers += derived
        return (
            np.column_stack(numbers) if numbers else np.empty((n, 0)),
            np.column_stack(categories) if categories else np.empty((n, 0), dtype=object),
        )

    def _check_same_content(self, j: int, held: Content, values: np.ndarray) -> None:
        """Raise ValueError if a column holds another type than in ``fit``; in a column of numbers, truth is numbers."""
        before = self.held[j]
        if held == before or "missing" in (held, before) or len(values) == 0:
            return
        if not self.is_category[j] and {held, before} == {"truth", "number"}:
            return
        listed = values if values.dtype.kind in "mM" else values.tolist()  # a list would have nanoseconds as integers
        shown = next(value for value in listed if not is_missing(value))
        if before == "date" and held == "text":
            raise ValueError(
                f"Column {self.names[j]!r} held dates in fit, and now holds text, such as {shown!r}; convert it to "
                f"dates, for example by pandas.to_datetime(X[{self.names[j]!r}])."
            )
        example = _EXAMPLES.get((before, held), _EXAMPLES.get((before, None), "")).format(f"X[{self.names[j]!r}]")
        raise ValueError(
            f"Column {self.names[j]!r} held {before} in fit, and now holds {held}, such as {shown!r}; convert it to "
            f"{before}{example and ', for example by '}{example}."
        )


# How a column becomes what it was in fit; pandas.to_numeric would make nanoseconds of dates and durations.
_EXAMPLES: dict[tuple[Content, Content | None], str] = {
    ("number", "text"): "pandas.to_numeric({}, errors='coerce')",
    ("number", "duration"): "{}.dt.total_seconds()",
    ("truth", "number"): "{}.astype(bool)",
    ("date", "number"): "pandas.to_datetime({}, unit='s') if it holds seconds",
    ("duration", "number"): "pandas.to_timedelta({}, unit='s') if it holds seconds",
    ("duration", "text"): "pandas.to_timedelta({})",
    ("text", "date"): "{0}.astype('category') if fit had dates of a categorical type, and {0}.astype(str) if not",
    (
        "text",
        "duration",
    ): "{0}.astype('category') if fit had durations of a categorical type, and {0}.astype(str) if not",
    ("text", None): "{}.astype(str)",
}


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
