from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.domain.errors import SettingsError
from app.settings import check_binding, load_pepper, load_settings

SECRET = "0123456789abcdef0123456789abcdef"
PRODUCTION = {
    "LETHE_ENV": "production",
    "LETHE_PEPPER": "p" + SECRET,
    "LETHE_AUDIT__ORIGIN": "lethe.example/log",
    "LETHE_VAULT__KEK": SECRET + SECRET,
    "LETHE_AUTH__SERVICE_TOKEN": "s" + SECRET,
    "LETHE_AUTH__ADMIN_TOKEN": "a" + SECRET,
}
DISTRIBUTED = {
    "LETHE_QUEUE": "celery",
    "LETHE_REDIS__URL": "redis://localhost:6379/0",
    "LETHE_CHROMA__URL": "http://localhost:8001",
    "LETHE_VAULT__URL": "postgresql://localhost/vault",
}


def _set(monkeypatch: pytest.MonkeyPatch, *groups: dict[str, str]) -> None:
    for group in groups:
        for name, value in group.items():
            monkeypatch.setenv(name, value)


def _problems(monkeypatch: pytest.MonkeyPatch, *groups: dict[str, str]) -> list[str]:
    _set(monkeypatch, *groups)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return [problem.split(":")[0] for problem in caught.value.problems]


def test_database_is_a_file_in_the_data_directory_when_unset(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)

    assert settings.database_url == f"sqlite:///{tmp_path}/lethe.db"
    assert not settings.is_production
    assert settings.has_development_tokens


def test_group_keeps_its_other_defaults_when_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"LETHE_LLM__WEIGHT": "0.25"})

    settings = load_settings()

    assert settings.llm.weight == 0.25
    assert settings.llm.window == 52


def test_blank_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"LETHE_REDIS__URL": "", "LETHE_CHROMA__PERSIST_DIR": "", "LETHE_PEPPER": ""})

    settings = load_settings()

    assert settings.redis.url is None
    assert settings.chroma.persist_dir is None
    assert settings.pepper is None


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.pepper = SecretStr(SECRET)


@pytest.mark.parametrize("name", ["LETHE_DATABSE__URL", "LETHE_LLM__WIEGHT", "LETHE_X"])
def test_misspelt_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert name in _problems(monkeypatch, {name: "x"})


def test_names_of_the_test_suite_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {"LETHE_TEST_REDIS_URL": "redis://x", "LETHE_REQUIRE_SERVICES": "1"})

    assert load_settings().redis.url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LETHE_ENV", "staging"),
        ("LETHE_QUEUE", "rabbit"),
        ("LETHE_LLM__WEIGHT", "1.01"),
        ("LETHE_LLM__WINDOW", "53"),
        ("LETHE_LLM__TIMEOUT_S", "0"),
        ("LETHE_LLM__BASE_URL", "vllm:8000"),
        ("LETHE_LLM__MODE", "guess"),
        ("LETHE_CHROMA__N_SHARDS", "0"),
        ("LETHE_API__PORT", "65536"),
        ("LETHE_FORGET__LEASE_S", "14"),
        ("LETHE_AUTH__JWT_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----"),
        ("LETHE_AUTH__ADMIN_TOKEN", "dev-service-token"),
        ("LETHE_PEPPER", "short"),
        ("LETHE_PEPPER", "0" * 64),
        ("WEB_CONCURRENCY", "0"),
        ("LETHE_OPINIONS__POSITIVE", '["purchase", "dislike"]'),
        ("LETHE_OPINIONS__RATING_SCALE", "[5, 1]"),
        ("LETHE_OPINIONS__RATING_THRESHOLDS", "[4, 4]"),
    ],
)
def test_value_out_of_range_is_refused_by_name_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    _set(monkeypatch, {name: value})

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert [problem.split(":")[0] for problem in caught.value.problems] == [name]
    assert len(value) < 3 or value not in str(caught.value)


def test_no_secret_shows_in_repr_or_error(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "LETHE_PEPPER": "canary-pepper-" + SECRET,
        "LETHE_DATABASE__URL": "postgresql+psycopg://lethe:canary-database@localhost/lethe",
        "LETHE_REDIS__URL": "redis://:canary-redis@localhost",
        "LETHE_VAULT__URL": "postgresql+psycopg://lethe:canary-vault@localhost/vault",
        "LETHE_VAULT__KEK": "canary-kek-" + SECRET,
        "LETHE_LLM__API_KEY": "canary-llm",
        "LETHE_EMBEDDING__API_KEY": "canary-embedding",
        "LETHE_AUTH__SERVICE_TOKEN": "canary-service-" + SECRET,
        "LETHE_AUTH__ADMIN_TOKEN": "canary-admin-" + SECRET,
    }
    _set(monkeypatch, secrets)

    settings = load_settings()
    monkeypatch.setenv("LETHE_LLM__WEIGHT", "canary-weight")
    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "canary" not in str(caught.value)
    assert "canary-database" in settings.database_url


def test_production_starts_when_everything_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, PRODUCTION, DISTRIBUTED)

    settings = load_settings()

    assert settings.is_production
    assert settings.is_log_json
    assert not settings.has_development_tokens


def test_production_on_sqlite_and_one_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, PRODUCTION)

    assert load_settings().database_url.startswith("sqlite:///")


def test_production_names_everything_that_is_missing_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems = _problems(monkeypatch, {"LETHE_ENV": "production"})

    assert problems == [
        "LETHE_AUTH__SERVICE_TOKEN",
        "LETHE_AUTH__ADMIN_TOKEN",
        "LETHE_PEPPER",
        "LETHE_VAULT__KEK",
        "LETHE_AUDIT__ORIGIN",
    ]


def test_production_refuses_inline_jobs_in_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = {**DISTRIBUTED, "LETHE_QUEUE": "inline", "WEB_CONCURRENCY": "2"}

    assert _problems(monkeypatch, PRODUCTION, shared) == ["LETHE_QUEUE"]


def test_several_processes_need_shared_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _problems(monkeypatch, {"WEB_CONCURRENCY": "2"}) == [
        "LETHE_REDIS__URL",
        "LETHE_CHROMA__URL",
        "LETHE_VAULT__URL",
    ]


def test_celery_needs_redis_and_a_chroma_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _problems(monkeypatch, {"LETHE_QUEUE": "celery"}) == [
        "LETHE_REDIS__URL",
        "LETHE_CHROMA__URL",
        "LETHE_VAULT__URL",
    ]


def test_embedding_server_needs_address_model_and_dimensions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _problems(monkeypatch, {"LETHE_EMBEDDER": "openai"}) == [
        "LETHE_EMBEDDING__BASE_URL",
        "LETHE_EMBEDDING__MODEL",
        "LETHE_EMBEDDING__DIM",
    ]


def test_llm_address_needs_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _problems(monkeypatch, {"LETHE_LLM__BASE_URL": "http://vllm:8000"}) == [
        "LETHE_LLM__MODEL"
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"URLS": '["https://shop.example/told"]'}, "LETHE_WEBHOOKS__SECRET"),
        (
            {"URLS": '["https://shop.example/told"]', "SECRET": "a" * 40},
            "LETHE_WEBHOOKS__SECRET",
        ),
        (
            {"URLS": '["http://shop.example/told"]', "SECRET": "0123456789abcdef" * 2},
            "LETHE_WEBHOOKS__URLS: https only",
        ),
    ],
)
def test_webhooks_need_a_secret_and_https(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], told: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"LETHE_WEBHOOKS__{name}", value)

    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_days_of_retention_are_given_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_RETENTION__DAYS", '{"view": 180}')
    assert load_settings().retention.days == {"view": 180}

    monkeypatch.setenv("LETHE_RETENTION__DAYS", '{"stare": 180}')
    with pytest.raises(SettingsError, match="LETHE_RETENTION__DAYS"):
        load_settings()


def test_public_key_may_be_written_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\\nMCow\\n-----END PUBLIC KEY-----"
    _set(monkeypatch, {"LETHE_AUTH__JWT_PUBLIC_KEY": pem})

    key = load_settings().auth.jwt_public_key

    assert key == "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_development_tokens_are_fine_on_loopback(host: str) -> None:
    check_binding(load_settings(), host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lethe.example", ""])
@pytest.mark.parametrize("token", ["LETHE_AUTH__SERVICE_TOKEN", "LETHE_AUTH__ADMIN_TOKEN"])
def test_development_token_is_refused_on_a_network(
    monkeypatch: pytest.MonkeyPatch, host: str, token: str
) -> None:
    _set(monkeypatch, {token: "x" + SECRET})  # one of the two is set, the other forgotten

    with pytest.raises(SettingsError, match="development tokens"):
        check_binding(load_settings(), host=host)


@pytest.mark.parametrize("token", ["LETHE_AUTH__SERVICE_TOKEN", "LETHE_AUTH__ADMIN_TOKEN"])
def test_a_token_that_can_be_guessed_is_refused_on_a_network(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    names = ("LETHE_AUTH__SERVICE_TOKEN", "LETHE_AUTH__ADMIN_TOKEN")
    _set(monkeypatch, {name: PRODUCTION[name] for name in names} | {token: "guess"})

    check_binding(load_settings(), host="127.0.0.1")
    with pytest.raises(SettingsError, match="at least 32 characters") as caught:
        check_binding(load_settings(), host="0.0.0.0")
    assert "guess" not in str(caught.value)


def test_own_tokens_may_listen_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, PRODUCTION)

    check_binding(load_settings(), host="0.0.0.0")


def test_demo_page_is_shown_only_where_the_public_token_opens_everything_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().has_demo_page
    _set(monkeypatch, {"LETHE_AUTH__SERVICE_TOKEN": "s" + SECRET})
    assert not load_settings().has_demo_page
    _set(monkeypatch, PRODUCTION)
    assert not load_settings().has_demo_page


def test_pepper_is_the_setting_when_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _set(monkeypatch, PRODUCTION)

    assert load_pepper(load_settings(data_dir=tmp_path)) == PRODUCTION["LETHE_PEPPER"].encode()
    assert list(tmp_path.iterdir()) == []


def test_first_starts_at_once_share_one_private_pepper(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "new")

    with ThreadPoolExecutor(8) as pool:
        peppers = set(pool.map(load_pepper, [settings] * 32))

    assert len(peppers) == 1
    assert len(peppers.pop()) == 64
    assert [path.name for path in settings.data_dir.iterdir()] == ["pepper"]
    assert (settings.data_dir / "pepper").stat().st_mode & 0o777 == 0o600


def test_emptied_pepper_file_is_an_error_and_not_a_new_pepper(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    load_pepper(settings)
    (tmp_path / "pepper").write_text("")

    with pytest.raises(SettingsError, match="not a pepper"):
        load_pepper(settings)


def test_secrets_are_read_from_files_named_like_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = {name: value for name, value in PRODUCTION.items() if name != "LETHE_ENV"}
    for name, value in secret.items():
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "..data").mkdir()  # what Kubernetes mounts beside them
    _set(monkeypatch, {"LETHE_ENV": "production", "LETHE_SECRETS_DIR": str(tmp_path)})
    _set(monkeypatch, {"LETHE_AUTH__ADMIN_TOKEN": "b" + SECRET})

    settings = load_settings()

    assert settings.pepper == SecretStr(PRODUCTION["LETHE_PEPPER"])
    assert settings.auth.service_token == SecretStr(PRODUCTION["LETHE_AUTH__SERVICE_TOKEN"])
    assert settings.auth.admin_token == SecretStr("b" + SECRET)


def test_a_file_that_no_setting_is_named_like_is_refused_and_so_is_a_folder_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "LETHE_PEPER").write_text(SECRET)

    assert _problems(monkeypatch, {"LETHE_SECRETS_DIR": str(tmp_path)}) == ["LETHE_PEPER"]
    assert _problems(monkeypatch, {"LETHE_SECRETS_DIR": str(tmp_path / "no")}) == [
        "LETHE_SECRETS_DIR"
    ]


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ({}, ("localhost", "127.0.0.1", "[::1]")),
        ({"LETHE_API__ALLOWED_HOSTS": '["lethe.example"]'}, ("lethe.example",)),
        (
            {
                "LETHE_AUTH__SERVICE_TOKEN": "s" + SECRET,
                "LETHE_AUTH__ADMIN_TOKEN": "a" + SECRET,
            },
            (),
        ),
    ],
)
def test_public_tokens_are_taken_under_the_names_of_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], hosts: tuple[str, ...]
) -> None:
    _set(monkeypatch, given)

    assert load_settings().allowed_hosts == hosts
