"""Write tests/golden/events: small event files, and what other people's libraries read from them.

    pip install dv-processing expelliarmus evlib tonic tables h5py aedat
    python tests/golden/make_events_golden.py

AEDAT 4.0 is written by dv-processing (each way of packing) and read by aedat; DAT and EVT 2.0 are written and read by
expelliarmus; SHD is written by PyTables, as the published files are, and by h5py, and read by h5py as tonic does.
AEDAT 2.0 and 3.1, and EVT 3.0 with vectors and a loop of its clock, have no writer that installs: they are packed here
by their specifications and read by tonic's functions (addresses of 2.0 by the masks of jAER) and by evlib.
"""

import struct
import sys
from pathlib import Path

import aedat
import dv_processing
import evlib
import h5py
import numpy as np
import tables
import tonic.io
from expelliarmus import Wizard

HERE = Path(__file__).parent / "events"
N = 240


def events(seed, *, wide=34, high=34, span=30_000, first=0):
    """x, y, polarity, time."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(first, first + span, N))
    return rng.integers(0, wide, N), rng.integers(0, high, N), rng.integers(0, 2, N), time


def aedat4():
    x, y, p, t = events(0, first=1_600_000_000_000_000)
    kept = {}
    for packing in ("NONE", "LZ4", "ZSTD"):
        path = HERE / f"{packing.lower()}.aedat4"
        config = dv_processing.io.MonoCameraWriter.Config("test", getattr(dv_processing.CompressionType, packing))
        config.addEventStream((34, 34))
        config.addTriggerStream()  # another stream, which readers pass over
        writer = dv_processing.io.MonoCameraWriter(str(path), config)
        for part in np.array_split(np.arange(N), 3):
            store = dv_processing.EventStore()
            for i in part:
                store.push_back(int(t[i]), int(x[i]), int(y[i]), bool(p[i]))
            writer.writeEvents(store)
        writer.writeTrigger(dv_processing.Trigger(int(t[0]), dv_processing.TriggerType.EXTERNAL_SIGNAL_RISING_EDGE))
        del writer
        packets = [packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet]
        fields = ("x", "y", "on", "t")
        kept[path.name] = np.stack([np.concatenate([packet[k] for packet in packets]) for k in fields]).astype(np.int64)
    return kept


def prophesee():
    x, y, p, t = events(1, span=9_000)
    array = np.empty(N, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    array["t"], array["x"], array["y"], array["p"] = t, x, y, p
    kept = {}
    for encoding, name in (("dat", "cd.dat"), ("evt2", "evt2.raw")):
        Wizard(encoding=encoding).save(HERE / name, array)
        read = Wizard(encoding=encoding).read(HERE / name)
        kept[name] = np.stack([read[k].astype(np.int64) for k in ("x", "y", "p", "t")])
    return kept


def evt3():
    """Single events, vectors of 12 and 8 that follow one another, and a clock that loops after 2^24 us."""
    rng = np.random.default_rng(2)
    words = [0x8 << 12 | 4094, 0x6 << 12 | 7]
    for high in (4094, 4095, 0, 1):
        words.append(0x8 << 12 | high)
        for low in np.sort(rng.integers(0, 4096, 6)):
            words += [0x6 << 12 | int(low), int(rng.integers(0, 720))]
            for _ in range(2):
                words.append(0x2 << 12 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 1280)))
            words.append(0x3 << 12 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 1200)))
            words += [0x4 << 12 | int(rng.integers(0, 4096)), 0x4 << 12 | int(rng.integers(0, 4096))]
            words += [0x5 << 12 | int(rng.integers(0, 256)), 0xE << 12 | 5, 0xA << 12 | 1]
    header = b"% evt 3.0\n% format EVT3;height=720;width=1280\n% geometry 1280x720\n% end\n"
    (HERE / "evt3.raw").write_bytes(header + np.array(words, "<u2").tobytes())
    frame = evlib.load_events(str(HERE / "evt3.raw")).collect()
    time = frame["t"].dt.total_microseconds().to_numpy()
    return {"evt3.raw": np.stack([frame["x"], frame["y"], frame["polarity"] > 0, time]).astype(np.int64)}


def aedat2():
    """DVS128 and DAVIS346 addresses, with an external event and a frame's sample between them."""
    kept = {}
    for name, wide, high in (("dvs128", 128, 128), ("davis346", 346, 260)):
        x, y, p, t = events(3, wide=wide, high=high)
        if name == "dvs128":
            address, chip = y << 8 | x << 1 | p, "ch.unizh.ini.jaer.chip.retina.DVS128"
            odd = (1 << 15 | 5, 1 << 31 | 5)
        else:
            address, chip = y << 22 | x << 12 | p << 11, "eu.seebetter.ini.chips.davis.Davis346blue"
            odd = (1 << 10, 1 << 31 | 77)
        records = np.stack([address, t], axis=1)
        records = np.insert(records, (10, 20), [(a, t[20]) for a in odd], axis=0)
        header = f"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n# AEChip: {chip}\r\n#End Of ASCII Header\r\n"
        path = HERE / f"{name}.aedat"
        path.write_bytes(header.encode() + records.astype(">u4").tobytes())
        read = tonic.io.get_aer_events_from_file(str(path), 2.0, len(header))
        address = read["address"].astype(np.int64)
        if name == "dvs128":  # jAER's DVS128.Extractor
            fine = address & 0x80008000 == 0
            found = 127 - ((address & 0xFE) >> 1), (address & 0x7F00) >> 8, 1 - (address & 1)
        else:  # jAER's DavisBaseCamera.DavisEventExtractor
            fine = address & (1 << 31 | 1 << 10) == 0
            found = 345 - (address >> 12 & 0x3FF), address >> 22 & 0x1FF, address >> 11 & 1
        kept[path.name] = np.stack([*found, read["timeStamp"]]).astype(np.int64)[:, fine]
    return kept


def aedat3():
    """Polarity packets, an invalid event, a packet of another type, and a clock beyond 2^31 us."""
    x, y, p, t = events(4, wide=128, high=128)
    header = (
        b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-05-31 13:21:13 (TZ+0200)\r\n"
        b"#!END-HEADER\r\n"
    )
    body = b""
    for overflow, part in enumerate(np.array_split(np.arange(N), 3)):
        data = np.stack([x[part] << 17 | y[part] << 2 | p[part] << 1 | 1, t[part]], axis=1).astype("<u4")
        body += struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, len(part), len(part), len(part)) + data.tobytes()
        body += struct.pack("<hhiiiiii", 0, 1, 8, 4, overflow, 1, 1, 1) + struct.pack("<Ii", 3, int(t[part[-1]]))
    path = HERE / "dvs128_3.aedat"
    path.write_bytes(header + body)
    read = tonic.io.get_aer_events_from_file(str(path), 3.1, len(header))
    kinds = np.concatenate([[1] * len(part) + [0] for part in np.array_split(np.arange(N), 3)]) == 1
    address, low = read["address"][kinds].astype(np.int64), read["timeStamp"][kinds].astype(np.int64)
    high = np.repeat(np.arange(3), [len(part) for part in np.array_split(np.arange(N), 3)]) << 31
    return {path.name: np.stack([address >> 17 & 0x7FFF, address >> 2 & 0x7FFF, address >> 1 & 1, low + high])}


def shd():
    rng = np.random.default_rng(5)
    lengths = [40, 0, 25, 61]
    times = [np.sort(rng.random(n)).astype(np.float16) for n in lengths]
    units = [rng.integers(0, 700, n).astype(np.uint16) for n in lengths]
    labels = np.array([3, 19, 0, 7], np.uint16)
    with tables.open_file(str(HERE / "tables.h5"), "w") as file:
        spikes = file.create_group("/", "spikes")
        for name, lists, atom in (("times", times, tables.Float16Atom()), ("units", units, tables.UInt16Atom())):
            array = file.create_vlarray(spikes, name, atom, chunkshape=(3,))
            for values in lists:
                array.append(values)
        file.create_array("/", "labels", labels)
        extra = file.create_group("/", "extra")
        file.create_array(extra, "speaker", np.arange(4))
    with h5py.File(HERE / "h5py.h5", "w") as file:
        for name, lists in (("times", times), ("units", units)):
            data = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(lists[0].dtype))
            for at, values in enumerate(lists):
                data[at] = values
        file["labels"] = labels
    kept = {}
    for name in ("tables.h5", "h5py.h5"):
        with h5py.File(HERE / name) as file:
            read = [(file["spikes/times"][i].astype(np.float64) * 1e6, file["spikes/units"][i]) for i in range(4)]
            kept[f"{name}/labels"] = file["labels"][()].astype(np.int64)
        for at, (time, unit) in enumerate(read):
            kept[f"{name}/{at}"] = np.stack([unit, np.rint(time)]).astype(np.int64)
    return kept


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    found = {}
    for make in (aedat4, prophesee, evt3, aedat2, aedat3, shd):
        found |= make()
    np.savez_compressed(HERE / "read_by_others.npz", **found)
    for name, values in found.items():
        sys.stdout.write(f"{name}: {values.shape}\n")
