"""lines with code between backticks -> the same lines with what the code comes to: code-augmented actions.

A task whose `task.yaml` says `code: true` has its sums done by the interpreter: `Thought: 6 trays of 12 are `rolls = 6 * 12`
= 72 rolls.` The code of a path's lines is one program in their order; a line whose code does not run is dropped, as a step of
rStar-Math's is. What stands behind a piece of code as its value is the interpreter's, whatever the model claimed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rstar_math.ports import Sandbox
from rstar_math.records import Execution, Status, Step

_CODE = re.compile(r"`([^`\n]+)`(?P<claimed>\s*=\s*-?[\d.,/]*\d)?")
#: Stands before the value of each piece of code in what a program prints.
_MARK = "\x1e"
#: An expression comes to its value, an assignment to what was assigned; whole floats are written as whole numbers.
_SAYS = f"""
import re as _re
def _says(code):
    try:
        value = eval(compile(code, "<line>", "eval"), globals())
    except SyntaxError:
        exec(compile(code, "<line>", "exec"), globals())
        name = _re.match(r"\\s*(\\w+)\\s*=[^=]", code)
        value = globals()[name[1]] if name else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    print({_MARK!r} + ("" if value is None else str(value)), end="")
"""


async def worked_out(lines: Sequence[str], path: Sequence[Step], sandbox: Sandbox) -> list[str | None]:
    """Each line with its values, None where its code does not run after the code of the path's lines."""
    before = [code for step in path for code in _codes(step.text)]
    programs = {line: (*before, *_codes(line)) for line in lines if _codes(line)}
    asked = [(_SAYS, *(f"_says({code!r})\n" for code in program)) for program in programs.values()]
    executions = dict(zip(programs, await sandbox.run(asked), strict=True)) if asked else {}
    return [_with_values(line, executions[line]) if line in executions else line for line in lines]


def _codes(line: str) -> list[str]:
    return [found[1].strip() for found in _CODE.finditer(line)]


def _with_values(line: str, execution: Execution) -> str | None:
    said = execution.stdout.split(_MARK)[1:]
    if execution.status is not Status.OK or len(said) < len(_codes(line)):  # code may take `print` away from us
        return None
    values = iter(said[-len(_codes(line)) :])

    def value(found: re.Match[str]) -> str:
        came_to = " ".join(next(values).split())
        return f"`{found[1]}` = {came_to}" if came_to else f"`{found[1]}`"

    return _CODE.sub(value, line)
