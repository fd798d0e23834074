"""The commands `view` and `site`: a page that evaluates the INRs of a store in the browser."""

import threading
import webbrowser
from pathlib import Path

import click

from inrzoo.cli import STORE, cli, say


@cli.command()
@STORE
@click.option("--port", default=0, help="Port of this machine; a free one by default.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
def view(store: str | Path, port: int, no_browser: bool) -> None:
    """Show the INRs of a store in a browser, evaluated there from their weights. Stop it with Ctrl-C."""
    from inrzoo import open_store

    opened = open_store(store)  # fails before torch is imported
    from inrzoo.addresses import browser_address
    from inrzoo.viewer import HOST, make_server

    server = make_server(opened, port, browser_address(opened))
    address = f"http://{HOST}:{server.server_port}/"
    say(f"{store}: {address} (Ctrl-C stops)")
    try:
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.serve_forever()
    except KeyboardInterrupt:  # Ctrl-C or SIGTERM: the usual end
        pass
    finally:
        server.server_close()


@cli.command()
@STORE
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new folder.")
@click.option("--link", metavar="URL", help="Where browsers find the store; its files are then left out.")
def site(store: str | Path, out: Path, link: str | None) -> None:
    """Write a folder for any web server: a page that shows the INRs of a store, and the store."""
    from inrzoo import open_store

    opened = open_store(store)  # fails before torch is imported
    from inrzoo.addresses import browser_address
    from inrzoo.viewer import write_site

    shown = write_site(opened, out, link or browser_address(opened))
    say(f"{out}: a page of {shown:,} INRs; put the folder on a web server")
