"""What can be set in the control plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from draas.settings import InvalidSettingError, require_loopback, setting
from draas.settings.files import require_folder, require_program
from draas.settings.store_url import URLS, require_store
from draas.telemetry.levels import LoggingSettings


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """The section `Api`: where the control plane listens.

    A section, because the plain names `Host` and `Port` are taken in many environments.
    """

    host: str = setting("127.0.0.1", help="Address that the control plane listens on")
    port: int = setting(
        5000,
        minimum=0,
        maximum=65_535,
        help="Port that the control plane listens on; 0 takes a free one",
    )
    allow_remote_access_without_authentication: bool = setting(
        False, help="Listen on other addresses than loopback, where anyone may give orders"
    )

    advertised_url: str = setting(
        "",
        help="URL at which other control planes reach this one; empty: the address it listens on",
    )

    def __post_init__(self) -> None:
        require_loopback("Api", self.host, self.allow_remote_access_without_authentication)


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """The section `Process`: servers as child processes."""

    executable_path: str = setting(
        "",
        form="a path, or the name of a program on PATH",
        help="Program to run for each instance, such as `drasi-server`; empty for the one included",
    )
    plugins_directory: str = setting(
        "", form="a path", help="Folder with plugins for the servers; empty for none"
    )
    shutdown_timeout_seconds: int = setting(
        5, minimum=0, maximum=3600, help="Seconds until a server that does not stop is killed"
    )
    start_timeout: timedelta = setting(
        timedelta(seconds=30),
        minimum=timedelta(milliseconds=1),
        help="How long a server may take until it answers",
    )
    first_port: int = setting(
        8081,
        minimum=1,
        maximum=65_535,
        help="First of the ports that are given to instances; 8080 is left to the daemon",
    )
    last_port: int = setting(
        9000, minimum=1, maximum=65_535, help="Last of the ports that are given to instances"
    )
    log_max_bytes: int = setting(
        10_485_760, minimum=1024, help="Size in bytes at which a server's log file is rotated"
    )
    log_backups: int = setting(3, minimum=0, maximum=1000, help="Rotated log files that are kept")

    def __post_init__(self) -> None:
        if self.last_port < self.first_port:
            raise InvalidSettingError("last_port", "no less than Process:FirstPort")
        require_program("executable_path", self.executable_path, on_path=True)
        require_folder("plugins_directory", self.plugins_directory)


@dataclass(frozen=True, slots=True)
class EnvoyOptions:
    """The section `Envoy`: the router in front of slots."""

    executable_path: str = setting(
        "",
        form="a path",
        help="Path of the Envoy to run; empty for the one that is installed with this project",
    )

    def __post_init__(self) -> None:
        require_program("executable_path", self.executable_path)


@dataclass(frozen=True, slots=True)
class HaproxyOptions:
    """The section `Haproxy`: the other router in front of slots."""

    executable_path: str = setting(
        "", form="a path", help="Path of the HAProxy to run; empty for the one on PATH"
    )

    def __post_init__(self) -> None:
        require_program("executable_path", self.executable_path)


@dataclass(frozen=True, slots=True)
class SlotsOptions:
    """The section `Slots`: the copies of an instance behind the router."""

    first_port: int = setting(
        20_000,
        minimum=1,
        maximum=65_535,
        help="First of the ports at which slots listen behind the router",
    )
    last_port: int = setting(
        29_999,
        minimum=1,
        maximum=65_535,
        help="Last of the ports at which slots listen behind the router",
    )

    def __post_init__(self) -> None:
        if self.last_port < self.first_port:
            raise InvalidSettingError("last_port", "no less than Slots:FirstPort")


@dataclass(frozen=True, slots=True)
class ChangesOptions:
    """The section `Changes`: the feed of changes."""

    retention: int = setting(100_000, minimum=1, help="Changes that are kept for those who follow")


@dataclass(frozen=True, slots=True)
class ConfigurationsOptions:
    """The section `Configurations`: the history of each."""

    retention: int = setting(
        100,
        minimum=1,
        help="Generations of a configuration that are kept, besides those that run or are good",
    )


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """Everything that can be set in the control plane."""

    store: str = setting(
        "",
        form=URLS,
        secret=True,
        help="Where the control plane keeps instances and configurations; empty for a file in the "
        "data directory",
    )
    router: str = setting(
        "envoy",
        choices=("envoy", "haproxy", "none"),
        help="What shares the traffic of an instance between its slots: `envoy`, `haproxy`, or "
        "`none`, where servers are reached directly and strategies with two slots are refused",
    )
    monitor_interval: timedelta = setting(
        timedelta(seconds=2),
        minimum=timedelta(milliseconds=100),
        help="How often the control plane looks whether its servers still run",
    )
    api: ApiOptions = field(default_factory=ApiOptions)
    process: ProcessOptions = field(default_factory=ProcessOptions)
    envoy: EnvoyOptions = field(default_factory=EnvoyOptions)
    haproxy: HaproxyOptions = field(default_factory=HaproxyOptions)
    slots: SlotsOptions = field(default_factory=SlotsOptions)
    changes: ChangesOptions = field(default_factory=ChangesOptions)
    configurations: ConfigurationsOptions = field(default_factory=ConfigurationsOptions)
    logging: LoggingSettings = field(default_factory=LoggingSettings)

    def __post_init__(self) -> None:
        require_store(self.store)
        of_servers, of_slots = self.process, self.slots
        apart = (
            of_slots.last_port < of_servers.first_port or of_servers.last_port < of_slots.first_port
        )
        if self.router != "none" and not apart:
            raise InvalidSettingError(
                "slots.first_port",
                f"a range of ports apart from {of_servers.first_port} to {of_servers.last_port}, "
                "which Process:FirstPort and Process:LastPort give to instances",
            )
