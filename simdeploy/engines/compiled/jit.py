"""How everything here is compiled: without the interpreter's lock, with IEEE division, and without fast-math."""

from __future__ import annotations

from numba import njit

compiled = njit(nogil=True, error_model="numpy")
# Put into its caller before the compiler sees it: for bodies of loops that are to become vector instructions.
inlined = njit(inline="always", error_model="numpy")
