"""Fitting on validation data: relevance, where to stop, what can be trusted, and which kinds of pictures are known.

Never on what an exam asks: phantoms come from the validation seeds, questions are not the gold pairs.
"""
