"""Model cards: the README.md of an entry's Hub repository, from its config, recipe and logs, and from nothing else."""

from rszoo.publishing.cards.card import render, render_card
from rszoo.publishing.cards.evidence import GRID_LOG, LOG, read_evidence
from rszoo.publishing.cards.picture import draw_card, save_picture

__all__ = ["GRID_LOG", "LOG", "draw_card", "read_evidence", "render", "render_card", "save_picture"]
