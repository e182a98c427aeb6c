"""Metrics: pure functions from answers and truth to numbers; no file, network or clock is touched here.

    classify      accuracy, balanced accuracy, F1, AUROC, operating points, subgroups
    text          exact match, token F1, BLEU, ROUGE-L, METEOR
    ranking       recall@k, precision@k, nDCG@k, MRR
    calibration   ECE, Brier, reliability table, risk–coverage curve
    grounding     pointing game, IoU, Dice
    references    copy-reference and over-reliance rates
    criteria      macro-F1 over met, contradicted, unknown
    citations     citation precision, recall and coverage
    labeller      F1 over the 14 CheXpert findings a report states; contradiction, judge: what else is wrong in it
    intervals     bootstrap intervals, paired differences, McNemar
    base          what they share

Fractions lie in 0..1. What can't be computed is nan, never 0: a class that does not occur, a rate over no items.
Import the module that is needed (`from eval.metrics import text`): some of the libraries beneath are slow to load.
"""
