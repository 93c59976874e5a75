"""``list`` and ``validate`` say what there is and what is wrong."""

import shutil

from click.testing import CliRunner

from zeroi2v_bench import registry
from zeroi2v_bench.cli import main
from zeroi2v_bench.protocol import protocol_dirs, protocol_names


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_list_names_everything_there_is():
    result = run("list")
    assert result.exit_code == 0
    for name in (*protocol_names(), *registry.names("datasets"), *registry.names("methods")):
        assert name in result.stdout
    assert result.stdout.index("hmdb_2shot") < result.stdout.index("hmdb_16shot")


def test_validate_checks_all_protocols():
    result = run("validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == len(protocol_names())


def test_validate_lists_every_broken_protocol_and_fails(tmp_path):
    source = protocol_dirs()[0] / "fewshot_ucf_2shot.yaml"
    good = source.read_text()
    shutil.copy(source, tmp_path / source.name)
    (tmp_path / "no_yaml.yaml").write_text("{")
    (tmp_path / "typo.yaml").write_text(
        good.replace("name: fewshot_ucf_2shot", "name: typo").replace("image_size", "imagesize")
    )
    (tmp_path / "renamed.yaml").write_text(good)
    result = run("validate", "--protocol-dir", tmp_path)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [name for name in ("no_yaml", "renamed", "typo") for line in lines if name in line] == [
        "no_yaml",
        "renamed",
        "typo",
    ]
    assert "imagesize: unknown key" in result.stderr or "image_size" in result.stderr
    assert "ok  fewshot_ucf_2shot" in result.stdout
    assert run("list", "--protocol-dir", tmp_path).exit_code == 1


def test_validate_takes_names_and_files(tmp_path):
    path = protocol_dirs()[0] / "full_hmdb_8f.yaml"
    result = run("validate", path, "full_ucf_8f")
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        "full_hmdb_8f",
        "full_ucf_8f",
    ]
    assert "known: " in run("validate", "absent").stderr
