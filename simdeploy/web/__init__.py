"""Answering over HTTP: what every server here refuses, and the API's deployments as a service.

May be used from outside: `service.Service` and `app.make_app`; for other servers `guarding.Guard`, and `serving` with `listen` and
`make_server`. Only `app` and `serving` need the packages of an extra.
"""
