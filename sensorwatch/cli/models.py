"""Commands ``sensorwatch models``: list, compare, roll back, export and import model versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.models.records import ModelRef
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["app"]

_ShardOption = Annotated[int | None, typer.Option("--shard", min=0, help="Only this shard.")]
_SUFFIXES = (".skops", ".onnx")

app = typer.Typer(help="List, compare, roll back, export and import models.", invoke_without_command=True)


@app.callback()
def models(context: typer.Context, shard: _ShardOption = None, as_json: JsonOption = False) -> None:
    """List, compare, roll back, export and import models; without a subcommand, list versions."""
    if context.invoked_subcommand is None:
        _print_versions(context, shard, as_json=as_json)


@app.command("list")
def list_versions(context: typer.Context, shard: _ShardOption = None, as_json: JsonOption = False) -> None:
    """List model versions by shard, with the current version marked."""
    _print_versions(context, shard, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    device: Annotated[str | None, typer.Argument(help="Device of a sensor, to show its model.")] = None,
    tag: Annotated[str | None, typer.Argument(help="Tag of the sensor.")] = None,
    shard: Annotated[int | None, typer.Option(min=0, help="Shard, to show all its models.")] = None,
    version: Annotated[str | None, typer.Option(help="Version; default: the current one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the model of one sensor, or all models of a shard."""
    product = context.ensure_object(CommandContext).product
    if device is not None and tag is not None and shard is None:
        _print_sensor(product, _sensor(product, device, tag), version, as_json=as_json)
    elif device is None and shard is not None:
        _print_shard(product, _ref(product, shard, version), as_json=as_json)
    else:
        raise InvalidInputError("expected either DEVICE and TAG of a sensor, or --shard N")


@app.command()
def diff(
    context: typer.Context,
    shard: Annotated[int, typer.Argument(min=0, help="Shard number.")],
    old: Annotated[str | None, typer.Argument(help="Older version; default: the one before the newer version.")] = None,
    new: Annotated[str | None, typer.Argument(help="Newer version; default: the current one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the differences between two model versions of a shard."""
    from sensorwatch.models.diff import model_changes

    product = context.ensure_object(CommandContext).product
    newer = _ref(product, shard, new)
    older = ModelRef(shard, old) if old is not None else _before(product, newer)
    names = {sensor.sensor_id: sensor.key for sensor in product.store.sensors(shard)}
    rows = [
        {
            **_name(names.get(change.sensor_id), change.sensor_id),
            "change": change.kind,
            "detector": change.detector,
            "trained_until": None if change.training_end is None else utc_text(change.training_end),
            "distance": change.distance,
        }
        for change in model_changes(product.models.load(older), product.models.load(newer))
    ]
    title = f"Shard {shard}: {older.version} → {newer.version}"
    _print(title, rows, as_json=as_json, empty=f"{title}: no differences.")


@app.command()
def rollback(
    context: typer.Context,
    shard: Annotated[int, typer.Argument(min=0, help="Shard number.")],
    to: Annotated[
        str | None, typer.Option(help="Version to roll back to; default: the one before the current version.")
    ] = None,
) -> None:
    """Roll back the models of a shard to an older version."""
    from sensorwatch.models.rollback import roll_back

    product = context.ensure_object(CommandContext).product
    typer.echo(roll_back(shard, to, store=product.store, registry=product.models))


@app.command("export")
def export_one(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device of the sensor.")],
    tag: Annotated[str, typer.Argument(help="Tag of the sensor.")],
    file: Annotated[Path, typer.Argument(help="File to write, .skops or .onnx.")],
    version: Annotated[str | None, typer.Option(help="Version; default: the current one.")] = None,
) -> None:
    """Export the model of one sensor to a file that gives the same scores in other tools."""
    from sensorwatch.models.export_model import export_model, model_row

    if file.suffix not in _SUFFIXES:
        raise InvalidInputError(f"{file}: expected a file name that ends in .skops or .onnx")
    product = context.ensure_object(CommandContext).product
    sensor = _sensor(product, device, tag)
    ref = _ref(product, sensor.shard, version)
    content = export_model(model_row(product.models.load(ref), sensor.sensor_id), file.suffix)
    file.write_bytes(content)
    typer.echo(f"wrote {len(content)} bytes to {file}")


@app.command("import")
def import_files(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files named model_DEVICE_TAG.skops or .onnx, or folders with such files.")
    ],
    device: Annotated[
        str | None, typer.Option(help="Device of the model, if one file is given; overrides the file name.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Tag of the model, if one file is given.")] = None,
) -> None:
    """Import models that were trained elsewhere, and put them in use."""
    product = context.ensure_object(CommandContext).product
    files = _model_files(paths)
    given = SensorKey(device, tag) if device is not None and tag is not None else None
    if (device is None) != (tag is None) or (given is not None and len(files) != 1):
        raise InvalidInputError(f"expected --device and --tag together, with one file; got {len(files)} files")
    typer.echo(product.import_models(files, given))


def _print_versions(context: typer.Context, shard: int | None, *, as_json: bool) -> None:
    product = context.ensure_object(CommandContext).product
    versions = product.models.versions(shard)
    current = {product.models.current(number) for number in {ref.shard for ref in versions}}
    rows = [{"shard": ref.shard, "version": ref.version, "current": ref in current} for ref in versions]
    _print("Models", rows, as_json=as_json, empty="No models yet; run `sensorwatch train` to train them.")


def _print_sensor(product: Product, sensor: SensorStatus, version: str | None, *, as_json: bool) -> None:
    from sensorwatch.models.diff import describe_model
    from sensorwatch.models.export_model import model_row

    ref = _ref(product, sensor.shard, version)
    described = {
        **sensor.key._asdict(),
        "sensor_id": sensor.sensor_id,
        "shard": sensor.shard,
        "shard_version": ref.version,
        **describe_model(model_row(product.models.load(ref), sensor.sensor_id)),
    }
    if as_json:
        print_json(described)
    else:
        rows = [{"": name.replace("_", " "), "value": value} for name, value in described.items()]
        print_table(f"{sensor.key.device} {sensor.key.tag}", rows, empty="")


def _print_shard(product: Product, ref: ModelRef, *, as_json: bool) -> None:
    from sensorwatch.models.diff import describe_model
    from sensorwatch.models.export_model import model_row

    table = product.models.load(ref)
    names = {sensor.sensor_id: sensor.key for sensor in product.store.sensors(ref.shard)}
    sensors = []
    for sensor_id in table["sensor_id"].to_pylist():
        described = describe_model(model_row(table, sensor_id))
        shown = ("detector", "state", "reason", "windows", "trained_until", "expected_low", "expected_high", "version")
        sensors.append({**_name(names.get(sensor_id), sensor_id), **{name: described[name] for name in shown}})
    manifest = product.models.manifest(ref)
    if as_json:
        print_json({"shard": ref.shard, "version": ref.version, "manifest": manifest, "sensors": sensors})
        return
    about = [{"": name, "value": str(value)} for name, value in manifest.items() if not isinstance(value, list)]
    print_table(f"Shard {ref.shard}, version {ref.version}", about, empty="")
    print_table("Models", sensors, empty="No sensors.")


def _print(title: str, rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(title, rows, empty=empty)


def _name(key: SensorKey | None, sensor_id: int) -> dict[str, Any]:
    return {"sensor_id": sensor_id, "device": key and key.device, "tag": key and key.tag}


def _sensor(product: Product, device: str, tag: str) -> SensorStatus:
    found = [sensor for sensor in product.store.sensors() if sensor.key == (device, tag)]
    if not found:
        raise NotFoundError(f"no sensor with device {device} and tag {tag}; `sensorwatch sensors` lists all sensors")
    return found[0]


def _ref(product: Product, shard: int, version: str | None) -> ModelRef:
    current = ModelRef(shard, version) if version is not None else product.models.current(shard)
    if current is None:
        raise NotFoundError(f"shard {shard} has no models yet; `sensorwatch models list` lists shards with models")
    return current


def _before(product: Product, ref: ModelRef) -> ModelRef:
    older = [each for each in product.models.versions(ref.shard) if each.version < ref.version]
    if not older:
        raise NotFoundError(f"shard {ref.shard} has no version before {ref.version} to compare with")
    return older[0]


def _model_files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(each for each in path.glob("model_*") if each.suffix in _SUFFIXES)
        elif path.is_file():
            files.append(path)
        else:
            raise NotFoundError(f"{path}: file or folder not found")
    if not files:
        raise NotFoundError(f"no files named model_DEVICE_TAG.skops or .onnx in {', '.join(map(str, paths))}")
    return files
