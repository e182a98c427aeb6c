"""One task a file: prompt, sections, checks. `task_of` finds the one for a request."""

from typing import Any

from assistant.requests import AskRequest, DiagnoseRequest, ReportRequest, Request
from assistant.tasks.base import Task
from assistant.tasks.diagnosis import DIAGNOSIS
from assistant.tasks.report import REPORT
from assistant.tasks.vqa import VQA

TASKS: dict[type[Request], Task[Any]] = {AskRequest: VQA, ReportRequest: REPORT, DiagnoseRequest: DIAGNOSIS}


def task_of(request: Request) -> Task[Any]:
    return TASKS[type(request)]
