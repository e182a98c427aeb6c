"""The exam's part of the exception tree; the tree itself is drawn in `retrieval/errors.py`."""

from retrieval.errors import BadInput, Misconfigured

__all__ = ["BadInput", "LeakFound", "Misconfigured"]


class LeakFound(BadInput):
    """What is asked about was seen before, so that no figure would mean anything."""

    type = "leak"
