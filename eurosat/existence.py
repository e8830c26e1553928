"""Whether there is something at a path, for paths of users: too long, forbidden, or no paths.

Until Python 3.14, `pathlib` raises errors where it cannot look. Whoever opens the file finds the
words for them.
"""

import os
from pathlib import Path


def exists(path: Path) -> bool:
    """Tell whether there is a file or folder, which may be looked at."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder, which may be looked at."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Tell whether there is a regular file, which may be looked at."""
    return os.path.isfile(path)  # noqa: PTH113
