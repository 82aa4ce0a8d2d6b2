"""Files of events against what other people's libraries read from them; layouts by hand; what is refused."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroemu import datasets
from neuroemu.datasets import Events, _aedat4, _reading, prophesee
from neuroemu.errors import (
    ArgumentTypeError,
    FileFormatError,
    InputError,
    MissingDependencyError,
    NeuroemuError,
    UnsupportedError,
)

FOLDER = Path(__file__).parent / "golden" / "events"
NEEDS = {"lz4.aedat4": "lz4.frame", "zstd.aedat4": "zstandard"}
SINGLE = ["none.aedat4", *NEEDS, "cd.dat", "evt2.raw", "evt3.raw", "dvs128.aedat", "davis346.aedat", "dvs128_3.aedat"]


@pytest.fixture(scope="module")
def others():
    """What other libraries read, by file: (4, events) x, y, polarity, time; see make_events_golden.py."""
    return np.load(FOLDER / "read_by_others.npz")


def rows(events):
    return np.stack([events.x, events.y, events.polarity, events.microseconds])


@pytest.mark.parametrize("name", SINGLE)
def test_files_are_read_as_by_others(name, others):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    np.testing.assert_array_equal(rows(datasets.read_events(FOLDER / name)), others[name])


@pytest.mark.parametrize("name", ["tables.h5", "h5py.h5"])
def test_heidelberg_files_are_read_as_by_others(name, others):
    pytest.importorskip("h5py")
    recordings, labels = datasets.read_shd(FOLDER / name)
    np.testing.assert_array_equal(labels, others[f"{name}/labels"])
    assert len(recordings) == 4 and len(recordings[1]) == 0
    for at, events in enumerate(recordings):
        np.testing.assert_array_equal([events.x, events.microseconds], others[f"{name}/{at}"])
        assert (events.y == 0).all() and (events.polarity == 1).all()
    chosen, some = datasets.read_shd(FOLDER / name, samples=[3, 0])
    np.testing.assert_array_equal(rows(chosen[0]), rows(recordings[3]))
    np.testing.assert_array_equal(some, labels[[3, 0]])
    trains = datasets.to_trains(recordings, dt=0.01, steps=100, shape=(1, 1, 700))
    assert trains.shape == (100, 4, 1, 1, 700) and not trains[:, 1].any()
    when, unit = others[f"{name}/3"][1] // 10_000, others[f"{name}/3"][0]
    assert trains[when[when < 100], 3, 0, 0, unit[when < 100]].all()
    assert trains[:, 3].sum() == len(set(zip(when[when < 100], unit[when < 100], strict=True)))


def evt3(*words):
    return prophesee.parse(b"% evt 3.0\n% end\n" + np.array(words, "<u2").tobytes())


def test_evt3_by_hand():
    """A word is 4 bits of type and 12 of value: 0 row, 2 event, 3 base, 4 and 5 vectors, 6 and 8 time."""
    found = evt3(
        0x0001, 0x2003,  # before the first time: passed over
        0x8001, 0x6005, 0x0007, 0x2803, 0x2004,  # at 4096 + 5, row 7: ON in column 3, OFF in column 4
        0x3864, 0x4801, 0x5081,  # base 100 ON: columns 100, 111 and, 12 further, 112 and 119
        0x8FFF, 0x2001, 0x8000, 0x2002,  # the low part starts at 0 again; the clock loops after 2^24
        0x1009, 0x2005, 0xA001, 0xE123, 0x0008, 0x2006,  # a row of another kind of event
    )  # fmt: skip
    times = [4101] * 6 + [0xFFF << 12, 1 << 24, 1 << 24]
    np.testing.assert_array_equal(found.x, [3, 4, 100, 111, 112, 119, 1, 2, 6])
    np.testing.assert_array_equal(found.y, [7] * 8 + [8])
    np.testing.assert_array_equal(found.polarity, [1, 0, 1, 1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(found.microseconds, times)


def test_evt2_by_hand():
    words = np.array(
        [0x10000000, 0x80000002, 1 << 28 | 9 << 22 | 5 << 11 | 6, 3 << 22 | 7 << 11 | 8, 0xA0000000], "<u4"
    )
    found = prophesee.parse(b"% evt 2.0\n" + words.tobytes())
    np.testing.assert_array_equal(rows(found), [[5, 7], [6, 8], [1, 0], [2 * 64 + 9, 2 * 64 + 3]])


@pytest.mark.parametrize("name", ["evt2.raw", "evt3.raw"])
@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_of_words_change_nothing(name, block, others, monkeypatch):
    monkeypatch.setattr(prophesee, "BLOCK", block)
    np.testing.assert_array_equal(rows(prophesee.parse((FOLDER / name).read_bytes())), others[name])


whole = st.integers(0, 200)
recordings = st.integers(0, 30).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int64, n, elements=whole),
        hnp.arrays(np.int64, n, elements=whole),
        hnp.arrays(np.int64, n, elements=st.integers(0, 1)),
        hnp.arrays(np.int64, n, elements=st.integers(-(1 << 60), 1 << 60)),
    )
)


@settings(max_examples=30, deadline=None)
@given(recordings)
def test_saved_events_come_back(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("events") / "e.npz"
    datasets.save_events(Events(*arrays), path)
    np.testing.assert_array_equal(rows(datasets.read_events(path)), arrays)


def test_arrays_under_other_names(tmp_path):
    np.savez(tmp_path / "e.npz", x=np.uint16([1]), y=np.uint16([2]), p=np.int8([-1]), t=np.uint32([9]), more=[1])
    np.testing.assert_array_equal(rows(datasets.read_events(tmp_path / "e.npz")), [[1], [2], [0], [9]])


def table(tmp_path, text, **settings):
    (tmp_path / "e.csv").write_text(text)
    return rows(datasets.read_event_table(tmp_path / "e.csv", **settings))


def test_tables_of_text(tmp_path):
    wanted = [[1, 4], [2, 5], [1, 0], [30, 1_600_000_000_000_007]]
    np.testing.assert_array_equal(table(tmp_path, "x,y,p,t\n1,2,1,30\n4,5,0,1600000000000007\n"), wanted)
    np.testing.assert_array_equal(rows(datasets.read_events(tmp_path / "e.csv")), wanted)
    np.testing.assert_array_equal(table(tmp_path, "1,2,1,30\n4,5,-1,1600000000000007", columns="xypt"), wanted)
    np.testing.assert_array_equal(table(tmp_path, "# Timestamp; a; ROW ;col; on\n30;7;2;1;1\n")[:, 0], [1, 2, 1, 30])
    np.testing.assert_array_equal(table(tmp_path, "0.25 1 2 1\n", columns="txyp", tick=1.0), [[1], [2], [1], [250_000]])
    assert table(tmp_path, "x,y,p,t\n").shape == (4, 0)


def test_times_before_the_start_and_from_the_first_event():
    three = np.zeros(3, np.int64)
    events = Events(
        three, three, three, np.array([1_600_000_000_000_500, 1_600_000_000_000_000, 1_600_000_000_001_999])
    )
    assert not events.to_steps(dt=1e-3, steps=3, shape=(1, 1, 1)).any()
    np.testing.assert_array_equal(events.to_steps(dt=1e-3, steps=3, shape=(1, 1, 1), start=None).ravel(), [1, 1, 0])
    late = events.to_steps(dt=1e-3, steps=3, shape=(1, 1, 1), start=1_600_000_000_000_600)
    np.testing.assert_array_equal(late.ravel(), [0, 1, 0])
    with pytest.raises(InputError, match="count from 0"):
        Events(three - 1, three, three, three).to_steps(dt=1e-3, steps=1, shape=(1, 1, 1))


def test_trains_side_by_side():
    one = np.zeros(1, np.int64)
    recordings = [Events(one + at, one, one, one + 1000 * at) for at in range(3)]
    trains = datasets.to_trains(recordings, dt=1e-3, steps=3, shape=(2, 1, 3))
    np.testing.assert_array_equal(np.argwhere(trains), [[at, at, 0, 0, at] for at in range(3)])
    with pytest.raises(ArgumentTypeError, match="give a list"):
        datasets.to_trains(recordings[0], dt=1e-3, steps=3, shape=(2, 1, 3))
    with pytest.raises(InputError, match="at least one"):
        datasets.to_trains([], dt=1e-3, steps=3, shape=(2, 1, 3))
    with pytest.raises(InputError, match="values at most"):
        datasets.to_trains(recordings, dt=1e-3, steps=1 << 20, shape=(2, 16, 16))


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def bomb():
    """An archive of four arrays of 2^34 values each, some kB long; none of them is unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "xypt":
            archive.writestr(f"{name}.npy", bytes(1 << 20))
    return buffer.getvalue().replace(struct.pack("<I", 1 << 20), struct.pack("<I", 0xF0000000))


def aedat4(events=b"", compression=0, size=None):
    """A file of one packet: IOHeader with one field, then the packet."""
    header = struct.pack("<I2xHHHii", 12, 6, 8, 4, 6, compression)  # root, fields of the table, the table
    body = struct.pack("<iI", 0, len(events) if size is None else size) + events
    return _aedat4.MAGIC + struct.pack("<I", len(header)) + header + body


@pytest.mark.parametrize(
    "name, content, kind, says",
    [
        ("e.aedat", b"#!AER-DAT1.0\r\n", UnsupportedError, "AEDAT version '1.0'; 2.0, 3.1 and 4.0"),
        ("e.aedat", b"#!AER-DAT2.0\r\n#abc", FileFormatError, "its header does not end"),
        ("e.aedat", b"#!AER-DAT2.0\r\n1234567", FileFormatError, "each takes 8"),
        ("e.aedat", b"#!AER-DAT2.0\r\n# AEChip: x.CochleaAMS1c\r\n", UnsupportedError, "camera 'x.CochleaAMS1c'"),
        ("e.aedat", b"#!AER-DAT2.0\r\n" + struct.pack(">II", 1 << 20, 0), UnsupportedError, "wider than those"),
        ("e.aedat", b"#!AER-DAT3.1\r\n#Format: RAW\r\n", FileFormatError, "END-HEADER"),
        ("e.aedat", b"#!AER-DAT3.1\r\n#Format: X\r\n#!END-HEADER\r\n", UnsupportedError, "stored as 'X'"),
        (
            "e.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 2**30, 1, 1),
            FileFormatError, "reaches beyond the end",
        ),
        ("e.aedat4", aedat4(compression=9), UnsupportedError, "packing number 9"),
        ("e.aedat4", aedat4(size=2**31), FileFormatError, "reaches beyond the end"),
        ("e.aedat4", _aedat4.MAGIC + struct.pack("<I", 2**32 - 1), FileFormatError, "reaches beyond the end"),
        ("e.dat", b"% Data file containing CD events\n% Version 1\n\0\x08", UnsupportedError, "DAT version '1'"),
        ("e.dat", b"% Data file containing CD events\n% Version 2\n\x0e\x08", UnsupportedError, "events of type 14"),
        ("e.dat", b"% Data file containing CD events\n% Version 2\n\0\x08abc", FileFormatError, "the file is cut"),
        ("e.raw", b"% evt 2.1\n", UnsupportedError, "encoded as 'EVT2.1'"),
        ("e.raw", b"% evt 3.0\nabc", FileFormatError, "the file is cut"),
        ("e.bin", b"abcdef", FileFormatError, "6 bytes"),
        ("e.xyz", b"abcdef", FileFormatError, "unknown content"),
        ("e.h5", b"\x89HDF\r\n\x1a\n", FileFormatError, "use read_shd"),
        ("e.csv", b"1,2,3,4\n", FileFormatError, "0 columns for x among '1, 2, 3, 4'"),
        ("e.csv", b"x,y,p,t\n1,2,3\n", FileFormatError, "damaged"),
        ("e.csv", b"x,y,p,t\n1.5,2,1,0\n", FileFormatError, "no whole number"),
        ("e.csv", b"x,y,p,t\n1,2,1,nan\n", FileFormatError, "a time that is no number"),
        ("e.csv", b"x,y,p,t\n1,2,5,0\n", FileFormatError, "polarity 5 or 5"),
        ("e.csv", b"x,y,p,t\n-1,2,1,0\n", FileFormatError, "column -1"),
        ("e.npz", npz(x=[1], y=[1]), FileFormatError, "it holds x, y"),
        ("e.npz", npz(x=[1], y=[1], p=[1], t=[1, 2]), FileFormatError, "arrays of shapes"),
        ("e.npz", npz(x=[1], y=[1], p=[1], t=[0.5]), FileFormatError, "whole numbers are needed"),
        ("e.npz", bomb(), FileFormatError, "up to 33,554,432 are read"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, name, content, kind, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kind) as error:
        datasets.read_events(tmp_path / name)
    assert says in str(error.value) and str(error.value).startswith(str(tmp_path / name))


def test_arguments_are_checked(tmp_path):
    with pytest.raises(InputError, match="camera"):
        datasets.read_aedat(FOLDER / "dvs128.aedat", camera="dvs")
    with pytest.raises(ArgumentTypeError, match="path must be"):
        datasets.read_events(3)
    for columns in ("xyp", "xyptz", 5, "xxypt"):
        with pytest.raises(InputError, match="columns is"):
            datasets.read_event_table(tmp_path / "e.csv", columns=columns)
    with pytest.raises(InputError, match="must end in"):
        datasets.save_events(Events(*np.zeros((4, 0), np.int64)), tmp_path / "e.bin")
    with pytest.raises(FileFormatError, match="not an HDF5 file"):
        datasets.read_shd(FOLDER / "cd.dat")
    with pytest.raises(FileFormatError, match="No such file"):
        datasets.read_shd(tmp_path / "none.h5")
    with pytest.raises(InputError, match="recording 4; the file has 4"):
        datasets.read_shd(FOLDER / "h5py.h5", samples=[4])


def test_another_camera_can_be_named(tmp_path):
    """DAVIS240 and DAVIS346 have the same addresses but for the mirror."""
    with pytest.raises(UnsupportedError, match="a Davis240 has 240"):
        datasets.read_aedat(FOLDER / "davis346.aedat", camera="davis240")
    (tmp_path / "e.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + struct.pack(">II", 9 << 22 | 5 << 12 | 1 << 11, 77))
    np.testing.assert_array_equal(
        rows(datasets.read_aedat(tmp_path / "e.aedat", camera="davis240")), [[234], [9], [1], [77]]
    )


def test_without_the_libraries_that_unpack(monkeypatch):
    import sys

    for module, name in (("lz4.frame", "lz4.aedat4"), ("zstandard", "zstd.aedat4")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingDependencyError, match=r"neuroemu\[events\]"):
            datasets.read_events(FOLDER / name)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[events\]"):
        datasets.read_shd(FOLDER / "h5py.h5")


def test_packed_packets_stop_at_the_limit(tmp_path, monkeypatch):
    """A bomb: 64 MB of zeros in some kB."""
    zstandard = pytest.importorskip("zstandard")
    frame = pytest.importorskip("lz4.frame")
    monkeypatch.setattr(_aedat4, "MAX_PACKET", 1 << 21)
    for number, pack in ((1, frame.compress), (3, zstandard.ZstdCompressor().compress)):
        (tmp_path / "e.aedat4").write_bytes(aedat4(pack(bytes(1 << 26)), number))
        with pytest.raises(FileFormatError, match="unpacks to more than 2,097,152 bytes"):
            datasets.read_events(tmp_path / "e.aedat4")


def test_more_events_than_one_call_gives(monkeypatch):
    monkeypatch.setattr(_reading, "MAX_EVENTS", 100)
    monkeypatch.setattr(_reading, "MAX_FILE", 1 << 16)
    for name in ("none.aedat4", "cd.dat", "evt3.raw", "dvs128.aedat", "dvs128_3.aedat"):
        with pytest.raises(FileFormatError, match="up to 100 are read"):
            datasets.read_events(FOLDER / name)
    with pytest.raises(FileFormatError, match="up to 100 are read"):
        datasets.read_shd(FOLDER / "h5py.h5")
    monkeypatch.setattr(_reading, "MAX_FILE", 100)
    with pytest.raises(FileFormatError, match="up to 100 bytes are read"):
        datasets.read_events(FOLDER / "cd.dat")


@pytest.mark.parametrize("name", [*SINGLE, "tables.h5", "h5py.h5"])
def test_cut_and_changed_files_end_in_one_error(tmp_path, name):
    """Any cut or flip gives events or one line of ours, nothing else."""
    content, random = (FOLDER / name).read_bytes(), np.random.default_rng(0)
    path = tmp_path / name
    read = datasets.read_shd if name.endswith(".h5") else datasets.read_events
    for turn in range(60):
        changed = bytearray(content)
        if turn % 2:
            del changed[random.integers(len(content)) :]
        else:
            for at in random.integers(0, min(len(content), 3000 if turn % 4 else 10**9), 3):
                changed[at] = random.integers(256)
        path.write_bytes(changed)
        try:
            read(path)
        except NeuroemuError as error:
            assert "\n" not in str(error)
