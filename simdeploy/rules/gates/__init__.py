"""Gates beyond the API's threshold: what judges a release by its requests, without a clock (model section 8).

`terms` (what a policy says of its gate), `gate` (the same as an orchestrator reads it, ready to judge), `statistics`, `ranks` and
`by_request` (the tests themselves), `judge` (one wave's evidence, look by look).

From outside: `terms` by scenarios, `gate` and `judge` by engines and oracles.
"""
