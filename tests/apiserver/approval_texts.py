"""
Texts for the action annotation that try to be read in one way by the policy and in another by the operator.
"""

from typing import Final

from hypothesis import strategies as st

ID: Final = '"id": "1"'
APPROVE: Final = '"verb": "approve"'
REVISION: Final = '"revision": "r"'
STEP: Final = '"step": 2'
OTHER: Final = '"by": "grace"'
LONGEST_CHANGED: Final = 600  # characters; longer texts are refused for their length


def by(user: str) -> str:
    """
    The pair that names a user.
    """
    return f'"by": "{user}"'


def flat(*pairs: str) -> str:
    """
    A JSON object of these pairs.
    """
    return "{" + ", ".join(pairs) + "}"


def harmless(user: str) -> dict[str, str]:
    """
    Odd texts that mean what they seem to mean, and are let through.
    """
    mine = by(user)
    return {
        "another order": flat(STEP, mine, REVISION, APPROVE, ID),
        "no space": '{"id":"1","verb":"approve","revision":"r",' + mine.replace(": ", ":", 1) + ',"step":2}',
        "much space": flat(f'\n\t"id" \r\n:\t"1" {" " * 100}', APPROVE, REVISION, mine, STEP + " \n") + " \t\r\n",
        "structure in a value": flat('"id": "}, {:,["', APPROVE, REVISION, mine, STEP),
        "key without quotes in a value": flat('"id": "by: grace, verb: abort"', APPROVE, REVISION, mine, STEP),
        "apostrophes": flat("\"id\": \"'by': 'grace'\"", APPROVE, REVISION, mine, STEP),
        "highest step": flat(ID, APPROVE, REVISION, mine, '"step": 999999999'),
        "longest values": flat(f'"id": "{"i" * 63}"', APPROVE, f'"revision": "{"é" * 253}"', mine, STEP),
        "line separators": flat('"id": "\u2028\u2029\u0085"', APPROVE, REVISION, mine, STEP),
        "beyond the first plane": flat('"id": "\U0001f40d\ufeff"', APPROVE, REVISION, mine, STEP),
    }


def nasty(user: str) -> dict[str, str]:
    """
    Texts that are refused to everybody; each would name another asker or verb to one of two readers, or is no request.
    """
    mine = by(user)
    rest = (ID, APPROVE, REVISION, STEP)
    return {
        "in another's name": flat(*rest, OTHER),
        "by twice, mine first": flat(mine, *rest, OTHER),
        "by twice, mine last": flat(OTHER, *rest, mine),
        "by twice, the same": flat(mine, *rest, mine),
        "no by": flat(*rest),
        "by is null": flat(*rest, '"by": null'),
        "by is a list": flat(*rest, f'"by": ["{user}"]'),
        "by is an object": flat(*rest, '"by": {' + mine + "}"),
        "by nested only": flat(*rest, '"step": {' + mine + "}"),
        "by nested and outside": flat(*rest, '"extra": {' + mine + "}", OTHER),
        "by in capitals": flat(*rest, f'"BY": "{user}"'),
        "by in capitals beside by": flat(*rest, f'"By": "{user}"', OTHER),
        "by with a space": flat(*rest, f'"by ": "{user}"'),
        "by with an escape": flat(*rest, mine, r'"\u0062y": "grace"'),
        "by with two escapes": flat(*rest, mine, r'"\u0062\u0079": "grace"'),
        "verb with an escape": flat(ID, '"verb": "pause"', r'"v\u0065rb": "approve"', REVISION, mine, STEP),
        "name with an escape": flat(*rest, mine.replace(user[0], f"\\u{ord(user[0]):04x}", 1).replace('"\\', '"\\')),
        "escaped quote": flat(r'"id": "\", \"by\": \"x"', APPROVE, REVISION, OTHER, STEP),
        "escaped quote and mine": flat(r'"id": "\", ' + mine, APPROVE, REVISION, STEP, OTHER),
        "escaped backslash": flat('"id": "\\\\"', APPROVE, REVISION, mine, STEP),
        "escaped solidus": flat(r'"id": "\/"', APPROVE, REVISION, mine, STEP),
        "name with a space before": flat(*rest, f'"by": " {user}"'),
        "name with a space behind": flat(*rest, f'"by": "{user} "'),
        "name and more": flat(*rest, f'"by": "{user}x"'),
        "name without its end": flat(*rest, f'"by": "{user[:-1]}"'),
        "name in capitals": flat(*rest, f'"by": "{user.swapcase()}"'),
        "name with a mark that is not seen": flat(*rest, f'"by": "{user}\u200b"'),
        "empty name": flat(*rest, '"by": ""'),
        "by as a value": flat('"id": "by"', APPROVE, REVISION, STEP, OTHER),
        "by as a value and mine": flat('"id": "by"', APPROVE, REVISION, mine, STEP),
        "verb as a value": flat('"id": "verb"', APPROVE, REVISION, mine, STEP),
        "verb twice": flat('"verb": "pause"', ID, APPROVE, REVISION, mine, STEP),
        "verb twice, the free one last": flat(ID, APPROVE, REVISION, mine, '"verb": "pause"'),
        "verb in capitals": flat(ID, '"verb": "APPROVE"', REVISION, mine, STEP),
        "verb with a space": flat(ID, '"verb": "approve "', REVISION, mine, STEP),
        "verb is a list": flat(ID, '"verb": ["approve"]', REVISION, mine, STEP),
        "unknown verb": flat(ID, '"verb": "explode"', REVISION, mine),
        "unknown key": flat(*rest, mine, '"force": "yes"'),
        "id twice": flat(*rest, mine, ID),
        "revision twice": flat(*rest, mine, REVISION),
        "no step": flat(ID, APPROVE, REVISION, mine),
        "step as a value, none as a key": flat('"id": "step"', APPROVE, REVISION, mine),
        "step twice": flat(*rest, mine, '"step": 3'),
        "step nought": flat(ID, APPROVE, REVISION, mine, '"step": 0'),
        "step below nought": flat(ID, APPROVE, REVISION, mine, '"step": -1'),
        "step with a nought before": flat(ID, APPROVE, REVISION, mine, '"step": 02'),
        "step with a point": flat(ID, APPROVE, REVISION, mine, '"step": 2.0'),
        "step with an exponent": flat(ID, APPROVE, REVISION, mine, '"step": 2e0'),
        "step in quotes": flat(ID, APPROVE, REVISION, mine, '"step": "2"'),
        "step too high": flat(ID, APPROVE, REVISION, mine, '"step": 1000000000'),
        "step where none belongs": flat(ID, '"verb": "pause"', REVISION, mine, STEP),
        "two objects": flat(*rest, mine) + flat(*rest, OTHER),
        "two lines of objects": flat(*rest, mine) + "\n" + flat(*rest, OTHER),
        "comment": flat(*rest, mine, f"/* {OTHER} */"),
        "text before": "x" + flat(*rest, mine),
        "text behind": flat(*rest, mine) + "x",
        "half an object behind": flat(*rest, mine) + " {",
        "byte order mark": "\ufeff" + flat(*rest, mine),
        "in a list": "[" + flat(*rest, mine) + "]",
        "as a text": '"' + flat(*rest, mine) + '"',
        "comma at the end": flat(*rest, mine, ""),
        "no comma": flat(*rest, mine).replace(",", " "),
        "apostrophes for quotes": flat(*rest, mine).replace('"', "'"),
        "typographic quotes": flat(*rest, f"\u201cby\u201d: \u201c{user}\u201d"),
        "fullwidth colon": flat(*rest, mine.replace('"by":', '"by"\uff1a')),
        "space that JSON does not know": flat(*rest, mine.replace('"by":', '"by"\u00a0:')),
        "form feed": flat(*rest, mine.replace('"by":', '"by"\f:')),
        "vertical tab in a value": flat('"id": "a\vb"', APPROVE, REVISION, mine, STEP),
        "line break in a value": flat('"id": "a\nb"', APPROVE, REVISION, mine, STEP),
        "nul in a value": flat('"id": "a\0b"', APPROVE, REVISION, mine, STEP),
        "delete in a value": flat('"id": "a\x7fb"', APPROVE, REVISION, mine, STEP),
        "long id": flat(f'"id": "{"i" * 64}"', APPROVE, REVISION, mine, STEP),
        "long revision": flat(ID, APPROVE, f'"revision": "{"r" * 254}"', mine, STEP),
        "long text": flat(*rest, mine) + " " * 1024,
        "very long text": flat(*rest, mine) + " " * 200_000,
        "very many keys": flat(*[ID] * 5_000, mine),
        "deep": "[" * 100_000,
        "a word": "approve",
        "spaces": "  ",
        "null": "null",
    }


def mutations(user: str) -> st.SearchStrategy[str]:
    """
    Requests of the user with up to three pieces put in, taken out or doubled anywhere; some stay valid.
    """
    short = [text for text in nasty(user).values() if len(text) < LONGEST_CHANGED]
    whole = st.one_of(st.sampled_from(list(harmless(user).values())), st.sampled_from(short))
    marks = (",", ", ", ":", '"', "\\", "{", "}", "[", "]", " ", "\n", "\t", "\u2028")
    words = ('"by"', '"verb"', "\\u0062y", "approve", "null", "1", "é", OTHER, by(user), APPROVE, STEP, ID, REVISION)
    piece = st.sampled_from([*marks, *words])
    cut = st.tuples(st.integers(0, LONGEST_CHANGED), st.integers(0, 4), st.one_of(piece, st.just("")))
    put = st.tuples(st.integers(0, LONGEST_CHANGED), st.just(0), st.sampled_from([" ", "\n", "\t", "1", "é"]))

    def changed(text: str, cuts: list[tuple[int, int, str]]) -> str:
        for at, length, put in cuts:
            begin = at % (len(text) + 1)
            text = text[:begin] + put + text[begin + length :]
        return text

    return st.builds(changed, whole, st.lists(st.one_of(put, cut), max_size=3))
