"""Gates compared in the same worlds, over the size of the defect.

Modules: `comparing` is the call, `curves` estimates measures over the size of a defect, and which gate errs less. Other
packages use `compare_gates`, `GateComparison`; reports and pictures also use the words of `curves` and `variants`.
"""
