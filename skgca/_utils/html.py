"""The HTML of reports in a notebook: one stylesheet, in the manner of scikit-learn's estimators.

Text inherits the colour of the notebook, and lines and stripes are shades of grey that can be seen on white and on
black. So the same page works in light and in dark notebooks. An untrusted notebook loads no style, and shows plain
tables.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["STYLE", "figures", "report", "section"]

STYLE = (
    ".skgca-report {font-family: monospace; font-size: 0.9em; line-height: 1.4; display: inline-block; max-width: 100%;"
    " box-sizing: border-box; border: 1px dotted rgba(128, 128, 128, 0.8); border-radius: 0.25em; padding: 0.5em 1em;"
    " overflow-x: auto}"
    ".skgca-report .title {font-weight: bold; border-left: 0.25em solid cornflowerblue; padding-left: 0.5em}"
    ".skgca-report p {margin: 0.4em 0; max-width: 72em}"
    ".skgca-report .note {opacity: 0.75}"
    ".skgca-report summary {cursor: pointer; padding: 0.4em 0; font-weight: bold}"
    ".skgca-report summary::marker {font-size: 0.7rem}"
    ".skgca-report table {border-collapse: collapse; margin: 0.2em 0; color: inherit; background: transparent}"
    ".skgca-report :is(td, th) {border: 1px solid rgba(128, 128, 128, 0.35); padding: 0.2em 0.6em; color: inherit;"
    " font-size: inherit; background: transparent}"
    ".skgca-report th {font-weight: normal; text-align: left !important}"
    ".skgca-report thead th {font-weight: bold}"
    ".skgca-report td {text-align: right}"
    ".skgca-report td.text {text-align: left !important}"
    ".skgca-report tbody tr:nth-child(even) {background: rgba(128, 128, 128, 0.12)}"
    ".skgca-report tbody tr:hover {background: rgba(100, 149, 237, 0.25)}"
)


def report(title: str, *parts: str) -> str:
    """Return a report as one box.

    Parameters
    ----------
    title : str
        Text; it is escaped.
    *parts : str
        HTML.
    """
    return (
        f'<style>{STYLE}</style><div class="skgca-report"><div class="title">{_text(title)}</div>{"".join(parts)}</div>'
    )


def figures(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a table of names, values and their explanations; they are escaped."""
    lines = "".join(
        f'<tr><th>{_text(name)}</th><td>{_text(value)}</td><td class="text">{_text(explanation)}</td></tr>'
        for name, value, explanation in rows
    )
    return f"<table><tbody>{lines}</tbody></table>"


def section(name: str, explanation: str, body: str) -> str:
    """Return a part of a report that can be folded: its name and explanation, which are escaped, and HTML."""
    note = f'<p class="note">{_text(explanation)}</p>'
    return f"<details open><summary>{_text(name)}</summary>{note}{body}</details>"


def _text(text: str) -> str:
    return html.escape(str(text))
