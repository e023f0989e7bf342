"""What the mirror's page and the phone's share, and how pages are served."""
