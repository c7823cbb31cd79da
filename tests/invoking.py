"""Run commands in the process of the tests."""

from click.testing import CliRunner

from simdeploy.cli.app import app


def invoke(*words, **options):
    """Run a command; unexpected exceptions are raised."""
    return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False, **options)
