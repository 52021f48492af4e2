import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.core.fingerprint import fingerprint
from parity.core.trace import ABSENT, FORMAT, Trace, TraceError, array_of, kind_of, step_of, tensor_of


def example() -> Trace:
    return Trace(
        [
            ("input", np.arange(6, dtype="float32").reshape(2, 3)),
            ("activation:fc1#2", fingerprint(np.linspace(-1, 1, 2000))),
            ("grad:fc1.weight", ABSENT),
            ("fact:requires_grad:a", True),
            ("step3:slot:momentum_buffer:fc.weight", np.array([np.nan, np.inf])),
            ("fact:error", "grad can be implicitly created only for scalar outputs"),
        ],
        framework="torch",
        version="2.13",
    )


def assert_equal(a: Trace, b: Trace):
    assert list(a) == list(b)
    assert a.meta == b.meta
    for name in a:
        if a[name] is ABSENT:
            assert b[name] is ABSENT
        elif hasattr(a[name], "buckets"):
            assert (a[name].shape, a[name].dtype, a[name].peak) == (b[name].shape, b[name].dtype, b[name].peak)
            np.testing.assert_array_equal(a[name].buckets, b[name].buckets)
            np.testing.assert_array_equal(a[name].sample, b[name].sample)
        else:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name], b[name])


def test_saves_and_loads_everything_in_order(tmp_path):
    example().save(tmp_path / "trace.npz")
    assert_equal(Trace.load(tmp_path / "trace.npz"), example())


def test_absent_stays_itself_between_processes():
    assert pickle.loads(pickle.dumps(example()["grad:fc1.weight"])) is ABSENT


def test_only_a_tensor_is_returned_as_a_tensor_and_only_a_whole_one_as_an_array():
    trace = example()
    assert array_of(trace, "input") is tensor_of(trace, "input") is trace["input"]
    assert tensor_of(trace, "activation:fc1#2") is trace["activation:fc1#2"]
    with pytest.raises(TypeError, match="fc1#2 is a fingerprint"):
        array_of(trace, "activation:fc1#2")
    with pytest.raises(TypeError, match=r"grad:fc1\.weight is absent"):
        tensor_of(trace, "grad:fc1.weight")


def test_saving_twice_gives_the_same_bytes(tmp_path):
    example().save(tmp_path / "a.npz")
    example().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "step"),
    [("grad:conv1.weight", "gradient", 0), ("step12:param:fc.weight", "parameter", 12), ("loss", "loss", 0),
     ("output:aux", "output", 0), ("step3:slot:momentum_buffer:fc.weight", "slot", 3)],
)  # fmt: skip
def test_names_say_kind_and_step(name, kind, step):
    assert (kind_of(name), step_of(name)) == (kind, step)


def test_foreign_and_double_names_are_refused():
    with pytest.raises(ValueError, match="'weights:a' is not a name of a trace"):
        Trace([("weights:a", 1.0)])
    with pytest.raises(ValueError, match="'loss' is in the trace already"):
        Trace([("loss", 1.0), ("loss", 2.0)])


def test_without_leaves_out_what_matches():
    trace = Trace([("loss", 1.0), *((f"step{k}:loss", float(k)) for k in (1, 2, 10))])
    assert list(trace.without(["step[2-9]:*"])) == ["loss", "step1:loss", "step10:loss"]
    assert trace.without([]) is trace


def test_missing_foreign_and_newer_files(tmp_path):
    with pytest.raises(TraceError, match=r"none\.npz: no such file"):
        Trace.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(TraceError, match=r"text\.npz: truncated, or not a trace"):
        Trace.load(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(TraceError, match=r"other\.npz: not a trace: a NumPy file of something else"):
        Trace.load(tmp_path / "other.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(TraceError, match=r"array\.npy"):
        Trace.load(tmp_path / "array.npy")
    header = np.frombuffer(json.dumps({"format": 99, "meta": {}, "entries": []}).encode(), np.uint8)
    np.savez(tmp_path / "newer.npz", trace=header)
    with pytest.raises(TraceError, match="a trace of format 99; this version reads format 3"):
        Trace.load(tmp_path / "newer.npz")


def test_pickled_arrays_are_refused(tmp_path):
    header = {"format": FORMAT, "meta": {}, "entries": [{"name": "loss", "form": "array", "arrays": [["|O", [1]]]}]}
    array = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "evil.npz", **{"trace": np.frombuffer(json.dumps(header).encode(), np.uint8), "|O": array})
    with pytest.raises(TraceError, match=r"evil\.npz"):
        Trace.load(tmp_path / "evil.npz")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_a_trace_error_or_a_trace(tmp_path, data):
    path = tmp_path / "damaged.npz"
    example().save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        Trace.load(path)
    except TraceError as error:
        assert "\n" not in str(error)
