"""What can be wrong with a hot folder; each issue ends when the folder is there again, or its bad files are gone."""

from collections.abc import Iterable

from edge.health.issues import Issue, Severity
from edge.pos.hot_folder import HotFolder


def folder_issues(folder: HotFolder) -> Iterable[Issue]:
    """Quick: what the folder saw when it looked last."""
    if folder.trouble:
        yield Issue(f"hot-folder-{folder.name}", Severity.WARNING, f"Hot folder {folder.name} waits: {folder.trouble}",
                    "Check that the directory is there and may be written by the store.")
    if folder.bad:
        yield Issue(f"hot-folder-{folder.name}-bad", Severity.WARNING,
                    f"Hot folder {folder.name}: {folder.bad} files could not be taken in whole",
                    f"Read the .err files in {folder.directory / 'bad'}, mend the files and put them into inbox again, "
                    "or delete them.")
