"""Statistics: arrays in, numbers out; numpy and scipy alone."""

from saccade.statistics.calibration import Bin, expected_calibration_error, reliability
from saccade.statistics.classification import (
    ClassScore,
    accuracy,
    brier,
    confident_mistakes,
    confusion_matrix,
    log_loss,
    per_class,
    top_k,
)
from saccade.statistics.interval import Estimate, percentile_interval, wilson
from saccade.statistics.repeated import mean_over_folds, mean_over_runs, share_over_runs
from saccade.statistics.scores import classification_scores

__all__ = [
    "Bin",
    "ClassScore",
    "Estimate",
    "accuracy",
    "brier",
    "classification_scores",
    "confident_mistakes",
    "confusion_matrix",
    "expected_calibration_error",
    "log_loss",
    "mean_over_folds",
    "mean_over_runs",
    "per_class",
    "percentile_interval",
    "reliability",
    "share_over_runs",
    "top_k",
    "wilson",
]
