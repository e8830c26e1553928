"""The official EuroSAT archive: where it is, and how it comes into the user cache."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from eurosat.errors import DatasetError
from eurosat.user_cache import user_cache

ARCHIVE_NAME = "EuroSAT_RGB.zip"
ARCHIVE_URL = "https://zenodo.org/records/7711810/files/EuroSAT_RGB.zip"
ARCHIVE_SHA256 = "b4f5b234ecb7d7ff9c6cddb046543b4717c53fd6e9815be6c0e80cc614f51b90"


def cached_archive() -> Path:
    """Return where the downloaded archive lies, or would lie."""
    return user_cache() / ARCHIVE_NAME


def download_eurosat(
    *, url: str = ARCHIVE_URL, sha256: str = ARCHIVE_SHA256, destination: Path | None = None
) -> Path:
    """Download the EuroSAT archive (90 MB), with a progress bar on standard error.

    The archive gets its name only when it is complete and its checksum is right; until then, and
    if the transfer breaks off, there is only a temporary file, which is removed.

    Args:
        url: Where the archive is.
        sha256: Its checksum, in hexadecimal digits.
        destination: The file to make; in the user cache by default.

    Returns:
        The path of the archive.

    Raises:
        DatasetError: There is no network, the server refuses, the transfer breaks off, the
            checksum differs, or the folder cannot be written to.
    """
    import pooch
    import requests

    destination = destination or cached_archive()
    pooch.get_logger().setLevel("WARNING")
    try:
        with _TransferBar(destination.name) as bar:
            # Pooch documents bars of one's own, but its annotations know only a bool.
            downloader: Any = pooch.HTTPDownloader(progressbar=cast(Any, bar))
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=destination.name,
                path=destination.parent,
                downloader=downloader,
            )
    except ValueError as error:
        reason = "the server sent bytes with another checksum"
        raise _not_downloaded(url, reason) from error
    except requests.HTTPError as error:
        response = error.response
        answer = f"{response.status_code} {response.reason}" if response is not None else "an error"
        raise _not_downloaded(url, f"the server answers {answer}") from error
    except requests.ConnectionError as error:
        raise _not_downloaded(url, "the server cannot be reached or hung up") from error
    except requests.RequestException as error:
        raise _not_downloaded(url, "the transfer broke off") from error
    except OSError as error:
        # Pooch words a missing permission anew and leaves out the code of the error.
        reason = f"{destination.parent} cannot be written to: {error.strerror or 'no permission'}"
        raise _not_downloaded(url, reason) from error
    return destination


def _not_downloaded(url: str, reason: str) -> DatasetError:
    return DatasetError(
        f"{url} could not be downloaded ({reason}): try again later, or fetch {ARCHIVE_NAME} by "
        f"other means and name it with --data."
    )


class _TransferBar:
    """What pooch asks of a progress bar (`total`, `update`, `reset`, `close`), drawn by rich."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self.total = 0
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, received: int) -> None:
        """Count `received` bytes more."""
        self._bar.update(self._task, total=self.total or None, advance=received)

    def reset(self) -> None:
        """Start counting from nothing, as pooch does before it fills the bar at the end."""
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        """Do nothing: the context manager stops the bar."""
