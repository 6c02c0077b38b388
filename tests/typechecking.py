"""The run-time checker of shapes and types that the tests put on our packages."""

from beartype import BeartypeConf, beartype

# The numeric tower lets an `int` stand where `float` is written.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
