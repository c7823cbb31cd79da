"""Gates beyond the API's threshold: they judge a release by its requests, without a clock (model section 8).

`terms` (a policy's gate), `gate` (the same as an orchestrator interprets it, ready to judge), `statistics`, `ranks` and
`by_request` (the tests), `judge` (one wave's evidence, look by look).

From outside: `terms` by scenarios, `gate` and `judge` by engines and oracles.
"""
