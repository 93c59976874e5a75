"""Calls that hang, die or raise cost themselves alone."""

import os
import signal
import time

import pytest

from zeroi2v_bench.data.killable import Answer, map_killable
from zeroi2v_bench.errors import BenchError


def behave(task):
    if task == "hang":
        time.sleep(600)
    if task == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "exit":
        os._exit(3)
    if task == "raise":
        raise ValueError("as it was told")
    return task.upper()


def refuse_to_unpickle():
    raise RuntimeError


class Unstartable:
    """A function that a new process cannot load."""

    def __reduce__(self):
        return refuse_to_unpickle, ()


def test_every_task_is_answered_whatever_its_neighbours_do():
    tasks = ["a", "hang", "b", "die", "c", "exit", "d", "raise", "e"]
    answers = {a.task: a for a in map_killable(behave, tasks, workers=2, limit_s=3)}
    assert sorted(answers) == sorted(tasks)
    assert {t: a.value for t, a in answers.items() if a.value} == {t: t.upper() for t in "abcde"}
    assert answers["hang"].failure == "no answer within 3 s"
    assert answers["die"].failure == "its reader died (signal 11)"
    assert answers["exit"].failure == "its reader died (exit code 3)"
    assert answers["raise"].failure == "ValueError: as it was told"


def test_nothing_to_do_starts_nothing():
    assert list(map_killable(behave, [], workers=2, limit_s=1)) == []


def test_a_process_that_cannot_start_is_one_error_and_no_endless_loop(capfd):
    with pytest.raises(BenchError, match="could not start: its reader died"):
        list(map_killable(Unstartable(), ["a", "b"], workers=1, limit_s=1))
    assert "RuntimeError" in capfd.readouterr().err


def test_stopping_early_leaves_no_process_behind():
    answers = map_killable(behave, ["a", "hang", "hang"], workers=2, limit_s=60)
    assert next(answers) == Answer("a", "A")
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 10
