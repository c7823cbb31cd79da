"""A rollout to watch: data of an instant, their drawing in letters, a player, a terminal, and files that play by themselves."""
