"""Logs of evaluations: how they are written and read (`format`), and what they say (`analysis`). No torch."""
