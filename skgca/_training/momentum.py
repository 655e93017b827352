"""The target network of losses that repel nothing: a moving average of the network in training."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["MomentumSchedule", "MomentumTarget"]


class MomentumSchedule:
    """Decay of a moving average at a step: from ``start``, by half a cosine, to 1.

    Parameters
    ----------
    start : float
        Decay at step 0.
    n_steps : float
        Step at which it reaches 1; inf is never.
    """

    def __init__(self, start: float, n_steps: float) -> None:
        self.start = start
        self.n_steps = n_steps

    def __call__(self, step: int) -> float:
        """Return the decay at a step that counts from 0."""
        progress = min(1.0, step / max(1, self.n_steps))
        return 1 - (1 - self.start) * (1 + math.cos(math.pi * progress)) / 2


class MomentumTarget:
    """A network that follows another as the exponential moving average of its weights.

    It is no module, so that skorch neither trains nor keeps it. Its batch normalisation uses the statistics of the
    batch, as that of the network which it follows does.

    Parameters
    ----------
    online : Module
        The network to copy.
    schedule : callable ``step -> decay``
    """

    def __init__(self, online: nn.Module, schedule: MomentumSchedule) -> None:
        self.step = 0
        self.schedule = schedule
        self._average = AveragedModel(online, avg_fn=self._mean)
        self._average.update_parameters(online)  # the first call copies
        self._average.train()

    def __call__(self, batch: Tensor) -> Tensor:
        """Project a batch, without a gradient."""
        with torch.no_grad():
            return self._average(batch)

    def follow(self, online: nn.Module) -> None:
        """Move towards the network, by the decay of this step."""
        self._average.update_parameters(online)
        self.step += 1

    def _mean(self, average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return current.lerp(average, self.schedule(self.step))

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of the average and its step."""
        return {"average": self._average.state_dict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self._average.load_state_dict(state["average"])
        self.step = state["step"]

    @property
    def module(self) -> nn.Module:
        """The network that holds the average."""
        return self._average
