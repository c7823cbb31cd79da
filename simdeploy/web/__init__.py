"""Answering over HTTP: what every server here refuses, and the API's deployments as a service."""
