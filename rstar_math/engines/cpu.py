# ruff: noqa: ARG001, ARG004 - vLLM compares signatures, names and all
"""What does vLLM leave to be had on a CPU?

Three things, for models so small that little stands between a token and its cost, through the doors that vLLM and torch
have for it. Imported where vLLM runs on a CPU only; the numbers stand in docs/traps.md.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from vllm import ir
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.v1.attention.backend import MultipleOf
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend, CPUAttentionBackendImpl
from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

#: Tokens of a block of the cache. The candidates of an expansion each read again what their path has beyond its last whole
#: block, so the smallest is best. vLLM asks for multiples of 32 here; its kernel for x86 takes 16 as well.
BLOCK_TOKENS = 16 if platform.machine() == "x86_64" else 32
_PROVIDER = "rstar_math_cpu"
#: vLLM's argument that makes it take the implementations below.
KERNELS = {"ir_op_priority": {"rms_norm": [_PROVIDER], "fused_add_rms_norm": [_PROVIDER]}}


class CacheOfWholeRows(CPUAttentionBackendImpl):  # type: ignore[misc]
    """vLLM's attention on a CPU for passes that `even_out` has lengthened: only rows with a place in the cache go there."""

    def do_kv_cache_update(
        self, layer: Any, key: Tensor, value: Tensor, kv_cache: Tensor, slot_mapping: Tensor
    ) -> None:
        """See vLLM's `AttentionImpl`."""
        rows = len(slot_mapping)
        super().do_kv_cache_update(layer, key[:rows], value[:rows], kv_cache, slot_mapping)


class SmallBlocks(CPUAttentionBackend):  # type: ignore[misc]
    """vLLM's attention on a CPU, in blocks of `BLOCK_TOKENS`."""

    @staticmethod
    def get_supported_kernel_block_sizes(kv_cache_spec: Any = None) -> list[Any]:
        """See vLLM's `AttentionBackend`."""
        return [MultipleOf(BLOCK_TOKENS)]

    @staticmethod
    def get_impl_cls() -> type[Any]:
        """See vLLM's `AttentionBackend`."""
        return CacheOfWholeRows


def even_out(model: nn.Module) -> None:
    """Rounds the rows of a pass through `model`, and of one through its head, up to one of some thirty sizes.

    oneDNN writes machine code for every size that it meets (0.5 ms and 0.4 MB each) and keeps the latest thousand. The
    batches of a search are of another size at each step, for five matrices each.
    """
    _even_out(model, _longer_pass)
    for module in model.modules():
        if isinstance(module, LogitsProcessor):
            _even_out(module, _longer_states)


def _even_out(module: nn.Module, longer: Callable[..., tuple[Any, Any, int]]) -> None:
    rows = 0

    def lengthen(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        nonlocal rows
        args, kwargs, rows = longer(args, kwargs)
        return args, kwargs

    def shorten(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output[:rows]

    module.register_forward_pre_hook(lengthen, with_kwargs=True)
    module.register_forward_hook(shorten)


def _longer_pass(args: Any, kwargs: Any) -> tuple[Any, Any, int]:
    """`kwargs` of vLLM's call of a model, tokens and their positions lengthened, and the rows that they had."""
    rows = kwargs["positions"].shape[-1]
    longer = {name: pad(kwargs[name], (0, _missing(rows))) for name in ("input_ids", "positions")}
    return args, kwargs | longer, rows


def _longer_states(args: Any, kwargs: Any) -> tuple[Any, Any, int]:
    """The same for a call of the head: (head, states of shape (rows, width), …)."""
    head, states, *rest = args
    return (head, pad(states, (0, 0, 0, _missing(len(states)))), *rest), kwargs, len(states)


def _missing(rows: int) -> int:
    return -rows % (16 if rows <= 64 else 32 if rows <= 512 else 128)


def _norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    output = torch.empty_like(x)
    torch.ops._C.rms_norm(output, x, weight, epsilon)
    return output


def _norm_fits(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    return weight is not None and weight.dtype == x.dtype and variance_size is None and x.is_contiguous()


def _sum_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual


def _sum_norm_fits(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    return _norm_fits(x, weight, epsilon, variance_size) and x_residual.is_contiguous()


register_backend(AttentionBackendEnum.CPU_ATTN, f"{__name__}.{SmallBlocks.__name__}")
# vLLM ships these two kernels in its CPU build, but takes them on GPUs only; eager torch needs eight passes for each.
ir.ops.rms_norm.register_impl(_PROVIDER, supports_args=_norm_fits)(_norm)
ir.ops.fused_add_rms_norm.register_impl(_PROVIDER, supports_args=_sum_norm_fits, inplace=True)(_sum_norm)
