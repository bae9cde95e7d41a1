"""Import the checkpoints of Cohen et al. 2019, Salman et al. 2019, MACER, Consistency and others.

Such a file holds the weights of `Sequential(normalization, network)`, or of the network alone. It
usually lacks the normalization, whose statistics the authors' code keeps outside the state dict. A
network behind another layer than its own is another classifier, so the layer is read from the file,
named by the caller, or found by trying; it is never assumed.
"""

from rszoo.publishing.checkpoints.importing import Imported, import_checkpoint
from rszoo.publishing.checkpoints.reading import Checkpoint, Statistics, read_checkpoint

__all__ = ["Checkpoint", "Imported", "Statistics", "import_checkpoint", "read_checkpoint"]
