"""Files that the mirror's page and the phone's share: halo, moods, ribbon, texts, font."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

SHARED = Path(__file__).parent
"""Its files stand beside each page's own, in one flat folder: they import one another so."""
KINDS = frozenset(
    (".css", ".html", ".js", ".svg", ".txt", ".webmanifest", ".woff", ".woff2", ".png")
)


def page_files(*folders: Path) -> dict[str, Path]:
    """Return the files of pages by the name that browsers ask for."""
    return {
        path.name: path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix in KINDS
    }


def page_routes(*folders: Path) -> list[web.RouteDef]:
    """Return a route for each file of some folders."""
    return [_route(name, path) for name, path in page_files(*folders).items()]


def _route(name: str, path: Path) -> web.RouteDef:
    async def serve(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return web.get(f"/{name}", serve)
