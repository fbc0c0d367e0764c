"""The digit images: which rows train a model, which are held out, and how an image is centred.

Must not import MLServer: training and the request generator need scikit-learn alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[np.float64]
    Labels: TypeAlias = npt.NDArray[np.int64]

SIDE_PIXELS = 8
# One row in three is held out. Taking them by position keeps the split the same for every version of
# scikit-learn, and spreads every writer of the collection over both parts.
HELD_OUT_EVERY = 3
# Measured by version 3's author on the first seven digits of the collection; the eighth is wider.
CANVAS_COLUMNS = 6


class Split(NamedTuple):
    """One part of the digits: images as rows of 64 ink values from 0 to 16, and the digits they show."""

    images: Pixels
    labels: Labels


def train_and_held_out() -> tuple[Split, Split]:
    """The 1,198 rows that models learn from and the 599 they never see, which the client sends."""
    digits = load_digits()
    held_out = np.arange(len(digits.target)) % HELD_OUT_EVERY == 1
    return (
        Split(digits.data[~held_out], digits.target[~held_out]),
        Split(digits.data[held_out], digits.target[held_out]),
    )


def ink_columns(image: Pixels) -> tuple[int, int]:
    """First inked column and the column after the last, of one 8 by 8 image; (0, 0) for a blank one."""
    inked = np.flatnonzero(image.max(axis=0) > 0)
    return (int(inked[0]), int(inked[-1]) + 1) if inked.size else (0, 0)


def centred(row: Pixels) -> Pixels:
    """
    The digit cut to its inked columns and set in the middle of an 8 by 6 canvas, as one row of 48.

    Raises ValueError for a digit whose ink is 7 or 8 columns wide: numpy cannot copy it into the
    narrower canvas. That is version 3's fault; see `train.py` for how it went unnoticed.
    """
    image = row.reshape(SIDE_PIXELS, SIDE_PIXELS)
    first, end = ink_columns(image)
    canvas = np.zeros((SIDE_PIXELS, CANVAS_COLUMNS))
    margin = (CANVAS_COLUMNS - (end - first)) // 2
    canvas[:, max(margin, 0) : max(margin, 0) + end - first] = image[:, first:end]
    return canvas.ravel()


class Centre(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Pipeline step that puts every digit in the middle of its canvas; raises as `centred` does."""

    def fit(self, _images: Pixels, _labels: Labels | None = None) -> Self:
        """Learn nothing; scikit-learn asks for the method."""
        return self

    def transform(self, images: Pixels) -> Pixels:
        """One centred row of 48 per row of 64."""
        return np.stack([centred(row) for row in np.asarray(images)])
