"""The daemon: configuration, building, supervision, control socket, systemd."""
