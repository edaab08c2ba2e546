"""One source of randomness: the recipe's seed, divided by purpose and place.

What is drawn at step 1,234 is a function of (seed, purpose, 1,234) and of nothing that was drawn before, so an interrupted
run that goes on from a checkpoint draws what the unbroken run would have drawn, with no generator to be restored.
"""

from hashlib import blake2b


def derive(seed: int, purpose: str, *place: int) -> int:
    """A seed of 63 bits for this purpose ("weights", "order", "augmentation", ...) at this place (epoch, step)."""
    words = ":".join([str(seed), purpose, *map(str, place)])
    return int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "little") >> 1
