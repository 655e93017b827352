"""Two or more views of one batch."""

from collections.abc import Callable

from torch import Generator, Tensor

__all__ = ["MultiView", "View"]

View = Callable[[Tensor, Generator], Tensor]


class MultiView:
    """Several views of each batch, drawn one after the other.

    Parameters
    ----------
    *views : callable ``(batch, generator) -> batch``
        What makes each view. The same callable may stand more than once: it gets fresh random numbers each time.

    Raises
    ------
    ValueError
        If there are fewer than two.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import ColumnCorruption, MultiView
    >>> views = MultiView(ColumnCorruption(0.5), lambda batch, generator: batch)  # the second is clean
    >>> [tuple(view.shape) for view in views(torch.ones(4, 3), torch.Generator())]
    [(4, 3), (4, 3)]
    """

    def __init__(self, *views: View) -> None:
        if len(views) < 2:
            raise ValueError(f"{len(views)} view has nothing to be compared with; give 2 or more.")
        self.views = views

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return the views of a batch of shape (n, ...), each of n rows.

        Raises
        ------
        ValueError
            If a view changes the number of rows.
        """
        made = tuple(view(batch, generator) for view in self.views)
        for view, made_by in zip(made, self.views, strict=True):
            if len(view) != len(batch):
                raise ValueError(f"The view {made_by!r} made {len(view)} rows of {len(batch)}; it must keep each row.")
        return made
