"""One file to share: a result, or a scenario with its policies, as a page or as Markdown.

Other packages use `write_report`; commands also use `assumptions`, `gathering`, `simulating` and `writing`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
