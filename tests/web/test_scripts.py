"""Every script of the pages can be parsed: one that cannot leaves a page that shows nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright._impl._driver import compute_driver_executable

SCRIPTS = sorted((Path(__file__).parents[2] / "hopchain_etl/web/pages").rglob("*.js"))
NODE = str(compute_driver_executable()[0])  # playwright brings its own


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_script_can_be_parsed(script: Path, tmp_path: Path) -> None:
    module = tmp_path / f"{script.stem}.mjs"  # the pages load them as modules
    shutil.copy(script, module)
    done = subprocess.run([NODE, "--check", str(module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CLOCK = """
import { ActiveClock } from %s;
let now = 0;
Object.defineProperty(globalThis, "performance", { value: { now: () => now } });
globalThis.document = Object.assign(new EventTarget(), { hidden: false });
const clock = new ActiveClock(60);
const after = (seconds) => { now += 1000 * seconds; };
const sign = () => document.dispatchEvent(new Event("pointermove"));
const hide = (hidden) => { document.hidden = hidden; document.dispatchEvent(new Event("visibilitychange")); };
const told = [];
const tell = () => told.push(clock.seconds);
after(1000); clock.start(0); after(10); sign(); after(20); tell();
after(3600); tell(); sign(); tell(); after(5); tell();
hide(true); after(500); sign(); tell(); hide(false); after(2.5); tell();
clock.start(7); after(1); tell();
clock.start(0); for (let minute = 0; minute < 2000; minute += 1) { after(60); sign(); } tell();
console.log(JSON.stringify(told));
"""


def printed(main: str, script: str, folder: Path) -> Any:
    """Return the JSON that ``main`` prints, in which ``%s`` stands for the path of a script of the pages."""
    module = shutil.copy(next(one for one in SCRIPTS if one.name == script), folder / "script.mjs")
    (folder / "main.mjs").write_text(main % json.dumps(str(module)))
    done = subprocess.run([NODE, str(folder / "main.mjs")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_active_time_leaves_out_pauses_and_hidden_pages(tmp_path: Path) -> None:
    """30 s; an hour without a sign adds the 60 s after the last one; a hidden page adds nothing; a day is the most."""
    assert printed(CLOCK, "active.js", tmp_path) == [30, 70, 70, 75, 75, 77.5, 8, 86_400]


NUMBERS = """
import { plainNumber } from %s;
const typed = ["2,5", "-0,125", "12,3456", " +3 ", "−４．５", "2。5", "1,234", "1,234,567", "2,", "a,5"];
console.log(JSON.stringify(typed.map(plainNumber)));
"""


def test_numbers_are_understood_unless_a_comma_may_separate_thousands(tmp_path: Path) -> None:
    plain = ["2.5", "-0.125", "12.3456", "3", "-4.5", "2.5"]
    assert printed(NUMBERS, "numbers.js", tmp_path) == [*plain, "1,234", "1,234,567", "2,", "a,5"]


INSECURE = """
import { answerId } from %s;
const whole = globalThis.crypto;
Object.defineProperty(globalThis, "crypto", { value: { getRandomValues: (bytes) => whole.getRandomValues(bytes) } });
console.log(JSON.stringify([answerId(), answerId()]));
"""


def test_an_answer_can_be_sent_over_plain_http(tmp_path: Path) -> None:
    """There a browser lacks part of ``crypto``, as it lacks all that it gives to secure contexts only."""
    one, other = printed(INSECURE, "answer-id.js", tmp_path)
    assert one != other
    assert [str(UUID(text)) for text in (one, other)] == [one, other]


@pytest.mark.parametrize(
    "name", ["crypto.randomUUID(", "crypto.subtle", "navigator.clipboard", "navigator.serviceWorker"]
)
def test_no_script_needs_https(name: str) -> None:
    assert [script.name for script in SCRIPTS if name in script.read_text("utf-8")] == []
