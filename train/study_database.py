"""The database in which a study keeps its trials: a file of SQLite, or one that machines share."""

import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy.exc
from optuna.trial import TrialState

from eurosat.errors import EurosatError, MissingPackageError, RunFolderError, first_line

HEARTBEAT_SECONDS = 5
SILENCE_SECONDS = 20
"""A running trial that was silent for so long is taken for dead, and tried again."""


def open_database(url: str, **engine: Any) -> optuna.storages.RDBStorage:
    """Open a database by its URL."""
    with experiments_accepted():
        return optuna.storages.RDBStorage(
            url,
            engine,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=SILENCE_SECONDS,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )


def open_file(path: Path, mode: str) -> optuna.storages.RDBStorage:
    """Open an SQLite file; with the mode `"rwc"` it is made, with `"rw"` it must be there."""
    # A name of any kind survives in a URL of SQLite, but not in one of SQLAlchemy.
    url = f"file:{quote(path.resolve().as_posix())}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(url, uri=True, timeout=60, check_same_thread=False)

    return open_database(f"sqlite:///{path.name}", creator=connect)


def experiments_accepted() -> warnings.catch_warnings:
    """Hide the warning that Optuna's heartbeats may change some day."""
    return warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)


def without_password(storage: str | None) -> str | None:
    """Return the URL of a database as it may be shown.

    Raises:
        EurosatError: It is no URL.
    """
    if storage is None:
        return None
    try:
        return sqlalchemy.engine.make_url(storage).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError as error:
        raise EurosatError(
            f"--storage must be the URL of a database, such as "
            f"postgresql://user:password@host/name, not {storage}."
        ) from error


@contextmanager
def database_errors_told(database: str) -> Iterator[None]:
    """Turn an error of the database into a sentence."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _cannot_be_used(database, error.__cause__ or error) from error


@contextmanager
def opening_errors_told(database: str) -> Iterator[None]:
    """Turn an error of the database that is opened, or of its package, into a sentence."""
    try:
        with database_errors_told(database):
            yield
    except ImportError as error:
        raise MissingPackageError(
            f"The driver of the database {database} is missing"
            f" ({first_line(error.__cause__ or error)}): install it; that of PostgreSQL with"
            " `pip install psycopg2-binary`."
        ) from error
    except KeyError as error:  # The study is not in it.
        raise _cannot_be_used(database, error) from error


def _cannot_be_used(database: str, error: BaseException) -> RunFolderError:
    cause = first_line(error).strip(". ")
    return RunFolderError(
        f"The database {database} of the study cannot be used ({cause}): repair it, or begin "
        f"another study with --out."
    )


def fail_dead_trials(study: optuna.Study) -> None:
    """Give up trials whose process is gone; they are tried again."""
    with experiments_accepted():
        optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        # It died before its first heartbeat, of which `fail_stale_trials` makes nothing.
        started = trial.datetime_start
        if not trial.params and started and _seconds_since(started) > SILENCE_SECONDS:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _seconds_since(moment: Any) -> float:
    return time.time() - moment.timestamp()
