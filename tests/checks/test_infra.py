"""The templates in infra/ fit each other and the code: settings, names, roles, parameters and formulas."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from every_case import check_every
from pycep import BicepParser

from sensorwatch.scheduling.batch_client import autoscale_formula
from sensorwatch.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TEMPLATES = sorted(INFRA.rglob("*.bicep"))
# Settings of the host and of its extensions, which are not Sensorwatch's own.
HOST_SETTINGS = {"APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN_ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "storageQueueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "eventHubsDataReceiver": "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "eventHubsDataSender": "2b629674-e913-4c01-ae53-ef4638d8f975",
    "batchJobSubmitter": "48e5e92e-a480-4e71-aa9c-2778f4c13781",
    "containerRegistryPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
# Who may do what on what: the whole of it.
ACCESS = {
    ("appPrincipalId", "storage", "storageBlobDataOwner"),
    ("appPrincipalId", "storage", "storageQueueDataContributor"),
    ("appPrincipalId", "eventHubs", "eventHubsDataReceiver"),
    ("appPrincipalId", "alertHub", "eventHubsDataSender"),
    ("appPrincipalId", "batch", "batchJobSubmitter"),
    ("appPrincipalId", "insights", "monitoringMetricsPublisher"),
    ("taskPrincipalId", "containers[i]", "storageBlobDataContributor"),
    ("taskPrincipalId", "registry", "containerRegistryPull"),
    ("taskPrincipalId", "insights", "monitoringMetricsPublisher"),
    ("principalId", "storage", "storageBlobDataOwner"),
    ("principalId", "eventHubs", "eventHubsDataSender"),
    ("principalId", "batch", "batchJobSubmitter"),
}


def text_of(name: str) -> str:
    return (INFRA / name).read_text(encoding="utf-8")


@cache
def parser() -> BicepParser:
    return BicepParser()


@cache
def parsed(path: Path) -> dict[str, Any]:
    return dict(parser().parse(file_path=path))


def app_settings() -> dict[str, str]:
    """Return the settings of the function app with the expressions that give their values."""
    block = re.search(r"^var values = \{\n(.*?)^\}", text_of("modules/function-app.bicep"), re.MULTILINE | re.DOTALL)
    assert block is not None
    return dict(line.strip().split(": ", 1) for line in block[1].splitlines() if line.strip())


def bound_names() -> set[str]:
    """Return the settings that the Functions host fills into the triggers."""
    files = [*(ROOT / "functions").glob("*.py")]
    return {name for file in files for name in re.findall("%([A-Z_]+)%", file.read_text(encoding="utf-8"))}


# ---- templates among themselves --------------------------------------------------------------------------------------


def test_every_template_parses() -> None:
    def check(path: Path) -> None:
        assert parsed(path)["resources"] or parsed(path)["modules"]

    check_every(TEMPLATES, check)


def test_every_module_is_given_the_parameters_that_it_takes() -> None:
    def check(case: tuple[Path, str]) -> None:
        path, name = case
        module = parsed(path)["modules"][name]
        declared = parsed(path.parent / module["detail"]["path"])["parameters"]
        # Those of a conditional module are one level deeper.
        config = module["config"]
        given = (config["params"] if "params" in config else config["config"]["params"]).keys()
        required = {name for name, parameter in declared.items() if parameter["default"] is None}
        assert required <= given <= declared.keys()

    check_every([(path, name) for path in TEMPLATES for name in parsed(path).get("modules", {})], check)


def test_every_output_that_is_used_exists() -> None:
    def check(case: tuple[Path, str, str]) -> None:
        path, module, output = case
        files = re.findall(rf"^module {module} '([^']+)'", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert output in parsed(path.parent / files[0])["outputs"]

    uses = re.compile(r"(\w+)!?\.outputs\.(\w+)")
    check_every([(path, *use) for path in TEMPLATES for use in uses.findall(path.read_text(encoding="utf-8"))], check)


def test_the_parameter_file_names_parameters() -> None:
    given = json.loads(text_of("main.parameters.json"))["parameters"]
    assert given.keys() <= parsed(INFRA / "main.bicep")["parameters"].keys()


# ---- templates and code ----------------------------------------------------------------------------------------------


def test_the_function_app_has_every_setting_that_the_triggers_name() -> None:
    assert bound_names() <= app_settings().keys()


def test_the_function_app_has_every_setting_without_a_default() -> None:
    required = {str(field.alias) for field in Settings.model_fields.values() if field.is_required()}
    assert required <= app_settings().keys()


def test_every_setting_of_the_function_app_is_one_of_the_codes() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    assert app_settings().keys() - HOST_SETTINGS <= known


def test_no_setting_holds_a_secret() -> None:
    assert TEMPLATES
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\blist(Keys|AccountSas|ServiceSas|ConnectionStrings)\b|@secure", text), path


def test_the_schedules_are_those_of_the_template_for_one_machine() -> None:
    values = json.loads((ROOT / "local.settings.json.template").read_text(encoding="utf-8"))["Values"]
    schedules = {name: value for name, value in values.items() if name.endswith("_SCHEDULE")}
    assert {name: app_settings()[name].strip("'") for name in schedules} == schedules


def test_the_containers_of_the_settings_exist() -> None:
    names = {field.default for field in Settings.model_fields.values() if str(field.alias or "").endswith("_CONTAINER")}
    made = re.search(r"for container in \[(.*?)\]", text_of("modules/storage.bicep"))
    assert made is not None
    assert names <= set(re.findall(r"'([^']+)'", made[1]))


def test_the_pool_scales_as_one_that_the_command_line_makes() -> None:
    formula = text_of("pool-autoscale.txt").format(7, 3)
    assert re.sub(r"\s+", "", formula) == re.sub(r"\s+", "", autoscale_formula(max_nodes=7, slots_per_node=3))


def test_alert_rules_and_the_workbook_ask_for_the_same_metrics() -> None:
    shown = set(re.findall(r"sensorwatch\.[a-z_.]+[a-z]", text_of("workbook.json")))
    alerted = set(re.findall(r'"(sensorwatch\.[a-z_.]+[a-z])"', text_of("modules/alerts.bicep")))
    assert alerted <= shown


# ---- access ----------------------------------------------------------------------------------------------------------


def test_every_role_is_the_built_in_one_of_its_name() -> None:
    block = re.search(r"^var roles = \{\n(.*?)^\}", text_of("modules/access.bicep"), re.MULTILINE | re.DOTALL)
    assert block is not None
    assert dict(re.findall(r"(\w+): '([0-9a-f-]{36})'", block[1])) == BUILT_IN_ROLES


def test_identities_may_do_what_the_table_says_and_nothing_else() -> None:
    found = re.findall(
        r"name: guid\([^)]*\)\n\s+scope: (\S+)\n\s+properties: \{\n\s+principalId: (\w+)\n"
        r"\s+principalType: \S+\n\s+roleDefinitionId: .*?roles\.(\w+)\)",
        text_of("modules/access.bicep"),
    )
    assert {(principal, scope, role) for scope, principal, role in found} == ACCESS
    assert len(found) == text_of("modules/access.bicep").count("roleAssignments@")


def test_roles_are_given_in_one_file_only() -> None:
    others = [path for path in TEMPLATES if path.name != "access.bicep"]
    assert "roleAssignments" in text_of("modules/access.bicep")
    assert others
    assert not [path for path in others if "roleAssignments" in path.read_text(encoding="utf-8")]


def test_the_access_page_names_every_role() -> None:
    page = (ROOT / "docs/operations/azure.md").read_text(encoding="utf-8")
    words = {re.sub(r"(?<!^)([A-Z])", r" \1", role).lower() for _, _, role in ACCESS}
    names = {"container registry pull": "acrpull", "event hubs data": "azure event hubs data"}
    for word in words:
        assert names.get(word, word) in page.lower(), word


# ---- scripts, image, workflows ---------------------------------------------------------------------------------------


def test_every_hook_of_the_deployment_exists_and_can_be_run() -> None:
    import os

    import yaml

    hooks = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))["hooks"]
    assert hooks
    for hook in hooks.values():
        assert os.access(ROOT / hook["posix"]["run"], os.X_OK)


def test_the_hooks_read_only_outputs_of_the_deployment_and_known_variables() -> None:
    outputs = set(parsed(INFRA / "main.bicep")["outputs"])
    assigned = r"^\s*(?:if ! )?(\w+)="
    for name in ("who-deploys.sh", "prepare-data.sh", "subscribe-predictions.sh"):
        text = text_of(f"scripts/{name}")
        known = outputs | set(re.findall(assigned, text, re.MULTILINE))
        # Variables with a default are optional.
        read = set(re.findall(r"\$\{?(\w+)\}?(?!:-)", re.sub(r"\$\{\w+:-", "", text)))
        assert read, name
        assert sorted(variable for variable in read - known if not variable.isdigit()) == [], name


def test_the_image_holds_all_that_tasks_need_and_runs_as_an_ordinary_user() -> None:
    lines = text_of("Dockerfile").splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    copied = {
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_the_constraints_are_within_the_requirements() -> None:
    from packaging.requirements import Requirement

    pins = [Requirement(line) for line in text_of("constraints.txt").splitlines() if not line.startswith("#")]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]

    def check(requirement: Requirement) -> None:
        versions = [str(pin.specifier)[2:] for pin in pins if pin.name.lower() == requirement.name.lower()]
        assert versions
        assert all(requirement.specifier.contains(version) for version in versions)

    check_every(requirements, check)


def test_workflows_pin_permissions_and_store_no_secret() -> None:
    import yaml

    def check(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text
        assert yaml.safe_load(text)["permissions"]["contents"] == "read"
        assert "write-all" not in text

    check_every(sorted((ROOT / ".github/workflows").glob("*.yml")), check)
