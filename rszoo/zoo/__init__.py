"""The entries of the zoo: where they are, how they are checked, and how they become classifiers."""
