"""The user's proxies, which are for other machines than this one."""

import os

import httpx

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NOWHERE = "http://unusable-proxy.invalid:9"  # RFC 2606: a name that never resolves


def set_proxies_right() -> list[str]:
    """Reach this machine without a proxy, here and in children; keep proxies for all others.

    Every HTTP client is made with all proxies of the environment, and fails at one that it cannot
    use, even where it would not use it. Such a proxy is replaced by one that is never found, so
    that nothing goes past it.

    Returns:
        A line for each variable whose proxy cannot be used; without the value, which may hold a
        password.
    """
    _exempt_loopback()
    found = []
    for name in (*_VARIABLES, *map(str.lower, _VARIABLES)):
        reason = _why_unusable(os.environ.get(name, ""))
        if reason is not None:
            os.environ[name] = _NOWHERE
            found.append(f"{name}: found {reason}; allowed: http://HOST:PORT; nothing is fetched")
    return found


def _exempt_loopback() -> None:
    """Add this machine to `NO_PROXY` in both spellings, of which clients read either."""
    names = ("no_proxy", "NO_PROXY")
    given = {name: os.environ[name] for name in names if name in os.environ}
    default = next(iter(given.values()), "")
    for name in names:
        hosts = [host.strip() for host in given.get(name, default).split(",") if host.strip()]
        missing = [host for host in _LOOPBACK if host not in hosts]
        os.environ[name] = ",".join([*hosts, *missing])


def _why_unusable(address: str) -> str | None:
    """Return why a proxy cannot be used, None if it can, or if there is none."""
    if not address:
        return None
    try:
        httpx.HTTPTransport(proxy=address if "://" in address else f"http://{address}").close()
    except ImportError:
        return "a SOCKS proxy, which needs: pip install 'httpx[socks]'"
    except Exception:  # httpx's are of several kinds, without a common base
        return "what is no address of a proxy"
    return None
