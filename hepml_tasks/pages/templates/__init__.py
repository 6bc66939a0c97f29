"""The text of the pages, as Jinja2 templates; a package so that it is installed with the rest."""
