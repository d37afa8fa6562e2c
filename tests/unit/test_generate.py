"""The packages of generated code are what protos/generate.py makes of their protos."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "protos" / "generate.py"))


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


@pytest.mark.parametrize("package", ["app.gen", "tests.gen"])
def test_the_committed_code_is_generated_from_the_committed_protos(package: str) -> None:
    folder = ROOT.joinpath(*package.split("."))
    generated = SCRIPT["generate"](SCRIPT["PACKAGES"][package], package)
    committed = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*.py*")
        if "__pycache__" not in path.parts and path.name != "__init__.py"
    }
    assert generated == committed, f"{package} has drifted from its protos: run `make gen`"


COMMON = {
    "google/api/annotations.proto": "",
    "google/api/field_behavior.proto": "string text = 1 [(google.api.field_behavior) = REQUIRED];",
    "google/longrunning/operations.proto": "google.longrunning.Operation operation = 2;",
    "google/rpc/status.proto": "google.rpc.Status status = 3;",
    "google/type/money.proto": "google.type.Money price = 4;",
    "google/type/latlng.proto": "google.type.LatLng place = 5;",
}


def test_a_proto_may_import_those_of_googleapis_common_protos(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    (protos / "shop" / "v1").mkdir(parents=True)
    (protos / "shop" / "v1" / "shop.proto").write_text(
        'syntax = "proto3"; package shop.v1;'
        + "".join(f'import "{name}";' for name in COMMON)
        + f"message Item {{ {''.join(COMMON.values())} }}"
        'service Shop { rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/item" }; } }'
    )
    generated = SCRIPT["generate"](protos, "made.here")
    assert {name.rpartition("/")[0] for name in generated} == {"shop/v1"}, "their code is installed"
    for name, text in generated.items():
        path = tmp_path / "made" / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = (
        "from google.type.money_pb2 import Money; from made.here.shop.v1 import shop_pb2, shop_pb2_grpc;"
        "print(shop_pb2.Item(price=Money(units=3)).price.units)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=60, capture_output=True, text=True
    )
    assert done.stdout == "3\n"


def test_a_proto_that_imports_others_works_at_any_depth(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    (protos / "deep").mkdir(parents=True)
    (protos / "base.proto").write_text('syntax = "proto3"; package base; message Base { string text = 1; }')
    (protos / "deep" / "leaf.proto").write_text(
        'syntax = "proto3"; package deep; import "base.proto"; import "google/protobuf/timestamp.proto";'
        "message Leaf { base.Base base = 1; google.protobuf.Timestamp at = 2; }"
    )
    (protos / "user.proto").write_text(
        'syntax = "proto3"; package user; import "deep/leaf.proto"; import "base.proto";'
        "service User { rpc Get(deep.Leaf) returns (base.Base); }"
    )
    for name, text in SCRIPT["generate"](protos, "made.here").items():
        path = tmp_path / "made" / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = (
        "from made.here import user_pb2_grpc, base_pb2; from made.here.deep import leaf_pb2;"
        "leaf_pb2.Leaf(base=base_pb2.Base(text='x')).at.GetCurrentTime(); user_pb2_grpc.UserServicer"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=30)
