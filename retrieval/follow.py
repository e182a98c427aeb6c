"""What is in the library follows what is in the folder, and nothing disappears by accident.

A file belongs to the folder it was added with, the outermost if there were several; added by itself, to none, and then
only `consult knowledge remove` removes it. Added again, a folder takes along what is no longer in it. A disk that isn't
mounted looks like an empty folder, so a folder in which nothing can be read removes nothing; nor does a file that is
there but can't be looked at.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from retrieval.errors import BadInput
from retrieval.rows import File


def folder_of(path: str, old: File | None, folders: Sequence[str]) -> str:
    """What a file of this path now belongs to. `old`: as the library knows it."""
    given = min((folder for folder in folders if inside(path, folder)), key=len, default="")
    kept = old.folder if old else ""
    return kept if kept and not (given and inside(kept, given)) else given


def refuse_emptied(known: Iterable[File], paths: Collection[str], folders: Iterable[str]) -> None:
    """Raises `BadInput` for a folder that has no file among `paths` any more, though it had."""
    for folder in folders:
        came = sum(1 for file in known if file.folder and inside(file.path, folder))
        if came and not any(inside(path, folder) and path != folder for path in paths):
            raise BadInput(
                f"{folder} is empty, but the library holds {came} of its files. Is its disk mounted?"
                f" To remove them on purpose: consult knowledge remove {folder}"
            )


def gone(known: Iterable[File], read: Iterable[str], folders: Iterable[str]) -> list[File]:
    """Files added with one of the folders, or with one around it, that are no longer there. `read`: the paths of all
    that could be read this time."""
    sound = [folder for folder in folders if any(inside(path, folder) for path in read)]
    return [
        file
        for file in known
        if file.folder
        and any(inside(file.path, folder) and inside(folder, file.folder) for folder in sound)
        and _vanished(file.path)
    ]


def inside(path: str, folder: str) -> bool:
    """Also for the folder itself. Both are absolute, without links."""
    return Path(path).is_relative_to(folder)


def _vanished(path: str) -> bool:
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
