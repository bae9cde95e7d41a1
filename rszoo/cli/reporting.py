"""What 'certify' and 'predict' print about images: an estimate, a row per image, a summary."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from rszoo.cli.images import Voted, find_images, open_images, vote
from rszoo.cli.output import Rows, print_json, print_json_line, print_text
from rszoo.cli.timing import duration, seconds_per_sample
from rszoo.logs.format import round_down
from rszoo.smoothing.certificate import Prediction

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from rszoo.smoothing.classifier import SmoothedClassifier

FEW = 5_000  # samples in all for which no estimate is worth its trial


@dataclass(frozen=True)
class Form:
    """How results are printed.

    Attributes:
        columns: of the table, after that of the files.
        cells: of a result.
        widest: cells as wide as any, so that rows can be printed one by one.
        json, jsonl: print JSON instead: one list at the end, or a line per image at once.

    Raises:
        ValueError: both kinds of JSON are asked for.
    """

    columns: Sequence[str]
    cells: Callable[[Any], Sequence[str]]
    widest: Sequence[str]
    json: bool = False
    jsonl: bool = False

    def __post_init__(self) -> None:
        if self.json and self.jsonl:
            raise ValueError("Expected --json or --jsonl, got both; keep one.")


@dataclass
class Report:
    """Votes on the images of a command, printed as they come.

    Args:
        classifier: what votes.
        call: votes on an image.
        form: how to print the results.
        samples: per image, at most.
        setting: n and alpha, for the summary.
    """

    classifier: "SmoothedClassifier"
    call: Callable[["Tensor"], Any]
    form: Form
    samples: int
    setting: str
    batch_size: int | None = None
    refused: int = field(default=0, init=False)

    def print(self, images: Sequence[str]) -> None:
        """Vote on the images that the arguments name, and print what comes out.

        Leaves with code 2, at the end, if a file could not be read.
        """
        paths = find_images(images, self._refuse)
        opened = self._after_an_estimate(open_images(paths, self._refuse), len(paths))
        results = vote(self.classifier, opened, self.call)
        if self.form.json:
            print_json([voted.as_json() for voted in results])
        elif self.form.jsonl:
            for voted in results:
                print_json_line(voted.as_json())
        elif voted_on := self._print_rows(results, paths):
            self._print_summary(voted_on)
        if self.refused:
            sys.exit(2)

    def _refuse(self, error: ValueError | OSError) -> None:
        from rszoo.cli import sentence

        self.refused += 1
        print(f"rszoo: {sentence(error)}", file=sys.stderr, flush=True)

    def _after_an_estimate(
        self, opened: "Iterator[tuple[Path, Image]]", images: int
    ) -> "Iterator[tuple[Path, Image]]":
        """The images; once the first could be read, an estimate of the time is printed."""
        for first in opened:
            if self.samples * images > FEW:
                per_sample = seconds_per_sample(self.classifier, batch_size=self.batch_size)
                seconds = self.samples * per_sample
                print_text(
                    f"rszoo: {images} images, {self.samples} samples each at most: about "
                    f"{duration(seconds)} per image, {duration(images * seconds)} in all.",
                    sys.stderr,
                )
            yield first
            break
        yield from opened

    def _print_rows(self, results: Iterable[Voted[Any]], paths: Sequence[Path]) -> list[Voted[Any]]:
        """Print a row per result; on a terminal, a folder that all share stands above them."""
        folders = {path.parent for path in paths}
        shared = sys.stdout.isatty() and len(paths) > 1 and len(folders) == 1
        names = {path: path.name if shared else str(path) for path in paths}
        longest = max(names.values(), key=len, default="")
        rows = Rows(("image", *self.form.columns), (longest, *self.form.widest))
        done: list[Voted[Any]] = []
        for voted in results:
            if shared and not done:
                print_text(f"Images in {voted.path.parent}.\n")
            rows.print((names[voted.path], *self.form.cells(voted)))
            done.append(voted)
        return done

    def _print_summary(self, done: Sequence[Voted[Any]]) -> None:
        """Print it below the table on a terminal, else on stderr, beside the rows."""
        decided = [voted.result for voted in done if not voted.result.abstained]
        radii = [each.radius for each in decided if not isinstance(each, Prediction)]
        what = "predicted" if isinstance(done[0].result, Prediction) else "certified"
        text = f"{len(decided)} of {len(done)} images {what}, {len(done) - len(decided)} abstained"
        if radii:
            text += f"; median radius of the certified {round_down(median(radii), 3)}"
        text += f"; {duration(fmean(voted.seconds for voted in done))} per image; {self.setting}."
        file = sys.stdout if sys.stdout.isatty() else sys.stderr
        print_text(f"\n{text}" if file is sys.stdout else f"rszoo: {text}", file)
        if radii and (resized := sum(voted.resized for voted in done)):
            height, width = self.classifier.input_shape[1:]
            print_text(
                f"rszoo: {resized} of {len(done)} images were resized or cropped to {width} x "
                f"{height} pixels; a radius is a distance between images of that size, not between "
                "files.",
                sys.stderr,
            )
