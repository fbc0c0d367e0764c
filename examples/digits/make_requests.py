"""Write the held-out digits as V2 inference requests, one JSON body a line, for the demo's client.

The client then needs no scikit-learn. Run it again only when the split changes:
`python make_requests.py data/requests.jsonl`. The order is shuffled once, with a fixed seed, because
the collection is sorted by writer and wide digits would otherwise come in bursts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from digits_server.pixels import train_and_held_out


def body(row: list[int]) -> str:
    """One V2 request for one image of 64 ink values."""
    tensor = {"name": "pixels", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":"))


def main() -> None:
    """Write all held-out digits to the file named on the command line."""
    held_out = train_and_held_out()[1]
    order = np.random.default_rng(seed=0).permutation(len(held_out.labels))
    lines = [body(held_out.images[index].astype(int).tolist()) for index in order]
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
