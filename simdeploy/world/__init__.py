"""The uncontrolled part of a scenario: random numbers, distributions, the fleet, the release, the people.

May be used from outside: everything. May import: `simdeploy.units`, `simdeploy.errors`.
"""
