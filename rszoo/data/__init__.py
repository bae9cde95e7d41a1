"""Data sets, folders of images, and what a file of an image becomes."""
