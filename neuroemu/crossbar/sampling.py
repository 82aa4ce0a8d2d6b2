"""Sampling: which row vectors of a layer its converters and compensation are calibrated on."""

import numpy as np

CALIBRATION_ROWS = 512  # row vectors of a layer that ranges and compensation are computed from


def share_of(vectors: int, images: int) -> int:
    """Row vectors to take from a batch of `vectors` images, of `images` in all."""
    return -(-CALIBRATION_ROWS * vectors // images)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows that drive anything, evenly spaced."""
    lively = rows[rows.any(axis=1)]
    lively = lively if len(lively) else rows[:1]
    picks = np.linspace(0, len(lively) - 1, min(len(lively), most)).astype(int)
    return np.ascontiguousarray(lively[picks])
