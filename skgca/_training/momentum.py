"""The target network of losses without repulsion: a moving average of the network that is trained."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["MomentumSchedule", "MomentumTarget"]


class MomentumSchedule:
    """Decay of a moving average as a function of the step: half a cosine from ``start`` to 1.

    Parameters
    ----------
    start : float
        Decay at step 0.
    n_steps : float
        Step at which the decay reaches 1. With inf, the decay stays at ``start``.
    """

    def __init__(self, start: float, n_steps: float) -> None:
        self.start = start
        self.n_steps = n_steps

    def __call__(self, step: int) -> float:
        """Return the decay at a step that counts from 0."""
        progress = min(1.0, step / max(1, self.n_steps))
        return 1 - (1 - self.start) * (1 + math.cos(math.pi * progress)) / 2


class MomentumTarget:
    """A network whose weights are the exponential moving average of those of another network.

    This is not a module itself, so that skorch neither trains nor saves it. It stays in training mode: its batch
    normalisation uses the statistics of the batch, as that of the trained network does.

    Parameters
    ----------
    online : Module
        The network to copy.
    schedule : callable ``step -> decay``
    """

    def __init__(self, online: nn.Module, schedule: MomentumSchedule) -> None:
        self.step = 0
        self.schedule = schedule
        self._average = AveragedModel(online)
        self._average.update_parameters(online)  # the first call copies
        self._average.train()

    def __call__(self, batch: Tensor) -> Tensor:
        """Project a batch, without a gradient."""
        with torch.no_grad():
            projected: Tensor = self._average(batch)
        return projected

    def follow(self, online: nn.Module) -> None:
        """Update the average by the weights of the network, with the decay of this step."""
        # not AveragedModel.update_parameters, which copies the number of the step to the device for every weight
        followed: nn.Module = self._average.module
        decay = self.schedule(self.step)
        with torch.no_grad():
            for average, current in zip(followed.parameters(), online.parameters(), strict=True):
                average.copy_(current.lerp(average, decay))
            for followed_buffer, buffer in zip(followed.buffers(), online.buffers(), strict=True):
                followed_buffer.copy_(buffer)
        self._average.n_averaged += 1
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and the step."""
        return {"average": self._average.state_dict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self._average.load_state_dict(state["average"])
        self.step = state["step"]

    @property
    def module(self) -> nn.Module:
        """The network that holds the average."""
        return self._average
