"""The templates of a store: those that come with the program, and the operator's own."""

from edge.errors import ConfigurationError
from edge.labels.template import TemplateError, Templates, load_templates
from edge.shipped import OPERATORS_DIRECTORY, shipped


def store_templates() -> Templates:
    """The shipped ones, with the operator's own in place of those of the same name. Raises `ConfigurationError`."""
    try:
        return load_templates([shipped("config/templates"), OPERATORS_DIRECTORY / "templates"])
    except TemplateError as error:
        raise ConfigurationError(str(error)) from error
