"""Gates beyond the API's threshold: they judge a release by its requests, without a clock (model section 8).

`gate` (a policy's gate as an orchestrator interprets it, ready to judge), `statistics` (the tests), `judge` (one wave's
evidence, look by look).

Other packages use all of them.
"""
