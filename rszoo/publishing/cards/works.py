"""Works that cards cite: the papers that recipes follow."""

import re
from functools import cache
from pathlib import Path

import msgspec

ARXIV = "https://arxiv.org/abs/"


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A paper, by the fields of BibTeX."""

    key: str
    authors: str
    title: str
    venue: str
    year: int


@cache
def works() -> dict[str, Work]:
    """The papers by arXiv number."""
    text = Path(__file__).with_name("works.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, Work])


def arxiv_number(paper: str) -> str | None:
    """The number in an arXiv address; None for any other address."""
    number = paper.removeprefix(ARXIV)
    return number if re.fullmatch(r"\d{4}\.\d{4,5}", number) else None


def bibtex(paper: str) -> str | None:
    """The BibTeX item of the paper at this address; None if the package does not know it."""
    number = arxiv_number(paper)
    work = works().get(number or "")
    if work is None:
        return None
    fields = {
        "author": work.authors,
        "title": work.title,
        "booktitle": work.venue,
        "year": work.year,
        "eprint": number,
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items()]
    return "\n".join([f"@inproceedings{{{work.key},", *lines, "  archiveprefix = {arXiv},", "}"])
