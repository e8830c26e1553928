"""Which versions are installed: of EuroSAT Edge, and of the packages that made something."""

import platform
from importlib.metadata import version


def program_version() -> str:
    """Return the version of EuroSAT Edge."""
    return version("eurosat-edge")


def versions_for_record(*packages: str) -> dict[str, str]:
    """Return the versions of Python, of EuroSAT Edge and of some other packages, by their names.

    Args:
        packages: As `pip` calls them; all are installed.
    """
    installed = {package: version(package) for package in ("eurosat-edge", *packages)}
    return {"python": platform.python_version(), **installed}
