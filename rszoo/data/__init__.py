"""Data sets, folders of images, and how an image file becomes a tensor."""
