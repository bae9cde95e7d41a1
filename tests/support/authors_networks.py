"""Networks and normalization layers, built as the papers' code builds them."""

import torch
from conftest import shaken
from torch import Tensor, nn

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]


class Block(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        out += self.downsample(x) if hasattr(self, "downsample") else x
        return out.relu()


class AuthorsResNet(nn.Module):
    """The layout of the authors' networks for CIFAR-10."""

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        width_in = 16
        for stage, (width, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
            blocks = [
                Block(width_in if i == 0 else width, width, stride if i == 0 else 1)
                for i in range((depth - 2) // 6)
            ]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            width_in = width
        self.avgpool, self.fc = nn.AvgPool2d(8), nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        for stage in (self.layer1, self.layer2, self.layer3, self.avgpool):
            x = stage(x)  # type: ignore[operator]
        return self.fc(x.flatten(1))


class Layer(nn.Module):
    """(x - mean) / sds, or x - mean, or x, with statistics that are no buffers unless `kept`."""

    means: Tensor | None
    sds: Tensor | None

    def __init__(
        self, means: list[float] | None, sds: list[float] | None, *, kept: bool = False
    ) -> None:
        super().__init__()
        for name, values in (("means", means), ("sds", sds)):
            value = None if values is None else torch.tensor(values)
            if kept and value is not None:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.means is None else x - self.means[:, None, None]
        return x if self.sds is None else x / self.sds[:, None, None]


LAYERS = {"standard": (MEAN, STD), "center": (MEAN, None), "none": (None, None)}


def authors(layer: str, depth: int = 20, *, kept: bool = False) -> nn.Sequential:
    torch.manual_seed(depth)
    return nn.Sequential(Layer(*LAYERS[layer], kept=kept), shaken(AuthorsResNet(depth))).eval()


def images(size: int = 32) -> Tensor:
    return torch.rand((4, 3, size, size), generator=torch.Generator().manual_seed(1)) * 1.5 - 0.25
