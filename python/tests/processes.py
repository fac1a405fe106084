"""Programs that tests run in processes of their own."""

import subprocess
import sys
import textwrap


def run(program: str, *arguments: str) -> str:
    """What the program prints. It must end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    """The program, running. Its first line of output was read: it is ready."""
    started = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline().strip() == "ready"
    return started


def end(started: subprocess.Popen[str]) -> int:
    """Tells the program to end and waits for it."""
    assert started.stdin is not None
    assert started.stdout is not None
    started.stdin.close()
    started.stdout.close()
    return started.wait(timeout=60)
