"""Two views of one batch."""

from collections.abc import Callable

from torch import Generator, Tensor

__all__ = ["View", "ViewPair"]

View = Callable[[Tensor, Generator], Tensor]


class ViewPair:
    """Two views of each batch, drawn apart.

    Parameters
    ----------
    first : callable ``(batch, generator) -> batch``
        Makes the first view.
    second : callable, default=None
        Makes the second. None is ``first`` again, with fresh random numbers.
    """

    def __init__(self, first: View, second: View | None = None) -> None:
        self.first = first
        self.second = first if second is None else second

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return the two views of a batch of shape (n, ...), each of n rows.

        Raises
        ------
        ValueError
            If a view changes the number of rows.
        """
        views = self.first(batch, generator), self.second(batch, generator)
        for view, made_by in zip(views, (self.first, self.second), strict=True):
            if len(view) != len(batch):
                raise ValueError(f"The view {made_by!r} made {len(view)} rows of {len(batch)}; it must keep each row.")
        return views
