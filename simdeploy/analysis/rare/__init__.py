"""How likely is a catastrophe: importance sampling, and splitting, for what plain simulation would never meet."""
