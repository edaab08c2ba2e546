"""Statistics: arrays in, numbers out; numpy and scipy alone."""

from saccade.statistics.bias_variance import (
    Decomposition,
    ZeroOne,
    log_loss_decomposition,
    squared_error,
    zero_one_domingos,
    zero_one_kohavi_wolpert,
)
from saccade.statistics.bootstrap import Sampling, bca_interval, percentile_interval, sampling
from saccade.statistics.calibration import Bin, expected_calibration_error, reliability
from saccade.statistics.classification import (
    ClassScore,
    accuracy,
    brier,
    confident_mistakes,
    confusion_matrix,
    log_loss,
    log_losses,
    per_class,
    top_k,
)
from saccade.statistics.components import Components, needed, power, predicted_error, variance_components
from saccade.statistics.contrast import Contrast
from saccade.statistics.folds import FTest, corrected_error, corrected_t, five_by_two_f, mean_over_folds
from saccade.statistics.grouped import by_unit, share
from saccade.statistics.interval import Estimate, tango, wilson
from saccade.statistics.label_errors import likely_label_errors
from saccade.statistics.multiple import holm
from saccade.statistics.paired import McNemar, mcnemar, paired_bootstrap, permutation_test
from saccade.statistics.repeated import mean_over_runs, over_runs, share_over_runs
from saccade.statistics.scores import classification_scores
from saccade.statistics.uncertainty import Uncertainty, uncertainty

__all__ = [
    "Bin",
    "ClassScore",
    "Components",
    "Contrast",
    "Decomposition",
    "Estimate",
    "FTest",
    "McNemar",
    "Sampling",
    "Uncertainty",
    "ZeroOne",
    "accuracy",
    "bca_interval",
    "brier",
    "by_unit",
    "classification_scores",
    "confident_mistakes",
    "confusion_matrix",
    "corrected_error",
    "corrected_t",
    "expected_calibration_error",
    "five_by_two_f",
    "holm",
    "likely_label_errors",
    "log_loss",
    "log_loss_decomposition",
    "log_losses",
    "mcnemar",
    "mean_over_folds",
    "mean_over_runs",
    "needed",
    "over_runs",
    "paired_bootstrap",
    "per_class",
    "percentile_interval",
    "permutation_test",
    "power",
    "predicted_error",
    "reliability",
    "sampling",
    "share",
    "share_over_runs",
    "squared_error",
    "tango",
    "top_k",
    "uncertainty",
    "variance_components",
    "wilson",
    "zero_one_domingos",
    "zero_one_kohavi_wolpert",
]
