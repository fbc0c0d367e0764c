"""Train the three versions of the digit model and write them as `<folder>/<version>/model.joblib`.

Deterministic and offline: the images ship inside scikit-learn, and no step draws random numbers.
Prints for every version its accuracy on the held-out digits and the share on which it raises.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from digits_server.pixels import Centre, Split, centred, train_and_held_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from sklearn.pipeline import Pipeline

    from digits_server.pixels import Pixels


def version_1(train: Split) -> Pipeline:
    """Naive Bayes on raw ink: quick and usable, confuses digits whose strokes overlap."""
    return make_pipeline(GaussianNB()).fit(*train)


def version_2(train: Split) -> Pipeline:
    """A support vector machine on raw ink; gamma as in scikit-learn's own digits example."""
    return make_pipeline(SVC(gamma=0.001, C=10.0)).fit(*train)


def version_3(train: Split) -> Pipeline:
    """
    The same machine on centred digits, with a fault of a common kind.

    Rows that the preparation cannot take were dropped as noise before training, so the offline
    score looks well; in serving nothing drops them and the preparation raises.
    """
    usable = np.array([not raises(centred, row) for row in train.images])
    return make_pipeline(Centre(), SVC(gamma=0.001, C=10.0)).fit(train.images[usable], train.labels[usable])


def raises(step: Callable[[Pixels], object], row: Pixels) -> bool:
    """Whether the step refuses this row with a ValueError; every other error passes through."""
    try:
        step(row)
    except ValueError:
        return True
    return False


def report(version: int, model: Pipeline, held_out: Split) -> str:
    """One line: accuracy on the held-out rows that get an answer, and the share that gets none."""
    failed = np.array([raises(model.predict, row.reshape(1, -1)) for row in held_out.images])
    accuracy = float(model.score(held_out.images[~failed], held_out.labels[~failed]))
    return f"version {version}: accuracy {accuracy:.1%}, raises on {failed.mean():.1%} of {len(failed)} held-out digits"


def main() -> None:
    """Write every version below the folder named on the command line."""
    folder = Path(sys.argv[1])
    train, held_out = train_and_held_out()
    for version, fit in enumerate((version_1, version_2, version_3), start=1):
        model = fit(train)
        target = folder / str(version) / "model.joblib"
        target.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, target)
        print(report(version, model, held_out), flush=True)


if __name__ == "__main__":
    main()
