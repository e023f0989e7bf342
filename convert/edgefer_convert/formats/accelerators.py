"""The accelerators that a bundle can be compiled for, by their makers' names."""

from __future__ import annotations

ETHOS_U = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256",
    "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
"""Vela's names: the family, and how many int8 multiplications it does a cycle."""
ROCKCHIP = ("rk3562", "rk3566", "rk3568", "rk3576", "rk3588")
"""rknn-toolkit2's names of systems-on-chip."""
