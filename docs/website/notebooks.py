"""Convert a notebook to a page with its stored outputs, without running it."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any

from website.markdown import adapt
from website.places import place_of, read


def convert(file: str) -> dict[str, str | bytes]:
    """Return the page of a notebook and its pictures, by name."""
    page = place_of(file)
    pictures: dict[str, str | bytes] = {}
    parts = []
    for cell in json.loads(read(file))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(adapt(source, file))
            continue
        parts.append(f"```{{code-block}} python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                name = f"{page}-{len(pictures) + 1}.png"
                pictures[name] = b64decode(data["image/png"])
                parts.append(f"![Picture that the code above draws]({name.rpartition('/')[2]})")
            else:
                parts.append(_show(data))
    download = f"{{download}}`Download this notebook <{file.rpartition('/')[2]}>`"
    title, _, rest = "\n\n".join(parts).partition("\n")
    return {f"{page}.md": f"{title}\n\n{download}\n{rest}\n", f"{page}.ipynb": read(file), **pictures}


def _show(data: dict[str, Any]) -> str:
    """Return a table or words as a block."""
    if "text/html" in data:
        table = re.sub(r"<style.*?</style>|</?div>", "", "".join(data["text/html"]), flags=re.DOTALL)
        table = table.replace('border="1" class="dataframe"', 'class="docutils"')
        return f'```{{raw}} html\n<div class="table-wrapper container output">{table.strip()}</div>\n```'
    return f"```{{code-block}} text\n:class: output\n\n{''.join(data['text/plain']).rstrip()}\n```"
