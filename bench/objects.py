"""What S3 costs: small and large objects, listing; ours, the disk and two peers in one run.

    SIGHTLINE_BIN=… SIGHTLINE_BENCH_CACHE=… python bench/objects.py FOLDER

`cargo xtask bench` runs it. Everything lies in FOLDER, which is removed at the end.
"""

import http.client
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

from boto3.s3.transfer import TransferConfig

from peers import start_all

HERE = pathlib.Path(__file__).parent
RUNS = 3
SMALL_BYTES = 4096
# So few that even the slowest server has put each of them once before they are read.
SMALL_KEYS = 500
SMALL_GOALS = {"PUT": "3,000, durable,", "GET": "10,000"}
CONNECTIONS = 64
LOAD_S = 4
LARGE_BYTES = int(os.environ.get("SIGHTLINE_BENCH_LARGE_MIB", 1024)) << 20
PIECE_BYTES = 1 << 20
LISTED_KEYS = 1_000_000
PAGES = 30


def amount(count):
    """A number of bytes in the largest unit of which it is a whole number."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count % 1024 or unit == "GiB":
            return "%d %s" % (count, unit)
        count //= 1024


def figure(name, unit, values, ours=None, higher_is_better=True):
    """Prints a median with least and most, and ours as a multiple of it."""
    median = statistics.median(values)
    text = "%-52s %9.4g %-6s (%.4g to %.4g, %d runs)" % (
        name, median, unit, min(values), max(values), len(values))
    if ours is not None and median:
        ratio = ours / median if higher_is_better else median / ours
        text += "   ours is %.2f times as good" % ratio
    print(text, flush=True)
    return median


def compare(what, unit, values, higher_is_better=True):
    """Prints the figures of all servers under one name; ours comes first in `values`."""
    ours = None
    print("\n%s" % what, flush=True)
    for name, measured in values.items():
        median = figure("    %s" % name, unit, measured, ours, higher_is_better)
        ours = median if ours is None else ours


def load(server, method, targets):
    """Requests per second, and the wait in ms that 99 of 100 do not exceed, of one run of wrk."""
    file = server.folder / ("targets-%s" % method)
    file.write_text("\n".join(targets) + "\n")
    told = subprocess.run(
        ["wrk", "--threads=1", "--connections=%d" % CONNECTIONS, "--duration=%ds" % LOAD_S,
         "--timeout=30s", "--script=%s" % (HERE / "requests.lua"), server.url],
        capture_output=True, text=True, check=True,
        env=dict(os.environ, METHOD=method, TARGETS=str(file), BODY_BYTES=str(SMALL_BYTES)),
    ).stdout
    result = [line for line in told.splitlines() if line.startswith("RESULT ")][0].split()
    rate, _, late, failed = map(float, result[1:])
    assert failed == 0, "%s failed %d requests:\n%s" % (server.name, failed, told)
    return rate, late


def small(servers):
    keys = ["small/%06d" % number for number in range(SMALL_KEYS)]
    rates = {"PUT": {}, "GET": {}}
    waits = {"PUT": {}, "GET": {}}
    for _ in range(RUNS):
        for server in servers:
            for method, operation in (("PUT", "put_object"), ("GET", "get_object")):
                rate, late = load(server, method, server.targets(operation, keys))
                rates[method].setdefault(server.name, []).append(rate)
                waits[method].setdefault(server.name, []).append(late)
    for method in ("PUT", "GET"):
        what = "%s of %s, %d connections" % (method, amount(SMALL_BYTES), CONNECTIONS)
        goal = "goal: %s /s on two processors" % SMALL_GOALS[method]
        compare("%s; %s" % (what, goal), "/s", rates[method])
        compare("the same, 99th of 100 waits", "ms", waits[method], higher_is_better=False)


def evict(file):
    """Makes the system forget a file's bytes, so that the disk has to give them again."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(work, *arguments):
    started = time.monotonic()
    work(*arguments)
    return LARGE_BYTES / (1 << 20) / (time.monotonic() - started)


def put_file(server, target, file):
    connection = http.client.HTTPConnection(*server.address)
    connection.putrequest("PUT", target)
    connection.putheader("Content-Length", str(LARGE_BYTES))
    connection.endheaders()
    with open(file, "rb") as opened:
        connection.sock.sendfile(opened)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()


def get_file(server, target):
    connection = http.client.HTTPConnection(*server.address)
    connection.request("GET", target)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    piece, size = bytearray(PIECE_BYTES), 0
    while read := answer.readinto(piece):
        size += read
    assert size == LARGE_BYTES, size


def write_by_dd(file):
    subprocess.run(
        ["dd", "if=%s" % file, "of=%s.copy" % file, "bs=1M", "conv=fsync", "status=none"],
        check=True)


def read_by_cat(file):
    with open(os.devnull, "wb") as nowhere:
        subprocess.run(["cat", file], stdout=nowhere, check=True)


def large(servers, folder):
    """One large request each way, beside what the disk gives to dd and cat."""
    file = folder / "large"
    with file.open("wb") as opened:
        for _ in range(LARGE_BYTES // PIECE_BYTES):
            opened.write(os.urandom(PIECE_BYTES))
    puts, gets = {}, {}
    for run in range(RUNS):
        # The peers once: they set the scale, and one of them takes most of a minute.
        measured = servers if run == 0 else servers[:1]
        for server in measured:
            rate = timed(put_file, server, server.target("put_object", Key="large"), file)
            puts.setdefault(server.name, []).append(rate)
        puts.setdefault("the disk, by dd conv=fsync", []).append(timed(write_by_dd, file))
        os.sync()
        for server in measured:
            for kept in server.large_files():
                evict(kept)
            rate = timed(get_file, server, server.target("get_object", Key="large"))
            gets.setdefault(server.name, []).append(rate)
        evict(file)
        gets.setdefault("the disk, by cat", []).append(timed(read_by_cat, file))
        (folder / "large.copy").unlink()
    size, goal = amount(LARGE_BYTES), "goal: 0.8 times the disk"
    compare("PUT of %s; %s" % (size, goal), "MiB/s", puts)
    compare("GET of %s; ours and the disk's uncached; %s" % (size, goal), "MiB/s", gets)
    return file


def transfer(servers, file):
    """boto3's transfer manager with its own settings: parts of 8 MiB, ten threads."""
    ups, downs = {}, {}
    for server in servers:
        for _ in range(RUNS if server is servers[0] else 1):
            upload = lambda: server.s3.upload_file(str(file), "bench", "parts", Config=TransferConfig())
            ups.setdefault(server.name, []).append(timed(upload))
            down = str(server.folder / "down")
            downs.setdefault(server.name, []).append(
                timed(lambda: server.s3.download_file("bench", "parts", down)))
            os.unlink(down)
    compare("boto3 upload_file of %s" % amount(LARGE_BYTES), "MiB/s", ups)
    compare("boto3 download_file of %s" % amount(LARGE_BYTES), "MiB/s", downs)


def fill(data_dir):
    """Copies one object's row a million times; putting as many would take minutes."""
    database = sqlite3.connect(data_dir / "meta.sqlite")
    columns = [row[1] for row in database.execute("PRAGMA table_info(objects)")]
    copied = ["printf('list/%03d/%07d', n % 1000, n)" if column == "object_key" else column
              for column in columns]
    with database:
        database.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)"
            " INSERT INTO objects (%s) SELECT %s FROM numbers, objects"
            " WHERE bucket = 'bench' AND object_key = 'seed'"
            % (LISTED_KEYS, ", ".join(columns), ", ".join(copied)))
    database.close()


def listing(server):
    server.s3.put_object(Bucket="bench", Key="seed", Body=b"seed")
    server.restart_after(fill)
    connection = http.client.HTTPConnection(*server.address)

    def page(**query):
        target = server.target("list_objects_v2", **query)
        started = time.monotonic()
        connection.request("GET", target)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return 1000 * (time.monotonic() - started), text

    pages = [page(StartAfter="list/%03d/" % (number * 33)) for number in range(PAGES)]
    assert all(text.count(b"<Key>") == 1000 for _, text in pages)
    print("\nlists", flush=True)
    figure("    a page of 1,000 keys among {:,}".format(LISTED_KEYS), "ms", [took for took, _ in pages])
    folders = [page(Prefix="list/", Delimiter="/") for _ in range(PAGES)]
    assert all(text.count(b"<CommonPrefixes>") == 1000 for _, text in folders)
    folder = "{:,} keys each, by delimiter".format(LISTED_KEYS // 1000)
    figure("    1,000 folders of %s" % folder, "ms", [took for took, _ in folders])


def main(folder):
    servers = start_all(folder)
    try:
        compare("start to first answer; goal: less than 100 ms", "ms",
                {server.name: [1000 * took for took in server.starts_s] for server in servers}, False)
        compare("resident memory, idle; goal: less than 64 MiB", "MiB",
                {server.name: [server.rss_mib] for server in servers}, False)
        small(servers)
        transfer(servers, large(servers, folder))
        listing(servers[0])
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder)


main(pathlib.Path(sys.argv[1]))
