"""Text that is no category: numbers written as text, and text that differs in nearly every row.

Text becomes categories. Numbers read that way lose their order, and train as noise. So a column whose values are
numbers, or are numbers except a few marks such as "?", is refused. But some text of digits is honest, such as zip
codes or grades "1" to "9" and "K": it is told by leading zeros, and by few whole numbers.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["check_no_numbers", "warn_of_unique"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
# numbers that Python does not parse: 1,234.5 or 3,14 or $12.50 or 45 %
_WRITTEN = re.compile(
    r"[+-]?[$€£¥]? ?(\d{1,3}([,' ]\d{3})+(\.\d+)?|\d+,\d+|\d+(\.\d+)?) ?[%$€£¥]?",
)
_DIGITS = re.compile(r"\d+", re.ASCII)
_MARKS = {"", "?", "-", "--", ".", "*", "#", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown"}
_MARKS |= {"inf", "-inf", "+inf", "infinity", "-infinity", "nat", "<na>", "n.a.", "n.d.", "#value!", "#div/0!"}

_FEW_NUMBERS = 16  # distinct fractions that may be categories, such as versions
_FEW_CODES = 32  # distinct whole numbers that may be categories, such as grades
_FEW_ODD = 10  # distinct values that are no numbers, beside numbers
_NEARLY_ALL = 0.9  # share of numbers from which on a column of whole numbers is one of numbers
_UNIQUE = 0.95  # distinct values per row from which on they are no categories
_FEWEST, _FEWEST_NAMED = 20, 100  # distinct values below which a column is too short to tell


@dataclass(frozen=True)
class _Numbers:
    """What of a column of text is numbers.

    share : of the rows with a value; example : the most frequent number; n_distinct : numbers; odd : the distinct
    values that are no numbers Python parses, the most frequent first; n_other : those of them that are no numbers at
    all; marked : whether all of these are marks of a missing value; measured : whether some have fractions or signs;
    coded : whether some have leading zeros.
    """

    share: float
    example: str
    n_distinct: int
    odd: list[str]
    n_other: int
    marked: bool
    measured: bool
    coded: bool


def check_no_numbers(name: Any, counts: Counter[str], remedy: str, *, in_frame: bool) -> bool:
    """Raise ValueError if a column of text holds numbers; warn, and return True, if that is doubtful.

    Parameters
    ----------
    name : object
        Name of the column.
    counts : Counter
        How often each text occurs, without missing values.
    remedy : str
        Expression that makes numbers of the column, and NaN of what is none.
    in_frame : bool
        Whether X is a frame, whose text is chosen deliberately more often than that of an array.
    """
    found = _numbers(counts)
    if found is None:
        return False
    as_category = "name it in categorical_features" + (" or give it a categorical dtype" if in_frame else "")
    if not found.odd:
        if not in_frame or (found.measured and not found.coded and _is_many(found, counts, _FEW_NUMBERS)):
            raise ValueError(
                f"Column {name!r} holds numbers as text, such as {found.example!r}; convert it to numbers "
                f"({remedy if in_frame else 'X.astype(float)'}). If these are categories, {as_category}."
            )
        return False
    if not found.n_other:
        if _is_refused(found, counts):
            raise ValueError(
                f"Column {name!r} holds numbers as text, such as {found.odd[0]!r}, which Python does not parse; take "
                "out what is neither a digit nor the decimal point, such as by str.replace or by decimal= and "
                f"thousands= of pandas.read_csv, and convert it to numbers. If these are categories, {as_category}."
            )
        return False
    shown = ", ".join(map(_shortened, found.odd[:5]))
    shown += f" and {len(found.odd) - 5} more" if len(found.odd) > 5 else ""
    parsed = f"{int(1000 * found.share) / 10:g} % of the values are numbers, such as {found.example!r}, except {shown}"
    if _is_refused(found, counts):
        raise ValueError(
            f"Column {name!r} holds text, but {parsed}. Convert it to numbers, with NaN for the others ({remedy}). If "
            f"these are categories, {as_category}."
        )
    if _is_many(found, counts, _FEW_CODES) and not found.coded:
        warnings.warn(
            f"Column {name!r} holds text and is read as {len(counts)} categories, but {parsed}. If it is a "
            f"measurement, convert it to numbers ({remedy}); if these are categories, {as_category}.",
            stacklevel=2,
        )
        return True
    return False


def warn_of_unique(name: Any, counts: Counter[Any], *, is_named: bool) -> None:
    """Warn if a column of categories has another one in nearly every row: nothing can be learned of each.

    A short column that is named in ``categorical_features`` was looked at, and gets no warning.
    """
    n_rows = counts.total()
    if len(counts) < max(_FEWEST_NAMED if is_named else _FEWEST, _UNIQUE * n_rows):
        return
    warnings.warn(
        f"Column {name!r} has {len(counts)} distinct categories in {n_rows} rows, such as "
        f"{_shortened(next(iter(counts)))}: the embedding cannot learn from them, and treats all new ones alike. Drop "
        "the column if it is an identifier; turn free text into numbers first, as docs/guide/tables.md shows.",
        stacklevel=2,
    )


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}...{text[0]}"


def _is_refused(found: _Numbers, counts: Counter[str]) -> bool:
    """Whether a column of numbers and other values is surely no column of categories."""
    if found.coded or found.n_other > _FEW_ODD:
        return False
    if found.n_other and found.marked:
        return True
    few = _FEW_NUMBERS if found.measured else _FEW_CODES
    return _is_many(found, counts, few) and (found.measured or found.share >= _NEARLY_ALL)


def _is_many(found: _Numbers, counts: Counter[str], few: int) -> bool:
    """Whether there are more distinct numbers than categories would have."""
    return found.n_distinct > few or (found.n_distinct > 4 and found.n_distinct > counts.total() / 2)


def _numbers(counts: Counter[str]) -> _Numbers | None:
    """Return which of the values are numbers; None if half of the rows or more are others."""
    stripped = {text: text.strip() for text in counts}
    plain = [text for text, value in stripped.items() if _NUMBER.fullmatch(value)]
    rest = sorted(counts.keys() - plain, key=lambda text: (-counts[text], text))
    written = [text for text in rest if _WRITTEN.fullmatch(stripped[text])]
    is_written = set(written)
    other = [text for text in rest if text not in is_written]
    n_numbers = _total(counts, plain) + _total(counts, written)
    if not n_numbers > counts.total() / 2:
        return None
    values = [stripped[text] for text in plain]
    coded = any(_DIGITS.fullmatch(value) and value[0] == "0" and len(value) > 1 for value in values)
    return _Numbers(
        share=n_numbers / counts.total(),
        example=max(plain or written, key=lambda text: counts[text]),
        n_distinct=len(plain) + len(written),
        odd=rest,
        n_other=len(other),
        marked=all(stripped[text].lower() in _MARKS for text in other),
        measured=bool(written) or not all(_DIGITS.fullmatch(value) for value in values),
        coded=coded,
    )


def _total(counts: Counter[str], texts: Iterable[str]) -> int:
    return sum(counts[text] for text in texts)
