"""How the daemon lives: started, watched, paused, reloaded, asked, kept cool."""
