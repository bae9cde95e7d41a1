"""The state of torch around a call: what it must not change, and what must not change it.

torch keeps much of this in settings of the process or the thread: autocast, the default dtype and
device, TensorFloat-32, reduced-precision products, cuDNN's choice of algorithms. A classifier is
what it computes, so everything here that votes, attacks or trains does so inside `isolated`,
whatever the caller has set, and leaves the caller's settings as they were.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

FACTORIES = {torch.empty, torch.ones, torch.rand, torch.randn, torch.zeros, torch.eye}
FACTORIES |= {torch.linspace, torch.logspace, torch.randint, torch.randperm, torch.scalar_tensor}
FACTORIES |= {torch.full, torch.tensor, torch.arange, torch.as_tensor, torch.asarray}

INITIAL = {Tensor.normal_, Tensor.uniform_}  # of weights; on the meta device there are none

CPU = torch.device("cpu")
PLAIN = ("ieee", "none", "highest")  # "none": as the settings above it, which are plain then too


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Compute as torch does by default: the same numbers whatever the caller has set.

    Autocast is off, float32 is float32 (no TensorFloat-32, no bfloat16 products), cuDNN is
    deterministic, and new tensors are float32 on the CPU unless the code says otherwise. Autocast
    and the default device belong to this thread; the flags of the process, the default dtype among
    them, are set while any thread is inside and restored when the last one leaves.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(_FLAGS)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(PlainDevice())
        yield


@contextmanager
def differentiable(device: torch.device) -> Iterator[None]:
    """`isolated`, and gradients can be taken even where the caller is in inference mode."""
    with isolated(device), torch.inference_mode(False), torch.enable_grad():
        yield


_GLOBAL_RANDOMNESS = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Code that draws from torch's global generators, of the CPU and the device, draws this seed's.

    Afterwards the generators are where the caller left them. They belong to the process, so only
    one thread at a time is in here.
    """
    on_gpu = device.type == "cuda"
    with _GLOBAL_RANDOMNESS, torch.random.fork_rng([device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@dataclass(frozen=True)
class _Flag:
    """A setting of the process: the attribute `name` of `owner`, and its plain value."""

    owner: Any
    name: str
    plain: object

    def read(self) -> object:
        return getattr(self.owner, self.name)

    def write(self, value: object) -> None:
        setattr(self.owner, self.name, value)

    def is_own(self, value: object) -> bool:
        """Whether a precision that equals torch's general one was nevertheless set here."""
        general: Any = torch.backends
        if self.name != "fp32_precision" or general.fp32_precision != value:
            return False
        with general.flags(fp32_precision="ieee"):  # what is inherited follows it
            return self.read() == value

    def restore(self, value: object, own: bool) -> None:
        """Set it back unless the caller has changed it meanwhile; what was inherited stays so."""
        if self.read() != self.plain:
            return
        if self.name == "fp32_precision" and not own:
            self.write("none")
        if self.read() != value:
            self.write(value)


class _Flags:
    """Process-wide flags at their plain values while at least one thread is inside."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.changed: dict[_Flag, tuple[object, bool]] = {}

    def __enter__(self) -> None:
        with self.lock:
            found = {flag: flag.read() for flag in _flags()}  # all, as some follow others
            changed = {
                flag: (value, flag.is_own(value))
                for flag, value in found.items()
                if value != flag.plain and value not in PLAIN
            }
            for flag in changed:
                flag.write(flag.plain)
            self.changed |= changed
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for flag, (value, own) in self.changed.items():
                    flag.restore(value, own)
                self.changed = {}


_FLAGS = _Flags()


class _Products:
    """`torch.set_float32_matmul_precision` as an attribute, for torch without `fp32_precision`."""

    @property
    def precision(self) -> str:
        return torch.get_float32_matmul_precision()

    @precision.setter
    def precision(self, value: str) -> None:
        torch.set_float32_matmul_precision(value)


class _Sums:
    """How cuBLAS sums bfloat16 products, as an attribute: in bfloat16 too, and split along k."""

    NAME = "allow_bf16_reduced_precision_reduction"

    @property
    def bfloat16(self) -> tuple[bool, bool]:
        matmul: Any = torch.backends.cuda.matmul
        return getattr(matmul, self.NAME), getattr(matmul, f"{self.NAME}_split_k", True)

    @bfloat16.setter
    def bfloat16(self, value: tuple[bool, bool]) -> None:
        can_split = hasattr(torch.backends.cuda.matmul, f"{self.NAME}_split_k")
        setattr(torch.backends.cuda.matmul, self.NAME, value if can_split else value[0])


class _NewTensors:
    """torch's default dtype, of the whole process, as an attribute."""

    @property
    def dtype(self) -> torch.dtype:
        return torch.get_default_dtype()

    @dtype.setter
    def dtype(self, value: torch.dtype) -> None:
        torch.set_default_dtype(value)


@cache
def _flags() -> tuple[_Flag, ...]:
    """The flags of this version of torch; those of a GPU only where there is one."""
    cpu: Any = torch.backends.mkldnn
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    gpu = torch.cuda.is_available()
    flags = [_Flag(_NewTensors(), "dtype", torch.float32), _Flag(cpu, "enabled", True)]
    if gpu:
        flags += [_Flag(cudnn, "enabled", True), _Flag(cudnn, "benchmark", False)]
        flags += [_Flag(cudnn, "deterministic", True), _Flag(_Sums(), "bfloat16", (True, True))]
        if hasattr(matmul, "allow_fp16_accumulation"):
            flags.append(_Flag(matmul, "allow_fp16_accumulation", False))
    if hasattr(cpu, "conv"):
        parts: list[Any] = [cpu.conv, cpu.matmul, cpu.rnn]
        if gpu:
            parts += [cudnn.conv, cudnn.rnn, matmul]
        return (*flags, *(_Flag(part, "fp32_precision", "ieee") for part in parts))
    if gpu:
        flags += [_Flag(part, "allow_tf32", False) for part in (cudnn, matmul)]
    return (*flags, _Flag(_Products(), "precision", "highest"))


class PlainDevice(TorchFunctionMode):
    """New tensors are on this device where the code names none.

    On the "meta" device they have a shape and no values, and random numbers are not drawn.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func in INITIAL and self.device == args[0].device.type == "meta":
            return args[0]  # torch would load its compiler, for a second or two
        if func not in FACTORIES:
            return func(*args, **options)
        data = args[0] if args else None
        if options.get("device") is None:
            options["device"] = data.device if isinstance(data, Tensor) else self.device
        return func(*args, **options)
