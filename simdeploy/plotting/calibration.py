"""The probability plot of a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeploy.errors import InputError, not_among
from simdeploy.plotting.axes import set_time_axis
from simdeploy.plotting.style import BLUE, DARK_GREY, in_plain_text, say_nothing_known

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simdeploy.analysis.calibration.result import Calibration

_ROOM = 1.05


@in_plain_text
def plot_calibration(ax: Axes, calibration: Calibration, *, path: str | None = None) -> Axes:
    """Draw a probability plot: observed durations over those expected by the best family.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes to draw on; its data are seconds.
    calibration : Calibration
    path : str, optional
        Path of the duration, such as ``fleet.update_duration``; by default the first.

    Returns
    -------
    matplotlib.axes.Axes
        The given axes.

    Raises
    ------
    InputError
        If no such duration was fitted.

    Notes
    -----
    Durations are divided by the slowdown of their rollout. Points on the line are as expected; those above it took longer. Censored
    durations are taken into account (Kaplan and Meier).

    Examples
    --------
    >>> import simdeploy
    >>> from matplotlib.figure import Figure
    >>> from simdeploy.plotting import plot_calibration
    >>> scenario = simdeploy.Scenario.from_dict({
    ...     "name": "ten-nodes",
    ...     "fleet": {"nodes": 10, "update_duration": {"exponential": {"mean": "1m"}}},
    ...     "policies": {"at-once": {"strategy": "immediate"}},
    ... })
    >>> rollouts = [simdeploy.simulate(scenario, replication=k).to_records(str(k)) for k in range(10)]
    >>> found = simdeploy.calibrate(simdeploy.Records.join(rollouts), goodness_samples=0)
    >>> plot_calibration(Figure().subplots(), found).get_ylabel()
    'observed duration (min)'
    """
    known = calibration.fits["path"].drop_duplicates().tolist()
    if path is None:
        path = known[0]
    elif path not in known:
        raise InputError(not_among("no such duration was fitted", ("path",), path, known))
    points = calibration.points[calibration.points["path"].eq(path)]
    fits = calibration.fits[calibration.fits["path"].eq(path)]
    best = fits.iloc[0]
    title = f"{path}: {best['family']}"
    title += "" if best["p"] != best["p"] else f", distance {best['ks']:.3g} (p\u00a0=\u00a0{best['p']:.2g})"
    ax.set_title(title, loc="left", fontsize="medium")
    if points.empty:
        say_nothing_known(ax, "all durations of a rollout are the same")
        return ax
    longest = _ROOM * float(points[["value", "expected"]].to_numpy().max())
    ax.plot([0, longest], [0, longest], color=DARK_GREY, linewidth=1)
    ax.plot(points["expected"], points["value"], color=BLUE, linestyle="", marker=".", markersize=4)
    ax.set_xlim(0, longest)
    ax.set_ylim(0, longest)
    set_time_axis(ax.xaxis, longest, "duration expected by the fit")
    set_time_axis(ax.yaxis, longest, "observed duration")
    return ax
