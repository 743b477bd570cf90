"""The settings: read once, at the top, and handed down as plain values.

Every setting is an environment variable: ``LETHE_`` and the name, groups joined by two
underscores, such as ``LETHE_LLM__TIMEOUT_S``. A name that no setting has is refused, because a
misspelt setting is one that silently does not apply. No error message repeats a value.

``docs/settings.md`` is made from the docstrings of the settings (``app.settings_model``,
``app.settings_groups``) by ``make docs``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from app.domain.errors import SettingsError
from app.secret_files import create_secret_file
from app.settings_groups import Group
from app.settings_model import PREFIX, WEAK, Settings, is_weak

__all__ = ["Settings", "check_binding", "environment_names", "load_pepper", "load_settings"]


def load_settings(*, data_dir: Path | None = None) -> Settings:
    """Read the settings from the environment; ``data_dir``, when given, takes precedence.

    Raises:
        SettingsError: values out of range, contradictions, or a name that no setting has.
    """
    secrets_dir = os.environ.get(f"{PREFIX}SECRETS_DIR") or None
    problems = [f"{name}: no such setting" for name in _unknown(secrets_dir)]
    if secrets_dir and not Path(secrets_dir).is_dir():
        problems.append(f"{PREFIX}SECRETS_DIR: no such directory")
    given = {} if data_dir is None else {"data_dir": data_dir}
    try:
        # pydantic-settings takes it; the type checker's plugin for models does not know it.
        settings = Settings(_secrets_dir=secrets_dir, **given)  # type: ignore[call-arg, arg-type]
    except ValidationError as error:
        raise SettingsError([*problems, *_problems_of(error)]) from None  # its text has values
    if problems:
        raise SettingsError(problems)
    return settings


def _unknown(secrets_dir: str | None) -> list[str]:
    """Return names of variables, and of files of secrets, that look like settings and are none."""
    of_commands = {"LETHE_URL", "LETHE_TOKEN", "LETHE_ADMIN_TOKEN"}  # options of the command line
    known = {name for name, _ in environment_names()} | of_commands
    foreign = ("LETHE_TEST_", "LETHE_REQUIRE_SERVICES", "LETHE_MOVIELENS_DIR")  # tests, benchmarks
    files = Path(secrets_dir).glob(f"{PREFIX}*") if secrets_dir else ()
    return sorted(
        name
        for name in {*os.environ, *(one.name for one in files)}
        if name.startswith(PREFIX) and name not in known and not name.startswith(foreign)
    )


def environment_names() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting's environment variable with its field, in the order of definition."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            for inner, inner_field in field.annotation.model_fields.items():
                yield f"{PREFIX}{name}__{inner}".upper(), inner_field
        else:
            alias = field.validation_alias
            yield alias if isinstance(alias, str) else f"{PREFIX}{name}".upper(), field


def check_binding(settings: Settings, *, host: str) -> None:
    """Refuse to listen to a network with tokens that are printed in the source, or can be guessed.

    Raises:
        SettingsError: such tokens, and ``host`` is not the loopback interface.
    """
    can_guess = is_weak(settings.auth.service_token) or is_weak(settings.auth.admin_token)
    if can_guess and not _is_loopback(host):
        names = "LETHE_AUTH__SERVICE_TOKEN, LETHE_AUTH__ADMIN_TOKEN"
        why = "the development tokens are public" if settings.has_development_tokens else WEAK
        raise SettingsError([f"{names}: {why}; set both, or listen on 127.0.0.1"])


def load_pepper(settings: Settings) -> bytes:
    """Return the pepper: the setting, or in development a file that the first start makes.

    The file is readable by its owner only, and two first starts at once end up with one pepper.

    Raises:
        SettingsError: the file holds something else.
    """
    if settings.pepper is not None:
        return settings.pepper.get_secret_value().encode()
    path = settings.data_dir / "pepper"
    create_secret_file(path)
    pepper = SecretStr(path.read_text(encoding="ascii").strip())
    if is_weak(pepper):
        raise SettingsError(
            [f"{path}: not a pepper; restore it from a backup, or set LETHE_PEPPER"]
        )
    return pepper.get_secret_value().encode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may resolve to anything


def _problems_of(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"]:
            yield from message.splitlines()  # from the rules over several settings
        else:
            name = "__".join(str(part) for part in detail["loc"]).upper()
            yield f"{name if name == 'WEB_CONCURRENCY' else PREFIX + name}: {message}"
