"""The differential: candidates, each with its guideline's checklist against this patient, ranked by a written rule."""
