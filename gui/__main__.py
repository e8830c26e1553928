"""Start the desktop app: `python -m eurosat.gui`."""

import sys


def main() -> int:
    """Say that the app is to come.

    Returns:
        The exit status.
    """
    sys.stdout.write("The desktop app is to come; until then, eurosat-classify does its work.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
