"""HTTP servers: a guard against unwanted requests, and the API's deployments as a service.

Other packages may use `service.Service` and `app.make_app`, and for other servers `guarding.Guard`, `serving.listen` and
`serving.make_server`. Only `app` and `serving` need the packages of an extra.
"""
