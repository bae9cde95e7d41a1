"""Model cards: the README of an entry's Hub repository, made from its config, recipe and logs."""

from rszoo.publishing.cards.card import render, render_card
from rszoo.publishing.cards.evidence import read_evidence
from rszoo.publishing.cards.picture import draw_card, save_picture

__all__ = ["draw_card", "read_evidence", "render", "render_card", "save_picture"]
