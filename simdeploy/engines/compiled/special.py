"""Special functions for compiled code.

scipy's own functions are called through their addresses, so that both engines get the same digits. They are looked up by
name when compiled code is loaded, which keeps that code cacheable. The normal quantile, the exponential and the logarithm are
written here, since they are needed once per node: in a form that compilers turn into vector instructions.

References
----------
M. J. Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37 (1988) 477-484
(PPND16, relative accuracy about 1e-16).
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from numba.core.types import ExternalFunction
from numba.extending import intrinsic

from simdeploy.engines.compiled.jit import compiled, inlined

_PREFIX = "simdeploy_scipy_"
# Of scipy's cython_special: name there and number of arguments; all take and return double.
_NAMES = {
    "gammainc": ("gammainc", 2),
    "gammaincc": ("gammaincc", 2),
    "gammaincinv": ("gammaincinv", 2),
    "gammainccinv": ("gammainccinv", 2),
    "betainc": ("__pyx_fuse_0betainc", 3),
    "betaincc": ("__pyx_fuse_0betaincc", 3),
    "betaincinv": ("__pyx_fuse_0betaincinv", 3),
    "betainccinv": ("__pyx_fuse_0betainccinv", 3),
    "betaln": ("betaln", 2),
    "ndtr": ("__pyx_fuse_1ndtr", 1),
}


def _register() -> None:
    """Register scipy's functions with the linker of compiled code, under our own names."""
    from scipy.special import cython_special

    capsules: Any = cython_special.__pyx_capi__
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    for ours, (theirs, n_arguments) in _NAMES.items():
        capsule = capsules[theirs]
        signature = get_name(capsule)
        if signature.decode().count("double") != n_arguments + 1:
            raise ImportError(
                f"scipy.special.cython_special.{theirs} has another signature than expected: {signature!r}"
            )
        binding.add_symbol(_PREFIX + ours, get_pointer(capsule, signature))


_register()


def _external(name: str):
    # The last argument is cython's own: whether a subclass may override the function.
    signature = types.float64(*[types.float64] * _NAMES[name][1], types.int32)
    return ExternalFunction(_PREFIX + name, signature)


gammainc, gammaincc = _external("gammainc"), _external("gammaincc")
gammaincinv, gammainccinv = _external("gammaincinv"), _external("gammainccinv")
betainc, betaincc = _external("betainc"), _external("betaincc")
betaincinv, betainccinv = _external("betaincinv"), _external("betainccinv")
ndtr, betaln = _external("ndtr"), _external("betaln")

LOG2_E = math.log2(math.e)
_FAR = 5.0  # root of minus the logarithm of a tail; from here on another approximation applies
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Coefficients of the series of atanh; and the bits of the root of 1/2, the lower end of the reduced range of the logarithm.
_A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8, _A9, _A10 = (1 / (2 * k + 1) for k in range(1, 11))
_ROOT_BITS = int(np.float64(math.sqrt(0.5)).view(np.int64))
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (1 / math.factorial(k) for k in range(2, 14))


@intrinsic
def _from_bits(_typing, _bits):
    def codegen(context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@intrinsic
def _to_bits(_typing, _number):
    def codegen(context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@inlined
def log(x):
    """Compute the logarithm of a positive normal number to one or two units in the last place."""
    bits = _to_bits(x)
    exponent = (bits - _ROOT_BITS) >> np.int64(52)
    f = _from_bits(bits - (exponent << np.int64(52))) - 1.0
    s = f / (2.0 + f)
    z = s * s
    high = _A5 + z * (_A6 + z * (_A7 + z * (_A8 + z * (_A9 + z * _A10))))
    series = z * (_A1 + z * (_A2 + z * (_A3 + z * (_A4 + z * high))))
    return exponent * _LN2_HIGH + (2.0 * s + (2.0 * s * series + exponent * _LN2_LOW))


@inlined
def exp(x):
    """Compute e to the power x to about one unit in the last place; 0 or infinity outside the range of floats."""
    scaled = math.floor(max(min(x, 709.7), -708.0) * LOG2_E + 0.5)
    r = (max(min(x, 709.7), -708.0) - scaled * _LN2_HIGH) - scaled * _LN2_LOW
    high = _T7 + r * (_T8 + r * (_T9 + r * (_T10 + r * (_T11 + r * (_T12 + r * _T13)))))
    series = 1.0 + r * (1.0 + r * (_T2 + r * (_T3 + r * (_T4 + r * (_T5 + r * (_T6 + r * high))))))
    power = series * _from_bits((np.int64(scaled) + np.int64(1023)) << np.int64(52))
    return math.inf if x > 709.7 else (0.0 if x < -708.0 else power)


@inlined
def normal_quantile_central(q):
    """Return the normal quantile at 0.5 + q, for abs(q) up to 0.425."""
    r = 0.180625 - q * q
    top = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
              + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
           + 133.14166789178437745) * r + 3.3871328727963666080  # fmt: skip
    bottom = ((((((5226.4952788528545610 * r + 28729.085735721942674) * r + 39307.895800092710610) * r
                 + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.18700749205790830) * r
              + 42.313330701600911252) * r + 1.0  # fmt: skip
    return q * top / bottom


@inlined
def _normal_quantile_near(r):
    """Return the normal quantile in the tail above, not far from the middle, by the root of minus the logarithm of that tail."""
    r -= 1.6
    top = ((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 0.241780725177450611770) * r
              + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.76949722146069140550) * r
           + 4.63033784615654529590) * r + 1.42343711074968357734  # fmt: skip
    bottom = ((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
                 + 0.148103976427480074590) * r + 0.689767334985100004550) * r + 1.67638483018380384940) * r
              + 2.05319162663775882187) * r + 1.0  # fmt: skip
    return top / bottom


@compiled
def _normal_quantile_tail(u):
    """Return the normal quantile at u, for u below 0.075 or above 0.925."""
    r = math.sqrt(-math.log(min(u, 1.0 - u)))
    if r <= _FAR:
        z = _normal_quantile_near(r)
    else:
        r -= 5.0
        top = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
                  + 2.65321895265761230930e-2) * r + 0.296560571828504891230) * r + 1.78482653991729133580) * r
               + 5.46378491116411436990) * r + 6.65790464350110377720  # fmt: skip
        bottom = ((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r
                     + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r + 0.136929880922735805310) * r
                  + 0.599832206555887937690) * r + 1.0  # fmt: skip
        z = top / bottom
    return -z if u < 0.5 else z


@compiled
def normal_quantile(u):
    """Return the normal quantile at u in (0, 1)."""
    q = u - 0.5
    if abs(q) <= 0.425:
        return normal_quantile_central(q)
    return _normal_quantile_tail(u)


@compiled
def normal_quantiles(uniforms, out, r):
    """Write the normal quantiles of uniforms, in loops that become vector instructions: both approximations are computed for all.

    `r` gets the roots of minus the logarithms of the tails.
    """
    n, n_far = len(uniforms), 0
    for i in range(n):
        out[i] = normal_quantile_central(uniforms[i] - 0.5)
        r[i] = math.sqrt(-log(min(uniforms[i], 1.0 - uniforms[i])))
        n_far += np.int64(r[i] > _FAR)
    for i in range(n):
        z = _normal_quantile_near(r[i])
        z = -z if uniforms[i] < 0.5 else z
        out[i] = z if abs(uniforms[i] - 0.5) > 0.425 else out[i]
    if n_far:
        for i in range(n):
            if r[i] > _FAR:
                out[i] = _normal_quantile_tail(uniforms[i])


@compiled
def power(base, exponent):
    """Raise a base of at least 0 to a power, by the same steps as `simdeploy.world.special.power`."""
    if exponent == 0.0:
        return 1.0
    return math.exp2(exponent * math.log(base) * LOG2_E) if base > 0.0 else (0.0 if exponent > 0.0 else math.inf)
