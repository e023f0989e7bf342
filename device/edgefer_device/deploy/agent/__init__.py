"""What runs on the device itself: switching between releases, and undoing it.

Nothing here needs more than a Python of the system, for it must work where a release does not.
`edgefer deploy` packs it into one file, `/opt/edgefer/release.pyz`.
"""
