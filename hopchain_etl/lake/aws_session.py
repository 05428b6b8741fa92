"""Opens sessions of boto3: as an Airflow Connection says if the settings name one, else by boto3's own chain.

What a Connection says is read by Airflow's Amazon provider. Keys of an assumed role are renewed as long as the session
is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from hopchain_etl import airflow_connections
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.s3_errors import explained
from hopchain_etl.settings import S3Settings

P = TypeVar("P", bound=S3Settings)
_loader: Any = None
_REGION = "us-east-1"  # where nothing names another, such as servers that have no regions
# What the provider reads of a Connection's extra for sessions and clients. Anything else would be ignored in silence.
_EXTRAS = {
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "profile_name", "region_name", "endpoint_url"),
    *("role_arn", "assume_role_method", "assume_role_kwargs", "assume_role_with_saml"),
    *("assume_role_with_web_identity_federation", "assume_role_with_web_identity_token_file"),
    *("assume_role_with_web_identity_federation_audience", "service_config", "config_kwargs", "verify"),
}
_OBJECTS = ("config_kwargs", "service_config")  # extras with parts
_OBJECTS_OR_NULL = ("assume_role_kwargs", "assume_role_with_saml")  # Airflow takes null for none
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def open_session(place: P) -> tuple[boto3.session.Session, P]:
    """Return a session for ``place``, and its settings with the endpoint, region and addressing of its Connection.

    What the settings say wins over what the Connection says. Raises StoreError if the Connection cannot be read, has
    something that is not supported, or its role cannot be assumed; likewise if keys of the environment cannot be right.
    """
    if not place.connection and (blank := _with_blanks({name: os.environ.get(name) for name in _KEYS})):
        raise StoreError(f"{place.uri}: {blank} in the environment; remove it")
    try:
        session, address = _of_connection(place) if place.connection else (boto3.session.Session(), {})
    except airflow_connections.UnreadableConnectionError as error:
        raise StoreError(f"{place.uri}: {error}") from error
    except (BotoCoreError, ClientError) as error:  # profiles are read here, roles are assumed
        raise explained(error, place.uri, place.endpoint_url) from error
    session._session.register_component("data_loader", _descriptions(session))
    address["region"] = place.region or session.region_name or _REGION
    if address["region"] != session.region_name:
        session._session.set_config_variable("region", address["region"])
    return session, place.model_copy(update=address)


def _descriptions(session: boto3.session.Session) -> Any:
    """Return what reads boto3's descriptions of services, one for the process: megabytes of JSON for each session."""
    global _loader
    _loader = _loader or session._session.get_component("data_loader")
    return _loader


def _of_connection(place: S3Settings) -> tuple[boto3.session.Session, dict[str, Any]]:
    assert place.connection
    connection = airflow_connections.read(place.connection)  # first, because it explains a missing Airflow
    from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from airflow.sdk.exceptions import AirflowException

    if problem := _unsupported(connection):
        raise StoreError(f"{place.uri}: Airflow Connection {place.connection!r} {problem}")
    try:
        wrapper = AwsConnectionWrapper(connection, region_name=place.region)
        if not wrapper.region_name:  # without one, no role can be assumed
            wrapper.region_name = boto3.session.Session(profile_name=wrapper.profile_name).region_name or _REGION
        session: boto3.session.Session = SessionFactory(conn=wrapper).create_session()
    except ClientError as error:
        raise StoreError(
            f"{place.uri}: Airflow Connection {place.connection!r} does not get its role: {error}; "
            "correct role_arn or the keys in the Connection, or let these keys assume the role"
        ) from error
    except (NotImplementedError, AirflowException) as error:
        raise StoreError(
            f"{place.uri}: {error}; correct the extra of Airflow Connection {place.connection!r}"
        ) from error
    if wrapper.verify and str(wrapper.verify).lower() != "true":
        session._session.set_config_variable("ca_bundle", wrapper.verify)
    styles = wrapper.extra_config.get("config_kwargs", {}).get("s3", {})
    endpoint = place.endpoint_url or wrapper.get_service_endpoint_url("s3")
    path_style = place.path_style or styles.get("addressing_style") == "path"
    return session, {"endpoint_url": endpoint, "path_style": path_style}


def _unsupported(connection: Any) -> str:
    """Return what of a Connection is not supported, with the remedy; empty if all is. Values may be secrets."""
    try:
        extra: dict[str, Any] = json.loads(connection.extra or "{}")
    except ValueError:
        return "has an extra that is no JSON; correct it, because all of it would be ignored"
    if not isinstance(extra, dict) or (parts := _no_objects(extra)):
        what = ", ".join(parts) if isinstance(extra, dict) else "an extra"
        return f"has {what} that is no JSON object; write {{...}} without quotes around it, in a URI as __extra__"
    names = [name for name in extra if name not in _EXTRAS]
    config = extra.get("config_kwargs", {})
    names += [f"config_kwargs.{name}" for name in config if name != "s3"]
    names += [f"config_kwargs.s3.{name}" for name in config.get("s3", {}) if name != "addressing_style"]
    if names:
        return f"has extras that are not supported: {', '.join(sorted(names))}; remove them, or name another Connection"
    if str(extra.get("verify")).lower() == "false":
        return "has verify false, but certificates are always verified; write the file of certificates there"
    if connection.host:
        return "has a host, which is not read; write it as endpoint_url into the extra"
    if bool(connection.login) != bool(connection.password):
        return "has only one of login and password; put the key pair there, or leave both empty"
    blank = _with_blanks({"login": connection.login, "password": connection.password, **extra})
    return f"has {blank}; remove it" if blank else ""


def _no_objects(extra: dict[str, Any]) -> list[str]:
    """Return the names of what should be JSON objects in an extra and are none, such as objects written as text."""
    found = {name: extra[name] for name in _OBJECTS if name in extra}
    found |= {name: extra[name] for name in _OBJECTS_OR_NULL if extra.get(name) is not None}
    for name in _OBJECTS:
        if isinstance(inner := extra.get(name), dict):
            found |= {f"{name}.{part}": inner[part] for part in inner if name == "service_config" or part == "s3"}
    return [name for name, value in found.items() if not isinstance(value, dict)]


def _with_blanks(values: Mapping[str, Any]) -> str:
    """Return that a text begins or ends with a blank, as secrets made from files do, and which; empty if none does.

    One client of S3 would end the process because of such a key, the other would show it.
    """
    names = [name for name, value in values.items() if isinstance(value, str) and value != value.strip()]
    return f"a blank or line break at the start or end of {', '.join(names)}" if names else ""


def ca_bundle(session: boto3.session.Session) -> str | None:
    """Return the file of certificates that boto3 is told to trust, None for its own."""
    found = session._session.get_config_variable("ca_bundle")
    return str(found) if found else None
