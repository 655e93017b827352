"""Where training runs, and in which precision."""

import torch

__all__ = ["resolve_device", "resolve_precision"]


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that ``device`` names; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    ValueError
        If the device is not known, or not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    usable = [kind for kind, here in present.items() if here]
    if device == "auto":
        return torch.device(usable[0])
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a torch device; use 'auto' or one of {usable}.") from error
    count = {"cuda": torch.cuda.device_count}.get(resolved.type, lambda: 1)()
    if not present.get(resolved.type, True) or (resolved.index or 0) >= count:
        raise ValueError(f"device={device!r} is not on this machine; use 'auto' or one of {usable}.")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that ``precision`` names; "auto" is bfloat16 on a CUDA device that has it, else float32."""
    if precision == "auto":
        has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
