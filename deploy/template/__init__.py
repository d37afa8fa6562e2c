"""Derives the template of this repository: `make template OUT=DIR`.

The template is a tree for copier and cookiecutter. It is made from the commit that is checked out, which has
no marks of a template engine in it:

- `names` replaces the project's name, and the other answers;
- `examples` makes the lines and files of each example conditional, which are those that `make remove` takes
  out;
- `first_service` adds what `make service` would write;
- `files/` has what a fork has in place of this repository's own files.
"""
