"""The uncontrolled part of a scenario: random numbers, distributions, the fleet, the release, the people.

Other packages use everything. May import: `simdeploy.units`, `simdeploy.errors`.
"""
