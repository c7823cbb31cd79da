"""The explorer as a widget of notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from simdeploy.explorer.conversation import Conversation
from simdeploy.explorer.front_end import read_module, read_style

if TYPE_CHECKING:
    from simdeploy.explorer.answering import Explorer


class ExplorerWidget(anywidget.AnyWidget):
    """Sliders, estimates and pictures of a scenario; see `simdeploy.explore`.

    Attributes
    ----------
    position : dict
        The `policy` and the changed `values` by key: where the sliders stand. Setting it moves them.
    """

    _esm = read_module()
    _css = read_style()
    position = traitlets.Dict().tag(sync=True)

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(position=explorer.start.to_dict())
        self._explorer = explorer
        self._conversation: Conversation | None = None
        self.on_msg(self._hear)

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a question of the front end; one that has just appeared says hello."""
        if content == "hello":
            self.close_conversation()
            self._conversation = Conversation(self._explorer, self.send)
        elif self._conversation is not None:
            self._conversation.hear(content)

    def close_conversation(self) -> None:
        """End what is being computed."""
        if self._conversation is not None:
            self._conversation.close()

    def close(self) -> None:
        """Remove the widget."""
        self.close_conversation()
        super().close()
