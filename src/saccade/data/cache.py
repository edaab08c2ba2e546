"""Where what can be computed again is kept."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The folder named by SACCADE_CACHE, else the usual place of this system; never inside the user's data."""
    named = os.environ.get("SACCADE_CACHE")
    return Path(named) if named else user_cache_path("saccade")
