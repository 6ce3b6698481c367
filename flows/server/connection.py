"""Which Prefect server this process's runs are kept on, and whether it answers."""

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from extractors.loading import one_line
from flows.server.temporary_server import ServerError, TemporaryServer


def connect(server: TemporaryServer | None) -> bool:
    """Keep this process's runs on a temporary server, unless Prefect's settings name another.

    Args:
        server: The temporary one, if the environment names no other.

    Returns:
        Whether it is the temporary one.

    Raises:
        ServerError: If the server does not answer, or is none of Prefect's.
    """
    url = get_current_settings().api.url
    if url is None and server is not None:
        server.connect()
        return True
    if server is not None:
        server.stop()
    _check(str(url), ", or none, to run without")
    return False


def require_server() -> str:
    """Return the address of the server that Prefect's settings name, without a password.

    Raises:
        ServerError: If they name none, or it does not answer, or is none of Prefect's.
    """
    url = get_current_settings().api.url
    if url is None:
        raise ServerError(
            "PREFECT_API_URL: found no Prefect server; allowed: the address of a running one, such "
            "as PREFECT_API_URL=http://127.0.0.1:4200/api after `prefect server start` "
            "(docs/operations.md)"
        )
    _check(str(url))
    return _shown(str(url))


def _shown(url: str) -> str:
    return str(httpx.URL(url).copy_with(userinfo=b""))


def _check(url: str, otherwise: str = "") -> None:
    """Raise a ServerError, which names what else is allowed, if no Prefect server answers."""
    try:
        with get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch_once()
    except Exception as error:  # of httpx, of JSON, of versions: whatever is at the address
        raise ServerError(
            "PREFECT_API_URL: found no Prefect server that answers at "
            f"{_shown(url)}: {one_line(str(error.__cause__ or error))}; "
            "allowed: the address of a running one (with PREFECT_API_AUTH_STRING, if it asks for "
            f"that){otherwise}"
        ) from error
