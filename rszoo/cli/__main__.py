"""`python -m rszoo.cli`: the command line, for launchers such as `torchrun -m`."""

from rszoo.cli import main

main()
