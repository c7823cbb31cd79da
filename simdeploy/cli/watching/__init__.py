"""Watching a rollout: `frame` is its state at an instant, `view` renders it as text, `player` moves through time, `terminal`
shows it, and `saving` writes it.

Used by `simdeploy.cli.watch` and `docs/gallery.py`.
"""
