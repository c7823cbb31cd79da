"""Mutations of bytes and notation: what YAML and JSON leave open or should forbid."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Mutate = Callable[[Random, bytes], bytes]

# A file that a command in a scenario, a deployment or a store would make.
CANARY = "canary-of-code"
_COMMAND = f"touch {CANARY}"
TAGS = (
    f'!!python/object/apply:os.system ["{_COMMAND}"]',
    f"!!python/object/new:subprocess.check_call [[touch, {CANARY}]]",
    f"!!python/object/apply:builtins.exec [\"open('{CANARY}', 'w')\"]",
    f"!!python/object/apply:builtins.open [{CANARY}, w]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!binary aGVsbG8=",
    "!!timestamp 2026-01-01",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!str 5",
    "!local {x: 1}",
    "!<tag:yaml.org,2002:int> 3",
    "! 5",
)


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True) or [b""]


def _spot(random: Random, content: bytes) -> int:
    return random.randrange(len(content) + 1)


def flip_bit(random: Random, content: bytes) -> bytes:
    changed = bytearray(content or b"\n")
    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncate(random: Random, content: bytes) -> bytes:
    return content[: _spot(random, content)]


def insert_bytes(random: Random, content: bytes) -> bytes:
    at = _spot(random, content)
    inserted = random.choice(
        [
            *(
                b"\x00",
                b"\xff",
                b"\x1b[31m",
                b"\xc0\x80",
                b"\xed\xa0\x80",
                b"\xef\xbb\xbf",
                b"\xe2\x80\xa8",
                b"\t",
                b"\r",
            ),
            *(b": ", b"- ", b"{", b"]", b'"', b"'", b"\\", b"#", b"%", b"@", b"|\n", b"? ", b"\n---\n", b"\n...\n"),
            random.randbytes(8),
        ]
    )
    return content[:at] + inserted + content[at:]


def delete_bytes(random: Random, content: bytes) -> bytes:
    at = _spot(random, content)
    return content[:at] + content[at + random.choice([1, 2, 10, 100]) :]


def repeat_line(random: Random, content: bytes) -> bytes:
    lines = _lines(content)
    lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
    return b"".join(lines)


def swap_lines(random: Random, content: bytes) -> bytes:
    lines = _lines(content)
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def indent_otherwise(random: Random, content: bytes) -> bytes:
    lines = _lines(content)
    at = random.randrange(len(lines))
    change = random.choice([lambda line: b"\t" + line, lambda line: b" " + line, bytes.lstrip])
    lines[at] = change(lines[at])
    return b"".join(lines)


def recode(random: Random, content: bytes) -> bytes:
    """Write the same text differently: line ends, byte order marks, encodings."""
    text = content.decode(errors="replace")
    return random.choice(
        [
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            b"\xef\xbb\xbf" + content,
            text.encode("utf-16"),
            text.encode("utf-32-le"),
            text.encode("utf-7"),
            b"\xef\xbb\xbf" * 2 + content,
        ]
    )


def _at_a_value(random: Random, content: bytes, new: Callable[[bytes], bytes]) -> bytes:
    """Change the text after one of the colons."""
    found = list(re.finditer(rb":[ ]*([^\s{}\[\],][^\n{}\[\],]*)", content))
    if not found:
        return content + new(b"x")
    match = random.choice(found)
    return content[: match.start(1)] + new(match[1]) + content[match.end(1) :]


def tag(random: Random, content: bytes) -> bytes:
    chosen = random.choice(TAGS)
    return _at_a_value(random, content, lambda _: chosen.encode())


def anchor(random: Random, content: bytes) -> bytes:
    """Add anchors and aliases: copies, cycles, undefined ones, and multiplying ones."""
    kind = random.randrange(6)
    if kind == 0:
        return _at_a_value(random, content, lambda value: b"&a " + value) + b"\ndescription: *a\n"
    if kind == 1:
        return _at_a_value(random, content, lambda _: b"*nowhere")
    if kind == 2:
        return _at_a_value(random, content, lambda _: b"&a {again: *a}")
    if kind == 3:
        return _at_a_value(random, content, lambda _: b"&a [*a, *a]")
    if kind == 4:
        return content + b"\n<<: {nodes: 3}\n"
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, random.randrange(2, 12))
    ]
    return content + "\n".join(["", *levels, ""]).encode()


def deep_yaml(random: Random, content: bytes) -> bytes:
    deep = random.choice([b"[" * 5000, b"{a: " * 1000, b"[" * 60 + b"]" * 60, b"\n" + b"- " * 500 + b"x", b"? " * 300])
    return _at_a_value(random, content, lambda _: deep)


def repeat_key(random: Random, content: bytes) -> bytes:
    """Repeat one of the keys of a JSON object."""
    found = list(re.finditer(rb'"[^"\\]*"\s*:', content))
    if not found:
        return b'{"a": 1, "a": 2}'
    match = random.choice(found)
    return content[: match.start()] + match[0] + random.choice([b"1, ", b"null, ", b"{}, "]) + content[match.start() :]


def odd_number(random: Random, content: bytes) -> bytes:
    """Write a number that is valid in Python but not in JSON, or too large."""
    chosen = random.choice(
        [
            *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"01", b"+1", b"1.", b".5", b"0x10", b"1_000"),
            *(b"9" * 50, b"9" * 1_000_000, b"0." + b"1" * 1_000_000, b"1e-400", b"1E+2", b"-1", b"true", b"1e400"),
        ]
    )
    found = list(re.finditer(rb"[:\[,]\s*(-?[0-9][0-9.eE+-]*|true|false|null)", content))
    if not found:
        return chosen
    match = random.choice(found)
    return content[: match.start(1)] + chosen + content[match.end(1) :]


def deep_json(random: Random, content: bytes) -> bytes:
    deep = random.choice([b"[" * 100_000, b'{"a":' * 100_000, b"[" * 70 + b"]" * 70, b'{"a":' * 30 + b"1" + b"}" * 30])
    return _at_a_value(random, content, lambda _: deep) if random.random() < 0.7 else deep


def escape_json(random: Random, content: bytes) -> bytes:
    r"""Put an escape into a JSON string: halves of surrogate pairs, control characters, line ends."""
    chosen = random.choice(
        [
            rb"\ud800",
            rb"\udc00\ud800",
            rb"\u0000",
            rb"\u001b[2J",
            rb"\n",
            rb"\u202e",
            rb"\x41",
            rb"\uD83D\uDE00",
            rb"\u00",
        ]
    )
    quotes = [match.start() for match in re.finditer(b'"', content)] or [0]
    at = random.choice(quotes)
    return content[: at + 1] + chosen + content[at + 1 :]


def foreign_json(random: Random, content: bytes) -> bytes:
    """Use extensions of JSON, or known attacks on its readers."""
    return random.choice(
        [
            content + content,
            content + b" // end",
            b"/* begin */ " + content,
            content.replace(b"}", b",}", 1),
            content.replace(b'"', b"'"),
            b")]}'\n" + content,
            content + b"\x00",
            b'{"__proto__": {"a": 1}, "__class__": "os.system", ' + content.strip()[1:],
            b'{"py/object": "os.system", "py/reduce": ["' + _COMMAND.encode() + b'"], ' + content.strip()[1:],
            b'{"$ref": "file:///etc/hostname", ' + content.strip()[1:],
        ]
    )


TEXT_MUTATORS: dict[str, Mutate] = {
    "flip a bit": flip_bit,
    "truncate": truncate,
    "insert bytes": insert_bytes,
    "delete bytes": delete_bytes,
    "repeat a line": repeat_line,
    "swap lines": swap_lines,
    "other encoding": recode,
}
YAML_MUTATORS: dict[str, Mutate] = {
    **TEXT_MUTATORS,
    "other indentation": indent_otherwise,
    "tag": tag,
    "anchor": anchor,
    "deep YAML": deep_yaml,
}
JSON_MUTATORS: dict[str, Mutate] = {
    **TEXT_MUTATORS,
    "repeat a key": repeat_key,
    "odd number": odd_number,
    "deep JSON": deep_json,
    "escape": escape_json,
    "foreign JSON": foreign_json,
}
