"""The source kind `mock`: made-up data on a timer, shaped as Drasi's own mock source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError, invalid
from draas.instance_host.sources import Feed
from draas.instance_host.values import whole_of
from draas.model.clock import Clock

DEFAULT_INTERVAL_MS = 5000
DEFAULT_SENSORS = 5


class MockFeeder:
    """Feeds one element at once and then one every `intervalMs` milliseconds.

    `dataType.type` is `counter` (a new Counter each time, value 1, 2, …), `sensorReading`
    (readings of `sensorCount` sensors) or `generic` (a new Generic with a random value).
    """

    generates = True

    def __init__(self, properties: dict[str, Any], feed: Feed, clock: Clock) -> None:
        interval = properties.get("intervalMs", DEFAULT_INTERVAL_MS)
        self._interval = whole_of(interval, "intervalMs", least=1) / 1000
        data_type = properties.get("dataType") or {}
        if isinstance(data_type, str):
            data_type = {"type": data_type}
        makers: dict[str, Callable[[], Change]] = {
            "counter": self._counter,
            "sensorReading": self._sensor_reading,
            "generic": self._generic,
        }
        kind = data_type.get("type", "generic") if isinstance(data_type, dict) else None
        if not isinstance(kind, str) or kind not in makers:
            raise invalid(f"dataType.type: must be one of {', '.join(makers)}")
        sensors = data_type.get("sensorCount", DEFAULT_SENSORS)
        self._sensors = whole_of(sensors, "dataType.sensorCount", least=1)
        self._make = makers[kind]
        self._feed = feed
        self._clock = clock
        self._sequence = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the timer; the sequence goes on where it stopped."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Stop the timer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def resume(self, known: Iterable[str]) -> None:
        """Count on from the highest number among the ids that this kind of data gives."""
        numbers = [known_id.rpartition("_")[2] for known_id in known]
        highest = max((int(n) for n in numbers if n.isascii() and n.isdigit()), default=0)
        self._sequence = max(self._sequence, highest)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._sequence += 1
            try:
                await self._feed(self._make())
            except ApiError:
                return  # the source was stopped meanwhile
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    def _counter(self) -> Change:
        return self._insert(f"counter_{self._sequence}", "Counter", {"value": self._sequence})

    def _sensor_reading(self) -> Change:
        sensor = f"sensor_{int(self._clock.jitter() * self._sensors)}"
        reading = {
            "sensor_id": sensor,
            "temperature": 20.0 + self._clock.jitter() * 10.0,
            "humidity": 40.0 + self._clock.jitter() * 20.0,
        }
        return self._insert(sensor, "SensorReading", reading)

    def _generic(self) -> Change:
        value = int(self._clock.jitter() * 2**32) - 2**31
        properties = {"value": value, "message": "Generic mock data"}
        return self._insert(f"generic_{self._sequence}", "Generic", properties)

    def _insert(self, element_id: str, label: str, properties: dict[str, Any]) -> Change:
        properties["timestamp"] = self._clock.now().isoformat()
        return {"op": "insert", "id": element_id, "labels": [label], "properties": properties}
