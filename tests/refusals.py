"""Errors by which calls refuse their arguments."""

import pytest

from simdeploy.errors import InputError


def refused(call, *arguments, **options):
    """Return the error by which a call refuses its arguments."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return caught.value


def refusals(call, *arguments, **options):
    """Return the problems for which a call is refused, a line each."""
    return [str(problem) for problem in refused(call, *arguments, **options).problems]
