"""Commands that each verb's --help ends in."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "list": ("rszoo list --radius 0.25,0.5 --sort", "rszoo list 'cifar10-*' --max-size 2"),
    "show": ("rszoo show gaussian-s0.25",),
    "choose": ("rszoo choose --radius 0.5 --seconds 60",),
    "predict": ("rszoo predict gaussian-s0.25 photos/ --early",),
    "certify": (
        "rszoo certify gaussian-s0.25 cat.png --n 10000",
        "rszoo certify gaussian-s0.25 'photos/*.png' --radius 0.25 --jsonl",
    ),
    "demo": ("rszoo demo --n 1000 --out demo.png",),
    "evaluate": ("rszoo evaluate gaussian-s0.25 --out log.tsv --n 10000 --stride 200",),
    "attack": ("rszoo attack gaussian-s0.25 --out attack.tsv --eps 0.25,0.5 --stride 500",),
    "challenge": ("rszoo challenge log.tsv --factor 0.9,1.5 --stride 20",),
    "merge": ("rszoo merge shard-1.tsv shard-2.tsv --out log.tsv",),
    "table": (
        "rszoo table log.tsv --radius 0,0.25,0.5",
        "rszoo table --published 'cohen-*' --format markdown",
    ),
    "plot": ("rszoo plot log.tsv --published 'cohen-cifar10-*' --out plot.png",),
    "compare": ("rszoo compare log.tsv other.tsv --radius 0.25,0.5",),
    "audit": ("rszoo audit log.tsv",),
    "card": ("rszoo card gaussian-s0.25",),
    "train": ("rszoo train cifar10-resnet20-gaussian-s0.25 --out runs/gaussian --dry-run",),
    "import": ("rszoo import checkpoint.pth.tar --dataset cifar10 --sigma 0.25 --out entry",),
    "ensemble": ("rszoo ensemble gaussian-s0.25 macer-finetuned-s0.25 --out both",),
    "verify": ("rszoo verify gaussian-s0.25 --images 1",),
    "publish": ("rszoo publish gaussian-s0.25 --repo my-organisation/my-entry --dry-run",),
    "bundle": ("rszoo bundle runs/gaussian",),
}


def epilog(verb: str) -> str:
    """The examples of a verb, as the end of its help."""
    lines = "\n".join(f"  {line}" for line in EXAMPLES[verb])
    return f"\b\nExample{'s' if len(EXAMPLES[verb]) > 1 else ''}:\n{lines}"
