"""Phantoms: synthetic chest radiographs whose every finding is known exactly. No patient is in them.

    phantom = make_phantom(7)
    phantom.pixels, phantom.findings, phantom.report, phantom.questions

A study is drawn in four steps, a module each: a person (`anatomy`, from a `family`), what each ray crosses (`render`,
with `lungs` and `skeleton`; `lateral` from the side), what `findings`, `devices` and `distractors` change on its way
(`effects`), and what is said of it (`text`, `criteria`). `faults` spoil the film; `pairs` show one person twice.
"""

from eval.phantoms.devices import DEVICES, Device, DeviceSpec
from eval.phantoms.distractors import DISTRACTORS
from eval.phantoms.family import EXAM_FAMILIES, FAMILIES, TRAINING_FAMILIES
from eval.phantoms.faults import FAULTS, Fault
from eval.phantoms.findings import FINDINGS, Finding, FindingSpec
from eval.phantoms.phantom import Phantom, make_phantom

__all__ = [
    "DEVICES",
    "DISTRACTORS",
    "EXAM_FAMILIES",
    "FAMILIES",
    "FAULTS",
    "FINDINGS",
    "TRAINING_FAMILIES",
    "Device",
    "DeviceSpec",
    "Fault",
    "Finding",
    "FindingSpec",
    "Phantom",
    "make_phantom",
]
