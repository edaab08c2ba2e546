"""Every command as a plain Python function; the command line only parses words and prints what these return."""

from saccade.commands.ensembles import bag, boost
from saccade.commands.looking import arithmetic, draw, effective, filter, inspect, networks, show_maps
from saccade.commands.measuring import sharpness
from saccade.commands.studying import ablate, bias_variance, compare, crossval, learning_curve, race, tune_rate
from saccade.commands.training import doctor, evaluate, export, predict, prediction_rows, predictions_csv, resume, train

__all__ = [
    "ablate", "arithmetic", "bag", "bias_variance", "boost", "compare", "crossval", "doctor", "draw", "effective",
    "evaluate", "export", "filter", "inspect", "learning_curve", "networks", "predict", "prediction_rows",
    "predictions_csv", "race", "resume", "sharpness", "show_maps", "train", "tune_rate",
]  # fmt: skip
