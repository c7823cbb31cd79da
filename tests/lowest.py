"""Print the lowest allowed versions of dependencies and extras as constraints for pip, without contributors' tools."""

import tomllib
from pathlib import Path

TOOLS = ("conformance", "docs", "notebook", "test")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [extra for name, extra in project["optional-dependencies"].items() if name not in TOOLS]
for requirement in sorted({*project["dependencies"], *(line for extra in extras for line in extra)}):
    print(requirement.replace(">=", "=="))
