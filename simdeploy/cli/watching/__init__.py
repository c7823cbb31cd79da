"""A rollout to watch: `frame` has what there is to see at an instant, `view` puts it into letters, `player` lets time pass,
`terminal` shows it, `saving` writes it.

From outside: what `simdeploy.cli.watch` uses, and `docs/gallery.py`.
"""
