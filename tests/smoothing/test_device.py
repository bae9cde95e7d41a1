"""Votes on a GPU."""

import pytest
import torch

import rszoo

NAME = "cifar10-resnet20-gaussian-s0.25"


@pytest.mark.device
def test_votes_on_a_gpu_repeat_and_do_not_depend_on_company() -> None:
    classifier = rszoo.load(NAME, device="cuda")
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    together = classifier.certify(x, n0=30, n=300)
    assert classifier.certify(x, n0=30, n=300) == together
    assert [classifier.certify(image, n0=30, n=300) for image in x] == together
