"""The colours of all pictures: Okabe and Ito's eight, which colour-blind people can tell apart, and greys.

Source: M. Okabe and K. Ito (2008), Color Universal Design (CUD): how to make figures and presentations that are
friendly to colorblind people, "Set of colors that is unambiguous both to colorblinds and non-colorblinds". Pictures give
each colour a shape, a hatch or a line of its own as well, so that nothing hangs on telling colours apart.
"""

from __future__ import annotations

BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"

INK = "#222222"  # lines and words that mean no category
DARK_GREY = "#555555"
GREY = "#888888"
LIGHT_GREY = "#A0A0A0"
PALE_GREY = "#E3E3E3"
STRIPE = "#F2F2F2"  # behind what is drawn
