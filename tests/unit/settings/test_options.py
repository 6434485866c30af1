"""The concrete settings of daemon and control plane (R-140, D-04, D-18)."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from draas.contract.urls import base_urls
from draas.control_plane.options import ControlPlaneSettings, ProcessOptions
from draas.reconciliation.options import (
    DaemonSettings,
    LeaseKeeper,
    ReconciliationOptions,
    load_daemon_settings,
)
from draas.settings import SettingsError, is_loopback, load
from draas.settings.convert import show
from draas.settings.reference import reference
from draas.settings.schema import describe
from draas.settings.timespan import LONGEST
from draas.telemetry.levels import LogLevel

ROOT = Path(__file__).parents[3]
DOCUMENTED: dict[str, Any] = {
    "Logging": {
        "LogLevel": {
            "Default": "Information",
            "Microsoft.Hosting.Lifetime": "Information",
            "DRaaS.Reconciliation": "Debug",
        }
    },
    "ControlPlaneUrl": "http://localhost:5000",
    "Reconciliation": {
        "PollingInterval": "00:00:30",
        "DefaultStrategy": "Restart",
        "EnableAutoReconciliation": True,
        "EnableEventDrivenReconciliation": True,
        "MaxRetries": 3,
        "RetryDelay": "00:00:10",
        "MaxConcurrentReconciliations": 5,
        "EnableAuditLogging": True,
        "ReconciliationTimeout": "00:05:00",
        "ReconcileErrorInstances": True,
        "ReconcileStoppedInstances": False,
    },
}


def daemon(
    arguments: Sequence[str] = (), strategies: Sequence[str] = ("Restart",)
) -> DaemonSettings:
    return load_daemon_settings(
        Path("/nonexistent"), {}, arguments, available_strategies=strategies
    )


def test_the_documented_file_says_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text(json.dumps(DOCUMENTED))
    assert load_daemon_settings(tmp_path, {}) == daemon() == DaemonSettings()


def test_each_documented_default_is_the_default() -> None:
    defaults = {row.key: row.default for row in reference(DaemonSettings)}
    for name, value in DOCUMENTED["Reconciliation"].items():
        assert defaults[f"Reconciliation:{name}"] == show(value)
    assert defaults["ControlPlaneUrl"] == DOCUMENTED["ControlPlaneUrl"]
    for name, value in DOCUMENTED["Logging"]["LogLevel"].items():
        assert defaults[f"Logging:LogLevel:{name}"] == value


def test_the_documented_variables_override(tmp_path: Path) -> None:
    environ = {
        "ControlPlaneUrl": "http://api.draas.prod:5000",
        "Reconciliation__PollingInterval": "00:01:00",
        "Reconciliation__MaxRetries": "5",
        "Logging__LogLevel__Default": "Warning",
    }
    settings = load_daemon_settings(tmp_path, environ)
    assert settings.control_plane_url == "http://api.draas.prod:5000"
    assert settings.reconciliation.polling_interval == timedelta(minutes=1)
    assert settings.reconciliation.attempts == 5
    assert settings.logging.log_level["Default"] is LogLevel.WARNING


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_retries_are_attempts_in_all(retries: int, attempts: int) -> None:
    assert ReconciliationOptions(max_retries=retries).attempts == attempts


def test_a_strategy_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"'Canary'.*expected one of Restart, Manual$"):
        daemon(["--Reconciliation:DefaultStrategy=Canary"])
    settings = daemon(["--Reconciliation:DefaultStrategy=canary"], ("Restart", "Canary"))
    assert settings.reconciliation.default_strategy == "Canary"


@pytest.mark.parametrize(
    "argument",
    [
        "--Reconciliation:PollingInterval=-00:00:01",
        "--Reconciliation:PollingInterval=30",
        "--Reconciliation:MaxRetries=-1",
        "--Reconciliation:MaxRetries=101",
        "--Reconciliation:MaxConcurrentReconciliations=0",
        "--Reconciliation:ReconciliationTimeout=00:00:00",
        "--Reconciliation:BackoffMaximum=00:00:09",
        "--Breaker:MaxFailingShare=1.1",
        "--Management:Port=65536",
        "--Logging:LogLevel:Default=Verbose",
        "--ControlPlaneUrl=localhost:5000",
        "--ControlPlaneUrl=http://",
        "--ControlPlaneUrl=http://host:99999",
        "--ControlPlaneUrl=http://user:word@host",
        "--ControlPlaneUrl=http://host\n",
        "--ControlPlaneUrl=http://a,b",
        "--Leases=Kubernetes",
    ],
)
def test_values_out_of_bounds_are_refused(argument: str) -> None:
    with pytest.raises(SettingsError) as caught:
        daemon([argument])
    key = argument[2:].partition("=")[0]
    assert len(caught.value.faults) == 1 and caught.value.faults[0].startswith(f"{key} = ")


def test_several_control_planes_may_be_named() -> None:
    given = "http://a:5000, https://b/below/"
    assert daemon([f"--ControlPlaneUrl={given}"]).control_plane_url == given
    assert base_urls(given) == ["http://a:5000", "https://b/below"]


def test_leases_of_kubernetes_go_with_postgresql() -> None:
    settings = daemon(["--Leases=kubernetes", "--Store=postgresql://h/d"])
    assert settings.leases is LeaseKeeper.KUBERNETES


def test_a_polling_interval_of_zero_is_allowed() -> None:
    settings = daemon(["--Reconciliation:PollingInterval=00:00:00"])
    assert settings.reconciliation.polling_interval == timedelta()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize(
    ("cls", "section"), [(DaemonSettings, "Management"), (ControlPlaneSettings, "Api")]
)
def test_other_addresses_need_a_setting_in_so_many_words(cls: type, section: str) -> None:
    arguments = [f"--{section}:Host=0.0.0.0"]
    consent = f"{section}:AllowRemoteAccessWithoutAuthentication=true"
    with pytest.raises(SettingsError, match=f"{section}:Host = '0.0.0.0' .* {consent} opens"):
        load(cls, environ={}, directory=Path("/nonexistent"), arguments=arguments)
    arguments.append(f"--{consent}")
    load(cls, environ={}, directory=Path("/nonexistent"), arguments=arguments)


BOTH = pytest.mark.parametrize("cls", [DaemonSettings, ControlPlaneSettings])


def refused(cls: type, *arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(cls, environ={}, directory=Path("/nonexistent"), arguments=arguments)
    (fault,) = caught.value.faults
    return fault


@BOTH
def test_for_ever_is_refused_with_the_longest_that_can_be_reckoned_with(cls: type) -> None:
    longest = {"TwoSlots:DrainTime": "00:10:00"}
    spans = [each.key for each in describe(cls) if each.kind is timedelta]
    assert spans
    for key in spans:
        said = refused(cls, f"--{key}=10675199.02:48:05.4775807")
        assert f"{key} = '10675199.02:48:05.4775807' (command line)" in said
        assert said.endswith(f" to {longest.get(key, '36500.00:00:00')}")


@pytest.mark.parametrize("sign", [1, -1])
def test_the_longest_time_span_leads_to_a_date(sign: int) -> None:
    assert datetime(2026, 1, 1, tzinfo=UTC) + sign * 10 * LONGEST


@BOTH
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="none"),
        pytest.param("sqlite:////var/lib/draas.sqlite", id="absolute file"),
        pytest.param("postgresql://user:w%40rd@[::1]:5432/draas?ssl=require", id="all parts"),
        pytest.param("postgresql:///draas?host=/run/postgresql", id="socket"),
        pytest.param("postgresql+asyncpg://h/d", id="driver"),
    ],
)
def test_a_store_is_a_file_or_a_postgresql(cls: type, url: str) -> None:
    assert load(cls, directory=Path("/none"), environ={}, arguments=[f"--Store={url}"]).store == url


@BOTH
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("foo", "foo", id="no URL"),
        pytest.param("/var/lib/draas.sqlite", "/var/lib/draas.sqlite", id="path"),
        pytest.param("sqlite://", "sqlite://", id="no file"),
        pytest.param("mysql://x", "mysql://x", id="no password"),
        pytest.param("mysql://root:hunter2@h/d", "mysql://***@h/d", id="another database"),
        pytest.param("postgres://root:hunter2@h/d", "postgres://***@h/d", id="another name"),
        pytest.param(
            "postgresql://root:hunter2@h:notaport/d",
            "postgresql://***@h:notaport/d",
            id="port in words",
        ),
        pytest.param(
            "postgresql://root:hunter2@h:99999/d", "postgresql://***@h:99999/d", id="port too high"
        ),
        pytest.param("mysql://root:hunt/er@2@h/d", "mysql://***@h/d", id="odd password"),
        pytest.param("mysql://root:hun://ter2@h/d", "mysql://***@h/d", id="odder password"),
        pytest.param("mysql://root:hunter2", "mysql://***", id="no host"),
        pytest.param("root:hunter2", "***", id="no scheme"),
        pytest.param("mysql://h/d?password=hunter2", "mysql://h/d", id="password behind"),
    ],
)
def test_another_store_is_refused_without_its_password(cls: type, url: str, shown: str) -> None:
    said = refused(cls, f"--Store={url}")
    assert said == (
        f"Store = '{shown}' (command line): expected sqlite:////PATH or "
        "postgresql://USER@HOST/DATABASE; empty for a file in the data directory"
    )


@BOTH
def test_a_file_is_the_same_one_wherever_it_is_started(cls: type) -> None:
    said = refused(cls, "--Store=sqlite:///var/lib/x.db")
    assert said.startswith("Store = 'sqlite:///var/lib/x.db' (command line): expected an absolute")
    assert "sqlite:////var/lib/x.db" in said
    assert f"sqlite:///{Path.cwd()}/var/lib/x.db" in said
    assert "Store" in refused(cls, "--Store=sqlite:///:memory:")


def test_programs_and_folders_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "text").touch(0o600)
    for key, path in (
        ("Process:ExecutablePath", "no-such-program"),
        ("Process:ExecutablePath", str(tmp_path)),
        ("Process:PluginsDirectory", str(tmp_path / "text")),
        ("Envoy:ExecutablePath", str(tmp_path / "text")),
        ("Haproxy:ExecutablePath", str(tmp_path / "none")),
    ):
        said = refused(ControlPlaneSettings, f"--{key}={path}")
        assert said.startswith(f"{key} = '{path}' (command line): expected the path of a ")
    ControlPlaneSettings(process=ProcessOptions(executable_path="env", plugins_directory="/"))


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param(["--Process:LastPort=20000"], id="one port"),
        pytest.param(["--Slots:FirstPort=8500", "--Slots:LastPort=8600"], id="within"),
        pytest.param(["--Process:FirstPort=20500", "--Process:LastPort=40000"], id="end"),
    ],
)
def test_ports_of_instances_and_of_slots_are_apart(ranges: list[str]) -> None:
    assert "apart from" in refused(ControlPlaneSettings, *ranges)
    apart = ["--Router=none", *ranges]
    assert load(ControlPlaneSettings, environ={}, directory=Path("/none"), arguments=apart)


def test_what_is_said_of_a_list_is_told_with_where_it_was_said(tmp_path: Path) -> None:
    said = refused(DaemonSettings, "--Canary:Steps:1=10", "--Canary:Steps:0=20")
    assert said.startswith("Canary:Steps = '20, 10' (command line): expected percentages")
    (tmp_path / "appsettings.json").write_text('{"Canary": {"Steps": [50, 100]}}')
    with pytest.raises(SettingsError, match=r"'50, 7' \(appsettings.json line 1; command line\)"):
        load_daemon_settings(tmp_path, {}, ["--Canary:Steps:1=7"])


def test_both_processes_may_share_one_file(tmp_path: Path) -> None:
    (tmp_path / "appsettings.json").write_text('{"Api": {"Port": 0}, "Management": {"Port": 0}}')
    others: dict[str, type] = {"plane": ControlPlaneSettings, "daemon": DaemonSettings}
    daemon_settings = load_daemon_settings(tmp_path, {}, also=others)
    plane = load(ControlPlaneSettings, directory=tmp_path, environ={}, also=others)
    assert (daemon_settings.management.port, plane.api.port) == (0, 0)


def test_the_committed_reference_is_current() -> None:
    script = ROOT / "scripts" / "generate-reference"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
