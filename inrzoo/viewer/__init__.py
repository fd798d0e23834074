"""A page that shows the INRs of a store, evaluated from their weights in the browser.

`write_site` writes it as a folder of static files, `make_server` serves it from this machine. The sources of the page
are in `web/`, built by npm into `static/`.
"""

from inrzoo.viewer.server import HOST, make_server
from inrzoo.viewer.site import write_site

__all__ = ["HOST", "make_server", "write_site"]
