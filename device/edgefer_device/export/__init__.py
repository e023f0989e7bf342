"""The same model in a pocket: a page that reads on the phone itself, and files for native apps."""
