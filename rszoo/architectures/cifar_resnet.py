"""Residual networks for 32x32 images (He et al. 2016, section 4.2): depth 6k + 2, basic blocks.

Parameter names (`conv1`, `layer1.0.bn2`, `layer2.0.downsample.0`, `fc` ...) are those of the
checkpoints that Cohen et al. 2019, Salman et al. 2019 and their successors published. Differs from
He et al. in: shortcuts that change shape are 1x1 convolutions with batch norm (option B), as in
those checkpoints. `width` multiplies the channels of every stage, as in the wide networks of
Zagoruyko & Komodakis 2016.
"""

from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64)
"""Channels of the three stages at width 1."""


def _conv3x3(width_in: int, width_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut around them."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(width_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            shortcut = nn.Conv2d(width_in, width, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(out)) + self.downsample(x), inplace=True)


class CifarResNet(nn.Module):
    """Residual network of depth 14, 20, 32, 44, 56, 110, ... for inputs (B, channels, 32, 32).

    Args:
        depth: 6k + 2, for k blocks per stage.
        num_classes: number of logits.
        channels: of the input.
        width: the stages have 16, 32 and 64 channels times this.

    Raises:
        ValueError: the depth is not 6k + 2, or the width is below 1.
    """

    def __init__(self, depth: int, num_classes: int, channels: int = 3, width: int = 1) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"Expected a depth of 6k + 2, got {depth}; use 20, 32, 44, 56 or 110.")
        if width < 1:
            raise ValueError(f"Expected a width of at least 1, got {width}; use 1, 2 or 4.")
        blocks, (first, second, third) = (depth - 2) // 6, (width * count for count in WIDTHS)
        self.conv1 = _conv3x3(channels, first)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = self._stage(first, first, blocks, stride=1)
        self.layer2 = self._stage(first, second, blocks, stride=2)
        self.layer3 = self._stage(second, third, blocks, stride=2)
        self.fc = nn.Linear(third, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(width_in: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
        first = BasicBlock(width_in, width, stride)
        return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images (B, channels, 32, 32) to logits (B, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits
