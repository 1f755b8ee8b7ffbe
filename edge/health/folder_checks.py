"""What can be wrong with a hot folder; each issue ends when the folder is there again, or its bad files are gone."""

from collections.abc import Collection, Iterable

from edge.health.issues import Issue, Severity
from edge.pos.hot_folder import HotFolder
from edge.prices.local_prices import LocalPrices


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


def book_issues(local: LocalPrices, fed: Collection[str]) -> Iterable[Issue]:
    """A price book stays in force while no folder feeds it any more; `fed`: those that one does."""
    for book in local.books():
        if book not in fed:
            yield Issue(f"price-book-{book}-unfed", Severity.WARNING,
                        f"Prices of the local price book {book} are in force, and no hot folder feeds it",
                        f"Name the folder {book} in hot_folders again; to end its prices, put in a file that takes "
                        "them out, and leave the folder out only then.")
