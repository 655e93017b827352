"""Where training runs, in which precision, and how numbers get to the device and back.

An accelerator computes behind the host: operations are queued, and the host goes on. To read a number, the host must
wait until all queued work is done, and the device then waits for the next operation. A step of training therefore reads
once, at its end. To copy a tensor to the device waits too, unless the tensor is in pinned memory.
"""

import torch
from torch import Tensor

__all__ = ["FUSED_ON", "on_device", "reading_is_free", "resolve_device", "resolve_precision"]

FUSED_ON = ("cpu", "cuda", "mps")  # kinds of devices where a fused optimizer updates all weights in one call
_READ_FOR_FREE = ("cpu",)  # kinds of devices whose numbers the host has at hand; tests empty it


def reading_is_free(device: torch.device) -> bool:
    """Whether the host can read a number of the device without waiting, as decisions on values need it."""
    return device.type in _READ_FOR_FREE


def on_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on the device. A copy from the CPU to a CUDA device does not wait for the work queued there."""
    device = torch.device(device)
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    # torch keeps the pinned memory until the copy is done, and uses it again for the next one
    return tensor.pin_memory().to(device, non_blocking=True)


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device of that name. "auto" is the first of CUDA, MPS and CPU that this machine has.

    Raises
    ------
    ValueError
        If torch does not know the device, or if this machine does not have it.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    usable = [kind for kind, is_available in present.items() if is_available]
    if device == "auto":
        return torch.device(usable[0])  # the dict is in order of preference
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a torch device; use 'auto' or one of {usable}.") from error
    # Other kinds of devices, such as "xpu", are left to torch: they count as present.
    count = {"cuda": torch.cuda.device_count}.get(resolved.type, lambda: 1)()
    if not present.get(resolved.type, True) or (resolved.index or 0) >= count:
        raise ValueError(f"device={device!r} is not on this machine; use 'auto' or one of {usable}.")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of that name. "auto" is bfloat16 on CUDA devices that support it, else float32."""
    if precision == "auto":
        # From capability 8 (Ampere) on, bfloat16 runs in hardware. Older devices emulate it slowly.
        has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
