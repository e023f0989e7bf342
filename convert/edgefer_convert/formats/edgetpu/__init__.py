"""The Edge TPU: what it supports, its compiler, its file in a bundle."""
