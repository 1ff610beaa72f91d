"""The best device there is, the fastest safe number format for it, and one sentence where there is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from interrogator import devices
from interrogator.devices import choose_device, choose_dtype, cpu_multiplies_bf16, is_out_of_memory, release_memory
from interrogator.errors import DeviceError


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(1, True, "cuda"), (1, False, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device() == torch.device(expected)
    assert choose_device(" Auto ") == torch.device(expected)


def test_a_device_is_taken_by_name_or_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2, mps=True)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("CUDA") == torch.device("cuda")
    assert choose_device(torch.device("mps")) == torch.device("mps")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cuda:2", "the last one is cuda:1"),
        ("mps", "no Apple GPU"),
        ("gpu", "unknown device .*; choose from auto"),
        ("", "unknown device .*; choose from auto"),
        ("cuda:x", "unknown device .*; choose from auto"),
        ("meta", "cannot run a model"),
        (3.5, "unknown device .*; choose from auto"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, name: Any, says: str) -> None:
    pretend(monkeypatch, cuda=2)
    with pytest.raises(DeviceError, match=says) as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_cuda_without_a_card_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    with pytest.raises(DeviceError, match="device cuda is not available: this PyTorch .* finds no cuda device"):
        choose_device("cuda")


def test_auto_is_half_on_cuda_and_full_on_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_dtype("auto", torch.device("cuda")) is torch.float16
    assert choose_dtype("auto", "mps") is torch.float32


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"architecture": "aarch64", "bf16": False, "neon": True}, False),
    ],
)
def test_on_cpu_auto_is_bf16_only_with_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert cpu_multiplies_bf16() is expected
    assert choose_dtype("auto", "cpu") is (torch.bfloat16 if expected else torch.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert choose_dtype("auto", "cpu") is torch.float32


def test_older_torch_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert cpu_multiplies_bf16()
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert not cpu_multiplies_bf16()


@pytest.mark.parametrize(("name", "expected"), [*devices.DTYPES.items(), ("BF16", torch.bfloat16)])
def test_formats_have_short_and_long_names(name: str, expected: torch.dtype) -> None:
    assert choose_dtype(name, "cpu") is expected
    assert choose_dtype(f"torch.{name}", "cpu") is expected
    assert choose_dtype(expected, "cpu") is expected


@pytest.mark.parametrize("name", ["int8", "fp8", "", torch.int64, torch.float64, None])
def test_other_formats_are_refused(name: Any) -> None:
    with pytest.raises(DeviceError, match="choose from auto, fp32, bf16, fp16"):
        choose_dtype(name, "cpu")


def test_a_format_the_device_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object, **__: object) -> None:
        raise TypeError("BFloat16 is not supported on MPS")

    monkeypatch.setattr(torch, "ones", no)
    with pytest.raises(DeviceError, match="mps cannot compute in bf16 here; use fp32"):
        choose_dtype("bf16", "mps")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("Allocation on device"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_lack_of_memory_is_known_by_class_and_by_words(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("name", ["cpu", "meta"])
def test_devices_that_keep_no_memory_have_none_to_release(name: str) -> None:
    release_memory(torch.device(name))
