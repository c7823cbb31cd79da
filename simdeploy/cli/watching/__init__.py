"""Watching a rollout: `frame` is its state at an instant, `view` renders it as text, `player` moves through time, `terminal`
shows it, and `saving` writes it.

Other packages use none of it: it belongs to `simdeploy.cli.watch` and `docs/gallery.py`.
"""
