"""The Python of the README runs."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import rszoo

    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    photograph = Path(rszoo.__file__).parent / "demo_images" / "horse.jpg"
    assert "cat.png" in block
    assert "n=10_000" in block
    exec(block.replace("cat.png", str(photograph)).replace("n=10_000", "n=1000"), {})
    assert capsys.readouterr().out.startswith("horse 0.")
