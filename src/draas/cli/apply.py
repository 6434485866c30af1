"""`draas apply`: create and change instances until they are as a file says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from draas.cli import output
from draas.cli.descriptions import described
from draas.cli.exit_codes import Code, CommandError
from draas.cli.manifests import Manifest, read
from draas.cli.output import Format
from draas.cli.session import Session, first_of, progress, say, tell
from draas.cli.text import printable, shown
from draas.client.port import ControlPlaneError
from draas.decide.compare import Comparison, Difference, compare
from draas.decide.validation import validate
from draas.model.configuration import ConfigurationError, canonical

FAILED = "failed"
_ACTIONS = {"Running": "start", "Stopped": "stop"}

_KEPT = ("host", "port", "logLevel")
"""What stays as it is where the file does not say it: the control plane has chosen it."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, or would be, with one instance, up to what failed then."""

    id: str
    result: str
    differences: tuple[Difference, ...] = ()
    run_state: str = ""
    failure: ControlPlaneError | None = None


async def apply(session: Session, file: str, dry_run: bool, form: Format) -> Code:
    """Bring every instance of the file about; the code of the first that failed."""
    manifests = read(file)
    for each in manifests:
        _require_valid(each)
    codes: list[Code] = []
    done: list[Applied] = []
    for each in manifests:
        try:
            async with progress(f"Applying {each.id}"):
                applied = await _one(session, each, dry_run)
        except ControlPlaneError as error:
            applied = Applied(each.id, FAILED, failure=error)
        done.append(applied)
        if form is Format.TABLE and applied.result != FAILED:
            _print(applied, dry_run)
        if applied.failure is not None:
            codes.append(tell(applied.failure, session.addresses, f"{each.id}: "))
    if form is not Format.TABLE:
        output.document([_as_json(each) for each in done], form)
    return first_of(codes)


def _require_valid(manifest: Manifest) -> None:
    faults = validate(manifest.configuration)
    if faults:
        raise CommandError(f"{manifest.id}: {'; '.join(map(str, faults))}", Code.USAGE)


async def _one(session: Session, manifest: Manifest, dry_run: bool) -> Applied:
    present = await session.control_plane.find(manifest.id)
    if present is None:
        return await _create(session, manifest, dry_run)
    _warn_of_platform(manifest, present)
    said = described(manifest, present)
    if said.patch and not dry_run:
        await session.control_plane.describe(manifest.id, said.patch)
    document, etag = await session.control_plane.configuration(manifest.id)
    wanted = _completed(manifest.configuration, document)
    comparison = _compared(document, wanted)
    state = present.get("desiredRunState")
    to = manifest.run_state if manifest.run_state not in (None, state) else None
    if comparison.has_drift and not dry_run:
        await session.control_plane.put(manifest.id, wanted, etag)
    if manifest.run_state is None and state == "Stopped":
        say(f"{manifest.id} is stopped and stays so; `draas start {manifest.id}` starts it")
    done = Applied(
        manifest.id,
        "configured" if comparison.has_drift or to or said.patch else "unchanged",
        said.differences + comparison.differences,
        to or "",
    )
    return done if dry_run or to is None else await _brought(session, done, to)


async def _create(session: Session, manifest: Manifest, dry_run: bool) -> Applied:
    run_state = manifest.run_state or "Running"
    done = Applied(manifest.id, "created", run_state=run_state)
    if dry_run:
        return done
    await session.control_plane.create(manifest.creation)
    return done if run_state == "Stopped" else await _brought(session, done, run_state)


async def _brought(session: Session, done: Applied, run_state: str) -> Applied:
    """The same brought to a run state; what was done before stands, also where that fails."""
    try:
        await session.control_plane.lifecycle(done.id, _ACTIONS[run_state])
    except ControlPlaneError as error:
        return replace(done, failure=error)
    return done


def _completed(wanted: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    document = canonical(wanted)
    for name in _KEPT:
        if name in present:
            document.setdefault(name, present[name])
    return document


def _compared(present: dict[str, Any], wanted: dict[str, Any]) -> Comparison:
    try:
        return compare(present, wanted)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error


def _warn_of_platform(manifest: Manifest, present: dict[str, Any]) -> None:
    platform = present.get("platformType")
    if manifest.texts.get("platformType", platform) != platform:
        say(f"{manifest.id}: platformType stays {platform}; delete it to change that")


def _print(applied: Applied, dry_run: bool) -> None:
    would = "would be " if dry_run and applied.result != "unchanged" else ""
    print(printable(f"{applied.id} {would}{applied.result}"))
    for each in applied.differences:
        print(f"  {difference_line(asdict(each))}")
    if applied.run_state and applied.result != "created":
        print(f"  desired run state: {applied.run_state}")


def difference_line(difference: dict[str, Any]) -> str:
    """`queries[q].query: MATCH (a) → MATCH (b)`, `+ path: value`, `- path: value`."""
    path = printable(str(difference.get("path")))
    match difference.get("kind"):
        case "added":
            return f"+ {path}: {shown(difference.get('desired'))}"
        case "removed":
            return f"- {path}: {shown(difference.get('actual'))}"
    return f"~ {path}: {shown(difference.get('actual'))} → {shown(difference.get('desired'))}"


def _as_json(applied: Applied) -> dict[str, Any]:
    failure = {} if applied.failure is None else {"error": str(applied.failure)}
    return {
        "id": applied.id,
        "result": applied.result,
        "desiredRunState": applied.run_state or None,
        "differences": [asdict(each) for each in applied.differences],
        **failure,
    }
