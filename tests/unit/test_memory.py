import io
import json
from pathlib import Path

from app.runtime.memory import budget, check_memory, memory_limit
from app.runtime.server_settings import ServerSettings
from app.telemetry.logs import logs


def logged(limit: int | None, settings: ServerSettings) -> list[dict[str, object]]:
    out = io.StringIO()
    with logs("info", "json", out):
        check_memory(settings, limit)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_limit_below_the_budget_is_a_warning_that_names_the_settings() -> None:
    settings = ServerSettings()
    total = sum(part.bytes for part in budget(settings))
    [line] = logged(total - 1, settings)
    assert line["event"] == "memory_limit_below_budget"
    assert line["budget_mib"] == total // 1024**2
    assert "APP_MAX_MESSAGE_BYTES" in str(line["parts_mib"])
    assert not logged(total, settings)
    assert not logged(None, settings)


def test_the_budget_grows_with_each_limit() -> None:
    def total(settings: ServerSettings) -> int:
        return sum(part.bytes for part in budget(settings))

    least = total(ServerSettings())
    for more in (
        ServerSettings(max_message_bytes=8 * 1024**2),
        ServerSettings(max_streams=200),
        ServerSettings(max_waiting_calls=100),
        ServerSettings(max_calls=2000),
        ServerSettings(max_checks=2000),
        ServerSettings(max_watches=2000),
        ServerSettings(workers=64),
        ServerSettings(max_held_bytes=256 * 1024**2),
        ServerSettings(max_connections=5000),
        ServerSettings(share_reserve=0.5),
    ):
        assert total(more) > least
    assert total(ServerSettings(share_by="none")) < least


def test_the_limit_is_that_of_the_cgroup(tmp_path: Path) -> None:
    second, first = tmp_path / "memory.max", tmp_path / "limit_in_bytes"
    assert memory_limit((second, first)) is None
    second.write_text("max\n")
    assert memory_limit((second, first)) is None
    first.write_text("9223372036854771712\n")
    assert memory_limit((second, first)) is None
    second.write_text("671088640\n")
    assert memory_limit((second, first)) == 640 * 1024**2
