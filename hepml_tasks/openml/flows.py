"""Flows on OpenML: an estimator becomes one, and one becomes an estimator again.

The conversion itself is the `openml` client's, so that any of its users can rebuild the flow.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from hepml_tasks.errors import FlowError, ServerError
from hepml_tasks.openml.connection import Connection
from hepml_tasks.openml.documents import ascii_text

_LONGEST_DESCRIPTION = 1024


@cache
def _extension() -> Any:
    from openml.extensions.sklearn import SklearnExtension

    # it remarks on every docstring without a section of attributes
    logging.getLogger("openml.extensions.sklearn").setLevel(logging.ERROR)
    return SklearnExtension()


def as_flow(estimator: Any) -> Any:
    """Describe an estimator as an OpenML flow.

    Parameters
    ----------
    estimator : scikit-learn estimator

    Returns
    -------
    openml.OpenMLFlow

    Raises
    ------
    FlowError
        If it has a part that OpenML can't describe.
    """
    kind = type(estimator)
    if kind.__module__ == "__main__":
        raise FlowError(
            f"class {kind.__name__} is defined in the script itself, where nobody else can import"
            " it: move it into a module, and import it from there"
        )
    try:
        flow = _extension().model_to_flow(estimator)
    except (TypeError, ValueError, AttributeError) as error:
        hint = "; give its package a __version__" if "__version__" in str(error) else ""
        raise FlowError(f"{kind.__name__} can't be described to OpenML: {error}{hint}") from error
    _describe(flow)
    return flow


def _describe(flow: Any) -> None:
    """Give every part of a flow a description: OpenML refuses a class without a docstring."""
    flow.description = ascii_text(flow.description or "") or flow.class_name
    for component in flow.components.values():
        if hasattr(component, "components"):
            _describe(component)


def publish_flow(connection: Connection, estimator: Any) -> Any:
    """Return an estimator's flow with the ids that a server has for it and its parts.

    Parameters
    ----------
    connection : Connection
    estimator : scikit-learn estimator

    Returns
    -------
    openml.OpenMLFlow

    Raises
    ------
    ServerError
        If the server refuses the flow, or keeps another than was sent.
    """
    return _published(connection, as_flow(estimator))


def publish_named_flow(connection: Connection, name: str, version: str, about: str) -> Any:
    """Return the flow of predictions that were made elsewhere, with a server's id for it.

    Parameters
    ----------
    connection : Connection
    name : str
    version : str
        With the name it is what the server knows the flow by.
    about : str
        Cut to what OpenML keeps of a description.

    Returns
    -------
    openml.OpenMLFlow
        Without parts, parameters and model.
    """
    from openml.flows import OpenMLFlow

    flow = OpenMLFlow(
        name=name,
        description=ascii_text(about)[:_LONGEST_DESCRIPTION],
        model=None,
        components={},
        parameters={},
        parameters_meta_info={},
        external_version=version,
        tags=[],
        language="English",
        dependencies="none",
    )
    return _published(connection, flow)


def _published(connection: Connection, flow: Any) -> Any:
    from openml.flows.flow import _copy_server_fields

    flow_id = _find_flow(connection, flow)
    if flow_id is None:
        flow_id = _send_flow(connection, flow)
    kept = fetch_flow(connection, flow_id)
    if flow.parameters and not kept.parameters:
        # what a server leaves behind whose search index was down when it was sent
        kept = _sent_anew(connection, flow, flow_id)
    if list(kept.parameters) != list(flow.parameters):
        raise ServerError(
            f"{connection.root} keeps flow {kept.flow_id} with other parameters than were sent: ask"
            " its administrator to delete it"
        )
    _copy_server_fields(kept, flow)
    return flow


def _send_flow(connection: Connection, flow: Any) -> int:
    files = {"description": ("description.xml", flow._to_xml())}
    try:
        answer = connection.post("flow/", files=files)
    except ServerError:
        # perhaps it has it: another bot was faster, or its answer was lost
        found = _find_flow(connection, flow)
        if found is None:
            raise
        return found
    return int(answer["oml:upload_flow"]["oml:id"])


def _sent_anew(connection: Connection, flow: Any, flow_id: int) -> Any:
    """Delete a flow that a server has without its parameters, and send it again."""
    try:
        connection.delete(f"flow/{flow_id}")
    except ServerError as error:
        raise ServerError(
            f"{connection.root} keeps flow {flow_id} without its parameters, as a server does whose"
            f" search index was down, and does not let it be deleted ({error}): ask its"
            " administrator to delete it"
        ) from error
    return fetch_flow(connection, _send_flow(connection, flow))


def _find_flow(connection: Connection, flow: Any) -> int | None:
    fields = {"name": flow.name, "external_version": flow.external_version}
    found = int(connection.post("flow/exists", fields)["oml:flow_exists"]["oml:id"])
    return found if found > 0 else None


def fetch_flow(connection: Connection, flow_id: int) -> Any:
    """Return a server's flow as the client's own object."""
    from openml.flows import OpenMLFlow

    return OpenMLFlow._from_dict(connection.get(f"flow/{flow_id}"))


def parameter_settings(flow: Any, estimator: Any) -> list[dict[str, Any]]:
    """Return an estimator's parameters as a run on OpenML lists them.

    Parameters
    ----------
    flow : openml.OpenMLFlow
        From `publish_flow`: with ids.
    estimator : scikit-learn estimator
    """
    settings: list[dict[str, Any]] = _extension().obtain_parameter_values(flow, estimator)
    return settings


def rebuild_estimator(connection: Connection, flow_id: int) -> Any:
    """Make the estimator that a server's flow describes, with its default parameters.

    Raises
    ------
    FlowError
        If a package that it needs isn't installed, or has another version.
    """
    flow = fetch_flow(connection, flow_id)
    try:
        return _extension().flow_to_model(flow)
    except (ImportError, ValueError, AttributeError, TypeError) as error:
        raise FlowError(f"flow {flow_id} can't be rebuilt here: {error}") from error
