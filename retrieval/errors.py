"""The one exception tree of Consult, as far as the library needs it.

    ConsultError                  anything a user can be told about in one line
    ├── BadInput                  what was handed in can't be read (HTTP 400 or 422, exit code 2)
    │   ├── UnreadablePicture     assistant/errors.py
    │   ├── PatientMismatch       assistant/errors.py
    │   ├── TooLarge              assistant/errors.py
    │   ├── UnreadableDocument    a knowledge file that can't be read
    │   ├── LeakFound             eval/errors.py
    │   └── WrongData             finetune/errors.py
    ├── NotFound                  a document, run or study that isn't there (404)
    ├── Misconfigured             settings, model folder or index don't fit together (500, exit code 3)
    │   └── EncoderMismatch       the index was built with another encoder
    ├── Busy                      somebody else holds what is needed, or the queue is full (409 or 429, exit code 5)
    └── Unavailable               a part that should answer doesn't (503, exit code 4)
        ├── EngineDown            assistant/errors.py
        └── WorkerDied            assistant/errors.py

Every error says what happened and what to do, and carries a stable `type` for programs.
Messages never contain patient data: no file name of an upload, no header value, no question.
"""

from typing import ClassVar


class ConsultError(Exception):
    """Root of the tree; `type` is stable, `status` its HTTP status, `exit_code` that of the command line."""

    type: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1


class BadInput(ConsultError):
    type = "bad-input"
    status = 422
    exit_code = 2


class UnreadableDocument(BadInput):
    type = "unreadable-document"


class NotFound(ConsultError):
    type = "not-found"
    status = 404
    exit_code = 2


class Misconfigured(ConsultError):
    type = "misconfigured"
    status = 500
    exit_code = 3


class EncoderMismatch(Misconfigured):
    type = "encoder-mismatch"


class Busy(ConsultError):
    type = "busy"
    status = 409
    exit_code = 5


class Unavailable(ConsultError):
    type = "unavailable"
    status = 503
    exit_code = 4
