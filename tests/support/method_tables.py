"""A table [method] of each training method, small enough for a test."""

TABLES: dict[str, dict[str, str | bool | int | float]] = {
    "gaussian": {},
    "stability": {"lam": 2.0},
    "smoothed": {"m": 3},
    "adversarial": {"eps": 0.5, "steps": 2, "noisy": True, "warmup": 0},
    "smoothadv": {"attack": "pgd", "eps": 0.5, "steps": 3, "m": 3, "m_train": 2, "warmup": 0},
    "adre": {"k": 4, "lam": 0.3, "draws": "all"},
    "adreadv": {"k": 3, "lam": 0.3, "draws": "all", "eps": 0.5, "steps": 2, "warmup": 0},
    "macer": {"m": 4, "lam": 12.0, "gamma": 8.0, "beta": 2.0, "deferred": 0},
    "consistency": {"m": 3, "lam": 10.0, "eta": 0.5},
    "smoothmix": {"m": 2, "steps": 2, "alpha": 0.5, "eta": 5.0, "mix_step": 0, "warmup": 0},
    "catrs": {"m": 3, "lam": 2.0, "eps": 0.5, "steps": 2, "confidence": "teacher"},
    "reweighted": {
        "m": 3,
        "eps": 0.3,
        "steps": 2,
        "start": 1,
        "threshold": 0.4,
        "every": 2,
        "votes": 16,
        "first_votes": 20,
    },
    "distilled": {"m": 3},
}
