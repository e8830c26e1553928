"""The command of the desktop app: `eurosat-gui`, or `python -m eurosat.gui`."""

import sys

from eurosat.interrupts import interrupts_end_at_once

with interrupts_end_at_once():  # These take half of the time before the first line of `main`.
    import argparse
    from pathlib import Path

    from eurosat.versions import program_version

    from . import screen

EXIT_REFUSED = 2


def main() -> int:
    """Open the app, with the files and folders that the command line names.

    Returns:
        The exit status.
    """
    with interrupts_end_at_once():
        options = _options()
        obstacle = screen.obstacle("`eurosat-classify` does the same in a shell")
        if obstacle:
            return _refuse(obstacle)
        try:
            from .app import run
            from .settings import Settings
        except ImportError as error:
            return _refuse(_what_is_missing(error))
        settings = Settings()
        if options.reset_settings:
            settings.clear()
    return run(options.paths, settings)


def _options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="eurosat-gui",
        description="See what covers the land in images, offline: drop them on the window, or name "
        "them here.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="images, folders and scenes"
    )
    parser.add_argument(
        "--reset-settings", action="store_true", help="forget layout, theme, model and history"
    )
    parser.add_argument("--version", action="version", version=f"EuroSAT Edge {program_version()}")
    return parser.parse_args()


def _what_is_missing(error: ImportError) -> str:
    if error.name == "PySide6":
        return "Qt is not installed: run `pip install 'eurosat-edge[gui]'`."
    return f"The app cannot start, as a library is missing or does not fit: {error}."


def _refuse(sentence: str) -> int:
    # A program of Windows without a console has no such stream.
    stream = getattr(sys, "stderr", None)
    if stream:
        stream.write(f"Error: {sentence}\n")
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
