"""HTTP servers: a guard against unwanted requests, and the API's deployments as a service.

Other packages use `service.Service`, `app.make_app` and its description `openapi`, and for other servers
`guarding.Guard` and `serving` with `listen` and `make_server`. Only `app` and `serving` need the packages of an extra.
"""
