"""What the S3 store makes of refusals, broken answers and servers that keep fewer promises."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import boto3.s3.transfer
import boto3.session
import pytest

from a360.errors import ConfigError, MissingError, TransientError
from a360.storage import Store, StoreSettings, open_store, probe_conditional_put
from a360.storage.os_errors import DiskFullError
from a360.storage.s3_store import RequestLimits, S3Store
from tests.servers import Answer, Request, S3Server, forward, s3_error, small_disk_command, stub_server

pytestmark = pytest.mark.integration
TWICE = RequestLimits(attempts=2, connect_seconds=5, read_seconds=5)


@pytest.fixture(autouse=True)
def credentials(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(moto: S3Server) -> str:
    return f"s3://{moto.create_bucket()}"


def all_verbs(store: Store, target_dir: Path) -> dict[str, Callable[[], object]]:
    return {
        "list": lambda: list(store.list("v1/")),
        "read": lambda: store.read("key"),
        "range": lambda: store.read("key", -8, 8),
        "write": lambda: store.write("key", b"data"),
        "put_if_absent": lambda: store.put_if_absent("key", b"data"),
        "pull_tree": lambda: store.pull_tree(["key"], target_dir),
        "delete": lambda: store.delete("key"),
    }


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDenied", "check AWS_ACCESS_KEY_ID"),
        (401, "Unauthorized", "check AWS_ACCESS_KEY_ID"),
        (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "check AWS_ACCESS_KEY_ID"),
        (403, "RequestTimeTooSkewed", "clock"),
        (400, "ExpiredToken", "get new temporary credentials"),
        (404, "NoSuchBucket", "create the bucket"),
        (501, "NotImplemented", "check endpoint"),
    ],
)
def test_a_refusal_is_a_configuration_error_and_is_asked_once(
    status: int, code: str, hint: str, tmp_path: Path
) -> None:
    with stub_server(lambda request: s3_error(status, code)) as stub:
        store = open_store("s3://bucket/prefix", stub.settings)
        for verb, call in all_verbs(store, tmp_path).items():
            stub.requests.clear()
            with pytest.raises(ConfigError) as caught:
                call()
            assert len(stub.requests) == 1, verb
            assert f"{status} {code}" in caught.value.message
            assert "s3://bucket/prefix" in caught.value.message
            assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("status", "code"), [(500, "AnyError"), (429, "Throttling"), (400, "RequestTimeout")]
)
def test_what_may_pass_is_asked_again_and_then_a_transient_error(status: int, code: str) -> None:
    with stub_server(lambda request: s3_error(status, code)) as stub:
        with pytest.raises(TransientError, match=f"{status} {code}"):
            S3Store("s3://bucket", stub.settings, TWICE).read("key")
        assert len(stub.requests) == 2


def test_a_busy_store_is_asked_again_by_every_verb(tmp_path: Path) -> None:
    with stub_server(lambda request: s3_error(503, "SlowDown")) as stub:
        store = S3Store("s3://bucket", stub.settings, TWICE)
        for verb, call in all_verbs(store, tmp_path).items():
            stub.requests.clear()
            with pytest.raises(TransientError, match="503 SlowDown") as caught:
                call()
            assert len(stub.requests) == 2, verb
            assert caught.value.hint


def test_a_store_that_is_busy_for_a_moment_goes_unnoticed(moto: S3Server, bucket: str) -> None:
    def busy_first(request: Request) -> Answer:
        return s3_error(503, "SlowDown") if len(stub.requests) == 1 else forward(request, moto.endpoint_url)

    with stub_server(busy_first) as stub:
        S3Store(bucket, stub.settings, TWICE).write("key", b"data")
        assert [request.method for request in stub.requests] == ["PUT", "PUT"]
    assert open_store(bucket).read("key") == b"data"


def test_a_store_that_does_not_answer_is_a_transient_error() -> None:
    released = threading.Event()

    def wait(request: Request) -> Answer:
        released.wait(60)
        return Answer(200)

    with stub_server(wait) as stub:
        store = S3Store("s3://bucket", stub.settings, RequestLimits(attempts=2, read_seconds=0.2))
        with pytest.raises(TransientError, match=r"(?s)s3://bucket/key.*hint: "):
            store.read("key")
        released.set()
        assert len(stub.requests) == 2


def test_nobody_at_the_endpoint_is_a_transient_error() -> None:
    with stub_server(lambda request: Answer(200)) as stub:
        settings = stub.settings
    with pytest.raises(TransientError, match="endpoint"):
        S3Store("s3://bucket", settings, TWICE).read("key")


def test_a_connection_that_breaks_within_a_body_is_read_again(moto: S3Server, bucket: str) -> None:
    open_store(bucket).write("key", b"0123456789")

    def cut(request: Request) -> Answer:
        answer = forward(request, moto.endpoint_url)
        if len(stub.requests) <= breaks:
            return answer._replace(
                body=answer.body[:4], headers={"Content-Length": "10", "Connection": "close"}
            )
        return answer

    with stub_server(cut) as stub:
        breaks = 2
        assert S3Store(bucket, stub.settings, TWICE).read("key") == b"0123456789"
        assert len(stub.requests) == 3
        stub.requests.clear()
        breaks = 99
        with pytest.raises(TransientError, match=f"{bucket}/key"):
            S3Store(bucket, stub.settings, TWICE).read("key")
        assert len(stub.requests) == 3


@pytest.mark.parametrize("server_name", ["moto", "versitygw"])
def test_a_missing_bucket_is_a_configuration_error(
    server_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: S3Server = request.getfixturevalue(server_name)
    store = open_store("s3://a360-no-such-bucket/x", server.settings)
    calls = all_verbs(store, tmp_path)
    for verb in ("list", "read", "range", "write", "put_if_absent", "pull_tree"):
        with pytest.raises(ConfigError, match=r"(?s)NoSuchBucket.*hint: create the bucket"):
            calls[verb]()


def test_a_wrong_secret_is_a_configuration_error(
    versitygw: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = open_store(f"s3://{versitygw.create_bucket()}", versitygw.settings)
    for call in all_verbs(store, tmp_path).values():
        with pytest.raises(ConfigError, match="403 SignatureDoesNotMatch"):
            call()


def test_no_credentials_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch, moto: S3Server) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match=r"(?s)no usable credentials for s3://b/key.*AWS_ACCESS_KEY_ID"):
        open_store("s3://b", moto.settings).read("key")


@pytest.mark.parametrize("endpoint_url", ["not a url", "ftp://", "localhost:9000"])
def test_a_malformed_endpoint_is_a_configuration_error(endpoint_url: str) -> None:
    with pytest.raises(ConfigError, match="s3://b"):
        open_store("s3://b", StoreSettings(endpoint_url=endpoint_url))


def test_the_endpoint_may_come_from_the_environment(moto: S3Server, bucket: str) -> None:
    store = open_store(bucket)
    store.write("key", b"data")
    assert open_store(bucket, moto.settings).read("key") == b"data"


def test_settings_choose_region_path_style_and_checksums() -> None:
    with stub_server(lambda request: Answer(200)) as stub:
        for checksum in ("when_supported", "when_required"):
            settings = stub.settings.model_copy(update={"region": "eu-test-1", "checksum": checksum})
            open_store("s3://bucket/x", settings).write("key", b"data")
            sent = stub.requests[-1]
            assert sent.path == "/bucket/x/key"
            assert "/eu-test-1/s3/" in sent.headers["authorization"]
            assert ("x-amz-checksum-crc32" in sent.headers) == (checksum == "when_supported")
        virtual = stub.settings.model_copy(
            update={"path_style": False, "endpoint_url": "http://a360.invalid"}
        )
        with pytest.raises(TransientError, match=r"http://bucket\.a360\.invalid/x/key"):
            S3Store("s3://bucket/x", virtual, RequestLimits(attempts=1)).read("key")


# --- conditional put ----------------------------------------------------------------------------------


def test_a_store_that_ignores_the_condition_is_found_out_by_the_probe(moto: S3Server, bucket: str) -> None:
    with stub_server(lambda request: forward(request, moto.endpoint_url, drop=["if-none-match"])) as stub:
        store = open_store(bucket, stub.settings)
        assert probe_conditional_put(store) is False
        assert list(store.list()) == []
    assert probe_conditional_put(open_store(bucket)) is True


def test_a_put_whose_answer_was_lost_still_won(moto: S3Server, bucket: str) -> None:
    """The store has the object, the client sees 500, the SDK repeats the request and gets 412."""

    def lose_first_answer(request: Request) -> Answer:
        answer = forward(request, moto.endpoint_url)
        return s3_error(500, "InternalError") if len(stub.requests) == 1 else answer

    with stub_server(lose_first_answer) as stub:
        assert S3Store(bucket, stub.settings, TWICE).put_if_absent("key", b"mine") is True
        assert [request.method for request in stub.requests] == ["PUT", "PUT", "GET"]
    assert open_store(bucket).read("key") == b"mine"


def test_a_repeated_put_that_meets_another_writers_object_has_lost(moto: S3Server, bucket: str) -> None:
    def other_writer_first(request: Request) -> Answer:
        if len(stub.requests) == 1:
            open_store(bucket).write("key", b"theirs")
            return s3_error(500, "InternalError")
        return forward(request, moto.endpoint_url)

    with stub_server(other_writer_first) as stub:
        assert S3Store(bucket, stub.settings, TWICE).put_if_absent("key", b"mine") is False
    assert open_store(bucket).read("key") == b"theirs"


def test_a_conflict_is_tried_again(moto: S3Server, bucket: str) -> None:
    def conflict_twice(request: Request) -> Answer:
        if len(stub.requests) <= 2:
            return s3_error(409, "ConditionalRequestConflict")
        return forward(request, moto.endpoint_url)

    with stub_server(conflict_twice) as stub:
        assert open_store(bucket, stub.settings).put_if_absent("key", b"mine") is True
        assert len(stub.requests) == 3


def test_an_endless_conflict_is_settled_by_reading(moto: S3Server, bucket: str) -> None:
    def always_conflict(request: Request) -> Answer:
        if request.method == "PUT":
            return s3_error(409, "ConditionalRequestConflict")
        return forward(request, moto.endpoint_url)

    with stub_server(always_conflict) as stub:
        store = open_store(bucket, stub.settings)
        with pytest.raises(TransientError, match="conflicts, still no object"):
            store.put_if_absent("key", b"mine")
        open_store(bucket).write("key", b"theirs")
        assert store.put_if_absent("key", b"mine") is False


# --- ranges and transfers -----------------------------------------------------------------------------


def _ignore_range(request: Request, endpoint_url: str) -> Answer:
    return forward(request, endpoint_url, drop=["range"])


def _range_with_status_200(request: Request, endpoint_url: str) -> Answer:
    answer = forward(request, endpoint_url)
    return answer._replace(status=200) if answer.status == 206 else answer


@pytest.mark.parametrize("change", [_ignore_range, _range_with_status_200])
def test_ranges_hold_on_servers_that_answer_them_with_200(
    change: Callable[[Request, str], Answer], moto: S3Server, bucket: str
) -> None:
    data = bytes(range(256)) * 8192 + b"end"
    open_store(bucket).write("key", data)
    with stub_server(lambda request: change(request, moto.endpoint_url)) as stub:
        store = open_store(bucket, stub.settings)
        assert store.read("key", 3, 5) == data[3:8]
        assert store.read("key", 1_500_000, 7) == data[1_500_000:1_500_007]
        assert store.read("key", -3) == b"end"
        assert store.read("key", -10, 4) == data[-10:-6]
        assert store.read("key", 10) == data[10:]


def test_a_pulled_file_of_another_size_than_announced_never_gets_its_name(
    moto: S3Server, bucket: str, tmp_path: Path
) -> None:
    """A server that ignores ranges writes the whole object at each part's offset."""
    open_store(bucket).write("key", bytes(70 << 20))
    with stub_server(lambda request: _ignore_range(request, moto.endpoint_url)) as stub:
        store = open_store(bucket, stub.settings)
        with pytest.raises(TransientError, match=f"{bucket}/key came with"):
            store.pull_tree(["key"], tmp_path)
    assert not (tmp_path / "key").exists()


def test_an_object_that_is_replaced_while_it_is_pulled_is_a_transient_error(
    moto: S3Server, bucket: str, tmp_path: Path
) -> None:
    direct = open_store(bucket)
    direct.write("key", bytes(130 << 20))

    def replace_after_first_part(request: Request) -> Answer:
        answer = forward(request, moto.endpoint_url)
        if len(stub.requests) == 1:
            direct.write("key", b"\1" * (130 << 20))
        return answer

    with stub_server(replace_after_first_part) as stub:
        store = open_store(bucket, stub.settings)
        with pytest.raises(TransientError, match="was replaced while it was read"):
            store.pull_tree(["key"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_transfers_use_the_client_that_respects_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """On large GPU machines boto3 would choose another client, which ignores endpoint_url."""
    from a360.storage.s3_store import _TRANSFER

    monkeypatch.setattr(boto3.s3.transfer, "HAS_CRT", True)
    monkeypatch.setattr(boto3.s3.transfer, "has_minimum_crt_version", lambda version: True)
    machine = type("s3", (), {"is_optimized_for_system": staticmethod(lambda: True)})
    monkeypatch.setattr(boto3.s3.transfer, "awscrt", type("awscrt", (), {"s3": machine}), raising=False)
    chooses_other_client: Callable[[object], bool] = vars(boto3.s3.transfer)["_should_use_crt"]
    assert chooses_other_client(boto3.s3.transfer.TransferConfig())
    assert not chooses_other_client(_TRANSFER)


def test_a_full_disk_while_pulling_is_a_transient_error_and_leaves_no_file(
    moto: S3Server, bucket: str, tmp_path: Path
) -> None:
    open_store(bucket).write("key", bytes(8 << 20))
    code = (
        "import sys, pathlib; from a360.storage import open_store\n"
        "from a360.storage.os_errors import DiskFullError\n"
        "target = pathlib.Path(sys.argv[2])\n"
        "try: open_store(sys.argv[1]).pull_tree(['key'], target)\n"
        "except DiskFullError as error: print(error); print(sorted(path.name for path in target.iterdir()))\n"
    )
    command = [sys.executable, "-c", code, bucket, str(tmp_path)]
    on_small_disk = small_disk_command(tmp_path, 1 << 20, command)
    if on_small_disk is None:
        pytest.skip("neither root nor user namespaces here: no small file system can be mounted")
    done = subprocess.run(
        on_small_disk, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
    assert f"{bucket}/key" in done.stdout
    assert "ENOSPC" in done.stdout
    assert DiskFullError.exit_code == 75


def test_a_listing_in_another_order_is_sorted() -> None:
    """Some kinds of buckets list in no order."""
    items = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
        for key in ("b", "a/b", "a-b")
    )
    page = (
        f'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>'
    )
    with stub_server(lambda request: Answer(200, page.encode())) as stub:
        assert [entry.key for entry in open_store("s3://bucket", stub.settings).list()] == ["a-b", "a/b", "b"]


def test_folder_markers_of_consoles_are_not_objects(moto: S3Server) -> None:
    bucket = moto.create_bucket()
    client = boto3.session.Session().client("s3")
    for key in ("prefix/", "prefix/ckpt/", "prefix/ckpt/config.json", "prefix2/other"):
        client.put_object(Bucket=bucket, Key=key)
    assert [entry.key for entry in open_store(f"s3://{bucket}/prefix/").list()] == ["ckpt/config.json"]


def test_a_missing_object_is_named(bucket: str, tmp_path: Path) -> None:
    store = open_store(f"{bucket}/deep/prefix")
    with pytest.raises(MissingError, match=f"{bucket}/deep/prefix/a/b"):
        store.read("a/b")
