from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

ENVIRON = {
    "STOREFRONT_WRITE_KEY": "wk",
    "TIKTOK_PIXEL": "C4A1B2C3D4E5F6G7H8I9",
    "TIKTOK_ACCESS_TOKEN": "hush-t",
    "TIKTOK_TEST_CODE": "TEST123",
    "PINTEREST_AD_ACCOUNT": "549755885175",
    "PINTEREST_ACCESS_TOKEN": "hush-p",
}


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The command said one sentence on standard error, no traceback, and nothing else."""
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_init_then_check(run: Run, tmp_path: Path) -> None:
    """The first workspace file passes `check` as soon as the variables it names are set."""
    done = run("init", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in ENVIRON if name != "TIKTOK_TEST_CODE")

    done = run("check", "signalpost.yaml", environ=ENVIRON)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "signalpost.yaml: workspace my-shop (production), 1 source, 2 destinations, no mistakes.\n"

    done = run("check", "signalpost.yaml")
    assert done.returncode == 1
    assert "signalpost.yaml:18: The environment variable STOREFRONT_WRITE_KEY" in done.stdout
    assert done.stdout.endswith("signalpost.yaml: 5 mistakes.\n")
    assert (tmp_path / "signalpost.yaml").read_text().startswith("# A Signalpost workspace")


def test_check_tells_programs(run: Run) -> None:
    """With `--json` there is one object on standard output, whether there are mistakes or not."""
    run("init", "--yes", "--environment", "test", "--workspace", "glow")
    good = run("check", "signalpost.yaml", "--json", environ=ENVIRON)
    assert good.returncode == 0
    assert json.loads(good.stdout) == {"ok": True, "workspace": "glow", "mistakes": [], "warnings": []}

    bad = run("check", "signalpost.yaml", "--json", environ={**ENVIRON, "TIKTOK_PIXEL": ""})
    assert bad.returncode == 1
    told = json.loads(bad.stdout)
    assert told["ok"] is False
    assert [mistake["path"] for mistake in told["mistakes"]] == ["destinations.tiktok.pixel"]
    assert told["mistakes"][0]["line"] == 40
    assert set(told["mistakes"][0]) == {"file", "line", "column", "path", "sentence"}


def test_check_names_every_mistake_with_its_line(run: Run, tmp_path: Path) -> None:
    """Each mistake is one line on standard output that begins with file and line, and the exit code is 1."""
    (tmp_path / "shop.yaml").write_text(
        "workspace: glow\nenvironment: production\ncurrency: EURO\ncuntry: US\norder_value: [net]\n"
        "destinations:\n  t: {type: ticktok, access_token: hush-literal}\n"
    )
    done = run("check", "shop.yaml")
    assert done.returncode == 1
    *mistakes, last = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in mistakes] == [f"shop.yaml:{n}:" for n in (1, 3, 4, 5, 7)]
    assert "Did you mean `country`?" in mistakes[2]
    assert "[net]" not in mistakes[3]
    assert "Did you mean `tiktok`?" in mistakes[4]
    assert last == "shop.yaml: 4 mistakes."
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"workspace: 'open", "This is no YAML"),
        (b"", "The file is empty."),
        (b"- a", "is a list of `option: value` lines"),
        (b"[" * 3000, "nested too deeply"),
        (b"a: [b]: c", "This is no YAML"),
    ],
)
def test_check_finds_what_is_no_workspace_file(run: Run, tmp_path: Path, content: bytes, sentence: str) -> None:
    """A file that is something else is a finding, not a crash."""
    (tmp_path / "odd.yaml").write_bytes(content)
    done = run("check", "odd.yaml")
    assert done.returncode == 1
    assert done.stderr == ""
    assert sentence in done.stdout


def test_check_of_what_cannot_be_read(run: Run, tmp_path: Path) -> None:
    """A file that is not there, is a folder or is no text is one sentence and exit code 2."""
    done = run("check", "nowhere.yaml")
    assert (done.returncode, one_sentence(done)) == (2, "nowhere.yaml cannot be read: No such file or directory.")
    done = run("check", ".")
    assert (done.returncode, one_sentence(done)) == (2, ". cannot be read: Is a directory.")
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    done = run("check", "picture.yaml", "--json")
    assert (done.returncode, one_sentence(done)) == (2, "picture.yaml cannot be read: it is not UTF-8 text.")


def test_init_never_writes_over(run: Run, tmp_path: Path) -> None:
    """A file that is there stays as it is, unless `--force` says otherwise."""
    (tmp_path / "signalpost.yaml").write_text("mine")
    done = run("init", "--yes")
    assert (done.returncode, one_sentence(done)) == (2, "signalpost.yaml is there already; --force writes over it.")
    assert (tmp_path / "signalpost.yaml").read_text() == "mine"

    done = run("init", "--yes", "--force", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["file"] == "signalpost.yaml"
    assert (tmp_path / "signalpost.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--currency", "EURO"], "must be the code of a currency"),
        (["--country", "Germany"], "must be the code of a country"),
        (["--environment", "prod"], "Did you mean `production`?"),
        (["--order-value", "brutto"], "must be `gross` or `net`"),
        (["--workspace", "My Shop"], "must be small letters"),
        (["--platform", "tikto"], "Did you mean `tiktok`?"),
        (["nowhere/at/all.yaml"], "cannot be written"),
    ],
)
def test_init_refuses_what_check_would(run: Run, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """An answer that could not stand in the file is refused at once, and nothing is written."""
    done = run("init", "--yes", *arguments)
    assert done.returncode == 2
    assert sentence in one_sentence(done)
    assert list(tmp_path.iterdir()) == []


def test_init_asks(run: Run, tmp_path: Path) -> None:
    """Without `--yes` it asks for what was not given, asks again after a wrong answer, and takes empty for the default."""
    done = run("init", "--currency", "eur", stdin="glow\ntset\ntest\nde\n\ntiktok\n")
    assert done.returncode == 0
    assert done.stderr == "`environment` must be `production` or `test`, not `tset`. Did you mean `test`?\n"
    text = (tmp_path / "signalpost.yaml").read_text()
    for line in ("workspace: glow", "environment: test ", "currency: EUR ", "country: DE ", "order_value: net "):
        assert line in text
    assert "pinterest:" not in text
    assert run("check", "signalpost.yaml", environ=ENVIRON).returncode == 0


def test_init_without_answers_ends(run: Run, tmp_path: Path) -> None:
    """When nobody answers, it says how to do without, and writes nothing."""
    done = run("init")
    assert done.returncode == 2
    assert done.stderr == "No answer came; `signalpost init --yes` takes the defaults.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chek"], "No such command 'chek'. Did you mean 'check'? See: signalpost --help"),
        (["check", "--jsn"], "No such option: --jsn"),
        (["platforms", "--port", "99999"], "Invalid value for '--port'"),
        (["platforms", "--port", "http"], "Invalid value for '--port'"),
        (["platforms", "--host", "256.1.1.1"], "Nothing can listen on 256.1.1.1:0"),
        (["map"], "Missing argument"),
        (["map", "tikto"], "There is no platform `tikto`. Did you mean `tiktok`?"),
        (["map", "tiktok", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
    ],
)
def test_misuse_is_one_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    """A command used wrongly says so in one sentence on standard error and exits with 2."""
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in one_sentence(done)


def test_help_and_version(run: Run) -> None:
    """Every command has a page of help; the bare command shows its own."""
    assert run("--version").stdout.startswith("signalpost ")
    bare = run()
    assert bare.returncode == 2
    assert bare.stderr == ""
    for command in ("init", "check", "platforms", "map"):
        assert command in bare.stdout
        done = run(command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage" in done.stdout
