"""`credfed train` on bad input: exit code 2, one line that says where, and nothing written, not even a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from federation.cli.main import app
from tests.small_federation import codes, write_dataset, write_description


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", codes(80))


def train(data: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), *options])


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def repeat_first_row(text: str) -> str:
    return text + text.splitlines()[1] + "\n"


def with_label(text: str) -> str:
    return "\n".join(f"{line},{'0' if i else 'defaulted'}" for i, line in enumerate(text.splitlines()))


def one_code_wrong(text: str) -> str:
    lines = text.splitlines()
    identifier = lines[3].split(",")[0]
    wrong = identifier[:-1] + ("0" if identifier[-1] != "0" else "1")
    return text.replace(identifier, wrong)


def label_of_row_5(text: str) -> str:
    lines = text.splitlines()
    identifier, _, rest = lines[5].split(",", 2)
    return "\n".join([*lines[:5], f"{identifier},2,{rest}", *lines[6:]])


def unknown_domain(data: Path) -> None:
    (data / "node_customs.csv").write_text("id,x\na,1\n")


def domain_without_file(data: Path) -> None:
    text = json.loads((data / "domains.json").read_text())["domains"]
    write_description(data, {**text, "customs": ["x"]})


def one_domain_alone(data: Path) -> None:
    for name in ("electricity", "housing", "social"):
        (data / f"node_{name}.csv").unlink()
    write_description(data, {"bank": ["utilisation"], "tax": ["sales"]})


INPUTS: dict[str, tuple[Callable[[Path], object], str, tuple[str, ...]]] = {
    "wrong USCC": (
        lambda d: edit(d / "node_bank.csv", one_code_wrong),
        "INVALID_USCC",
        ("node_bank.csv", "'id'", "row 3"),
    ),
    "wrong USCC at a node": (
        lambda d: edit(d / "node_tax.csv", one_code_wrong),
        "INVALID_USCC",
        ("node_tax.csv", "'id'", "row 3"),
    ),
    "missing column": (
        lambda d: edit(d / "node_social.csv", lambda t: t.replace("staff", "stuff", 1)),
        "MISSING_COLUMN",
        ("node_social.csv", "'staff'"),
    ),
    "duplicate ids": (
        lambda d: edit(d / "node_housing.csv", repeat_first_row),
        "DUPLICATE_ID",
        ("node_housing.csv", "'id'", "row 71", "row 1"),
    ),
    "non-binary label": (
        lambda d: edit(d / "node_bank.csv", label_of_row_5),
        "LABEL_NOT_BINARY",
        ("node_bank.csv", "'defaulted'", "row 5"),
    ),
    "unknown domain": (unknown_domain, "UNKNOWN_DOMAIN", ("node_customs.csv",)),
    "domain without file": (domain_without_file, "MISSING_FILE", ("node_customs.csv",)),
    "empty node": (
        lambda d: edit(d / "node_tax.csv", lambda t: t.splitlines()[0]),
        "EMPTY_NODE",
        ("node_tax.csv",),
    ),
    "label at a node": (
        lambda d: edit(d / "node_tax.csv", with_label),
        "LABEL_IN_DATA_NODE",
        ("node_tax.csv", "'defaulted'"),
    ),
    "one data node alone": (one_domain_alone, "TOO_FEW_NODES", ("data",)),
    "no description": (lambda d: (d / "domains.json").unlink(), "MISSING_FILE", ("domains.json",)),
}


@pytest.mark.parametrize("case", INPUTS)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, data: Path, case: str) -> None:
    change, code, places = INPUTS[case]
    change(data)
    before = sorted(tmp_path.rglob("*"))
    result = train(data, tmp_path / "deep" / "site")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith(f"error {code}: ")
    for place in places:
        assert place in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", INPUTS)
def test_bad_input_as_json(tmp_path: Path, data: Path, case: str) -> None:
    change, code, places = INPUTS[case]
    change(data)
    result = train(data, tmp_path / "site", "--json")
    assert result.exit_code == 2
    assert result.stderr == ""
    error = json.loads(result.stdout)["error"]
    assert error["code"] == code
    for place in places:
        assert place in error["text"]
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--model", "forest"), "UNKNOWN_MODEL"),
        (("--test-size", "0"), "BAD_SPLIT"),
        (("--test-size", "1"), "BAD_SPLIT"),
        (("--test-size", "nan"), "BAD_SPLIT"),
        (("--key-bits", "2050"), "KEY_LENGTH"),
        (("--rho", "nan"), "USAGE"),
        (("--model", "boosting", "--learning-rate", "nan"), "USAGE"),
    ],
)
def test_an_option_that_cannot_be_is_refused(tmp_path: Path, data: Path, options: tuple[str, ...], code: str) -> None:
    result = train(data, tmp_path / "site", *options)
    assert (result.exit_code, result.stderr.split()[1]) == (2, f"{code}:")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    ("model", "option", "value"),
    [
        ("scorecard", "--trees", "40"),
        ("scorecard", "--trees", "192"),
        ("scorecard", "--depth", "2"),
        ("scorecard", "--learning-rate", ".1"),
        ("scorecard", "--row-totals", "3"),
        ("boosting", "--refinements", "1"),
        ("boosting", "--signs", "free"),
    ],
)
def test_an_option_of_the_other_family_is_refused_not_ignored(
    tmp_path: Path, data: Path, model: str, option: str, value: str
) -> None:
    result = train(data, tmp_path / "site", "--model", model, option, value)
    other = {"scorecard": "boosting", "boosting": "scorecard"}[model]
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error OTHER_FAMILY: {option} is for --model {other};")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("options", [("--key-bits", "3072"), ("--cores", "1"), ("--compare",), ("--consent", "x")])
def test_an_option_that_a_federation_which_is_up_does_not_take_is_refused(
    federation_folder: Path, options: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(app, ["train", "--federation", str(federation_folder), *options])
    assert (result.exit_code, result.stderr.split()[:3]) == (2, ["error", "USAGE:", options[0]])


def test_a_consent_goes_with_a_banks_own_directory(tmp_path: Path, data: Path) -> None:
    result = train(data, tmp_path / "site", "--consent", "x")
    assert (result.exit_code, result.stderr.split()[:3]) == (2, ["error", "USAGE:", "--consent"])


@pytest.mark.parametrize("options", [("--key-bits", "1024"), ("--seed", "-1"), ("--min-bin", "1"), ("--nonsense",)])
def test_an_option_out_of_range_is_a_usage_error(tmp_path: Path, data: Path, options: tuple[str, ...]) -> None:
    assert train(data, tmp_path / "site", *options).exit_code == 2
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "name",
    [
        *("coordinator", "consent_service", "cards", "issuers", "run", "flower", "superlink", "_everyone"),
        *("results.json", "../tax", "supernode-tax", "supernode-social", "SuperNode-x", "Coordinator", "Bank"),
    ],
)
def test_a_domain_cannot_take_the_name_of_something_else(tmp_path: Path, data: Path, name: str) -> None:
    domains = json.loads((data / "domains.json").read_text())["domains"]
    domains[name] = domains.pop("tax")
    (data / "node_tax.csv").rename(data / f"node_{name.replace('/', '')}.csv")
    write_description(data, domains)
    result = train(data, tmp_path / "site")
    assert result.exit_code == 2
    assert result.stderr.startswith("error UNKNOWN_DOMAIN: ")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(("one", "other"), [("tax", "Tax"), ("税务", "xn-zfr703g")])
def test_two_domains_that_would_be_one_party_or_one_folder_are_refused(
    tmp_path: Path, data: Path, one: str, other: str
) -> None:
    domains = json.loads((data / "domains.json").read_text())["domains"]
    domains |= {one: domains.pop("tax"), other: domains.pop("social")}
    (data / "node_tax.csv").rename(data / f"node_{one}.csv")
    (data / "node_social.csv").rename(data / f"node_{other}.csv")
    write_description(data, domains)
    result = train(data, tmp_path / "site")
    assert (result.exit_code, result.stderr.split()[1]) == (2, "UNKNOWN_DOMAIN:")
    assert "would be the party" in result.stderr
    assert not (tmp_path / "site").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, data: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    for out in (tmp_path / "thesis", tmp_path / "thesis" / "chapter1.tex", data):
        result = train(data, out)
        assert (result.exit_code, result.stderr.split()[1]) == (2, "OUT_NOT_EMPTY:")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_a_federation_that_holds_the_data_is_not_replaced(federation_folder: Path) -> None:
    before = {path: path.read_bytes() for path in federation_folder.rglob("*") if path.is_file()}
    result = train(federation_folder / "data", federation_folder)
    assert (result.exit_code, result.stderr.split()[1]) == (2, "OUT_HOLDS_DATA:")
    assert {path: path.read_bytes() for path in federation_folder.rglob("*") if path.is_file()} == before


def test_a_failed_run_leaves_the_earlier_federation_as_it_was(
    tmp_path: Path, data: Path, federation_folder: Path
) -> None:
    edit(data / "node_tax.csv", one_code_wrong)
    before = {path: path.read_bytes() for path in federation_folder.rglob("*") if path.is_file()}
    assert train(data, federation_folder).exit_code == 2
    assert {path: path.read_bytes() for path in federation_folder.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "federation"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    result = train(data, tmp_path / "file" / "site")
    assert (result.exit_code, result.stderr.split()[1]) == (2, "OUT_NOT_WRITABLE:")


@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [(("--rho", "1"), "NO_NOISE", "without --rho"), (("--model", "boosting"), "DOMAIN_SPLIT", "serves a scorecard")],
)
def test_what_a_split_domain_does_not_serve_is_said_before_anything_is_made(
    data: Path, tmp_path: Path, options: tuple[str, ...], code: str, advice: str
) -> None:
    described = json.loads((data / "domains.json").read_text())
    (data / "domains.json").write_text(json.dumps(described | {"regions": {"tax": ["tax_north", "tax_south"]}}))
    head, *lines = (data / "node_tax.csv").read_text().splitlines(keepends=True)
    (data / "node_tax.csv").unlink()
    for office, part in (("north", lines[:40]), ("south", lines[40:])):
        (data / f"node_tax_{office}.csv").write_text(head + "".join(part))
    result = train(data, tmp_path / "out", *options)
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert code in said
    assert advice in said
    assert not (tmp_path / "out").exists()
