"""Colours of pictures can be told apart by colour-blind people and in greyscale."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from simdeploy.plotting import style
from simdeploy.plotting.style import LINE_LOOKS, OUTCOME_LOOKS, STATUS_LOOKS, choose_line_looks, contrast_to, darken

# Of linear RGB. Source: G. M. Machado, M. M. Oliveira and L. A. F. Fernandes (2009), A physiologically-based model for
# simulation of color vision deficiency, table 1, severity 1.0.
VISIONS = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}
# From linear RGB to XYZ with D65, and its white. Source: IEC 61966-2-1 (sRGB), annex F.
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
LEAST = 9.0  # in CIE Lab 1976, where a difference of 2.3 is just noticeable
READABLE = 3.0  # contrast of large or short words, WCAG 2.2, 1.4.3


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def to_lab(colour, vision="all"):
    """Return the perceived colour in CIE Lab."""
    xyz = TO_XYZ @ np.clip(np.array(VISIONS[vision]) @ linear(colour), 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one, other, vision):
    return float(np.linalg.norm(to_lab(one, vision) - to_lab(other, vision)))


def contrast(one, other):
    lights = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_lightness_of_known_colours():
    """White has the lightness 100, black 0, and sRGB's pure red 53.24 with a* 80.09 and b* 67.20. [oracle]"""
    assert to_lab("white") == pytest.approx([100, 0, 0], abs=0.02)
    assert to_lab("black") == pytest.approx([0, 0, 0], abs=0.02)
    assert to_lab("#ff0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("vision", VISIONS)
def test_statuses_differ(vision):
    """Two statuses differ in colour for every vision and in grey, or in their hatch. [contract]"""
    alike = [
        (one, other)
        for one, other in combinations(STATUS_LOOKS, 2)
        if STATUS_LOOKS[one].hatch == STATUS_LOOKS[other].hatch
        and distance(STATUS_LOOKS[one].colour, STATUS_LOOKS[other].colour, vision) < LEAST
    ]
    assert alike == []


@pytest.mark.parametrize("looks", [LINE_LOOKS, tuple({look.marker: look for look in OUTCOME_LOOKS.values()}.values())])
def test_lines_and_marks_differ(looks):
    """Each line and each verdict has its own mark; equal marks have one colour and one meaning. [contract]"""
    assert len({look.marker for look in looks}) == len(looks)
    for one, other in combinations(OUTCOME_LOOKS.values(), 2):
        assert (one.marker == other.marker) == (one == other)


@pytest.mark.parametrize("vision", [name for name in VISIONS if name != "grey"])
def test_neighbouring_lines_differ(vision):
    """Successive lines differ in colour for every vision. [contract]"""
    for one, other in pairwise(LINE_LOOKS):
        assert distance(one.colour, other.colour, vision) > LEAST


def test_lines_of_one_colour_differ():
    """No two of up to 15 lines have the same colour and dashes, nor the same colour and mark. [contract]"""
    looks = choose_line_looks(15)
    assert tuple(looks[: len(LINE_LOOKS)]) == LINE_LOOKS
    assert (
        len({(look.colour, look.line) for look in looks}) == len({(look.colour, look.marker) for look in looks}) == 15
    )


def test_words_on_colours():
    """Letters on status colours, and coloured words on white, have enough contrast. [contract]"""
    for look in STATUS_LOOKS.values():
        assert contrast(look.colour, contrast_to(look.colour)) >= READABLE
    for look in (*LINE_LOOKS, *OUTCOME_LOOKS.values()):
        assert contrast(darken(look.colour), "white") >= READABLE
    assert contrast(style.INK, "white") > 7
