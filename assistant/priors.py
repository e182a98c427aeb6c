"""An earlier study of the same patient, taken from the library of cases."""

from assistant.errors import PatientMismatch
from assistant.study import Picture, Study
from retrieval.library import Library
from retrieval.types import Case


def own_case(library: Library, case_id: str, patient: str | None) -> Case:
    """The case with its report. Raises `NotFound`, and `PatientMismatch` unless both are known to be one patient's."""
    case = library.case(case_id)
    if case.patient is None or case.patient != patient:
        raise PatientMismatch("The case offered as a prior is not known to be the same patient's.")
    return case


def prior_study(library: Library, case_id: str, patient: str | None) -> Study:
    """The case as a study, its sides unknown. Raises what `own_case` raises."""
    case = own_case(library, case_id, patient)
    return Study((Picture(library.picture(case.sha256)),), case.patient)
