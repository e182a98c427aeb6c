"""Preference pairs: built from truth, from a model's own mistakes and from what clinicians changed."""
