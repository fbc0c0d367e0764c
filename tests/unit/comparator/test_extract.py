"""
What of an answer is compared: paths, and the known forms.
"""

import json

import pytest

from modelramp.comparator.core.extract import Extractor, Form, InvalidPathError
from modelramp.comparator.core.values import Json, UnreadableAnswerError


def read(path: str, body: Json | bytes) -> Json:
    """
    What the extractor of that name or path takes out of the body.
    """
    return Extractor.parse(path).read(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("outputs[0].data[0]", ("outputs", 0, "data", 0)),
        ("$.outputs[0]", ("outputs", 0)),
        ("[3]", (3,)),
        ("$[3]['a.b c']", (3, "a.b c")),
        ("a-b_c.d", ("a-b_c", "d")),
        ("$.openai", ("openai",)),
    ],
)
def test_paths_are_keys_and_indices_from_the_outside_in(path: str, steps: tuple[str | int, ...]) -> None:
    """
    With or without the dollar of JSONPath.
    """
    assert Extractor.parse(path) == Extractor(Form.PATH, steps)


@pytest.mark.parametrize("path", ["", "a..b", "a.", "a[-1]", "a[x]", "a[*]", "a b", "$", "$a", "a['b", "..a", "a[1"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """
    With what was not understood.
    """
    with pytest.raises(InvalidPathError, match="not understood from"):
        Extractor.parse(path)


def test_the_named_forms_are_no_paths() -> None:
    """
    By their names.
    """
    assert [Extractor.parse(name).form for name in ("openai", "v2")] == [Form.OPENAI, Form.V2]
    assert Extractor() == Extractor(Form.WHOLE)


def test_a_path_is_followed() -> None:
    """
    Through objects and lists, to whatever is there.
    """
    body: Json = {"outputs": [{"data": [7, {"x": None}]}]}
    assert read("outputs[0].data[0]", body) == 7
    assert read("outputs[0].data[1].x", body) is None
    assert read("outputs[0]", body) == {"data": [7, {"x": None}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("a.b", {"a": 1}),
        ("a[0]", {"a": {}}),
        ("a[1]", {"a": [1]}),
        ("a", [1]),
        ("[0]", {"0": 1}),
        ("b", {"a": 1}),
        ("a", b"not JSON"),
        ("a", b"[" * 100_000),
        ("a", b"\xff\xfe\xff"),
    ],
)
def test_what_is_not_there_makes_the_answer_unreadable(path: str, body: Json | bytes) -> None:
    """
    Never something else instead.
    """
    with pytest.raises(UnreadableAnswerError):
        read(path, body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"0.5", 0.5),
        ("naïve".encode(), "naïve"),
        (b"\xff", "\xff"),
        (b"", ""),
    ],
)
def test_the_whole_body_is_json_or_text_or_bytes(body: bytes, value: Json) -> None:
    """
    Always something.
    """
    assert Extractor().read(body) == value


class TestOpenAI:
    """
    The form `openai`.
    """

    def test_the_text_of_a_chat_and_of_a_completion(self) -> None:
        """
        Of the first choice.
        """
        assert read("openai", {"choices": [{"message": {"content": "yes"}}, {"message": {"content": "no"}}]}) == "yes"
        assert read("openai", {"choices": [{"text": "yes"}]}) == "yes"

    def test_the_pieces_of_a_stream_are_put_together(self) -> None:
        """
        Of the first choice; comments, the end, and events without choices say nothing.
        """
        events = [
            {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
            {"choices": [{"index": 0, "delta": {"content": "so"}}]},
            {"choices": [{"index": 1, "delta": {"content": "other"}}]},
            {"choices": [{"index": 0, "delta": {"content": "me"}}]},
            {"choices": [{"index": 0, "text": "thing"}]},
            {"choices": [], "usage": {"total_tokens": 3}},
        ]
        lines = [": ping", *(f"data: {json.dumps(event)}" for event in events), "data: [DONE]", ""]
        assert read("openai", "\n\n".join(lines[1:]).encode()) == "something"
        assert read("openai", ("\n" + "\n\n".join([*lines[1:2], lines[0], *lines[2:]])).encode()) == "something"

    def test_tool_calls_are_compared_by_name_and_arguments(self) -> None:
        """
        Not by their ids; arguments as JSON where they are some.
        """

        def calling(identity: str, arguments: Json) -> Json:
            call: Json = {"id": identity, "function": {"name": "find", "arguments": arguments}}
            return {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}

        one = read("openai", calling("call_1", '{"a": 1, "b": 2}'))
        assert one == read("openai", calling("call_2", '{"b": 2, "a": 1.0}'))
        assert one == read("openai", calling("call_3", {"a": 1, "b": 2}))
        assert one != read("openai", calling("call_1", '{"a": 1, "b": 3}'))
        assert read("openai", calling("call_1", "find(")) == '[["find","find("]]'
        assert read("openai", calling("call_1", "\ud800")) == '[["find","\\ud800"]]'

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"choices": []},
            {"choices": ["x"]},
            {"choices": [{"message": {"content": None}}]},
            {"choices": [{"message": "x"}]},
            {"choices": [{"message": {"tool_calls": [{}]}}]},
            {"choices": [{"message": {"tool_calls": {}}}]},
            b'data: {"choices": [1]}',
            b"data: no JSON",
            b'data: {"error": "x"}',
            b"no JSON",
        ],
    )
    def test_other_bodies_are_unreadable(self, body: Json | bytes) -> None:
        """
        Errors inside an answer 200 among them.
        """
        with pytest.raises(UnreadableAnswerError):
            read("openai", body)


class TestV2:
    """
    The form `v2`.
    """

    @pytest.mark.parametrize(
        ("shape", "numbers", "rows"),
        [
            ([2, 3], [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
            ([1, 3], [1, 2, 3], [[1, 2, 3]]),
            ([3], [1, 2, 3], [1, 2, 3]),
            ([2, 2, 1], [1, 2, 3, 4], [[1], [2], [3], [4]]),
            ([2, 3], [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
            ([2, 0], [], []),
            ([-1, 2], [1, 2], [1, 2]),
            ([0, 2], [], []),
        ],
    )
    def test_the_first_output_is_read_in_rows(self, shape: Json, numbers: Json, rows: Json) -> None:
        """
        Flat or nested, as the protocol allows both.
        """
        outputs: Json = [{"name": "a", "shape": shape, "datatype": "FP32", "data": numbers}, {"name": "b"}]
        assert read("v2", {"outputs": outputs}) == rows

    @pytest.mark.parametrize(
        "body",
        [
            {"outputs": []},
            {"outputs": [{"shape": [1]}]},
            {"outputs": [{"data": [1]}]},
            {"outputs": [{"data": 1, "shape": [1]}]},
            {"outputs": [{"data": [1], "shape": 1}]},
            {"error": "x"},
        ],
    )
    def test_other_bodies_are_unreadable(self, body: Json) -> None:
        """
        Binary tensors among them, which have no data here.
        """
        with pytest.raises(UnreadableAnswerError):
            read("v2", body)
