"""The agent on the device: switches between releases, and rolls back.

Nothing here needs more than a Python of the system, for it must work where a release does not.
`edgefer deploy` packs it into one file, `/opt/edgefer/release.pyz`.
"""
