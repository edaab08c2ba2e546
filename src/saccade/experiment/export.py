"""A trained network for other runtimes."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saccade.errors import InputError
from saccade.experiment.model import Model
from saccade.writing import replacing

TOLERANCE = 1e-4


def export_onnx(model: Model, file: Path, pixels: np.ndarray) -> float:
    """Write an ONNX file and verify it by onnxruntime on `pixels`, uint8 (N, stored, stored, C).

    Input "images": float32 (batch, C, size, size), preprocessed; output "scores": (batch, classes). The metadata holds
    classes and preprocessing as JSON. Returns the largest difference of a score; above 1e-4 InputError, and no file.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError as error:
        raise InputError("export needs onnx and onnxruntime: pip install 'saccade[export]'") from error
    network, size = model.network.eval().cpu(), model.preprocess.size
    example = torch.zeros(2, model.preprocess.channels, size, size)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about itself
        quiet.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["scores"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        finally:
            quiet.setLevel(level)
    assert program is not None
    proto = program.model_proto
    for key, value in metadata(model).items():
        proto.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    with replacing(file) as part:
        part.write_bytes(proto.SerializeToString())
        return verify(model, onnxruntime.InferenceSession(str(part), providers=["CPUExecutionProvider"]), pixels)


def metadata(model: Model) -> dict[str, str]:
    words: dict[str, Any] = {
        "network": model.name,
        "classes": list(model.classes),
        "preprocess": model.preprocess.to_dict(),
    }
    return {f"saccade.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in words.items()}


def verify(model: Model, session: Any, pixels: np.ndarray) -> float:
    """The largest difference between the scores here and there, on real images."""
    images = model.preprocess(torch.tensor(pixels))
    with torch.inference_mode():
        ours = model.network(images).numpy()
    theirs = session.run(["scores"], {"images": images.contiguous().numpy()})[0]
    difference = float(np.abs(ours - theirs).max())
    if difference > TOLERANCE:
        raise InputError(f"the exported network differs from ours by {difference:.2g} in a score; nothing can be relied on")
    return difference
