"""Model cards: the README.md of an entry's Hub repository, from its config, recipe and logs, and from nothing else."""

from rszoo.cards.card import render_card
from rszoo.cards.evidence import GRID_LOG, LOG, PICTURE
from rszoo.cards.picture import draw_card, save_picture

__all__ = ["GRID_LOG", "LOG", "PICTURE", "draw_card", "render_card", "save_picture"]
