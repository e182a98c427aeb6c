"""Phantoms: synthetic chest radiographs whose every finding is known exactly. No patient is in them.

    phantom = make_phantom(7)
    phantom.pixels, phantom.findings, phantom.report, phantom.questions

A study is drawn in four steps, a module each: a person (`anatomy`), what each ray crosses (`render`, with `lungs` and
`skeleton`), what findings change on its way (`findings`), and what is said of it (`text`).
"""

from eval.phantoms.findings import FINDINGS, Finding, FindingSpec
from eval.phantoms.phantom import Phantom, make_phantom

__all__ = ["FINDINGS", "Finding", "FindingSpec", "Phantom", "make_phantom"]
