"""Reports for other systems: FHIR, DICOM SR, Markdown, text. Only here is a patient's identity read."""
