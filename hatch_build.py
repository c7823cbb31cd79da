"""The README for a package index, where links relative to the repository would be broken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# Code, which stays as it is; or a picture with its caption, or a link, if the target is relative.
_PARTS = re.compile(
    r"^```.*?^```|`[^`\n]*`|!\[(?P<alt>[^\]]*)\]\((?P<image>(?!\w+:)[^)]+)\)(?P<caption>\n+\*[^*]+\*)?\n*"
    r"|\[(?P<text>(?:`[^`]*`|[^\]`])*)\]\((?P<target>(?!\w+:)[^)]+)\)",
    re.MULTILINE | re.DOTALL,
)


def make_absolute(text: str, repository: str | None, version: str) -> str:
    """Make relative links and pictures absolute, at the version's tag of a repository; without a repository, remove them.

    Examples
    --------
    >>> text = "See [the tutorial](docs/tutorial.md)."
    >>> make_absolute(text, "https://example.org/simdeploy", "1.0")
    'See [the tutorial](https://example.org/simdeploy/blob/v1.0/docs/tutorial.md).'
    >>> make_absolute(text, None, "1.0")
    'See the tutorial.'
    """

    def replace(found: re.Match[str]) -> str:
        if found["image"]:
            picture = f"![{found['alt']}]({repository}/raw/v{version}/{found['image']}){found['caption'] or ''}\n\n"
            return picture if repository else ""
        if not found["target"]:
            return found[0]
        page = "README.md" if found["target"].startswith("#") else ""
        return (
            f"[{found['text']}]({repository}/blob/v{version}/{page}{found['target']})" if repository else found["text"]
        )

    return _PARTS.sub(replace, text)


class Readme(MetadataHookInterface):
    """Writes the long description of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the README to the metadata."""
        repository = metadata.get("urls", {}).get("Repository")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = make_absolute(text, repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
