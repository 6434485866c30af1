"""`draas drift` and `draas explain`."""

from __future__ import annotations

from typing import Any

from draas.cli import output
from draas.cli.apply import difference_line
from draas.cli.exit_codes import Code, CommandError
from draas.cli.output import Format
from draas.cli.session import Session, say
from draas.cli.text import cell, local_time, printable
from draas.client.daemon import EVERY_INSTANCE, Drifting

_LOOKS = {"change": "at a change", "periodic": "at the next periodic check"}


async def drift(session: Session, instance_id: str | None, which: Drifting, form: Format) -> Code:
    """Print the drift of one instance, read now, or of all that are asked for, as last seen."""
    if instance_id is not None:
        if which != EVERY_INSTANCE:
            raise CommandError("give an ID or --verdict, --kind and --gate, not both", Code.USAGE)
        return await _one(session, instance_id, form)
    found = await session.daemon.drift(which)
    if form is Format.TABLE:
        output.console().print(_table(found))
    else:
        output.document(found, form)
    code = code_of([each["drift"]["verdict"] for each in found])
    reason = await session.daemon.readiness()
    if reason and code is Code.OK:
        say(f"unknown: the daemon has no complete picture ({reason})")
        return Code.UNKNOWN
    return code


def code_of(verdicts: list[str]) -> Code:
    """Drift outranks what is unknown, and that outranks what is in sync."""
    if "drifted" in verdicts:
        return Code.DRIFT
    return Code.OK if all(each == "in-sync" for each in verdicts) else Code.UNKNOWN


def _table(found: list[dict[str, Any]]) -> Any:
    columns = ("ID", "DRIFT", "KINDS", "STATUS", "DECISION", "HELD BY", "NEXT LOOK", "REASON")
    rows = [
        (
            each["instanceId"],
            each["drift"]["verdict"],
            each["drift"]["kinds"],
            each["status"],
            each["decision"],
            each["blockedBy"],
            local_time(each["nextLook"]),
            each["drift"]["reason"],
        )
        for each in found
    ]
    return output.table(columns, rows)


async def _one(session: Session, instance_id: str, form: Format) -> Code:
    explained = await session.daemon.explain(instance_id)
    found = drift_of(explained)
    if form is Format.TABLE:
        output.lines(verdict_line(instance_id, found), *_differences(explained))
    else:
        names = ("instanceId", "summary", "differences")
        output.document({"drift": found, **{name: explained[name] for name in names}}, form)
    return code_of([found["verdict"]])


def drift_of(explained: dict[str, Any]) -> dict[str, Any]:
    """The drift as it is now.

    A plan that goes on with an operation does not look for drift: then what the fleet's list says
    counts, and what is being worked on is never called in sync.
    """
    found: dict[str, Any] = explained["plan"]["drift"]
    state = explained.get("state") or {}
    if found["verdict"] != "in-sync" or not state.get("operation"):
        return found
    listed: dict[str, Any] = state["drift"]
    if listed["verdict"] != "in-sync":
        return listed
    phase = state["operation"]["phase"]
    return {"verdict": "unknown", "kinds": [], "reason": f"an operation is under way: {phase}"}


def verdict_line(instance_id: str, found: dict[str, Any]) -> str:
    """`orders: drifted (configuration): the desired configuration changed`."""
    kinds = f" ({', '.join(found['kinds'])})" if found["kinds"] else ""
    reason = f": {found['reason']}" if found["reason"] else ""
    return printable(f"{instance_id}: {found['verdict']}{kinds}{reason}")


def _differences(explained: dict[str, Any]) -> list[str]:
    return [f"  {difference_line(each)}" for each in explained["differences"]]


async def explain(session: Session, instance_id: str, form: Format) -> Code:
    """Print all that the daemon knows and plans."""
    explained = await session.daemon.explain(instance_id)
    if form is Format.TABLE:
        output.lines(*explanation(explained))
    else:
        output.document(explained, form)
    return code_of_explanation(explained)


def code_of_explanation(explained: dict[str, Any]) -> Code:
    """Done, unless it had to say that it cannot tell."""
    unknown = explained["plan"]["drift"]["verdict"] == "unknown"
    return Code.UNKNOWN if unknown else Code.OK


def explanation(explained: dict[str, Any]) -> list[str]:
    """The answer of the daemon as lines: state, drift, gates in order, plan, next look."""
    plan, state = explained["plan"], explained.get("state") or {}
    lines = [verdict_line(explained["instanceId"], drift_of(explained))]
    if state:
        lines.append(
            f"  status {cell(state['status'])}, desired {cell(state['desiredRunState'])}, "
            f"health {cell(state['health'])}, generation {cell(state['generation'])}"
        )
        lines += _under_way(state)
    if explained["differences"]:
        lines += ["Differences", *_differences(explained)]
    if plan["gates"]:
        lines += ["Gates", *(f"  {_gate(gate)}" for gate in plan["gates"])]
    lines.append(f"Decision: {cell(plan['decision'])}{_because(plan['reason'])}")
    if plan["steps"]:
        towards = "the last good configuration" if plan["restoresLastGood"] else "the desired one"
        lines.append(f"Plan: {cell(plan['strategy'])}, towards {towards}")
        if any(gate["name"] == "approval" and not gate["passed"] for gate in plan["gates"]):
            lines.append(f"  `{_approval(explained['instanceId'], plan)}` lets it go on")
        lines += [f"  {n}. {printable(step)}" for n, step in enumerate(plan["steps"], 1)]
    next_look = plan["nextLook"] or state.get("nextLook")
    when = local_time(next_look) if next_look else _looks(explained)
    return [*lines, f"Next look: {when}"]


def _looks(explained: dict[str, Any]) -> str:
    """What lets the daemon look again; one of another release says nothing of it."""
    by_itself = [words for name, words in _LOOKS.items() if name in explained.get("looks", _LOOKS)]
    by_hand = f"by hand only, `draas reconcile {explained['instanceId']}`"
    return ", or ".join(by_itself) or printable(by_hand)


def _approval(instance_id: str, plan: dict[str, Any]) -> str:
    return printable(f"draas approve {instance_id} --plan {plan['digest']}")


def _under_way(state: dict[str, Any]) -> list[str]:
    lines = []
    if state["operation"]:
        operation = state["operation"]
        lines.append(
            f"  under way: {cell(operation['strategy'])}, {cell(operation['phase'])}, "
            f"attempt {operation['attempt']}, since {local_time(operation['startedAt'])}"
        )
        lines += _step(operation)
    if state["quarantine"]:
        held = state["quarantine"]
        lines.append(
            f"  in quarantine since {local_time(held['since'])}: {cell(held['reason'])}; "
            f"`draas release {state['instanceId']}` lets it be tried again"
        )
    return lines


def _step(operation: dict[str, Any]) -> list[str]:
    """How a candidate does, and whether a person holds it."""
    lines, step = [], operation.get("step")
    if step:
        verdict = cell(step["verdict"] or "not judged yet")
        lines.append(
            f"  step {step['number']}, slot {cell(step['slot'])}: {verdict}, "
            f"{step['samples']} requests beside {step['baselineSamples']}"
        )
        lines += [f"    {printable(reason)}" for reason in step["reasons"]]
    if operation.get("paused"):
        lines.append(f"  {printable(operation['paused'])}; `draas resume` lets it go on")
    failed = [each for each in operation.get("checks") or () if each["passed"] is not True]
    lines += [f"  {cell(each['name'])}{_because(each['reason'] or 'no')}" for each in failed]
    return lines


def _gate(gate: dict[str, Any]) -> str:
    mark = "✓" if gate["passed"] else "✗"
    until = "" if gate["passed"] or not gate["until"] else f", until {local_time(gate['until'])}"
    return f"{mark} {cell(gate['name'])}{_because(gate['reason'])}{until}"


def _because(reason: str) -> str:
    return f": {printable(reason)}" if reason else ""
