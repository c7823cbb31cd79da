"""The explorer as a notebook widget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from simdeploy.explorer.conversation import Conversation
from simdeploy.explorer.front_end import read_module, read_style

if TYPE_CHECKING:
    from simdeploy.explorer.answering import Explorer

_MOST_VIEWS = 8


class ExplorerWidget(anywidget.AnyWidget):
    """Sliders, estimates and pictures of a scenario; see `simdeploy.explore`.

    Attributes
    ----------
    position : dict
        Position of the sliders: the `policy`, and changed `values` by key. Setting it moves the sliders.
    """

    _esm = read_module()
    _css = read_style()
    position = traitlets.Dict().tag(sync=True)

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(position=explorer.start.to_dict())
        self._explorer = explorer
        self._conversations: dict[str, Conversation] = {}  # by view
        self.on_msg(self._hear)

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of a view with its id: hello when it appears, questions, and bye when it closes.

        Each view has its own conversation, because a notebook may show a widget in several cells.
        """
        if not isinstance(content, Mapping) or not isinstance(view := content.get("view"), str):
            return
        message = content.get("content")
        if message in ("hello", "bye"):
            self._end(view)
            if message == "hello":
                while len(self._conversations) >= _MOST_VIEWS:  # closed pages don't say bye
                    self._end(next(iter(self._conversations)))
                self._conversations[view] = Conversation(self._explorer, partial(self._answer, view))
        elif view in self._conversations:
            self._conversations[view].hear(message)

    def _answer(self, view: str, answer: dict[str, Any]) -> None:
        self.send({"view": view, **answer})

    def _end(self, view: str) -> None:
        """Close the conversation of a view."""
        if view in self._conversations:
            self._conversations.pop(view).close()

    def close(self) -> None:
        """Remove the widget."""
        for view in list(self._conversations):
            self._end(view)
        super().close()
