"""ImageClassifier: a training run behind scikit-learn's fit and predict."""

import math
import shutil
import tempfile
import uuid
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from saccade.commands.training import recipe_of
from saccade.data.images import CLEARLY, Array
from saccade.display import show
from saccade.errors import InputError
from saccade.events import Interrupted, finish
from saccade.experiment import folder, model
from saccade.experiment.predict import predicted
from saccade.experiment.recipe import Recipe
from saccade.experiment.recipe_sections import Section
from saccade.experiment.run import train

FEW = 64  # values of a row of a table, which no images are so small as to have
SIDE = 4  # pixels of the smallest image that networks are given
CARRIED = (folder.MODEL, folder.RECIPE, folder.RECORD, folder.METRICS, folder.SPLIT)  # by a pickle; no checkpoint
SECTIONS = {
    n for n, f in Recipe.model_fields.items() if isinstance(f.annotation, type) and issubclass(f.annotation, Section)
}
Shape = tuple[int, int, int]


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network that is trained by `fit`, for all that takes a classifier of scikit-learn.

    X of `fit` and `predict`: images (N, H, W) or (N, H, W, 1 or 3), channels first too, or the same in rows (N, features).
    Their values are made 8-bit pixels: uint8 stays; floats in 0..1 are times 255; whole numbers in 0..255 stay; of
    anything else, standardized values for instance, or floats in 0..16, the range met in `fit` becomes 0..255, and what
    lies outside is cut.
    y: a label of any kind for each image.

    `network`, `epochs`, `batch` (images a step), `seed`, `lr` (highest learning rate), `weight_decay`: None for what the
    recipe says, else for Saccade's choice (resnet20 for images up to 64 px, else resnet18; 30; 64; 0; the rule's own).
    `recipe`: a file, or the name of one that ships. `fields`: any other field of a recipe, in sections, such as
    `{"regularize": {"label_smoothing": 0.1}}`; they win over the recipe, and the parameters above over both.
    `image_shape`: (H, W) or (H, W, C) of the images in rows. None: a square of grey pixels; rows of up to 64 values that
    make no square, which are a table and no images, fill the smallest one and leave the rest at the lowest value.
    `out`: a folder in which every fit makes the folder of its run; None: a temporary one that lives as long as the
    estimator. `verbose`: show the progress on standard error.

    Every image given to `fit` trains: no test part is split off, and validation images, for early stopping or the choice
    of the best epoch, only where recipe or fields ask for a share (`{"split": {"validation": 0.15}}`).
    Images are decoded once into Saccade's cache, which a search with the same folds reuses.

    After `fit`: `classes_` (K,) sorted; `n_features_in_`, values of an image; `image_shape_`, (H, W, C); `range_`, the
    values that became the pixels 0 and 255; `run_`, the run folder. A pickle carries the files of the run, without its
    checkpoint, and gives the same probabilities anywhere. There is neither `sample_weight` nor `partial_fit`.

    In a search, fields go by section and name, as in `GridSearchCV(ImageClassifier(), {"optimizer__rule": ["adam"]})`.
    """

    def __init__(  # noqa: PLR0913 (scikit-learn's way: what a search may vary is a parameter)
        self,
        network: str | None = None,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        seed: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        recipe: str | Path | None = None,
        fields: dict[str, Any] | None = None,
        image_shape: tuple[int, ...] | None = None,
        out: str | Path | None = None,
        verbose: bool = False,
    ):
        self.network = network
        self.epochs = epochs
        self.batch = batch
        self.seed = seed
        self.lr = lr
        self.weight_decay = weight_decay
        self.recipe = recipe
        self.fields = fields
        self.image_shape = image_shape
        self.out = out
        self.verbose = verbose

    def set_params(self, **params: Any) -> "ImageClassifier":
        """As every estimator does; `section__field` sets a field of the recipe, in a copy of `fields`."""
        ours = {name: value for name, value in params.items() if name.partition("__")[0] in SECTIONS and "__" in name}
        super().set_params(**{name: value for name, value in params.items() if name not in ours})
        for name, value in ours.items():
            section, _, field = name.partition("__")
            fields = self.fields or {}
            self.fields = {**fields, section: {**fields.get(section, {}), field: value}}
        return self

    def fit(self, X: Any, y: Any) -> "ImageClassifier":  # noqa: N803 (scikit-learn's name)
        """Train on every image of X with its label in y; ValueError where they, or a parameter, cannot be used."""
        rows, shape = in_rows(X)
        rows, y = validate_data(self, rows, y)
        check_classification_targets(y)
        shape, values = shape_of(rows.shape[1], shape, self.image_shape), range_of(rows)
        data = (pixels_of(rows, values, shape), y)
        run, temporary = self._new_run()
        try:
            (show if self.verbose else finish)(train(self._recipe(data), run, data))
        except Interrupted as stopped:
            raise KeyboardInterrupt(str(stopped)) from stopped  # a search takes any other error for a score of nan
        self.classes_, self.image_shape_, self.range_ = np.unique(y), shape, values
        self._model, self._folder, self.run_ = model.load(run), temporary, run
        return self

    def _new_run(self) -> tuple[Path, "Temporary | None"]:
        """A folder that no other fit has, whatever runs beside this one, and what it lives by."""
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
        if self.out is not None:
            return Path(self.out) / name, None
        temporary = Temporary()
        return temporary.path / name, temporary

    def _recipe(self, data: tuple[np.ndarray, np.ndarray]) -> Recipe:
        """What is asked for in all, where no image is held back to test."""
        fields = {} if self.fields is None else self.fields
        if not isinstance(fields, dict) or not {"data", "recipe"}.isdisjoint(fields):
            raise InputError(
                f'fields: a dictionary such as {{"optimizer": {{"rule": "adam"}}}}, without data, not {fields!r}'
            )
        recipe = recipe_of(data, self.recipe, **fields)
        asked = {name: getattr(self, name) for name in ("network", "epochs", "batch", "seed")}
        optimizer = {name: getattr(self, name) for name in ("lr", "weight_decay")}
        selects = "validation" in recipe.split.model_fields_set
        return recipe.changed(
            **{name: value for name, value in asked.items() if value is not None},
            optimizer={name: value for name, value in optimizer.items() if value is not None},
            split={"test": 0, "outer": None} | ({} if selects else {"validation": 0}),
        )

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) float32, the probability of every class in the order of `classes_`; ValueError for images unlike fit's."""
        check_is_fitted(self)
        rows, shape = in_rows(X)
        if shape is not None and shape != self.image_shape_:
            raise InputError(f"X: fit was given images of {self.image_shape_}, these are {shape} (height, width, channels)")
        rows = validate_data(self, rows, reset=False)
        check_scale(rows, self.range_)
        pixels = pixels_of(rows, self.range_, self.image_shape_)
        names = [str(i) for i in range(len(pixels))]
        return finish(predicted(self._model, Array(lambda: pixels, len(pixels)), names, [])).probabilities

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N,) the most probable class of each image."""
        likely = self.predict_proba(X)
        return self.classes_[likely.argmax(1)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "run_" in state:
            del state["_model"], state["_folder"]
            state["run_"] = contents(self.run_)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "run_" in state:
            self._folder = Temporary()
            self.run_ = self._folder.path
            for name, content in state["run_"].items():
                (self.run_ / name).write_bytes(content)
            self._model = model.load(self.run_)


class Temporary:
    """A temporary folder, removed with the last that holds it (tempfile's own warns when that is not said in time)."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="saccade-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def contents(run: Path) -> dict[str, bytes]:
    """The files of a run that a pickle carries; InputError where the model is no longer there."""
    if not (run / folder.MODEL).is_file():
        raise InputError(f"{run / folder.MODEL} is no longer there, so the estimator cannot be pickled; fit it again")
    return {name: (run / name).read_bytes() for name in CARRIED if (run / name).is_file()}


def in_rows(X: Any) -> tuple[Any, Shape | None]:  # noqa: N803
    """X as scikit-learn's checks take it, (N, features), with (H, W, C) of its images where it says so; a view."""
    if (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) <= 2:  # np.asarray would refuse or spoil some tables
        return X, None
    images = np.asarray(X)
    if images.ndim == 3:
        images = images[..., None]
    elif images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise InputError(f"X is (N, H, W), (N, H, W, 1 or 3), (N, 1 or 3, H, W) or (N, features); this is {np.shape(X)}")
    _, height, width, channels = images.shape
    return images.reshape(len(images), height * width * channels), (height, width, channels)


def shape_of(features: int, met: Shape | None, asked: tuple[int, ...] | None) -> Shape:
    """(H, W, C) of images of so many values: as met, as asked for, or a grey square; InputError where that is in doubt."""
    if asked is not None:
        height, width, channels = (*asked, 1)[:3] if np.shape(asked) in ((2,), (3,)) else (0, 0, 0)
        wanted = (height, width, channels)
        if channels not in (1, 3) or height * width * channels != features or met not in (None, wanted):
            found = f"images of {met}" if met else f"rows of {features} values"
            raise InputError(f"image_shape: (H, W) or (H, W, 1 or 3) of the images; {asked} does not fit X, {found}")
        return wanted
    if met is not None:
        return met
    side = math.isqrt(features - 1) + 1
    if side * side != features > FEW:
        raise InputError(
            f"X has rows of {features} values, which make no grey square; set image_shape, (H, W) or (H, W, 3)"
        )
    return (max(side, SIDE), max(side, SIDE), 1)


def range_of(rows: np.ndarray) -> tuple[float, float]:
    """The values that become the pixels 0 and 255."""
    if rows.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(rows.min()), float(rows.max())
    if low >= 0 and high <= 1 and rows.dtype.kind in "bf":
        return 0.0, 1.0
    if low >= 0 and high <= 255 and whole(rows) and (rows.dtype.kind in "biu" or high >= CLEARLY):
        return 0.0, 255.0
    return low, high if high > low else low + 1


def check_scale(rows: np.ndarray, values: tuple[float, float]) -> None:
    """InputError where fit was given pixels in 0..1 and these are in 0..255, or the other way round."""
    low, high = float(rows.min()), float(rows.max())
    larger = values == (0, 1) and high > 1 and whole(rows)
    smaller = values == (0, 255) and low >= 0 and high <= 1 and not whole(rows)
    if larger or smaller:
        raise InputError(f"X: fit was given pixels in 0..{values[1]:g}, these go from {low:g} to {high:g}")


def whole(rows: np.ndarray) -> bool:
    return rows.dtype.kind in "biu" or bool((rows == np.round(rows)).all())


def pixels_of(rows: np.ndarray, values: tuple[float, float], shape: Shape) -> np.ndarray:
    """uint8 (N, H, W, C) of rows (N, features) in which these two values are 0 and 255; missing pixels are 0."""
    if rows.dtype != np.uint8:
        low, high = values
        rows = np.clip(np.round((rows - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    if missing := math.prod(shape) - rows.shape[1]:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    return rows.reshape(len(rows), *shape)
