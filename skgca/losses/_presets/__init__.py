"""The named losses, a file for each family, and :data:`PRESETS`, the table of all of them.

A preset composes an :class:`AlignmentLoss` and does no arithmetic of its own. A new loss is a function in the file of
its family and a line in :data:`PRESETS`. ``make_loss`` and the estimator read its name there, and its options from its
signature.
"""

from __future__ import annotations

from collections.abc import Callable

from .._alignment import AlignmentLoss
from . import byol, gca, infonce, iot

__all__ = ["PRESETS"]

PRESETS: dict[str, Callable[..., AlignmentLoss]] = {
    "ince": infonce.ince,
    "rince": infonce.rince,
    "gca_ince": gca.gca_ince,
    "gca_rince": gca.gca_rince,
    "gca_uot": gca.gca_uot,
    "byol": byol.byol,
    "iot": iot.iot,
    "iot_uni": iot.iot_uni,
    "supcon": infonce.supcon,
}
