"""
Every row of the table of presets, on a real Prometheus that scraped a sample page of its source: the expected number.

The real one is the binary named by MODELRAMP_TEST_PROMETHEUS; one process serves all rows.
"""

from math import inf
from pathlib import Path

import pytest
from contracts.preset_pages import CANDIDATE, FOLDER, STABLE, Number, scraped_pages

from modelramp.presets import TABLE, Preset, Source

EXPECTED: dict[Source, dict[Preset, Number]] = {
    Source.TRITON: {
        Preset.ERRORS: 100 / 1000,
        Preset.LATENCY: 0.010,
        Preset.THROUGHPUT: 1200,
        Preset.TTFT: {0.1: 30, 0.5: 80, inf: 100},
        Preset.QUEUE: 3,
        Preset.QUEUE_TIME: 0.001,
        Preset.GPU: 0.6,
        Preset.GPU_MEMORY: 7_000_000,
    },
    Source.TRT_LLM: {
        Preset.ERRORS: 5 / 100,
        Preset.LATENCY: {1: 30, inf: 100},
        Preset.THROUGHPUT: 100,
        Preset.TTFT: {0.25: 90, inf: 100},
        Preset.ITL: {0.05: 60, inf: 100},
        Preset.TOKENS: 20_000,
        Preset.QUEUE: 6,
        Preset.QUEUE_TIME: {0.1: 80, inf: 100},
        Preset.IN_FLIGHT: 9,
        Preset.SATURATION: 0.62,
    },
    Source.DYNAMO: {
        Preset.ERRORS: 10 / 200,
        Preset.ABORTS: 20 / 200,
        Preset.LATENCY: {2: 40, inf: 200},
        Preset.THROUGHPUT: 200,
        Preset.TTFT: {0.5: 150, inf: 160},
        Preset.ITL: {0.02: 4000, inf: 5000},
        Preset.TOKENS: 20_000,
        Preset.INPUT_LENGTH: {512: 100, inf: 160},
        Preset.OUTPUT_LENGTH: {128: 120, inf: 160},
        Preset.QUEUE: 4,
        Preset.IN_FLIGHT: 11,
    },
    Source.TF_SERVING: {
        Preset.ERRORS: 20 / 400,
        Preset.LATENCY: {1e-5: 0, 0.0110199: 300, inf: 400},
        Preset.THROUGHPUT: 400,
        Preset.QUEUE_TIME: {0.001: 300, inf: 400},
    },
    Source.TORCHSERVE: {
        Preset.ERRORS: 20 / 100,
        Preset.LATENCY: 0.05,
        Preset.THROUGHPUT: 80,
        Preset.QUEUE_TIME: 0.005,
    },
    Source.MLSERVER: {
        Preset.ERRORS: 6 / 200,
        Preset.LATENCY: {0.05: 106, inf: 196},
        Preset.THROUGHPUT: 200,
        Preset.QUEUE: {1: 100, 5: 170, inf: 200},
        Preset.IN_FLIGHT: 5,
    },
    Source.KSERVE: {Preset.LATENCY: {0.1: 50, inf: 80}, Preset.THROUGHPUT: 80},
    Source.SELDON: {Preset.ERRORS: 10 / 100, Preset.LATENCY: 0.2, Preset.THROUGHPUT: 100},
    Source.BENTOML: {
        Preset.ERRORS: 8 / 100,
        Preset.LATENCY: {0.025: 30, inf: 100},
        Preset.THROUGHPUT: 100,
        Preset.IN_FLIGHT: 5,
    },
    Source.RAY_SERVE: {
        Preset.ERRORS: 10 / 200,
        Preset.LATENCY: {0.05: 100, inf: 200},
        Preset.THROUGHPUT: 200,
        Preset.QUEUE: 7,
        Preset.IN_FLIGHT: 5,
    },
    Source.VLLM: {
        Preset.ERRORS: 10 / 200,
        Preset.ABORTS: 30 / 200,
        Preset.LATENCY: {1: 50, inf: 200},
        Preset.THROUGHPUT: 200,
        Preset.TTFT: {0.1: 150, inf: 200},
        Preset.ITL: {0.025: 8000, inf: 10_000},
        Preset.TOKENS: 10_200,
        Preset.INPUT_LENGTH: {100: 40, inf: 200},
        Preset.OUTPUT_LENGTH: {50: 110, inf: 200},
        Preset.QUEUE: 3,
        Preset.QUEUE_TIME: {0.3: 180, inf: 200},
        Preset.IN_FLIGHT: 8,
        Preset.SATURATION: 0.75,
    },
    Source.SGLANG: {
        Preset.LATENCY: {2: 150, inf: 250},
        Preset.THROUGHPUT: 250,
        Preset.TTFT: {0.4: 200, inf: 250},
        Preset.ITL: {0.008: 3000, inf: 9000},
        Preset.TOKENS: 9250,
        Preset.INPUT_LENGTH: {300: 100, inf: 250},
        Preset.OUTPUT_LENGTH: {100: 220, inf: 250},
        Preset.QUEUE: 6,
        Preset.IN_FLIGHT: 12,
        Preset.SATURATION: 0.33,
    },
    Source.TGI: {
        Preset.ERRORS: 20 / 200,
        Preset.LATENCY: {1: 100, inf: 180},
        Preset.THROUGHPUT: 260,
        Preset.ITL: {0.03: 100, inf: 180},
        Preset.TOKENS: 14_000,
        Preset.INPUT_LENGTH: {256: 60, inf: 180},
        Preset.OUTPUT_LENGTH: {128: 100, inf: 180},
        Preset.QUEUE: 13,
        Preset.QUEUE_TIME: {0.01: 100, inf: 180},
    },
    Source.ISTIO: {Preset.ERRORS: 10 / 100, Preset.LATENCY: {0.025: 60, inf: 100}, Preset.THROUGHPUT: 100},
    Source.ENVOY: {
        Preset.ERRORS: 10 / 400,
        Preset.LATENCY: {0.05: 200, inf: 400},
        Preset.THROUGHPUT: 400,
        Preset.QUEUE: 2,
        Preset.IN_FLIGHT: 5,
    },
    Source.LINKERD: {
        Preset.ERRORS: 20 / 200,
        Preset.LATENCY: {0.04: 80, inf: 200},
        Preset.THROUGHPUT: 200,
        Preset.TTFT: {0.04: 80, inf: 200},
    },
    Source.NGINX: {Preset.ERRORS: 15 / 100, Preset.LATENCY: {0.25: 70, inf: 100}, Preset.THROUGHPUT: 100},
    Source.TRAEFIK: {Preset.ERRORS: 5 / 200, Preset.LATENCY: {0.3: 150, inf: 200}, Preset.THROUGHPUT: 200},
    Source.KNATIVE: {Preset.ERRORS: 10 / 100, Preset.LATENCY: {0.1: 88, inf: 100}, Preset.THROUGHPUT: 100},
    Source.DCGM: {Preset.GPU: 0.6, Preset.GPU_MEMORY: 400 * 1024 * 1024},
    Source.COMPARATOR: {Preset.DISAGREEMENT: 12 / 400, Preset.ERRORS: 130 / 610},
    Source.CADVISOR: {Preset.MEMORY: 750_000, Preset.CPU: 3.5, Preset.SATURATION: 50 / 200},
}


def test_every_row_has_a_page_and_an_expected_number() -> None:
    """
    And there is no page or number without a row.
    """
    expected = {(source, preset) for source, numbers in EXPECTED.items() for preset in numbers}
    assert expected == {(row.source, row.preset) for row in TABLE}
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(Source)


@pytest.mark.apiserver
async def test_every_row_gives_the_expected_number_of_its_own_revision(tmp_path: Path) -> None:
    """
    In the preset's unit, from raw samples; all differences are shown at once.
    """
    async with scraped_pages(tmp_path) as world:
        found = {(row.source, row.preset): await world.number(row, CANDIDATE) for row in TABLE}
        others = {(row.source, row.preset): await world.number(row, STABLE) for row in TABLE}
    wrong = {
        cell: (number, EXPECTED[cell[0]][cell[1]])
        for cell, number in found.items()
        if number is None or number != pytest.approx(EXPECTED[cell[0]][cell[1]], rel=1e-9)
    }
    assert wrong == {}
    assert None not in others.values()
    assert [cell for cell, number in others.items() if number == pytest.approx(found[cell])] == []
