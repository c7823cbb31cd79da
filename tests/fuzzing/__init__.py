"""Structure-aware mutation of users' input: scenario files, deployments in JSON, and stores.

Every case is a pure function of its number. `trees`, `texts` and `damage` mutate, `scenario_files`, `deployment_files`
and `stores` say what has to hold afterwards, `cases` runs them under guards and counts.
"""
