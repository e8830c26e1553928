"""The folder of this user that holds what can be made or fetched again."""

import os
from pathlib import Path

CACHE_VARIABLE = "EUROSAT_CACHE"
"""Environment variable that moves the cache folder."""


def user_cache() -> Path:
    """Return the cache folder: `EUROSAT_CACHE` if set, else the platform's own place."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    import platformdirs  # Only where it is needed: a first prediction must not wait for it.

    return platformdirs.user_cache_path("eurosat-edge")
