"""The reader's part of the exception tree; the tree itself is drawn in `retrieval/errors.py`."""

from retrieval.errors import BadInput, Busy, ConsultError, EncoderMismatch, Misconfigured, NotFound, Unavailable

__all__ = [
    "BadInput", "Busy", "ConsultError", "EncoderMismatch", "EngineDown", "EngineNonsense", "Forbidden", "Misconfigured",
    "NotFound", "PatientMismatch", "QueueFull", "StaleVersion", "TooLarge", "Unauthorized", "Unavailable",
    "UnknownTemplate",
    "UnreadablePicture", "VersionNeeded", "WorkerDied", "WrongState",
]  # fmt: skip


class UnreadablePicture(BadInput):
    type = "unreadable-picture"


class UnknownTemplate(BadInput):
    type = "unknown-template"


class PatientMismatch(BadInput):
    """Pictures of two patients in one request."""

    type = "patient-mismatch"


class TooLarge(BadInput):
    type = "too-large"
    status = 413


class Unauthorized(ConsultError):
    type = "unauthorized"
    status = 401
    exit_code = 2


class Forbidden(ConsultError):
    type = "forbidden"
    status = 403
    exit_code = 2


class QueueFull(Busy):
    type = "queue-full"
    status = 429


class WrongState(Busy):
    """What is asked for can't follow the state in which the thing is."""

    type = "wrong-state"


class StaleVersion(Busy):
    """Somebody else has changed it since it was read."""

    type = "stale-version"
    status = 412


class VersionNeeded(BadInput):
    """A change that doesn't say which version it is meant for."""

    type = "version-needed"
    status = 428


class EngineDown(Unavailable):
    """The engine's server can't be reached, answers too slowly or broke off."""

    type = "engine-down"


class EngineNonsense(Unavailable):
    """The engine's server answered, but not in its protocol."""

    type = "engine-nonsense"
    status = 502


class WorkerDied(Unavailable):
    type = "worker-died"
