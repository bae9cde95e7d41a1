"""Logs of evaluations: how they are written and read (`format`), what they say (`analysis`), and
tables as text (`tables`). No torch.
"""
