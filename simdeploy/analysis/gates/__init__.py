"""Gates side by side in the same worlds, over the size of the defect.

`comparing` has the call, `curves` the measures over the size of a defect, and who errs less. From outside: `compare_gates`,
`GateComparison`.
"""
